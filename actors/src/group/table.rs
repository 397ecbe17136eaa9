//! The table of subscription groups with RocketMQ's rules: which groups are there from the start, when one is created by
//! its first use. Mirrors Java's `SubscriptionGroupManager`.
//!
//! Every change is staged (see [`crate::config_table`]): the owner writes the file, then publishes.

use std::sync::Arc;

use serde_json::Value;

use super::{GroupConfig, GroupView, SubscriptionGroup};
use crate::config_table::{BadMember, Config, ConfigTable, DataVersion, LoadError, Members};

/// The groups of Java's own tools, and those that may not consume but by their own ways.
const PRESET_GROUPS: [&str; 7] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
];
/// What the names of the system's own groups begin with; they are created whatever the settings say.
const SYSTEM_PREFIX: &str = "CID_RMQ_SYS_";
/// The longest name in bytes, as Java's `Validators` has it on the client.
const MAX_NAME_LENGTH: usize = 255;

/// Whether the first use of a group creates it (`autoCreateSubscriptionGroup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCreate {
    /// It does.
    Yes,
    /// Only for the system's own groups.
    SystemOnly,
}

/// Why the group table refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such group, and none is created by its use.
    #[error("subscription group not exist, {group}")]
    NotExist {
        /// The name.
        group: String,
    },
    /// The name is blank, too long or has characters that Java's clients refuse.
    #[error("the group name must be 1 to 255 of the characters %|a-zA-Z0-9_-")]
    BadName,
    /// An administrator's configuration cannot be read.
    #[error("the subscription group cannot be read: {0}")]
    BadConfig(#[from] BadMember),
}

/// The table of subscription groups.
#[derive(Debug)]
pub struct GroupTable {
    table: ConfigTable<GroupConfig>,
    auto_create: AutoCreate,
}

impl GroupTable {
    /// Reads the table from `subscriptionGroup.json` (`None` where there is none), adds the pre-created groups it lacks,
    /// and shows all in `view`.
    ///
    /// # Errors
    /// When the file is not such a table.
    pub fn load(file: Option<Value>, auto_create: AutoCreate, view: GroupView, now_ms: u64) -> Result<Self, LoadError> {
        let mut table = ConfigTable::load(file, view, now_ms)?;
        for name in PRESET_GROUPS {
            table.preset(name, GroupConfig::default());
        }
        table.publish_all();
        Ok(Self { table, auto_create })
    }

    /// Finds a group, or stages it with the defaults where its use creates it.
    ///
    /// # Errors
    /// [`Refusal::NotExist`] when it does not, and [`Refusal::BadName`].
    pub fn find_or_create(&mut self, name: &str, now_ms: u64) -> Result<Arc<SubscriptionGroup>, Refusal> {
        if let Some(group) = self.table.get(name) {
            return Ok(Arc::clone(group));
        }
        if self.auto_create == AutoCreate::SystemOnly && !name.starts_with(SYSTEM_PREFIX) {
            return Err(Refusal::NotExist { group: name.to_owned() });
        }
        check_name(name)?;
        Ok(self.table.put(name, GroupConfig::default(), now_ms))
    }

    /// Stages a group as an administrator wants it, new or changed, from the body of his request. Members that are not
    /// ours to know are kept, the request's over those that were there.
    ///
    /// # Errors
    /// [`Refusal::BadName`] and [`Refusal::BadConfig`].
    pub fn update(&mut self, name: &str, members: Members, now_ms: u64) -> Result<Arc<SubscriptionGroup>, Refusal> {
        check_name(name)?;
        let config = GroupConfig::read(&members)?;
        Ok(self.table.put_members(name, config, members, now_ms))
    }

