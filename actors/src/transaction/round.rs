//! One look at the open transactions after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::{MailboxError, Recipient};
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::properties;
use cuemq_net::message::record::Record;
use cuemq_net::request::CheckTransaction;
use cuemq_storage::StoreError;
use cuemq_storage::commit_log::LogView;
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_storage::queue_directory::QueueHandle;

use super::check::{Checked, Rules, Unwritable, asked_again, check};
use super::ending::{end_note, question};
use super::open::{OpenHalves, ended_offsets};
use super::{END_TOPIC, GIVEN_UP_TOPIC, GROUP};
use crate::io::egress::TellClients;
use crate::io::send_context::SendBatch;
use crate::offset::Commit;
use crate::offset::actor::{CommitOffsets, FindOffset};
use crate::peer::PeerKey;
use crate::pending::PendingMark;
use crate::reappend::{NotAppended, Reappender, empty_batch, fields_of};
use crate::rebalance::MembershipView;
use crate::set_aside::HALF_TOPIC;

/// How many units of a queue are looked at before others of the thread have their turn.
const UNITS_AT_ONCE: usize = 64;
/// A note speaks of a half message before it. The view of their queue may be so many behind.
const QUEUE_LAG: u64 = 1 << 20;

/// What a round works with.
pub struct RoundParts {
    /// The log.
    pub log: Arc<LogView>,
    /// Writes half messages again.
    pub reappender: Reappender,
    /// When producers are asked.
    pub rules: Rules,
    /// Keeps how far half messages and notes are dealt with.
    pub commit: Recipient<CommitOffsets>,
    /// Tells it.
    pub find: Recipient<FindOffset>,
    /// Who can be asked.
    pub membership: MembershipView,
    /// Asks, one for each I/O thread.
    pub tell: Vec<Recipient<TellClients>>,
    /// Keeps the files of the log in which half messages wait.
    pub mark: PendingMark,
}

