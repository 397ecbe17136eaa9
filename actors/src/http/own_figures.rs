//! Our own metrics, whose names begin with `cuemq_`: actors and mailboxes, times, bytes under way, connections, positions.

use std::collections::BTreeMap;
use std::fmt::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::families::{Families, Labels, classes};
use super::health;
use super::sources::{BrokerSources, Sources};
use crate::metrics::{LOST_LINES, Metrics, TIMES, Times};
use crate::supervise::Health;

fn one<'a, V>(value: V) -> [(Labels<'a>, V); 1] {
    [(Labels::new(), value)]
}

fn labelled<'a, V>(name: &'static str, values: impl IntoIterator<Item = (&'a str, V)>) -> Vec<(Labels<'a>, V)> {
    let values = values.into_iter();
    values
        .map(|(label, value)| (vec![(name, label.into())], value))
        .collect()
}

/// The process and its children.
pub(super) fn system(to: &mut Families<'_>, sources: &Sources) -> Result {
    let version = vec![("version", env!("CARGO_PKG_VERSION").into())];
    to.gauges(
        "cuemq_build_info",
        "Always 1; the version is a label",
        [(version, 1_u64)],
    )?;
    let uptime = sources.clock.monotonic().as_secs_f64();
    to.gauges("cuemq_uptime_seconds", "Seconds since the process started", one(uptime))?;
    let is_healthy = u64::from(health::of(sources).is_well());
    to.gauges("cuemq_healthy", "1 when /healthz answers 200, else 0", one(is_healthy))?;
    let lost = LOST_LINES.get().map_or(0, |lost| lost());
    let help = "Log lines that were left out, since whoever writes them did not keep up";
    to.counters("cuemq_log_lines_lost", help, one(lost))?;
    actors(to, sources)
}

/// What is told of one actor, or of all those that come and go under one name.
#[derive(Default)]
struct Actor {
    health: u64,
    restarts: u64,
    handled: u64,
    /// The most that one of them found waiting in its last turn.
    found: u64,
    full: u64,
}

fn actors(to: &mut Families<'_>, sources: &Sources) -> Result {
    let mut actors: BTreeMap<Arc<str>, Actor> = BTreeMap::new();
    (sources.children)(&mut |child| {
        let name = match (child.spec.on_demand, &child.spec.parent) {
            // Ten thousand queues are one line, under the name of what feeds them.
            (true, Some(parent)) => Arc::from(format!("on demand under {parent}")),
            _ => Arc::clone(&child.spec.name),
        };
        let actor = actors.entry(name).or_default();
        actor.health = actor.health.max(match child.health {
            Health::Running => 0,
            Health::Stopped => 1,
            Health::Starting => 2,
            Health::Restarting => 3,
            Health::Failed => 4,
        });
        actor.restarts += child.restarts;
        let mailbox = &child.spec.mailbox;
        actor.handled += mailbox.handled.get();
        actor.found = actor.found.max(mailbox.found.load(Ordering::Relaxed));
        actor.full += mailbox.full_turns.get();
    });
    let mut tell = |name, help, value: fn(&Actor) -> u64, counts: bool| {
        let values = labelled("actor", actors.iter().map(|(name, actor)| (&**name, value(actor))));
        if counts {
            to.counters(name, help, values)
        } else {
            to.gauges(name, help, values)
        }
    };
    tell(
        "cuemq_actor_health",
        "How an actor does: 0 runs, 1 has ended, 2 starts, 3 restarts, 4 has failed for good",
        |actor| actor.health,
        false,
    )?;
    tell(
        "cuemq_actor_restarts",
        "How often an actor was built anew after a failure",
        |actor| actor.restarts,
        true,
    )?;
    tell(
        "cuemq_mailbox_handled",
        "Messages that an actor has handled",
        |actor| actor.handled,
        true,
    )?;
    tell(
        "cuemq_mailbox_found",
        "Messages that an actor found in its mailbox in its last turn, at most 256",
        |actor| actor.found,
        false,
    )?;
    tell(
        "cuemq_mailbox_full_turns",
        "Turns of 256 messages after which an actor let others go on, with more waiting perhaps",
        |actor| actor.full,
        true,
    )
}

