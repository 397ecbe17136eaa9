//! Which code has which header, as the tests need it: reads the header that the code says, writes it and reads it again.

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::error::FieldError;
use cuemq_net::frame::{self, HeaderCodec, MAX_FRAME_BYTES};
use cuemq_net::header::{self, FieldWriter, HeaderScratch, HeaderView};
use cuemq_net::request::{self, *};
use cuemq_net::response::{self, *};

/// Reads `$type` from `$view`, writes it by `$write` and expects to read the same.
macro_rules! checked {
    ($type:ident, $view:ident, $write:ident) => {
        $type::read($view).map(|read| {
            for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
                let bytes = $write(codec, $view.code, |fields| read.write(fields));
                let mut scratch = HeaderScratch::new();
                let parts = frame::check(&bytes, MAX_FRAME_BYTES).unwrap().unwrap();
                let again = header::parse(codec, &bytes[parts.header], &mut scratch).unwrap();
                assert_eq!($type::read(&again), Ok(read));
            }
        })
    };
}

macro_rules! requests {
    ($($($code:ident)|+ => $type:ident,)+) => {
        /// Every request code that has a header.
        pub(crate) const REQUESTS: &[RequestCode] = &[$($(RequestCode::$code,)+)+];

        /// Checks a request's header; `None` if its code has none.
        pub(crate) fn request(view: &HeaderView<'_>) -> Option<Result<(), FieldError>> {
            Some(match RequestCode(view.code) {
                $($(RequestCode::$code)|+ => checked!($type, view, request_frame),)+
                _ => return None,
            })
        }
    };
}

requests! {
    SEND_MESSAGE | SEND_MESSAGE_V2 | SEND_BATCH_MESSAGE | SEND_REPLY_MESSAGE | SEND_REPLY_MESSAGE_V2 => SendHeader,
    PUSH_REPLY_MESSAGE_TO_CLIENT => PushReply,
    CONSUMER_SEND_MSG_BACK => SendBack,
    PULL_MESSAGE | LITE_PULL_MESSAGE => PullHeader,
    QUERY_CONSUMER_OFFSET => QueryOffset,
    UPDATE_CONSUMER_OFFSET => UpdateOffset,
    SEARCH_OFFSET_BY_TIMESTAMP => SearchOffset,
    GET_MAX_OFFSET => MaxOffset,
    GET_MIN_OFFSET => MinOffset,
    GET_EARLIEST_MSG_STORETIME => EarliestStoreTime,
    VIEW_MESSAGE_BY_ID => ViewMessage,
    QUERY_MESSAGE => QueryMessage,
    UNREGISTER_CLIENT => Unregister,
    GET_CONSUMER_LIST_BY_GROUP => ConsumerList,
    NOTIFY_CONSUMER_IDS_CHANGED => ConsumersChanged,
    RESET_CONSUMER_CLIENT_OFFSET => ResetClientOffset,
    GET_CONSUMER_STATUS_FROM_CLIENT => ClientStatus,
    GET_CONSUMER_RUNNING_INFO => RunningInfo,
    CONSUME_MESSAGE_DIRECTLY => ConsumeDirectly,
    END_TRANSACTION => EndTransaction,
    CHECK_TRANSACTION_STATE => CheckTransaction,
    REGISTER_BROKER => RegisterBroker,
    UNREGISTER_BROKER => UnregisterBroker,
    QUERY_DATA_VERSION => QueryDataVersion,
    GET_ROUTEINTO_BY_TOPIC => RouteInfo,
    GET_TOPICS_BY_CLUSTER => TopicsByCluster,
    PUT_KV_CONFIG => PutKv,
    GET_KV_CONFIG => GetKv,
    DELETE_KV_CONFIG => DeleteKv,
    GET_KVLIST_BY_NAMESPACE => KvList,
    WIPE_WRITE_PERM_OF_BROKER | ADD_WRITE_PERM_OF_BROKER => WritePerm,
    DELETE_TOPIC_IN_NAMESRV | DELETE_TOPIC_IN_BROKER => DeleteTopic,
    UPDATE_AND_CREATE_TOPIC => CreateTopic,
    GET_TOPIC_STATS_INFO | QUERY_TOPIC_CONSUME_BY_WHO | GET_TOPIC_CONFIG => TopicQuery,
    GET_CONSUMER_CONNECTION_LIST => ConsumerConnections,
    GET_PRODUCER_CONNECTION_LIST => ProducerConnections,
    QUERY_TOPICS_BY_CONSUMER | QUERY_SUBSCRIPTION_BY_CONSUMER | GET_SUBSCRIPTIONGROUP_CONFIG => GroupQuery,
    DELETE_SUBSCRIPTIONGROUP => DeleteGroup,
    GET_CONSUME_STATS => ConsumeStats,
    INVOKE_BROKER_TO_RESET_OFFSET => ResetOffset,
    INVOKE_BROKER_TO_GET_CONSUMER_STATUS => ConsumerStatus,
    QUERY_CONSUME_TIME_SPAN => ConsumeTimeSpan,
    QUERY_CORRECTION_OFFSET => CorrectionOffset,
    CLONE_GROUP_OFFSET => CloneOffset,
    VIEW_BROKER_STATS_DATA => BrokerStats,
    GET_BROKER_CONSUME_STATS => BrokerConsumeStats,
    QUERY_CONSUME_QUEUE => QueryConsumeQueue,
    RESUME_CHECK_HALF_MESSAGE => ResumeHalfMessage,
}

