//! A producer tells how its transaction ended (`EndTransactionProcessor` in Java).

use cuemq_net::command::Command;
use cuemq_net::message::record::Record;
use cuemq_net::request::EndTransaction;

use super::broker_requests::{Asked, Refusal, read, refused};
use super::send_back::not_appended;
use crate::reappend::empty_batch;
use crate::transaction::{Ending, WrongEnding, commit, end_note, matches};
use cuemq_storage::position::PhysicalOffset;

impl Asked<'_> {
    /// Commits or rolls back (37). Who does not know how it ended gets no answer, as in Java: it is asked again later.
    ///
    /// The message and the note that its half is done are one batch, so that a crash between them is as rare as it can be;
    /// after one, the producer is asked again, and the message may be delivered twice.
    pub(super) async fn end_transaction(&self) -> Result<Option<Command>, Refusal> {
        let view = self.request.view();
        let header = read(EndTransaction::read(&view))?;
        let Some(ending) = Ending::of(header.commit_or_rollback) else {
            return Ok(None);
        };
        let bytes = self.half_at(header.physical_offset).await?;
        let half = Record::parse(&bytes).map_err(|_| wrong(&WrongEnding::NotFound))?;
        matches(&half, &header).map_err(|error| wrong(&error))?;
        let (reappender, host) = (&self.actors.reappender, self.actors.reappender.store_host);
        let mut batch = empty_batch();
        if ending == Ending::Commit {
            let place = (host, &reappender.levels, self.io.clock.now_ms());
            let pushed = commit(&half, place, |fields| reappender.push(&mut batch, fields));
            pushed
                .map_err(|error| wrong(&error))?
                .map_err(|error| wrong(&error.into()))?;
        }
        let now_ms = i64::try_from(self.io.clock.now_ms()).unwrap_or(i64::MAX);
        let id = reappender.ids.next(now_ms);
        let noted = end_note(half.queue_offset(), id.as_str(), (host, now_ms), |fields| {
            reappender.push(&mut batch, fields)
        });
        noted
            .map_err(|error| wrong(&error.into()))?
            .map_err(|error| wrong(&error.into()))?;
        match reappender.append(batch).await {
            Ok(_) => Ok(Some(self.success())),
            Err(error) => Err(not_appended(&error)),
        }
    }

    async fn half_at(&self, at: i64) -> Result<Vec<u8>, Refusal> {
        let Ok(at) = u64::try_from(at) else {
            return Err(wrong(&WrongEnding::NotFound));
        };
        self.records(vec![PhysicalOffset(at)]).await
    }
}

fn wrong(error: &WrongEnding) -> Refusal {
    refused(error.to_string())
}
