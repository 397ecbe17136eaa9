//! How many requests were taken and are not answered yet, by what RocketMQ has a pool of threads for
//! (`rocketmq_processor_watermark` of release 5, which tells the lengths of their queues).
//!
//! There are no such pools here. A request that is answered in the turn that reads it, as a pull of what is in memory, is
//! never counted; a pull that waits for a message is not either, as in Java.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cuemq_net::code::RequestCode;

/// A kind of work (`BrokerController.registerProcessor` and `BrokerMetricsManager` in Java).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// Sends that wait for room in the log or for their topic, and messages that come back.
    Send,
    /// Sends that the log has, until their position is safe.
    AsyncPut,
    /// Pulls whose messages are looked up on the disk.
    Pull,
    /// The same of lite pull consumers.
    LitePull,
    /// Messages by key or id.
    QueryMessage,
    /// What clients say of themselves, but for heartbeats.
    ClientManager,
    /// Heartbeats.
    Heartbeat,
    /// Members of groups, and what they commit.
    ConsumerManager,
    /// Ends of transactions.
    Transaction,
    /// Replies to other applications' requests.
    Reply,
    /// Everything else.
    Admin,
}

impl Processor {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Send,
        Self::AsyncPut,
        Self::Pull,
        Self::LitePull,
        Self::QueryMessage,
        Self::ClientManager,
        Self::Heartbeat,
        Self::ConsumerManager,
        Self::Transaction,
        Self::Reply,
        Self::Admin,
    ];

    /// What does a request's work.
    #[must_use]
    pub fn of(code: RequestCode) -> Self {
        match code {
            RequestCode::SEND_MESSAGE
            | RequestCode::SEND_MESSAGE_V2
            | RequestCode::SEND_BATCH_MESSAGE
            | RequestCode::CONSUMER_SEND_MSG_BACK
            | RequestCode::RECALL_MESSAGE => Self::Send,
            RequestCode::PULL_MESSAGE => Self::Pull,
            RequestCode::LITE_PULL_MESSAGE => Self::LitePull,
            RequestCode::QUERY_MESSAGE | RequestCode::VIEW_MESSAGE_BY_ID => Self::QueryMessage,
            RequestCode::UNREGISTER_CLIENT | RequestCode::CHECK_CLIENT_CONFIG => Self::ClientManager,
            RequestCode::HEART_BEAT => Self::Heartbeat,
            RequestCode::GET_CONSUMER_LIST_BY_GROUP
            | RequestCode::UPDATE_CONSUMER_OFFSET
            | RequestCode::QUERY_CONSUMER_OFFSET => Self::ConsumerManager,
            RequestCode::END_TRANSACTION => Self::Transaction,
            RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2 => Self::Reply,
            _ => Self::Admin,
        }
    }

    /// Its name in the metrics of release 5.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::AsyncPut => "async_put",
            Self::Pull => "pull",
            Self::LitePull => "lite_pull",
            Self::QueryMessage => "query_message",
            Self::ClientManager => "client_manager",
            Self::Heartbeat => "heartbeat",
            Self::ConsumerManager => "consumer_manager",
            Self::Transaction => "transaction",
            Self::Reply => "reply",
            Self::Admin => "admin",
        }
    }
}

/// How many requests are under way, of a whole process, but for those in the log, which each I/O thread counts for itself.
#[derive(Debug, Default)]
pub struct UnderWay([AtomicU64; Processor::ALL.len()]);

/// A request that is counted until this is dropped.
#[derive(Debug)]
pub struct Counted {
    under_way: Arc<UnderWay>,
    processor: Processor,
}

impl UnderWay {
    fn of(&self, processor: Processor) -> Option<&AtomicU64> {
        self.0.get(processor as usize)
    }

    /// Counts one until what is given back is dropped.
    #[must_use]
    pub fn count(self: &Arc<Self>, processor: Processor) -> Counted {
        if let Some(count) = self.of(processor) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Counted {
            under_way: Arc::clone(self),
            processor,
        }
    }

    /// How many there are now.
    #[must_use]
    pub fn get(&self, processor: Processor) -> u64 {
        self.of(processor).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(count) = self.under_way.of(self.processor) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_where_its_name_says_and_until_it_ends() {
        let under_way = Arc::new(UnderWay::default());
        for (at, processor) in Processor::ALL.into_iter().enumerate() {
            assert_eq!(processor as usize, at);
            let counted = [(), ()].map(|()| under_way.count(processor));
            let told = Processor::ALL.map(|one| under_way.get(one));
            assert_eq!((told[at], told.iter().sum::<u64>()), (2, 2), "{}", processor.name());
            drop(counted);
            assert_eq!(under_way.get(processor), 0);
        }
    }

    #[test]
    fn what_has_no_other_place_is_for_administrators() {
        assert_eq!(Processor::of(RequestCode::GET_BROKER_CONFIG), Processor::Admin);
        assert_eq!(Processor::of(RequestCode(-5)), Processor::Admin);
        assert_eq!(Processor::of(RequestCode::HEART_BEAT), Processor::Heartbeat);
    }
}
