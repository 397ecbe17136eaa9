//! Units that are fed again, or whose records claim places that others have.

use super::rules_test::{Store, expected, read_from, unit, units};
use super::{AppendError, Appended};
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
