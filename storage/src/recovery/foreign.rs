//! What RocketMQ 5.x keeps beside the files of 4.x, and this program cannot carry on: refused by name, never ignored.
//!
//! | what | where | refused when |
//! |---|---|---|
//! | RocksDB, for queues, tables or pop | a folder with `CURRENT` and `MANIFEST-…` in it | it is there |
//! | queues of batches | `batchconsumequeue/` | a queue is there |
//! | messages of any delivery time | `timerwheel`; topic `rmq_sys_wheel_timer` behind what `config/timercheck` has read | a slot is used, a message is unread |
//! | pop: what was handed out and not yet confirmed | topics `rmq_sys_REVIVE_LOG_…` behind the offset of the group that reads them | one is unread |
//!
//! Everything else of 5.x is not needed to carry on: `timerlog` is empty without the wheel, and `compaction`, `abort.bak`,
//! `timermetrics` and the like hold nothing that was promised to anybody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cuemq_net::dialect::{self, Key, Value};

use super::StoreLayout;
use crate::commit_log::QueueName;
use crate::consume_queue::{self, ConsumeQueue, Opening, QueuePlace};
use crate::disk::{Disk, OpenMode, holds_only_zeros, list};
use crate::error::{Result, StoreError};
use crate::position::QueueOffset;
use crate::table::look_up_table;

/// The topic of messages that are on their way into the wheel.
const WHEEL_TOPIC: &str = "rmq_sys_wheel_timer";
/// How the topics of pop's open receipts begin, in any spelling of their case.
const REVIVE_TOPICS: &str = "rmq_sys_revive_log_";
/// The group whose offset says up to where they are settled.
const REVIVE_GROUP: &str = "CID_RMQ_SYS_REVIVE_GROUP";
/// Where `timercheck` says which message of its topic the wheel takes next.
const TIMER_QUEUE_OFFSET_AT: u64 = 16;

/// Refuses a store whose files hold what would be lost here. Nothing on the disk changes.
pub(super) fn refuse_files(disk: &dyn Disk, root: &Path) -> Result<()> {
    for directory in [root.to_owned(), root.join("config")] {
        for entry in list(disk, &directory)?.into_iter().filter(|entry| entry.is_directory) {
            refuse_rocksdb(disk, directory.join(entry.name))?;
        }
    }
    refuse_batch_queues(disk, root)?;
    let wheel = root.join("timerwheel");
    if !is_used(disk, &wheel)? {
        return Ok(());
    }
    let reason = "it holds timed messages of RocketMQ 5; let that broker deliver them, stop it, and move timerwheel and \
                  timerlog away";
    Err(unsupported(wheel, reason))
}

/// [`refuse_unread`] for all queues of a store that was stopped in order, before anything of it changes.
pub(super) fn refuse_queues(disk: &Arc<dyn Disk>, layout: &StoreLayout) -> Result<()> {
    let found = consume_queue::discover(disk.as_ref(), &layout.root, Opening::Clean)?;
    for queue in found.queues.iter().filter(|queue| is_read_by_5_alone(&queue.topic)) {
        let place = QueuePlace {
            root: &layout.root,
            topic: &queue.topic,
            queue_id: queue.queue_id,
        };
        let (opened, _) = ConsumeQueue::open(disk, place, layout.queue_file_bytes, Opening::Clean)?;
        let name = QueueName {
            topic: queue.topic.as_str().into(),
            queue_id: queue.queue_id,
        };
        refuse_unread(disk.as_ref(), &layout.root, &name, opened.end())?;
    }
    Ok(())
}

fn is_read_by_5_alone(topic: &str) -> bool {
    topic == WHEEL_TOPIC || topic.to_ascii_lowercase().starts_with(REVIVE_TOPICS)
}

/// Refuses a store that another program used last, if messages wait in topics that only RocketMQ 5 reads. `end` is the
/// end of that queue.
pub(super) fn refuse_unread(disk: &dyn Disk, root: &Path, queue: &QueueName, end: QueueOffset) -> Result<()> {
    let (read, what) = match &*queue.topic {
        topic if !is_read_by_5_alone(topic) => return Ok(()),
        WHEEL_TOPIC => (timers_read(disk, root)?, "timed messages"),
        _ => (receipts_read(disk, root, queue)?, "pop receipts"),
    };
    if end.0 <= read {
        return Ok(());
    }
    let path = root
        .join("consumequeue")
        .join(&*queue.topic)
        .join(queue.queue_id.to_string());
    let count = end.0 - read;
    let reason =
        format!("{count} {what} of RocketMQ 5 wait in it; let that broker finish with them and stop it in order");
    Err(unsupported(path, &reason))
}

