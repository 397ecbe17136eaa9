//! Looks at the broker's counters once in a second, and answers what tools ask about the past. Built anew after a failure it
//! begins with what is counted then: the past is lost, the totals are not.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, MessageResult};
use cuemq_net::body::BrokerStatsData;
use cuemq_storage::clock::Clock;

use super::series::{DAY, HOUR, MINUTE, Span};
use super::{Figures, Rates, StoreFigures};
use crate::local_time;
use crate::supervise::Context;
use crate::traffic::Traffic;

/// Tell the figure of this name and key. From connections, one of each at a time.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Option<BrokerStatsData>")]
pub struct FindFigure {
    /// Java's name for it.
    pub name: String,
    /// A topic, a topic and a group with `@` between, or the cluster.
    pub key: String,
}

/// Tell the rates and totals of the whole broker. From connections, one of each at a time.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "StoreFigures")]
pub struct TellStore;

/// How often the counters are looked at.
const EVERY: Duration = Duration::from_secs(1);
const SPANS: [Span; 3] = [MINUTE, HOUR, DAY];

/// The actor.
pub struct Statistics {
    traffic: Traffic,
    clock: Arc<dyn Clock>,
    figures: Figures,
    rates: Rates,
    /// When each of the spans is looked at next, by the monotonic clock in milliseconds.
    due_ms: [u64; 3],
}

impl Statistics {
    /// Of what is counted there, in a broker of this cluster.
    #[must_use]
    pub fn new(traffic: Traffic, clock: Arc<dyn Clock>, cluster: String) -> Self {
        let mut statistics = Self {
            figures: Figures::new(traffic.clone(), cluster),
            rates: Rates::new(local_time::date(clock.now_ms())),
            due_ms: [clock.monotonic_ms(); 3],
            traffic,
            clock,
        };
        statistics.look(true);
        statistics
    }

    fn look(&mut self, is_first: bool) {
        let (at_ms, today) = (self.clock.monotonic_ms(), local_time::date(self.clock.now_ms()));
        self.rates.look(at_ms, today, self.traffic.totals());
        for (span, due_ms) in SPANS.into_iter().zip(&mut self.due_ms) {
            if at_ms >= *due_ms {
                self.figures.look(span, at_ms, is_first);
                *due_ms = at_ms + span.every_ms();
            }
        }
    }
}

impl Actor for Statistics {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(EVERY, |actor, _| actor.look(false));
    }
}

impl Handler<FindFigure> for Statistics {
    type Result = MessageResult<FindFigure>;

    fn handle(&mut self, find: FindFigure, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.figures.find(&find.name, &find.key))
    }
}

impl Handler<TellStore> for Statistics {
    type Result = MessageResult<TellStore>;

    fn handle(&mut self, _: TellStore, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.rates.tell(self.traffic.totals()))
    }
}
