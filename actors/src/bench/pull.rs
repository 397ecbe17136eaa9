//! The requests of `cuemq bench pull`: each slot reads queues of its own accord, one after the other, from the first
//! message that there was at the start to the last, and then round again.
//!
//! Every answer's records are walked: their lengths and magics have to be right and their queue offsets have to follow
//! on each other from the one that was asked for.

use anyhow::{Result, ensure};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::frame::HeaderCodec;
use cuemq_net::message::record;
use cuemq_net::request::PullHeader;

use super::engine::{Answer, Moment, Outcome, Work};
use super::scan::Scanner;
use super::template::{Place, Template};

/// The consuming group.
pub(super) const GROUP: &str = "cuemq-bench-consumer";
/// The bit by which a request brings its own subscription.
const SUBSCRIPTION_INCLUDED: i32 = 4;
/// As many digits as the longest position has.
const MARKED_OFFSET: i64 = 1_357_924_680_135_792_468;

/// A queue with what it had at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) topic: String,
    pub(super) queue_id: i32,
    /// The first position that it has.
    pub(super) min: u64,
    /// The position behind its last.
    pub(super) max: u64,
}

struct Pull {
    queue: Queue,
    template: Template,
    place: Place,
}

#[derive(Clone, Copy)]
struct Reader {
    pull: usize,
    next: u64,
}

/// What is to be read once.
struct Unread {
    /// The first queue that nobody has begun.
    fresh: usize,
    is_read: Vec<bool>,
    messages: u64,
    bytes: u64,
}

/// Pulls from all queues.
pub(super) struct Pulls {
    pulls: Vec<Pull>,
    readers: Vec<Reader>,
    verify: bool,
    unread: Option<Unread>,
}

impl Pulls {
    /// Builds the requests for some queues, with `readers` requests in flight at most; the first one begins at queue
    /// number `first`.
    pub(super) fn new(
        codec: HeaderCodec,
        max_messages: u32,
        queues: &[Queue],
        readers: usize,
        first: usize,
        verify: bool,
    ) -> Result<Self> {
        let pulls = queues
            .iter()
            .map(|queue| Pull::new(codec, max_messages, queue))
            .collect::<Result<Vec<_>>>()?;
        let readers = (0..readers)
            .map(|reader| (first + reader) % queues.len())
            .map(|pull| Reader {
                pull,
                next: queues[pull].min,
            })
            .collect();
        Ok(Self {
            pulls,
            readers,
            verify,
            unread: None,
        })
    }

    /// The same, for reading each queue once from its beginning to its end, by no more readers than queues. A reader that
    /// finds no further queue goes on with its last one, which is no longer counted.
    pub(super) fn once(codec: HeaderCodec, max_messages: u32, queues: &[Queue], readers: usize) -> Result<Self> {
        ensure!(readers <= queues.len(), "more readers than queues");
        let mut pulls = Self::new(codec, max_messages, queues, readers, 0, false)?;
        pulls.unread = Some(Unread {
            fresh: readers,
            is_read: vec![false; queues.len()],
            messages: 0,
            bytes: 0,
        });
        Ok(pulls)
    }

    /// Whether all queues were read once.
    pub(super) fn is_read(&self) -> bool {
        let unread = self.unread.as_ref();
        unread.is_some_and(|unread| unread.is_read.iter().all(|is_read| *is_read))
    }

    /// Messages and bytes of queues that were read the first time.
    pub(super) fn read_once(&self) -> (u64, u64) {
        let unread = self.unread.as_ref();
        unread.map_or((0, 0), |unread| (unread.messages, unread.bytes))
    }

