//! A table of named configurations with one owner and many readers: what the topics' and the groups' tables share.
//!
//! The owner holds a [`ConfigTable`]; every connection holds a [`View`] and reads it without a lock. A change is staged
//! first, so that the owner can write the file before anybody sees it: [`ConfigTable::publish`] shows all staged changes,
//! [`ConfigTable::revert`] forgets them (the file could not be written).
//!
//! The file is RocketMQ's (`TopicConfigSerializeWrapper`, `SubscriptionGroupWrapper`):
//! `{"dataVersion":{"counter":3,"timestamp":1530000000000},"<rows>":{"<name>":{…}}}`. Members that are not ours to know
//! are kept, in the file, in the version and in each row.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cuemq_storage::hash::Hasher;
use serde_json::{Map, Value};

/// The members of a JSON object.
pub type Members = Map<String, Value>;

/// What a table holds for each name.
pub trait Config: Sized + fmt::Debug + Send + Sync + 'static {
    /// The number that stands for a name; never given to another name while the process lives.
    type Id: Copy + fmt::Debug + Send + Sync + From<u32>;
    /// The member of the file that holds the rows.
    const ROWS: &'static str;
    /// The member of a row that repeats its name.
    const NAME: &'static str;
    /// Takes what it knows from a row of the file; what is absent gets Java's default.
    ///
    /// # Errors
    /// When a known member has a value that cannot be.
    fn read(row: &Members) -> Result<Self, BadMember>;
    /// Writes what it knows into a row of the file, over what stood there.
    fn write(&self, row: &mut Members);
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
}

/// The version of a table: every change counts one and notes the time. Equal only when both are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataVersion {
    /// How many changes there were.
    pub counter: i64,
    /// When the last one was, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// A member of a row that cannot be used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{member} is {found}, where {wanted} is needed")]
pub struct BadMember {
    /// The member's name.
    pub member: &'static str,
    /// What it holds.
    pub found: String,
    /// What it must hold.
    pub wanted: &'static str,
}

/// A table file that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LoadError {
    /// The file, or the part of it that holds the rows, or a row is not a JSON object.
    #[error("{part} is not a JSON object: repair the file, or put its .bak in its place")]
    NotAnObject {
        /// Which part.
        part: String,
    },
    /// A row has a member that cannot be used.
    #[error("{rows} / {name}: {source}: repair the file, or put its .bak in its place")]
    Row {
        /// The member of the file that holds the rows.
        rows: &'static str,
        /// The row's name.
        name: String,
        /// What is wrong with it.
        source: BadMember,
    },
}

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
    rows: BTreeMap<Arc<str>, Row<C>>,
    other_members: Members,
    version: DataVersion,
    version_members: Members,
    view: View<C>,
    staged: Vec<Staged<C>>,
}

#[derive(Debug)]
struct Row<C: Config> {
    named: Arc<Named<C>>,
    members: Arc<Members>,
}

impl<C: Config> Clone for Row<C> {
    fn clone(&self) -> Self {
        Self {
            named: Arc::clone(&self.named),
            members: Arc::clone(&self.members),
        }
    }
}

/// What a staged change replaced.
#[derive(Debug)]
struct Staged<C: Config> {
    name: Arc<str>,
    row_before: Option<Row<C>>,
    version_before: DataVersion,
}

impl<C: Config> ConfigTable<C> {
    /// Reads a table from its file, `None` where there is none yet. Nothing is shown in `view` until it is published;
    /// a name that `view` already knows (the owner was restarted) keeps its number.
    ///
    /// # Errors
    /// When the file is not such a table.
    pub fn load(file: Option<Value>, view: View<C>, now_ms: u64) -> Result<Self, LoadError> {
        let mut other_members = match file {
            None => Members::new(),
            Some(value) => object(value, || "the file".to_owned())?,
        };
        let rows = match other_members.remove(C::ROWS) {
            None | Some(Value::Null) => Members::new(),
            Some(value) => object(value, || C::ROWS.to_owned())?,
        };
        let version_members = match other_members.remove("dataVersion") {
            None | Some(Value::Null) => Members::new(),
            Some(value) => object(value, || "dataVersion".to_owned())?,
        };
        let version = DataVersion {
            counter: version_members.get("counter").and_then(Value::as_i64).unwrap_or(0),
            timestamp_ms: version_members
                .get("timestamp")
                .and_then(Value::as_i64)
                .unwrap_or_else(|| signed(now_ms)),
        };
        let mut table = Self {
            rows: BTreeMap::new(),
            other_members,
            version,
            version_members,
            view,
            staged: Vec::new(),
        };
        for (name, value) in rows {
            let members = object(value, || format!("{} / {name}", C::ROWS))?;
            let config = C::read(&members).map_err(|source| LoadError::Row {
                rows: C::ROWS,
                name: name.clone(),
                source,
            })?;
            table.set(&Arc::from(name), config, Arc::new(members));
        }
        Ok(table)
    }

