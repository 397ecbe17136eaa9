//! Which messages a consumer wants: by tag, or by an expression over their properties (SQL92).
//!
//! [`MessageFilter`] is what a pull is looked up with. Expressions of groups come with heartbeats and stay in the
//! [`Registry`], the state of the actor [`actor::Filters`], which owns `consumerFilter.json` and shows all in a
//! [`FilterView`]; an expression that a pull brings along is compiled by the [`Compiler`] of its I/O thread. The language is
//! [`cuemq_net::filter`]. The rules are those of Java's `ConsumerFilterManager` and `ExpressionMessageFilter`.

pub mod actor;
mod bitmaps;
mod compiler;
mod message_filter;
mod registered;
mod registry;
mod view;

pub use bitmaps::{BitMaps, Marks};
pub use compiler::{Compiler, NotCompiled};
pub use message_filter::MessageFilter;
pub use registered::RegisteredFilter;
pub use registry::{Registry, RegistrySettings, Wanted};
pub use view::FilterView;

/// The type of filters by tag; an empty one is the same.
pub const TAG: &str = "TAG";
/// The type of filters over properties.
pub const SQL92: &str = "SQL92";

/// Whether filters of this type are by tag.
#[must_use]
pub fn is_by_tag(expression_type: &str) -> bool {
    expression_type.is_empty() || expression_type == TAG
}

/// What a broker says that filters by tag alone.
#[must_use]
pub fn unsupported(expression_type: &str) -> String {
    format!("The broker does not support consumer to filter message by {expression_type}")
}
