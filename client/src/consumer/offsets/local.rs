//! The offsets of a broadcasting consumer, in a file of its own machine (`LocalFileOffsetStore` in Java).
//!
//! The file is `<directory>/<client id>/<group>/offsets.json`, in Java's words, so that a Java consumer and this one can
//! follow each other:
//!
//! ```text
//! {
//!     "offsetTable":{{
//!             "brokerName":"broker-a",
//!             "queueId":0,
//!             "topic":"T"
//!         }:42
//!     }
//! }
//! ```
//!
//! It is written beside itself and renamed, and what it was before stays as `offsets.json.bak`, which is read where the
//! file itself is missing or torn.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place where the client reads and writes files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use cuemq_net::body::{Body, MessageQueue, ResetOffset};
use cuemq_net::dialect::{DialectError, Style};

/// Why the offsets cannot be kept in a file.
#[derive(Debug, thiserror::Error)]
pub enum LocalOffsetsError {
    /// The file could not be read or written.
    #[error("the file of offsets {} cannot be read or written", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another consumer of this process keeps its offsets there.
    #[error(
        "another consumer of this process keeps its offsets in {}: give each client an instance_name, or each consumer a \
         local_offset_store_dir",
        .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Neither the file nor its backup can be understood.
    #[error("the file of offsets {} cannot be understood: repair it, or remove it to start anew", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        #[source]
        source: DialectError,
    },
}

/// The file of one group of one client.
#[derive(Debug, Clone)]
pub(crate) struct OffsetsFile {
    path: PathBuf,
}

impl OffsetsFile {
    pub(crate) fn new(directory: &Path, client_id: &str, group: &str) -> Self {
        Self {
            path: directory.join(client_id).join(group).join("offsets.json"),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where Java keeps such files.
    pub(crate) fn default_directory() -> PathBuf {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
        home.join(".rocketmq_offsets")
    }

    /// Reads the offsets; none where there is no file yet.
    pub(crate) fn load(&self) -> Result<BTreeMap<MessageQueue, i64>, LocalOffsetsError> {
        match self.read(&self.path) {
            Ok(Some(offsets)) => Ok(offsets),
            Ok(None) => Ok(self.read(&self.backup())?.unwrap_or_default()),
            Err(error @ LocalOffsetsError::Io { .. }) => Err(error),
            Err(error) => match self.read(&self.backup()) {
                Ok(Some(offsets)) => {
                    tracing::warn!(path = %self.path.display(), "the file of offsets is torn; its backup is used");
                    Ok(offsets)
                }
                _ => Err(error),
            },
        }
    }

    fn read(&self, path: &Path) -> Result<Option<BTreeMap<MessageQueue, i64>>, LocalOffsetsError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.io(source)),
        };
        let content = |source| LocalOffsetsError::Content {
            path: path.to_owned(),
            source,
        };
        // the members are those of the body of code 220
        let read = ResetOffset::decode(&text).map_err(content)?;
        Ok(Some(read.offset_table))
    }

    /// Replaces the file.
    pub(crate) fn store(&self, offset_table: BTreeMap<MessageQueue, i64>) -> Result<(), LocalOffsetsError> {
        let text = ResetOffset { offset_table }.encode(Style::Pretty);
        self.replace(&text).map_err(|source| self.io(source))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let next = self.path.with_extension("json.tmp");
        let mut file = fs::File::create(&next)?;
        file.write_all(text)?;
        file.sync_data()?;
        match fs::rename(&self.path, self.backup()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => fs::rename(&next, &self.path),
        }
    }

    fn backup(&self) -> PathBuf {
        self.path.with_extension("json.bak")
    }

    fn io(&self, source: io::Error) -> LocalOffsetsError {
        LocalOffsetsError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(queue_offset: i64) -> BTreeMap<MessageQueue, i64> {
        let queue = MessageQueue {
            topic: "T".to_owned(),
            broker_name: "broker-a".to_owned(),
            queue_id: 0,
        };
        BTreeMap::from([(queue, queue_offset)])
    }

    #[test]
    fn the_file_lies_and_reads_as_javas() {
        let directory = tempfile::tempdir().unwrap();
        let file = OffsetsFile::new(directory.path(), "10.0.0.1@DEFAULT", "g");
        assert_eq!(file.load().unwrap(), BTreeMap::new());
        file.store(offsets(42)).unwrap();
        let path = directory.path().join("10.0.0.1@DEFAULT/g/offsets.json");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text.split_whitespace().collect::<String>(),
            r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:42}}"#
        );
        assert_eq!(file.load().unwrap(), offsets(42));
    }

    #[test]
    fn a_torn_or_missing_file_is_replaced_by_its_backup() {
        let directory = tempfile::tempdir().unwrap();
        let file = OffsetsFile::new(directory.path(), "c", "g");
        file.store(offsets(1)).unwrap();
        file.store(offsets(2)).unwrap();
        fs::write(&file.path, b"{\"offsetTable\":{{").unwrap();
        assert_eq!(file.load().unwrap(), offsets(1));
        fs::remove_file(&file.path).unwrap();
        assert_eq!(file.load().unwrap(), offsets(1));
    }

    #[test]
    fn a_file_that_nobody_understands_is_an_error_and_not_a_start_from_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let file = OffsetsFile::new(directory.path(), "c", "g");
        file.store(offsets(1)).unwrap();
        fs::write(&file.path, b"no json").unwrap();
        assert!(matches!(file.load(), Err(LocalOffsetsError::Content { .. })));
    }
}
