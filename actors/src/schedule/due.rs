//! Which messages of the delay levels are due, and when to look again.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_storage::StoreError;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::consume_queue::{QueueView, Unit};
use cuemq_storage::delay_level::{DelayLevels, SCHEDULE_TOPIC};
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::queue_directory::QueueDirectory;

/// How many units of a queue are read in one go.
const UNITS_AT_ONCE: usize = 256;

/// One level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its number, from 1 on; its queue is the one before.
    pub number: u32,
    /// The queue offset of the first message that is not delivered.
    pub next: QueueOffset,
}

/// All levels, and how far each has been delivered.
pub struct Levels {
    delays: DelayLevels,
    queues: Arc<QueueDirectory>,
    levels: Vec<Level>,
}

/// What a look at all levels found.
#[derive(Debug, Default)]
pub struct Due {
    /// Messages that are due, by level, in the order of their queues, from each level's first undelivered one on.
    pub messages: Vec<(u32, Unit)>,
    /// When the next one may be due, in milliseconds since 1970.
    pub next_ms: Option<i64>,
}

impl Levels {
    /// The levels as they were delivered before: `delivered` by level. One that is beyond the end of its queue, as after a
    /// crash that took messages back, goes back to the end, so that the next message is not passed over.
    #[must_use]
    pub fn new(delays: DelayLevels, queues: Arc<QueueDirectory>, delivered: &BTreeMap<i32, i64>) -> Self {
        let level = |number: u32| {
            let stored = i32::try_from(number).ok().and_then(|number| delivered.get(&number));
            let stored = stored.map_or(0, |next| u64::try_from(*next).unwrap_or(0));
            let end = queues
                .find(SCHEDULE_TOPIC, number - 1)
                .map_or(0, |queue| queue.view().max_offset().0);
            if stored > end {
                tracing::warn!(
                    level = number,
                    from = stored,
                    to = end,
                    "a delay level was beyond its queue's end"
                );
            }
            Level {
                number,
                next: QueueOffset(stored.min(end)),
            }
        };
        let levels = (1..=delays.highest()).map(level).collect();
        Self { delays, queues, levels }
    }

    /// How far each level has been delivered.
    pub fn iter(&self) -> impl Iterator<Item = &Level> {
        self.levels.iter()
    }

    /// Notes that a level has been delivered up to `next`.
    pub fn delivered(&mut self, number: u32, next: QueueOffset) {
        if let Some(level) = self.levels.iter_mut().find(|level| level.number == number) {
            level.next = level.next.max(next);
        }
    }

    /// Finds at most `most` messages that are due at `now_ms`. A level that has nothing waiting is looked at again when
    /// a message that came right now would be due.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn look(&mut self, log: &LogView, now_ms: i64, most: usize) -> Result<Due, StoreError> {
        let mut due = Due::default();
        for level in &mut self.levels {
            let delay_ms = self.delays.delay_ms(level.number.into());
            let next_ms = match self.queues.find(SCHEDULE_TOPIC, level.number - 1) {
                Some(queue) => look_at(level, (&queue.view(), log), (now_ms, delay_ms), most, &mut due.messages)?,
                None => None,
            };
            let next_ms = next_ms.unwrap_or(now_ms.saturating_add(delay_ms));
            due.next_ms = Some(due.next_ms.map_or(next_ms, |earliest: i64| earliest.min(next_ms)));
            if due.messages.len() >= most {
                due.next_ms = Some(now_ms);
                break;
            }
        }
        Ok(due)
    }

    /// Where the oldest message lies that waits; `None` when none does.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn lowest(&self) -> Result<Option<PhysicalOffset>, StoreError> {
        let mut lowest: Option<PhysicalOffset> = None;
        for level in &self.levels {
            let Some(queue) = self.queues.find(SCHEDULE_TOPIC, level.number - 1) else {
                continue;
            };
            let unit = queue.view().unit(level.next)?;
            lowest = [lowest, unit.map(|unit| unit.physical_offset)]
                .into_iter()
                .flatten()
                .min();
        }
        Ok(lowest)
    }
}

/// Adds what is due of one level; gives when its first message is due that is not.
fn look_at(
    level: &mut Level,
    (view, log): (&QueueView, &LogView),
    (now_ms, delay_ms): (i64, i64),
    most: usize,
    messages: &mut Vec<(u32, Unit)>,
) -> Result<Option<i64>, StoreError> {
    if level.next < view.min_offset() {
        let (from, to) = (level.next, view.min_offset());
        tracing::warn!(level = level.number, %from, %to, "delayed messages were deleted before their time");
        level.next = to;
    }
    let (mut at, mut tags) = (level.next, view.tags());
    while messages.len() < most {
        let units = view.copy(at, UNITS_AT_ONCE.min(most - messages.len()))?;
        if units.is_empty() {
            break;
        }
        for unit in units {
            // What a queue's extension does not have any more follows from the message.
            let due_ms = match tags.code(unit) {
                Some(due_ms) => due_ms,
                None => log
                    .store_time(unit.physical_offset)?
                    .unwrap_or(0)
                    .saturating_add(delay_ms),
            };
            // One that would wait longer than its level says was stored by a clock that has gone back since.
            if due_ms > now_ms && due_ms <= now_ms.saturating_add(delay_ms) {
                return Ok(Some(due_ms));
            }
            messages.push((level.number, unit));
            at = at.advanced(1);
        }
    }
    Ok(None)
}
