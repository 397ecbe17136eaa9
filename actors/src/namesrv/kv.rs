//! Keys and values by namespace, which operators set; brokers get the namespace [`ORDER_TOPICS`] with each registration.
//! Mirrors `KVConfigManager`.
//!
//! The file is `kvConfig.json`: `{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"broker-a:4;broker-b:4"}}}`, rewritten after
//! each change.

use cuemq_net::body::{Body, ExtraMembers, KvTable};
use cuemq_net::dialect::Style;
use cuemq_storage::disk::Disk;
use cuemq_storage::error::StoreError;
use cuemq_storage::table::{read_table, write_table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

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

    /// How many bytes all names, keys and values have; a namespace counts for as long as it is known.
    pub fn bytes(&self) -> usize {
        let of_values = |values: &BTreeMap<String, String>| {
            values.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
        };
        let of_namespace = |(name, values): (&String, _)| name.len() + of_values(values);
        self.config_table.iter().map(of_namespace).sum()
    }

    /// Lists a namespace, if it has ever had a value.
    pub fn list(&self, namespace: &str) -> Option<KvTable> {
        self.config_table
            .get(namespace)
            .map(|values| KvTable { table: values.clone() })
    }
}

/// The file that outlives the process. Its calls block.
#[derive(Clone)]
pub struct KvFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl KvFile {
    /// Names the file; nothing is touched yet.
    pub fn new(disk: Arc<dyn Disk>, path: impl Into<PathBuf>) -> Self {
        KvFile {
            disk,
            path: path.into(),
        }
    }

    /// Reads the file; a missing one is an empty table.
    ///
    /// # Errors
    /// If it is damaged and so is the copy before it, or the disk fails.
    pub fn load(&self) -> Result<KvConfig, StoreError> {
        Ok(read_table(&*self.disk, &self.path, KvConfig::decode)?.unwrap_or_default())
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// If the disk fails; the file is then the old one or the new one.
    pub fn save(&self, config: &KvConfig) -> Result<(), StoreError> {
        write_table(&*self.disk, &self.path, &config.encode(Style::Pretty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cuemq_storage::disk::RealDisk;

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
        let config = KvConfig::decode(content.as_bytes()).unwrap();
        assert_eq!(config.get(ORDER_TOPICS, "T"), Some("broker-a:4;broker-b:4"));
        assert_eq!(String::from_utf8(config.encode(Style::Pretty)).unwrap(), content);
        assert!(KvConfig::decode(b"{\"configTable\":[]}").is_err());
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let root = tempfile::tempdir().unwrap();
        let file = KvFile::new(Arc::new(RealDisk), root.path().join("namesrv/kvConfig.json"));
        assert_eq!(file.load().unwrap(), KvConfig::default());
        let mut config = KvConfig::default();
        config.put("N", "k", "v");
        file.save(&config).unwrap();
        assert_eq!(file.load().unwrap(), config);
    }
}
