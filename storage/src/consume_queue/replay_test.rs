//! Units that are fed again, or whose records claim places that others have.

use std::io::IoSlice;

use super::rules_test::{FILE_BYTES, Store, expected, read_from, unit, units};
use super::{AppendError, Appended, Opening, UNIT_BYTES};
use crate::disk::OpenMode;
use crate::position::QueueOffset;

#[test]
fn what_is_there_already_is_told_by_where_its_record_lies_whatever_place_it_claims() {
    let store = Store::new();
    let mut queue = store.filled(5);
    for claimed in [0, 3, 4, 5, 40] {
        let skipped = Appended { written: 0, skipped: 2 };
        assert_eq!(
            queue.append(QueueOffset(claimed), &units(1..3), None).unwrap(),
            skipped,
            "{claimed}"
        );
        queue.append(QueueOffset(0), &units(0..5), None).unwrap();
    }
    assert_eq!(read_from(&queue.view(), 0), expected(0..5));
}

#[test]
fn units_that_are_fed_again_are_compared_without_a_mapping() {
    let store = Store::new();
    let mut queue = store.filled(5);
    queue.append(QueueOffset(2), &units(2..5), None).unwrap();
    assert_eq!(queue.view().unit(QueueOffset(4)).unwrap(), Some(unit(4)));
    assert_eq!(queue.view().mapped(), 0);
}

#[test]
fn a_newer_record_that_claims_the_place_of_an_older_one_is_refused_and_costs_none() {
    let store = Store::new();
    let mut queue = store.filled(5);
    for claimed in 0..5 {
        let refused = queue.append(QueueOffset(claimed), &units(5..6), None).unwrap_err();
        let AppendError::Conflict { expected, found } = refused else {
            panic!("{refused}");
        };
        assert_eq!((expected.0, found.0), (5, claimed));
    }
    let (old, new) = (units(3..5), units(5..6));
    let refused = queue.append(QueueOffset(1), &[old, new].concat(), None).unwrap_err();
    assert!(
        matches!(
            refused,
            AppendError::Conflict {
                found: QueueOffset(3),
                ..
            }
        ),
        "{refused}"
    );
    assert_eq!(read_from(&queue.view(), 0), expected(0..5));
}

/// Writes another position over that of a unit, behind the queue's back.
fn misplace(store: &Store, queue_offset: u64, physical_offset: u64) {
    let at = queue_offset * UNIT_BYTES;
    let path = store.file(at - at % FILE_BYTES);
    let file = store.disk.open(&path, OpenMode::Write).unwrap();
    let bytes = physical_offset.to_be_bytes();
    file.write_at(&[IoSlice::new(&bytes)], at % FILE_BYTES).unwrap();
}

#[test]
fn a_last_unit_that_lies_below_the_end_of_the_one_before_it_is_damaged_and_fed_again() {
    // The last unit in the midst of a file, and as the first of one.
    for last in [4, 10] {
        let before = unit(last - 1);
        let below = [0, 1, before.physical_offset.0, before.end().0 - 1];
        let openings = [Opening::Clean, Opening::AfterCrash(unit(last).end())];
        for (position, opening) in below.into_iter().flat_map(|at| openings.map(|opening| (at, opening))) {
            let case = format!("{position} at {last} after {opening:?}");
            let store = Store::new();
            drop(store.filled(last + 1));
            misplace(&store, last, position);
            let mut queue = store.open(opening);
            let fed = queue.append(QueueOffset(0), &units(0..last + 2), None);
            assert!(fed.is_ok(), "{case}: {fed:?}");
            assert_eq!(read_from(&queue.view(), 0), expected(0..last + 2), "{case}");
        }
    }
}
