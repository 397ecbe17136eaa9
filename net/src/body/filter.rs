//! The registered filters of consumer groups, as `consumerFilter.json` holds them. Java's `ConsumerFilterManager`,
//! `FilterDataMapByTopic`, `ConsumerFilterData` and `BloomFilterData`.

use super::{Body, ExtraMembers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All registered filters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerFilterTable {
    /// By topic.
    pub filter_data_by_topic: BTreeMap<String, ConsumerFiltersOfTopic>,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

/// The filters on one topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerFiltersOfTopic {
    /// By group.
    pub group_filter_data: BTreeMap<String, ConsumerFilter>,
    /// The topic.
    pub topic: String,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

/// The filter of one group on one topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerFilter {
    /// The bits that it sets in a message's bitmap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bloom_filter_data: Option<BloomFilterData>,
    /// When it was registered first, in milliseconds since 1970.
    pub born_time: i64,
    /// When its consumer subscribed, by the consumer's clock.
    pub client_version: i64,
    /// The group.
    pub consumer_group: String,
    /// Whether `deadTime` is not before `bornTime`; written for people, and not read.
    pub dead: bool,
    /// When its group left, in milliseconds since 1970; 0 while it is there.
    pub dead_time: i64,
    /// The expression.
    pub expression: String,
    /// Its language.
    pub expression_type: String,
    /// The topic.
    pub topic: String,
    /// Members of other releases, kept.
    #[serde(flatten)]
    pub extra: ExtraMembers,
}

/// The bits of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BloomFilterData {
    /// The bits of a bitmap.
    pub bit_num: i64,
    /// Those that the filter sets.
    pub bit_pos: Vec<i64>,
}

impl Body for ConsumerFilterTable {}
impl Body for ConsumerFilter {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Style;

    #[test]
    fn a_file_of_javas_is_written_as_it_was() {
        let text = "{\n\t\"filterDataByTopic\":{\n\t\t\"T\":{\n\t\t\t\"groupFilterData\":{\n\t\t\t\t\"g\":{\n\t\t\t\t\t\"bloomFilterData\":{\
                    \n\t\t\t\t\t\t\"bitNum\":112,\n\t\t\t\t\t\t\"bitPos\":[36,53,41]\n\t\t\t\t\t},\n\t\t\t\t\t\"bornTime\":7,\
                    \n\t\t\t\t\t\"clientVersion\":9,\n\t\t\t\t\t\"consumerGroup\":\"g\",\n\t\t\t\t\t\"dead\":true,\
                    \n\t\t\t\t\t\"deadTime\":8,\n\t\t\t\t\t\"expression\":\"a > 5\",\n\t\t\t\t\t\"expressionType\":\"SQL92\",\
                    \n\t\t\t\t\t\"topic\":\"T\"\n\t\t\t\t}\n\t\t\t},\n\t\t\t\"topic\":\"T\"\n\t\t}\n\t}\n}";
        let table = ConsumerFilterTable::decode(text.as_bytes()).unwrap();
        assert_eq!(table.filter_data_by_topic["T"].group_filter_data["g"].dead_time, 8);
        assert_eq!(String::from_utf8(table.encode(Style::Pretty)).unwrap(), text);
    }

    #[test]
    fn what_another_release_wrote_is_kept() {
        let text = r#"{"filterDataByTopic":{"T":{"groupFilterData":{"g":{"x":1}},"y":[2]}},"z":{"a":"b"}}"#;
        let table = ConsumerFilterTable::decode(text.as_bytes()).unwrap();
        let again = ConsumerFilterTable::decode(&table.encode(Style::Fastjson)).unwrap();
        assert_eq!(again, table);
        assert!(table.extra.contains_key("z") && table.filter_data_by_topic["T"].extra.contains_key("y"));
    }
}
