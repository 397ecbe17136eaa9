//! The owner of the settings that change while the broker runs (codes 25 and 26) and of the file that keeps the changes. A
//! change is in the file before it is in force, and in force before it is answered.
//!
//! It blocks in writing its file, so it lives on a thread that may. Built anew after a failure it reads the file again.

use std::sync::Arc;

use actix::{Actor, Handler, Message, MessageResult, Recipient};
use arc_swap::ArcSwap;
use bytes::Bytes;
use cuemq_net::body::DataVersion;
use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::disk::Disk;
use cuemq_storage::table::write_table;

use crate::config::live::{self, ChangeRefused, LiveConfig, LiveSettings};
use crate::config::{BrokerConfig, ConfigError, Difference};
use crate::supervise::{Cause, Context};
use crate::topic::actor::RenewTopics;

/// Change these settings. From connections, one of each at a time.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<(), NotChanged>")]
pub struct ChangeSettings {
    /// Lines of `key=value`, with RocketMQ's keys.
    pub text: String,
}

/// Tell the settings in force: their version, and lines of `key=value`. From connections, one of each at a time.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "(DataVersion, Bytes)")]
pub struct TellSettings;

/// Put in force what can be changed while the broker runs, as a settings file that was read again says. From the program,
/// one for each SIGHUP, and one at a time.
#[derive(Message, Clone, Debug)]
#[rtype(result = "Result<Vec<Difference>, ConfigError>")]
pub struct FollowFile {
    /// The settings as the next start would have them.
    pub config: Box<BrokerConfig>,
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// They cannot be.
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
    /// The next start would not know of it.
    #[error("nothing was changed, because the change cannot be kept: {0}")]
    NotSaved(#[from] StoreError),
}

/// What the settings' owner works with.
#[derive(Clone)]
pub struct SettingsParts {
    /// The settings that the broker was started with, or those of its file as it was read again.
    pub config: Arc<ArcSwap<BrokerConfig>>,
    /// What all threads read.
    pub live: LiveSettings,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Has the name servers hear what may be done with the broker.
    pub topics: Recipient<RenewTopics>,
}

/// The actor.
pub struct Settings {
    parts: SettingsParts,
    config: LiveConfig,
    version: DataVersion,
    /// What was told last, until something changes.
    told: Option<Bytes>,
}

impl Settings {
    /// Reads the file of changes, and puts them in force.
    ///
    /// # Errors
    /// When the file cannot be read, or something in it cannot be.
    pub fn open(parts: SettingsParts) -> Result<Self, Cause> {
        let config = parts.config.load_full();
        let file = live::read_file(parts.disk.as_ref(), &config.data)?;
        let config = LiveConfig::open(config.as_ref().clone(), parts.live.clone(), &file)?;
        let version = DataVersion {
            timestamp: i64::try_from(parts.clock.now_ms()).unwrap_or(i64::MAX),
            ..DataVersion::default()
        };
        Ok(Self {
            parts,
            config,
            version,
            told: None,
        })
    }

    fn follow(&mut self, read_again: &BrokerConfig) -> Result<Vec<Difference>, ConfigError> {
        self.told = None;
        let permission = self.config.config().permission;
        let changed = self.config.follow(read_again)?;
        if !changed.is_empty() {
            // For this actor's next life.
            self.parts.config.store(Arc::new(self.config.config().clone()));
            self.say_changed(self.config.config().permission != permission);
        }
        Ok(changed)
    }

    /// Counts a change, and has the name servers hear of it where it concerns them.
    #[expect(clippy::disallowed_methods, reason = "one for each change by an administrator")]
    fn say_changed(&mut self, concerns_routes: bool) {
        self.version
            .advance(i64::try_from(self.parts.clock.now_ms()).unwrap_or(i64::MAX));
        if concerns_routes {
            self.parts.topics.do_send(RenewTopics);
        }
    }

    fn change(&mut self, text: &str) -> Result<(), NotChanged> {
        let change = self.config.check(text)?;
        let path = live::path_below(&self.config.config().data);
        write_table(self.parts.disk.as_ref(), &path, change.file_text().as_bytes())?;
        let concerns_routes = change.concerns_routes(&self.config);
        self.config.apply(change);
        self.told = None;
        self.say_changed(concerns_routes);
        tracing::info!(changed = text.trim(), "settings were changed");
        Ok(())
    }
}

impl Actor for Settings {
    type Context = Context<Self>;
}

impl Handler<ChangeSettings> for Settings {
    type Result = Result<(), NotChanged>;

    fn handle(&mut self, ChangeSettings { text }: ChangeSettings, _: &mut Self::Context) -> Self::Result {
        self.change(&text)
    }
}

impl Handler<FollowFile> for Settings {
    type Result = Result<Vec<Difference>, ConfigError>;

    fn handle(&mut self, FollowFile { config }: FollowFile, _: &mut Self::Context) -> Self::Result {
        self.follow(&config)
    }
}

impl Handler<TellSettings> for Settings {
    type Result = MessageResult<TellSettings>;

    fn handle(&mut self, _: TellSettings, _: &mut Self::Context) -> Self::Result {
        let text = self.told.get_or_insert_with(|| self.config.text().into());
        MessageResult((self.version, text.clone()))
    }
}