fn refuse_rocksdb(disk: &dyn Disk, directory: PathBuf) -> Result<()> {
    let files = list(disk, &directory)?;
    let is_database =
        files.iter().any(|file| file.name == "CURRENT") && files.iter().any(|file| file.name.starts_with("MANIFEST-"));
    if is_database {
        let reason = "it is a RocksDB of RocketMQ 5, which is not read here; let that broker be drained and use another data \
                      directory, or move the folder away if nothing in it is needed";
        return Err(unsupported(directory, reason));
    }
    Ok(())
}

fn refuse_batch_queues(disk: &dyn Disk, root: &Path) -> Result<()> {
    let directory = root.join("batchconsumequeue");
    if list(disk, &directory)?.is_empty() {
        return Ok(());
    }
    let reason = "it holds queues of batches, which only RocketMQ 5 can read; let them be consumed there, delete their \
                  topics, and move the folder away";
    Err(unsupported(directory, reason))
}

fn unsupported(path: PathBuf, reason: &str) -> StoreError {
    let reason = reason.to_owned();
    StoreError::Unsupported { path, reason }
}

/// Whether a file is there and holds anything but zeros.
fn is_used(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let exists = disk.exists(path);
    let exists = exists.map_err(|error| StoreError::io("look for", path, error))?;
    Ok(exists && !holds_only_zeros(disk, path)?)
}

/// Up to which queue offset timed messages were put into the wheel; 0 when nothing says so.
fn timers_read(disk: &dyn Disk, root: &Path) -> Result<u64> {
    let path = root.join("config").join("timercheck");
    let io = |error| StoreError::io("read", &path, error);
    if !disk.exists(&path).map_err(io)? {
        return Ok(0);
    }
    let mut bytes = [0; 8];
    let file = disk.open(&path, OpenMode::Read).map_err(io)?;
    file.read_at(&mut bytes, TIMER_QUEUE_OFFSET_AT).map_err(io)?;
    Ok(u64::try_from(i64::from_be_bytes(bytes)).unwrap_or(0))
}

