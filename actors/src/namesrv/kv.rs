//! Keys and values by namespace, which operators set; brokers get the namespace [`ORDER_TOPICS`] with each registration.
//! Mirrors `KVConfigManager`.
//!
//! The file is `kvConfig.json`: `{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"broker-a:4;broker-b:4"}}}`, rewritten after
//! each change.

use cuemq_net::body::{Body, ExtraMembers, KvTable};
use cuemq_net::dialect::{DialectError, Style};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The namespace of the topics whose messages are ordered across brokers: by topic, the brokers' numbers of queues.
pub const ORDER_TOPICS: &str = "ORDER_TOPIC_CONFIG";

/// All namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KvConfig {
    config_table: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(flatten)]
    extra: ExtraMembers,
}

impl Body for KvConfig {}

impl KvConfig {
    /// Reads the file's content.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn from_file(content: &[u8]) -> Result<Self, DialectError> {
        KvConfig::decode(content)
    }

    /// Prints the file's content.
    pub fn to_file(&self) -> Vec<u8> {
        self.encode(Style::Pretty)
    }

    /// Sets a value.
    pub fn put(&mut self, namespace: &str, key: &str, value: &str) {
        self.config_table
            .entry(namespace.to_owned())
            .or_default()
            .insert(key.to_owned(), value.to_owned());
    }

    /// Finds a value.
    pub fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.config_table.get(namespace)?.get(key).map(String::as_str)
    }

    /// Removes a value; the namespace stays, even empty. Tells whether there was one.
    pub fn delete(&mut self, namespace: &str, key: &str) -> bool {
        self.config_table
            .get_mut(namespace)
            .is_some_and(|values| values.remove(key).is_some())
    }

    /// Lists a namespace, if it has ever had a value.
    pub fn list(&self, namespace: &str) -> Option<KvTable> {
        self.config_table
            .get(namespace)
            .map(|values| KvTable { table: values.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_found_listed_and_deleted() {
        let mut config = KvConfig::default();
        config.put("N", "k1", "v1");
        config.put("N", "k2", "v 2 ü");
        assert_eq!(config.get("N", "k1"), Some("v1"));
        assert_eq!(config.get("N", "nokey"), None);
        assert_eq!(config.get("NO_NS", "k1"), None);
        assert!(config.delete("N", "k1") && !config.delete("N", "k1") && !config.delete("NO_NS", "k1"));
        assert_eq!(
            config.list("N"),
            Some(KvTable {
                table: [("k2".to_owned(), "v 2 ü".to_owned())].into()
            })
        );
        assert_eq!(config.list("NO_NS"), None);
    }

    #[test]
    fn an_emptied_namespace_is_still_known() {
        let mut config = KvConfig::default();
        config.put("N", "k", "v");
        config.delete("N", "k");
        assert_eq!(config.list("N"), Some(KvTable::default()));
    }

    #[test]
    fn the_file_is_javas_and_keeps_what_it_does_not_know() {
        let content = "{\n\t\"configTable\":{\n\t\t\"ORDER_TOPIC_CONFIG\":{\n\t\t\t\"T\":\"broker-a:4;broker-b:4\"\n\t\t}\n\t},\n\t\"new\":1\n}";
        let config = KvConfig::from_file(content.as_bytes()).unwrap();
        assert_eq!(config.get(ORDER_TOPICS, "T"), Some("broker-a:4;broker-b:4"));
        assert_eq!(String::from_utf8(config.to_file()).unwrap(), content);
        assert!(KvConfig::from_file(b"{\"configTable\":[]}").is_err());
    }
}
