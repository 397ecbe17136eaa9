//! The table of subscription groups with RocketMQ's rules: which groups are there from the start, when one is created by
//! its first use. Mirrors Java's `SubscriptionGroupManager`.
//!
//! Every change is staged (see [`crate::config_table`]): the owner writes the file, then publishes.

use std::sync::Arc;

use cuemq_net::body::{DataVersion, ExtraMembers, SubscriptionGroupConfig, SubscriptionGroupTable};
use cuemq_net::code::ResponseCode;

use super::{GroupView, SubscriptionGroup};
use crate::config::live::Switch;
use crate::config_table::ConfigTable;

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

/// With so many groups none is made by its first use any more: anybody can use any name.
const GROUPS_MAX: usize = 65_536;

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
    /// There are so many groups that their use makes no more.
    #[error("the broker has {GROUPS_MAX} groups, and use makes no more: delete those that nobody needs")]
    TooMany,
}

impl Refusal {
    /// The code that Java's broker answers.
    #[must_use]
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::NotExist { .. } => ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
            Self::BadName | Self::TooMany => ResponseCode::SYSTEM_ERROR,
        }
    }
}

/// The table of subscription groups.
#[derive(Debug)]
pub struct GroupTable {
    table: ConfigTable<SubscriptionGroupConfig>,
    /// Members of the file that belong to other releases.
    extra: ExtraMembers,
    /// Whether the first use of a group creates it (`autoCreateSubscriptionGroup`); the system's own are made anyway.
    auto_create: Switch,
}

impl GroupTable {
    /// Takes over `subscriptionGroup.json` (`None` where there is none), adds the pre-created groups it lacks, and shows
    /// all in `view`.
    #[must_use]
    pub fn load(file: Option<SubscriptionGroupTable>, auto_create: Switch, view: GroupView, now_ms: u64) -> Self {
        let mut file = file.unwrap_or_else(|| {
            let timestamp = i64::try_from(now_ms).unwrap_or(i64::MAX);
            SubscriptionGroupTable {
                data_version: DataVersion {
                    timestamp,
                    ..DataVersion::default()
                },
                ..Default::default()
            }
        });
        for (name, config) in &mut file.subscription_group_table {
            config.group_name.clone_from(name);
        }
        let mut table = ConfigTable::new(file.subscription_group_table, file.data_version, view);
        for name in PRESET_GROUPS {
            table.preset(name, defaults(name));
        }
        table.publish_all();
        Self {
            table,
            extra: file.extra,
            auto_create,
        }
    }

    /// Finds a group, or stages it with the defaults where its use creates it.
    ///
    /// # Errors
    /// [`Refusal::NotExist`] when it does not, [`Refusal::BadName`], and [`Refusal::TooMany`].
    pub fn find_or_create(&mut self, name: &str, now_ms: u64) -> Result<Arc<SubscriptionGroup>, Refusal> {
        if let Some(group) = self.table.get(name) {
            return Ok(Arc::clone(group));
        }
        if !self.auto_create.is_on() && !name.starts_with(SYSTEM_PREFIX) {
            return Err(Refusal::NotExist { group: name.to_owned() });
        }
        check_name(name)?;
        if self.table.len() >= GROUPS_MAX {
            return Err(Refusal::TooMany);
        }
        Ok(self.table.put(name, defaults(name), now_ms))
    }

    /// Stages a group as an administrator wants it, new or changed. Members of other releases are kept, his over those
    /// that were there.
    ///
    /// # Errors
    /// [`Refusal::BadName`].
    pub fn update(&mut self, config: SubscriptionGroupConfig, now_ms: u64) -> Result<Arc<SubscriptionGroup>, Refusal> {
        check_name(&config.group_name)?;
        let name = config.group_name.clone();
        let mut extra = self
            .table
            .get(&name)
            .map_or_else(ExtraMembers::new, |group| group.config.extra.clone());
        extra.extend(config.extra);
        Ok(self
            .table
            .put(&name, SubscriptionGroupConfig { extra, ..config }, now_ms))
    }

