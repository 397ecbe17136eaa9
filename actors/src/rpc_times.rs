//! How long requests took, from when they were read to when their answers were ready, by what was asked and answered
//! (`rocketmq_rpc_latency` of release 5: `RemotingMetricsManager` and `NettyRemotingAbstract.writeResponse` in Java).
//!
//! Each I/O thread has a table of its own and adds to it alone. Times are differences of whole milliseconds, as in Java, taken
//! from readings of the clock that are there anyway: a send's when its batch is answered, a pull's when it is decided whether
//! it waits. What is asked all the time and went well has its place; the rest is looked up.

use std::collections::BTreeMap;
use std::time::Duration;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_storage::hash::Hasher;

use crate::metrics::Counter;

/// The upper ends of the classes, in milliseconds; the last class has none.
pub const RPC_TIMES: [u64; 9] = [1, 3, 5, 7, 10, 100, 1000, 2000, 3000];
/// The requests that bring messages, the most frequent one first.
pub const SENDS: [RequestCode; 5] = [
    RequestCode::SEND_MESSAGE_V2,
    RequestCode::SEND_MESSAGE,
    RequestCode::SEND_BATCH_MESSAGE,
    RequestCode::SEND_REPLY_MESSAGE,
    RequestCode::SEND_REPLY_MESSAGE_V2,
];
/// Where in [`SENDS`] the replies to other applications' requests begin.
const REPLIES: usize = 3;
/// Places for sends, answered and oneway, and for pulls of both codes, that waited and that did not.
const PLACES: usize = 2 * SENDS.len() + 4;
/// Stands for all codes that are in no table.
const OTHER: i32 = -1;

/// A request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rpc {
    /// What was asked.
    pub request: RequestCode,
    /// What was answered.
    pub response: ResponseCode,
    /// Whether it waited for a message.
    pub waited: bool,
    /// Whether its sender forbade the answer.
    pub oneway: bool,
}

/// How many requests fell into each class, and how long all took together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RpcFigures {
    /// By class.
    pub classes: [u64; RPC_TIMES.len() + 1],
    /// The sum in milliseconds.
    pub sum_ms: u64,
}

/// The figures of one kind of request, while they grow.
#[derive(Debug, Default)]
struct RpcTimes {
    classes: [Counter; RPC_TIMES.len() + 1],
    sum_ms: Counter,
}

/// The figures of one I/O thread.
#[derive(Debug, Default)]
pub struct ThreadRpcs {
    places: [RpcTimes; PLACES],
    others: papaya::HashMap<Rpc, RpcTimes, Hasher>,
}

/// How many sends of each kind one batch holds, answered and oneway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sends([u32; 2 * SENDS.len()]);

impl Rpc {
    /// A request that was answered as it came.
    #[must_use]
    pub fn new(request: RequestCode, response: ResponseCode) -> Self {
        Self {
            request,
            response,
            waited: false,
            oneway: false,
        }
    }

    /// The place of what is asked all the time and went well.
    #[inline]
    fn place(self) -> Option<usize> {
        if self.response != ResponseCode::SUCCESS {
            return None;
        }
        let pull = match self.request {
            RequestCode::PULL_MESSAGE => 0,
            RequestCode::LITE_PULL_MESSAGE => 2,
            _ => return kind_of(self.request).map(|kind| 2 * kind + usize::from(self.oneway)),
        };
        (!self.oneway).then_some(2 * SENDS.len() + pull + usize::from(self.waited))
    }

    /// What has this place.
    fn at(place: usize) -> Self {
        let pull = |code, waited| Self {
            waited,
            ..Self::new(code, ResponseCode::SUCCESS)
        };
        match (SENDS.get(place / 2), place % 2 == 1) {
            (Some(code), oneway) => Self {
                oneway,
                ..Self::new(*code, ResponseCode::SUCCESS)
            },
            (None, waited) if place / 2 == SENDS.len() => pull(RequestCode::PULL_MESSAGE, waited),
            (None, waited) => pull(RequestCode::LITE_PULL_MESSAGE, waited),
        }
    }

    /// The same with one code for all that are in no table: a client can make up as many as it likes.
    fn named(self) -> Self {
        let request = self.request.name().map_or(OTHER, |_| self.request.0);
        let response = self.response.name().map_or(OTHER, |_| self.response.0);
        Self {
            request: RequestCode(request),
            response: ResponseCode(response),
            ..self
        }
    }
}

#[inline]
fn kind_of(code: RequestCode) -> Option<usize> {
    SENDS.iter().position(|send| *send == code)
}

impl Sends {
    /// Takes one in. A reply that is stored without an answer was told before that nobody took it, and was counted then.
    #[inline]
    pub fn note(&mut self, request: RequestCode, oneway: bool) {
        let kind = kind_of(request).filter(|kind| *kind < REPLIES || !oneway);
        let place = kind.map(|kind| 2 * kind + usize::from(oneway));
        if let Some(number) = place.and_then(|place| self.0.get_mut(place)) {
            *number += 1;
        }
    }
}

impl RpcTimes {
    #[inline]
    fn note(&self, ms: u64, number: u64) {
        let class = RPC_TIMES.iter().position(|most| ms <= *most).unwrap_or(RPC_TIMES.len());
        if let Some(class) = self.classes.get(class) {
            class.add_alone(number);
        }
        self.sum_ms.add_alone(ms.saturating_mul(number));
    }

    fn read(&self) -> RpcFigures {
        RpcFigures {
            classes: std::array::from_fn(|at| self.classes.get(at).map_or(0, Counter::get)),
            sum_ms: self.sum_ms.get(),
        }
    }
}

