//! The owner of the settings that change while the broker runs (codes 25 and 26) and of the file that keeps the changes. A
//! change is in the file before it is in force, and in force before it is answered.
//!
//! It blocks in writing its file, so it lives on a thread that may. Built anew after a failure it reads the file again.

use std::sync::Arc;

use actix::{Actor, Handler, Message, MessageResult, Recipient};
use cuemq_net::body::DataVersion;
use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::disk::Disk;
use cuemq_storage::table::write_table;

use crate::config::BrokerConfig;
use crate::config::live::{self, ChangeRefused, LiveConfig, LiveSettings};
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
#[rtype(result = "(DataVersion, String)")]
pub struct TellSettings;

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
    /// The settings that the broker was started with.
    pub config: BrokerConfig,
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
}

impl Settings {
    /// Reads the file of changes, and puts them in force.
    ///
    /// # Errors
    /// When the file cannot be read, or something in it cannot be.
    pub fn open(parts: SettingsParts) -> Result<Self, Cause> {
        let file = live::read_file(parts.disk.as_ref(), &parts.config.data)?;
        let config = LiveConfig::open(parts.config.clone(), parts.live.clone(), &file)?;
        let version = DataVersion {
            timestamp: i64::try_from(parts.clock.now_ms()).unwrap_or(i64::MAX),
            ..DataVersion::default()
        };
        Ok(Self { parts, config, version })
    }

    #[expect(clippy::disallowed_methods, reason = "one for each change by an administrator")]
    fn change(&mut self, text: &str) -> Result<(), NotChanged> {
        let change = self.config.check(text)?;
        let path = live::path_below(&self.parts.config.data);
        write_table(self.parts.disk.as_ref(), &path, change.file_text().as_bytes())?;
        let concerns_routes = change.concerns_routes(&self.config);
        self.config.apply(change);
        self.version
            .advance(i64::try_from(self.parts.clock.now_ms()).unwrap_or(i64::MAX));
        tracing::info!(changed = text.trim(), "settings were changed");
        if concerns_routes {
            self.parts.topics.do_send(RenewTopics);
        }
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

impl Handler<TellSettings> for Settings {
    type Result = MessageResult<TellSettings>;

    fn handle(&mut self, _: TellSettings, _: &mut Self::Context) -> Self::Result {
        MessageResult((self.version, self.config.text()))
    }
}
