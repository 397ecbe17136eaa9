//! A consumer that waits for messages: one long poll on each queue, from where the queue ended at the start.
//!
//! Java's consumers ask in the same way (`PullMessageService`): the broker keeps a pull that finds nothing until a message
//! comes or the time is over. Each slot of a connection belongs to one queue, so no queue is asked twice at once.

use anyhow::Result;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::HeaderCodec;
use cuemq_net::message::record::{self, Record};
use cuemq_net::request::PullHeader;
use hdrhistogram::Histogram;

use super::engine::{Answer, Moment, Outcome, Window, Work};
use super::pull::Queue;
use super::scan::Scanner;
use super::stamp;
use super::template::{Place, Template};

/// The bits by which a request may wait and brings its own subscription.
const WAITING_WITH_SUBSCRIPTION: i32 = 2 | 4;
/// How long the broker may keep a pull, in ms: as long as Java's consumers allow.
const SUSPEND_MS: i64 = 15_000;
/// As many digits as the longest position has.
const MARKED_OFFSET: i64 = 1_357_924_680_135_792_468;
/// An hour.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Which time of a message its receipt counts from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    /// When a message of this run was due, as its body says; others are passed over.
    Due { run: u64 },
    /// When any message was born, as its producer says, in whole ms.
    Born,
}

/// The receipts of messages.
#[derive(Clone, Debug)]
pub(super) struct Receipts {
    /// From the time that counts to the receipt, in ns.
    pub(super) latencies: Histogram<u64>,
    /// What producer and broker say of all messages so far.
    pub(super) ages: Ages,
}

impl Receipts {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            latencies: Histogram::new_with_bounds(1, LONGEST_NS, 3)?,
            ages: Ages::default(),
        })
    }
}

/// How old messages were when they came, in ms, by the clocks of producer, broker and this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ages {
    pub(super) messages: u64,
    pub(super) born_total: u64,
    pub(super) born_longest: u64,
    pub(super) stored_total: u64,
    pub(super) stored_longest: u64,
}

struct Poller {
    template: Template,
    place: Place,
    next: u64,
}

/// Follows queues.
pub(super) struct Follow {
    pollers: Vec<Poller>,
    since: Since,
    window: Option<Window>,
    receipts: Receipts,
    tell: Box<dyn Fn(Ages) + Send>,
}

impl Follow {
    /// Builds the polls of some queues for a group. `tell` hears how old messages were, whenever some have come.
    pub(super) fn new(
        codec: HeaderCodec,
        group: &str,
        queues: &[Queue],
        since: Since,
        tell: impl Fn(Ages) + Send + 'static,
    ) -> Result<Self> {
        let pollers = queues
            .iter()
            .map(|queue| Poller::new(codec, group, queue))
            .collect::<Result<Vec<_>>>()?;
        let receipts = Receipts::new()?;
        Ok(Self {
            pollers,
            since,
            window: None,
            receipts,
            tell: Box::new(tell),
        })
    }

    /// How many receipts were counted.
    pub(super) fn received(&self) -> u64 {
        self.receipts.latencies.len()
    }

    fn take(&mut self, record: &Record<'_>, now: Moment) {
        let age = |at_ms: i64| now.wall_ms.saturating_sub(u64::try_from(at_ms).unwrap_or_default());
        let (born, stored) = (age(record.born_timestamp_ms()), age(record.store_timestamp_ms()));
        self.receipts.ages.add(born, stored);
        let Some(window) = self.window else { return };
        let measured = window.from_ns..window.until_ns;
        let latency = match self.since {
            Since::Due { run } => stamp::read(record.body(), run)
                .filter(|due| measured.contains(due))
                .map(|due| now.at_ns.saturating_sub(due)),
            Since::Born => measured.contains(&now.at_ns).then(|| born.saturating_mul(1_000_000)),
        };
        if let Some(latency) = latency {
            self.receipts.latencies.saturating_record(latency);
        }
    }

    fn walk(&mut self, slot: usize, answer: Answer<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        for record in record::records(answer.body) {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    outcome.broken = Some(error.to_string());
                    break;
                }
            };
            let expected = self.pollers[slot].next;
            let found = record.queue_offset();
            if found != expected {
                outcome.broken = Some(format!("a record has queue offset {found} where {expected} was due"));
            }
            self.pollers[slot].next = found + 1;
            outcome.messages += 1;
            outcome.bytes += record.total_size() as u64;
            self.take(&record, answer.moment);
        }
        (self.tell)(self.receipts.ages);
        outcome
    }
}

impl Work for Follow {
    const OWES_ANSWERS: bool = false;

    fn begin(&mut self, window: Window) {
        self.window = Some(window);
    }

    fn receipts(self) -> Option<Receipts> {
        Some(self.receipts)
    }

    fn ask(&mut self, slot: usize, opaque: i32, _moment: Moment, out: &mut Vec<u8>) {
        let Poller { template, place, next } = &mut self.pollers[slot];
        template.set_opaque(opaque);
        template.set_decimal(*place, *next);
        out.extend_from_slice(template.bytes());
    }

    fn answered(&mut self, slot: usize, answer: Answer<'_>, scanner: &mut Scanner) -> Outcome {
        match ResponseCode(answer.code) {
            ResponseCode::SUCCESS => self.walk(slot, answer),
            ResponseCode::PULL_OFFSET_MOVED => {
                let (_, next) = scanner.details(answer.codec, answer.header, "nextBeginOffset");
                let poller = &mut self.pollers[slot];
                poller.next = next.unwrap_or(poller.next);
                Outcome::default()
            }
            _ => Outcome::default(),
        }
    }
}

impl Ages {
    fn add(&mut self, born_ms: u64, stored_ms: u64) {
        self.messages += 1;
        self.born_total += born_ms;
        self.born_longest = self.born_longest.max(born_ms);
        self.stored_total += stored_ms;
        self.stored_longest = self.stored_longest.max(stored_ms);
    }
}

impl Poller {
    fn new(codec: HeaderCodec, group: &str, queue: &Queue) -> Result<Self> {
        let header = PullHeader {
            consumer_group: group,
            topic: &queue.topic,
            queue_id: queue.queue_id,
            queue_offset: MARKED_OFFSET,
            max_msg_nums: 32,
            sys_flag: WAITING_WITH_SUBSCRIPTION,
            suspend_timeout_millis: SUSPEND_MS,
            subscription: Some("*"),
            sub_version: Some(0),
            expression_type: Some("TAG"),
            ..PullHeader::default()
        };
        let template = Template::build(codec, RequestCode::PULL_MESSAGE, |fields| header.write(fields), 0)?;
        Ok(Self {
            place: template.find(&MARKED_OFFSET.to_string())?,
            template,
            next: queue.max,
        })
    }
}

/// How many connections share so many queues evenly, at most `most`.
pub(super) fn connections(queues: usize, most: usize) -> usize {
    let even = |count: &usize| queues.is_multiple_of(*count);
    (1..=most.clamp(1, queues.max(1))).rev().find(even).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_the_queues_evenly() {
        for (queues, most, expected) in [(8, 4, 4), (8, 3, 2), (7, 4, 1), (4, 20, 4), (0, 4, 1), (12, 5, 4)] {
            assert_eq!(connections(queues, most), expected, "{queues} queues, at most {most}");
        }
    }
}
