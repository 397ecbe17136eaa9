//! Figures over time, of what [`Traffic`](crate::traffic::Traffic) counts: rates of the last seconds and totals by day
//! ([`Rates`], Java's `StoreStatsService` and `BrokerStats`), and sums by minute, hour and day for each topic and each group
//! ([`Figures`], Java's `BrokerStatsManager`). Tools ask for them by codes 28, 208 and 315.
//!
//! Nothing here is on the way of a message: [`actor::Statistics`] looks at the counters once in a second.

pub mod actor;
mod figures;
mod rates;
mod series;

pub use figures::Figures;
pub use rates::{Rates, StoreFigures};
