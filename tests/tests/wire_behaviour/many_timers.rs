//! As many messages that wait for their time as `CUEMQ_TIMERS` says: they take a bounded memory, a start with them is quick,
//! after a kill as well, and those of one second come within it. `just long` has ten million of them; few are here to see that
//! it works, and nothing is judged that depends on the machine.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::message::properties::Properties;
use cuemq_net::message::record::records;
use cuemq_storage::log_state::FlushMode;

use crate::{Connection, arrived, number, pull_from, pulls, send_to};

/// What waits unless `CUEMQ_TIMERS` says otherwise.
const FEW: u64 = 4_000;
/// With so many that wait it is judged.
const MANY: u64 = 1_000_000;
const SENDERS: u64 = 8;
/// Requests of a sender under way.
const WINDOW: u64 = 256;
const DAY_MS: u64 = 86_400_000;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn timed(topic: &str, key: u64, at_ms: u64) -> Command {
    let properties = format!("UNIQ_KEY\u{1}{key:032X}\u{2}TIMER_DELIVER_MS\u{1}{at_ms}\u{2}");
    send_to(topic).with_field("i", properties).with_body(vec![b'b'; 100])
}

/// Sends the messages `from..to`; `at_ms` says when each is due.
fn send(address: SocketAddr, topic: &str, (from, to): (u64, u64), at_ms: impl Fn(u64) -> u64) {
    let mut client = Connection::to(address);
    let (mut sent, mut answered) = (from, from);
    while answered < to {
        while sent < to && sent - answered < WINDOW {
            client.send(timed(topic, sent, at_ms(sent)));
            sent += 1;
        }
        let answer = client.receive();
        match ResponseCode(answer.code) {
            ResponseCode::SUCCESS => answered += 1,
            other => panic!("{other:?}: {answer:?}"),
        }
    }
}

/// The memory of this process in MiB: now, and of that what is no file.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    };
    (of("VmRSS:"), of("RssAnon:"))
}

/// Looks at the memory all along: the most of it in MiB, and the most of what is no file.
struct Watched {
    most: Arc<[AtomicU64; 2]>,
}

impl Watched {
    fn begin() -> Self {
        let most = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let (told, watched) = (Arc::downgrade(&most), Self { most });
        thread::spawn(move || {
            while let Some(most) = told.upgrade() {
                let (all, no_file) = memory();
                most[0].fetch_max(all, Ordering::Relaxed);
                most[1].fetch_max(no_file, Ordering::Relaxed);
                drop(most);
                thread::sleep(Duration::from_millis(50));
            }
        });
        watched
    }

    fn most(&self) -> (u64, u64) {
        let [all, no_file] = [0, 1].map(|place: usize| self.most[place].load(Ordering::Relaxed));
        (all, no_file)
    }
}

fn start(directory: &Path, flush: FlushMode) -> (TestBroker, Duration) {
    let began = Instant::now();
    let builder = TestBroker::builder().data(directory).config(|config| {
        config.segment_bytes = Some(1 << 30);
        config.queue_file_bytes = 6_000_000;
        config.flush = flush;
    });
    let broker = builder.start().unwrap();
    // It serves; that it has read what waits is said by one that is due at once.
    let mut client = Connection::to(broker.broker());
    let topic = format!("First{}", now_ms());
    number(&client.ask(timed(&topic, 0, now_ms() + 1)), "queueOffset");
    arrived(&mut client, &topic, 1);
    (broker, began.elapsed())
}

/// How late each came of `count` that are due in one second, in milliseconds, ascending; each came once, and none early.
fn second(broker: &TestBroker, (count, ahead_ms): (u64, u64)) -> Vec<u64> {
    let at_ms = now_ms() + ahead_ms;
    let due = move |number: u64| at_ms + number * 1_000 / count;
    let address = broker.broker();
    number(&Connection::to(address).ask(send_to("Second")), "queueOffset");
    let consumer = thread::spawn(move || consume(address, count));
    send(address, "Second", (0, count), due);
    consumer.join().unwrap()
}

