//! [`Given`]: one setting as a source gave it, and [`Note`]: one line for the log about a file.

use super::error::{ConfigError, Place};
use super::setting::{Draft, Setting};
use super::value::{Value, Wrong};

/// One setting as a file, a flag or the environment gave it.
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    /// The key as it was written, in the source's own spelling.
    pub(super) key: String,
    /// The value as it was written.
    pub(super) written: String,
    pub(super) value: Value,
    pub(super) place: Place,
}

impl Given {
    /// Puts the value into the draft.
    ///
    /// # Errors
    /// When the setting does not take it.
    pub(super) fn apply(&self, draft: &mut Draft) -> Result<(), ConfigError> {
        (self.setting.set)(draft, &self.value).map_err(|Wrong(allowed)| ConfigError::Value {
            place: self.place.clone(),
            key: self.key.clone(),
            written: self.setting.shown(&self.written).to_owned(),
            allowed,
        })
    }
}

/// One line for the log: something in a file that a person should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Nothing is lost by it.
    Info(String),
    /// The broker behaves otherwise than the file asks for.
    Warning(String),
}

impl Note {
    pub(super) fn log(&self) {
        match self {
            Self::Info(text) => tracing::info!("{text}"),
            Self::Warning(text) => tracing::warn!("{text}"),
        }
    }
}
