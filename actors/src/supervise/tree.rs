//! The list of children, and all that is read from it: start order, stop order, health and the drawn tree.
//!
//! Plain logic: it holds no addresses. Children stand in the order in which they were started; a child's parent in the
//! drawing is one that stands before it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::mailbox::MailboxFigures;
use super::policy::{Policy, Verdict};
use super::report::{ChildEvent, ChildReport};
use crate::placement::Thread;

/// Names a child for as long as the tree lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(u64);

/// How a child is to be run.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// Its name: what the tree, the log and the faults call it.
    pub name: Arc<str>,
    /// The name of the child it is drawn under; none for the broker system itself.
    pub parent: Option<Arc<str>>,
    /// The thread it lives on.
    pub thread: Thread,
    /// What happens when it fails.
    pub policy: Policy,
    /// How many messages its mailbox takes from one address.
    pub capacity: usize,
    /// Started on first use and gone when it ends; drawn as a number, not one by one.
    pub on_demand: bool,
    /// What has gone through its mailbox.
    pub mailbox: Arc<MailboxFigures>,
}

impl ChildSpec {
    /// A child with a mailbox for 1024 messages that is restarted up to three times a minute.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, thread: Thread) -> Self {
        Self {
            name: name.into(),
            parent: None,
            thread,
            policy: Policy::RESTART,
            capacity: 1024,
            on_demand: false,
            mailbox: Arc::default(),
        }
    }

    /// Sets what happens when it fails.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Draws it under another child.
    #[must_use]
    pub fn under(self, parent: impl Into<Arc<str>>) -> Self {
        Self {
            parent: Some(parent.into()),
            ..self
        }
    }

    /// Sets how many messages its mailbox takes from one address.
    #[must_use]
    pub fn capacity(self, capacity: usize) -> Self {
        Self { capacity, ..self }
    }

    /// Makes it one of many that come and go.
    #[must_use]
    pub fn on_demand(self) -> Self {
        Self {
            on_demand: true,
            ..self
        }
    }
}

/// How a child, or the whole tree, is doing. The greater, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It runs.
    Running,
    /// It ended as it should.
    Stopped,
    /// It is being built for the first time.
    Starting,
    /// It failed and is being built anew.
    Restarting,
    /// It failed for good.
    Failed,
}

impl Health {
    /// Whether it is over.
    #[must_use]
    pub fn ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
        }
    }
}

/// One line of the list.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its id.
    pub id: ChildId,
    /// How it is run.
    pub spec: ChildSpec,
    /// How it is doing.
    pub health: Health,
    /// How often it was built anew.
    pub restarts: u64,
    /// Why it failed last.
    pub last_failure: Option<String>,
}

/// The list of children.
#[derive(Debug, Default)]
pub struct Tree {
    root: String,
    children: Vec<Child>,
    last_id: u64,
    restarts: u64,
}

