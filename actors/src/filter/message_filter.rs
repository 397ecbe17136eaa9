//! What a pull wants, asked of the units of a consume queue first and then, where these cannot tell, of the records.

use std::sync::Arc;

use cuemq_net::filter::SqlFilter;
use cuemq_net::message::properties::{Properties, name};
use cuemq_net::message::record::Record;

use super::{FilterView, Marks};
use crate::io::budget::Share;
use crate::rebalance::TagFilter;

/// Which messages are wanted.
#[derive(Debug)]
pub enum MessageFilter {
    /// Those with certain tags.
    Tags(TagFilter),
    /// Those whose properties an expression is true for.
    Sql {
        /// The expression.
        filter: Arc<SqlFilter>,
        /// Its bytes, where a pull has brought it along.
        share: Option<Share>,
        /// Its bits in the bitmaps of messages, where it is registered.
        marks: Option<Marks>,
    },
    /// Of messages that are tried again, those that their group wants of the topics that they came from
    /// (`filterSupportRetry`).
    OfOrigin {
        /// The group.
        group: Arc<str>,
        /// The filters of all groups.
        filters: FilterView,
    },
}

/// How many parts of expressions are tried for one pull, at most, in one turn of an I/O thread: a few milliseconds.
const PARTS_PER_PULL: usize = 200_000;
/// What is tried for one pull in any case.
const UNITS_MIN: usize = 16;

impl MessageFilter {
    /// All messages.
    #[must_use]
    pub fn all() -> Self {
        Self::Tags(TagFilter::All)
    }

    /// Whether records must be looked at.
    #[must_use]
    pub fn reads_records(&self) -> bool {
        !matches!(self, Self::Tags(_))
    }

    /// Whether a message may be wanted whose unit holds this tags code.
    #[inline]
    #[must_use]
    pub fn may_want(&self, tags_code: i64) -> bool {
        match self {
            Self::Tags(tags) => tags.matches(tags_code),
            Self::Sql { .. } | Self::OfOrigin { .. } => true,
        }
    }

    /// Whether a message may be wanted by what the extension of its queue says of it: its tags code, when it was stored, in
    /// milliseconds since 1970, and its bitmap (`ExpressionMessageFilter.isMatchedByConsumeQueue` in Java).
    #[must_use]
    pub fn may_want_extended(&self, tags_code: i64, stored_ms: i64, bitmap: &[u8]) -> bool {
        match self {
            Self::Tags(tags) => tags.matches(tags_code),
            Self::Sql { marks, .. } => marks.as_ref().is_none_or(|marks| marks.may_want(stored_ms, bitmap)),
            Self::OfOrigin { .. } => true,
        }
    }

    /// Whether the record is wanted of a message that may be. What cannot be read is for the client to judge.
    #[inline(never)]
    #[must_use]
    pub fn wants(&self, record: &[u8]) -> bool {
        let Ok(record) = Record::parse(record) else { return true };
        let properties = Properties::new(record.properties());
        match self {
            Self::Tags(_) => true,
            Self::Sql { filter, .. } => filter.matches(properties),
            Self::OfOrigin { group, filters } => {
                let origin = properties.get(name::RETRY_TOPIC);
                let filter = origin.and_then(|topic| filters.get(topic, group));
                filter.is_none_or(|registered| registered.sql().matches(properties))
            }
        }
    }

    /// How many units of a consume queue are tried for one pull of `most`: fewer for an expression of many parts.
    #[must_use]
    pub fn units(&self, most: usize) -> usize {
        match self {
            Self::Sql { filter, .. } => most.min((PARTS_PER_PULL / filter.parts().max(1)).max(UNITS_MIN)),
            Self::Tags(_) | Self::OfOrigin { .. } => most,
        }
    }
}

impl From<TagFilter> for MessageFilter {
    fn from(tags: TagFilter) -> Self {
        Self::Tags(tags)
    }
}

impl PartialEq for MessageFilter {
    /// Tags by what they want; others are the same only as themselves.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tags(one), Self::Tags(other)) => one == other,
            _ => std::ptr::eq(self, other),
        }
    }
}

impl Eq for MessageFilter {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::records::{message, stored};

    fn sql(expression: &str) -> MessageFilter {
        MessageFilter::Sql {
            filter: Arc::new(SqlFilter::compile(expression).unwrap()),
            share: None,
            marks: None,
        }
    }

    fn encoded(properties: &[u8]) -> Vec<u8> {
        stored(&message("T", properties), (0, 0, 0))
    }

    #[test]
    fn a_short_expression_is_tried_on_all_units_and_a_long_one_on_fewer() {
        assert_eq!(sql("a = 1").units(800), 800);
        let long = vec!["a = 1"; 5000].join(" OR ");
        assert!((UNITS_MIN..50).contains(&sql(&long).units(800)));
        assert_eq!(MessageFilter::all().units(800), 800);
    }

    #[test]
    fn tags_are_for_units_and_properties_for_records() {
        let bytes = encoded(b"a\x011\x02");
        assert!(sql("a = 1").may_want(0) && sql("a = 1").wants(&bytes));
        assert!(!sql("a = 2").wants(&bytes));
        let tags = MessageFilter::from(TagFilter::parse("x").unwrap());
        assert!(!tags.may_want(0) && tags.wants(&bytes));
    }
}
