//! Where a consumer keeps how far its group has come (`OffsetStore` in Java): in memory all the time, and now and then at
//! the brokers, or in a file where it broadcasts.

mod in_use;
mod local;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::body::{MessageModel, MessageQueue};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::request::{QueryOffset, UpdateOffset};
use cuemq_net::response::OffsetResponse;

use in_use::InUse;
pub use local::LocalOffsetsError;
use local::OffsetsFile;
use table::OffsetTable;

use crate::consumer::pull::MASTER;
use crate::error::{Cause, Error, refusal};
use crate::instance::Client;

/// How long a broker may take to tell or take an offset.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The offsets of one group.
pub(crate) struct OffsetStore {
    group: String,
    table: Mutex<OffsetTable>,
    /// Where a broadcasting consumer keeps them; brokers keep those of the others.
    file: Option<OffsetsFile>,
    /// That the file is this consumer's, until it ends.
    in_use: Mutex<Option<InUse>>,
}

impl OffsetStore {
    /// Keeps them at the brokers (`RemoteBrokerOffsetStore`).
    fn at_brokers(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            table: Mutex::default(),
            file: None,
            in_use: Mutex::default(),
        }
    }

    /// Keeps them in a file (`LocalFileOffsetStore`), and begins with what it has.
    ///
    /// # Errors
    /// When another consumer of the process has the file, or there is one that cannot be read.
    fn in_file(group: &str, file: OffsetsFile) -> Result<Self, LocalOffsetsError> {
        let store = Self {
            in_use: Mutex::new(Some(InUse::take(file.path())?)),
            file: Some(file.clone()),
            ..Self::at_brokers(group)
        };
        store.table().load(file.load()?);
        Ok(store)
    }

    /// Lets another consumer of the process have the file: this one has saved its offsets for the last time.
    pub(crate) fn end(&self) {
        // taken out of the lock before it is dropped, which takes another one
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(in_use);
    }

    /// That of a consumer: brokers keep the offsets of one that shares, and a file below `directory` those of one that
    /// broadcasts.
    ///
    /// # Errors
    /// When another consumer of the process has the file, as two have that broadcast in one group and give their clients the
    /// same name or none, or when there is one that cannot be read.
    pub(crate) fn of(
        client: &Client,
        group: &str,
        message_model: MessageModel,
        directory: Option<&Path>,
    ) -> Result<Self, Error> {
        if message_model == MessageModel::Clustering {
            return Ok(Self::at_brokers(group));
        }
        let directory = directory.map_or_else(OffsetsFile::default_directory, Path::to_path_buf);
        let file = OffsetsFile::new(&directory, &client.lasting_id(), group);
        Self::in_file(group, file).map_err(|error| Cause::Invalid(error.to_string()).nowhere())
    }

    /// Writes the file, which is another's once this has ended.
    fn store_in(&self, file: &OffsetsFile, offsets: BTreeMap<MessageQueue, i64>) {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.is_none() {
            return;
        }
        if let Err(error) = file.store(offsets) {
            tracing::error!(%error, "offsets are not saved; messages will come again after a restart");
        }
    }

    fn table(&self) -> MutexGuard<'_, OffsetTable> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in memory.
    pub(crate) fn in_memory(&self, queue: &MessageQueue) -> Option<i64> {
        self.table().get(queue)
    }

    /// Notes progress; never back.
    pub(crate) fn advance(&self, queue: &MessageQueue, queue_offset: i64) {
        self.table().advance(queue, queue_offset);
    }

    /// Notes an offset, also a lower one.
    pub(crate) fn set(&self, queue: &MessageQueue, queue_offset: i64) {
        self.table().set(queue, queue_offset);
    }

    /// What is in memory.
    pub(crate) fn all(&self) -> BTreeMap<MessageQueue, i64> {
        self.table().of_topic(None)
    }

    /// What is in memory of a topic.
    pub(crate) fn of_topic(&self, topic: &str) -> BTreeMap<MessageQueue, i64> {
        self.table().of_topic(Some(topic))
    }

    /// Reads what is kept, past the memory; `None` where nothing is kept.
    ///
    /// # Errors
    /// When the broker cannot be asked, or does not say.
    pub(crate) async fn kept(&self, client: &Client, queue: &MessageQueue) -> Result<Option<i64>, Error> {
        match &self.file {
            Some(_) => Ok(self.in_memory(queue)),
            None => query(client, &self.group, queue).await,
        }
    }

    /// Reads what is kept, past the memory, and notes it; `None` where nothing is kept.
    ///
    /// # Errors
    /// When the broker cannot be asked, or does not say.
    pub(crate) async fn read(&self, client: &Client, queue: &MessageQueue) -> Result<Option<i64>, Error> {
        let kept = self.kept(client, queue).await?;
        if let Some(queue_offset) = kept {
            self.set(queue, queue_offset);
        }
        Ok(kept)
    }

    /// Saves the offsets of these queues, of which others are forgotten, without waiting for the brokers' answers.
    pub(crate) async fn persist(&self, client: &Client, queues: &BTreeSet<MessageQueue>) {
        if queues.is_empty() {
            return;
        }
        let offsets = {
            let mut table = self.table();
            if self.file.is_none() {
                table.keep(queues);
            }
            table.of_topic(None)
        };
        if let Some(file) = &self.file {
            self.store_in(file, offsets);
            return;
        }
        for (queue, queue_offset) in offsets {
            if let Err(error) = tell(client, &self.group, &queue, queue_offset).await {
                tracing::warn!(group = self.group, ?queue, queue_offset, %error, "an offset is not saved yet");
            }
        }
    }

    /// Saves the offset of a queue, and waits until that is done.
    ///
    /// # Errors
    /// When the broker cannot be told.
    pub(crate) async fn save(&self, client: &Client, queue: &MessageQueue) -> Result<(), Error> {
        let Some(queue_offset) = self.in_memory(queue) else {
            return Ok(());
        };
        match &self.file {
            Some(file) => self.store_in(file, self.all()),
            None => update(client, &self.group, queue, queue_offset).await?,
        }
        Ok(())
    }

    /// Saves the offset of a queue that goes to somebody else, and forgets it: when this returns without an error, whoever
    /// asks next is told this offset.
    ///
    /// # Errors
    /// When the broker cannot be told.
    pub(crate) async fn hand_over(&self, client: &Client, queue: &MessageQueue) -> Result<(), Error> {
        self.save(client, queue).await?;
        self.forget(queue);
        Ok(())
    }

    /// Forgets what is in memory of a queue that is new here, if it is kept elsewhere.
    pub(crate) fn forget(&self, queue: &MessageQueue) {
        if self.file.is_none() {
            self.table().forget(queue);
        }
    }
}

