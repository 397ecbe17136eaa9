//! Which messages of a topic a consumer wants (`MessageSelector` and `FilterAPI` in Java).
//!
//! A broker chooses by the hashes of tags; since two tags can have the same hash, consumers look at the text again.

use std::collections::BTreeSet;

use cuemq_net::body::SubscriptionData;
use cuemq_net::message::tags::java_hash;

/// Subscribes to all messages of a topic.
const ALL: &str = "*";

/// Chooses messages of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSelector {
    /// By tag: `*` for all, or tags with `||` between them.
    Tag(String),
    /// By properties: an expression of SQL92, which the broker applies.
    Sql92(String),
}

/// Why an expression chooses nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// There is no tag between the `||`.
    #[error("`{0}` names no tag: write `*` for all messages")]
    NoTag(String),
    /// The SQL expression is empty.
    #[error("the SQL92 expression is empty: write what a message's properties have to be")]
    NoExpression,
}

impl MessageSelector {
    /// Chooses all messages.
    #[must_use]
    pub fn all() -> Self {
        Self::Tag(ALL.to_owned())
    }

    /// Chooses by tag: `*`, or tags with `||` between them.
    pub fn by_tag(tags: impl Into<String>) -> Self {
        Self::Tag(tags.into())
    }

    /// Chooses by an SQL92 expression over properties.
    pub fn by_sql(expression: impl Into<String>) -> Self {
        Self::Sql92(expression.into())
    }

    /// Makes the subscription as brokers are told of it; `sub_version` is the time in milliseconds since 1970.
    ///
    /// # Errors
    /// When the expression chooses nothing.
    pub fn subscription(&self, topic: &str, sub_version: i64) -> Result<SubscriptionData, SelectorError> {
        let mut made = SubscriptionData {
            topic: topic.to_owned(),
            sub_version,
            ..SubscriptionData::default()
        };
        match self {
            Self::Tag(tags) if tags.is_empty() || tags == ALL => ALL.clone_into(&mut made.sub_string),
            Self::Tag(tags) => {
                made.tags_set = split_tags(tags);
                made.code_set = made.tags_set.iter().map(|tag| java_hash(tag)).collect();
                if made.tags_set.is_empty() {
                    return Err(SelectorError::NoTag(tags.clone()));
                }
                made.sub_string.clone_from(tags);
            }
            Self::Sql92(expression) => {
                if expression.trim().is_empty() {
                    return Err(SelectorError::NoExpression);
                }
                "SQL92".clone_into(&mut made.expression_type);
                made.sub_string.clone_from(expression);
            }
        }
        Ok(made)
    }
}

impl From<&str> for MessageSelector {
    fn from(tags: &str) -> Self {
        Self::by_tag(tags)
    }
}

impl From<String> for MessageSelector {
    fn from(tags: String) -> Self {
        Self::by_tag(tags)
    }
}

fn split_tags(tags: &str) -> BTreeSet<String> {
    let named = tags.split("||").map(str::trim).filter(|tag| !tag.is_empty());
    named.map(str::to_owned).collect()
}

/// Whether a message with this tag is one that the subscription chooses, by the tag's text.
pub(crate) fn accepts(subscription: &SubscriptionData, tag: Option<&str>) -> bool {
    subscription.tags_set.is_empty()
        || subscription.class_filter_mode
        || tag.is_some_and(|tag| subscription.tags_set.contains(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_by_text_and_by_hash() {
        let made = MessageSelector::from(" TagA || hello||").subscription("T", 42).unwrap();
        assert_eq!((&*made.topic, made.sub_version), ("T", 42));
        assert_eq!((&*made.expression_type, &*made.sub_string), ("TAG", " TagA || hello||"));
        assert_eq!(made.tags_set, BTreeSet::from(["TagA".to_owned(), "hello".to_owned()]));
        assert_eq!(made.code_set, BTreeSet::from([2_598_919, 99_162_322]));
    }

    #[test]
    fn a_star_and_nothing_choose_all() {
        for tags in ["*", ""] {
            let made = MessageSelector::from(tags).subscription("T", 0).unwrap();
            assert_eq!((&*made.sub_string, made.tags_set.len()), ("*", 0));
            assert!(accepts(&made, None) && accepts(&made, Some("any")));
        }
    }

    #[test]
    fn an_sql_expression_is_left_to_the_broker() {
        let made = MessageSelector::by_sql("a > 5").subscription("T", 0).unwrap();
        assert_eq!((&*made.expression_type, &*made.sub_string), ("SQL92", "a > 5"));
        assert!(accepts(&made, None));
    }

    #[test]
    fn what_chooses_nothing_is_refused() {
        let refused = |selector: MessageSelector| selector.subscription("T", 0).unwrap_err();
        assert_eq!(
            refused(MessageSelector::by_tag(" || ")),
            SelectorError::NoTag(" || ".to_owned())
        );
        assert_eq!(refused(MessageSelector::by_sql(" ")), SelectorError::NoExpression);
    }

    #[test]
    fn a_tag_of_the_same_hash_is_not_the_same_tag() {
        let made = MessageSelector::from("Aa || x").subscription("T", 0).unwrap();
        assert_eq!(java_hash("Aa"), java_hash("BB"));
        assert!(accepts(&made, Some("Aa")));
        assert!(!accepts(&made, Some("BB")) && !accepts(&made, None));
    }
}
