//! The owner of `<root>/cuemq/locks`, which keeps who has which queue over a restart: a consumer that lives through the death
//! of its broker goes on with the message that it has in hand, so that nobody else may get the queue meanwhile.
//!
//! It blocks in writing its file, so it lives on a thread that may. Only who holds what is kept, not since when: after a
//! restart each holder has the whole lock time to come back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix::{Actor, Handler, Message};
use cuemq_net::body::MessageQueue;
use cuemq_storage::StoreError;
use cuemq_storage::disk::Disk;
use cuemq_storage::snapshot::{self, Format};
use serde::{Deserialize, Serialize};

use crate::supervise::Context;

const FORMAT: Format = Format {
    kind: *b"LOCK",
    version: 1,
};

/// A lock as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLock {
    /// The group.
    pub group: String,
    /// The queue.
    pub queue: MessageQueue,
    /// The client that holds it.
    pub owner: String,
}

/// Keep these locks, and no others. From `Rebalance`, one under way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<(), StoreError>")]
pub struct KeepLocks(pub Vec<KeptLock>);

/// The owner of the file.
pub struct LockFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl LockFile {
    /// The file below a data directory.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, data: &Path) -> Self {
        Self {
            disk,
            path: data.join("cuemq").join("locks"),
        }
    }

    /// The locks that were kept last; none where there is no file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<Vec<KeptLock>, StoreError> {
        Ok(snapshot::read(self.disk.as_ref(), &self.path, FORMAT)?.unwrap_or_default())
    }
}

impl Actor for LockFile {
    type Context = Context<Self>;
}

impl Handler<KeepLocks> for LockFile {
    type Result = Result<(), StoreError>;

    fn handle(&mut self, KeepLocks(locks): KeepLocks, _: &mut Self::Context) -> Self::Result {
        snapshot::write(self.disk.as_ref(), &self.path, FORMAT, &locks)
    }
}
