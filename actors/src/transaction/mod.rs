//! Transactions: a half message lies in `RMQ_SYS_TRANS_HALF_TOPIC` until its producer says how its transaction ended. A
//! commit writes it anew into its own topic; commit and rollback both note the half message as done by a message in
//! `RMQ_SYS_TRANS_OP_HALF_TOPIC`. Who says nothing is asked (`TransactionalMessageServiceImpl` and its bridge in Java).

pub mod actor;
mod check;
mod ending;
mod open;
mod round;

pub use check::Rules;
pub use ending::{Ending, WrongEnding, commit, end_note, matches};
pub use round::RoundParts;

/// The topic of the notes which half messages are done.
pub const END_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// The topic of half messages that were given up.
pub const GIVEN_UP_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// The consumer group whose offsets tell how far half messages and notes are dealt with.
pub const GROUP: &str = "CID_RMQ_SYS_TRANS";
