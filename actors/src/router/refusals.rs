//! The codes that no route leads to, each with the reason: what is refused is refused by name.

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;

use RequestCode as Code;

/// The answer to a code that is not served.
pub(super) fn refuse(request: &Command) -> Command {
    let code = Code(request.code);
    let reason = reason(code).map(|reason| format!(": {reason}")).unwrap_or_default();
    Command::response_to(request, ResponseCode::REQUEST_CODE_NOT_SUPPORTED)
        .with_remark(format!("{}{reason}", code.refusal()))
}

/// Why a code of the table is not served on the broker's ports; `None` for one that is, and for what is in no table.
fn reason(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::PUT_KV_CONFIG
        | Code::GET_KV_CONFIG
        | Code::DELETE_KV_CONFIG
        | Code::REGISTER_BROKER
        | Code::UNREGISTER_BROKER
        | Code::GET_ROUTEINTO_BY_TOPIC
        | Code::GET_BROKER_CLUSTER_INFO
        | Code::WIPE_WRITE_PERM_OF_BROKER
        | Code::ADD_WRITE_PERM_OF_BROKER
        | Code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER
        | Code::DELETE_TOPIC_IN_NAMESRV
        | Code::GET_KVLIST_BY_NAMESPACE
        | Code::GET_TOPICS_BY_CLUSTER
        | Code::GET_SYSTEM_TOPIC_LIST_FROM_NS
        | Code::GET_UNIT_TOPIC_LIST
        | Code::GET_HAS_UNIT_SUB_TOPIC_LIST
        | Code::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST
        | Code::UPDATE_NAMESRV_CONFIG
        | Code::GET_NAMESRV_CONFIG
        | Code::QUERY_DATA_VERSION => "name servers answer it, on their own port",
        Code::REGISTER_TOPIC_IN_NAMESRV => "topics are registered with all others of their broker",
        Code::CHECK_TRANSACTION_STATE
        | Code::NOTIFY_CONSUMER_IDS_CHANGED
        | Code::RESET_CONSUMER_CLIENT_OFFSET
        | Code::GET_CONSUMER_STATUS_FROM_CLIENT
        | Code::PUSH_REPLY_MESSAGE_TO_CLIENT => "clients answer it, when a broker asks",
        Code::QUERY_BROKER_OFFSET
        | Code::GET_TOPIC_CONFIG_LIST
        | Code::GET_TOPIC_NAME_LIST
        | Code::TRIGGER_DELETE_FILES
        | Code::SUSPEND_CONSUMER
        | Code::RESUME_CONSUMER
        | Code::RESET_CONSUMER_OFFSET_IN_CONSUMER
        | Code::RESET_CONSUMER_OFFSET_IN_BROKER
        | Code::ADJUST_CONSUMER_THREAD_POOL
        | Code::WHO_CONSUME_THE_MESSAGE => "no release of RocketMQ answers it",
        Code::REGISTER_FILTER_SERVER | Code::REGISTER_MESSAGE_FILTER_CLASS => {
            "there are no filter servers: filter by tag, by SQL92 or in the consumer"
        }
        Code::RESUME_CHECK_HALF_MESSAGE => {
            "half messages that were given up are not taken up again: send their contents anew"
        }
        _ => reason_of_later_releases(code)?,
    })
}

/// As [`reason`], for what only releases from 4.4 on know.
fn reason_of_later_releases(code: Code) -> Option<&'static str> {
    Some(match code.0 {
        47 | 200_050..=200_151 => "clients pull from queues of their own here: use no pop consumer",
        50..=53 | 3001..=3010 => "there is no access control yet: keep strangers away by the network",
        60 | 61 => "timers are not replicated, and are counted as messages of rmq_sys_wheel_timer",
        901..=908 => "brokers do not form groups: use a master alone",
        1001..=1013 => "there is no controller: use a master alone",
        2001..=2004 => "cold data needs no settings here",
        _ => return None,
    })
}