/// The broker that keeps a queue's offset: the master, while there is one. Who names a queue need not have asked for its route.
async fn address_of(client: &Client, queue: &MessageQueue) -> Result<Arc<str>, Error> {
    if client.reader(&queue.broker_name, MASTER).is_err() {
        client.route(&queue.topic).await?;
    }
    let (_, address) = client.reader(&queue.broker_name, MASTER)?;
    Ok(address)
}

fn place(queue: &MessageQueue) -> impl Fn(Error) -> Error {
    move |error| error.topic(&queue.topic).queue(&queue.broker_name, queue.queue_id)
}

/// Asks a broker how far a group has come (code 14); `None` where it knows nothing of the group.
///
/// # Errors
/// When it cannot be asked or says no for another reason.
pub(crate) async fn query(client: &Client, group: &str, queue: &MessageQueue) -> Result<Option<i64>, Error> {
    let address = address_of(client, queue).await?;
    let header = QueryOffset {
        consumer_group: group,
        topic: &queue.topic,
        queue_id: queue.queue_id,
        set_zero_if_not_found: None,
    };
    let request = Command::request(RequestCode::QUERY_CONSUMER_OFFSET).with_header(|fields| header.write(fields));
    let answer = client.call(&address, &request, TIMEOUT).await.map_err(place(queue))?;
    let read = match ResponseCode(answer.code) {
        ResponseCode::SUCCESS => OffsetResponse::read(&answer.view()).map_err(Cause::from),
        ResponseCode::QUERY_NOT_FOUND => return Ok(None),
        _ => Err(refusal(&answer)),
    };
    let header = read.map_err(|cause| place(queue)(cause.nowhere().at(&address)))?;
    // a broker that knows nothing may also say -1
    Ok(Some(header.queue_offset).filter(|queue_offset| *queue_offset >= 0))
}

fn update_request(group: &str, queue: &MessageQueue, consumer_offset: i64) -> Command {
    let header = UpdateOffset {
        consumer_group: group,
        topic: &queue.topic,
        queue_id: queue.queue_id,
        consumer_offset,
    };
    Command::request(RequestCode::UPDATE_CONSUMER_OFFSET).with_header(|fields| header.write(fields))
}

async fn tell(client: &Client, group: &str, queue: &MessageQueue, consumer_offset: i64) -> Result<(), Error> {
    let address = address_of(client, queue).await?;
    let request = update_request(group, queue, consumer_offset).oneway();
    client.oneway(&address, request, TIMEOUT).await.map_err(place(queue))
}

/// Tells a broker how far a group has come (code 15), and waits until it knows.
///
/// # Errors
/// When it cannot be told.
pub(crate) async fn update(
    client: &Client,
    group: &str,
    queue: &MessageQueue,
    consumer_offset: i64,
) -> Result<(), Error> {
    let address = address_of(client, queue).await?;
    let request = update_request(group, queue, consumer_offset);
    client.ask(&address, &request, TIMEOUT).await.map_err(place(queue))?;
    Ok(())
}
