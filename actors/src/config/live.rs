//! The settings that change while the broker runs (codes 25 and 26, and SIGHUP): which they are, as all threads read them, and the file
//! that keeps what was changed.
//!
//! `<data>/cuemq/live.properties` holds the changed ones by RocketMQ's names; the next start takes them over those of the
//! settings file. What is not in [`LIVE_KEYS`] is read at the start alone.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cuemq_storage::disk::Disk;

use super::broker_conf::Contents;
use super::difference::{Difference, differences};
use super::error::{ConfigError, Place};
use super::nearest::nearest;
use super::rocketmq_keys::{self as keys, Effect};
use super::setting::Draft;
use super::{BrokerConfig, properties, rocketmq_values};

/// RocketMQ's names of what can be changed.
pub const LIVE_KEYS: [&str; 13] = [
    "autoCreateSubscriptionGroup",
    "autoCreateTopicEnable",
    "brokerPermission",
    "deleteWhen",
    "enablePropertyFilter",
    "fileReservedTime",
    "filterSupportRetry",
    "longPollingEnable",
    "maxMessageSize",
    "rejectTransactionMessage",
    "shortPollingTimeMills",
    "slaveReadEnable",
    "traceOn",
];

/// The longest file of changed settings in bytes.
const FILE_BYTES_MAX: u64 = 1 << 16;
const FILE_HEAD: &str = "# What was changed while the broker ran. It counts over the settings file; to take a change back, remove its \
                         line while the broker does not run.\n";

/// Something that is on or off. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// One that is set so.
    #[must_use]
    pub fn new(on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(on)))
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

/// A number. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Dial(Arc<AtomicU64>);

impl Dial {
    /// What it stands at.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }
}

/// The settings that can be changed, read from every thread. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct LiveSettings {
    /// Whether the first use makes a group.
    pub auto_create_group: Switch,
    /// Whether the first message makes its topic.
    pub auto_create_topic: Switch,
    /// The broker's permission bits.
    pub permission: Dial,
    /// Whether pulls wait as long as they ask for.
    pub long_polling: Switch,
    /// The longest record in bytes.
    pub max_message_bytes: Dial,
    /// How long pulls wait otherwise, in milliseconds.
    pub short_polling_ms: Dial,
    /// How old a file of the commit log becomes, in milliseconds.
    pub retention_age_ms: Dial,
    /// The bits of the hours at which files go.
    pub retention_hours: Dial,
    /// Whether half messages are refused.
    pub reject_transactions: Switch,
    /// Whether consumers that are far behind are told to pull from another broker.
    pub slave_read: Switch,
    /// Whether consumers may filter by SQL92.
    pub sql_filters: Switch,
    /// Whether a group's filters count for its retried messages as well.
    pub filter_on_retry: Switch,
    /// Whether clients are asked for message traces.
    pub trace_on: Switch,
}

impl LiveSettings {
    /// As a broker begins with them.
    #[must_use]
    pub fn new(config: &BrokerConfig) -> Self {
        let live = Self::default();
        live.follow(config);
        live
    }

    fn follow(&self, config: &BrokerConfig) {
        self.auto_create_group.set(config.auto_create_group);
        self.auto_create_topic.set(config.auto_create_topic);
        self.permission.set(config.permission.into());
        self.long_polling.set(config.long_polling);
        self.max_message_bytes.set(config.max_message_size.into());
        self.short_polling_ms
            .set(u64::try_from(config.short_polling.as_millis()).unwrap_or(u64::MAX));
        let rules = config.retention.rules();
        self.retention_age_ms.set(rules.age_ms);
        self.retention_hours.set(rules.hours.bits().into());
        self.reject_transactions.set(config.transactions.reject);
        self.slave_read.set(config.slave_read);
        self.sql_filters.set(config.filters.sql);
        self.filter_on_retry.set(config.filters.on_retry);
        self.trace_on.set(config.trace_on);
    }
}

/// The settings in force, and which of them were changed while the broker ran.
#[derive(Debug)]
pub struct LiveConfig {
    config: BrokerConfig,
    live: LiveSettings,
    changed: BTreeMap<String, String>,
}

/// Settings that were found good and are not in force yet.
#[derive(Debug)]
pub struct Change {
    config: BrokerConfig,
    changed: BTreeMap<String, String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// The key is in no release.
    #[error("there is no key {key} in RocketMQ: {hint}; nothing was changed")]
    Unknown {
        /// The key.
        key: String,
        /// The nearest one, or where to look.
        hint: String,
    },
    /// It is read at the start.
    #[error(
        "{0} is read when the broker starts: change it in the settings file and start the broker anew; nothing was changed"
    )]
    AtStart(String),
    /// It does nothing here.
    #[error("{0} has no effect in this broker: leave it out; nothing was changed")]
    NoEffect(String),
    /// The text or a value cannot be used.
    #[error("{0}; nothing was changed")]
    Unusable(#[from] ConfigError),
}