/// Connections of all services.
pub(super) fn connections(to: &mut Families<'_>, sources: &Sources) -> Result {
    let limits = sources.connections.get().map(Vec::as_slice).unwrap_or_default();
    let open = limits.iter().map(|(service, limit)| (*service, limit.open()));
    to.gauges("cuemq_connections", "Open connections", labelled("service", open))?;
    let most = limits.iter().map(|(service, limit)| (*service, limit.most()));
    to.gauges(
        "cuemq_connections_max",
        "Connections that may be open",
        labelled("service", most),
    )?;
    let metrics = &sources.metrics;
    for (name, help, counter) in [
        (
            "cuemq_connections_opened",
            "Connections that were accepted",
            &metrics.connections_opened,
        ),
        (
            "cuemq_connections_closed",
            "Connections that have ended",
            &metrics.connections_closed,
        ),
        (
            "cuemq_connections_refused",
            "Connections that were closed at once, since there were too many",
            &metrics.connections_refused,
        ),
        (
            "cuemq_connections_dropped",
            "Connections that were closed because they stood still with memory that others needed",
            &metrics.connections_dropped,
        ),
        (
            "cuemq_frames_refused",
            "Frames that made no sense; each ended its connection",
            &metrics.frames_refused,
        ),
    ] {
        to.counters(name, help, one(counter.get()))?;
    }
    Ok(())
}

/// What the name server knows.
pub(super) fn name_server(to: &mut Families<'_>, sources: &Sources) -> Result {
    let Some(figures) = &sources.name_server else {
        return Ok(());
    };
    let (brokers, topics) = (&figures.brokers, &figures.topics);
    to.gauges(
        "cuemq_name_server_brokers",
        "Brokers that are registered and alive",
        one(brokers.load(Ordering::Relaxed)),
    )?;
    to.gauges(
        "cuemq_name_server_topics",
        "Topics that have a route",
        one(topics.load(Ordering::Relaxed)),
    )
}

/// What took too long.
fn slow(to: &mut Families<'_>, metrics: &Metrics) -> Result {
    let slow = [
        ("send", metrics.slow_sends.count.get()),
        ("write", metrics.slow_writes.count.get()),
        ("flush", metrics.slow_flushes.count.get()),
        ("read", metrics.slow_reads.count.get()),
    ];
    let help = "Batches of sends, writes, flushes, and look-ups of old messages that took longer than log.slow_… says";
    to.counters("cuemq_slow", help, labelled("operation", slow))
}

/// The broker's own; `behind` as for RocketMQ's figure, of the consume queues and of the index.
pub(super) fn broker(to: &mut Families<'_>, sources: &Sources, broker: &BrokerSources, behind: (u64, u64)) -> Result {
    let metrics = &sources.metrics;
    let help = "Seconds that flushes of the commit log took";
    times(to, "cuemq_flush_seconds", help, &metrics.flush_times)?;
    let help = "Seconds from the reading of a batch of sends to its answers";
    times(to, "cuemq_send_seconds", help, &metrics.send_times)?;
    slow(to, metrics)?;
    to.gauges(
        "cuemq_dispatch_behind_bytes",
        "Bytes of the log from the first record on that the target has not taken yet",
        labelled("target", [("consume queues", behind.0), ("index", behind.1)]),
    )?;
    let log = &broker.log;
    let positions = [
        ("minimum", log.minimum()),
        ("confirmed", log.confirmed()),
        ("durable", log.durable()),
        ("visible", log.visible()),
    ];
    to.gauges(
        "cuemq_log_position_bytes",
        "Positions in the commit log: its beginning, what queues and index hold on disk, what is on disk, what readers see",
        labelled("position", positions.map(|(name, at)| (name, at.0))),
    )?;
    let budgets = &broker.budgets;
    let classes = [
        ("sends in the log", &budgets.log),
        ("sends that wait", &budgets.waiting),
        ("other requests", &budgets.controls),
        ("long answers", &budgets.answers),
        ("waiting for clients", &budgets.idle),
    ];
    to.gauges(
        "cuemq_in_flight_bytes",
        "Bytes of requests and answers that are under way",
        labelled("class", classes.map(|(name, budget)| (name, budget.used()))),
    )?;
    to.gauges(
        "cuemq_in_flight_bytes_max",
        "Bytes that may be under way",
        labelled("class", classes.map(|(name, budget)| (name, budget.limit()))),
    )?;
    to.counters(
        "cuemq_pulls_parked",
        "Pulls that had to wait for a message",
        one(metrics.pulls_parked.get()),
    )?;
    to.counters(
        "cuemq_messages_deleted_undelivered",
        "Messages that were deleted before their time, for each group that had not got them",
        one(metrics.deleted_undelivered.get()),
    )?;
    let (available, needed) = broker.gate.space();
    to.gauges(
        "cuemq_disk_available_bytes",
        "Bytes that are free on the disk, when it was looked at last",
        available.map(|available| (Labels::new(), available)),
    )?;
    to.gauges(
        "cuemq_disk_needed_bytes",
        "Bytes that have to be free for sends to be accepted",
        one(needed),
    )
}

fn times(to: &mut Families<'_>, name: &str, help: &str, times: &Times) -> Result {
    let (numbers, micros) = times.read();
    let sum = micros as f64 / 1e6;
    to.histogram(name, help, &Labels::new(), sum, classes(&TIMES, 1e-6, &numbers))
}
