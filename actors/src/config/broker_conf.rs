//! RocketMQ's own settings files, broker.conf and namesrv.conf: Java properties, read as a RocketMQ user means them.
//!
//! A known key without effect here gets a line in the log, an unknown one a warning with the nearest known key, a value
//! that cannot be is an error. Of a key that is there twice the last one counts, as in Java.

use std::path::PathBuf;
use std::time::Duration;

use super::error::{ConfigError, Place};
use super::given::{Given, Note};
use super::nearest::nearest;
use super::properties::{self, Entry};
use super::rocketmq_keys::{self as keys, Effect, Form};
use super::setting;
use super::size::ByteSize;
use super::validate::{RECORD_BYTES_MAX, REGISTER_INTERVALS};
use super::value::{Read, Value, Wrong};

/// The length of a consume queue entry.
const QUEUE_UNIT_BYTES: i64 = 20;
/// What RocketMQ brings a part of the disk within, in percent.
const DISK_PERCENT: [i64; 2] = [10, 95];

/// What a file says.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) given: Vec<Given>,
    pub(super) notes: Vec<Note>,
    /// What tls.config.file names.
    pub(super) tls_file: Option<PathBuf>,
}

impl Contents {
    /// Reads the text of a broker.conf, or of a namesrv.conf for a name server alone.
    ///
    /// # Errors
    /// When a line is broken, a value cannot be, or something that is asked for is not supported.
    pub(super) fn read(
        text: &str,
        place: impl Fn(usize) -> Place,
        name_server_only: bool,
    ) -> Result<Self, ConfigError> {
        let mut contents = Self::read_keys(text, place, name_server_only, |_| true)?;
        if !name_server_only {
            contents.say_what_is_absent();
        }
        Ok(contents)
    }

    /// Reads the text of a tls.properties, which says nothing about anything else.
    ///
    /// # Errors
    /// As for [`Contents::read`].
    pub(super) fn read_tls(
        text: &str,
        place: impl Fn(usize) -> Place,
        name_server_only: bool,
    ) -> Result<Self, ConfigError> {
        Self::read_keys(text, place, name_server_only, |key| key.starts_with("tls."))
    }

    fn read_keys(
        text: &str,
        place: impl Fn(usize) -> Place,
        name_server_only: bool,
        is_read: impl Fn(&str) -> bool,
    ) -> Result<Self, ConfigError> {
        let entries = properties::read(text).map_err(|malformed| ConfigError::Syntax {
            place: place(malformed.line),
            reason: malformed.reason.to_owned(),
        })?;
        let mut contents = Self::default();
        for entry in &entries {
            let place = place(entry.line);
            let effect = if name_server_only {
                keys::of_name_server(&entry.key)
            } else {
                keys::of_broker(&entry.key)
            };
            match effect.filter(|_| is_read(&entry.key)) {
                Some(effect) => contents.take(entry, effect, place)?,
                None if name_server_only && keys::of_broker(&entry.key).is_some() => {
                    contents.info(format!(
                        "{place}: {} is a broker's, it has no effect on a name server",
                        entry.key
                    ));
                }
                None if effect.is_some() => {
                    contents.warn(format!("{place}: {} has no effect in a file about TLS", entry.key));
                }
                None => contents.unknown(entry, &place),
            }
        }
        Ok(contents)
    }

    fn take(&mut self, entry: &Entry, effect: Effect, place: Place) -> Result<(), ConfigError> {
        let key = &entry.key;
        match effect {
            Effect::Sets(name, form) => return self.set(entry, name, form, place),
            Effect::Role => return role(entry, place),
            Effect::Id => return self.id(entry, place),
            Effect::Refused(reason) => {
                if truth(&entry.value).map_err(|wrong| cannot_be(entry, place.clone(), wrong))? {
                    return Err(unsupported(entry, place, reason));
                }
            }
            Effect::Settled(reason) => self.info(format!("{place}: {key} has no effect here: {reason}")),
            Effect::TlsFile if entry.value.is_empty() => {}
            Effect::TlsFile => self.tls_file = Some(entry.value.clone().into()),
            Effect::Foreign => self.info(format!(
                "{place}: {key} has no effect here: threads, buffers and files are this broker's own"
            )),
            Effect::NotYet => self.warn(format!("{place}: {key} has no effect here yet")),
        }
        Ok(())
    }

    fn set(&mut self, entry: &Entry, name: &str, form: Form, place: Place) -> Result<(), ConfigError> {
        let Some(setting) = setting::named(name) else {
            return Ok(());
        };
        let value = self
            .value(entry, form, &place)
            .map_err(|wrong| cannot_be(entry, place.clone(), wrong))?;
        let earlier = self
            .given
            .iter()
            .find(|given| given.setting.name == name && given.value != value);
        if let Some(earlier) = earlier {
            self.warn(format!(
                "{place}: {} = {} counts, not what {} says",
                entry.key,
                setting.shown(&entry.value),
                earlier.place
            ));
        }
        let (key, written) = (entry.key.clone(), entry.value.clone());
        self.given.push(Given {
            setting,
            key,
            written,
            value,
            place,
        });
        Ok(())
    }

