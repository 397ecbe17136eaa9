//! Random histories of the simulated disk against a plain model: byte vectors, and maps of names.
//!
//! After every step reads must agree with the model; after a crash nothing that was synced may be missing, and nothing
//! may have appeared that was never written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::disk::Blocks;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Action {
    Create(usize),
    Change(usize, Edit),
    Sync(usize),
    FailSync(usize),
    SyncDirectory,
    Rename(usize, usize),
    Remove(usize),
    Kill,
}

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Zero(usize, usize),
    Length(usize),
    Allocate(usize, usize),
}

/// A file as the model has it.
#[derive(Clone, Debug, Default)]
struct File {
    cached: Vec<u8>,
    durable: Vec<u8>,
    waiting: Vec<Edit>,
}

#[derive(Debug, Default)]
struct Model {
    files: Vec<File>,
    cached: BTreeMap<&'static str, usize>,
    durable: BTreeMap<&'static str, usize>,
    /// The names that changed since the directory was synced.
    changed: BTreeSet<&'static str>,
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let reach = |bytes: &mut Vec<u8>, end: usize| bytes.resize(bytes.len().max(end), 0);
        match self {
            Self::Write(position, written) => {
                if !written.is_empty() {
                    reach(bytes, position + written.len());
                }
                let end = position + written.len();
                if let Some(target) = bytes.get_mut(*position..end) {
                    target.copy_from_slice(written);
                }
            }
            Self::Zero(position, length) => {
                let end = (position + length).min(bytes.len());
                bytes.get_mut(*position..end).unwrap_or_default().fill(0);
            }
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Allocate(position, length) => reach(bytes, position + length),
        }
    }

    fn ask(&self, file: &dyn DiskFile) -> io::Result<()> {
        match self {
            Self::Write(position, bytes) => {
                let (one, other) = bytes.split_at(bytes.len() / 3);
                file.write_at(&[IoSlice::new(one), IoSlice::new(other)], *position as u64)
            }
            Self::Zero(position, length) => {
                let blocks = if length % 2 == 0 {
                    Blocks::Kept
                } else {
                    Blocks::Released
                };
                file.zero(*position as u64, *length as u64, blocks)
            }
            Self::Length(length) => file.set_length(*length as u64),
            Self::Allocate(position, length) => file.allocate(*position as u64, *length as u64),
        }
    }

    /// Whether a failed sync forgets it.
    fn has_bytes(&self) -> bool {
        matches!(self, Self::Write(..) | Self::Zero(..))
    }
}

impl File {
    fn synced(&mut self) {
        for edit in std::mem::take(&mut self.waiting) {
            edit.apply(&mut self.durable);
        }
    }

    /// What a write or zeroing leaves when only the file system's own part of it, the length, is kept.
    fn lose_bytes(&mut self) {
        let mut length = self.durable.len();
        let mut kept = Vec::new();
        for edit in std::mem::take(&mut self.waiting) {
            let mut shadow = vec![0; length];
            edit.apply(&mut shadow);
            if !edit.has_bytes() || shadow.len() > length {
                kept.push(Edit::Length(shadow.len()));
            }
            length = shadow.len();
        }
        self.waiting = kept;
    }

    /// Whether `found` may be left of this file by some power loss.
    fn may_become(&self, found: &[u8]) -> bool {
        if self.waiting.is_empty() {
            return found == self.durable;
        }
        let mut states = vec![self.durable.clone()];
        for edit in &self.waiting {
            let mut next = states.last().cloned().unwrap_or_default();
            edit.apply(&mut next);
            states.push(next);
        }
        let shortest = states.iter().map(Vec::len).min().unwrap_or(0);
        let longest = states.iter().map(Vec::len).max().unwrap_or(0);
        let grows = self.waiting.iter().any(|edit| !edit.has_bytes()) || longest > shortest;
        let at = |bytes: &[u8], index: usize| bytes.get(index).copied();
        (shortest..=longest).contains(&found.len())
            && found.iter().enumerate().all(|(index, byte)| {
                states.iter().any(|state| at(state, index) == Some(*byte)) || (*byte == 0 && grows)
            })
    }
}

impl Model {
    fn run(&mut self, disk: &MemoryDisk, action: &Action) {
        let path = |name: usize| PathBuf::from("/store").join(NAMES[name]);
        let open = |name: usize| disk.open(&path(name), OpenMode::Write);
        match action {
            Action::Create(name) => {
                let made = disk.open(&path(*name), OpenMode::CreateNew);
                assert_eq!(made.is_ok(), !self.cached.contains_key(NAMES[*name]));
                if made.is_ok() {
                    self.files.push(File::default());
                    self.cached.insert(NAMES[*name], self.files.len() - 1);
                    self.changed.insert(NAMES[*name]);
                }
            }
            Action::Change(name, edit) => {
                if let Some(file) = self.file(*name) {
                    edit.ask(&*open(*name).unwrap()).unwrap();
                    edit.apply(&mut file.cached);
                    file.waiting.push(edit.clone());
                }
            }
            Action::Sync(name) => {
                if let Some(file) = self.file(*name) {
                    open(*name).unwrap().sync_data().unwrap();
                    file.synced();
                }
            }
            Action::FailSync(name) => {
                if let Some(file) = self.file(*name) {
                    disk.inject(Fault::new(Operation::SyncData).times(1));
                    open(*name).unwrap().sync_data().unwrap_err();
                    file.lose_bytes();
                }
            }
            Action::SyncDirectory => {
                disk.sync_directory(Path::new("/store")).unwrap();
                self.durable = self.cached.clone();
                self.changed.clear();
            }
            Action::Rename(from, to) => {
                let done = disk.rename(&path(*from), &path(*to));
                assert_eq!(done.is_ok(), self.cached.contains_key(NAMES[*from]));
                if let Some(file) = self.cached.remove(NAMES[*from]) {
                    self.cached.insert(NAMES[*to], file);
                    self.changed.extend([NAMES[*from], NAMES[*to]]);
                }
            }
            Action::Remove(name) => {
                let done = disk.remove_file(&path(*name));
                assert_eq!(done.is_ok(), self.cached.remove(NAMES[*name]).is_some());
                if done.is_ok() {
                    self.changed.insert(NAMES[*name]);
                }
            }
            Action::Kill => disk.kill(),
        }
    }

