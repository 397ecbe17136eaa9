//! Namespaces (`NamespaceUtil` and `ClientConfig.setNamespace` in Java since 4.5): applications that share brokers name their
//! topics and groups as they like, and brokers know them as `namespace%name`.
//!
//! Producers and consumers wrap what goes out, and unwrap what the application sees. The system's own names are nobody's, and
//! stay as they are. A name that is wrapped already is not wrapped again, so either form may be given.

use std::borrow::Cow;
use std::sync::Arc;

use cuemq_net::body::MessageQueue;

use crate::received::RETRY_TOPIC_PREFIX;

/// What stands between the namespace and the name.
const SEPARATOR: char = '%';
/// What a group's dead letters are called in front of the group's name.
const DEAD_LETTERS_PREFIX: &str = "%DLQ%";
/// The system's own topics, and how the names of others begin, and those of its groups.
const SYSTEM_TOPICS: [&str; 9] = [
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];
const SYSTEM_PREFIXES: [&str; 2] = ["rmq_sys_", "CID_RMQ_SYS_"];

/// A namespace, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespace(Option<Arc<str>>);

fn is_system(name: &str) -> bool {
    SYSTEM_TOPICS.contains(&name) || SYSTEM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A name's prefix of retries or dead letters, and what is behind it.
fn parts(name: &str) -> (&str, &str) {
    let prefix = [RETRY_TOPIC_PREFIX, DEAD_LETTERS_PREFIX]
        .into_iter()
        .find(|prefix| name.starts_with(prefix));
    name.split_at(prefix.map_or(0, str::len))
}

impl Namespace {
    /// This namespace; an empty name is none.
    pub(crate) fn new(name: &str) -> Self {
        Self((!name.is_empty()).then(|| Arc::from(name)))
    }

    /// Its name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// What follows the namespace in a name without its prefix.
    fn inside<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(self.name()?)?.strip_prefix(SEPARATOR)
    }

    /// A topic or group as brokers know it.
    pub(crate) fn wrap<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let (prefix, own) = parts(name);
        match self.name() {
            Some(namespace) if !name.is_empty() && !is_system(name) && self.inside(own).is_none() => {
                format!("{prefix}{namespace}{SEPARATOR}{own}").into()
            }
            _ => name.into(),
        }
    }

    /// The name of a topic or group as the application knows it.
    pub(crate) fn unwrap<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let (prefix, own) = parts(name);
        match self.inside(own) {
            Some(own) if prefix.is_empty() => own.into(),
            Some(own) => format!("{prefix}{own}").into(),
            None => name.into(),
        }
    }

    /// A group as the application knows it.
    pub(crate) fn unwrap_group<'a>(&self, group: &'a str) -> &'a str {
        self.inside(group).unwrap_or(group)
    }

    /// A queue as brokers know it.
    pub(crate) fn wrap_queue<'a>(&self, queue: &'a MessageQueue) -> Cow<'a, MessageQueue> {
        match self.wrap(&queue.topic) {
            Cow::Borrowed(_) => Cow::Borrowed(queue),
            Cow::Owned(topic) => Cow::Owned(MessageQueue { topic, ..queue.clone() }),
        }
    }

    /// A queue as the application knows it.
    pub(crate) fn unwrap_queue(&self, queue: MessageQueue) -> MessageQueue {
        if self.0.is_none() {
            return queue;
        }
        let topic = self.unwrap(&queue.topic).into_owned();
        MessageQueue { topic, ..queue }
    }

    /// A queue that others have as well, as the application knows it.
    pub(crate) fn unwrap_shared(&self, queue: Arc<MessageQueue>) -> Arc<MessageQueue> {
        if self.0.is_none() {
            return queue;
        }
        Arc::new(self.unwrap_queue(MessageQueue::clone(&queue)))
    }

    /// Queues as the application knows them.
    pub(crate) fn unwrap_queues<C: FromIterator<MessageQueue>>(
        &self,
        queues: impl IntoIterator<Item = MessageQueue>,
    ) -> C {
        queues.into_iter().map(|queue| self.unwrap_queue(queue)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java's `NamespaceUtil` of 4.9.8 answers for the namespace `ns`: a name, wrapped, and unwrapped.
    const JAVAS: [(&str, &str, &str); 30] = [
        ("T", "ns%T", "T"),
        ("ns%T", "ns%T", "T"),
        ("%RETRY%g", "%RETRY%ns%g", "%RETRY%g"),
        ("%DLQ%g", "%DLQ%ns%g", "%DLQ%g"),
        ("%RETRY%ns%g", "%RETRY%ns%g", "%RETRY%g"),
        ("%DLQ%ns%g", "%DLQ%ns%g", "%DLQ%g"),
        ("TBW102", "TBW102", "TBW102"),
        ("RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRACE_TOPIC"),
        ("rmq_sys_x", "rmq_sys_x", "rmq_sys_x"),
        (
            "RMQ_SYS_TRANS_HALF_TOPIC",
            "RMQ_SYS_TRANS_HALF_TOPIC",
            "RMQ_SYS_TRANS_HALF_TOPIC",
        ),
        ("SCHEDULE_TOPIC_XXXX", "SCHEDULE_TOPIC_XXXX", "SCHEDULE_TOPIC_XXXX"),
        ("BenchmarkTest", "BenchmarkTest", "BenchmarkTest"),
        ("OFFSET_MOVED_EVENT", "OFFSET_MOVED_EVENT", "OFFSET_MOVED_EVENT"),
        ("SELF_TEST_TOPIC", "SELF_TEST_TOPIC", "SELF_TEST_TOPIC"),
        (
            "TRANS_CHECK_MAX_TIME_TOPIC",
            "TRANS_CHECK_MAX_TIME_TOPIC",
            "TRANS_CHECK_MAX_TIME_TOPIC",
        ),
        (
            "RMQ_SYS_SCHEDULE_TOPIC",
            "ns%RMQ_SYS_SCHEDULE_TOPIC",
            "RMQ_SYS_SCHEDULE_TOPIC",
        ),
        (
            "DefaultCluster_REPLY_TOPIC",
            "ns%DefaultCluster_REPLY_TOPIC",
            "DefaultCluster_REPLY_TOPIC",
        ),
        ("CID_RMQ_SYS_x", "CID_RMQ_SYS_x", "CID_RMQ_SYS_x"),
        ("other%T", "ns%other%T", "other%T"),
        ("nsT", "ns%nsT", "nsT"),
        (
            "%RETRY%CID_RMQ_SYS_x",
            "%RETRY%ns%CID_RMQ_SYS_x",
            "%RETRY%CID_RMQ_SYS_x",
        ),
        ("%T", "ns%%T", "%T"),
        ("", "", ""),
        ("ns%%RETRY%g", "ns%%RETRY%g", "%RETRY%g"),
        (
            "CLIENT_INNER_PRODUCER",
            "ns%CLIENT_INNER_PRODUCER",
            "CLIENT_INNER_PRODUCER",
        ),
        ("%RETRY%TBW102", "%RETRY%ns%TBW102", "%RETRY%TBW102"),
        (
            "RMQ_SYS_TRANS_OP_HALF_TOPIC",
            "RMQ_SYS_TRANS_OP_HALF_TOPIC",
            "RMQ_SYS_TRANS_OP_HALF_TOPIC",
        ),
        (
            "AUTO_CREATE_TOPIC_KEY",
            "ns%AUTO_CREATE_TOPIC_KEY",
            "AUTO_CREATE_TOPIC_KEY",
        ),
        ("TOOLS_CONSUMER", "ns%TOOLS_CONSUMER", "TOOLS_CONSUMER"),
        ("%RETRY%", "%RETRY%ns%", "%RETRY%"),
    ];

    #[test]
    fn names_are_wrapped_and_unwrapped_as_javas() {
        let namespace = Namespace::new("ns");
        for (name, wrapped, unwrapped) in JAVAS {
            assert_eq!(namespace.wrap(name), wrapped, "{name} wrapped");
            assert_eq!(namespace.unwrap(name), unwrapped, "{name} unwrapped");
            assert_eq!(namespace.wrap(wrapped), wrapped, "{wrapped} wrapped again");
        }
    }

    #[test]
    fn without_a_namespace_names_are_what_they_are() {
        for (name, ..) in JAVAS {
            let none = Namespace::new("");
            assert_eq!((none.wrap(name), none.unwrap(name)), (name.into(), name.into()));
        }
    }

    #[test]
    fn queues_go_out_and_come_back() {
        let namespace = Namespace::new("ns");
        let queue = MessageQueue {
            topic: "T".to_owned(),
            broker_name: "b".to_owned(),
            queue_id: 3,
        };
        let wrapped = namespace.wrap_queue(&queue).into_owned();
        assert_eq!((wrapped.topic.as_str(), wrapped.queue_id), ("ns%T", 3));
        assert_eq!(namespace.unwrap_queue(wrapped), queue);
    }
}
