//! Writes the index, on a thread that may wait for the disk: who delivers what is due does not.

use std::sync::Arc;

use actix::{Actor, Handler, Message, MessageResult};

use super::index::{Change, Index, IndexError};
use crate::supervise::Context;

/// Change the index. From `Timers`, one under way. Answers whether it was changed: not when another owner has it by now.
#[derive(Message)]
#[rtype(result = "Result<bool, IndexError>")]
pub struct WriteIndex {
    /// The index.
    pub index: Arc<Index>,
    /// Who asks.
    pub owner: u64,
    /// What changes.
    pub change: Arc<Change>,
}

/// The actor.
#[derive(Debug, Default)]
pub struct TimerWriter;

impl Actor for TimerWriter {
    type Context = Context<Self>;
}

impl Handler<WriteIndex> for TimerWriter {
    type Result = MessageResult<WriteIndex>;

    fn handle(&mut self, write: WriteIndex, _: &mut Self::Context) -> Self::Result {
        MessageResult(write.index.change(write.owner, &write.change))
    }
}
