//! What consumers ask of their group: how far it has come in a queue, where that ends, and to keep how far they come.

use anyhow::{Result, ensure};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::request::{MaxOffset, QueryOffset, UpdateOffset};
use cuemq_net::response::OffsetResponse;

use super::body::Queue;
use super::client::Link;

/// Where a group goes on in a queue, and where the queue ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// What the group has committed, 0 if nothing.
    pub(super) consumer_offset: u64,
    /// The end of the queue, asked for after it.
    pub(super) queue_end: u64,
}

/// Asks where a group goes on.
///
/// # Errors
/// When the broker does not say it.
pub(super) async fn find(link: &Link, group: &str, queue: Queue) -> Result<Place> {
    let topic = queue.topic_name();
    let query = QueryOffset {
        consumer_group: group,
        topic: &topic,
        queue_id: i32::from(queue.queue_id),
        set_zero_if_not_found: None,
    };
    let query = Command::request(RequestCode::QUERY_CONSUMER_OFFSET).with_header(|fields| query.write(fields));
    let consumer_offset = position(&link.call(&query).await?)?;
    let end = MaxOffset {
        topic: &topic,
        queue_id: i32::from(queue.queue_id),
        committed: None,
    };
    let end = Command::request(RequestCode::GET_MAX_OFFSET).with_header(|fields| end.write(fields));
    let queue_end = position(&link.call(&end).await?)?;
    Ok(Place {
        consumer_offset,
        queue_end,
    })
}

/// Commits how far a group has come.
///
/// # Errors
/// When the broker does not say that it has taken it.
pub(super) async fn commit(link: &Link, group: &str, queue: Queue, consumer_offset: u64) -> Result<()> {
    let header = UpdateOffset {
        consumer_group: group,
        topic: &queue.topic_name(),
        queue_id: i32::from(queue.queue_id),
        consumer_offset: i64::try_from(consumer_offset)?,
    };
    let request = Command::request(RequestCode::UPDATE_CONSUMER_OFFSET).with_header(|fields| header.write(fields));
    let answer = link.call(&request).await?;
    ensure!(
        answer.code == ResponseCode::SUCCESS.0,
        "not committed: {:?}",
        answer.remark
    );
    Ok(())
}

fn position(answer: &Command) -> Result<u64> {
    ensure!(
        answer.code == ResponseCode::SUCCESS.0,
        "no position: {:?}",
        answer.remark
    );
    Ok(u64::try_from(OffsetResponse::read(&answer.view())?.queue_offset)?)
}
