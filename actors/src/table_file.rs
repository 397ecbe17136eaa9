//! The JSON file of a config table, and the changes that wait for it to be written.
//!
//! A change is answered only when it is in the file. Changes that come in while others wait share one write: the table's
//! owner stages them all and writes once when its mailbox has nothing more before that.

use std::path::PathBuf;
use std::sync::Arc;

use cuemq_net::body::Body;
use cuemq_net::dialect::Style;
use cuemq_storage::StoreError;
use cuemq_storage::disk::Disk;
use cuemq_storage::table::{read_table, write_table};
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

/// The file of a table.
#[derive(Clone)]
pub struct TableFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// Why a change that was not refused is not answered as made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotSaved {
    /// The file could not be written; the change has not been made.
    #[error("the change was not made, because its table cannot be saved: {0}")]
    Failed(Arc<StoreError>),
    /// The table's owner failed while the change was under way.
    #[error("whether the change was made is unknown, because its table failed: look, and try again")]
    Unknown,
}

/// Why a change of a table was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError<R: std::error::Error> {
    /// It is against the rules.
    #[error(transparent)]
    Refused(R),
    /// It is not in the table's file.
    #[error(transparent)]
    NotSaved(#[from] NotSaved),
}

impl TableFile {
    /// The file at `path`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// Reads the file; `None` when there is none yet.
    ///
    /// # Errors
    /// When neither it nor its `.bak` can be read and parsed.
    pub fn read<T: Body>(&self) -> Result<Option<T>, StoreError> {
        read_table(self.disk.as_ref(), &self.path, T::decode)
    }

    /// Writes the file. Blocks.
    ///
    /// # Errors
    /// When the disk fails; the file then has its old content or the new one.
    pub fn write(&self, table: &impl Body) -> Result<(), StoreError> {
        write_table(self.disk.as_ref(), &self.path, &table.encode(Style::Pretty))
    }
}

/// The changes that wait for the next write.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    waiting: Vec<oneshot::Sender<Result<(), NotSaved>>>,
}

impl Unsaved {
    /// Answers a change when it is saved, and at once what was refused or left nothing staged. `save` asks for the write
    /// where none is under way.
    pub(crate) fn answer<T: 'static, R: std::error::Error + 'static>(
        &mut self,
        outcome: Result<T, R>,
        is_staged: bool,
        save: impl FnOnce(),
    ) -> LocalBoxFuture<'static, Result<T, ChangeError<R>>> {
        let waits = outcome.is_ok() && is_staged;
        if waits && self.waiting.is_empty() {
            save();
        }
        let saved = waits.then(|| self.wait());
        Box::pin(async move {
            let value = outcome.map_err(ChangeError::Refused)?;
            if let Some(saved) = saved {
                saved.await.unwrap_or(Err(NotSaved::Unknown))?;
            }
            Ok(value)
        })
    }

    /// Whether no change waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn wait(&mut self) -> oneshot::Receiver<Result<(), NotSaved>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.push(sender);
        receiver
    }

    /// Tells all that wait.
    pub(crate) fn settle(self, outcome: &Result<(), NotSaved>) {
        for waiting in self.waiting {
            // Who asked may have gone.
            let _ = waiting.send(outcome.clone());
        }
    }
}
