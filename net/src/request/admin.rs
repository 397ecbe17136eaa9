//! What tools ask of a broker.

use crate::header::field::fields;

fields! {
    /// Makes or changes a topic: 17.
    pub struct CreateTopic<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The topic whose settings a tool's user named.
        default_topic: &'a str = b"defaultTopic",
        /// How many queues can be read.
        read_queue_nums: i32 = b"readQueueNums",
        /// How many queues can be written.
        write_queue_nums: i32 = b"writeQueueNums",
        /// 4: read, 2: write, 1: inherit.
        perm: i32 = b"perm",
        /// `SINGLE_TAG` or `MULTI_TAG`.
        topic_filter_type: &'a str = b"topicFilterType",
        /// 1: unit, 2: unit subscription.
        topic_sys_flag: Option<i32> = b"topicSysFlag",
        /// Whether the topic is ordered.
        order: bool = b"order" or false,
        /// Attributes of 5.x, as text.
        attributes: Option<&'a str> = b"attributes",
    }

    /// Asks for one topic, by name: 202 its positions, 300 who consumes it, 351 its settings.
    pub struct TopicQuery<'a> {
        /// The topic.
        topic: &'a str = b"topic",
    }

    /// Asks who consumes in a group: 203.
    pub struct ConsumerConnections<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
    }

    /// Asks who produces in a group: 204.
    pub struct ProducerConnections<'a> {
        /// The producing group.
        producer_group: &'a str = b"producerGroup",
    }

    /// Asks for one group, by name: 343 its topics, 345 its subscription, 352 its settings.
    pub struct GroupQuery<'a> {
        /// The consuming group.
        group: &'a str = b"group",
        /// The topic, for 345.
        topic: Option<&'a str> = b"topic",
    }

    /// Deletes a consuming group's settings: 207.
    pub struct DeleteGroup<'a> {
        /// The group.
        group_name: &'a str = b"groupName",
        /// Whether its positions go too, as 4.9 tools say it.
        remove_offset: Option<bool> = b"removeOffset",
        /// Whether its positions go too, as 5.x tools say it.
        clean_offset: Option<bool> = b"cleanOffset",
    }

    /// Asks how far a group has come: 208.
    pub struct ConsumeStats<'a> {
        /// The consuming group.
        consumer_group: &'a str = b"consumerGroup",
        /// Only this topic.
        topic: Option<&'a str> = b"topic",
    }

    /// Resets a group's positions in a topic: 222.
    pub struct ResetOffset<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The consuming group.
        group: &'a str = b"group",
        /// The time to go to, in ms since 1970; -1: the end.
        timestamp: i64 = b"timestamp",
        /// Whether to go forward too.
        is_force: bool = b"isForce",
        /// Only this queue; -1: all. 5.x tools say so.
        queue_id: i32 = b"queueId" or -1,
        /// The position to go to instead of the time; 5.x tools say so.
        queue_offset: Option<i64> = b"offset",
    }

    /// Asks how far the clients of a group have come: 223.
    pub struct ConsumerStatus<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The consuming group.
        group: &'a str = b"group",
        /// Only the client with this id.
        client_addr: Option<&'a str> = b"clientAddr",
    }

    /// Asks for the times that a group's position lies behind: 303.
    pub struct ConsumeTimeSpan<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The consuming group.
        group: &'a str = b"group",
    }

    /// Asks for the lowest positions of other groups: 308.
    pub struct CorrectionOffset<'a> {
        /// Groups to leave out, with commas between.
        filter_groups: Option<&'a str> = b"filterGroups",
        /// The group to compare with.
        compare_group: &'a str = b"compareGroup",
        /// The topic.
        topic: &'a str = b"topic",
    }

    /// Copies a group's positions to another one: 314.
    pub struct CloneOffset<'a> {
        /// From this group.
        src_group: &'a str = b"srcGroup",
        /// To this group.
        dest_group: &'a str = b"destGroup",
        /// Only of this topic.
        topic: Option<&'a str> = b"topic",
        /// Whether the group must be offline.
        offline: bool = b"offline" or false,
    }

    /// Asks for a statistic: 315.
    pub struct BrokerStats<'a> {
        /// Its name.
        stats_name: &'a str = b"statsName",
        /// Its key: a topic, group or both.
        stats_key: &'a str = b"statsKey",
    }

    /// Asks how far all groups have come: 317.
    pub struct BrokerConsumeStats {
        /// Whether only ordered groups count.
        is_order: bool = b"isOrder",
    }

    /// Asks for entries of a consume queue: 321.
    pub struct QueryConsumeQueue<'a> {
        /// The topic.
        topic: &'a str = b"topic",
        /// The queue.
        queue_id: i32 = b"queueId" or 0,
        /// The first entry's position.
        index: i64 = b"index" or 0,
        /// How many.
        count: i32 = b"count" or 0,
        /// The group whose filter to try.
        consumer_group: Option<&'a str> = b"consumerGroup",
    }

    /// Has a discarded half message checked again: 323.
    pub struct ResumeHalfMessage<'a> {
        /// The message's id by its position.
        msg_id: Option<&'a str> = b"msgId",
    }
}
