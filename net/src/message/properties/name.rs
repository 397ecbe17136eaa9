//! The names of system properties (Java: `MessageConst`), by the release that began with them.
//!
//! Applications may not use the reserved ones for their own properties; a client refuses such a message before it sends it.

/// The message's keys, separated by spaces.
pub const KEYS: &str = "KEYS";
/// The message's tag.
pub const TAGS: &str = "TAGS";
/// `false` when the send need not wait for flush and replicas.
pub const WAIT: &str = "WAIT";
/// The delay level, decimal; absent is 0.
pub const DELAY: &str = "DELAY";
/// The topic a retried message was first sent to.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// The topic to deliver a parked message to.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// The queue to deliver a parked message to.
pub const REAL_QUEUE_ID: &str = "REAL_QID";
/// `true` on a half message.
pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
/// The group of a half message's producer.
pub const PRODUCER_GROUP: &str = "PGROUP";
/// The queue's first offset; set by the client after a pull.
pub const MIN_OFFSET: &str = "MIN_OFFSET";
/// The queue's end offset; set by the client after a pull.
pub const MAX_OFFSET: &str = "MAX_OFFSET";
/// Reserved, without a meaning here.
pub const BUYER_ID: &str = "BUYER_ID";
/// The offset id of a retried message's first record.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// Reserved, without a meaning here.
pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
/// Reserved, without a meaning here.
pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
/// Reserved, without a meaning here.
pub const MQ2_FLAG: &str = "MQ2_FLAG";
/// How often a client re-sent the message for retry.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// The broker's region.
pub const MSG_REGION: &str = "MSG_REGION";
/// Whether the message is traced.
pub const TRACE_ON: &str = "TRACE_ON";
/// The id that the client gave the message.
pub const UNIQUE_KEY: &str = "UNIQ_KEY";
/// How often the message may be retried.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// When its consumption began, ms; set by the client.
pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";
/// The queue offset of a half message that was written again.
pub const TRANSACTION_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
/// How often a half message was checked back.
pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
/// How long a half message is not checked back; set by applications.
pub const CHECK_IMMUNITY_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
/// When to deliver, ms; older clients look at it for tracing alone.
pub const START_DELIVER_TIME: &str = "__STARTDELIVERTIME";
/// The id of a transaction.
pub const TRANSACTION_ID: &str = "__transactionId__";

/// The namespace instance. Since 4.9.
pub const INSTANCE_ID: &str = "INSTANCE_ID";
/// Ties a reply to its request. Since 4.9.
pub const CORRELATION_ID: &str = "CORRELATION_ID";
/// The client that waits for the reply. Since 4.9.
pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
/// How long a request waits for its reply, ms. Since 4.9.
pub const TTL: &str = "TTL";
/// When a reply reached the broker, ms. Since 4.9.
pub const ARRIVE_TIME: &str = "ARRIVE_TIME";
/// When the broker pushed a reply, ms. Since 4.9.
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
/// The broker's cluster. Since 4.9.
pub const CLUSTER: &str = "CLUSTER";
/// `reply` on a reply. Since 4.9.
pub const MESSAGE_TYPE: &str = "MSG_TYPE";
/// A further unique id. Since 4.9.
pub const EXTEND_UNIQUE_INFO: &str = "EXTEND_UNIQ_INFO";
/// Further queues the message belongs to. Since 4.9.
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
/// The offsets in those queues. Since 4.9.
pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";

