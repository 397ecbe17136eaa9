//! Connections over tokio, for any stream: TCP, TLS, a pipe of a test, a simulated network.
//!
//! | file | what |
//! |---|---|
//! | `io` | reads one frame at a time, with a limit on its bytes |
//! | `call` | one side's calls over a connection: requests, answers, and what the peer asks |
//! | `pending` | the calls that wait for their answer |
//!
//! Nothing here spawns a task or knows a clock but tokio's, which a simulation can replace.

pub mod call;
pub mod io;
mod pending;

pub use call::{CallError, Caller, Driver, EndError, Settings, over};
pub use io::{ReadError, read_frame};
