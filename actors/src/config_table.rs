//! A table of named configurations with one owner and many readers: what the topics' and the groups' tables share.
//!
//! The owner holds a [`ConfigTable`]; every connection holds a [`View`] and reads it without a lock. A change is staged
//! first, so that the owner can write the file before anybody sees it: [`ConfigTable::publish`] shows all staged changes,
//! [`ConfigTable::revert`] forgets them (the file could not be written).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cuemq_net::body::DataVersion;
use cuemq_storage::hash::Hasher;

/// What a table holds for each name.
pub trait Config: Clone + fmt::Debug + Send + Sync + 'static {
    /// The number that stands for a name; never given to another name while the process lives.
    type Id: Copy + fmt::Debug + Send + Sync + From<u32>;
    /// What readers have found for a name and keep with its row, empty when the row is new.
    type Found: Default + fmt::Debug + Send + Sync;
}

/// A named configuration as readers see it; it never changes, an update publishes another.
#[derive(Debug)]
pub struct Named<C: Config> {
    /// Stands for the name where a number is enough. A name that was deleted and made again has another.
    pub id: C::Id,
    /// The name.
    pub name: Arc<str>,
    /// The configuration.
    pub config: C,
    /// What readers have found for it.
    pub found: C::Found,
}

impl<C: Config> Named<C> {
    /// A new row, for which nothing has been found yet.
    #[must_use]
    pub fn new(id: C::Id, name: Arc<str>, config: C) -> Self {
        let found = C::Found::default();
        Self {
            id,
            name,
            config,
            found,
        }
    }
}

/// Two are the same when they are one.
impl<C: Config> PartialEq for Named<C> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl<C: Config> Eq for Named<C> {}

/// The readers' side of a table.
#[derive(Debug)]
pub struct View<C: Config> {
    shared: Arc<Shared<C>>,
}

#[derive(Debug)]
struct Shared<C: Config> {
    by_name: papaya::HashMap<Arc<str>, Arc<Named<C>>, Hasher>,
    next_id: AtomicU32,
}

impl<C: Config> Clone for View<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: Config> Default for View<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Config> View<C> {
    /// A view that shows nothing until a table publishes into it.
    #[must_use]
    pub fn new() -> Self {
        let by_name = papaya::HashMap::with_hasher(Hasher::default());
        Self {
            shared: Arc::new(Shared {
                by_name,
                next_id: AtomicU32::new(0),
            }),
        }
    }

    /// What stands under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Named<C>>> {
        self.shared.by_name.pin().get(name).cloned()
    }

    /// Reads what stands under a name in place, without counting a reference: the cheapest look on the hot path.
    pub fn with<R>(&self, name: &str, read: impl FnOnce(&Named<C>) -> R) -> Option<R> {
        self.shared.by_name.pin().get(name).map(|named| read(named))
    }

    /// Whether a name is known.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.shared.by_name.pin().contains_key(name)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.by_name.len()
    }

    /// All rows, sorted by name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Named<C>>> {
        let mut rows: Vec<_> = self.shared.by_name.pin().values().cloned().collect();
        rows.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        rows
    }

    fn take_id(&self) -> C::Id {
        C::Id::from(self.shared.next_id.fetch_add(1, Ordering::Relaxed))
    }
}

/// The owner's side of a table.
#[derive(Debug)]
pub struct ConfigTable<C: Config> {
    rows: BTreeMap<Arc<str>, Arc<Named<C>>>,
    version: DataVersion,
    view: View<C>,
    staged: Vec<Staged<C>>,
}

/// What a staged change replaced.
#[derive(Debug)]
struct Staged<C: Config> {
    name: Arc<str>,
    row_before: Option<Arc<Named<C>>>,
    version_before: DataVersion,
}

impl<C: Config> ConfigTable<C> {
    /// Takes over the rows of a file. Nothing is shown in `view` until it is published; a name that `view` already knows
    /// (the owner was restarted) keeps its number.
    #[must_use]
    pub fn new(rows: BTreeMap<String, C>, version: DataVersion, view: View<C>) -> Self {
        let mut table = Self {
            rows: BTreeMap::new(),
            version,
            view,
            staged: Vec::new(),
        };
        for (name, config) in rows {
            table.set(&Arc::from(name), config);
        }
        table
    }