fn consume(address: SocketAddr, count: u64) -> Vec<u64> {
    let mut client = Connection::to(address);
    let (mut next, mut late, mut seen) = (1, Vec::new(), BTreeSet::new());
    while seen.len() < usize::try_from(count).unwrap() {
        let pull = pull_from("Second", next)
            .with_field("sysFlag", pulls::SUSPEND | pulls::SUBSCRIPTION)
            .with_field("suspendTimeoutMillis", 20_000);
        let found = client.ask(pull);
        let came_ms = now_ms();
        if ResponseCode(found.code) != ResponseCode::SUCCESS {
            continue;
        }
        for record in records(&found.body) {
            let record = record.unwrap();
            let properties = Properties::new(record.properties());
            let due_ms: u64 = properties.get("TIMER_DELIVER_MS").unwrap().parse().unwrap();
            assert!(record.store_timestamp_ms().cast_unsigned() >= due_ms, "one is early");
            assert!(
                seen.insert(properties.get("UNIQ_KEY").unwrap().to_owned()),
                "one came twice"
            );
            late.push(came_ms.saturating_sub(due_ms));
            next += 1;
        }
    }
    late.sort_unstable();
    late
}

/// Waits until the disk has taken what the kernel holds, so that it is not what the next step waits for.
fn settle(directory: &Path) {
    let synced = std::process::Command::new("sync")
        .arg("--file-system")
        .arg(directory)
        .status()
        .unwrap();
    assert!(synced.success());
}

#[test]
fn many_messages_wait_in_little_memory_and_those_of_one_second_come_in_it() {
    let count = std::env::var("CUEMQ_TIMERS").map_or(FEW, |count| count.parse().unwrap());
    let directory = tempfile::tempdir_in(std::env::var("CUEMQ_TIMERS_DIRECTORY").unwrap_or("/var/tmp".into())).unwrap();
    let watched = Watched::begin();
    let (broker, _) = start(directory.path(), FlushMode::Async);
    let (address, began, first_ms) = (broker.broker(), Instant::now(), now_ms() + DAY_MS);
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let range = (sender * count / SENDERS, (sender + 1) * count / SENDERS);
            // Over forty days, in no order.
            let at_ms = move |number: u64| first_ms + number.wrapping_mul(2_654_435_761) % (40 * DAY_MS);
            scope.spawn(move || send(address, "Waits", range, at_ms));
        }
    });
    let (sent, filled) = (began.elapsed(), watched.most());
    broker.stop().unwrap();
    settle(directory.path());
    let (broker, first_start) = start(directory.path(), FlushMode::Sync);
    let runs = std::fs::read_dir(directory.path().join("cuemq/timer-runs")).unwrap();
    let bytes: u64 = runs.map(|run| run.unwrap().metadata().unwrap().len()).sum();
    let index = bytes >> 20;
    let of_second = if count >= MANY { (10_000, 8_000) } else { (400, 2_000) };
    let (one, at_rest) = (second(&broker, of_second), memory());
    broker.kill();
    settle(directory.path());
    let (broker, after_kill) = start(directory.path(), FlushMode::Sync);
    let two = Connection::to(broker.broker()).ask(send_to("Second"));
    let (_, again) = (number(&two, "queueOffset"), memory());
    let [p50, p99, most] = [one.len() / 2, one.len() * 99 / 100, one.len() - 1].map(|at| one[at]);
    println!(
        "{count} wait: sent in {sent:?}, the index has {index} MiB; a start took {first_start:?}, after a kill \
         {after_kill:?}; {} of one second came {p50} ms late in the middle, {p99} ms at p99, {most} ms at most; \
         memory in MiB: {filled:?} at most while they came, {:?} in all, {at_rest:?} then, {again:?} after the kill (all, \
         and what is no file)",
        of_second.0,
        watched.most()
    );
    if count >= MANY {
        assert!(watched.most().0 < 256, "{:?} MiB", watched.most());
        assert!(first_start < Duration::from_secs(2), "{first_start:?}");
        assert!(after_kill < Duration::from_secs(2), "{after_kill:?}");
        assert!(p99 <= 20 && most <= 200, "{p99} and {most} ms");
    }
    broker.stop().unwrap();
}
