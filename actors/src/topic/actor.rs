//! The owner of `topics.json`: makes, changes and deletes topics. A change is saved, shown to the connections and told to
//! the name servers before it is answered.
//!
//! It blocks in writing its file, so it lives on a thread that may. Built anew after a failure it reads the file again.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::dev::RecipientRequest;
use actix::{
    Actor, ActorFutureExt, AsyncContext, Handler, Message, MessageResult, Recipient, ResponseFuture, WrapFuture,
};
use cuemq_net::body::{TopicConfig, TopicConfigTable};
use cuemq_storage::clock::Clock;

use super::{OnSend, Refusal, SystemTopics, Topic, TopicTable, TopicView};
use crate::supervise::{Cause, Context};
use crate::table_file::{ChangeError, NotSaved, TableFile, Unsaved};

/// Why a topic was not made or changed.
pub type TopicError = ChangeError<Refusal>;

/// Find the topic of a send, or make it. From a connection, bounded by its requests under way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<Topic>, TopicError>")]
pub struct CreateTopicOnSend {
    /// The topic.
    pub topic: String,
    /// The topic in whose likeness it is to be made.
    pub default_topic: String,
    /// How many queues the client wants at most.
    pub queue_nums: i32,
    /// Whether the sender belongs to a unit.
    pub unit: bool,
}

/// Find the retry topic of a group, or make it. From `Rebalance` and connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<Topic>, TopicError>")]
pub struct CreateRetryTopic {
    /// The group.
    pub group: Arc<str>,
    /// How many queues it is to have.
    pub queue_nums: u32,
    /// Whether the group belongs to a unit.
    pub unit: bool,
}

/// Find the dead-letter topic of a group, or make it. From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<Topic>, TopicError>")]
pub struct CreateDeadLetterTopic {
    /// The group.
    pub group: Arc<str>,
}

/// Find a topic that the broker itself needs, or make it. From the broker's actors, a few in their lives.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<Topic>, TopicError>")]
pub struct CreateOwnTopic {
    /// The topic.
    pub topic: String,
    /// What it is to be.
    pub config: TopicConfig,
}

/// Make or change a topic as an administrator wants it (code 17). From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<Topic>, TopicError>")]
pub struct UpdateTopic {
    /// The topic.
    pub topic: String,
    /// What it is to be.
    pub config: TopicConfig,
}

/// Make or change several topics (code 18), all or none. From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<(), TopicError>")]
pub struct UpdateTopics {
    /// What they are to be, their names included.
    pub configs: Vec<TopicConfig>,
}

/// Delete a topic (code 215); answers what it was. From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Option<Arc<Topic>>, TopicError>")]
pub struct DeleteTopic {
    /// The topic.
    pub topic: String,
}

/// Give the topics a new version as they are, so that the name servers take them anew: what may be done with the broker has
/// changed. From `Settings`, once for each such change.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Result<(), TopicError>")]
pub struct RenewTopics;

/// Mark these topics, and no others, as order topics; answers whether that changed any. From `Registrar`, one for each
/// registration.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<bool, TopicError>")]
pub struct MarkOrderTopics {
    /// The topics that the name server's order configuration names.
    pub topics: BTreeSet<String>,
}

/// Give the whole table: for registration, and the answer to code 21. From `Registrar` and connections.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "TopicConfigTable")]
pub struct ExportTopics;

/// The table of topics has changed. From `Topics` to `Registrar`, one for each write; the changes are answered when this
/// is handled, so that a route is known before a send's answer.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct TopicsChanged {
    /// The table as it is now.
    pub table: Arc<TopicConfigTable>,
}

/// Write the file: to itself, behind all changes that are in the mailbox already, and when the name servers have heard of
/// those that were written last. The file and a registration hold all topics, so changes that come meanwhile share the next.
#[derive(Message)]
#[rtype(result = "()")]
struct Save;

/// The owner of the table of topics.
pub struct Topics {
    table: TopicTable,
    file: TableFile,
    unsaved: Unsaved,
    /// Whether the name servers are hearing of what was written last.
    telling: bool,
    clock: Arc<dyn Clock>,
    registrar: Option<Recipient<TopicsChanged>>,
}