/// Why a round did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum RoundError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing can be appended.
    #[error(transparent)]
    NotAppended(#[from] NotAppended),
    /// The owner of the offsets starts anew.
    #[error("the owner of the consumer offsets does not answer: {0}")]
    Offsets(#[from] MailboxError),
}

/// Looks at open transactions.
pub(super) struct Round {
    parts: RoundParts,
    /// What is known from the rounds before.
    open: Option<OpenHalves>,
    /// Counts questions, so that the producers of a group are asked in turn.
    asked: usize,
    /// How many half messages of each group could be asked about by nobody, in this round.
    unasked: BTreeMap<String, u32>,
}

/// What is done together: half messages that are dealt with once a batch is appended.
struct Step {
    batch: SendBatch,
    /// Half messages that are done then.
    done: Vec<QueueOffset>,
    /// The records of the batch that producers are asked about.
    questions: Vec<usize>,
}

impl Round {
    pub(super) fn new(parts: RoundParts) -> Self {
        Self {
            parts,
            open: None,
            asked: 0,
            unasked: BTreeMap::new(),
        }
    }

    /// Whether there ever was a half message.
    pub(super) fn has_halves(&self) -> bool {
        self.parts.reappender.queues.find(HALF_TOPIC, 0).is_some()
    }

    /// Takes in what has ended, and asks about what is open for too long if `asks`.
    pub(super) async fn go(&mut self, asks: bool) -> Result<(), RoundError> {
        // First the position: what comes while the queue is looked at lies behind it.
        let looked_to = self.parts.log.confirmed();
        let Some(halves) = self.parts.reappender.queues.find(HALF_TOPIC, 0) else {
            self.parts.mark.set(None, looked_to);
            return Ok(());
        };
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.load(&halves).await?,
        };
        let before = (open.next_half(), open.next_note());
        let mut outcome = self.take_notes(&halves, &mut open).await;
        if asks && outcome.is_ok() {
            outcome = self.look_at_halves(&halves, &mut open).await;
        }
        for (group, transactions) in std::mem::take(&mut self.unasked) {
            tracing::warn!(
                group,
                transactions,
                "nobody of a producer group is there to be asked how its transactions ended"
            );
        }
        if before != (open.next_half(), open.next_note()) {
            self.save(&open).await?;
        }
        let oldest = halves.view().unit(open.next_half())?;
        self.parts.mark.set(oldest.map(|unit| unit.physical_offset), looked_to);
        self.open = Some(open);
        outcome
    }

    /// Where the rounds of an earlier life ended. Offsets outside of their queues are brought back into them.
    async fn load(&self, halves: &QueueHandle) -> Result<OpenHalves, RoundError> {
        let view = halves.view().clone();
        let (min, max) = (view.min_offset(), view.max_offset());
        let half = self.stored(HALF_TOPIC).await?.unwrap_or(min).clamp(min, max.max(min));
        let (min, max) = match self.parts.reappender.queues.find(END_TOPIC, 0) {
            Some(notes) => (notes.view().min_offset(), notes.view().max_offset()),
            None => (QueueOffset(0), QueueOffset(0)),
        };
        let note = self.stored(END_TOPIC).await?.unwrap_or(min).clamp(min, max.max(min));
        Ok(OpenHalves::new(half, note))
    }

    async fn stored(&self, topic: &str) -> Result<Option<QueueOffset>, MailboxError> {
        let find = FindOffset {
            group: Arc::from(GROUP),
            topic: Arc::from(topic),
            queue_id: 0,
        };
        let found = self.parts.find.send(find).await?;
        Ok(found.and_then(|offset| u64::try_from(offset).ok()).map(QueueOffset))
    }

    async fn save(&self, open: &OpenHalves) -> Result<(), RoundError> {
        let commit = |topic: &str, offset: QueueOffset| Commit {
            group: Arc::from(GROUP),
            topic: Arc::from(topic),
            queue_id: 0,
            consumer_offset: offset.signed(),
        };
        let commits = vec![
            commit(HALF_TOPIC, open.next_half()),
            commit(END_TOPIC, open.next_note()),
        ];
        if let Err(error) = self.parts.commit.send(CommitOffsets { commits }).await? {
            tracing::warn!(%error, "how far transactions are dealt with is not kept");
        }
        Ok(())
    }

    /// Takes in what notes have come.
    async fn take_notes(&self, halves: &QueueHandle, open: &mut OpenHalves) -> Result<(), RoundError> {
        let Some(notes) = self.parts.reappender.queues.find(END_TOPIC, 0) else {
            return Ok(());
        };
        loop {
            open.skip_notes_to(notes.view().min_offset());
            let units = notes.view().copy(open.end_of_notes(), UNITS_AT_ONCE)?;
            if units.is_empty() {
                open.advance(open.next_half());
                return Ok(());
            }
            let there = halves.view().max_offset().advanced(QUEUE_LAG);
            for unit in units {
                let record = self.parts.log.record(unit.physical_offset)?.unwrap_or_default();
                let body = Record::parse(&record).map_or(&[][..], |record| record.body());
                open.note(ended_offsets(body), there);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Looks at all half messages that are not done, up to the first that is young.
    async fn look_at_halves(&mut self, halves: &QueueHandle, open: &mut OpenHalves) -> Result<(), RoundError> {
        let end = halves.view().max_offset();
        let mut at = open.next_half().max(halves.view().min_offset());
        open.advance(at);
        let mut ends = false;
        while at < end && !ends {
            let units = halves.view().copy(at, UNITS_AT_ONCE)?;
            if units.is_empty() {
                break;
            }
            let mut step = Step {
                batch: empty_batch(),
                done: Vec::new(),
                questions: Vec::new(),
            };
            for unit in units {
                if !open.is_done(at) {
                    ends = self.look_at_one(at, unit.physical_offset, &mut step)?;
                }
                if ends || at >= end {
                    break;
                }
                at = at.advanced(1);
            }
            self.take_step(step, open).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Looks at one half message; whether all behind it are young.
    fn look_at_one(&self, at: QueueOffset, position: PhysicalOffset, step: &mut Step) -> Result<bool, StoreError> {
        let Some(bytes) = self.parts.log.record(position)? else {
            tracing::warn!(queue_offset = %at, %position, "an open transaction was deleted");
            step.done.push(at);
            return Ok(false);
        };
        let Ok(half) = Record::parse(&bytes) else {
            step.done.push(at);
            return Ok(false);
        };
        let now_ms = i64::try_from(self.parts.reappender.clock.now_ms()).unwrap_or(i64::MAX);
        let checked = check(&half, now_ms, self.parts.rules);
        match checked {
            Checked::Young => return Ok(true),
            Checked::Immune => return Ok(false),
            Checked::Moved | Checked::Asked(_) => {}
            Checked::GivenUp => {
                tracing::warn!(queue_offset = %at, %position, "a transaction is given up: its producer has never said how it ended");
            }
        }
        let written = step.batch.records.len();
        match self.write_again(&half, checked, (at, now_ms), &mut step.batch) {
            Ok(()) if matches!(checked, Checked::Asked(_)) => step.questions.push(written),
            Ok(()) => {}
            Err(error) => {
                tracing::error!(queue_offset = %at, %position, %error, "a half message cannot be written again: nobody is asked about it any more");
            }
        }
        step.done.push(at);
        Ok(false)
    }

    /// Writes a half message again, to the end of its topic so that the ones behind it have their turn, or where given up ones
    /// rest; and the note that it is done where it is.
    fn write_again(
        &self,
        half: &Record<'_>,
        checked: Checked,
        (at, now_ms): (QueueOffset, i64),
        batch: &mut SendBatch,
    ) -> Result<(), Unwritable> {
        let reappender = &self.parts.reappender;
        let mut fields = fields_of(half)?;
        match checked {
            Checked::Asked(times) => asked_again(half, times, |fields| reappender.push(batch, fields))??,
            Checked::GivenUp => {
                (fields.topic, fields.queue_id) = (GIVEN_UP_TOPIC, 0);
                reappender.push(batch, &fields)?;
            }
            Checked::Young | Checked::Immune | Checked::Moved => reappender.push(batch, &fields)?,
        }
        let id = reappender.ids.next(now_ms);
        let host = (reappender.store_host, now_ms);
        end_note(at.0, id.as_str(), host, |fields| reappender.push(batch, fields))??;
        Ok(())
    }

    /// Has a step appended, and then asks the producers.
    async fn take_step(&mut self, step: Step, open: &mut OpenHalves) -> Result<(), RoundError> {
        if !step.batch.records.is_empty() {
            let batch = self.parts.reappender.append(step.batch).await?;
            for number in step.questions {
                if let Some(record) = batch.records.get(number) {
                    self.ask(record.physical_offset)?;
                }
            }
        }
        for half in step.done {
            open.done(half);
        }
        open.advance(open.next_half());
        Ok(())
    }

    /// Asks a producer about the half message at this place.
    #[expect(
        clippy::disallowed_methods,
        reason = "one for each half message of a step that was appended"
    )]
    fn ask(&mut self, position: PhysicalOffset) -> Result<(), StoreError> {
        let Some(bytes) = self.parts.log.record(position)? else {
            return Ok(());
        };
        let Ok(half) = Record::parse(&bytes) else { return Ok(()) };
        let known = properties::known(half.properties());
        let group = known.producer_group.unwrap_or_default();
        let Some(peer) = self.producer_of(group) else {
            *self.unasked.entry(group.to_owned()).or_default() += 1;
            return Ok(());
        };
        let body = match question(&half) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(group, %position, %error, "a producer cannot be asked about a transaction");
                return Ok(());
            }
        };
        let id = OffsetMessageId {
            host: half.store_host(),
            physical_offset: half.physical_offset(),
        };
        let id = id.to_string();
        let header = CheckTransaction {
            queue_offset: i64::try_from(half.queue_offset()).unwrap_or(0),
            physical_offset: i64::try_from(half.physical_offset()).unwrap_or(0),
            msg_id: known.unique_key,
            transaction_id: known.unique_key,
            offset_msg_id: Some(&id),
        };
        let command = Command::request(RequestCode::CHECK_TRANSACTION_STATE)
            .with_header(|fields| header.write(fields))
            .with_body(body)
            .oneway();
        if let Some(thread) = self.parts.tell.get(usize::from(peer.thread)) {
            let peers = vec![peer];
            thread.do_send(TellClients { peers, command });
        }
        Ok(())
    }

    /// The producers of a group in turn.
    fn producer_of(&mut self, group: &str) -> Option<PeerKey> {
        let group = self.parts.membership.producer_group(group)?;
        self.asked = self.asked.wrapping_add(1);
        let turn = self.asked.checked_rem(group.members.len())?;
        group.members.get(turn).map(|member| member.peer)
    }
}
