//! The topics of one load on one system: made before it, and deleted behind it, so that no load meets the queues of those
//! before it. Messages stay in the log until retention takes them.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use cuemq_net::code::RequestCode;

use super::super::arguments::LoadArguments;
use super::super::ask::{self, Caller};
use super::arguments::{Role, System};

/// Deletions in flight at a time; brokers that may not be ready for several get one.
const PIPELINED: usize = 64;
/// How often a broker is asked whether it has caught up, and how many times.
const ASKED: (Duration, u32) = (Duration::from_millis(100), 1200);

/// Waits until all messages of a broker are in their queues, as far as it tells.
fn settle(caller: &mut Caller) -> Result<()> {
    let (pause, times) = ASKED;
    for _ in 0..times {
        if caller.behind()?.unwrap_or_default() <= 0 {
            return Ok(());
        }
        sleep(pause);
    }
    bail!("messages do not come into their queues")
}

/// Topics that go when this goes.
pub(super) struct Topics<'a> {
    system: &'a System,
    names: Vec<String>,
}

impl<'a> Topics<'a> {
    /// Has all topics of a load made.
    pub(super) fn create(system: &'a System, load: &LoadArguments) -> Result<Self> {
        let names = load.topic_names();
        Caller::connect(ask::resolve(&system.broker)?)?.create_topics(&names, load.queues)?;
        Ok(Self { system, names })
    }

    fn delete(&self) -> Result<()> {
        // Java's broker may crash when a topic goes whose messages still go to their queues, and others wait for that too
        settle(&mut Caller::connect(ask::resolve(&self.system.broker)?)?)?;
        let pipelined = if self.system.role == Role::Ours { PIPELINED } else { 1 };
        let broker = [(Some(&self.system.broker), RequestCode::DELETE_TOPIC_IN_BROKER)];
        let name_server = [(self.system.namesrv.as_ref(), RequestCode::DELETE_TOPIC_IN_NAMESRV)];
        for (address, code) in broker.into_iter().chain(name_server) {
            if let Some(address) = address {
                Caller::connect(ask::resolve(address)?)?.delete_topics(code, &self.names, pipelined)?;
            }
        }
        Ok(())
    }
}

impl Drop for Topics<'_> {
    #[expect(
        clippy::print_stderr,
        reason = "who measures has to know that the next load meets old topics"
    )]
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            let name = &self.system.name;
            eprintln!("{name} keeps the topics of the load that has ended, as they could not be deleted: {error:#}");
        }
    }
}
