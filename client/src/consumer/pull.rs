//! One pull: the request, and what its answer says (`PullAPIWrapper` and `PullResult` in Java).
//!
//! | system flag | means |
//! |---|---|
//! | 1 | `commitOffset` is to be committed |
//! | 2 | the broker is to wait for a message |
//! | 4 | the filter expression comes along |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cuemq_net::body::{MessageQueue, SubscriptionData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::request::PullHeader;
use cuemq_net::response::PullResponse;

use crate::error::{Cause, Error};
use crate::instance::{Answered, Client};
use crate::namespace::Namespace;
use crate::received::ReceivedMessage;
use crate::subscription::accepts;

const COMMIT: i32 = 1;
const SUSPEND: i32 = 2;
const SUBSCRIPTION: i32 = 4;

/// The id of a broker's master, the only one that takes offsets.
pub(crate) const MASTER: i64 = 0;

/// What a pull found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullStatus {
    /// Messages.
    Found,
    /// There is no message behind the position yet.
    NoNewMessage,
    /// There are messages, and the subscription chooses none of them.
    NoMatchedMessage,
    /// The queue has no such position; [`PullResult::next_begin_offset`] says where to go on.
    OffsetIllegal,
}

/// What a pull brought.
#[derive(Debug, Clone)]
pub struct PullResult {
    /// What it found.
    pub status: PullStatus,
    /// Where to pull next.
    pub next_begin_offset: i64,
    /// The first position that the queue still has.
    pub min_offset: i64,
    /// The position behind the queue's last message.
    pub max_offset: i64,
    /// The messages, chosen by the text of their tags too.
    pub messages: Vec<ReceivedMessage>,
}

/// What is asked for in a pull.
pub(crate) struct PullRequest<'a> {
    pub(crate) group: &'a str,
    pub(crate) namespace: &'a Namespace,
    pub(crate) queue: &'a Arc<MessageQueue>,
    pub(crate) queue_offset: i64,
    pub(crate) max_messages: usize,
    pub(crate) subscription: &'a SubscriptionData,
    /// Whether the expression comes along, for a broker that has not heard of it by a heartbeat.
    pub(crate) with_expression: bool,
    /// How far the group has come, for the master to keep.
    pub(crate) commit_offset: Option<i64>,
    /// How long the broker may wait for a message.
    pub(crate) suspend: Option<Duration>,
    pub(crate) timeout: Duration,
    /// Which broker of the queue's name to ask; another one where there is none with this id.
    pub(crate) broker_id: i64,
}

/// Pulls, and gives the id of the broker to pull from next too.
///
/// # Errors
/// When the broker cannot be asked, or answers with a code that is none of a pull's four.
pub(crate) async fn pull(client: &Client, request: PullRequest<'_>) -> Result<(PullResult, i64), Error> {
    let queue = request.queue;
    let at_queue = |error: Error| error.topic(&queue.topic).queue(&queue.broker_name, queue.queue_id);
    let (broker_id, address) = client.reader(&queue.broker_name, request.broker_id).map_err(at_queue)?;
    let header = header(&request, broker_id);
    let code = RequestCode::PULL_MESSAGE;
    let answer = client
        .send(&address, code, |fields| header.write(fields), b"", request.timeout)
        .await;
    let answer = answer.map_err(at_queue)?;
    let read = read(answer, queue, request.subscription, request.namespace);
    read.map_err(|cause| at_queue(cause.nowhere().at(&address)))
}

