//! What pulls have other actors do on their way: offsets to be committed and groups to be made. Nobody waits for it, so no
//! count of requests bounds it; what is under way is kept here, one entry for each queue and for each group.
//!
//! Commits have no timer: while `Offsets` works on one message of them, the next gather, and the last one of a queue counts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;
use cuemq_net::request::PullHeader;
use cuemq_storage::hash::{Map, Set};

use crate::group::actor::FindOrCreateGroup;
use crate::group::is_group_name;
use crate::offset::Commit;
use crate::offset::actor::CommitOffsets;

/// The most queues whose commits wait; what is beyond is left to the client's own commit, a few seconds later.
const COMMITS_MAX: usize = 16_384;
/// The most groups that are being made for pulls; what is beyond is made for a later pull.
const GROUPS_MAX: usize = 1024;

/// Commits by group, topic and queue.
type Gathered = Map<(Arc<str>, Arc<str>, i32), i64>;

/// The commits of one I/O thread's pulls.
pub(super) struct PendingCommits {
    to: Recipient<CommitOffsets>,
    gathered: RefCell<Gathered>,
    under_way: Cell<bool>,
}

impl PendingCommits {
    pub(super) fn new(to: Recipient<CommitOffsets>) -> Rc<Self> {
        Rc::new(Self {
            to,
            gathered: RefCell::default(),
            under_way: Cell::new(false),
        })
    }

    /// Commits what a pull says, at once or with others.
    pub(super) fn add(self: &Rc<Self>, header: &PullHeader<'_>) {
        if header.commit_offset < 0 {
            return;
        }
        let key = (
            Arc::from(header.consumer_group),
            Arc::from(header.topic),
            header.queue_id,
        );
        let mut gathered = self.gathered.borrow_mut();
        if gathered.len() < COMMITS_MAX || gathered.contains_key(&key) {
            gathered.insert(key, header.commit_offset);
        }
        drop(gathered);
        if !self.under_way.replace(true) {
            let pending = Rc::clone(self);
            drop(actix_rt::spawn(async move { pending.send_all().await }));
        }
    }

    /// What was gathered for a queue: a client that asks finds what its pull has said before.
    pub(super) fn gathered(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        let gathered = self.gathered.borrow();
        if gathered.is_empty() {
            return None;
        }
        gathered.get(&(Arc::from(group), Arc::from(topic), queue_id)).copied()
    }

    /// Forgets what was gathered for a queue: its client has committed by itself since.
    pub(super) fn overtaken(&self, group: &str, topic: &str, queue_id: i32) {
        let mut gathered = self.gathered.borrow_mut();
        if !gathered.is_empty() {
            gathered.remove(&(Arc::from(group), Arc::from(topic), queue_id));
        }
    }

    async fn send_all(&self) {
        loop {
            let gathered = self.gathered.take();
            if gathered.is_empty() {
                break;
            }
            let commit = |((group, topic, queue_id), consumer_offset)| Commit {
                group,
                topic,
                queue_id,
                consumer_offset,
            };
            let commits = gathered.into_iter().map(commit).collect();
            match self.to.send(CommitOffsets { commits }).await {
                Ok(Ok(())) => {}
                Ok(Err(bad)) => tracing::debug!(%bad, "a pull commits what cannot be"),
                Err(error) => tracing::debug!(%error, "commits of pulls are lost; their clients commit again"),
            }
        }
        self.under_way.set(false);
    }
}

/// The groups that one I/O thread's pulls want.
pub(super) struct PendingGroups {
    to: Recipient<FindOrCreateGroup>,
    under_way: RefCell<Set<Arc<str>>>,
}

impl PendingGroups {
    pub(super) fn new(to: Recipient<FindOrCreateGroup>) -> Rc<Self> {
        Rc::new(Self {
            to,
            under_way: RefCell::default(),
        })
    }

