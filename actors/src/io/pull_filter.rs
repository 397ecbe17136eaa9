//! Which messages a pull wants: what it brings along itself, or what its group said last by heartbeat; checked in Java's order
//! and with Java's answers (`PullMessageProcessor`).

use std::borrow::Cow;
use std::sync::Arc;

use cuemq_net::body::MessageModel;
use cuemq_net::code::ResponseCode;
use cuemq_net::request::PullHeader;

use super::pull::{Refusal, refuse};
use super::state::{BrokerSide, IoState};
use crate::filter::{MessageFilter, NotCompiled, SQL92, is_by_tag, unsupported};
use crate::rebalance::{Subscription, TagFilter};
use crate::topic::RETRY_PREFIX;

/// The bit of a pull's sysFlag that says that it brings a subscription along.
const SUBSCRIPTION: i32 = 4;
/// The most tags that a pull may bring along: a pull that waits keeps their hashes, at most 4 KiB. Applications name a few.
const TAGS_MAX: usize = 1024;

type Wanted = Result<Arc<MessageFilter>, Refusal>;

/// The filter that the pull brings itself, or the one of the group's last heartbeat.
pub(super) fn filter_of(io: &IoState, broker: &BrokerSide, header: &PullHeader<'_>, broadcasts: bool) -> Wanted {
    if header.sys_flag & SUBSCRIPTION != 0 {
        return brought_along(io, header);
    }
    let known = broker.membership.with_consumer_group(header.consumer_group, |online| {
        (online.message_model, online.subscription(header.topic).cloned())
    });
    let Some((model, subscription)) = known else {
        return refuse(
            ResponseCode::SUBSCRIPTION_NOT_EXIST,
            "the consumer's group info not exist",
        );
    };
    if model == MessageModel::Broadcasting && !broadcasts {
        let remark = format!(
            "the consumer group[{}] can not consume by broadcast way",
            header.consumer_group
        );
        return refuse(ResponseCode::NO_PERMISSION, remark);
    }
    let Some(subscription) = subscription else {
        return refuse(
            ResponseCode::SUBSCRIPTION_NOT_EXIST,
            "the consumer's subscription not exist",
        );
    };
    let version = header.sub_version.unwrap_or(0);
    if subscription.version() < version {
        return refuse(
            ResponseCode::SUBSCRIPTION_NOT_LATEST,
            "the consumer's subscription not latest",
        );
    }
    if is_by_tag(subscription.expression_type()) {
        return Ok(Arc::clone(subscription.tags()));
    }
    registered(io, broker, header, &subscription)
}

/// What the group has registered.
fn registered(io: &IoState, broker: &BrokerSide, header: &PullHeader<'_>, subscription: &Subscription) -> Wanted {
    let Some(registered) = broker.filters.get(header.topic, header.consumer_group) else {
        return refuse(
            ResponseCode::FILTER_DATA_NOT_EXIST,
            "The broker's consumer filter data is not exist!Your expression may be wrong!",
        );
    };
    if registered.version < header.sub_version.unwrap_or(0) {
        return refuse(
            ResponseCode::FILTER_DATA_NOT_LATEST,
            "the consumer's consumer filter data not latest",
        );
    }
    check_enabled(io, subscription.expression_type())?;
    if subscription.data().class_filter_mode {
        return Ok(Arc::clone(subscription.tags()));
    }
    // Java takes the group from the topic's name.
    match header.topic.strip_prefix(RETRY_PREFIX) {
        Some(group) if io.identity.live.filter_on_retry.is_on() => Ok(Arc::new(MessageFilter::OfOrigin {
            group: Arc::from(group),
            filters: broker.filters.clone(),
        })),
        _ => Ok(Arc::clone(&registered.filter)),
    }
}

fn brought_along(io: &IoState, header: &PullHeader<'_>) -> Wanted {
    let expression_type = header.expression_type.unwrap_or_default();
    let expression = header.subscription.unwrap_or_default();
    if is_by_tag(expression_type) {
        return tags(expression);
    }
    if expression.is_empty() {
        return malformed("parse the consumer's subscription failed");
    }
    check_enabled(io, expression_type)?;
    if expression_type != SQL92 {
        return malformed(format!(
            "parse the consumer's subscription failed: a filter is of type TAG or SQL92, not {expression_type}"
        ));
    }
    match io.compiler.borrow_mut().compile(expression) {
        Ok(filter) => Ok(filter),
        // Java's broker goes on here as if nothing were to be filtered.
        Err(wrong @ NotCompiled::Wrong(_)) => malformed(wrong.to_string()),
        Err(too_much @ NotCompiled::TooMuch) => refuse(ResponseCode::SYSTEM_ERROR, too_much.to_string()),
    }
}

fn tags(expression: &str) -> Wanted {
    if expression.split("||").nth(TAGS_MAX).is_some() {
        return malformed(format!(
            "the consumer's subscription names more than {TAGS_MAX} tags: use fewer, or * for all"
        ));
    }
    match TagFilter::parse(expression) {
        Ok(filter) => Ok(Arc::new(filter.into())),
        Err(_) => malformed("parse the consumer's subscription failed"),
    }
}

fn malformed(remark: impl Into<Cow<'static, str>>) -> Wanted {
    refuse(ResponseCode::SUBSCRIPTION_PARSE_FAILED, remark)
}

fn check_enabled(io: &IoState, expression_type: &str) -> Result<(), Refusal> {
    if io.identity.live.sql_filters.is_on() {
        return Ok(());
    }
    refuse(ResponseCode::SYSTEM_ERROR, unsupported(expression_type))
}
