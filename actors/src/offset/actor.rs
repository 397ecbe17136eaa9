//! The owner of `consumerOffset.json`: takes commits, answers how far groups have come, and writes the file every few
//! seconds while anything changed, and at its end.
//!
//! It blocks in writing its file, so it lives on a thread that may. A commit is not saved when it is answered, as in Java:
//! after a crash, or a failure of this actor, a group may see messages of the last seconds again.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, MessageResult, Running};
use cuemq_net::body::ConsumerOffsetTable;
use cuemq_storage::StoreError;

use super::{BadCommit, Commit, OffsetTable, OffsetView};
use crate::supervise::{Cause, Context};
use crate::table_file::TableFile;

/// Set these offsets; the good ones are set, and the first bad one is the answer. From connections, one for each of their
/// commits, by request or with a pull.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<(), BadCommit>")]
pub struct CommitOffsets {
    /// The commits, in the order in which they came.
    pub commits: Vec<Commit>,
}

/// Say what a group has committed on a queue (code 14). From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Option<i64>")]
pub struct FindOffset {
    /// The group.
    pub group: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The queue.
    pub queue_id: i32,
}

/// Say what a group has committed on a topic: queue and offset, sorted by queue. From connections, bounded by their
/// requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Vec<(i32, i64)>")]
pub struct FindOffsets {
    /// The group.
    pub group: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
}

/// Say on which topics a group has committed. From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Vec<Arc<str>>")]
pub struct FindTopicsOfGroup(pub Arc<str>);

/// Say which groups have committed on a topic. From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Vec<Arc<str>>")]
pub struct FindGroupsOfTopic(pub Arc<str>);

/// Give a group what another has committed on these topics (code 314). From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<(), BadCommit>")]
pub struct CopyOffsets {
    /// The group that has committed.
    pub from_group: Arc<str>,
    /// The group that gets it.
    pub to_group: Arc<str>,
    /// The topics.
    pub topics: Vec<Arc<str>>,
}

/// Forget what was committed. From connections, when a group or a topic is deleted.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub enum ForgetOffsets {
    /// By this group.
    OfGroup(Arc<str>),
    /// On this topic.
    OfTopic(Arc<str>),
}

/// Give the whole table: the answer to code 43. From connections, bounded by their requests.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "ConsumerOffsetTable")]
pub struct ExportOffsets;

/// Write the file now, if anything changed. From an orderly stop, once.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "Result<(), StoreError>")]
pub struct SaveOffsets;

/// The owner of the table of consumer offsets.
pub struct Offsets {
    table: OffsetView,
    file: TableFile,
    save_interval: Duration,
}

impl Offsets {
    /// Reads the file, and sets offsets beyond their queue's end back to it: `queue_end` gives the next queue offset to be
    /// written, `None` for a queue that does not exist. That is saved at once: the next messages take the places between the
    /// two, and a crash before the next save would let the group pass them over. `view` shows the table from then on.
    ///
    /// # Errors
    /// When the file cannot be read, or is no table of offsets.
    pub fn open(
        file: TableFile,
        save_interval: Duration,
        view: OffsetView,
        queue_end: impl Fn(&str, i32) -> Option<i64>,
    ) -> Result<Self, Cause> {
        let mut table = OffsetTable::load(file.read()?.unwrap_or_default());
        for clamped in table.clamp(queue_end) {
            let super::Clamped {
                group,
                topic,
                queue_id,
                from,
                to,
            } = clamped;
            tracing::warn!(%group, %topic, queue_id, from, to, "a consumer offset was beyond its queue's end");
        }
        *view.own() = table;
        let mut offsets = Self {
            table: view,
            file,
            save_interval,
        };
        offsets.save_or_warn();
        Ok(offsets)
    }

    fn save(&mut self) -> Result<(), StoreError> {
        let mut table = self.table.own();
        if table.is_dirty() {
            self.file.write(&table.export())?;
            table.mark_clean();
        }
        Ok(())
    }

