//! Writes the answers of sends (`SendMessageProcessor.handlePutMessageResult`).

use cuemq_net::code::ResponseCode;
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::response::{self, ResponseHead};
use cuemq_storage::commit_log::Answer;
use cuemq_storage::log_state::Outcome;

use super::identity::Identity;
use super::send_context::{SendContext, SendReply};

/// What a sender is told when the store failed while its message was under way.
const UNKNOWN: &str = "outcome unknown: the store failed while the message was being written; it may be there after a \
                       restart. Send it again, and let consumers tell duplicates by UNIQ_KEY";
/// What a sender is told when nothing was written.
const REFUSED: &str = "service not available now, maybe disk full or the store has failed; nothing was written. See the \
                       broker's log";

/// Writes the answers of a batch.
pub fn write(out: &mut Vec<u8>, identity: &Identity, answer: &Answer<SendContext>, ids: &mut Vec<u8>) {
    for reply in &answer.batch.context.replies {
        match answer.outcome {
            Outcome::Stored => write_stored(out, identity, reply, answer, ids),
            outcome => write_refusal(out, identity, reply, outcome),
        }
    }
}

fn write_stored(
    out: &mut Vec<u8>,
    identity: &Identity,
    reply: &SendReply,
    answer: &Answer<SendContext>,
    ids: &mut Vec<u8>,
) {
    if reply.oneway {
        return;
    }
    let first = reply.first as usize;
    let Some(records) = answer.batch.records.get(first..first + reply.records as usize) else {
        return;
    };
    let Some(head) = records.first() else { return };
    ids.clear();
    for record in records {
        if !ids.is_empty() {
            ids.push(b',');
        }
        OffsetMessageId {
            host: identity.store_host,
            physical_offset: record.physical_offset.0,
        }
        .write_hex(ids);
    }
    let written = response::write(
        out,
        reply.codec,
        ResponseHead::new(ResponseCode::SUCCESS, reply.opaque),
        None,
        |fields| {
            fields.text("msgId", std::str::from_utf8(ids).unwrap_or_default());
            fields.number("queueId", i64::from(reply.queue_id));
            fields.number("queueOffset", head.queue_offset.signed());
            let handles = &answer.batch.context.handles;
            if let Some((_, handle)) = handles.iter().find(|(opaque, _)| *opaque == reply.opaque) {
                fields.text("recallHandle", handle);
            }
            traces(identity, fields);
        },
        0,
    );
    if let Err(error) = written {
        tracing::error!(%error, "an answer to a send does not fit a frame");
    }
}

/// The fields that every answer to a send has, good or bad; Java clients read them without looking whether they are there.
fn traces(identity: &Identity, fields: &mut cuemq_net::header::FieldWriter<'_>) {
    fields.text("MSG_REGION", &identity.region);
    fields.boolean("TRACE_ON", identity.live.trace_on.is_on());
}

/// Writes the answer of a send that was not stored, or not surely.
pub fn write_refusal(out: &mut Vec<u8>, identity: &Identity, reply: &SendReply, outcome: Outcome) {
    let remark = match outcome {
        Outcome::Refused => REFUSED,
        Outcome::Unknown | Outcome::Stored => UNKNOWN,
    };
    write_error(out, identity, reply, refusal_code(outcome), remark);
}

/// The code of an answer to a send that was not stored, or not surely.
#[must_use]
pub fn refusal_code(outcome: Outcome) -> ResponseCode {
    match outcome {
        Outcome::Refused => ResponseCode::SERVICE_NOT_AVAILABLE,
        Outcome::Unknown | Outcome::Stored => ResponseCode::SYSTEM_ERROR,
    }
}

/// The code of the answers to a batch.
#[must_use]
pub fn code(outcome: Outcome) -> ResponseCode {
    match outcome {
        Outcome::Stored => ResponseCode::SUCCESS,
        outcome => refusal_code(outcome),
    }
}

/// Writes an answer with a code other than success.
pub fn write_error(out: &mut Vec<u8>, identity: &Identity, reply: &SendReply, code: ResponseCode, remark: &str) {
    if reply.oneway {
        return;
    }
    let head = ResponseHead::new(code, reply.opaque);
    let written = response::write(
        out,
        reply.codec,
        head,
        Some(remark),
        |fields| traces(identity, fields),
        0,
    );
    if let Err(error) = written {
        tracing::error!(%error, "a refusal of a send does not fit a frame");
    }
}
