//! The owner of `subscriptionGroup.json`: makes, changes and deletes subscription groups. A change is saved and shown to
//! the connections before it is answered.
//!
//! It blocks in writing its file, so it lives on a thread that may. Built anew after a failure it reads the file again.

use std::sync::Arc;

use actix::{Actor, ActorFutureExt, AsyncContext, Handler, Message, MessageResult, ResponseFuture, WrapFuture};
use cuemq_net::body::{SubscriptionGroupConfig, SubscriptionGroupTable};
use cuemq_storage::clock::Clock;

use super::{GroupTable, GroupView, Protection, Refusal, SubscriptionGroup};
use crate::config::live::Switch;
use crate::supervise::{Cause, Context};
use crate::table_file::{ChangeError, NotSaved, TableFile, Unsaved};

/// Why a group was not made or changed.
pub type GroupError = ChangeError<Refusal>;

/// Find a group, or make it where its use makes it. From `Rebalance` and connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<SubscriptionGroup>, GroupError>")]
pub struct FindOrCreateGroup {
    /// The group.
    pub group: Arc<str>,
}

/// Make or change a group as an administrator wants it (code 200). From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Arc<SubscriptionGroup>, GroupError>")]
pub struct UpdateGroup {
    /// What it is to be, its name included.
    pub config: SubscriptionGroupConfig,
}

/// Make or change several groups (code 225), all or none. From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<(), GroupError>")]
pub struct UpdateGroups {
    /// What they are to be, their names included.
    pub configs: Vec<SubscriptionGroupConfig>,
}

/// Delete a group (code 207); answers what it was. From connections, bounded by their requests.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Option<Arc<SubscriptionGroup>>, GroupError>")]
pub struct DeleteGroup {
    /// The group.
    pub group: String,
}

/// Give the whole table: the answer to code 201. From connections, bounded by their requests.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "SubscriptionGroupTable")]
pub struct ExportGroups;

/// Write the file: to itself, behind all changes that are in the mailbox already.
#[derive(Message)]
#[rtype(result = "()")]
struct Save;

/// The owner of the table of groups.
pub struct Groups {
    table: GroupTable,
    file: TableFile,
    unsaved: Unsaved,
    clock: Arc<dyn Clock>,
    /// Who is too far behind, where that is looked after.
    protection: Option<Protection>,
}

impl Groups {
    /// Reads the file and shows its groups and the pre-created ones in `view`.
    ///
    /// # Errors
    /// When the file cannot be read, or is no table of groups.
    pub fn open(file: TableFile, auto_create: Switch, view: GroupView, clock: Arc<dyn Clock>) -> Result<Self, Cause> {
        let table = GroupTable::load(file.read()?, auto_create, view, clock.now_ms());
        Ok(Self {
            table,
            file,
            unsaved: Unsaved::default(),
            clock,
            protection: None,
        })
    }

    /// Groups of which those are not served any more that fall too far behind.
    #[must_use]
    pub fn protected(self, protection: Option<Protection>) -> Self {
        Self { protection, ..self }
    }

    /// Switches off the consumption of those who are too far behind.
    fn protect(&mut self, ctx: &mut Context<Self>) {
        let behind = self.protection.as_ref().map(Protection::too_far_behind);
        for (group, bytes) in behind.unwrap_or_default() {
            let config = self.table.get(&group).map(|group| group.config.clone());
            let Some(config) = config.filter(|config| config.consume_enable) else {
                continue;
            };
            tracing::warn!(
                %group,
                behind_bytes = bytes,
                "a consumer group is too far behind and is not served any more: let it skip messages, then enable it again"
            );
            let config = SubscriptionGroupConfig {
                consume_enable: false,
                ..config
            };
            let outcome = self.table.update(config, self.clock.now_ms());
            let saved = self.when_saved(outcome, ctx);
            ctx.spawn(saved.into_actor(self).map(|_, _, _| ()));
        }
    }

    /// Answers a change when it is saved; what changed nothing at once.
    fn when_saved<T: 'static>(
        &mut self,
        outcome: Result<T, Refusal>,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<Result<T, GroupError>> {
        let is_staged = self.table.is_staged();
        self.unsaved.answer(outcome, is_staged, || ctx.notify(Save))
    }
}

impl Actor for Groups {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(protection) = &self.protection {
            ctx.run_interval(protection.interval, Self::protect);
        }
    }
}

impl Handler<FindOrCreateGroup> for Groups {
    type Result = ResponseFuture<Result<Arc<SubscriptionGroup>, GroupError>>;