    /// Stages several groups as an administrator wants them, all or none.
    ///
    /// # Errors
    /// [`Refusal::BadName`] of the first that has one.
    pub fn update_all(&mut self, configs: Vec<SubscriptionGroupConfig>, now_ms: u64) -> Result<(), Refusal> {
        for config in &configs {
            check_name(&config.group_name)?;
        }
        for config in configs {
            self.update(config, now_ms)?;
        }
        Ok(())
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

    /// The table as `subscriptionGroup.json` and the answer to code 201 hold it, staged changes included.
    #[must_use]
    pub fn export(&self) -> SubscriptionGroupTable {
        SubscriptionGroupTable {
            data_version: self.table.version(),
            subscription_group_table: self.table.export(),
            extra: self.extra.clone(),
        }
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> GroupView {
        self.table.view()
    }
}

fn defaults(name: &str) -> SubscriptionGroupConfig {
    SubscriptionGroupConfig {
        group_name: name.to_owned(),
        ..SubscriptionGroupConfig::default()
    }
}

/// Whether a group may be called so.
#[must_use]
pub fn is_group_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte);
    (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(allowed)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if is_group_name(name) {
        Ok(())
    } else {
        Err(Refusal::BadName)
    }
}

#[cfg(test)]
mod tests {
    use cuemq_net::dialect::Value;

    use super::*;

    fn table(auto_create: bool) -> GroupTable {
        GroupTable::load(None, Switch::new(auto_create), GroupView::new(), 1_000)
    }

    fn with_extra(retry_max_times: i32, extra: &[(&str, &str)]) -> SubscriptionGroupConfig {
        let extra = extra
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();
        SubscriptionGroupConfig {
            retry_max_times,
            extra,
            ..defaults("g")
        }
    }

    #[test]
    fn the_groups_of_the_tools_are_there_from_the_start() {
        let view = table(false).view();
        assert_eq!(view.all().len(), PRESET_GROUPS.len());
        assert_eq!(view.get("CID_ONSAPI_PULL").unwrap().config, defaults("CID_ONSAPI_PULL"));
    }

    #[test]
    fn the_first_use_creates_a_group_where_the_settings_allow_it() {
        let mut open = table(true);
        let group = open.find_or_create("GID_new", 1_001).unwrap();
        assert_eq!(group.config, defaults("GID_new"));
        assert_eq!(open.version().counter, 1);
        open.find_or_create("GID_new", 1_002).unwrap();
        assert_eq!(open.version().counter, 1);
        assert_eq!(open.find_or_create("a b", 1_003).unwrap_err(), Refusal::BadName);

        let mut closed = table(false);
        let refusal = closed.find_or_create("GID_new", 1_001).unwrap_err();
        assert_eq!(refusal.to_string(), "subscription group not exist, GID_new");
        assert_eq!(refusal.code(), ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
        assert!(closed.find_or_create("CID_RMQ_SYS_TRANS", 1_002).is_ok());
    }

    #[test]
    fn use_makes_no_more_than_65536_groups_and_those_that_are_there_are_still_found() {
        let mut table = table(true);
        let refusal = (0..=GROUPS_MAX)
            .find_map(|number| table.find_or_create(&format!("g{number}"), 1_001).err())
            .unwrap();
        assert_eq!((refusal, table.iter().count()), (Refusal::TooMany, GROUPS_MAX));
        assert!(table.find_or_create("g0", 1_002).is_ok());
        assert!(table.update(defaults("an-administrator-may"), 1_003).is_ok());
    }

    #[test]
    fn an_update_lays_the_request_over_the_row_that_was_there() {
        let mut table = table(true);
        table
            .update(with_extra(16, &[("attributes", "a"), ("new", "1")]), 1_001)
            .unwrap();
        table.update(with_extra(3, &[("new", "2")]), 1_002).unwrap();
        let expected = with_extra(3, &[("attributes", "a"), ("new", "2")]);
        assert_eq!(table.export().subscription_group_table["g"], expected);
        assert!(table.update(defaults(""), 1_004).is_err());
        assert!(table.delete("g", 1_005).is_some() && table.delete("g", 1_006).is_none());
    }
}
