//! What follows when a child fails: the policy and the restart budget, as plain logic.
//!
//! A budget counts the failures of the last `window` and answers each with a pause or with giving up. Time comes in as
//! an argument ([`cuemq_storage::clock::Clock::monotonic`]) and the pauses carry no jitter: the same failures at the same
//! times get the same answers, in a simulation and in a test without a runtime.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// What the supervisor does when a child fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The child ends and the failure goes up: what it held cannot be trusted without a restart of the process.
    FailStop,
    /// A fresh value is built under the same address, up to `limit` times within `window`; the next failure goes up.
    Restart {
        /// How many failures within the window are answered by a restart.
        limit: u32,
        /// How long a failure counts.
        window: Duration,
        /// The pause before the fresh value is built.
        backoff: Backoff,
    },
    /// The child ends and nobody else is concerned.
    Never,
}

impl Policy {
    /// Three restarts within a minute: the first at once, the next ones after 100 and 200 ms.
    pub const RESTART: Self = Self::Restart {
        limit: 3,
        window: Duration::from_secs(60),
        backoff: Backoff {
            step: Duration::from_millis(100),
            most: Duration::from_secs(5),
        },
    };
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FailStop => write!(f, "fail-stop"),
            Self::Restart { limit, window, .. } => write!(f, "restart {limit} in {} s", window.as_secs()),
            Self::Never => write!(f, "never restarted"),
        }
    }
}

/// The pause before a restart: none for the first failure of a window, then `step`, doubled for each further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause before the second restart.
    pub step: Duration,
    /// The longest pause.
    pub most: Duration,
}

impl Backoff {
    /// No pause at all.
    pub const NONE: Self = Self {
        step: Duration::ZERO,
        most: Duration::ZERO,
    };

    /// The pause after `failures` failures within the window.
    fn pause(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.step.saturating_mul(factor).min(self.most)
    }
}

/// What becomes of a child that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A fresh value is built after a pause.
    Restart {
        /// The pause; zero means at once.
        after: Duration,
    },
    /// It ends, and its parent must act.
    Escalate,
    /// It ends, and that is all.
    Leave,
}

/// Counts failures against a policy.
#[derive(Debug)]
pub struct RestartBudget {
    policy: Policy,
    recent: VecDeque<Duration>,
}

impl RestartBudget {
    /// A budget of which nothing is used yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            recent: VecDeque::new(),
        }
    }

    /// Counts a failure at `now` (monotonic) and decides.
    pub fn failed(&mut self, now: Duration) -> Verdict {
        let (limit, window, backoff) = match self.policy {
            Policy::FailStop => return Verdict::Escalate,
            Policy::Never => return Verdict::Leave,
            Policy::Restart { limit, window, backoff } => (limit, window, backoff),
        };
        self.recent.retain(|at| now.saturating_sub(*at) < window);
        let failures = u32::try_from(self.recent.len()).unwrap_or(u32::MAX).saturating_add(1);
        if failures > limit {
            return Verdict::Escalate;
        }
        self.recent.push_back(now);
        Verdict::Restart {
            after: backoff.pause(failures),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn budget(limit: u32, backoff: Backoff) -> RestartBudget {
        RestartBudget::new(Policy::Restart {
            limit,
            window: 1000 * MS,
            backoff,
        })
    }

    #[test]
    fn failures_beyond_the_limit_go_up() {
        let mut budget = budget(2, Backoff::NONE);
        assert_eq!(budget.failed(MS), Verdict::Restart { after: Duration::ZERO });
        assert_eq!(budget.failed(2 * MS), Verdict::Restart { after: Duration::ZERO });
        assert_eq!(budget.failed(3 * MS), Verdict::Escalate);
    }

    #[test]
    fn a_failure_counts_for_the_window_only() {
        let mut budget = budget(1, Backoff::NONE);
        assert_eq!(
            budget.failed(Duration::ZERO),
            Verdict::Restart { after: Duration::ZERO }
        );
        assert_eq!(budget.failed(999 * MS), Verdict::Escalate);
        assert_eq!(budget.failed(1000 * MS), Verdict::Restart { after: Duration::ZERO });
    }

    #[test]
    fn the_first_restart_is_immediate_and_the_pauses_double_up_to_the_longest() {
        let mut budget = budget(
            100,
            Backoff {
                step: 10 * MS,
                most: 50 * MS,
            },
        );
        let pauses: Vec<_> = (0..6).map(|_| budget.failed(MS)).collect();
        let expected = [0, 10, 20, 40, 50, 50].map(|ms| Verdict::Restart { after: ms * MS });
        assert_eq!(pauses, expected);
    }

    #[test]
    fn a_hundred_failures_do_not_overflow_the_pause() {
        let backoff = Backoff {
            step: Duration::from_secs(1),
            most: Duration::from_secs(30),
        };
        assert_eq!(backoff.pause(100), Duration::from_secs(30));
    }

    #[test]
    fn fail_stop_goes_up_at_once_and_never_ends_quietly() {
        assert_eq!(RestartBudget::new(Policy::FailStop).failed(MS), Verdict::Escalate);
        assert_eq!(RestartBudget::new(Policy::Never).failed(MS), Verdict::Leave);
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_restarts_than_the_limit(
            limit in 0u32..5,
            pauses in proptest::collection::vec(0u32..700, 1..60),
        ) {
            let mut budget = budget(limit, Backoff::NONE);
            let (mut now, mut restarts) = (Duration::ZERO, Vec::new());
            for pause in pauses {
                now += pause * MS;
                let in_window = restarts.iter().filter(|at| now - **at < 1000 * MS).count();
                let restarted = matches!(budget.failed(now), Verdict::Restart { .. });
                prop_assert_eq!(restarted, in_window < limit as usize);
                if restarted {
                    restarts.push(now);
                }
            }
        }
    }
}
