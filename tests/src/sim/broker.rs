//! The simulated host that runs the broker and its name server, for one life of its process.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_actors::broker::{Seams, Services, start};
use cuemq_actors::config::BrokerConfig;
use cuemq_actors::placement::{Lag, Placement, Thread};
use cuemq_actors::testing::{Faults, MemoryDisk, SeededEntropy};
use cuemq_storage::entropy::Entropy;
use cuemq_storage::interrupt::Interrupt;
use cuemq_storage::log_state::FlushMode;
use cuemq_storage::retention::Hours;
use tokio::sync::Notify;

use super::client::NAME_SERVER_PORT;
use super::clock::SimClock;
use super::history::History;
use crate::sim_net::SimNet;

/// The name of the host.
pub(super) const HOST: &str = "broker";
/// The port of the broker.
const PORT: u16 = 10_911;
/// The bytes of a commit log file: few, so that the log goes on in a next one often.
pub(super) const SEGMENT_BYTES: u64 = 64 << 10;

/// How often the log is flushed where sends do not wait for it.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// How often consumer offsets are saved.
pub(super) const OFFSETS_INTERVAL: Duration = Duration::from_millis(100);

/// The machine that the broker runs on.
#[derive(Clone)]
pub(super) struct Machine {
    /// Its disk.
    pub(super) disk: MemoryDisk,
    /// Its clock.
    pub(super) clock: Arc<SimClock>,
    /// Lets its actors panic.
    pub(super) faults: Faults,
    /// Where everything is noted.
    pub(super) history: Arc<History>,
    /// When its broker acknowledges.
    pub(super) flush: FlushMode,
    /// How old messages become, where that is less than the simulation takes.
    pub(super) age: Rc<Cell<Option<Duration>>>,
    /// The seed of the simulation.
    pub(super) seed: u64,
    /// How often the broker was started.
    pub(super) lives: Rc<Cell<u64>>,
    /// The last life that ended by itself: it did not start, or stopped in order.
    pub(super) ended: Rc<Cell<u64>>,
    /// Asks the broker to stop in order.
    pub(super) stop: Rc<Notify>,
    /// What else its settings are.
    pub(super) settle: Rc<dyn Fn(&mut BrokerConfig)>,
}

impl Machine {
    /// One life of the broker: it starts, serves until it is asked to stop or a part of it fails for good, and stops in
    /// order, as the program does.
    pub(super) async fn live(self) -> turmoil::Result {
        let life = self.lives.get() + 1;
        self.lives.set(life);
        self.serve(life).await;
        self.ended.set(life);
        Ok(())
    }

    async fn serve(&self, life: u64) {
        let services = Services {
            broker: true,
            name_server: true,
        };
        let running = match start(self.settings(), services, self.seams(life)).await {
            Ok(running) => running,
            Err(error) => {
                self.history.note(format_args!("life {life} does not start: {error}"));
                return;
            }
        };
        self.history.note(format_args!("life {life} serves"));
        tokio::select! {
            biased;
            () = self.stop.notified() => {}
            failed = running.failed() => self.history.note(format_args!("life {life}: {failed}")),
        }
        let stopped = running.stop().await;
        self.history.note(format_args!("life {life} stopped: {stopped:?}"));
    }

    fn seams(&self, life: u64) -> Seams {
        Seams {
            disk: Arc::new(self.disk.process()),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SeededEntropy::new(self.seed.wrapping_mul(31).wrapping_add(life))),
            net: Arc::new(SimNet),
            placement: Placement::lagging(Arc::new(SlowThreads(SeededEntropy::new(self.seed ^ life << 32)))),
            faults: self.faults.clone(),
            interrupt: Interrupt::default(),
        }
    }
}

/// Threads that are late now and then, those that work with files more often.
struct SlowThreads(SeededEntropy);

impl Lag for SlowThreads {
    fn lag(&self, thread: Thread) -> Duration {
        let (chance, most_us) = match thread {
            Thread::Io(_) | Thread::Log => (32, 1000),
            Thread::Flusher => (2, 8000),
            Thread::Files
            | Thread::Upkeep
            | Thread::Index
            | Thread::ColdReads
            | Thread::Waiting
            | Thread::Replication
            | Thread::Http => (3, 20_000),
        };
        match self.0.below(chance) {
            0 => Duration::from_micros(self.0.below(most_us)),
            _ => Duration::ZERO,
        }
    }
}

impl Machine {
    fn settings(&self) -> BrokerConfig {
        let mut config = settings(self.flush);
        if let Some(age) = self.age.get() {
            config.retention.age = age;
            config.retention.hours = Hours::of_bits((1 << 24) - 1);
            config.retention.interval = Duration::from_millis(50);
            config.retention.pause = Duration::from_millis(1);
        }
        (self.settle)(&mut config);
        config
    }
}

fn settings(flush: FlushMode) -> BrokerConfig {
    BrokerConfig {
        data: "/data".into(),
        listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        announce: turmoil::lookup(HOST),
        port: PORT,
        name_server_port: NAME_SERVER_PORT,
        segment_bytes: Some(SEGMENT_BYTES),
        flush,
        flush_interval: FLUSH_INTERVAL,
        offsets_interval: OFFSETS_INTERVAL,
        register_interval: Duration::from_millis(300),
        hot_bytes: SEGMENT_BYTES / 2,
        default_topic_queue_nums: u32::from(super::body::QUEUES_PER_TOPIC),
        // Two commit log files have to stay free.
        free_bytes: 1,
        ..BrokerConfig::for_test()
    }
}