    fn save_or_warn(&mut self) {
        if let Err(error) = self.save() {
            tracing::warn!(%error, "consumer offsets cannot be saved; they are kept and tried again");
        }
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), BadCommit> {
        let Commit {
            group,
            topic,
            queue_id,
            consumer_offset,
        } = commit;
        if let Some(from) = self.table.own().commit(group, topic, *queue_id, *consumer_offset)? {
            tracing::warn!(%group, %topic, queue_id, from, to = consumer_offset, "a consumer offset goes backwards");
        }
        Ok(())
    }
}

impl Actor for Offsets {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(self.save_interval, |offsets, _| offsets.save_or_warn());
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.save_or_warn();
        Running::Stop
    }
}

impl Handler<CommitOffsets> for Offsets {
    type Result = Result<(), BadCommit>;

    fn handle(&mut self, commit: CommitOffsets, _: &mut Self::Context) -> Self::Result {
        let outcomes = commit.commits.iter().map(|commit| self.commit(commit));
        // All are tried before the first error is given.
        outcomes.fold(Ok(()), Result::and)
    }
}

impl Handler<FindOffset> for Offsets {
    type Result = Option<i64>;

    fn handle(&mut self, find: FindOffset, _: &mut Self::Context) -> Self::Result {
        self.table.own().get(&find.group, &find.topic, find.queue_id)
    }
}

impl Handler<FindOffsets> for Offsets {
    type Result = Vec<(i32, i64)>;

    fn handle(&mut self, find: FindOffsets, _: &mut Self::Context) -> Self::Result {
        self.table.own().queues(&find.group, &find.topic).to_vec()
    }
}

impl Handler<FindTopicsOfGroup> for Offsets {
    type Result = Vec<Arc<str>>;

    fn handle(&mut self, FindTopicsOfGroup(group): FindTopicsOfGroup, _: &mut Self::Context) -> Self::Result {
        self.table.own().topics_of(&group)
    }
}

impl Handler<FindGroupsOfTopic> for Offsets {
    type Result = Vec<Arc<str>>;

    fn handle(&mut self, FindGroupsOfTopic(topic): FindGroupsOfTopic, _: &mut Self::Context) -> Self::Result {
        self.table.own().groups_of(&topic)
    }
}

impl Handler<CopyOffsets> for Offsets {
    type Result = Result<(), BadCommit>;

    fn handle(&mut self, copy: CopyOffsets, _: &mut Self::Context) -> Self::Result {
        copy.topics
            .iter()
            .try_for_each(|topic| self.table.own().copy(&copy.from_group, &copy.to_group, topic))
    }
}

impl Handler<ForgetOffsets> for Offsets {
    type Result = ();

    fn handle(&mut self, forget: ForgetOffsets, _: &mut Self::Context) {
        match forget {
            ForgetOffsets::OfGroup(group) => self.table.own().remove_group(&group),
            ForgetOffsets::OfTopic(topic) => self.table.own().remove_topic(&topic),
        }
    }
}

impl Handler<ExportOffsets> for Offsets {
    type Result = MessageResult<ExportOffsets>;

    fn handle(&mut self, _: ExportOffsets, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.table.own().export())
    }
}

impl Handler<SaveOffsets> for Offsets {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, _: SaveOffsets, _: &mut Self::Context) -> Self::Result {
        self.save()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use actix::Addr;
    use cuemq_storage::disk::memory::{Fault, Operation};

    use super::*;
    use crate::testing::{MemoryDisk, PATIENCE, Stage};

    fn file(disk: &Arc<MemoryDisk>) -> TableFile {
        TableFile::new(disk.clone(), PathBuf::from("/store/config/consumerOffset.json"))
    }

    fn start(stage: &mut Stage, disk: &Arc<MemoryDisk>, save_interval: Duration) -> Addr<Offsets> {
        let file = file(disk);
        stage.start("offsets", move |_| {
            Offsets::open(file.clone(), save_interval, OffsetView::default(), |_, queue_id| {
                (queue_id == 9).then_some(10)
            })
        })
    }