/// Up to which queue offset the group that settles pop's receipts has read; 0 when nothing says so.
fn receipts_read(disk: &dyn Disk, root: &Path, queue: &QueueName) -> Result<u64> {
    let path = root.join("config").join("consumerOffset.json");
    let table = look_up_table(disk, &path, dialect::parse)?;
    let group = format!("{}@{REVIVE_GROUP}", queue.topic);
    let member = |value: &Value, name| match value {
        Value::Object(object) => object.get(name).cloned(),
        _ => None,
    };
    let offsets = table
        .and_then(|table| member(&table, "offsetTable"))
        .and_then(|groups| member(&groups, &group));
    let Some(Value::Object(offsets)) = offsets else {
        return Ok(0);
    };
    let is_queue = |key: &Key| match key {
        Key::Number(number) => *number == i64::from(queue.queue_id),
        Key::Text(text) => text.parse() == Ok(queue.queue_id),
        Key::Object(_) => false,
    };
    let offset = offsets.0.iter().rev().find(|(key, _)| is_queue(key));
    Ok(match offset {
        Some((_, Value::Integer(read))) => u64::try_from(*read).unwrap_or(0),
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::disk::MemoryDisk;

    fn root() -> &'static Path {
        Path::new("/store")
    }

    fn disk_with(files: &[(&str, &[u8])]) -> MemoryDisk {
        let disk = MemoryDisk::new(1);
        for (name, bytes) in files {
            let path = root().join(name);
            disk.create_directory(path.parent().unwrap()).unwrap();
            let file = disk.open(&path, OpenMode::Create).unwrap();
            file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        }
        disk
    }

    fn refusal(disk: &MemoryDisk) -> String {
        refuse_files(disk, root()).map_or_else(|error| error.to_string(), |()| String::from("opened"))
    }

    fn unread(disk: &MemoryDisk, topic: &str, end: u64) -> String {
        let queue = QueueName {
            topic: topic.into(),
            queue_id: 1,
        };
        refuse_unread(disk, root(), &queue, QueueOffset(end))
            .map_or_else(|error| error.to_string(), |()| String::from("opened"))
    }

    #[test]
    fn promise_6_a_timer_wheel_in_use_is_refused_by_name_with_the_next_step() {
        let zeros = vec![0; 3_000_017];
        assert_eq!(refusal(&disk_with(&[("timerwheel", &zeros)])), "opened");
        let mut used = zeros;
        used[2_000_005] = 1;
        let said = refusal(&disk_with(&[("timerwheel", &used)]));
        assert!(
            said.starts_with("/store/timerwheel cannot be used here: it holds timed messages"),
            "{said}"
        );
        assert!(said.contains("move timerwheel and timerlog away"), "{said}");
    }

    #[test]
    fn promise_6_a_rocksdb_is_refused_wherever_release_5_keeps_one() {
        for directory in ["consumequeue", "kvStore", "config/topics", "config/metadata"] {
            let (current, manifest) = (format!("{directory}/CURRENT"), format!("{directory}/MANIFEST-000004"));
            let said = refusal(&disk_with(&[(&current, b"MANIFEST-000004\n"), (&manifest, b"x")]));
            assert!(
                said.starts_with(&format!("/store/{directory} cannot be used here: it is a RocksDB")),
                "{said}"
            );
        }
        let said = refusal(&disk_with(&[("batchconsumequeue/T/0/00000000000000000000", b"x")]));
        assert!(
            said.starts_with("/store/batchconsumequeue cannot be used here"),
            "{said}"
        );
    }

    #[test]
    fn promise_6_timed_messages_that_never_reached_the_wheel_are_refused() {
        assert_eq!(unread(&disk_with(&[]), "AnyTopic", 9), "opened");
        let said = unread(&disk_with(&[]), "rmq_sys_wheel_timer", 9);
        assert!(said.contains("9 timed messages of RocketMQ 5 wait in it"), "{said}");
        let mut check = vec![0; 4096];
        check[16..24].copy_from_slice(&9u64.to_be_bytes());
        let disk = disk_with(&[("config/timercheck", &check)]);
        assert_eq!(unread(&disk, "rmq_sys_wheel_timer", 9), "opened");
        assert_ne!(unread(&disk, "rmq_sys_wheel_timer", 10), "opened");
        check[16..24].copy_from_slice(&(-1i64).to_be_bytes());
        let disk = disk_with(&[("config/timercheck", &check)]);
        assert_ne!(unread(&disk, "rmq_sys_wheel_timer", 9), "opened", "nothing was read");
    }

    #[test]
    fn promise_6_open_pop_receipts_are_refused() {
        let topic = "rmq_sys_REVIVE_LOG_DefaultCluster";
        let table =
            format!("{{\"offsetTable\":{{\"T@g\":{{1:99}},\"{topic}@CID_RMQ_SYS_REVIVE_GROUP\":{{0:3,\"1\":7\n}}}}}}");
        let disk = disk_with(&[("config/consumerOffset.json", table.as_bytes())]);
        assert_eq!(unread(&disk, topic, 7), "opened");
        let said = unread(&disk, topic, 8);
        assert!(said.contains("1 pop receipts of RocketMQ 5 wait in it"), "{said}");
        assert_ne!(unread(&disk_with(&[]), topic, 1), "opened");
        let said = format!("{{\"note\":\"{topic}@CID_RMQ_SYS_REVIVE_GROUP\",\"other\":{{1:99}}}}");
        let disk = disk_with(&[("config/consumerOffset.json", said.as_bytes())]);
        assert_ne!(unread(&disk, topic, 1), "opened", "what stands elsewhere says nothing");
        let files: [(&str, &[u8]); 2] = [
            ("config/consumerOffset.json", b"{\"offsetTable\":"),
            ("config/consumerOffset.json.bak", table.as_bytes()),
        ];
        let disk = disk_with(&files);
        assert_eq!(
            unread(&disk, topic, 7),
            "opened",
            "the older table counts, as for its owner"
        );
        let left = disk.read_whole(&root().join(files[0].0), 100).unwrap();
        assert_eq!(left, files[0].1, "and nothing on the disk changes");
    }
}
