//! A reader that one thread drives in turn with the requests of an open loop, from the beginning of the measured time on:
//! it reads a backlog once, and its end is the end of the load.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use cuemq_net::frame::HeaderCodec;
use cuemq_storage::clock::Clock;

use super::ask;
use super::engine::{Engine, Live, Window, Work, now_ns};
use super::pull::{Pulls, Queue};
use super::tally::{Answers, Tally};

/// Messages that one request asks for.
const MAX_MESSAGES: u32 = 32;

/// A connected reader.
pub(super) struct Reader {
    sockets: Vec<TcpStream>,
    pulls: Pulls,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// Answers other than success, by code.
    pub(super) others: BTreeMap<i32, Answers>,
}

impl Reader {
    /// Connects, with a connection for each queue but at most so many, and one request in flight on each.
    pub(super) fn connect(address: SocketAddr, codec: HeaderCodec, queues: &[Queue], most: usize) -> Result<Self> {
        let connections = queues.len().min(most);
        let sockets = (0..connections)
            .map(|_| ask::connect(address))
            .collect::<Result<Vec<_>>>()?;
        let pulls = Pulls::once(codec, MAX_MESSAGES, queues, connections)?;
        Ok(Self { sockets, pulls })
    }

    /// Runs a load until the backlog is read, at most to the end of the window.
    pub(super) fn run_with<W: Work>(
        self,
        mut load: Engine<'_, W>,
        clock: &dyn Clock,
        window: Window,
        live: &Live,
    ) -> Result<(Tally, Reading)> {
        let mut pulls = Engine::new(clock, self.sockets, 1, None, window, self.pulls)?;
        let unseen = Live::default();
        let mut goes_on = true;
        while goes_on && now_ns(clock) < window.from_ns {
            goes_on = load.turn(live, Duration::ZERO)?;
        }
        let began = now_ns(clock);
        while goes_on && !pulls.work().is_read() {
            goes_on = load.turn(live, Duration::ZERO)? && pulls.turn(&unseen, Duration::ZERO)?;
        }
        let ended = now_ns(clock);
        load.stop(ended);
        while load.turn(live, Duration::MAX)? {}
        let (mut tally, _) = load.finish();
        let (pulled, pulls) = pulls.finish();
        let (messages, bytes) = pulls.read_once();
        ensure!(
            pulls.is_read() || pulled.lost_connections.count > 0 || tally.lost_connections.count > 0,
            "only {messages} messages of the backlog were read within the time for it"
        );
        tally.broken.add(pulled.broken);
        tally.lost_connections.add(pulled.lost_connections);
        tally.busy_ns += pulled.busy_ns;
        let reading = Reading {
            messages,
            bytes,
            seconds: Duration::from_nanos(ended - began).as_secs_f64(),
            others: pulled.others,
        };
        Ok((tally, reading))
    }
}
