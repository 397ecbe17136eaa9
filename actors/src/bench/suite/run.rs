//! What came of one load on one system in one round, whatever kind of load it was.

use serde::Serialize;

use super::super::fdatasync::Syncs;
use super::super::report::{CodeReport, Latency, Report};
use super::catch_up::CatchUp;
use super::restart::Restart;

/// One round.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Run {
    /// Sends, pulls or receipts.
    Load(Box<Report>),
    CatchUp(Box<CatchUp>),
    Restart(Restart),
    /// Batches of so many messages.
    Syncs {
        syncs: Syncs,
        messages: usize,
    },
}

impl Run {
    /// The report of what a server answered.
    pub(super) fn report(&self) -> Option<&Report> {
        match self {
            Self::Load(report) => Some(report),
            Self::CatchUp(catch_up) => Some(&catch_up.beside),
            Self::Restart(_) | Self::Syncs { .. } => None,
        }
    }

    /// Tells in a line what came of it: whoever ends the suite early has that.
    pub(super) fn told(&self) -> String {
        let figures = [
            self.restart().map(|restart| format!("{:.2} s", restart.seconds)),
            self.messages_per_second().map(|rate| format!("{rate:.0} msg/s")),
            self.latency()
                .map(|latency| format!("p50 {:.0} us, p99 {:.0} us", latency.p50, latency.p99)),
            self.cpu_us_per_message()
                .map(|cpu| format!("{cpu:.2} us of CPU for a message")),
        ];
        figures.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    pub(super) fn catch_up(&self) -> Option<&CatchUp> {
        match self {
            Self::CatchUp(catch_up) => Some(catch_up),
            _ => None,
        }
    }

    pub(super) fn restart(&self) -> Option<&Restart> {
        match self {
            Self::Restart(restart) => Some(restart),
            _ => None,
        }
    }

    /// Messages sent or received a second; of a backlog, those that were read.
    pub(super) fn messages_per_second(&self) -> Option<f64> {
        match self {
            Self::Load(report) => Some(report.messages_per_second),
            Self::CatchUp(catch_up) => Some(catch_up.messages as f64 / catch_up.seconds),
            Self::Syncs { syncs, messages } => Some(syncs.per_second * *messages as f64),
            Self::Restart(_) => None,
        }
    }

    /// Of receipts where somebody waits for messages, otherwise of requests; of the sends beside a backlog.
    pub(super) fn latency(&self) -> Option<&Latency> {
        match self {
            Self::Syncs { syncs, .. } => Some(&syncs.latency_us),
            _ => self.report().map(Report::main_latency),
        }
    }

    pub(super) fn cpu_us_per_message(&self) -> Option<f64> {
        match self {
            Self::CatchUp(catch_up) => catch_up.cpu_us_per_message,
            _ => Some(self.report()?.process.as_ref()?.cpu_us_per_message),
        }
    }

    pub(super) fn anonymous_megabytes(&self) -> Option<f64> {
        let bytes = match self {
            Self::Restart(restart) => restart.anonymous_bytes,
            _ => self.report()?.process.as_ref()?.anonymous_bytes,
        };
        Some(bytes as f64 / 1e6)
    }

    pub(super) fn mapped_megabytes(&self) -> Option<f64> {
        Some(self.report()?.process.as_ref()?.file_mapped_bytes as f64 / 1e6)
    }

    /// Answers other than success; beside a backlog that is read, those to sends.
    pub(super) fn refusals(&self) -> &[CodeReport] {
        self.report().map_or(&[], |report| &report.others)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refusals().iter().map(|other| other.count).sum()
    }

    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Load(report) => report.is_sound(),
            Self::CatchUp(catch_up) => catch_up.is_sound(),
            Self::Restart(_) | Self::Syncs { .. } => true,
        }
    }

    /// Whether the figures are the generator's and not the server's.
    pub(super) fn is_generator_limited(&self) -> bool {
        self.report().is_some_and(Report::is_generator_limited)
    }
}
