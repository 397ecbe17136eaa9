//! What a child tells its supervisor, and why a child fails.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use actix::Message;

use super::panic::Panicked;
use super::policy::Verdict;
use super::tree::ChildId;

/// Any error: of a factory that could not build its actor, or one an actor gives up with.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A child's state has changed. From each child to the broker system, at most a few for each restart in its budget.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ChildReport {
    /// Which child.
    pub child: ChildId,
    /// What happened.
    pub event: ChildEvent,
}

/// What happened to a child.
#[derive(Clone, Debug)]
pub enum ChildEvent {
    /// A value was built and started.
    Running,
    /// It failed; the verdict is being carried out.
    Failed {
        /// Why.
        failure: Failure,
        /// What follows.
        verdict: Verdict,
    },
    /// It ended by itself, on request, or because nobody holds its address any more.
    Stopped,
}

impl ChildEvent {
    /// Whether it was the child's last one.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self {
            Self::Running => false,
            Self::Failed { verdict, .. } => !matches!(verdict, Verdict::Restart { .. }),
            Self::Stopped => true,
        }
    }
}

/// Why a child failed.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Its code panicked.
    Panicked {
        /// What it was doing: the type of the message it handled last, or a phase of its life.
        doing: &'static str,
        /// The panic.
        panicked: Panicked,
    },
    /// Its factory gave an error.
    NotBuilt(Arc<dyn Error + Send + Sync>),
    /// It gave up by [`super::Context::fail`].
    GaveUp(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked { doing, panicked } => write!(f, "{panicked} ({doing})"),
            Self::NotBuilt(cause) => write!(f, "could not start: {cause}"),
            Self::GaveUp(cause) => write!(f, "gave up: {cause}"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Panicked { panicked, .. } => Some(panicked),
            Self::NotBuilt(cause) | Self::GaveUp(cause) => Some(cause.as_ref()),
        }
    }
}
