//! Locking queues for ordered consumption (codes 41 and 42; the lock part of `AdminBrokerProcessor` in Java).

use cuemq_net::body::{Body, LockBatch, LockedQueues};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;

use super::broker_requests::{Asked, Refusal, again, decoded};
use crate::rebalance::actor::{LockQueues, UnlockQueues};

impl Asked<'_> {
    /// Locks queues for a client, and tells which of them it holds now.
    pub(super) async fn lock_queues(&self) -> Result<Command, Refusal> {
        let asked: LockBatch = decoded(&self.request.body)?;
        let queues = self.actors.lock.send(LockQueues(asked)).await.map_err(again)?;
        Ok(self
            .success()
            .with_body(LockedQueues { queues }.encode(Style::Fastjson)))
    }

    /// Unlocks those of the queues that the client holds.
    pub(super) async fn unlock_queues(&self) -> Result<Command, Refusal> {
        let asked: LockBatch = decoded(&self.request.body)?;
        self.actors.unlock.send(UnlockQueues(asked)).await.map_err(again)?;
        Ok(self.success())
    }
}
