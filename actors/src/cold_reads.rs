//! Reads what may not be in memory: looks up pulls of old messages (step 10), and answers requests about the beginnings of
//! queues and about times. It waits for the disk, so that no I/O thread does, and takes what the disk says as an error:
//! touching a mapping whose page cannot be read would kill the process.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Handler, Message, Recipient};
use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::consume_queue::{Boundary, Extension, Unit, offset_by_boundary, offset_by_time};
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::queue_directory::{QueueDirectory, QueueHandle};

use crate::hold::ParkedPull;
use crate::io::egress::LookedUp;
use crate::io::look_up::{Found, Limits, Wanted};
use crate::metrics::Metrics;
use crate::peer::PeerKey;
use crate::supervise::Context;
use crate::under_way::Counted;

/// Look this pull up. From connections, bounded by the requests that each may have under way.
///
/// It answers its pull in any case: dropped before that, as by a panic on its way, it says that the messages cannot be read.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct LookUp {
    peer: PeerKey,
    /// Gone with the one answer.
    pull: Option<Box<ParkedPull>>,
    egress: Recipient<LookedUp>,
    /// When it was asked, by the monotonic clock, and that it is counted since.
    asked: (Duration, Counted),
}

impl LookUp {
    /// A pull of a connection, whose thread is told what was found.
    #[must_use]
    pub fn new(peer: PeerKey, pull: Box<ParkedPull>, egress: Recipient<LookedUp>, asked: (Duration, Counted)) -> Self {
        Self {
            peer,
            pull: Some(pull),
            egress,
            asked,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "one for each request")]
    fn answer(&mut self, find: impl FnOnce(&ParkedPull) -> Found) {
        // Taken only when there is an answer: a panic on the way to it leaves the pull to the drop.
        let Some(found) = self.pull.as_deref().map(find) else {
            return;
        };
        if let Some(pull) = self.pull.take() {
            let peer = self.peer;
            self.egress.do_send(LookedUp { peer, pull, found });
        }
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.answer(|pull| Found::unreadable(pull.queue_offset));
    }
}

/// Say which queue offset a time leads to (code 29). From connections, bounded by their requests.
#[derive(Message)]
#[rtype(result = "Result<QueueOffset, StoreError>")]
pub struct FindByTime {
    /// The queue.
    pub queue: Arc<QueueHandle>,
    /// The time, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Which end of the messages of that time; `None` for clients that know of none.
    pub boundary: Option<Boundary>,
}

/// Say when the oldest message was stored, in milliseconds since 1970: of a queue (code 32), or of the log (code 28).
/// From connections, bounded by their requests.
#[derive(Message)]
#[rtype(result = "Result<Option<i64>, StoreError>")]
pub struct FindEarliest {
    /// The queue; `None` for the log.
    pub queue: Option<Arc<QueueHandle>>,
}

/// Say where in the log a queue's first message of all lies, as long as its unit is there (code 14). From connections,
/// bounded by their requests.
#[derive(Message)]
#[rtype(result = "Result<Option<PhysicalOffset>, StoreError>")]
pub struct FindFirst(pub Arc<QueueHandle>);

/// Say when these messages were stored, in milliseconds since 1970 (codes 202, 208, 303, 317). From connections, one of each
/// at a time.
#[derive(Message)]
#[rtype(result = "Result<Vec<Option<i64>>, StoreError>")]
pub struct FindStoreTimes(pub Vec<(Arc<QueueHandle>, QueueOffset)>);

/// Read so many units of a queue from one on, each with what its extension holds, as far as one of its files goes and as one
/// answer holds them (code 321). From connections, one of each at a time.
#[derive(Message)]
#[rtype(result = "Result<Vec<(Unit, Extension)>, StoreError>")]
pub struct ReadUnits {
    /// The queue.
    pub queue: Arc<QueueHandle>,
    /// The first.
    pub first: QueueOffset,
    /// How many at most.
    pub count: usize,
}

/// Read the records at these positions (codes 12, 33), one behind the other, as far as one answer holds them; those that are
/// not there are left out. From connections, one of each at a time.
#[derive(Message)]
#[rtype(result = "Result<Vec<u8>, StoreError>")]
pub struct ReadRecords(pub Vec<PhysicalOffset>);

