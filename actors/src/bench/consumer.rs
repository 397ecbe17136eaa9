//! A consumer that one thread drives in turn with the requests of an open loop, so that both see the same clock and
//! neither waits for the other to get a core. The thread waits actively throughout: it takes a core.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use cuemq_storage::clock::Clock;

use super::ask;
use super::engine::{DRAIN, Engine, Live, Window, Work, nanoseconds, now_ns};
use super::follow::{self, Follow, Receipts};
use super::tally::Tally;

/// The refusals of a pull that found nothing, which a long poll ends with.
const NOTHING_FOUND: [i32; 2] = [19, 20];

/// A connected consumer.
pub(super) struct Consumer {
    sockets: Vec<TcpStream>,
    polls: u32,
    follow: Follow,
}

impl Consumer {
    /// Connects, so often that each connection polls as many of the `queues` as the others.
    pub(super) fn connect(address: SocketAddr, queues: usize, most: u32, follow: Follow) -> Result<Self> {
        let connections = follow::connections(queues, most as usize);
        let sockets = (0..connections)
            .map(|_| ask::connect(address))
            .collect::<Result<Vec<_>>>()?;
        let polls = u32::try_from(queues / connections)?;
        Ok(Self { sockets, polls, follow })
    }

    /// Runs a load to its end, and goes on until every message that was acknowledged has come, for a while.
    pub(super) fn run_with<W: Work>(
        self,
        mut load: Engine<'_, W>,
        clock: &dyn Clock,
        window: Window,
        live: &Live,
    ) -> Result<(Tally, Option<Receipts>)> {
        let end = window.until_ns + 2 * nanoseconds(DRAIN);
        let window = Window {
            until_ns: end,
            ..window
        };
        let mut polls = Engine::new(clock, self.sockets, self.polls, None, window, self.follow)?;
        let unseen = Live::default();
        let mut turn = |limit| -> io::Result<(bool, u64)> {
            let goes_on = polls.turn(&unseen, limit)?;
            Ok((goes_on, polls.work().received()))
        };
        // asks for the first time before the first message is sent
        turn(Duration::ZERO)?;
        while load.turn(live, Duration::ZERO)? {
            turn(Duration::ZERO)?;
        }
        let acknowledged = load.successes();
        while now_ns(clock) < end {
            let (goes_on, received) = turn(Duration::from_millis(1))?;
            if !goes_on || received >= acknowledged {
                break;
            }
        }
        let (mut tally, _) = load.finish();
        let (polled, follow) = polls.finish();
        tally.busy_ns += polled.busy_ns;
        tally.broken.add(polled.broken);
        tally.lost_connections.add(polled.lost_connections);
        for (code, answers) in polled.others {
            if !NOTHING_FOUND.contains(&code) {
                // told by its own name, and no answer to a send: the count of those stays as it is
                tally.broken.add(answers);
            }
        }
        Ok((tally, follow.receipts()))
    }
}
