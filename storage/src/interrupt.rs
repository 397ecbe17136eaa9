//! What recovery has to do with who waits for it: it asks now and then whether it is still wanted, and tells how far it is.

use std::fmt;
use std::sync::Arc;

use crate::error::{Result, StoreError};
use crate::steps::{Stage, Step, Steps};

/// Whether somebody wants recovery to end. It ends at points that are as good as a crash there: the next start recovers.
#[derive(Clone)]
pub struct Interrupt {
    is_asked: Arc<dyn Fn() -> bool + Send + Sync>,
    steps: Arc<Steps>,
}

impl Interrupt {
    /// Ends recovery as soon as `is_asked` says so.
    #[must_use]
    pub fn when(is_asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            is_asked: Arc::new(is_asked),
            steps: Arc::default(),
        }
    }

    /// Goes on, unless the end is asked for.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`] when it is.
    pub fn check(&self) -> Result<()> {
        if (self.is_asked)() {
            Err(StoreError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Tells how far it is, and goes on, unless the end is asked for.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`] when it is.
    pub fn reached(&self, stage: Stage, done: u64, total: u64) -> Result<()> {
        self.steps.tell(Step { stage, done, total });
        self.check()
    }

    /// How far it is, for whoever shows it.
    #[must_use]
    pub fn steps(&self) -> Arc<Steps> {
        Arc::clone(&self.steps)
    }
}

/// Nobody ever asks.
impl Default for Interrupt {
    fn default() -> Self {
        Self::when(|| false)
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Interrupt").finish_non_exhaustive()
    }
}
