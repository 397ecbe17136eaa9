//! A panic in every actor of the tree, in a handler, in a timer or spawned future and in its factory, while messages flow:
//! nothing acknowledged is lost, nothing is out of its queue's order, the tree is healthy again within 2 s, and the sends
//! go on. What may not be built anew (the flusher, the allocator) fails for good: sends are refused then and reads go on.
//!
//! | child | what lets it work in the load |
//! |---|---|
//! | commit log, flusher, queue flusher, consume queues, index, egress | every send |
//! | allocator | a file of the log for every 60 messages |
//! | hold, offsets | consumers that wait at the end, and commit as they pull |
//! | topics, groups, rebalance, registrar, name server, listeners | clients that come and go beside |
//! | retention | its own timer |
//!
//! Cold reads have no work here: nothing is old enough.
#![expect(clippy::unwrap_used, reason = "a test")]

mod for_good;
mod full_disk;
mod line;
mod load;

use std::time::Duration;

use cuemq_actors::supervise::Health;
use cuemq_actors::testing::{Site, TestBroker};

use load::{Client, History, Load, QUEUES};

const HEALTHY_WITHIN: Duration = Duration::from_secs(2);
const STRUCK_WITHIN: Duration = Duration::from_secs(10);
/// Messages before and after a panic.
const MESSAGES: usize = 100;

fn broker() -> TestBroker {
    let broker = TestBroker::builder().config(|config| {
        config.default_topic_queue_nums = QUEUES as u32;
        config.segment_bytes = Some(256 << 10);
        config.offsets_interval = Duration::from_millis(100);
        config.register_interval = Duration::from_millis(200);
        config.checkpoint_interval = Duration::from_millis(50);
    });
    broker.start().unwrap()
}

/// Lets `child` panic at `site`, and its factory as well if `twice`.
fn survives(child: &str, site: Site, twice: bool) {
    let broker = broker();
    let load = Load::start(broker.name_server(), broker.broker());
    load.advance(MESSAGES);
    if twice {
        broker.faults().arm(child, Site::Factory, 1);
    }
    broker.faults().arm(child, site, 1);
    let restarts = 1 + u64::from(twice);
    let struck = broker.wait_for(STRUCK_WITHIN, move |standing| standing.restarts >= restarts);
    assert!(struck.is_some(), "{child} has no work at {site:?}:\n{}", broker.tree());
    let healthy = broker.wait_for(HEALTHY_WITHIN, |standing| standing.health == Health::Running);
    assert!(healthy.is_some(), "not healthy within 2 s:\n{}", broker.tree());
    while load.progress.try_recv().is_ok() {}
    load.advance(MESSAGES);
    check(&load.finish(), child);
    is_found(&broker);
    assert_eq!(
        broker.health().restarts,
        restarts,
        "nothing else failed:\n{}",
        broker.tree()
    );
    broker.stop().unwrap();
}

fn check(history: &History, child: &str) {
    for (queue_id, (acknowledged, consumed)) in history.acknowledged.iter().zip(&history.consumed).enumerate() {
        assert!(
            consumed
                .iter()
                .zip(0..)
                .all(|((offset, _), expected)| *offset == expected),
            "{child}: queue {queue_id} has a gap: {consumed:?}"
        );
        assert!(
            consumed.is_sorted_by(|(_, before), (_, after)| before < after),
            "{child}: queue {queue_id} is out of order: {consumed:?}"
        );
        for (number, queue_offset) in acknowledged {
            let read = consumed.get(usize::try_from(*queue_offset).unwrap());
            assert_eq!(
                read.map(|(_, number)| number),
                Some(number),
                "{child}: queue {queue_id}, offset {queue_offset}: what was acknowledged there is not there"
            );
        }
    }
}

/// The name server tells where the topic is, at the latest after a second.
fn is_found(broker: &TestBroker) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let asking = async {
        let mut client = Client::new(broker.name_server());
        while client.call(&load::route()).await.is_none_or(|answer| answer.code != 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(1), asking).await });
    assert!(found.is_ok(), "no route:\n{}", broker.tree());
}

/// Tests by the name of who panics, in a module that says what each shows.
macro_rules! panics {
    ($($name:ident: $child:literal $(in $site:ident)+;)+) => {
        mod nothing_acknowledged_is_lost_by_a_panic_of {$(
            #[test]
            fn $name() {
                use super::Site;
                $(super::survives($child, Site::$site, false);)+
                let sites = [$(Site::$site),+];
                super::survives($child, sites[0], true);
            }
        )+}
    };
}

panics! {
    the_commit_log: "commit log" in Handler in Task;
    a_consume_queue: "consume queue Panics/0" in Handler in Task;
    the_index: "index" in Handler in Task;
    the_queue_flusher: "queue flusher" in Handler;
    retention: "retention" in Task;
    a_hold: "hold 0" in Handler in Task;
    the_offsets: "offsets" in Handler in Task;
    the_topics: "topics" in Handler;
    the_groups: "groups" in Handler;
    the_membership: "rebalance" in Handler in Task;
    the_registrar: "registrar" in Handler in Task;
    the_name_server: "name server" in Handler in Task;
    the_broker_s_listener: "listener of the broker" in Task;
    the_name_server_s_listener: "listener of the name server" in Task;
    the_first_egress: "egress 0" in Handler in Task;
    the_second_egress: "egress 1" in Handler in Task;
}
