//! The loads of `send`, `pull` and `latency` made by the client library as an application has it, on one thread, so that
//! its figures stand beside those of raw frames in the same report.
//!
//! | file | load |
//! |---|---|
//! | `send` | each connection is a producer with so many sends in flight |
//! | `pull` | a pull consumer that reads round and round, or a push consumer's listener |
//! | `latency` | a producer at a rate, a push consumer, the time between |
//! | `count` | what is counted |

mod count;
mod latency;
mod pull;
mod send;

use anyhow::{Context, Result, ensure};
use cuemq_client::{Client, ClientOptions, Producer};
use cuemq_storage::entropy::{Entropy, SeededEntropy};
use tokio::runtime::{Builder, Runtime};

use super::arguments::LoadArguments;
use super::ask::{self, Caller, Server};
use super::send::Message;

pub(super) use latency::latency;
pub(super) use pull::pull;
pub(super) use send::send;

/// What a load begins with.
struct Stage {
    runtime: Runtime,
    caller: Caller,
    server: Server,
    namesrv: String,
    /// Tells this run from all others.
    run: u64,
}

impl Stage {
    fn new(load: &LoadArguments) -> Result<Self> {
        let namesrv = load.namesrv.clone();
        let namesrv = namesrv.context("the client library asks a name server: name one with --namesrv")?;
        ensure!(
            load.threads == 1,
            "the client library is driven by one thread: leave --threads out"
        );
        let address = ask::broker(load)?;
        let mut caller = Caller::connect(address)?;
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            server: caller.identity(address)?,
            caller,
            namesrv,
            run: SeededEntropy::from_system()?.next_u64(),
        })
    }

    fn make_topics(&mut self, load: &LoadArguments, body_bytes: u32) -> Result<()> {
        let message = Message {
            codec: load.header.codec(),
            body_bytes: body_bytes as usize,
            wait: true,
            tag: None,
            keys: false,
            stamped: false,
        };
        self.caller
            .make_topics(&message, &load.topic_names(), load.queues, self.run)
    }

    async fn client(namesrv: &str) -> Result<Client> {
        let options = ClientOptions::new().namesrv_addr(namesrv).max_pending_calls(65_536);
        Ok(options.start().await?)
    }

    async fn producer(load: &LoadArguments, namesrv: &str, number: u32) -> Result<Producer> {
        let client = Self::client(namesrv).await?;
        let producer = Producer::builder(format!("cuemq-bench-producer-{number}"));
        let producer = producer.client(&client).topics(load.topic_names());
        // what a load shows is the first answer, not that of another try
        Ok(producer.retry_times_when_send_failed(0).start().await?)
    }
}

/// A body that no file system makes smaller.
fn body(bytes: usize) -> Vec<u8> {
    super::send::body(bytes)
}
