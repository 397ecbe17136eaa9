//! Sharing out evenly, in ranges and in a circle (`AllocateMessageQueueAveragely` and `…AveragelyByCircle` in Java).

use cuemq_net::body::MessageQueue;

use super::{AllocationError, place};

/// Gives each consumer a range of queues; the first ones get one more where they do not come out even.
///
/// # Errors
/// When there is nothing to share out, or nobody to share it out to.
pub fn averagely(me: &str, queues: &[MessageQueue], consumers: &[&str]) -> Result<Vec<MessageQueue>, AllocationError> {
    let Some(place) = place(me, queues, consumers)? else {
        return Ok(Vec::new());
    };
    let (each, left) = (queues.len() / consumers.len(), queues.len() % consumers.len());
    let begin = place * each + place.min(left);
    let end = begin + each + usize::from(place < left);
    Ok(queues.get(begin..end).unwrap_or_default().to_vec())
}

/// Gives the consumers one queue each in turn, again and again.
///
/// # Errors
/// When there is nothing to share out, or nobody to share it out to.
pub fn averagely_by_circle(
    me: &str,
    queues: &[MessageQueue],
    consumers: &[&str],
) -> Result<Vec<MessageQueue>, AllocationError> {
    let Some(place) = place(me, queues, consumers)? else {
        return Ok(Vec::new());
    };
    Ok(queues.iter().skip(place).step_by(consumers.len()).cloned().collect())
}
