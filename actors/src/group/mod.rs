//! Subscription groups: what a group of consumers may do, and the table of them.
//!
//! [`GroupTable`] is the owner's state; [`GroupView`] is read by every pull and send-back. The rules follow Java's
//! `SubscriptionGroupManager`.

mod table;

pub use table::{AutoCreate, GroupTable, Refusal};

use serde_json::Value;

use crate::config_table::{BadMember, Config, Members, Named, View, boolean, integer};

/// A subscription group as the connections see it.
pub type SubscriptionGroup = Named<GroupConfig>;
/// The readers' side of the table of groups.
pub type GroupView = View<GroupConfig>;

/// Stands for a group's name in this process; no two names ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl From<u32> for GroupId {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// A group's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Whether the group may consume at all.
    pub consume_enable: bool,
    /// Whether it may begin at a queue's minimum. Carried along, as Java does.
    pub consume_from_min_enable: bool,
    /// Whether it may consume by broadcast.
    pub consume_broadcast_enable: bool,
    /// The queues of its retry topic; none means that a send-back is dropped.
    pub retry_queue_nums: i32,
    /// How often a message is tried again before it goes to the dead letters.
    pub retry_max_times: i32,
    /// The broker id that its clients are told to pull from.
    pub broker_id: i64,
    /// The broker id that they are told when they lag far behind.
    pub which_broker_when_consume_slowly: i64,
    /// Whether its members are told when one comes or goes.
    pub notify_consumer_ids_changed_enable: bool,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            retry_queue_nums: 1,
            retry_max_times: 16,
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
        }
    }
}

impl Config for GroupConfig {
    type Id = GroupId;
    const ROWS: &'static str = "subscriptionGroupTable";
    const NAME: &'static str = "groupName";

    fn read(row: &Members) -> Result<Self, BadMember> {
        let default = Self::default();
        let count = |member, default| {
            let wanted = (i64::from(i32::MIN)..=i64::from(i32::MAX), "a number of 32 bits");
            integer(row, member, i64::from(default), wanted).map(|number| i32::try_from(number).unwrap_or(default))
        };
        let broker = |member, default| integer(row, member, default, (i64::MIN..=i64::MAX, "a number"));
        Ok(Self {
            consume_enable: boolean(row, "consumeEnable", default.consume_enable)?,
            consume_from_min_enable: boolean(row, "consumeFromMinEnable", default.consume_from_min_enable)?,
            consume_broadcast_enable: boolean(row, "consumeBroadcastEnable", default.consume_broadcast_enable)?,
            retry_queue_nums: count("retryQueueNums", default.retry_queue_nums)?,
            retry_max_times: count("retryMaxTimes", default.retry_max_times)?,
            broker_id: broker("brokerId", default.broker_id)?,
            which_broker_when_consume_slowly: broker(
                "whichBrokerWhenConsumeSlowly",
                default.which_broker_when_consume_slowly,
            )?,
            notify_consumer_ids_changed_enable: boolean(
                row,
                "notifyConsumerIdsChangedEnable",
                default.notify_consumer_ids_changed_enable,
            )?,
        })
    }

    fn write(&self, row: &mut Members) {
        row.insert("brokerId".to_owned(), Value::from(self.broker_id));
        row.insert(
            "consumeBroadcastEnable".to_owned(),
            Value::from(self.consume_broadcast_enable),
        );
        row.insert("consumeEnable".to_owned(), Value::from(self.consume_enable));
        row.insert(
            "consumeFromMinEnable".to_owned(),
            Value::from(self.consume_from_min_enable),
        );
        row.insert(
            "notifyConsumerIdsChangedEnable".to_owned(),
            Value::from(self.notify_consumer_ids_changed_enable),
        );
        row.insert("retryMaxTimes".to_owned(), Value::from(self.retry_max_times));
        row.insert("retryQueueNums".to_owned(), Value::from(self.retry_queue_nums));
        row.insert(
            "whichBrokerWhenConsumeSlowly".to_owned(),
            Value::from(self.which_broker_when_consume_slowly),
        );
    }
}