    fn file(&mut self, name: usize) -> Option<&mut File> {
        self.cached
            .get(NAMES[name])
            .and_then(|index| self.files.get_mut(*index))
    }

    fn check_reads(&self, disk: &MemoryDisk) {
        let cached = |index: &usize| self.files[*index].cached.clone();
        assert_eq!(
            found(disk),
            self.cached.iter().map(|(name, index)| (*name, cached(index))).collect()
        );
    }

    fn check_crash(&self, left: &BTreeMap<&'static str, Vec<u8>>, survival: Survival) {
        let with_waiting = |index: &usize| {
            let mut file = self.files[*index].clone();
            file.synced();
            file.durable
        };
        match survival {
            Survival::Nothing => {
                let durable = |index: &usize| self.files[*index].durable.clone();
                assert_eq!(
                    *left,
                    self.durable
                        .iter()
                        .map(|(name, index)| (*name, durable(index)))
                        .collect()
                );
            }
            Survival::Everything | Survival::Prefix(u64::MAX) => {
                assert_eq!(
                    *left,
                    self.cached
                        .iter()
                        .map(|(name, index)| (*name, with_waiting(index)))
                        .collect()
                );
            }
            Survival::Random(_) | Survival::Prefix(_) => {
                for name in NAMES.iter().filter(|name| !self.changed.contains(**name)) {
                    let (expected, found) = (self.durable.get(name), left.get(name));
                    assert_eq!(expected.is_some(), found.is_some(), "{name}");
                    if let (Some(index), Some(found)) = (expected, found) {
                        assert!(
                            self.files[*index].may_become(found),
                            "{name}: {found:?} of {:?}",
                            self.files[*index]
                        );
                    }
                }
            }
        }
    }

    /// A model of a disk that has just been started.
    fn of(left: BTreeMap<&'static str, Vec<u8>>) -> Self {
        let mut model = Self::default();
        for (name, bytes) in left {
            model.cached.insert(name, model.files.len());
            model.files.push(File {
                cached: bytes.clone(),
                durable: bytes,
                waiting: Vec::new(),
            });
        }
        model.durable = model.cached.clone();
        model
    }
}

fn found(disk: &MemoryDisk) -> BTreeMap<&'static str, Vec<u8>> {
    let path = |name: &str| PathBuf::from("/store").join(name);
    let there = NAMES.iter().filter(|name| disk.exists(&path(name)).unwrap());
    there
        .map(|name| (*name, disk.read_whole(&path(name), 1 << 20).unwrap()))
        .collect()
}

fn edits() -> impl Strategy<Value = Edit> {
    let position = || 0usize..3000;
    prop_oneof![
        6 => (position(), proptest::collection::vec(1u8.., 0..1500)).prop_map(|(at, bytes)| Edit::Write(at, bytes)),
        1 => (position(), position()).prop_map(|(at, length)| Edit::Zero(at, length)),
        1 => position().prop_map(Edit::Length),
        1 => (position(), position()).prop_map(|(at, length)| Edit::Allocate(at, length)),
    ]
}

fn actions() -> impl Strategy<Value = Action> {
    let name = || 0usize..NAMES.len();
    prop_oneof![
        4 => name().prop_map(Action::Create),
        12 => (name(), edits()).prop_map(|(name, edit)| Action::Change(name, edit)),
        4 => name().prop_map(Action::Sync),
        1 => name().prop_map(Action::FailSync),
        3 => Just(Action::SyncDirectory),
        2 => (name(), name()).prop_map(|(from, to)| Action::Rename(from, to)),
        1 => name().prop_map(Action::Remove),
        1 => Just(Action::Kill),
    ]
}

fn survivals() -> impl Strategy<Value = Survival> {
    prop_oneof![
        Just(Survival::Nothing),
        Just(Survival::Everything),
        Just(Survival::Prefix(u64::MAX)),
        (0u64..5000).prop_map(Survival::Prefix),
        any::<u64>().prop_map(Survival::Random),
    ]
}

proptest! {
    #[test]
    fn every_history_agrees_with_the_model_before_and_after_each_crash(
        lives in proptest::collection::vec((proptest::collection::vec(actions(), 0..40), survivals()), 1..4),
    ) {
        let disk = MemoryDisk::new(1);
        disk.create_directory(Path::new("/store")).unwrap();
        let mut model = Model::default();
        for (actions, survival) in lives {
            for action in &actions {
                model.run(&disk, action);
                model.check_reads(&disk);
            }
            disk.crash(survival);
            let left = found(&disk);
            for (name, bytes) in &left {
                let durable = disk.durable(&Path::new("/store").join(name));
                prop_assert_eq!(durable.as_ref(), Some(bytes));
            }
            model.check_crash(&left, survival);
            model = Model::of(left);
        }
    }
}