/// What one answer to [`ReadRecords`] holds, but for a first record that is longer; a frame takes 16 MiB. And about what one
/// to [`ReadUnits`] is as text.
const READ_BYTES_MAX: usize = 8 << 20;
/// About how long an entry of a queue is as text that has an extension, without its bitmap.
const EXTENSION_TEXT_BYTES: usize = 320;
/// How long a byte of a bitmap is at most, which is told in bits and in base64.
const BITMAP_BYTE_TEXT_BYTES: usize = 10;

/// The actor that reads.
pub struct ColdReads {
    log: Arc<LogView>,
    queues: Arc<QueueDirectory>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl ColdReads {
    /// A reader of this store, which gives a pull as much as `limits` say.
    #[must_use]
    pub fn new(
        log: Arc<LogView>,
        queues: Arc<QueueDirectory>,
        limits: Limits,
        (clock, metrics): (Arc<dyn Clock>, Arc<Metrics>),
    ) -> Self {
        Self {
            log,
            queues,
            limits,
            clock,
            metrics,
        }
    }

    /// Says where the time of a look-up went that took too long.
    fn note_time(&self, pull: &ParkedPull, asked: Duration, began: Duration) {
        let now = self.clock.monotonic();
        let took = now.saturating_sub(asked);
        if let Some(left_out) = self.metrics.slow_reads.note(took, now) {
            tracing::warn!(
                topic = %pull.topic,
                queue_id = pull.queue_id,
                queue_offset = pull.queue_offset,
                took_ms = took.as_millis(),
                waited_for_other_reads_ms = began.saturating_sub(asked).as_millis(),
                read_ms = now.saturating_sub(began).as_millis(),
                left_out,
                "a slow look-up of old messages"
            );
        }
    }
}

impl Actor for ColdReads {
    type Context = Context<Self>;
}

impl Handler<LookUp> for ColdReads {
    type Result = ();

    fn handle(&mut self, mut look_up: LookUp, _: &mut Self::Context) {
        let (asked, began) = (look_up.asked.0, self.clock.monotonic());
        look_up.answer(|pull| {
            let found = Wanted::by(pull).look_up_on_disk(&self.log, &self.queues, self.limits);
            self.note_time(pull, asked, began);
            found
        });
    }
}

impl Handler<FindByTime> for ColdReads {
    type Result = Result<QueueOffset, StoreError>;

    fn handle(&mut self, find: FindByTime, _: &mut Self::Context) -> Self::Result {
        let store_time = |at| self.log.store_time(at);
        let (view, log_min) = (find.queue.view(), self.log.minimum());
        match find.boundary {
            Some(boundary) => offset_by_boundary(&view, find.timestamp_ms, boundary, log_min, store_time),
            None => offset_by_time(&view, find.timestamp_ms, log_min, store_time),
        }
    }
}

impl Handler<FindEarliest> for ColdReads {
    type Result = Result<Option<i64>, StoreError>;

    fn handle(&mut self, find: FindEarliest, _: &mut Self::Context) -> Self::Result {
        let Some(queue) = find.queue else {
            return self.log.store_time(self.log.minimum());
        };
        let unit = unit(&queue, queue.view().min_offset())?;
        unit.map_or(Ok(None), |unit| self.log.store_time(unit.physical_offset))
    }
}

impl Handler<FindFirst> for ColdReads {
    type Result = Result<Option<PhysicalOffset>, StoreError>;

    fn handle(&mut self, FindFirst(queue): FindFirst, _: &mut Self::Context) -> Self::Result {
        Ok(unit(&queue, QueueOffset(0))?.map(|unit| unit.physical_offset))
    }
}

impl Handler<FindStoreTimes> for ColdReads {
    type Result = Result<Vec<Option<i64>>, StoreError>;

