//! Gathers messages that are sent one by one into batches (`ProduceAccumulator` of release 5), where that is asked for: those
//! of one topic that come within the linger time, up to so many bytes, leave together and are stored together.
//!
//! Each sender still gets its own message's result, and waits no longer than the linger time for company.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cuemq_net::message::properties::name;
use cuemq_net::message::sysflag::TransactionType;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Inner;
use super::attempt::Retrying;
use super::prepared::Prepared;
use super::result::SendResult;
use crate::error::{Cause, Error};
use crate::message::Message;

/// How to gather.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathering {
    pub(super) linger: Duration,
    pub(super) max_bytes: usize,
}

/// What is gathered, by topic and whether it waits for the disk.
#[derive(Default)]
pub(super) struct Gathered(Mutex<Table>);

#[derive(Default)]
struct Table {
    batches: BTreeMap<(String, bool), Batch>,
    next_number: u64,
}

struct Batch {
    /// Tells it from the batch of the same topic before.
    number: u64,
    bytes: usize,
    messages: Vec<Message>,
    senders: Vec<Sender>,
}

/// Who waits for its message's result, with its place in the window.
struct Sender {
    told: oneshot::Sender<Result<SendResult, Error>>,
    _place: OwnedSemaphorePermit,
}

impl Gathered {
    fn table(&self) -> MutexGuard<'_, Table> {
        // each change is one step, so a panic elsewhere leaves nothing half done
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, key: &(String, bool), number: u64) -> Option<Batch> {
        let mut table = self.table();
        let is_it = table.batches.get(key).is_some_and(|batch| batch.number == number);
        is_it.then(|| table.batches.remove(key)).flatten()
    }

    fn take_all(&self) -> Vec<Batch> {
        std::mem::take(&mut self.table().batches).into_values().collect()
    }
}

/// Whether a message can be one of a batch.
fn is_plain(message: &Message) -> bool {
    let alone = [
        name::DELAY,
        name::TIMER_DELAY_MS,
        name::TIMER_DELAY_SECONDS,
        name::TIMER_DELIVER_MS,
        name::TRANSACTION_PREPARED,
        name::MESSAGE_TYPE,
    ];
    !message.topic().starts_with("%RETRY%") && alone.iter().all(|name| message.get(name).is_none())
}

/// Whether this producer gathers such messages.
pub(super) fn gathers(inner: &Inner, message: &Message) -> bool {
    inner.options.gathering.is_some() && is_plain(message)
}

/// Sends a message together with others.
pub(super) async fn send(inner: &Arc<Inner>, gathering: Gathering, message: Message) -> Result<SendResult, Error> {
    inner.check_open()?;
    super::rules::check_message(&message, inner.options.max_message_size)?;
    let Ok(place) = Arc::clone(&inner.window).acquire_owned().await else {
        return Err(Cause::ShutDown.nowhere());
    };
    let (told, outcome) = oneshot::channel();
    add(inner, gathering, message, Sender { told, _place: place });
    outcome.await.unwrap_or_else(|_| Err(Cause::Abandoned.nowhere()))
}

fn add(inner: &Arc<Inner>, gathering: Gathering, message: Message, sender: Sender) {
    let key = (message.topic().to_owned(), message.get(name::WAIT) != Some("false"));
    let bytes = super::prepared::entry_bytes(&message);
    let mut full = None;
    let mut begun = None;
    {
        let mut table = inner.gathered.table();
        if table
            .batches
            .get(&key)
            .is_some_and(|batch| batch.bytes + bytes > gathering.max_bytes)
        {
            full = table.batches.remove(&key);
        }
        let Table { batches, next_number } = &mut *table;
        let batch = batches.entry(key.clone()).or_insert_with(|| {
            *next_number += 1;
            begun = Some(*next_number);
            Batch {
                number: *next_number,
                bytes: 0,
                messages: Vec::new(),
                senders: Vec::new(),
            }
        });
        batch.bytes += bytes;
        batch.messages.push(message);
        batch.senders.push(sender);
    }
    if let Some(batch) = full {
        leave(inner, batch);
    }
    if let Some(number) = begun {
        let waits = Arc::clone(inner);
        inner.client.spawn(async move {
            tokio::time::sleep(gathering.linger).await;
            if let Some(batch) = waits.gathered.take(&key, number) {
                leave(&waits, batch);
            }
        });
    }
}

/// Sends all that is gathered now.
pub(super) fn leave_all(inner: &Arc<Inner>) {
    for batch in inner.gathered.take_all() {
        leave(inner, batch);
    }
}

fn leave(inner: &Arc<Inner>, batch: Batch) {
    let sender = Arc::clone(inner);
    inner.client.spawn(async move {
        let Batch { messages, senders, .. } = batch;
        let result = sender.send_gathered(messages).await;
        for (at, one) in senders.into_iter().enumerate() {
            let result = match &result {
                Ok(stored) => Ok(stored.of_batch(at)),
                Err(error) => Err(error.copy()),
            };
            // nobody may want to know
            drop(one.told.send(result));
        }
    });
}

impl Inner {
    async fn send_gathered(&self, messages: Vec<Message>) -> Result<SendResult, Error> {
        let timeout = self.options.send_msg_timeout;
        match <[Message; 1]>::try_from(messages) {
            Ok(alone) => {
                let prepared = Prepared::one(&alone, &self.preparing(), TransactionType::None);
                self.attempts(&prepared, timeout, Retrying::Sync).await
            }
            Err(messages) => {
                let prepared = Prepared::batch(&messages, &self.preparing())?;
                self.attempts(&prepared, timeout, Retrying::Sync).await
            }
        }
    }
}

impl SendResult {
    /// The result of one message of the batch that this is the result of.
    fn of_batch(&self, at: usize) -> Self {
        let one = |ids: &str| ids.split(',').nth(at).unwrap_or_default().into();
        Self {
            msg_id: one(&self.msg_id),
            offset_msg_id: one(&self.offset_msg_id),
            queue_offset: self.queue_offset + i64::try_from(at).unwrap_or_default(),
            ..self.clone()
        }
    }
}