/// Deliver after so many seconds. Since 5.x.
pub const TIMER_DELAY_SECONDS: &str = "TIMER_DELAY_SEC";
/// Deliver after so many ms. Since 5.x.
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Deliver at this time, ms. Since 5.x.
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// When a parked timer message is due, ms. Since 5.x.
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
/// When a timer message was parked, ms. Since 5.x.
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
/// When a timer message was taken out, ms. Since 5.x.
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
/// How often a timer message was parked again. Since 5.x.
pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
/// The unique key of the timer message that this one deletes. Since 5.x.
pub const TIMER_DELETE_UNIQUE_KEY: &str = "TIMER_DEL_UNIQKEY";
/// When a timer message was deleted, ms. Since 5.x.
pub const TIMER_DELETE_MS: &str = "TIMER_DEL_MS";
/// The delay level a timer message came with. Since 5.x.
pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";
/// The handle of a popped message. Since 5.x.
pub const POP_CHECKPOINT: &str = "POP_CK";
/// The queue offset of a pop's checkpoint. Since 5.x.
pub const POP_CHECKPOINT_OFFSET: &str = "POP_CK_OFFSET";
/// When the message was first popped, ms. Since 5.x.
pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
/// How many messages an inner batch holds. Since 5.x.
pub const INNER_NUMBER: &str = "INNER_NUM";
/// The first queue offset of an inner batch. Since 5.x.
pub const INNER_BASE: &str = "INNER_BASE";
/// Marks a copy. Since 5.x.
pub const DUPLICATE_INFO: &str = "DUP_INFO";
/// What an ordered message was sharded by. Since 5.x.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// Where a forwarded message was born. Since 5.x.
pub const BORN_HOST: &str = "__BORNHOST";
/// When a forwarded message was born, ms. Since 5.x.
pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";
/// The topic of a dead letter. Since 5.x.
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// The id of a dead letter's message. Since 5.x.
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
/// The CRC of the whole record. Since 5.x.
pub const CRC32: &str = "__CRC32#";

/// The names that applications may not use, as the newest clients list them.
pub const RESERVED: &[&str] = &[
    KEYS,
    TAGS,
    WAIT,
    DELAY,
    RETRY_TOPIC,
    REAL_TOPIC,
    REAL_QUEUE_ID,
    TRANSACTION_PREPARED,
    PRODUCER_GROUP,
    MIN_OFFSET,
    MAX_OFFSET,
    BUYER_ID,
    ORIGIN_MESSAGE_ID,
    TRANSFER_FLAG,
    CORRECTION_FLAG,
    MQ2_FLAG,
    RECONSUME_TIME,
    MSG_REGION,
    TRACE_ON,
    UNIQUE_KEY,
    MAX_RECONSUME_TIMES,
    CONSUME_START_TIME,
    TRANSACTION_PREPARED_QUEUE_OFFSET,
    INSTANCE_ID,
    CORRELATION_ID,
    REPLY_TO_CLIENT,
    TTL,
    ARRIVE_TIME,
    PUSH_REPLY_TIME,
    CLUSTER,
    MESSAGE_TYPE,
    EXTEND_UNIQUE_INFO,
    INNER_MULTI_QUEUE_OFFSET,
    TIMER_DELAY_SECONDS,
    TIMER_DELAY_MS,
    TIMER_DELIVER_MS,
    TIMER_OUT_MS,
    TIMER_ENQUEUE_MS,
    TIMER_DEQUEUE_MS,
    TIMER_ROLL_TIMES,
    TIMER_DELETE_UNIQUE_KEY,
    TIMER_DELETE_MS,
    TIMER_DELAY_LEVEL,
    POP_CHECKPOINT,
    POP_CHECKPOINT_OFFSET,
    FIRST_POP_TIME,
    DUPLICATE_INFO,
    BORN_HOST,
    BORN_TIMESTAMP,
    DLQ_ORIGIN_TOPIC,
    DLQ_ORIGIN_MESSAGE_ID,
    CRC32,
];

/// Says whether applications must not use the name.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_may_set_what_concerns_their_own_transactions_and_nothing_of_the_brokers() {
        assert!(is_reserved("KEYS") && is_reserved("TIMER_OUT_MS") && is_reserved("REAL_QID"));
        assert!(!is_reserved(CHECK_IMMUNITY_SECONDS) && !is_reserved("keys") && !is_reserved(""));
    }
}
