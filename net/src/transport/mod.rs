//! Connections over tokio, for any stream: TCP, TLS, a pipe of a test, a simulated network.
//!
//! | file | what |
//! |---|---|
//! | `io` | reads one frame at a time, with a limit on its bytes |
//! | `call` | one side's calls over a connection: requests, answers, and what the peer asks |
//! | `pending` | the calls that wait for their answer |
//! | `answer` | an answer as it came |
//! | `outbox` | frames on their way to the stream |
//!
//! Nothing here spawns a task or knows a clock but tokio's, which a simulation can replace.

mod answer;
pub mod call;
pub mod io;
mod outbox;
mod pending;

pub use answer::Answer;
pub use call::{CallError, Caller, Driver, EndError, Settings, over};
pub use io::{ReadError, read_frame};
