//! [`Difference`]: what two gatherings of settings have in a different way, by the list of all settings.

use std::fmt;

use super::BrokerConfig;
use super::setting::{Draft, SETTINGS};

/// A setting that was one value and is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name in our settings file.
    pub setting: &'static str,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, before, after } = self;
        write!(f, "{setting}: {before} -> {after}")
    }
}

/// What is different, in the order of the list.
pub(super) fn differences(before: &BrokerConfig, after: &BrokerConfig) -> Vec<Difference> {
    between(&Draft::of(before.clone()), &Draft::of(after.clone()))
}

/// What is different, in the order of the list.
pub(super) fn between(before: &Draft, after: &Draft) -> Vec<Difference> {
    let shown = SETTINGS.iter().map(|setting| Difference {
        setting: setting.name,
        before: (setting.show)(before),
        after: (setting.show)(after),
    });
    shown.filter(|found| found.before != found.after).collect()
}