macro_rules! responses {
    ($($($code:ident)|+ ($($answer:literal)|+) => $type:ident,)+) => {
        /// Every request code whose answer has a header.
        pub(crate) const ANSWERED: &[RequestCode] = &[$($(RequestCode::$code,)+)+];

        /// Checks a response's header; `None` if that answer to that request has none.
        pub(crate) fn response(asked: RequestCode, view: &HeaderView<'_>) -> Option<Result<(), FieldError>> {
            Some(match (asked, view.code) {
                $(($(RequestCode::$code)|+, $($answer)|+) => checked!($type, view, response_frame),)+
                _ => return None,
            })
        }
    };
}

responses! {
    SEND_MESSAGE | SEND_MESSAGE_V2 | SEND_BATCH_MESSAGE | SEND_REPLY_MESSAGE_V2 (0 | 10 | 11 | 12) => SendResponse,
    PULL_MESSAGE | LITE_PULL_MESSAGE (0 | 19 | 20 | 21) => PullResponse,
    QUERY_CONSUMER_OFFSET | SEARCH_OFFSET_BY_TIMESTAMP | GET_MAX_OFFSET | GET_MIN_OFFSET (0) => OffsetResponse,
    GET_EARLIEST_MSG_STORETIME (0) => StoreTimeResponse,
    QUERY_MESSAGE (0 | 22) => QueryMessageResponse,
    REGISTER_BROKER (0) => RegisterBrokerResponse,
    QUERY_DATA_VERSION (0) => DataVersionResponse,
    GET_KV_CONFIG (0) => KvResponse,
    WIPE_WRITE_PERM_OF_BROKER (0) => WipeWritePermResponse,
    ADD_WRITE_PERM_OF_BROKER (0) => AddWritePermResponse,
    GET_BROKER_CONFIG (0) => BrokerConfigResponse,
}

fn request_frame(codec: HeaderCodec, code: i32, fields: impl FnOnce(&mut FieldWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    request::write(&mut out, codec, RequestHead::new(RequestCode(code), 1), fields, 0).unwrap();
    out
}

fn response_frame(codec: HeaderCodec, code: i32, fields: impl FnOnce(&mut FieldWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    response::write(
        &mut out,
        codec,
        ResponseHead::new(ResponseCode(code), 1),
        None,
        fields,
        0,
    )
    .unwrap();
    out
}