    fn walk(&mut self, slot: usize, body: &[u8]) -> Outcome {
        let reader = &mut self.readers[slot];
        let mut outcome = Outcome::default();
        for record in record::records(body) {
            let checked = record.and_then(|record| {
                if self.verify {
                    record.verify_crc()?;
                }
                Ok(record)
            });
            let record = match checked {
                Ok(record) => record,
                Err(error) => {
                    outcome.broken = Some(error.to_string());
                    break;
                }
            };
            if record.queue_offset() != reader.next {
                let (found, expected) = (record.queue_offset(), reader.next);
                outcome.broken = Some(format!("a record has queue offset {found} where {expected} was due"));
            }
            reader.next = record.queue_offset() + 1;
            outcome.messages += 1;
            outcome.bytes += record.total_size() as u64;
        }
        if let Some(unread) = &mut self.unread
            && !unread.is_read[reader.pull]
        {
            unread.messages += outcome.messages;
            unread.bytes += outcome.bytes;
        }
        if outcome.messages == 0 || reader.next >= self.pulls[reader.pull].queue.max {
            self.move_on(slot);
        }
        outcome
    }

    /// Goes to the beginning of the next queue.
    fn move_on(&mut self, slot: usize) {
        let last = self.readers[slot].pull;
        let pull = match &mut self.unread {
            Some(unread) => {
                unread.is_read[last] = true;
                unread.begin().unwrap_or(last)
            }
            None => (last + 1) % self.pulls.len(),
        };
        self.readers[slot] = Reader {
            pull,
            next: self.pulls[pull].queue.min,
        };
    }
}

impl Work for Pulls {
    fn ask(&mut self, slot: usize, opaque: i32, _moment: Moment, out: &mut Vec<u8>) {
        let Reader { pull, next } = self.readers[slot];
        let Pull { template, place, .. } = &mut self.pulls[pull];
        template.set_opaque(opaque);
        template.set_decimal(*place, next);
        out.extend_from_slice(template.bytes());
    }

    fn answered(&mut self, slot: usize, answer: Answer<'_>, scanner: &mut Scanner) -> Outcome {
        match ResponseCode(answer.code) {
            ResponseCode::SUCCESS => self.walk(slot, answer.body),
            ResponseCode::PULL_OFFSET_MOVED => {
                // retention took the beginning away: the queue begins where the answer says
                let (_, min) = scanner.details(answer.codec, answer.header, "minOffset");
                let queue = &mut self.pulls[self.readers[slot].pull].queue;
                queue.min = min.unwrap_or(queue.min);
                if self.unread.is_some() && queue.min < queue.max {
                    self.readers[slot].next = queue.min;
                } else {
                    self.move_on(slot);
                }
                Outcome::default()
            }
            // refused for now: what has to be read is asked for again
            _ if self.unread.is_some() => Outcome::default(),
            _ => {
                self.move_on(slot);
                Outcome::default()
            }
        }
    }
}

impl Unread {
    fn begin(&mut self) -> Option<usize> {
        let fresh = Some(self.fresh).filter(|fresh| *fresh < self.is_read.len())?;
        self.fresh += 1;
        Some(fresh)
    }
}

