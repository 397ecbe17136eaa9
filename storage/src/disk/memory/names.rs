//! The directories of the simulated disk: the names that processes see, those that the disk holds, and the changes in
//! between.
//!
//! A change of a name is durable once the directory that it is in has been synced; a rename from one directory to another
//! once the target's has. Whatever order the disk chooses, a change never overtakes an earlier one of the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inode::Inode;
use crate::disk::parent_of;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Directory,
    File(Arc<Inode>),
}

/// All names of the disk.
#[derive(Debug, Default)]
pub(super) struct Names {
    cached: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    pending: Vec<PendingName>,
}

/// A change of a name that the disk does not hold yet, and its place among all changes of the disk.
#[derive(Debug)]
struct PendingName {
    sequence: u64,
    change: NameChange,
}

#[derive(Debug)]
enum NameChange {
    Directory {
        path: PathBuf,
    },
    Link {
        path: PathBuf,
        inode: Arc<Inode>,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        inode: Arc<Inode>,
    },
    Unlink {
        path: PathBuf,
    },
}

impl Names {
    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        if is_root(path) {
            Some(Node::Directory)
        } else {
            self.cached.get(path).cloned()
        }
    }

    /// The file that the disk itself has under this name.
    pub(super) fn durable_file(&self, path: &Path) -> Option<&Arc<Inode>> {
        file_of(self.durable.get(path)?)
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Arc<Inode>> {
        match self.node(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The names directly in a directory, sorted.
    pub(super) fn children(&self, directory: &Path) -> impl Iterator<Item = (&Path, &Node)> {
        // What lies in the working directory is named without it.
        let directory = directory.strip_prefix(".").unwrap_or(directory);
        let below = self.cached.range(directory.to_path_buf()..);
        let below = below.take_while(move |(path, _)| path.starts_with(directory));
        below
            .filter(move |(path, _)| path.parent() == Some(directory))
            .map(|(path, node)| (path.as_path(), node))
    }

    /// Gives a new file a name.
    pub(super) fn link(&mut self, sequence: u64, path: &Path, inode: &Arc<Inode>) -> io::Result<()> {
        self.check_directory(parent_of(path))?;
        self.cached.insert(path.to_owned(), Node::File(Arc::clone(inode)));
        self.wait(
            sequence,
            NameChange::Link {
                path: path.to_owned(),
                inode: Arc::clone(inode),
            },
        );
        Ok(())
    }

    pub(super) fn rename(&mut self, sequence: u64, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.file(from)?;
        self.check_directory(parent_of(to))?;
        if let Some(Node::Directory) = self.node(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.cached.remove(from);
        self.cached.insert(to.to_owned(), Node::File(Arc::clone(&inode)));
        self.wait(
            sequence,
            NameChange::Rename {
                from: from.to_owned(),
                to: to.to_owned(),
                inode,
            },
        );
        Ok(())
    }

    pub(super) fn remove_file(&mut self, sequence: u64, path: &Path) -> io::Result<()> {
        self.file(path)?;
        self.unlink(sequence, path);
        Ok(())
    }

    pub(super) fn remove_directory(&mut self, sequence: u64, path: &Path) -> io::Result<()> {
        self.check_directory(path)?;
        if is_root(path) || self.children(path).next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.unlink(sequence, path);
        Ok(())
    }

    /// Makes a directory and its parents, and gives how many levels were missing.
    pub(super) fn make_directory(&mut self, sequence: u64, path: &Path) -> io::Result<usize> {
        let mut made = 0;
        for level in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            match self.node(level) {
                Some(Node::Directory) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    made += 1;
                    self.cached.insert(level.to_owned(), Node::Directory);
                    let path = level.to_owned();
                    self.wait(sequence, NameChange::Directory { path });
                }
            }
        }
        Ok(made)
    }

    pub(super) fn sync_directory(&mut self, directory: &Path) -> io::Result<()> {
        self.check_directory(directory)?;
        self.settle(|_, change| parent_of(change.target()) == directory);
        Ok(())
    }

    pub(super) fn sync_all(&mut self) {
        self.settle(|_, _| true);
    }

    /// Forgets what processes saw: of the waiting changes, given by index and sequence, those that `survives` chooses
    /// reach the disk, with the earlier ones that they depend on. The files that are left, by number.
    pub(super) fn crash(&mut self, mut survives: impl FnMut(usize, u64) -> bool) -> BTreeMap<u64, Arc<Inode>> {
        let chosen: Vec<bool> = self
            .pending
            .iter()
            .enumerate()
            .map(|(index, pending)| survives(index, pending.sequence))
            .collect();
        self.settle(|index, _| chosen.get(index).copied().unwrap_or(false));
        self.pending.clear();
        // A name whose directory did not survive is gone too.
        let mut reachable = BTreeMap::new();
        for (path, node) in std::mem::take(&mut self.durable) {
            let parent = parent_of(&path);
            if is_root(parent) || matches!(reachable.get(parent), Some(Node::Directory)) {
                reachable.insert(path, node);
            }
        }
        self.cached = reachable.clone();
        self.durable = reachable;
        self.files()
    }

    /// All files that have a name, or may have one again after a crash, by number.
    pub(super) fn files(&self) -> BTreeMap<u64, Arc<Inode>> {
        let waiting = self.pending.iter().filter_map(|pending| pending.change.inode());
        let named = self.cached.values().chain(self.durable.values()).filter_map(file_of);
        named
            .chain(waiting)
            .map(|inode| (inode.id, Arc::clone(inode)))
            .collect()
    }

    /// How many changes wait.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    fn unlink(&mut self, sequence: u64, path: &Path) {
        self.cached.remove(path);
        self.wait(sequence, NameChange::Unlink { path: path.to_owned() });
    }

    fn check_directory(&self, path: &Path) -> io::Result<()> {
        match self.node(path) {
            Some(Node::Directory) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn wait(&mut self, sequence: u64, change: NameChange) {
        self.pending.push(PendingName { sequence, change });
    }

    /// Makes the chosen changes durable, and before each the earlier ones of the same names.
    fn settle(&mut self, chosen: impl Fn(usize, &NameChange) -> bool) {
        let mut needed = BTreeSet::new();
        let mut settled = vec![false; self.pending.len()];
        for ((index, pending), settled) in self.pending.iter().enumerate().zip(&mut settled).rev() {
            let (target, source) = (pending.change.target(), pending.change.source());
            *settled = chosen(index, &pending.change)
                || needed.contains(target)
                || source.is_some_and(|source| needed.contains(source));
            if *settled {
                needed.insert(target.to_owned());
                needed.extend(source.map(Path::to_owned));
            }
        }
        let mut settled = settled.into_iter();
        for pending in std::mem::take(&mut self.pending) {
            if !settled.next().unwrap_or(false) {
                self.pending.push(pending);
                continue;
            }
            match pending.change {
                NameChange::Directory { path } => _ = self.durable.insert(path, Node::Directory),
                NameChange::Link { path, inode } => _ = self.durable.insert(path, Node::File(inode)),
                NameChange::Rename { from, to, inode } => {
                    self.durable.remove(&from);
                    self.durable.insert(to, Node::File(inode));
                }
                NameChange::Unlink { path } => _ = self.durable.remove(&path),
            }
        }
    }
}

impl NameChange {
    fn target(&self) -> &Path {
        match self {
            Self::Directory { path } | Self::Link { path, .. } | Self::Unlink { path } => path,
            Self::Rename { to, .. } => to,
        }
    }

    fn inode(&self) -> Option<&Arc<Inode>> {
        match self {
            Self::Link { inode, .. } | Self::Rename { inode, .. } => Some(inode),
            Self::Directory { .. } | Self::Unlink { .. } => None,
        }
    }

    fn source(&self) -> Option<&Path> {
        match self {
            Self::Rename { from, .. } => Some(from),
            Self::Directory { .. } | Self::Link { .. } | Self::Unlink { .. } => None,
        }
    }
}

fn file_of(node: &Node) -> Option<&Arc<Inode>> {
    match node {
        Node::File(inode) => Some(inode),
        Node::Directory => None,
    }
}

/// The root and the working directory are always there.
fn is_root(path: &Path) -> bool {
    path.parent().is_none() || path == Path::new(".")
}
