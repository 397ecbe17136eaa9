//! Answers that may be long: which they are, and what of them the process holds for clients that do not take them.

use std::rc::Rc;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;

use crate::io::budget::Share;
use crate::io::egress::Door;
use crate::io::outbox::BUFFERED_MAX;
use crate::io::peer_table::Peer;
use crate::io::state::IoState;

/// Whether an answer may be more than a few fields. Such requests of a connection are worked on one after the other.
pub(super) fn may_be_long(door: Door, code: i32) -> bool {
    let is_short = matches!(
        RequestCode(code),
        RequestCode::HEART_BEAT
            | RequestCode::UNREGISTER_CLIENT
            | RequestCode::UNLOCK_BATCH_MQ
            | RequestCode::SEND_REPLY_MESSAGE
            | RequestCode::SEND_REPLY_MESSAGE_V2
            | RequestCode::UPDATE_CONSUMER_OFFSET
            | RequestCode::QUERY_CONSUMER_OFFSET
            | RequestCode::GET_MAX_OFFSET
            | RequestCode::GET_MIN_OFFSET
            | RequestCode::SEARCH_OFFSET_BY_TIMESTAMP
            | RequestCode::GET_EARLIEST_MSG_STORETIME
    );
    door == Door::NameServer || !is_short
}

/// Counts a long answer until its client has taken it, or refuses it where too much is counted.
pub(super) fn admit(io: &IoState, request: &Command, answer: Command) -> (Command, Option<Share>) {
    let (budget, bytes) = (&io.budgets.answers, answer.body.len());
    if bytes <= BUFFERED_MAX {
        return (answer, None);
    }
    if budget.is_spent() {
        let remark = format!("{} bytes of answers wait for their clients; ask again", budget.used());
        return (
            Command::response_to(request, ResponseCode::SYSTEM_BUSY).with_remark(remark),
            None,
        );
    }
    (answer, Some(budget.share(bytes)))
}

/// Waits until the client has taken its answer, and gives its share back.
pub(super) async fn taken(peer: &Rc<Peer>, share: Option<Share>) {
    peer.answers.room(&peer.outbox).await;
    drop(share);
}
