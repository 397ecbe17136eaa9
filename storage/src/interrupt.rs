//! Ending a start that takes long: recovery asks now and then whether it is still wanted.

use std::fmt;
use std::sync::Arc;

use crate::error::{Result, StoreError};

/// Whether somebody wants recovery to end. It ends at points that are as good as a crash there: the next start recovers.
#[derive(Clone)]
pub struct Interrupt(Arc<dyn Fn() -> bool + Send + Sync>);

impl Interrupt {
    /// Ends recovery as soon as `is_asked` says so.
    #[must_use]
    pub fn when(is_asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_asked))
    }

    /// Goes on, unless the end is asked for.
    ///
    /// # Errors
    /// [`StoreError::Interrupted`] when it is.
    pub fn check(&self) -> Result<()> {
        if (self.0)() {
            Err(StoreError::Interrupted)
        } else {
            Ok(())
        }
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
