//! Topics that a send needs and that are not there yet.

use cuemq_net::request::SendHeader;

use crate::topic::actor::CreateTopicOnSend;

/// A topic to be made before a send can be taken.
#[derive(Clone, Debug)]
pub enum TopicWanted {
    /// The topic of a message, in the likeness of the default topic that its sender names.
    OnSend(CreateTopicOnSend),
    /// Where a group's messages go that were tried too often.
    DeadLetters {
        /// The group.
        group: String,
    },
}

impl TopicWanted {
    /// The topic that a send names.
    #[must_use]
    pub fn on_send(header: &SendHeader<'_>) -> Self {
        Self::OnSend(CreateTopicOnSend {
            topic: header.topic.to_owned(),
            default_topic: header.default_topic.to_owned(),
            queue_nums: header.default_topic_queue_nums,
            unit: header.unit_mode,
        })
    }
}
