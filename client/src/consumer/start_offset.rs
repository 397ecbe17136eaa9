//! Where a queue is begun that was just taken over (`RebalancePushImpl.computePullFromWhere`).
//!
//! | kept | `consume_from_where` | retry topic | other topics |
//! |---|---|---|---|
//! | an offset | any | it | it |
//! | none | last | 0 | the end |
//! | none | first | 0 | 0 |
//! | none | timestamp | the end | where the time leads to |

use cuemq_net::body::{ConsumeFromWhere, MessageQueue};

use super::offsets::OffsetStore;
use crate::admin::Admin;
use crate::error::Error;
use crate::instance::Client;
use crate::received::RETRY_TOPIC_PREFIX;

/// How far back a consumer begins that is to begin at a time and was told none, in milliseconds.
const HALF_AN_HOUR_MS: i64 = 30 * 60 * 1000;

/// What to ask the broker for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Beginning,
    End,
    Time,
}

fn start_of(consume_from_where: ConsumeFromWhere, topic: &str) -> Start {
    let is_retry = topic.starts_with(RETRY_TOPIC_PREFIX);
    match consume_from_where {
        ConsumeFromWhere::FirstOffset => Start::Beginning,
        ConsumeFromWhere::Timestamp if is_retry => Start::End,
        ConsumeFromWhere::Timestamp => Start::Time,
        _ if is_retry => Start::Beginning,
        _ => Start::End,
    }
}

/// Where new groups begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartAt {
    pub(crate) consume_from_where: ConsumeFromWhere,
    /// In milliseconds since 1970; half an hour before the start where it is not said.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) started_ms: i64,
}

impl StartAt {
    /// The position to begin a queue at.
    ///
    /// # Errors
    /// When nobody says: the queue is not begun then, since a guess would lose or repeat messages.
    pub(crate) async fn of(&self, client: &Client, offsets: &OffsetStore, queue: &MessageQueue) -> Result<i64, Error> {
        if let Some(kept) = offsets.read(client, queue).await? {
            return Ok(kept);
        }
        match start_of(self.consume_from_where, &queue.topic) {
            Start::Beginning => Ok(0),
            Start::End => Admin::new(client).max_offset(queue).await,
            Start::Time => {
                let timestamp = self.timestamp_ms.unwrap_or(self.started_ms - HALF_AN_HOUR_MS);
                Admin::new(client).search_offset(queue, timestamp).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_topic_is_begun_otherwise_than_the_topics_of_the_application() {
        for (consume_from_where, retry, other) in [
            (ConsumeFromWhere::LastOffset, Start::Beginning, Start::End),
            (ConsumeFromWhere::MinOffset, Start::Beginning, Start::End),
            (ConsumeFromWhere::MaxOffset, Start::Beginning, Start::End),
            (ConsumeFromWhere::FirstOffset, Start::Beginning, Start::Beginning),
            (ConsumeFromWhere::Timestamp, Start::End, Start::Time),
        ] {
            assert_eq!(start_of(consume_from_where, "%RETRY%g"), retry);
            assert_eq!(start_of(consume_from_where, "T"), other);
        }
    }
}