impl Tree {
    /// An empty list, drawn under the name `root`.
    #[must_use]
    pub fn new(root: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            ..Self::default()
        }
    }

    /// Takes a child in, as starting. It takes the place of one of the same name that has ended.
    pub fn adopt(&mut self, spec: ChildSpec) -> ChildId {
        if !spec.on_demand {
            self.children
                .retain(|child| child.spec.name != spec.name || !child.health.ended());
        }
        self.last_id += 1;
        let id = ChildId(self.last_id);
        self.children.push(Child {
            id,
            spec,
            health: Health::Starting,
            restarts: 0,
            last_failure: None,
        });
        id
    }

    /// Notes what a child reported; true when its failure must be acted on by the whole system.
    pub fn note(&mut self, report: &ChildReport) -> bool {
        let Ok(place) = self.children.binary_search_by_key(&report.child, |child| child.id) else {
            return false;
        };
        let child = &mut self.children[place];
        match &report.event {
            ChildEvent::Running => child.health = Health::Running,
            ChildEvent::Stopped if child.spec.on_demand => {
                self.children.remove(place);
            }
            ChildEvent::Stopped => child.health = Health::Stopped,
            ChildEvent::Failed { failure, verdict } => {
                child.last_failure = Some(failure.to_string());
                child.health = match verdict {
                    Verdict::Restart { .. } => Health::Restarting,
                    Verdict::Escalate => Health::Failed,
                    Verdict::Leave => Health::Stopped,
                };
                let restarts = u64::from(child.health == Health::Restarting);
                child.restarts += restarts;
                self.restarts += restarts;
                if child.health == Health::Stopped && child.spec.on_demand {
                    self.children.remove(place);
                }
                return *verdict == Verdict::Escalate;
            }
        }
        false
    }

    /// The children in the order in which they were started; stop them in the reverse of it.
    #[must_use]
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// The first child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| &*child.spec.name == name)
    }

    /// A child's failure in words; empty for a child that is gone.
    #[must_use]
    pub fn told(&self, report: &ChildReport) -> String {
        let child = self.children.iter().find(|child| child.id == report.child);
        let failure = |child: &Child| child.last_failure.clone().unwrap_or_default();
        child.map_or_else(String::new, |child| format!("{}: {}", child.spec.name, failure(child)))
    }

    /// How often any child was built anew, those that are gone included.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// The health of the child that does worst; running when there are none.
    #[must_use]
    pub fn health(&self) -> Health {
        self.children
            .iter()
            .map(|child| child.health)
            .max()
            .unwrap_or(Health::Running)
    }

    /// The tree as text: one line for each child with its thread, policy, health and restarts.
    #[must_use]
    pub fn draw(&self) -> String {
        let mut text = format!("{}\n", self.root);
        self.draw_under(None, "", &mut text);
        text
    }

    fn draw_under(&self, parent: Option<&Child>, indent: &str, text: &mut String) {
        let name = parent.map(|child| &*child.spec.name);
        let below: Vec<_> = self
            .children
            .iter()
            .filter(|child| self.parent_of(child) == name)
            .collect();
        let on_demand: Vec<_> = below.iter().filter(|child| child.spec.on_demand).collect();
        let lasting: Vec<_> = below.iter().filter(|child| !child.spec.on_demand).collect();
        for (place, child) in lasting.iter().enumerate() {
            let last = place + 1 == lasting.len() && on_demand.is_empty();
            let line = format!("{indent}|- {}", child.spec.name);
            let _ = write!(
                text,
                "{line:<30} {:<14} {:<18}",
                child.spec.thread.to_string(),
                child.spec.policy.to_string()
            );
            let _ = write!(text, " {}", child.health.word());
            if child.restarts > 0 {
                let _ = write!(text, ", restarted {}x", child.restarts);
            }
            if let Some(failure) = &child.last_failure {
                let _ = write!(text, ", last failure: {failure}");
            }
            text.push('\n');
            self.draw_under(
                Some(child),
                &format!("{indent}{}", if last { "   " } else { "|  " }),
                text,
            );
        }
        if !on_demand.is_empty() {
            let running = on_demand.iter().filter(|child| child.health == Health::Running).count();
            let _ = writeln!(text, "{indent}|- {} on demand, {running} running", on_demand.len());
        }
    }

    /// The name of the child that this one is drawn under: one that stands before it, otherwise the root.
    fn parent_of(&self, child: &Child) -> Option<&str> {
        let parent = child.spec.parent.as_deref()?;
        let before = self.children.iter().take_while(|other| other.id < child.id);
        before.map(|other| &*other.spec.name).find(|name| *name == parent)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::supervise::{Cause, Failure};

    fn tell(tree: &mut Tree, child: ChildId, event: ChildEvent) -> bool {
        tree.note(&ChildReport { child, event })
    }

    fn failed(cause: &str, verdict: Verdict) -> ChildEvent {
        ChildEvent::Failed {
            failure: Failure::GaveUp(Cause::from(cause).into()),
            verdict,
        }
    }

    const AGAIN: Verdict = Verdict::Restart { after: Duration::ZERO };

    #[test]
    fn the_tree_is_drawn_with_threads_policies_and_health() {
        let mut tree = Tree::new("broker");
        let log = tree.adopt(ChildSpec::new("commit log", Thread::Log));
        let flusher = tree.adopt(
            ChildSpec::new("flusher", Thread::Flusher)
                .under("commit log")
                .policy(Policy::FailStop),
        );
        let queue = |number| {
            ChildSpec::new(format!("queue {number}"), Thread::Log)
                .under("commit log")
                .on_demand()
        };
        let queues = [tree.adopt(queue(0)), tree.adopt(queue(1))];
        let hold = tree.adopt(ChildSpec::new("hold 0", Thread::Io(0)).under("nobody"));
        for child in [log, flusher, queues[0], hold] {
            tell(&mut tree, child, ChildEvent::Running);
        }
        tell(&mut tree, hold, failed("no memory", AGAIN));
        tell(&mut tree, hold, ChildEvent::Running);
        let drawn = tree.draw();
        assert_eq!(
            drawn,
            "broker\n\
             |- commit log                  log            restart 3 in 60 s  running\n\
             |  |- flusher                  flusher        fail-stop          running\n\
             |  |- 2 on demand, 1 running\n\
             |- hold 0                      io-0           restart 3 in 60 s  running, restarted 1x, \
             last failure: gave up: no memory\n",
            "\n{drawn}"
        );
    }

    #[test]
    fn health_is_that_of_the_worst_child() {
        let mut tree = Tree::new("broker");
        assert_eq!(tree.health(), Health::Running);
        let (log, hold) = (
            tree.adopt(ChildSpec::new("log", Thread::Log)),
            tree.adopt(ChildSpec::new("hold", Thread::Io(0))),
        );
        assert_eq!(tree.health(), Health::Starting);
        assert!(!tell(&mut tree, log, ChildEvent::Running));
        assert!(!tell(&mut tree, hold, failed("no", AGAIN)));
        assert_eq!(tree.health(), Health::Restarting);
        assert!(tell(&mut tree, hold, failed("no", Verdict::Escalate)));
        assert_eq!((tree.health(), tree.restarts()), (Health::Failed, 1));
    }

    #[test]
    fn a_child_that_ends_stays_in_the_list_unless_it_was_on_demand() {
        let mut tree = Tree::new("broker");
        let queue = tree.adopt(ChildSpec::new("queue", Thread::Log).on_demand());
        let hold = tree.adopt(ChildSpec::new("hold", Thread::Io(0)));
        let failing = tree.adopt(ChildSpec::new("failing", Thread::Log).on_demand());
        tell(&mut tree, failing, failed("no", Verdict::Leave));
        for child in [queue, hold] {
            tell(&mut tree, child, ChildEvent::Stopped);
        }
        assert!(tree.child("failing").is_none());
        assert!(tree.child("queue").is_none());
        assert_eq!(tree.child("hold").unwrap().health, Health::Stopped);
        let next = tree.adopt(ChildSpec::new("hold", Thread::Io(0)));
        assert_eq!(tree.children().iter().map(|child| child.id).collect::<Vec<_>>(), [next]);
    }
}