    /// Stages the change of one group's configuration (`None` where there is no such group).
    pub fn change(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut GroupConfig),
        now_ms: u64,
    ) -> Option<Arc<SubscriptionGroup>> {
        let mut config = self.table.get(name)?.config;
        change(&mut config);
        Some(self.table.put(name, config, now_ms))
    }

    /// Stages the removal of a group; gives what it was, `None` where there was none.
    pub fn delete(&mut self, name: &str, now_ms: u64) -> Option<Arc<SubscriptionGroup>> {
        self.table.remove(name, now_ms)
    }

    /// A group, staged changes included.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<SubscriptionGroup>> {
        self.table.get(name)
    }

    /// All groups in the order of their names, staged changes included.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SubscriptionGroup>> {
        self.table.iter()
    }

    /// The table's version.
    #[must_use]
    pub fn version(&self) -> DataVersion {
        self.table.version()
    }

    /// Whether changes wait to be published.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        self.table.is_staged()
    }

    /// Shows the staged changes to the readers.
    pub fn publish(&mut self) {
        self.table.publish();
    }

    /// Forgets the staged changes.
    pub fn revert(&mut self) {
        self.table.revert();
    }

    /// The table as `subscriptionGroup.json` holds it, staged changes included.
    #[must_use]
    pub fn export(&self) -> Value {
        self.table.export()
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> GroupView {
        self.table.view()
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let allowed = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte));
    if allowed && (1..=MAX_NAME_LENGTH).contains(&name.len()) {
        Ok(())
    } else {
        Err(Refusal::BadName)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(auto_create: AutoCreate) -> GroupTable {
        GroupTable::load(None, auto_create, GroupView::new(), 1_000).unwrap()
    }

    fn members(value: Value) -> Members {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_groups_of_the_tools_are_there_from_the_start() {
        let view = table(AutoCreate::SystemOnly).view();
        assert_eq!(view.all().len(), PRESET_GROUPS.len());
        assert_eq!(view.get("CID_ONSAPI_PULL").unwrap().config, GroupConfig::default());
    }

    #[test]
    fn the_first_use_creates_a_group_where_the_settings_allow_it() {
        let mut open = table(AutoCreate::Yes);
        let group = open.find_or_create("GID_new", 1_001).unwrap();
        assert_eq!(group.config, GroupConfig::default());
        assert_eq!(open.version().counter, 1);
        open.find_or_create("GID_new", 1_002).unwrap();
        assert_eq!(open.version().counter, 1);
        assert_eq!(open.find_or_create("a b", 1_003).unwrap_err(), Refusal::BadName);

        let mut closed = table(AutoCreate::SystemOnly);
        let refusal = closed.find_or_create("GID_new", 1_001).unwrap_err();
        assert_eq!(refusal.to_string(), "subscription group not exist, GID_new");
        assert!(closed.find_or_create("CID_RMQ_SYS_TRANS", 1_002).is_ok());
    }

    #[test]
    fn an_update_lays_the_request_over_the_row_that_was_there() {
        let mut table = table(AutoCreate::Yes);
        table
            .update(
                "g",
                members(json!({"groupName": "g", "attributes": {"a": "b"}, "new": 1})),
                1_001,
            )
            .unwrap();
        table
            .update(
                "g",
                members(json!({"groupName": "g", "retryMaxTimes": 3, "new": 2})),
                1_002,
            )
            .unwrap();
        table
            .change("g", |config| config.consume_enable = false, 1_003)
            .unwrap();
        let row = table.export()["subscriptionGroupTable"]["g"].clone();
        assert_eq!((&row["attributes"], &row["new"]), (&json!({"a": "b"}), &json!(2)));
        assert_eq!(
            (&row["retryMaxTimes"], &row["consumeEnable"]),
            (&json!(3), &json!(false))
        );
        let refusal = table
            .update("g", members(json!({"retryMaxTimes": "many"})), 1_004)
            .unwrap_err();
        assert!(refusal.to_string().contains("retryMaxTimes is \"many\""));
        assert!(table.delete("g", 1_005).is_some() && table.delete("g", 1_006).is_none());
    }
}