    fn commits(said: &[(i32, i64)]) -> CommitOffsets {
        let commit = |(queue_id, consumer_offset): &(i32, i64)| Commit {
            group: "g".into(),
            topic: "T".into(),
            queue_id: *queue_id,
            consumer_offset: *consumer_offset,
        };
        CommitOffsets {
            commits: said.iter().map(commit).collect(),
        }
    }

    const ALL: fn() -> FindOffsets = || FindOffsets {
        group: "g".into(),
        topic: "T".into(),
    };
    const NEVER: Duration = Duration::from_secs(3600);

    #[actix::test]
    async fn good_commits_of_a_batch_are_set_and_the_first_bad_one_is_told() {
        let (mut stage, disk) = (Stage::new(), Arc::new(MemoryDisk::new(1)));
        let offsets = start(&mut stage, &disk, NEVER);
        let answer = offsets
            .send(commits(&[(0, 7), (-1, 1), (1, -5), (1, 8)]))
            .await
            .unwrap();
        assert_eq!(answer, Err(BadCommit::Queue(-1)));
        assert_eq!(offsets.send(ALL()).await.unwrap(), [(0, 7), (1, 8)]);
    }

    #[actix::test]
    async fn offsets_are_saved_by_themselves_and_found_after_a_restart_clamped_to_their_queues() {
        let (mut stage, disk) = (Stage::new(), Arc::new(MemoryDisk::new(1)));
        let offsets = start(&mut stage, &disk, Duration::from_millis(1));
        offsets.send(commits(&[(0, 70), (9, 90)])).await.unwrap().unwrap();
        let saved = async {
            while file(&disk).read::<ConsumerOffsetTable>().unwrap().is_none() {
                actix_rt::task::yield_now().await;
            }
        };
        actix_rt::time::timeout(PATIENCE, saved).await.unwrap();
        let again = Offsets::open(file(&disk), NEVER, OffsetView::default(), |_, queue_id| {
            (queue_id == 9).then_some(10)
        })
        .unwrap();
        assert_eq!(again.table.own().queues("g", "T"), [(0, 70), (9, 10)]);
    }

    #[actix::test]
    async fn an_offset_beyond_its_queue_is_set_back_in_the_file_too_before_a_message_takes_its_place() {
        let disk = Arc::new(MemoryDisk::new(1));
        let mut table = OffsetTable::load(ConsumerOffsetTable::default());
        table.commit("g", "T", 9, 90).unwrap();
        file(&disk).write(&table.export()).unwrap();
        drop(Offsets::open(file(&disk), NEVER, OffsetView::default(), |_, _| Some(10)).unwrap());
        let later = Offsets::open(file(&disk), NEVER, OffsetView::default(), |_, _| Some(100)).unwrap();
        assert_eq!(later.table.own().queues("g", "T"), [(9, 10)]);
    }

    #[actix::test]
    async fn a_failed_save_is_told_and_made_up_for() {
        let (mut stage, disk) = (Stage::new(), Arc::new(MemoryDisk::new(1)));
        let offsets = start(&mut stage, &disk, NEVER);
        offsets.send(commits(&[(0, 7)])).await.unwrap().unwrap();
        disk.inject(
            Fault::new(Operation::Write)
                .kind(std::io::ErrorKind::StorageFull)
                .times(1),
        );
        assert!(offsets.send(SaveOffsets).await.unwrap().is_err());
        assert!(offsets.send(SaveOffsets).await.unwrap().is_ok());
        let saved: ConsumerOffsetTable = file(&disk).read().unwrap().unwrap();
        assert_eq!(saved, offsets.send(ExportOffsets).await.unwrap());
        offsets.send(ForgetOffsets::OfGroup("g".into())).await.unwrap();
        assert!(offsets.send(ALL()).await.unwrap().is_empty());
    }
}