    fn value(&mut self, entry: &Entry, form: Form, place: &Place) -> Read<Value> {
        let (key, text) = (&entry.key, entry.value.as_str());
        match form {
            Form::Text if text.is_empty() => Err(Wrong("a value, or leave the line out".to_owned())),
            Form::Text | Form::MaybeText => Ok(Value::Text(text.to_owned())),
            Form::Number => number(text).map(Value::Integer),
            Form::Truth => truth(text).map(Value::Truth),
            Form::Millis => Ok(Value::Span(Duration::from_millis(unsigned(text)?))),
            Form::Seconds => Ok(Value::Span(Duration::from_secs(unsigned(text)?))),
            Form::Hours => Ok(Value::Span(Duration::from_secs(3600 * unsigned(text)?))),
            Form::Flush => flush(text),
            Form::DiskPercent => {
                let asked = number(text)?;
                let used = asked.clamp(DISK_PERCENT[0], DISK_PERCENT[1]);
                if used != asked {
                    self.info(format!("{place}: {key} = {text} is brought to {used}, as in RocketMQ"));
                }
                Ok(Value::Integer(used))
            }
            Form::RegisterPeriod => {
                let [shortest, longest] = REGISTER_INTERVALS;
                let asked = Duration::from_millis(unsigned(text)?);
                let used = asked.clamp(shortest, longest);
                if used != asked {
                    self.info(format!(
                        "{place}: {key} = {text} is brought to {}, as in RocketMQ",
                        humantime::format_duration(used)
                    ));
                }
                Ok(Value::Span(used))
            }
            Form::QueueFileBytes => {
                let asked = number(text)?;
                let over = asked.rem_euclid(QUEUE_UNIT_BYTES);
                let used = if over == 0 {
                    asked
                } else {
                    asked.saturating_add(QUEUE_UNIT_BYTES - over)
                };
                if used != asked {
                    self.info(format!(
                        "{place}: {key} = {text} is rounded up to {used}, as in RocketMQ"
                    ));
                }
                Ok(Value::Integer(used))
            }
            Form::MessageBytes => {
                let asked = number(text)?;
                let used = asked.min(RECORD_BYTES_MAX.into());
                if used != asked {
                    let most = ByteSize(RECORD_BYTES_MAX.into());
                    self.warn(format!(
                        "{place}: {key} = {text} is brought to {most}, the most that a frame carries"
                    ));
                }
                Ok(Value::Integer(used))
            }
        }
    }

    /// Java gives every master the id 0, whatever is written.
    fn id(&mut self, entry: &Entry, place: Place) -> Result<(), ConfigError> {
        let id = number(&entry.value).map_err(|wrong| cannot_be(entry, place.clone(), wrong))?;
        if id != 0 {
            self.info(format!(
                "{place}: brokerId = {id} has no effect here: this broker is a master, and a master's id is 0"
            ));
        }
        Ok(())
    }

    fn unknown(&mut self, entry: &Entry, place: &Place) {
        let hint = match nearest(&entry.key, keys::names()) {
            Some(name) => format!("did you mean {name}?"),
            None => "it has no effect".to_owned(),
        };
        self.warn(format!("{place}: there is no key {} in RocketMQ: {hint}", entry.key));
    }

    /// Where an absent key means something else here than in RocketMQ.
    fn say_what_is_absent(&mut self) {
        if !self.has("flush") {
            self.info("flushDiskType is absent, which means SYNC_FLUSH here: ASYNC_FLUSH, RocketMQ's default, is for who writes it".to_owned());
        }
        if !self.has("broker.name") {
            self.warn("brokerName is absent: RocketMQ would take the host's name, here it is broker-a".to_owned());
        }
        if !self.has("data") {
            self.warn(
                "storePathRootDir is absent: RocketMQ would use ~/store, here it is --data or ./cuemq-data".to_owned(),
            );
        } else if !self.has("store.commit_log") {
            self.info(
                "storePathCommitLog is absent: the commit log is below storePathRootDir, not in ~/store/commitlog"
                    .to_owned(),
            );
        }
    }

    fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given.setting.name == name)
    }

    fn info(&mut self, text: String) {
        self.notes.push(Note::Info(text));
    }

    fn warn(&mut self, text: String) {
        self.notes.push(Note::Warning(text));
    }
}

fn role(entry: &Entry, place: Place) -> Result<(), ConfigError> {
    match entry.value.as_str() {
        "ASYNC_MASTER" => Ok(()),
        "SYNC_MASTER" => Err(unsupported(
            entry,
            place,
            "there is no replication yet, and sends would be acknowledged without a second copy: write ASYNC_MASTER if one is enough",
        )),
        "SLAVE" => Err(unsupported(
            entry,
            place,
            "there is no replication yet: run masters only, with brokerRole = ASYNC_MASTER",
        )),
        _ => Err(cannot_be(entry, place, Wrong("ASYNC_MASTER".to_owned()))),
    }
}

fn flush(text: &str) -> Read<Value> {
    match text {
        "SYNC_FLUSH" => Ok(Value::Text("sync".to_owned())),
        "ASYNC_FLUSH" => Ok(Value::Text("async".to_owned())),
        _ => Err(Wrong(
            "SYNC_FLUSH (acknowledged means on disk) or ASYNC_FLUSH (in memory)".to_owned(),
        )),
    }
}

fn number(text: &str) -> Read<i64> {
    text.parse().map_err(|_| Wrong("a whole number".to_owned()))
}

fn unsigned(text: &str) -> Read<u64> {
    text.parse::<u32>()
        .map(u64::from)
        .map_err(|_| Wrong(format!("a whole number from 0 to {}", u32::MAX)))
}

/// Java takes everything but `true` for false; a typing error must not switch anything.
fn truth(text: &str) -> Read<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Wrong("true or false".to_owned())),
    }
}

fn cannot_be(entry: &Entry, place: Place, Wrong(allowed): Wrong) -> ConfigError {
    let (key, written) = (entry.key.clone(), entry.value.clone());
    ConfigError::Value {
        place,
        key,
        written,
        allowed,
    }
}

fn unsupported(entry: &Entry, place: Place, reason: &'static str) -> ConfigError {
    let (key, written) = (entry.key.clone(), entry.value.clone());
    ConfigError::Unsupported {
        place,
        key,
        written,
        reason,
    }
}