    /// Has a group made, unless that is under way already or its name forbids it.
    pub(super) fn make(self: &Rc<Self>, group: &str) {
        let mut under_way = self.under_way.borrow_mut();
        if under_way.len() >= GROUPS_MAX || !is_group_name(group) || under_way.contains(group) {
            return;
        }
        let group: Arc<str> = Arc::from(group);
        under_way.insert(Arc::clone(&group));
        let pending = Rc::clone(self);
        drop(actix_rt::spawn(async move {
            let find = FindOrCreateGroup {
                group: Arc::clone(&group),
            };
            match pending.to.send(find).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%group, %error, "a group was not made for a pull"),
                Err(error) => tracing::debug!(%group, %error, "a group could not be made for a pull"),
            }
            pending.under_way.borrow_mut().remove(&group);
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_file::{ChangeError, NotSaved};
    use crate::testing::Probe;

    fn pull(queue_id: i32, commit_offset: i64) -> PullHeader<'static> {
        PullHeader {
            consumer_group: "g",
            topic: "T",
            queue_id,
            queue_offset: 0,
            max_msg_nums: 32,
            sys_flag: 1,
            commit_offset,
            suspend_timeout_millis: 0,
            subscription: None,
            sub_version: None,
            expression_type: None,
            max_msg_bytes: None,
        }
    }

    #[actix::test]
    async fn while_commits_are_under_way_the_last_one_of_each_queue_is_kept_and_no_more() {
        let mut offsets: Probe<CommitOffsets> = Probe::answering(|_| Ok(()));
        let pending = PendingCommits::new(offsets.recipient());
        for offset in 0..10_000 {
            pending.add(&pull(0, offset));
            pending.add(&pull(1, offset));
        }
        assert_eq!(pending.gathered.borrow().len(), 2);
        let mut commits = offsets.next().await.commits;
        commits.sort_unstable_by_key(|commit| commit.queue_id);
        let told: Vec<_> = commits.iter().map(|c| (c.queue_id, c.consumer_offset)).collect();
        assert_eq!(told, [(0, 9_999), (1, 9_999)]);
        offsets.expect_none().await;
        pending.add(&pull(0, 10_000));
        assert_eq!(offsets.next().await.commits[0].consumer_offset, 10_000);
    }

    #[actix::test]
    async fn a_commit_that_its_client_has_overtaken_is_not_made_after_it() {
        let mut offsets: Probe<CommitOffsets> = Probe::answering(|_| Ok(()));
        let pending = PendingCommits::new(offsets.recipient());
        pending.add(&pull(0, 5));
        pending.add(&pull(1, 5));
        assert_eq!(pending.gathered("g", "T", 0), Some(5), "who asks finds it");
        pending.overtaken("g", "T", 0);
        assert_eq!(pending.gathered("g", "T", 0), None);
        let commits = offsets.next().await.commits;
        assert_eq!(commits.iter().map(|c| c.queue_id).collect::<Vec<_>>(), [1]);
    }

    #[actix::test]
    async fn commits_of_more_queues_than_may_wait_are_left_to_the_client() {
        let offsets: Probe<CommitOffsets> = Probe::answering(|_| Ok(()));
        let pending = PendingCommits::new(offsets.recipient());
        for queue_id in 0..20_000 {
            pending.add(&pull(queue_id, 1));
        }
        assert_eq!(pending.gathered.borrow().len(), COMMITS_MAX);
    }

    #[actix::test]
    async fn a_group_that_many_pulls_want_is_asked_for_once() {
        let answer = |_: &FindOrCreateGroup| Err(ChangeError::NotSaved(NotSaved::Unknown));
        let mut groups: Probe<FindOrCreateGroup> = Probe::answering(answer);
        let pending = PendingGroups::new(groups.recipient());
        for _ in 0..1_000 {
            pending.make("g");
        }
        pending.make("no name");
        assert_eq!(&*groups.next().await.group, "g");
        groups.expect_none().await;
    }

    #[actix::test]
    async fn groups_with_ever_new_names_do_not_pile_up() {
        let answer = |_: &FindOrCreateGroup| Err(ChangeError::NotSaved(NotSaved::Unknown));
        let groups: Probe<FindOrCreateGroup> = Probe::answering(answer);
        let pending = PendingGroups::new(groups.recipient());
        for number in 0..5_000 {
            pending.make(&format!("g{number}"));
        }
        assert_eq!(pending.under_way.borrow().len(), GROUPS_MAX);
    }
}
