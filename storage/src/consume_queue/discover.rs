//! Which queues a store has, by its directories: `consumequeue/<topic>/<queueId>`.

use std::path::{Path, PathBuf};

use super::files::{may_be_short, parse_name};
use super::{FOLDER, Opening};
use crate::disk::{Disk, list};
use crate::error::Result;

/// A queue that has a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundQueue {
    /// The topic.
    pub topic: String,
    /// The number of the queue within its topic.
    pub queue_id: u32,
}

/// What lies below `consumequeue`.
#[derive(Debug, Default)]
pub struct Discovery {
    /// The queues, by topic and number.
    pub queues: Vec<FoundQueue>,
    /// What is no queue: files, and directories whose name is no number. They are left alone.
    pub odd: Vec<PathBuf>,
    /// The length of the files (the longest: a crash can leave one shorter); `None` when there is none whose length is
    /// sure. All queues must be opened with it, since Java knows one length for all.
    pub file_bytes: Option<u64>,
}

/// Lists the queues of the store in `root`, of whose files as much is known as of a queue that is opened.
///
/// # Errors
/// When a directory cannot be listed.
pub fn discover(disk: &dyn Disk, root: &Path, opening: Opening) -> Result<Discovery> {
    let topics = root.join(FOLDER);
    let mut discovery = Discovery::default();
    for topic in list(disk, &topics)? {
        let directory = topics.join(&topic.name);
        if !topic.is_directory {
            discovery.odd.push(directory);
            continue;
        }
        for queue in list(disk, &directory)? {
            let number = queue
                .name
                .parse::<u32>()
                .ok()
                .filter(|number| number.to_string() == queue.name);
            match number {
                Some(queue_id) if queue.is_directory => {
                    let longest = longest_file(disk, &directory.join(&queue.name), opening)?;
                    discovery.file_bytes = discovery.file_bytes.max(longest);
                    discovery.queues.push(FoundQueue {
                        topic: topic.name.clone(),
                        queue_id,
                    });
                }
                _ => discovery.odd.push(directory.join(&queue.name)),
            }
        }
    }
    discovery.queues.sort();
    Ok(discovery)
}

/// The length of a queue's first file, if it is sure: the only file of a queue can be one that a crash left without its
/// length, or with a part of it.
fn longest_file(disk: &dyn Disk, directory: &Path, opening: Opening) -> Result<Option<u64>> {
    let mut lengths = list(disk, directory)?
        .into_iter()
        .filter(|entry| !entry.is_directory)
        .filter_map(|entry| Some((parse_name(&entry.name)?, entry.length)));
    let Some((first_byte, length)) = lengths.next() else {
        return Ok(None);
    };
    let is_sure = length > 0 && (lengths.next().is_some() || !may_be_short(disk, directory, first_byte, opening)?);
    Ok(is_sure.then_some(length))
}
