//! Filters by properties, as they are set. As in RocketMQ they are off unless a setting says otherwise.

use std::time::Duration;

use cuemq_net::filter::Bloom;

/// What can be set about filters by properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterConfig {
    /// Whether consumers may filter by SQL92 (`enablePropertyFilter`).
    pub sql: bool,
    /// Whether a group's filters count for its retried messages as well, where it filters its retry topic
    /// (`filterSupportRetry`).
    pub on_retry: bool,
    /// Whether new messages are tried on all filters, so that pulls pass over what no filter wants
    /// (`enableCalcFilterBitMap`); needs `queue_extension`.
    pub bitmaps: bool,
    /// In how many of a hundred cases a bitmap may take one group for another (`maxErrorRateOfBloomFilter`).
    pub error_percent: u32,
    /// How many groups it has to tell apart (`expectConsumerNumUseFilter`).
    pub groups: u32,
    /// How long the filter of a group that has left is kept (`filterDataCleanTimeSpan`).
    pub keep_dead: Duration,
}

impl Default for FilterConfig {
    fn default() -> Self {
        Self {
            sql: false,
            on_retry: false,
            bitmaps: false,
            error_percent: 20,
            groups: 32,
            keep_dead: Duration::from_secs(24 * 3600),
        }
    }
}

impl FilterConfig {
    /// The bitmaps of messages; `None` where there can be none such.
    #[must_use]
    pub fn bloom(&self) -> Option<Bloom> {
        Bloom::new(self.error_percent, self.groups)
    }
}
