//! A copy of a store that a broker uses: what was acknowledged before the copy began is in it, and the original goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use cuemq_actors::config::BrokerConfig;
use cuemq_actors::testing::TestBroker;
use cuemq_storage::disk::{Disk, RealDisk};
use cuemq_storage::index::Layout;
use cuemq_storage::recovery::StoreLayout;
use cuemq_storage::recovery::inspect::{CopyOptions, Severity, Store};

use crate::pulls::bodies;
use crate::{Connection, PATIENCE, number, pull_from, send_to};

const TOPIC: &str = "Copied";
const BODY_BYTES: usize = 3000;

fn small(config: &mut BrokerConfig) {
    config.segment_bytes = Some(64 << 10);
    config.queue_file_bytes = 400;
    config.checkpoint_interval = Duration::from_millis(20);
}

fn broker_on(data: &Path) -> TestBroker {
    TestBroker::builder().data(data).config(small).start().unwrap()
}

fn look_at(data: &Path) -> Store {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut layout = StoreLayout::at(data);
    layout.index = Layout::new(500, 2000);
    Store::look_at(&disk, layout).unwrap()
}

fn body(number: i64) -> Vec<u8> {
    let mut body = vec![7; BODY_BYTES];
    body[..8].copy_from_slice(&number.to_be_bytes());
    body
}

fn damage(store: &Store) -> Vec<String> {
    let mut found = Vec::new();
    let each = |finding: cuemq_storage::recovery::inspect::Finding| {
        if finding.severity == Severity::Damage {
            found.push(format!("{finding:?}"));
        }
    };
    store.check(each, |_| {}).unwrap();
    found
}

fn names(directory: &Path) -> Vec<String> {
    RealDisk
        .list(directory)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect()
}

/// Everything of the queue, in order.
fn all(client: &mut Connection, count: i64) -> Vec<Vec<u8>> {
    let mut read = Vec::new();
    while (read.len() as i64) < count {
        let answer = client.ask(pull_from(TOPIC, read.len() as i64));
        let next = bodies(&answer);
        assert!(!next.is_empty(), "nothing at {}: {answer:?}", read.len());
        read.extend(next);
    }
    read
}

#[test]
fn a_backup_under_load_holds_all_that_was_acknowledged_before_it_began() {
    let root = tempfile::tempdir().unwrap();
    let (data, copy) = (root.path().join("data"), root.path().join("copy"));
    let broker = broker_on(&data);
    let (address, stops, acknowledged) = (broker.broker(), AtomicBool::new(false), AtomicI64::new(0));
    let wait_for = |count: i64| {
        let begun = Instant::now();
        while acknowledged.load(Ordering::SeqCst) < count {
            assert!(begun.elapsed() < PATIENCE, "{acknowledged:?} of {count} sent");
            std::thread::yield_now();
        }
    };
    let (in_use, before, copied) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Connection::to(address);
            for next in 0.. {
                if stops.load(Ordering::SeqCst) {
                    break;
                }
                let stored = client.ask(send_to(TOPIC).with_body(body(next)));
                assert_eq!(number(&stored, "queueOffset"), next);
                acknowledged.store(next + 1, Ordering::SeqCst);
            }
        });
        wait_for(100);
        let in_use = damage(&look_at(&data));
        let before = acknowledged.load(Ordering::SeqCst);
        let copied = look_at(&data).copy_to(&copy, CopyOptions::default(), |_| {});
        wait_for(acknowledged.load(Ordering::SeqCst) + 20);
        stops.store(true, Ordering::SeqCst);
        (in_use, before, copied)
    });
    assert_eq!(in_use, [""; 0], "a store in use is no damaged one");
    let copied = copied.unwrap();
    assert!(copied.end > copied.minimum && copied.copied > 0, "{copied:?}");
    assert!(!root.path().join("copy.partial").exists());
    assert_eq!(damage(&look_at(&copy)), [""; 0]);
    let restored = broker_on(&copy);
    let mut client = Connection::to(restored.broker());
    let read = all(&mut client, before);
    assert!(
        read.iter().zip(0..).all(|(read, at)| *read == body(at)),
        "other bodies than were sent"
    );
    // Both go on, each for itself.
    let sent = acknowledged.load(Ordering::SeqCst);
    let next = number(&client.ask(send_to(TOPIC).with_body(body(-1))), "queueOffset");
    assert!(next >= before, "{next}, where {before} were acknowledged");
    assert_eq!(all(&mut Connection::to(address), sent).len() as i64, sent);
    restored.stop().unwrap();
    broker.stop().unwrap();
    assert_eq!(damage(&look_at(&data)), [""; 0]);
    assert_eq!(damage(&look_at(&copy)), [""; 0]);
}

#[test]
fn files_that_no_longer_change_are_linked_and_copied_on_request() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let broker = broker_on(&data);
    let mut client = Connection::to(broker.broker());
    for at in 0..70 {
        number(&client.ask(send_to(TOPIC).with_body(body(at))), "queueOffset");
    }
    broker.stop().unwrap();
    let linked = root.path().join("linked");
    let copied = look_at(&data).copy_to(&linked, CopyOptions::default(), |_| {}).unwrap();
    assert!(copied.linked > 2 && copied.copied <= 1, "{copied:?}");
    let own = root.path().join("own");
    let options = CopyOptions { copies_all: true };
    let copied = look_at(&data).copy_to(&own, options, |_| {}).unwrap();
    assert_eq!(copied.linked, 0, "{copied:?}");
    for copy in [linked, own] {
        assert_eq!(names(&copy.join("commitlog")).len(), copied.copied);
        let restored = broker_on(&copy);
        assert_eq!(all(&mut Connection::to(restored.broker()), 70).len(), 70);
        restored.stop().unwrap();
    }
    assert_eq!(
        damage(&look_at(&data)),
        [""; 0],
        "opening the copy has changed the original"
    );
}

#[test]
fn a_backup_overwrites_nothing_and_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    broker_on(&data).stop().unwrap();
    let refused = |to: PathBuf| {
        let refused = look_at(&data).copy_to(&to, CopyOptions::default(), |_| {});
        refused.unwrap_err().to_string()
    };
    let taken = root.path().join("taken");
    RealDisk.create_directory(&taken.join("something")).unwrap();
    assert!(refused(taken).contains("give a directory that is empty or not there"));
    RealDisk.create_directory(&root.path().join("left.partial")).unwrap();
    assert!(refused(root.path().join("left")).contains("remove it and try again"));
    assert!(refused(data.join("within")).contains("give a directory beside it"));
    let empty = root.path().join("empty");
    RealDisk.create_directory(&empty).unwrap();
    look_at(&data)
        .copy_to(&empty.join(""), CopyOptions::default(), |_| {})
        .unwrap();
    assert!(names(&empty).contains(&String::from("abort")), "{:?}", names(&empty));
}
