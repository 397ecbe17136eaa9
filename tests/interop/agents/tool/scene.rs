//! What there is to ask about: a topic with messages, a group that consumes it, and a producer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cuemq_client::consumer::ConsumeFromWhere;
use cuemq_client::{Admin, Client, ClientOptions, Consumed, Message, Producer, PushConsumer, SendResult};
use cuemq_net::body::{MessageQueue, TopicConfig};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many messages the topic has.
pub(crate) const MESSAGES: usize = 10;
/// How long something may take that a server does in its own time.
const PATIENCE: Duration = Duration::from_secs(30);
const TURN: Duration = Duration::from_millis(50);

pub(crate) struct Scene {
    pub(crate) client: Client,
    pub(crate) admin: Admin,
    /// The broker's, as the cluster tells it.
    pub(crate) address: String,
    pub(crate) cluster: String,
    pub(crate) broker_name: String,
    /// New with each run.
    pub(crate) topic: String,
    pub(crate) group: String,
    pub(crate) queue: MessageQueue,
    pub(crate) sent: Vec<SendResult>,
    producer: Producer,
    consumer: PushConsumer,
    /// How many messages came.
    pub(crate) came: Arc<AtomicUsize>,
}

impl Scene {
    pub(crate) async fn set(namesrv: &str) -> Result<Self, Failure> {
        let client = ClientOptions::new().namesrv_addr(namesrv).start().await?;
        let admin = Admin::new(&client);
        let clusters = admin.examine_cluster().await?;
        let cluster = clusters
            .cluster_addr_table
            .keys()
            .next()
            .ok_or("there is no cluster")?
            .clone();
        let broker_name = clusters
            .broker_addr_table
            .keys()
            .next()
            .ok_or("there is no broker")?
            .clone();
        let address = admin.masters_of(&cluster).await?.remove(0);
        let run = format!(
            "{}-{}",
            std::process::id(),
            cuemq_client::clock::Clock::now_ms(&cuemq_client::clock::SystemClock)
        );
        let (topic, group) = (format!("Tool-{run}"), format!("tools-{run}"));
        admin.create_and_update_topic(&address, &with_queues(&topic, 1)).await?;
        let producer = Producer::builder(format!("producers-{run}"))
            .client(&client)
            .start()
            .await?;
        // a producer that does not find the route takes the topic for one that is made by sending to it
        let queue = until("the topic's route", async || {
            let route = admin.examine_topic_route_info(&topic).await.ok()?;
            route.publish.first().cloned()
        })
        .await?;
        let sent = fill(&producer, &topic).await?;
        let came = Arc::new(AtomicUsize::new(0));
        let consumer = consume(&client, &group, &topic, Arc::clone(&came)).await?;
        let scene = Self {
            client,
            admin,
            address,
            cluster,
            broker_name,
            topic,
            group,
            queue,
            sent,
            producer,
            consumer,
            came,
        };
        scene.until_consumed(MESSAGES).await?;
        scene.until_told().await?;
        Ok(scene)
    }

    /// The group's retry topic, by which tools find it, and its progress are told in the broker's and the client's own time.
    async fn until_told(&self) -> Result<(), Failure> {
        until("the group's progress", async || {
            let stats = self
                .admin
                .examine_consume_stats(&self.group, Some(&self.topic))
                .await
                .ok()?;
            let queue = stats.offset_table.get(&self.queue)?;
            (usize::try_from(queue.consumer_offset) == Ok(MESSAGES)).then_some(())
        })
        .await
    }

    pub(crate) fn producer_group(&self) -> String {
        self.group.replace("tools-", "producers-")
    }

    pub(crate) async fn until_consumed(&self, many: usize) -> Result<usize, Failure> {
        until("all messages", async || {
            Some(self.came.load(Ordering::SeqCst)).filter(|came| *came >= many)
        })
        .await
    }

    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.consumer.shutdown().await?;
        self.producer.shutdown().await;
        self.client.shutdown().await;
        Ok(())
    }
}

async fn fill(producer: &Producer, topic: &str) -> Result<Vec<SendResult>, Failure> {
    let mut sent = Vec::new();
    for number in 0..MESSAGES {
        let message = Message::new(topic, number.to_string()).tags("a");
        sent.push(
            producer
                .send(message.keys([format!("key-{number}"), "shared".to_owned()]))
                .await?,
        );
    }
    Ok(sent)
}

async fn consume(client: &Client, group: &str, topic: &str, came: Arc<AtomicUsize>) -> Result<PushConsumer, Failure> {
    let builder = PushConsumer::builder(group).client(client).subscribe(topic, "a");
    let started = builder
        .consume_from_where(ConsumeFromWhere::FirstOffset)
        .start(move |messages: Vec<_>| {
            came.fetch_add(messages.len(), Ordering::SeqCst);
            async { Consumed::Success }
        });
    Ok(started.await?)
}

pub(crate) fn with_queues(topic: &str, queues: u32) -> TopicConfig {
    TopicConfig {
        topic_name: topic.to_owned(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..TopicConfig::default()
    }
}

/// Waits for what a server does in its own time.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T, Failure> {
    let seen = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(TURN).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen)
        .await
        .map_err(|_| format!("no sign of {what} within {PATIENCE:?}").into())
}
