//! The owner of `consumerFilter.json`: takes the filters that heartbeats tell, shows them to pulls, and writes the file every ten
//! seconds while anything changed, and at its end.
//!
//! It blocks in writing its file, so it lives on a thread that may. A filter is not saved when its heartbeat is answered, as
//! in Java: consumers tell theirs again. What a life before has shown is taken over by the next one.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message, Running};
use cuemq_storage::StoreError;
use cuemq_storage::clock::Clock;
use cuemq_storage::commit_log::LogView;

use super::{FilterView, Registry, RegistrySettings, Wanted};
use crate::supervise::{Cause, Context};
use crate::table_file::TableFile;

/// How often the file is written, as in Java.
const SAVE_INTERVAL: Duration = Duration::from_secs(10);

/// Take in what a heartbeat says of a group that has filters, or had some. From `Rebalance`, bounded by the heartbeats under
/// way.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct RegisterFilters {
    /// The group.
    pub group: Arc<str>,
    /// What it subscribes to.
    pub wanted: Vec<Wanted>,
}

/// The last members of these groups have left. From `Rebalance`, one for each of its looks.
#[derive(Message, Clone, Debug)]
#[rtype(result = "()")]
pub struct LeaveFilters {
    /// The groups.
    pub groups: Vec<Arc<str>>,
}

/// How long after its registration a filter counts for bitmaps: until then every thread sees it that makes some.
const SETTLE_MS: i64 = 1000;

/// What the registry is made of.
pub struct FilterParts {
    /// Its file.
    pub file: TableFile,
    /// What can be set.
    pub settings: RegistrySettings,
    /// Shows the filters.
    pub view: FilterView,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The log, where messages are tried on filters when they come.
    pub marked: Option<Arc<LogView>>,
}

/// The owner of the registered filters.
pub struct Filters {
    registry: Registry,
    file: TableFile,
    clock: Arc<dyn Clock>,
    marked: Option<Arc<LogView>>,
}

impl Filters {
    /// Reads the file; the view shows the filters from then on.
    ///
    /// # Errors
    /// When the file cannot be read, or is no table of filters.
    pub fn open(parts: FilterParts) -> Result<Self, Cause> {
        let FilterParts {
            file,
            settings,
            view,
            clock,
            marked,
        } = parts;
        let registry = Registry::load(file.read()?.unwrap_or_default(), settings, view, now_ms(clock.as_ref()));
        Ok(Self {
            registry,
            file,
            clock,
            marked,
        })
    }

    /// Takes in what a heartbeat says. Where bitmaps are made, a new filter is saved at once: after a crash an old one in its
    /// place would be taken to have set the bits that it has set. Nor may a message have its bits that came before it, whose
    /// time can be ahead of the clock.
    fn register(&mut self, said: &RegisterFilters) {
        let now_ms = now_ms(self.clock.as_ref());
        let born_ms = match &self.marked {
            Some(log) => now_ms.max(log.last_store_ms()).saturating_add(SETTLE_MS),
            None => now_ms,
        };
        let is_new = self.registry.register(&said.group, &said.wanted, (now_ms, born_ms));
        if is_new && self.marked.is_some() {
            self.save_or_warn();
        }
    }

    fn save(&mut self) -> Result<(), StoreError> {
        if let Some(table) = self.registry.export(now_ms(self.clock.as_ref())) {
            self.file.write(&table)?;
            self.registry.mark_clean();
        }
        Ok(())
    }

    fn save_or_warn(&mut self) {
        if let Err(error) = self.save() {
            tracing::warn!(%error, "registered filters cannot be saved; they are kept and tried again");
        }
    }
}

fn now_ms(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.now_ms()).unwrap_or(i64::MAX)
}

impl Actor for Filters {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SAVE_INTERVAL, |filters, _| filters.save_or_warn());
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.save_or_warn();
        Running::Stop
    }
}

impl Handler<RegisterFilters> for Filters {
    type Result = ();

    fn handle(&mut self, said: RegisterFilters, _: &mut Self::Context) {
        self.register(&said);
    }
}

impl Handler<LeaveFilters> for Filters {
    type Result = ();

    fn handle(&mut self, said: LeaveFilters, _: &mut Self::Context) {
        self.registry.leave(&said.groups, now_ms(self.clock.as_ref()));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use cuemq_net::body::ConsumerFilterTable;

    use super::*;
    use crate::supervise::Site;
    use crate::testing::{ManualClock, MemoryDisk, Stage};

    fn file(disk: &Arc<MemoryDisk>) -> TableFile {
        TableFile::new(disk.clone(), PathBuf::from("/store/config/consumerFilter.json"))
    }

    #[actix::test]
    async fn filters_outlive_a_failure_of_their_owner_and_are_saved_at_its_end() {
        let (mut stage, disk, view) = (Stage::new(), Arc::new(MemoryDisk::new(1)), FilterView::default());
        let settings = RegistrySettings {
            keep_dead_ms: 1000,
            ..RegistrySettings::default()
        };
        let (of_disk, shown, clock) = (disk.clone(), view.clone(), stage.clock.clone());
        let filters = stage.start("filters", move |_| {
            Filters::open(FilterParts {
                file: file(&of_disk),
                settings,
                view: shown.clone(),
                clock: clock.clone(),
                marked: None,
            })
        });
        let said = |group: &str| RegisterFilters {
            group: group.into(),
            wanted: vec![Wanted {
                topic: "T".into(),
                filter: Some(("a = 1".to_owned(), "SQL92".to_owned())),
                version: 1,
            }],
        };
        filters.send(said("g")).await.unwrap();
        stage.faults.arm("filters", Site::Handler, 1);
        assert!(filters.send(said("h")).await.is_err());
        filters.send(said("i")).await.unwrap();
        assert!(view.get("T", "g").is_some() && view.get("T", "i").is_some());
        drop(filters);
        stage.nursery.stop_all(Duration::from_secs(10)).await.unwrap();
        let saved: ConsumerFilterTable = file(&disk).read().unwrap().unwrap();
        let groups: Vec<_> = saved.filter_data_by_topic["T"].group_filter_data.keys().collect();
        assert_eq!(
            groups,
            ["g", "h", "i"],
            "what the life before had taken in is shown, and so it is kept"
        );
    }

    #[actix::test]
    async fn where_bitmaps_are_made_a_new_filter_is_saved_at_once_and_counts_a_second_later() {
        let (disk, clock) = (Arc::new(MemoryDisk::new(1)), Arc::new(ManualClock::new(50_000)));
        let mut filters = Filters::open(FilterParts {
            file: file(&disk),
            settings: RegistrySettings::default(),
            view: FilterView::default(),
            clock,
            marked: Some(Arc::new(LogView::new(Vec::new()))),
        })
        .unwrap();
        let said = |expression: &str, version| RegisterFilters {
            group: "g".into(),
            wanted: vec![Wanted {
                topic: "T".into(),
                filter: Some((expression.to_owned(), "SQL92".to_owned())),
                version,
            }],
        };
        let saved = || {
            let table: ConsumerFilterTable = file(&disk).read().unwrap().unwrap();
            let filter = &table.filter_data_by_topic["T"].group_filter_data["g"];
            (filter.expression.clone(), filter.client_version, filter.born_time)
        };
        filters.register(&said("a = 1", 1));
        assert_eq!(saved(), ("a = 1".to_owned(), 1, 51_000));
        filters.register(&said("a = 1", 2));
        assert_eq!(saved().1, 1, "the same with another version can wait");
        filters.register(&said("a = 2", 3));
        assert_eq!(saved(), ("a = 2".to_owned(), 3, 51_000));
    }
}