impl LiveConfig {
    /// The settings that a broker begins with, and over them those of `file`, the text of the file of changes.
    ///
    /// # Errors
    /// When something in the file cannot be.
    pub fn open(config: BrokerConfig, live: LiveSettings, file: &str) -> Result<Self, ChangeRefused> {
        let changed = BTreeMap::new();
        let mut open = Self { config, live, changed };
        let change = open.check(file)?;
        open.apply(change);
        Ok(open)
    }

    /// All settings that RocketMQ has a name for, one on each line.
    #[must_use]
    pub fn text(&self) -> String {
        rocketmq_values::text(&self.config)
    }

    /// Finds out what settings a text of `key=value` lines asks for.
    ///
    /// # Errors
    /// When one of them cannot be changed, or not to that.
    pub fn check(&self, text: &str) -> Result<Change, ChangeRefused> {
        let place = |line| Place::Request { line };
        let entries = properties::read(text).map_err(|malformed| ConfigError::Syntax {
            place: place(malformed.line),
            reason: malformed.reason.to_owned(),
        })?;
        entries.iter().try_for_each(|entry| check_key(&entry.key))?;
        let mut draft = Draft::of(self.config.clone());
        if !entries.is_empty() {
            let contents = Contents::read(text, place, false)?;
            contents.given.iter().try_for_each(|given| given.apply(&mut draft))?;
            draft.config.validate().map_err(ConfigError::from)?;
        }
        let mut changed = self.changed.clone();
        changed.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
        Ok(Change {
            config: draft.config,
            changed,
        })
    }

    /// Puts what `read_again`, the settings as the next start would have them, says of those that can be changed in force,
    /// and tells what is different now.
    ///
    /// # Errors
    /// When it does not go with the settings of the start; nothing has changed then.
    pub fn follow(&mut self, read_again: &BrokerConfig) -> Result<Vec<Difference>, ConfigError> {
        let config = self.config.with_live_of(read_again);
        config.validate()?;
        let changed = differences(&self.config, &config);
        self.live.follow(&config);
        self.config = config;
        Ok(changed)
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// Puts a change in force.
    pub fn apply(&mut self, change: Change) {
        self.live.follow(&change.config);
        (self.config, self.changed) = (change.config, change.changed);
    }
}

impl Change {
    /// The text of the file that keeps it, with what was changed before.
    #[must_use]
    pub fn file_text(&self) -> String {
        let lines = self.changed.iter().map(|(key, value)| format!("{key}={value}\n"));
        std::iter::once(FILE_HEAD.to_owned()).chain(lines).collect()
    }

    /// Whether the name servers have to hear of it.
    #[must_use]
    pub fn concerns_routes(&self, before: &LiveConfig) -> bool {
        self.config.permission != before.config.permission
    }
}

impl BrokerConfig {
    /// These settings, with those of `other` that can be changed while a broker runs.
    fn with_live_of(&self, other: &Self) -> Self {
        let mut config = self.clone();
        config.auto_create_group = other.auto_create_group;
        config.auto_create_topic = other.auto_create_topic;
        config.permission = other.permission;
        config.long_polling = other.long_polling;
        config.max_message_size = other.max_message_size;
        config.short_polling = other.short_polling;
        config.retention.age = other.retention.age;
        config.retention.hours = other.retention.hours;
        config.transactions.reject = other.transactions.reject;
        config.slave_read = other.slave_read;
        config.filters.sql = other.filters.sql;
        config.filters.on_retry = other.filters.on_retry;
        config.trace_on = other.trace_on;
        config
    }
}

/// Whether a setting of this name can be changed while a broker runs.
pub(super) fn is_live(setting: &str) -> bool {
    let sets = |key: &str| matches!(keys::of_broker(key), Some(Effect::Sets(name, _)) if name == setting);
    LIVE_KEYS.iter().any(|key| sets(key))
}

/// The file of changes below a data directory.
#[must_use]
pub fn path_below(data: &Path) -> PathBuf {
    data.join("cuemq").join("live.properties")
}

/// The text of the file of changes; empty where there is none.
///
/// # Errors
/// When it cannot be read.
pub fn read_file(disk: &dyn Disk, data: &Path) -> Result<String, ConfigError> {
    let path = path_below(data);
    match disk.read_whole(&path, FILE_BYTES_MAX) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // What is wrong with a data directory that is none, the store says better.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(String::new()),
        Err(source) => Err(ConfigError::ChangesUnreadable { path, source }),
    }
}