impl Topics {
    /// Reads the file and shows its topics and the system's in `view`. Changes are told to `registrar`, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read, or is no table of topics.
    pub fn open(
        file: TableFile,
        system: SystemTopics,
        view: TopicView,
        clock: Arc<dyn Clock>,
        registrar: Option<Recipient<TopicsChanged>>,
    ) -> Result<Self, Cause> {
        let table = TopicTable::load(file.read()?, system, view, clock.now_ms())?;
        Ok(Self {
            table,
            file,
            unsaved: Unsaved::default(),
            telling: false,
            clock,
            registrar,
        })
    }

    /// Answers a change when it is saved; what changed nothing at once.
    fn when_saved<T: 'static>(
        &mut self,
        outcome: Result<T, Refusal>,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<Result<T, TopicError>> {
        let is_staged = self.table.is_staged();
        self.unsaved.answer(outcome, is_staged, || ctx.notify(Save))
    }

    /// Tells the name servers of the table, then answers the changes, and writes those that have come meanwhile.
    fn tell(&mut self, table: TopicConfigTable, unsaved: Unsaved, ctx: &mut Context<Self>) {
        let changed = TopicsChanged { table: Arc::new(table) };
        let told = self.registrar.as_ref().map(|registrar| registrar.send(changed));
        self.telling = true;
        let settled = settle_when(told, unsaved).into_actor(self);
        ctx.spawn(settled.map(|(), topics, ctx| {
            topics.telling = false;
            if !topics.unsaved.is_empty() {
                ctx.notify(Save);
            }
        }));
    }
}

impl Actor for Topics {
    type Context = Context<Self>;
}

impl Handler<CreateTopicOnSend> for Topics {
    type Result = ResponseFuture<Result<Arc<Topic>, TopicError>>;

