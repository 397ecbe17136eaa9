//! Consume queues that Java brokers of three releases wrote, opened by ours: the same minimum and maximum, the same
//! units, the same answer to the search by time.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cuemq_storage::consume_queue::{self, ConsumeQueue, Cut, FoundQueue, Opening, QueuePlace};
use cuemq_storage::disk::{Disk, RealDisk};
use cuemq_storage::position::{PhysicalOffset, QueueOffset};
use cuemq_tests::golden::{self, GoldenStore, Message, Queue};

type Check<'a> = dyn Fn(&GoldenStore, &Queue, &mut ConsumeQueue) -> Result<()> + 'a;

fn for_each_queue(check: impl Fn(&GoldenStore, &Queue, &mut ConsumeQueue) -> Result<()>) {
    for name in golden::names() {
        check_store(name, &check).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
}

fn check_store(name: &str, check: &Check<'_>) -> Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let store = golden::unpack(name)?;
    let file_bytes = store.manifest.number("mappedFileSizeConsumeQueue")?;
    for queue in &store.manifest.queues {
        let place = QueuePlace {
            root: &store.root(),
            topic: &queue.topic,
            queue_id: u32::try_from(queue.queue_id)?,
        };
        let (mut opened, cut) = ConsumeQueue::open(&disk, place, file_bytes, Opening::Clean)?;
        ensure!(cut == Cut::default(), "{cut:?}");
        opened.correct_min(PhysicalOffset(store.manifest.min_physical_offset))?;
        check(&store, queue, &mut opened).with_context(|| format!("{} {}", queue.topic, queue.queue_id))?;
    }
    Ok(())
}

#[test]
fn every_unit_is_where_the_release_found_it() {
    for_each_queue(|_, queue, opened| {
        golden::check_units(&opened.view(), queue)?;
        let last = queue.messages.last();
        let end = last.map_or(0, |last| last.physical_offset + last.store_size as u64);
        ensure!(
            opened.end_physical() == PhysicalOffset(end),
            "its last record ends at {}",
            opened.end_physical()
        );
        Ok(())
    });
}

#[test]
fn a_time_leads_to_the_offset_that_4_x_answers_or_to_a_nearer_one() {
    for_each_queue(|store, queue, opened| {
        let time_of = |message: &Message| (message.physical_offset, message.store_timestamp_ms);
        let times: BTreeMap<_, _> = queue.messages.iter().map(time_of).collect();
        let store_time_of = |physical: PhysicalOffset| Ok(times.get(&physical.0).copied());
        golden::check_times(&opened.view(), queue, &store.manifest, store_time_of)
    });
}

#[test]
fn a_queue_cut_after_a_kill_and_fed_again_is_what_it_was() {
    for_each_queue(|store, queue, opened| {
        let before: Vec<_> = (0..queue.max_queue_offset)
            .map(|at| opened.view().unit(QueueOffset(at)))
            .collect();
        let units = before
            .into_iter()
            .map(|unit| unit?.context("no unit"))
            .collect::<Result<Vec<_>>>()?;
        let half = PhysicalOffset(store.manifest.max_physical_offset / 2);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let queue_id = u32::try_from(queue.queue_id)?;
        let place = QueuePlace {
            root: &store.root(),
            topic: &queue.topic,
            queue_id,
        };
        let (mut again, _) = ConsumeQueue::open(&disk, place, 6000, Opening::AfterCrash(half))?;
        let kept = units.iter().filter(|unit| unit.physical_offset < half).count();
        ensure!(
            again.end() == QueueOffset(kept as u64),
            "{} of {kept} are left",
            again.end()
        );
        let fed = again.append(QueueOffset(0), &units, None)?;
        ensure!(fed.skipped == kept && fed.written == units.len() - kept, "{fed:?}");
        for (at, unit) in units.iter().enumerate() {
            ensure!(
                again.view().unit(QueueOffset(at as u64))?.as_ref() == Some(unit),
                "unit {at}"
            );
        }
        Ok(())
    });
}

#[test]
fn the_queues_of_a_store_are_those_that_have_messages() {
    for name in golden::names() {
        let store = golden::unpack(name).unwrap();
        let discovery = consume_queue::discover(&RealDisk, &store.root(), Opening::Clean).unwrap();
        let with_messages = |queue: &&Queue| !queue.messages.is_empty();
        let mut expected: Vec<_> = store.manifest.queues.iter().filter(with_messages).collect();
        expected.sort_by_key(|queue| (&queue.topic, queue.queue_id));
        let found = |queue: &Queue| FoundQueue {
            topic: queue.topic.clone(),
            queue_id: queue.queue_id as u32,
        };
        assert_eq!(
            discovery.queues,
            expected.into_iter().map(found).collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(
            (discovery.file_bytes, discovery.odd),
            (Some(6000), Vec::new()),
            "{name}"
        );
    }
}