fn check_key(key: &str) -> Result<(), ChangeRefused> {
    if LIVE_KEYS.contains(&key) {
        return Ok(());
    }
    let key = key.to_owned();
    Err(match keys::of_broker(&key) {
        Some(Effect::Foreign | Effect::NotYet) => ChangeRefused::NoEffect(key),
        Some(_) => ChangeRefused::AtStart(key),
        None => ChangeRefused::Unknown {
            hint: match nearest(&key, keys::names()) {
                Some(name) => format!("did you mean {name}?"),
                None => "getBrokerConfig lists those that have an effect".to_owned(),
            },
            key,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LiveConfig {
        let config = BrokerConfig::for_test();
        LiveConfig::open(config.clone(), LiveSettings::new(&config), "").unwrap()
    }

    #[test]
    fn every_live_key_sets_something_that_is_read_while_the_broker_runs() {
        for key in LIVE_KEYS {
            let mut live = config();
            let before = format!("{:?}", live.live);
            let value = match key {
                "brokerPermission" => "4",
                "deleteWhen" => "05",
                "maxMessageSize" | "shortPollingTimeMills" | "fileReservedTime" => "2000",
                "slaveReadEnable" | "enablePropertyFilter" | "filterSupportRetry" | "rejectTransactionMessage" => {
                    "true"
                }
                _ => "false",
            };
            let change = live.check(&format!("{key}={value}")).unwrap();
            live.apply(change);
            assert_ne!(format!("{:?}", live.live), before, "{key}");
            assert!(live.text().contains(&format!("{key}={value}\n")), "{key}");
        }
    }

    #[test]
    fn every_live_key_follows_a_file_that_is_read_again_and_nothing_else_does() {
        let (mut live, mut changed) = (config(), config());
        let text = "autoCreateSubscriptionGroup=false\nautoCreateTopicEnable=false\nbrokerPermission=4\ndeleteWhen=05\n\
                    enablePropertyFilter=true\nfileReservedTime=2000\nfilterSupportRetry=true\nlongPollingEnable=false\nmaxMessageSize=2000\nrejectTransactionMessage=true\nshortPollingTimeMills=2000\n\
                    slaveReadEnable=true\ntraceOn=false\n";
        changed.apply(changed.check(text).unwrap());
        let read_again = BrokerConfig {
            region: "elsewhere".to_owned(),
            ..changed.config.clone()
        };
        let differences = live.follow(&read_again).unwrap();
        assert_eq!(differences.len(), LIVE_KEYS.len(), "{differences:?}");
        assert!(differences.iter().all(|difference| is_live(difference.setting)));
        assert_eq!(format!("{:?}", live.live), format!("{:?}", changed.live));
        assert_eq!(live.text(), changed.text());
        assert!(live.follow(&read_again).unwrap().is_empty());
    }

    #[test]
    fn one_key_that_cannot_be_changed_leaves_all_as_they_are() {
        let live = config();
        let refused = |text: &str| live.check(text).unwrap_err().to_string();
        let at_start = refused("traceOn=false\nflushDiskType=ASYNC_FLUSH");
        assert!(
            at_start.starts_with("flushDiskType is read when the broker starts"),
            "{at_start}"
        );
        let unknown = refused("traceon=false");
        assert!(unknown.contains("did you mean traceOn?"), "{unknown}");
        let foreign = refused("brokerFastFailureEnable=false");
        assert!(
            foreign.starts_with("brokerFastFailureEnable has no effect"),
            "{foreign}"
        );
        let wrong = refused("brokerPermission=3");
        assert!(wrong.ends_with("nothing was changed"), "{wrong}");
        assert!(refused("traceOn=perhaps").contains("traceOn = perhaps"));
    }

    #[test]
    fn the_file_has_what_was_changed_now_and_before() {
        let settings = BrokerConfig::for_test();
        let live = LiveSettings::new(&settings);
        let live = LiveConfig::open(settings, live, "# a note\ntraceOn=false\n").unwrap();
        assert!(!live.live.trace_on.is_on());
        let text = live.check("brokerPermission=4").unwrap().file_text();
        assert!(text.ends_with("\nbrokerPermission=4\ntraceOn=false\n"), "{text}");
    }
}