    fn handle(&mut self, find: FindOrCreateGroup, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.find_or_create(&find.group, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<UpdateGroup> for Groups {
    type Result = ResponseFuture<Result<Arc<SubscriptionGroup>, GroupError>>;

    fn handle(&mut self, update: UpdateGroup, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.update(update.config, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<UpdateGroups> for Groups {
    type Result = ResponseFuture<Result<(), GroupError>>;

    fn handle(&mut self, update: UpdateGroups, ctx: &mut Self::Context) -> Self::Result {
        let outcome = self.table.update_all(update.configs, self.clock.now_ms());
        self.when_saved(outcome, ctx)
    }
}

impl Handler<DeleteGroup> for Groups {
    type Result = ResponseFuture<Result<Option<Arc<SubscriptionGroup>>, GroupError>>;

    fn handle(&mut self, delete: DeleteGroup, ctx: &mut Self::Context) -> Self::Result {
        let outcome = Ok(self.table.delete(&delete.group, self.clock.now_ms()));
        self.when_saved(outcome, ctx)
    }
}

impl Handler<ExportGroups> for Groups {
    type Result = MessageResult<ExportGroups>;

    fn handle(&mut self, _: ExportGroups, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.table.export())
    }
}

impl Handler<Save> for Groups {
    type Result = ();

    fn handle(&mut self, _: Save, _: &mut Self::Context) {
        let unsaved = std::mem::take(&mut self.unsaved);
        match self.file.write(&self.table.export()) {
            Ok(()) => {
                self.table.publish();
                unsaved.settle(&Ok(()));
            }
            Err(error) => {
                tracing::error!(%error, "subscription groups cannot be saved");
                self.table.revert();
                unsaved.settle(&Err(NotSaved::Failed(Arc::new(error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use actix::Addr;
    use cuemq_storage::clock::ManualClock;
    use cuemq_storage::disk::memory::{Fault, Operation};

    use super::*;
    use crate::testing::{MemoryDisk, Stage};

    struct Scene {
        _stage: Stage,
        disk: Arc<MemoryDisk>,
        file: TableFile,
        view: GroupView,
        groups: Addr<Groups>,
    }

    impl Scene {
        fn new(auto_create: bool) -> Self {
            let auto_create = Switch::new(auto_create);
            let (mut stage, disk, view) = (Stage::new(), Arc::new(MemoryDisk::new(1)), GroupView::new());
            let file = TableFile::new(disk.clone(), PathBuf::from("/store/config/subscriptionGroup.json"));
            let (shown, path) = (view.clone(), file.clone());
            let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(1_000));
            let open = move || Groups::open(path.clone(), auto_create.clone(), shown.clone(), clock.clone());
            let groups = stage.start("groups", move |_| open());
            Self {
                _stage: stage,
                disk,
                file,
                view,
                groups,
            }
        }
    }

    #[actix::test]
    async fn a_group_is_saved_and_shown_before_it_is_answered() {
        let scene = Scene::new(true);
        let group = scene
            .groups
            .send(FindOrCreateGroup { group: "g".into() })
            .await
            .unwrap()
            .unwrap();
        assert!(Arc::ptr_eq(&group, &scene.view.get("g").unwrap()));
        let saved: SubscriptionGroupTable = scene.file.read().unwrap().unwrap();
        assert_eq!(saved, scene.groups.send(ExportGroups).await.unwrap());
        let config = SubscriptionGroupConfig {
            retry_max_times: 3,
            ..group.config.clone()
        };
        scene.groups.send(UpdateGroup { config }).await.unwrap().unwrap();
        assert_eq!(scene.view.get("g").unwrap().config.retry_max_times, 3);
        assert!(
            scene
                .groups
                .send(DeleteGroup { group: "g".to_owned() })
                .await
                .unwrap()
                .unwrap()
                .is_some()
        );
        assert!(!scene.view.contains("g"));
    }

    #[actix::test]
    async fn a_group_that_cannot_be_saved_or_may_not_be_made_is_not_made() {
        let scene = Scene::new(false);
        let refused = scene
            .groups
            .send(FindOrCreateGroup { group: "g".into() })
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(refused.to_string(), "subscription group not exist, g");
        scene.disk.inject(
            Fault::new(Operation::Write)
                .kind(std::io::ErrorKind::StorageFull)
                .times(1),
        );
        let system = FindOrCreateGroup {
            group: "CID_RMQ_SYS_TRANS".into(),
        };
        assert!(scene.groups.send(system.clone()).await.unwrap().is_err());
        assert!(!scene.view.contains("CID_RMQ_SYS_TRANS"));
        assert!(scene.groups.send(system).await.unwrap().is_ok());
    }
}
