//! `/healthz`: whether sends are accepted, and if not, why; of a name server alone, whether it serves.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::sources::Sources;
use crate::supervise::Health;

/// How a system does.
pub(super) struct State {
    with_broker: bool,
    /// Why it does not do what it is there for; empty when it does.
    reasons: Vec<String>,
    body: Value,
}

impl State {
    /// Whether it does what it is there for.
    pub(super) fn is_well(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The answer's body, as JSON.
    pub(super) fn body(mut self) -> String {
        let verdict = if self.with_broker { "accepting_sends" } else { "serving" };
        self.body[verdict] = self.is_well().into();
        self.body["reasons"] = std::mem::take(&mut self.reasons).into();
        self.body.to_string()
    }
}

/// How it does now.
pub(super) fn of(sources: &Sources) -> State {
    let standing = sources.standing.borrow().clone();
    let mut reasons = Vec::new();
    let broker = sources.broker.get();
    // Connections are taken when all are up, and not earlier.
    if sources.connections.get().is_none() && standing.failed.is_none() {
        reasons.push("starting: the store is being opened and the actors are coming up".to_owned());
    }
    if let Some(broker) = broker {
        if let Some((_, remark)) = broker.gate.refusal(|| sources.clock.now_ms()) {
            reasons.push(remark.into_owned());
        }
        if let Some(failure) = broker.log.failure() {
            reasons.push(format!("the store has failed: {failure}"));
        }
    }
    if let Some(failed) = &standing.failed {
        reasons.push(format!("an actor has failed for good: {failed}"));
    }
    let mut body = json!({
        "health": standing.health.word(),
        "restarts": standing.restarts,
    });
    if standing.health == Health::Restarting {
        body["restarting"] = restarting(sources).into();
    }
    let limits = sources.connections.get().into_iter().flatten();
    let open = limits.map(|(service, limit)| ((*service).to_owned(), limit.open().into()));
    body["connections"] = Value::Object(open.collect());
    if let Some(figures) = &sources.name_server {
        body["name_server"] = json!({
            "brokers": figures.brokers.load(Ordering::Relaxed),
            "topics": figures.topics.load(Ordering::Relaxed),
        });
    }
    State {
        with_broker: sources.with_broker,
        reasons,
        body,
    }
}

/// The actors that are being built anew: sends that need them wait or are refused one by one.
fn restarting(sources: &Sources) -> Vec<String> {
    let mut names = Vec::new();
    (sources.children)(&mut |child| {
        if child.health == Health::Restarting {
            names.push(child.spec.name.to_string());
        }
    });
    names.truncate(16);
    names
}