impl Pull {
    fn new(codec: HeaderCodec, max_messages: u32, queue: &Queue) -> Result<Self> {
        let header = PullHeader {
            consumer_group: GROUP,
            topic: &queue.topic,
            queue_id: queue.queue_id,
            queue_offset: MARKED_OFFSET,
            max_msg_nums: i32::try_from(max_messages)?,
            sys_flag: SUBSCRIPTION_INCLUDED,
            subscription: Some("*"),
            sub_version: Some(0),
            expression_type: Some("TAG"),
            ..PullHeader::default()
        };
        let template = Template::build(codec, RequestCode::PULL_MESSAGE, |fields| header.write(fields), 0)?;
        Ok(Self {
            queue: queue.clone(),
            place: template.find(&MARKED_OFFSET.to_string())?,
            template,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cuemq_net::command::Command;
    use cuemq_net::message::record::{RecordFields, body_crc, encode, place};

    use super::*;

    fn queue(queue_id: i32, min: u64, max: u64) -> Queue {
        Queue {
            topic: "T".to_owned(),
            queue_id,
            min,
            max,
        }
    }

    fn pulls(verify: bool) -> Pulls {
        Pulls::new(HeaderCodec::Json, 32, &[queue(0, 5, 8), queue(1, 0, 2)], 1, 0, verify).unwrap()
    }

    /// Which queue and position is asked for next.
    fn asked(pulls: &mut Pulls) -> (i32, u64) {
        let mut out = Vec::new();
        pulls.ask(0, 1_000_000_007, Moment::default(), &mut out);
        let command = Command::decode(&Bytes::from(out)).unwrap();
        assert_eq!((command.code, command.opaque), (11, 1_000_000_007));
        let field = |key| command.fields.get(key).unwrap();
        (field("queueId").parse().unwrap(), field("queueOffset").parse().unwrap())
    }

    fn records(offsets: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut out = Vec::new();
        for queue_offset in offsets {
            let fields = RecordFields {
                body: b"hello",
                body_crc: body_crc(b"hello"),
                topic: "T",
                properties: b"",
                queue_id: 0,
                flag: 0,
                system_flag: 0,
                born_timestamp_ms: 1,
                born_host: "127.0.0.1:1".parse().unwrap(),
                store_host: "127.0.0.1:2".parse().unwrap(),
                reconsume_times: 0,
                prepared_transaction_offset: 0,
            };
            let mut record = Vec::new();
            encode(&fields, &mut record).unwrap();
            place(&mut record, queue_offset, 0, 0).unwrap();
            out.extend(record);
        }
        out
    }

    fn answer(pulls: &mut Pulls, code: i32, body: &[u8]) -> Outcome {
        let answer = Answer {
            moment: Moment::default(),
            code,
            codec: HeaderCodec::Json,
            header: br#"{"code":21,"extFields":{"minOffset":"7"}}"#,
            body,
        };
        pulls.answered(0, answer, &mut Scanner::new())
    }

    #[test]
    fn queues_are_read_from_their_beginning_to_their_end_and_again() {
        let mut pulls = pulls(true);
        assert_eq!(asked(&mut pulls), (0, 5));
        let outcome = answer(&mut pulls, 0, &records(5..7));
        assert_eq!((outcome.messages, outcome.broken), (2, None));
        assert_eq!(outcome.bytes, records(5..7).len() as u64);
        assert_eq!(asked(&mut pulls), (0, 7));
        answer(&mut pulls, 0, &records(7..8));
        assert_eq!(asked(&mut pulls), (1, 0));
        answer(&mut pulls, 19, b"");
        assert_eq!(asked(&mut pulls), (0, 5));
    }

    #[test]
    fn what_is_read_once_is_asked_for_until_it_came_and_counted_once() {
        let queues = [queue(0, 5, 8), queue(1, 0, 2)];
        let mut pulls = Pulls::once(HeaderCodec::Json, 32, &queues, 1).unwrap();
        answer(&mut pulls, 2, b"");
        assert_eq!(asked(&mut pulls), (0, 5), "a refusal is no end");
        answer(&mut pulls, 0, &records(5..8));
        assert_eq!((asked(&mut pulls), pulls.is_read()), ((1, 0), false));
        answer(&mut pulls, 0, &records(0..2));
        assert!(pulls.is_read());
        answer(&mut pulls, 0, &records(0..2));
        assert_eq!(pulls.read_once().0, 5);
    }

    #[test]
    fn a_queue_that_lost_its_beginning_is_read_from_where_it_begins_now() {
        let mut pulls = pulls(false);
        answer(&mut pulls, 21, b"");
        assert_eq!(asked(&mut pulls), (1, 0));
        answer(&mut pulls, 19, b"");
        assert_eq!(asked(&mut pulls), (0, 7));
    }

    #[test]
    fn a_gap_a_cut_and_a_changed_body_are_broken() {
        let gap = answer(&mut pulls(false), 0, &records([5, 7]));
        assert_eq!(
            gap.broken.as_deref(),
            Some("a record has queue offset 7 where 6 was due")
        );
        let mut bytes = records(5..6);
        let at = bytes.windows(5).position(|window| window == b"hello").unwrap();
        bytes[at] ^= 1;
        assert_eq!(answer(&mut pulls(false), 0, &bytes).broken, None);
        assert!(answer(&mut pulls(true), 0, &bytes).broken.is_some());
        bytes.pop();
        assert!(answer(&mut pulls(false), 0, &bytes).broken.is_some());
    }
}