fn header<'a>(request: &'a PullRequest<'_>, broker_id: i64) -> PullHeader<'a> {
    let commit_offset = request.commit_offset.filter(|_| broker_id == MASTER);
    let flag = |bit: i32, is_set: bool| if is_set { bit } else { 0 };
    PullHeader {
        consumer_group: request.group,
        topic: &request.queue.topic,
        queue_id: request.queue.queue_id,
        queue_offset: request.queue_offset,
        max_msg_nums: i32::try_from(request.max_messages).unwrap_or(i32::MAX),
        sys_flag: flag(COMMIT, commit_offset.is_some())
            | flag(SUSPEND, request.suspend.is_some())
            | flag(SUBSCRIPTION, request.with_expression),
        commit_offset: commit_offset.unwrap_or(0),
        suspend_timeout_millis: millis(request.suspend.unwrap_or_default()),
        subscription: request.with_expression.then_some(&*request.subscription.sub_string),
        sub_version: Some(request.subscription.sub_version),
        expression_type: Some(&request.subscription.expression_type),
        max_msg_bytes: None,
    }
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn read(
    answer: Answered,
    queue: &Arc<MessageQueue>,
    subscription: &SubscriptionData,
    namespace: &Namespace,
) -> Result<(PullResult, i64), Cause> {
    let status = match answer.code() {
        ResponseCode::SUCCESS => PullStatus::Found,
        ResponseCode::PULL_NOT_FOUND => PullStatus::NoNewMessage,
        ResponseCode::PULL_RETRY_IMMEDIATELY => PullStatus::NoMatchedMessage,
        ResponseCode::PULL_OFFSET_MOVED => PullStatus::OffsetIllegal,
        _ => return Err(answer.refusal()),
    };
    let header = PullResponse::read(&answer.view())?;
    let body = if status == PullStatus::Found {
        answer.body()
    } else {
        Bytes::new()
    };
    let mut messages = ReceivedMessage::read_all(&body, queue)?;
    messages.retain(|message| subscription.tags_set.is_empty() || accepts(subscription, message.tags()));
    if namespace.name().is_some() {
        messages = messages
            .into_iter()
            .map(|message| message.in_namespace(namespace))
            .collect();
    }
    let result = PullResult {
        status,
        next_begin_offset: header.next_begin_offset,
        min_offset: header.min_offset,
        max_offset: header.max_offset,
        messages,
    };
    Ok((result, header.suggest_which_broker_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::received::tests::{queue, stored};
    use crate::subscription::MessageSelector;
    use cuemq_net::command::Command;

    fn answer(code: ResponseCode, body: Vec<u8>) -> Answered {
        let header = PullResponse {
            suggest_which_broker_id: 1,
            next_begin_offset: 8,
            min_offset: 2,
            max_offset: 9,
        };
        let request = Command::request(RequestCode::PULL_MESSAGE);
        let answer = Command::response_to(&request, code).with_header(|fields| header.write(fields));
        Answered::Seen(answer.with_body(body))
    }

    fn subscription(tags: &str) -> SubscriptionData {
        MessageSelector::from(tags).subscription("T", 42).unwrap()
    }

    #[test]
    fn four_codes_are_answers_and_any_other_is_the_brokers_no() {
        for (code, status) in [
            (ResponseCode::SUCCESS, PullStatus::Found),
            (ResponseCode::PULL_NOT_FOUND, PullStatus::NoNewMessage),
            (ResponseCode::PULL_RETRY_IMMEDIATELY, PullStatus::NoMatchedMessage),
            (ResponseCode::PULL_OFFSET_MOVED, PullStatus::OffsetIllegal),
        ] {
            let (result, next_broker) = read(
                answer(code, Vec::new()),
                &queue("T"),
                &subscription("*"),
                &Namespace::default(),
            )
            .unwrap();
            assert_eq!((result.status, next_broker), (status, 1));
            assert_eq!(
                (result.next_begin_offset, result.min_offset, result.max_offset),
                (8, 2, 9)
            );
        }
        let refused = read(
            answer(ResponseCode::NO_PERMISSION, Vec::new()),
            &queue("T"),
            &subscription("*"),
            &Namespace::default(),
        );
        assert!(matches!(refused, Err(Cause::Refused { .. })));
    }

    #[test]
    fn a_message_whose_tag_has_only_the_hash_of_a_chosen_one_is_left_out() {
        let body = [
            stored("T", b"TAGS\x01Aa\x02", b"chosen", 0, 5),
            stored("T", b"TAGS\x01BB\x02", b"same hash", 0, 6),
            stored("T", b"", b"no tag", 0, 7),
        ];
        let (result, _) = read(
            answer(ResponseCode::SUCCESS, body.concat()),
            &queue("T"),
            &subscription("Aa"),
            &Namespace::default(),
        )
        .unwrap();
        assert_eq!(result.status, PullStatus::Found);
        let offsets: Vec<_> = result.messages.iter().map(ReceivedMessage::queue_offset).collect();
        assert_eq!(offsets, [5]);
    }

    #[test]
    fn only_a_master_is_told_how_far_the_group_has_come() {
        let (queue, subscription) = (queue("T"), subscription("Aa"));
        let request = PullRequest {
            group: "g",
            namespace: &Namespace::default(),
            queue: &queue,
            queue_offset: 5,
            max_messages: 32,
            subscription: &subscription,
            with_expression: false,
            commit_offset: Some(4),
            suspend: Some(Duration::from_secs(15)),
            timeout: Duration::from_secs(30),
            broker_id: MASTER,
        };
        let to_master = header(&request, MASTER);
        assert_eq!((to_master.sys_flag, to_master.commit_offset), (COMMIT | SUSPEND, 4));
        assert_eq!((to_master.subscription, to_master.sub_version), (None, Some(42)));
        assert_eq!(
            (to_master.suspend_timeout_millis, to_master.expression_type),
            (15_000, Some("TAG"))
        );
        let to_slave = header(&request, 1);
        assert_eq!((to_slave.sys_flag, to_slave.commit_offset), (SUSPEND, 0));
        let with_expression = PullRequest {
            with_expression: true,
            suspend: None,
            ..request
        };
        let header = header(&with_expression, 1);
        assert_eq!((header.sys_flag, header.subscription), (SUBSCRIPTION, Some("Aa")));
    }
}
