//! What a group wants of one topic, ready to be asked for each message.

use std::sync::Arc;

use cuemq_net::body::SubscriptionData;

use super::TagFilter;
use crate::filter::{MessageFilter, is_by_tag};

/// A subscription as a heartbeat told it, with its tag filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    data: SubscriptionData,
    tags: Arc<MessageFilter>,
}

impl Subscription {
    /// Takes over what a client said. The hashes that it sent are believed; where it sent none they are made from the
    /// expression.
    #[must_use]
    pub fn new(data: SubscriptionData) -> Self {
        let by_tag = is_by_tag(&data.expression_type);
        let tags = if data.class_filter_mode || !by_tag || data.sub_string == "*" {
            TagFilter::All
        } else if data.code_set.is_empty() {
            TagFilter::parse(&data.sub_string).unwrap_or(TagFilter::from_codes([]))
        } else {
            TagFilter::from_codes(data.code_set.iter().copied())
        };
        Self {
            data,
            tags: Arc::new(tags.into()),
        }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.data.topic
    }

    /// The expression: `*`, `TagA || TagB`, or SQL.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.data.sub_string
    }

    /// `TAG` or `SQL92`.
    #[must_use]
    pub fn expression_type(&self) -> &str {
        &self.data.expression_type
    }

    /// When the client subscribed, in milliseconds since 1970.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.data.sub_version
    }

    /// The filter by tag; it lets all through where something else decides.
    #[must_use]
    pub fn tags(&self) -> &Arc<MessageFilter> {
        &self.tags
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let SubscriptionData {
            code_set,
            expression_type,
            sub_string,
            tags_set,
            topic,
            ..
        } = &self.data;
        let texts = [topic, sub_string, expression_type]
            .map(String::len)
            .iter()
            .sum::<usize>();
        let tags = tags_set
            .iter()
            .map(|tag| tag.len() + size_of::<String>())
            .sum::<usize>();
        // A hash stands in the set and in the filter.
        size_of::<Self>() + size_of::<MessageFilter>() + texts + tags + code_set.len() * 2 * size_of::<i32>()
    }

    /// What the client said.
    #[must_use]
    pub fn data(&self) -> &SubscriptionData {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn subscription(change: impl FnOnce(&mut SubscriptionData)) -> Subscription {
        let mut data = SubscriptionData {
            topic: "T".to_owned(),
            sub_string: "TagA".to_owned(),
            ..Default::default()
        };
        change(&mut data);
        Subscription::new(data)
    }

    #[test]
    fn the_hashes_that_a_client_sent_are_believed() {
        let sent = subscription(|data| data.code_set = BTreeSet::from([7, -7]));
        assert_eq!(**sent.tags(), TagFilter::from_codes([-7, 7]).into());
    }

    #[test]
    fn missing_hashes_are_made_from_the_expression() {
        assert_eq!(**subscription(|_| {}).tags(), TagFilter::parse("TagA").unwrap().into());
        assert_eq!(
            **subscription(|data| data.sub_string = String::new()).tags(),
            MessageFilter::all()
        );
        assert!(
            !subscription(|data| data.sub_string = "||".to_owned())
                .tags()
                .may_want(0)
        );
    }

    #[test]
    fn what_tags_do_not_decide_passes_the_tag_filter() {
        let star = subscription(|data| data.sub_string = "*".to_owned());
        let sql = subscription(|data| data.expression_type = "SQL92".to_owned());
        let class = subscription(|data| data.class_filter_mode = true);
        assert!(
            [&star, &sql, &class]
                .iter()
                .all(|subscription| **subscription.tags() == MessageFilter::all())
        );
    }
}