    /// What stands under a name, staged changes included.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Named<C>>> {
        self.rows.get(name)
    }

    /// How many rows there are, staged changes included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows in the order of their names, staged changes included.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Named<C>>> {
        self.rows.values()
    }

    /// The version that covers all rows, staged changes included.
    #[must_use]
    pub fn version(&self) -> DataVersion {
        self.version
    }

    /// Puts what belongs to the program and not to the file (system topics, pre-created groups) under a name that the
    /// file did not have: no change that counts.
    pub fn preset(&mut self, name: &str, config: C) {
        if !self.rows.contains_key(name) {
            self.set(&Arc::from(name), config);
        }
    }

    /// Stages a row under a name, new or over the one that stands there (whose number stays).
    pub fn put(&mut self, name: &str, config: C, now_ms: u64) -> Arc<Named<C>> {
        let name = self
            .rows
            .get(name)
            .map_or_else(|| Arc::from(name), |row| Arc::clone(&row.name));
        self.stage(&name, now_ms);
        self.set(&name, config)
    }

    /// Stages the removal of a row and gives what stood there.
    pub fn remove(&mut self, name: &str, now_ms: u64) -> Option<Arc<Named<C>>> {
        let row = Arc::clone(self.rows.get(name)?);
        self.stage(&row.name, now_ms);
        self.rows.remove(name)
    }

    /// Stages a change of nothing but the version.
    pub fn touch(&mut self, now_ms: u64) {
        if let Some(name) = self.rows.keys().next().cloned() {
            self.stage(&name, now_ms);
        }
    }

    /// Whether changes wait to be published.
    #[must_use]
    pub fn is_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Shows the staged changes to the readers.
    pub fn publish(&mut self) {
        let shown = self.view.shared.by_name.pin();
        for Staged { name, .. } in self.staged.drain(..) {
            match self.rows.get(&name) {
                Some(row) => drop(shown.insert(name, Arc::clone(row))),
                None => drop(shown.remove(&name)),
            }
        }
    }

    /// Forgets the staged changes.
    pub fn revert(&mut self) {
        while let Some(Staged {
            name,
            row_before,
            version_before,
        }) = self.staged.pop()
        {
            match row_before {
                Some(row) => drop(self.rows.insert(name, row)),
                None => drop(self.rows.remove(&name)),
            }
            self.version = version_before;
        }
    }

    /// Shows all rows to the readers and nothing else: the end of a start or restart.
    pub fn publish_all(&mut self) {
        self.staged.clear();
        let shown = self.view.shared.by_name.pin();
        for (name, row) in &self.rows {
            shown.insert(Arc::clone(name), Arc::clone(row));
        }
        shown.retain(|name, _| self.rows.contains_key(name));
    }

    /// The rows as the file holds them, staged changes included.
    #[must_use]
    pub fn export(&self) -> BTreeMap<String, C> {
        self.rows
            .iter()
            .map(|(name, row)| (name.to_string(), row.config.clone()))
            .collect()
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> View<C> {
        self.view.clone()
    }

    fn stage(&mut self, name: &Arc<str>, now_ms: u64) {
        self.staged.push(Staged {
            name: Arc::clone(name),
            row_before: self.rows.get(name).cloned(),
            version_before: self.version,
        });
        self.version.advance(i64::try_from(now_ms).unwrap_or(i64::MAX));
    }

    fn set(&mut self, name: &Arc<str>, config: C) -> Arc<Named<C>> {
        let id = match self.rows.get(name) {
            Some(row) => row.id,
            None => self
                .view
                .with(name, |named| named.id)
                .unwrap_or_else(|| self.view.take_id()),
        };
        let named = Arc::new(Named::new(id, Arc::clone(name), config));
        self.rows.insert(Arc::clone(name), Arc::clone(&named));
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Colour(i64);

    impl Config for Colour {
        type Id = u32;
        type Found = ();
    }

    fn empty() -> ConfigTable<Colour> {
        ConfigTable::new(BTreeMap::new(), DataVersion::default(), View::new())
    }

    #[test]
    fn a_staged_change_is_seen_by_the_owner_and_by_readers_only_once_published() {
        let mut table = empty();
        let view = table.view();
        table.put("red", Colour(0), 1_001);
        assert!(table.get("red").is_some() && table.is_staged());
        assert!(!view.contains("red"));
        table.publish();
        assert_eq!(view.with("red", |named| named.config), Some(Colour(0)));
        let expected = DataVersion {
            counter: 1,
            timestamp: 1_001,
            state_version: None,
        };
        assert_eq!(table.version(), expected);
    }

    #[test]
    fn a_reverted_change_leaves_rows_and_version_as_they_were() {
        let mut table = empty();
        table.put("red", Colour(0), 1_001);
        table.publish();
        let before = (table.export(), table.version());
        table.put("red", Colour(10), 1_002);
        table.put("blue", Colour(240), 1_003);
        table.remove("red", 1_004);
        table.put("red", Colour(20), 1_005);
        table.revert();
        assert_eq!((table.export(), table.version()), before);
        assert!(!table.is_staged());
    }

    #[test]
    fn an_update_keeps_the_number_and_a_name_made_again_has_another() {
        let mut table = empty();
        let first = table.put("red", Colour(0), 1).id;
        assert_eq!(table.put("red", Colour(1), 2).id, first);
        table.remove("red", 3);
        table.publish();
        assert_ne!(table.put("red", Colour(2), 4).id, first);
    }

    #[test]
    fn a_restarted_owner_keeps_the_numbers_and_hides_what_the_file_lacks() {
        let mut table = empty();
        let red = table.put("red", Colour(0), 1).id;
        let file = table.export();
        let blue = table.put("blue", Colour(240), 2).id;
        table.publish();
        let view = table.view();
        let mut again = ConfigTable::new(file, table.version(), view.clone());
        again.publish_all();
        assert_eq!(view.with("red", |named| named.id), Some(red));
        assert!(!view.contains("blue"));
        assert!(![red, blue].contains(&again.put("green", Colour(120), 4).id));
    }

    #[test]
    fn rows_are_listed_by_name() {
        let mut table = empty();
        for name in ["red", "blue", "green"] {
            table.put(name, Colour(0), 1);
        }
        table.publish();
        let names = |rows: Vec<Arc<Named<Colour>>>| rows.iter().map(|row| row.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(table.view().all()), ["blue", "green", "red"]);
        assert_eq!(names(table.iter().cloned().collect()), ["blue", "green", "red"]);
    }
}