    fn handle(&mut self, create: CreateTopicOnSend, ctx: &mut Self::Context) -> Self::Result {
        let CreateTopicOnSend {
            topic,
            default_topic,
            queue_nums,
            unit,
        } = &create;
        let wanted = OnSend {
            topic,
            default_topic,
            queue_nums: *queue_nums,
            unit: *unit,
        };
        let outcome = self.table.create_on_send(wanted, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<CreateRetryTopic> for Topics {
    type Result = ResponseFuture<Result<Arc<Topic>, TopicError>>;

    fn handle(&mut self, create: CreateRetryTopic, ctx: &mut Self::Context) -> Self::Result {
        let now_ms = self.clock.now_ms();
        let outcome = self
            .table
            .create_retry(&create.group, create.queue_nums, create.unit, now_ms);
        self.when_saved(outcome, ctx)
    }
}

impl Handler<CreateDeadLetterTopic> for Topics {
    type Result = ResponseFuture<Result<Arc<Topic>, TopicError>>;

    fn handle(&mut self, create: CreateDeadLetterTopic, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.create_dead_letter(&create.group, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<CreateOwnTopic> for Topics {
    type Result = ResponseFuture<Result<Arc<Topic>, TopicError>>;

    fn handle(&mut self, create: CreateOwnTopic, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.create_own(&create.topic, create.config, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<UpdateTopic> for Topics {
    type Result = ResponseFuture<Result<Arc<Topic>, TopicError>>;

    fn handle(&mut self, update: UpdateTopic, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.update(&update.topic, update.config, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<UpdateTopics> for Topics {
    type Result = ResponseFuture<Result<(), TopicError>>;

    fn handle(&mut self, update: UpdateTopics, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.update_all(update.configs, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<DeleteTopic> for Topics {
    type Result = ResponseFuture<Result<Option<Arc<Topic>>, TopicError>>;

    fn handle(&mut self, delete: DeleteTopic, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.delete(&delete.topic, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<RenewTopics> for Topics {
    type Result = ResponseFuture<Result<(), TopicError>>;

    fn handle(&mut self, _: RenewTopics, ctx: &mut Self::Context) -> Self::Result {
        self.table.touch(self.clock.now_ms());
        self.when_saved(Ok(()), ctx)
    }
}

impl Handler<MarkOrderTopics> for Topics {
    type Result = ResponseFuture<Result<bool, TopicError>>;

    fn handle(&mut self, mark: MarkOrderTopics, ctx: &mut Self::Context) -> Self::Result {
        let outcome = Ok(self.table.mark_order(&mark.topics, self.clock.now_ms()));
        self.when_saved(outcome, ctx)
    }
}

impl Handler<ExportTopics> for Topics {
    type Result = MessageResult<ExportTopics>;

    fn handle(&mut self, _: ExportTopics, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.table.export())
    }
}

impl Handler<Save> for Topics {
    type Result = ();

    fn handle(&mut self, _: Save, ctx: &mut Self::Context) {
        if self.telling {
            return;
        }
        let unsaved = std::mem::take(&mut self.unsaved);
        let table = self.table.export();
        if let Err(error) = self.file.write(&table) {
            tracing::error!(%error, "topics cannot be saved");
            self.table.revert();
            return unsaved.settle(&Err(NotSaved::Failed(Arc::new(error))));
        }
        self.table.publish();
        self.tell(table, unsaved, ctx);
    }
}

/// Answers saved changes when the registrar has heard of them.
async fn settle_when(told: Option<RecipientRequest<TopicsChanged>>, unsaved: Unsaved) {
    if let Some(told) = told
        && let Err(error) = told.await
    {
        tracing::warn!(%error, "name servers were not told of a changed topic");
    }
    unsaved.settle(&Ok(()));
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::rc::Rc;

    use actix::Addr;
    use cuemq_storage::clock::ManualClock;
    use cuemq_storage::disk::memory::{Fault, Operation};
    use tokio::sync::Semaphore;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::super::with_queues;
    use super::*;
    use crate::supervise::Site;
    use crate::testing::{MemoryDisk, Probe, Stage};

    struct Scene {
        stage: Stage,
        disk: Arc<MemoryDisk>,
        view: TopicView,
        changed: Probe<TopicsChanged>,
        topics: Addr<Topics>,
    }

    impl Scene {
        fn new() -> Self {
            let changed = Probe::new();
            let registrar = changed.recipient();
            Self {
                changed,
                ..Self::with_registrar(registrar)
            }
        }

        fn with_registrar(registrar: Recipient<TopicsChanged>) -> Self {
            let (mut stage, disk, view) = (Stage::new(), Arc::new(MemoryDisk::new(1)), TopicView::new());
            let changed = Probe::new();
            let file = TableFile::new(disk.clone(), PathBuf::from("/store/config/topics.json"));
            let shown = view.clone();
            let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(1_000));
            let topics = stage.start("topics", move |_| {
                let system = SystemTopics::default();
                Topics::open(
                    file.clone(),
                    system,
                    shown.clone(),
                    clock.clone(),
                    Some(registrar.clone()),
                )
            });
            Self {
                stage,
                disk,
                view,
                changed,
                topics,
            }
        }

        fn saved(&self) -> TopicConfigTable {
            let file = TableFile::new(self.disk.clone(), PathBuf::from("/store/config/topics.json"));
            file.read().unwrap().unwrap_or_default()
        }
    }

    fn on_send(topic: &str) -> CreateTopicOnSend {
        CreateTopicOnSend {
            topic: topic.to_owned(),
            default_topic: "TBW102".to_owned(),
            queue_nums: 4,
            unit: false,
        }
    }

    #[actix::test]
    async fn a_topic_is_saved_shown_and_registered_before_it_is_answered() {
        let mut scene = Scene::new();
        let topic = scene.topics.send(on_send("T")).await.unwrap().unwrap();
        assert_eq!(topic.config.write_queue_nums, 4);
        assert!(scene.view.contains("T"));
        assert!(scene.saved().topic_config_table.contains_key("T"));
        assert!(scene.changed.next().await.table.topic_config_table.contains_key("T"));
        let again = scene.topics.send(on_send("T")).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&topic, &again));
        assert!(scene.changed.drain().await.is_empty());
    }

    #[actix::test]
    async fn changes_that_come_together_share_one_write() {
        let mut scene = Scene::new();
        let names: Vec<_> = (0..50).map(|number| format!("T{number}")).collect();
        let created = futures_util::future::join_all(names.iter().map(|name| scene.topics.send(on_send(name)))).await;
        assert!(created.into_iter().all(|answer| answer.unwrap().is_ok()));
        assert_eq!(scene.changed.drain().await.len(), 1);
        let table = scene.topics.send(ExportTopics).await.unwrap();
        assert_eq!(table.data_version.counter, 50);
        assert_eq!(scene.saved(), table);
    }

    /// Name servers that take their time: it tells how many topics came, and goes on when it is let.
    struct Slow {
        came: UnboundedSender<usize>,
        goes_on: Rc<Semaphore>,
    }

    impl Actor for Slow {
        type Context = actix::Context<Self>;
    }

    impl Handler<TopicsChanged> for Slow {
        type Result = ResponseFuture<()>;

        fn handle(&mut self, changed: TopicsChanged, _: &mut Self::Context) -> Self::Result {
            self.came.send(changed.table.topic_config_table.len()).unwrap();
            let goes_on = Rc::clone(&self.goes_on);
            Box::pin(async move { goes_on.acquire().await.unwrap().forget() })
        }
    }

    #[actix::test]
    async fn changes_that_come_while_name_servers_hear_of_others_share_the_next_write() {
        let (came, mut told) = unbounded_channel();
        let goes_on = Rc::new(Semaphore::new(0));
        let slow = Slow {
            came,
            goes_on: Rc::clone(&goes_on),
        };
        let scene = Scene::with_registrar(slow.start().recipient());
        let before = scene.topics.send(ExportTopics).await.unwrap().topic_config_table.len();
        let names: Vec<_> = (0..50).map(|number| format!("T{number}")).collect();
        let first = scene.topics.send(on_send("first"));
        let others = async {
            assert_eq!(told.recv().await, Some(before + 1));
            let others = futures_util::future::join_all(names.iter().map(|name| scene.topics.send(on_send(name))));
            let release = async {
                // Behind them in the mailbox.
                scene.topics.send(ExportTopics).await.unwrap();
                goes_on.add_permits(2);
            };
            let (made, ()) = futures_util::future::join(others, release).await;
            assert!(made.into_iter().all(|answer| answer.unwrap().is_ok()));
        };
        let (first, ()) = futures_util::future::join(first, others).await;
        assert!(first.unwrap().is_ok());
        assert_eq!(told.recv().await, Some(before + 51), "one registration for all of them");
        assert!(told.try_recv().is_err());
    }

    #[actix::test]
    async fn a_topic_that_cannot_be_saved_is_not_made() {
        let mut scene = Scene::new();
        scene.disk.inject(
            Fault::new(Operation::Write)
                .kind(std::io::ErrorKind::StorageFull)
                .times(1),
        );
        let refused = scene.topics.send(on_send("T")).await.unwrap().unwrap_err();
        assert!(refused.to_string().starts_with("the change was not made"), "{refused}");
        assert!(!scene.view.contains("T"));
        assert!(scene.changed.drain().await.is_empty());
        assert!(scene.topics.send(on_send("T")).await.unwrap().is_ok());
        assert_eq!(scene.topics.send(ExportTopics).await.unwrap().data_version.counter, 1);
    }

    #[actix::test]
    async fn a_refusal_is_answered_with_java_s_words() {
        let scene = Scene::new();
        let update = UpdateTopic {
            topic: "TBW102".to_owned(),
            config: with_queues(1),
        };
        let refused = scene.topics.send(update).await.unwrap().unwrap_err();
        assert_eq!(refused.to_string(), "The topic[TBW102] is conflict with system topic.");
    }

    #[actix::test]
    async fn a_rebuilt_owner_has_the_saved_topics_under_their_numbers() {
        let scene = Scene::new();
        let topic = scene.topics.send(on_send("T")).await.unwrap().unwrap();
        scene.stage.faults.arm("topics", Site::Handler, 1);
        assert!(scene.topics.send(ExportTopics).await.is_err());
        let again = scene.topics.send(on_send("T")).await.unwrap().unwrap();
        assert_eq!(topic.id, again.id);
        assert!(
            scene
                .topics
                .send(DeleteTopic { topic: "T".to_owned() })
                .await
                .unwrap()
                .unwrap()
                .is_some()
        );
        assert!(!scene.view.contains("T") && !scene.saved().topic_config_table.contains_key("T"));
    }
}