    fn handle(&mut self, FindStoreTimes(messages): FindStoreTimes, _: &mut Self::Context) -> Self::Result {
        let stored = |(queue, queue_offset): (Arc<QueueHandle>, QueueOffset)| {
            let unit = unit(&queue, queue_offset)?;
            unit.map_or(Ok(None), |unit| self.log.store_time(unit.physical_offset))
        };
        messages.into_iter().map(stored).collect()
    }
}

impl Handler<ReadUnits> for ColdReads {
    type Result = Result<Vec<(Unit, Extension)>, StoreError>;

    fn handle(&mut self, read: ReadUnits, _: &mut Self::Context) -> Self::Result {
        let queue = read.queue.view();
        let (mut extensions, mut bytes) = (queue.tags(), 0);
        let mut units = Vec::new();
        for unit in queue.copy(read.first, read.count)? {
            let extension = extensions.extension(unit)?;
            if let Extension::Unit { bitmap, .. } = &extension {
                bytes += EXTENSION_TEXT_BYTES + bitmap.len() * BITMAP_BYTE_TEXT_BYTES;
            }
            if bytes > READ_BYTES_MAX && !units.is_empty() {
                break;
            }
            units.push((unit, extension));
        }
        Ok(units)
    }
}

impl Handler<ReadRecords> for ColdReads {
    type Result = Result<Vec<u8>, StoreError>;

    fn handle(&mut self, ReadRecords(positions): ReadRecords, _: &mut Self::Context) -> Self::Result {
        let mut records = Vec::new();
        for position in positions {
            let Some(record) = self.log.record(position)? else {
                continue;
            };
            if records.is_empty() {
                records = record;
            } else if records.len() + record.len() > READ_BYTES_MAX {
                break;
            } else {
                records.extend_from_slice(&record);
            }
        }
        Ok(records)
    }
}

fn unit(queue: &QueueHandle, queue_offset: QueueOffset) -> Result<Option<Unit>, StoreError> {
    Ok(queue.view().copy(queue_offset, 1)?.first().copied())
}

#[cfg(test)]
mod tests {
    use cuemq_net::frame::HeaderCodec;

    use super::*;
    use crate::filter::MessageFilter;
    use crate::group::SubscriptionGroup;
    use crate::hold::PullKind;
    use crate::io::look_up::Status;
    use crate::testing::{Probe, Stage};
    use crate::under_way::{Processor, UnderWay};

    fn look_up(egress: &Probe<LookedUp>) -> LookUp {
        let peer = PeerKey {
            thread: 0,
            slot: 3,
            generation: 1,
        };
        let pull = ParkedPull {
            opaque: 5,
            codec: HeaderCodec::Json,
            kind: PullKind::Pull,
            read_ms: 0,
            topic: Arc::from("Old"),
            queue_id: 0,
            queue_offset: 7,
            max_messages: 32,
            filter: Arc::new(MessageFilter::all()),
            group: SubscriptionGroup::fresh("G"),
            flow: None,
            deadline_ms: 0,
        };
        let counted = Arc::new(UnderWay::default()).count(Processor::Pull);
        LookUp::new(peer, Box::new(pull), egress.recipient(), (Duration::ZERO, counted))
    }

    #[actix::test]
    async fn a_pull_is_answered_once() {
        let (mut stage, mut egress) = (Stage::new(), Probe::new());
        let clock: Arc<dyn Clock> = stage.clock.clone();
        let reads = stage.start("cold reads", move |_| {
            Ok(ColdReads::new(
                Arc::new(LogView::new(Vec::new())),
                Arc::default(),
                Limits::of_memory(0),
                (clock.clone(), Arc::default()),
            ))
        });
        reads.send(look_up(&egress)).await.unwrap();
        let answer = egress.next().await;
        assert_eq!((answer.pull.opaque, answer.found.status), (5, Status::NoMessageInQueue));
        egress.expect_none().await;
    }

    #[actix::test]
    async fn a_pull_that_is_lost_on_its_way_to_the_disk_is_answered_and_passes_nothing_over() {
        let mut egress = Probe::new();
        drop(look_up(&egress));
        let answer = egress.next().await;
        assert_eq!((answer.found.status, answer.found.next_begin), (Status::Unreadable, 7));
        egress.expect_none().await;
    }
}