    /// What stands under a name, staged changes included.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Named<C>>> {
        self.rows.get(name).map(|row| &row.named)
    }

    /// All rows in the order of their names, staged changes included.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Named<C>>> {
        self.rows.values().map(|row| &row.named)
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
            self.set(&Arc::from(name), config, Arc::default());
        }
    }

    /// Stages a row under a name, new or over the one that stands there (whose number and unknown members stay).
    pub fn put(&mut self, name: &str, config: C, now_ms: u64) -> Arc<Named<C>> {
        let (name, members) = match self.rows.get(name) {
            Some(row) => (Arc::clone(&row.named.name), Arc::clone(&row.members)),
            None => (Arc::from(name), Arc::default()),
        };
        self.stage(&name, now_ms);
        self.set(&name, config, members)
    }

    /// Stages a row as [`ConfigTable::put`] does, with unknown members over those that stand there.
    pub fn put_members(&mut self, name: &str, config: C, members: Members, now_ms: u64) -> Arc<Named<C>> {
        let (name, mut merged) = match self.rows.get(name) {
            Some(row) => (Arc::clone(&row.named.name), Members::clone(&row.members)),
            None => (Arc::from(name), Members::new()),
        };
        merged.extend(members);
        self.stage(&name, now_ms);
        self.set(&name, config, Arc::new(merged))
    }

    /// Stages the removal of a row and gives what stood there.
    pub fn remove(&mut self, name: &str, now_ms: u64) -> Option<Arc<Named<C>>> {
        let named = Arc::clone(&self.rows.get(name)?.named);
        self.stage(&named.name, now_ms);
        self.rows.remove(name);
        Some(named)
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
                Some(row) => drop(shown.insert(name, Arc::clone(&row.named))),
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
            shown.insert(Arc::clone(name), Arc::clone(&row.named));
        }
        shown.retain(|name, _| self.rows.contains_key(name));
    }

    /// The table as its file holds it, staged changes included.
    #[must_use]
    pub fn export(&self) -> Value {
        let rows: Members = self
            .rows
            .iter()
            .map(|(name, row)| {
                let mut members = Members::clone(&row.members);
                row.named.config.write(&mut members);
                members.insert(C::NAME.to_owned(), Value::from(&**name));
                (name.to_string(), Value::Object(members))
            })
            .collect();
        let mut version = self.version_members.clone();
        version.insert("counter".to_owned(), Value::from(self.version.counter));
        version.insert("timestamp".to_owned(), Value::from(self.version.timestamp_ms));
        let mut file = self.other_members.clone();
        file.insert("dataVersion".to_owned(), Value::Object(version));
        file.insert(C::ROWS.to_owned(), Value::Object(rows));
        Value::Object(file)
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> View<C> {
        self.view.clone()
    }

    fn stage(&mut self, name: &Arc<str>, now_ms: u64) {
        let row_before = self.rows.get(name).cloned();
        self.staged.push(Staged {
            name: Arc::clone(name),
            row_before,
            version_before: self.version,
        });
        self.version = DataVersion {
            counter: self.version.counter.saturating_add(1),
            timestamp_ms: signed(now_ms),
        };
    }

    fn set(&mut self, name: &Arc<str>, config: C, members: Arc<Members>) -> Arc<Named<C>> {
        let id = match self.rows.get(name) {
            Some(row) => row.named.id,
            None => self
                .view
                .with(name, |named| named.id)
                .unwrap_or_else(|| self.view.take_id()),
        };
        let named = Arc::new(Named {
            id,
            name: Arc::clone(name),
            config,
        });
        self.rows.insert(
            Arc::clone(name),
            Row {
                named: Arc::clone(&named),
                members,
            },
        );
        named
    }
}