impl ThreadRpcs {
    /// Counts a request that took so many milliseconds.
    #[inline]
    pub fn note(&self, rpc: Rpc, ms: u64) {
        self.add(rpc, ms, 1);
    }

    /// Counts the sends of a batch, which have one answer.
    pub fn note_sends(&self, sends: &Sends, response: ResponseCode, ms: u64) {
        for (place, number) in sends.0.iter().enumerate().filter(|(_, number)| **number > 0) {
            let rpc = Rpc {
                response,
                ..Rpc::at(place)
            };
            self.add(rpc, ms, u64::from(*number));
        }
    }

    #[inline]
    fn add(&self, rpc: Rpc, ms: u64, number: u64) {
        match rpc.place().and_then(|place| self.places.get(place)) {
            Some(times) => times.note(ms, number),
            None => self.add_other(rpc.named(), ms, number),
        }
    }

    #[cold]
    fn add_other(&self, rpc: Rpc, ms: u64, number: u64) {
        self.others
            .pin()
            .get_or_insert_with(rpc, RpcTimes::default)
            .note(ms, number);
    }

    /// Adds what was counted here to a sum over threads.
    pub fn add_to(&self, sums: &mut BTreeMap<Rpc, RpcFigures>) {
        let mut add = |rpc, figures: RpcFigures| {
            let sum: &mut RpcFigures = sums.entry(rpc).or_default();
            for (sum, class) in sum.classes.iter_mut().zip(figures.classes) {
                *sum += class;
            }
            sum.sum_ms += figures.sum_ms;
        };
        for (place, times) in self.places.iter().enumerate() {
            let figures = times.read();
            if figures != RpcFigures::default() {
                add(Rpc::at(place), figures);
            }
        }
        for (rpc, times) in &self.others.pin() {
            add(*rpc, times.read());
        }
    }
}

/// How many whole milliseconds lie between two times, as both are cut to whole ones.
#[inline]
#[must_use]
pub fn ms_between(from: Duration, to: Duration) -> u64 {
    whole_ms(to).saturating_sub(whole_ms(from))
}

/// A time in whole milliseconds.
#[inline]
#[must_use]
pub fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(of: &ThreadRpcs) -> BTreeMap<Rpc, RpcFigures> {
        let mut sums = BTreeMap::new();
        of.add_to(&mut sums);
        sums
    }

    #[test]
    fn every_place_is_found_again() {
        for place in 0..PLACES {
            assert_eq!(Rpc::at(place).place(), Some(place));
        }
        let refused = Rpc::new(RequestCode::PULL_MESSAGE, ResponseCode::NO_PERMISSION);
        assert_eq!(refused.place(), None);
    }

    #[test]
    fn a_time_belongs_to_the_class_whose_end_it_does_not_pass_in_its_place_and_elsewhere() {
        let rpcs = ThreadRpcs::default();
        for request in [RequestCode::PULL_MESSAGE, RequestCode::HEART_BEAT] {
            let rpc = Rpc::new(request, ResponseCode::SUCCESS);
            for ms in [0, 1, 2, 10, 11, 3000, 3001] {
                rpcs.note(rpc, ms);
            }
            let told = figures(&rpcs)[&rpc];
            assert_eq!(told.classes, [2, 1, 0, 0, 1, 1, 0, 0, 1, 1], "{request}");
            assert_eq!(told.sum_ms, 6025);
        }
    }

    #[test]
    fn sends_are_counted_by_their_kind_with_the_answer_of_their_batch() {
        let (rpcs, mut sends) = (ThreadRpcs::default(), Sends::default());
        sends.note(RequestCode::SEND_MESSAGE_V2, false);
        sends.note(RequestCode::SEND_MESSAGE_V2, false);
        sends.note(RequestCode::SEND_MESSAGE, true);
        sends.note(RequestCode::HEART_BEAT, false);
        sends.note(RequestCode::SEND_REPLY_MESSAGE, true);
        rpcs.note_sends(&sends, ResponseCode::SUCCESS, 4);
        rpcs.note_sends(&sends, ResponseCode::SYSTEM_ERROR, 0);
        let told = |request, response, oneway| {
            let rpc = Rpc {
                oneway,
                ..Rpc::new(request, response)
            };
            let told = figures(&rpcs)[&rpc];
            (told.classes.iter().sum::<u64>(), told.sum_ms)
        };
        assert_eq!(told(RequestCode::SEND_MESSAGE_V2, ResponseCode::SUCCESS, false), (2, 8));
        assert_eq!(told(RequestCode::SEND_MESSAGE, ResponseCode::SUCCESS, true), (1, 4));
        assert_eq!(
            told(RequestCode::SEND_MESSAGE_V2, ResponseCode::SYSTEM_ERROR, false),
            (2, 0)
        );
        assert_eq!(figures(&rpcs).len(), 4);
    }

    #[test]
    fn codes_that_are_made_up_are_counted_together() {
        let rpcs = ThreadRpcs::default();
        for code in 90_000..90_100 {
            rpcs.note(Rpc::new(RequestCode(code), ResponseCode::REQUEST_CODE_NOT_SUPPORTED), 0);
            rpcs.note(Rpc::new(RequestCode::CONSUME_MESSAGE_DIRECTLY, ResponseCode(code)), 0);
        }
        assert_eq!(figures(&rpcs).len(), 2);
    }

    #[test]
    fn times_between_whole_milliseconds_are_whole_and_none_is_negative() {
        let at = Duration::from_micros;
        assert_eq!(ms_between(at(900), at(1100)), 1);
        assert_eq!(ms_between(at(1100), at(1900)), 0);
        assert_eq!(ms_between(at(2000), at(1000)), 0);
    }
}