fn object(value: Value, part: impl FnOnce() -> String) -> Result<Members, LoadError> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(LoadError::NotAnObject { part: part() }),
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Reads an integer member within bounds; `default` where it is absent.
pub(crate) fn integer(
    row: &Members,
    member: &'static str,
    default: i64,
    wanted: (std::ops::RangeInclusive<i64>, &'static str),
) -> Result<i64, BadMember> {
    match row.get(member) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_i64()
            .filter(|number| wanted.0.contains(number))
            .ok_or_else(|| BadMember {
                member,
                found: value.to_string(),
                wanted: wanted.1,
            }),
    }
}

/// Reads a boolean member; `default` where it is absent.
pub(crate) fn boolean(row: &Members, member: &'static str, default: bool) -> Result<bool, BadMember> {
    match row.get(member) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| BadMember {
            member,
            found: value.to_string(),
            wanted: "true or false",
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Colour(i64);

    impl Config for Colour {
        type Id = u32;
        const ROWS: &'static str = "colours";
        const NAME: &'static str = "colourName";

        fn read(row: &Members) -> Result<Self, BadMember> {
            integer(row, "hue", 0, (0..=360, "a number from 0 to 360")).map(Self)
        }

        fn write(&self, row: &mut Members) {
            row.insert("hue".to_owned(), Value::from(self.0));
        }
    }

    fn empty() -> ConfigTable<Colour> {
        ConfigTable::load(None, View::new(), 1_000).unwrap()
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
        assert_eq!(
            table.version(),
            DataVersion {
                counter: 1,
                timestamp_ms: 1_001
            }
        );
    }

    #[test]
    fn a_reverted_change_leaves_rows_and_version_as_they_were() {
        let mut table = empty();
        table.put("red", Colour(0), 1_001);
        table.publish();
        let before = table.export();
        table.put("red", Colour(10), 1_002);
        table.put("blue", Colour(240), 1_003);
        table.remove("red", 1_004);
        table.put("red", Colour(20), 1_005);
        table.revert();
        assert_eq!(table.export(), before);
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
        let mut again = ConfigTable::load(Some(file), view.clone(), 3).unwrap();
        again.publish_all();
        assert_eq!(view.with("red", |named| named.id), Some(red));
        assert!(!view.contains("blue"));
        assert!(![red, blue].contains(&again.put("green", Colour(120), 4).id));
    }

    #[test]
    fn unknown_members_stay_in_the_file_the_version_and_the_row() {
        let file = json!({
            "dataVersion": {"counter": 5, "timestamp": 77, "stateVersion": 2},
            "forbiddenTable": {"a": 1},
            "colours": {"red": {"colourName": "red", "hue": 3, "attributes": {"x": "y"}}},
        });
        let mut table = ConfigTable::<Colour>::load(Some(file.clone()), View::new(), 1_000).unwrap();
        assert_eq!(table.export(), file);
        table.put("red", Colour(4), 1_001);
        let changed = table.export();
        assert_eq!(
            changed["colours"]["red"],
            json!({"colourName": "red", "hue": 4, "attributes": {"x": "y"}})
        );
        assert_eq!(
            changed["dataVersion"],
            json!({"counter": 6, "timestamp": 1_001, "stateVersion": 2})
        );
    }

    #[test]
    fn a_file_of_another_shape_is_refused_with_its_place() {
        for (file, place) in [
            (json!([]), "the file is not"),
            (json!({"colours": 1}), "colours is not"),
            (json!({"dataVersion": 1}), "dataVersion is not"),
            (json!({"colours": {"red": 7}}), "colours / red is not"),
            (json!({"colours": {"red": {"hue": 361}}}), "colours / red: hue is 361"),
        ] {
            let error = ConfigTable::<Colour>::load(Some(file), View::new(), 0)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with(place) && error.ends_with("in its place"), "{error}");
        }
    }
}
