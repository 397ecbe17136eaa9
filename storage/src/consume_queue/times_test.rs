//! Which queue offset a time leads to: the nearest, as in release 4, and the lower and upper ones of release 5.

use super::rules_test::{Store, unit};
use super::*;
use crate::position::{PhysicalOffset, QueueOffset};

#[test]
fn the_offset_of_a_time_is_javas() {
    let store = Store::new();
    let mut queue = store.filled(25);
    // Ten milliseconds between records, but 4, 5 and 6 are of one millisecond.
    let time_of = |physical: PhysicalOffset| {
        let queue_offset = (physical.0 as i64 - 100) / 100;
        let millis = 10
            * if (4..=6).contains(&queue_offset) {
                4
            } else {
                queue_offset
            };
        Ok(Some(1000 + millis))
    };
    let at = |queue: &ConsumeQueue, time| {
        offset_by_time(&queue.view(), time, PhysicalOffset(0), time_of)
            .unwrap()
            .0
    };
    for (time, offset) in [
        (0, 0),
        (1000, 0),
        (1010, 1),
        (1014, 1),
        (1015, 1),
        (1016, 2),
        (1040, 4),
        (1090, 9),
    ] {
        assert_eq!(at(&queue, time), offset, "{time}");
    }
    // The file is chosen first: 1096 is nearer to offset 10, which is in the second file, alone there.
    assert_eq!(
        [at(&queue, 1091), at(&queue, 1096), at(&queue, 1199), at(&queue, 9999)],
        [10, 10, 20, 24]
    );
    let unreadable = offset_by_time(&queue.view(), 1010, PhysicalOffset(0), |_| Ok(None));
    assert_eq!(unreadable.unwrap(), QueueOffset(0));
    queue.delete_before(unit(12).physical_offset).unwrap();
    let log_min = unit(12).physical_offset;
    assert_eq!(
        offset_by_time(&queue.view(), 0, log_min, time_of).unwrap(),
        QueueOffset(12)
    );
    let empty = Store::new().open(Opening::Clean).view();
    assert_eq!(
        offset_by_time(&empty, 5, PhysicalOffset(0), time_of).unwrap(),
        QueueOffset(0)
    );
}

#[test]
fn a_boundary_is_the_first_message_from_a_time_on_or_the_last_up_to_it() {
    let store = Store::new();
    let mut queue = store.filled(25);
    // Ten milliseconds between records, but 8 to 11, the last two in the second file, are of one millisecond.
    let time_of = |physical: PhysicalOffset| {
        let queue_offset = (physical.0 as i64 - 100) / 100;
        let since_first = if (8..=11).contains(&queue_offset) {
            8
        } else {
            queue_offset
        };
        Ok(Some(1000 + 10 * since_first))
    };
    let at = |queue: &ConsumeQueue, time, log_min| {
        let found = |boundary| {
            offset_by_boundary(&queue.view(), time, boundary, log_min, time_of)
                .unwrap()
                .0
        };
        [found(Boundary::Lower), found(Boundary::Upper)]
    };
    for (time, lower, upper) in [
        (999, 0, 0),
        (1000, 0, 0),
        (1001, 1, 0),
        (1079, 8, 7),
        (1080, 8, 11),
        (1081, 12, 11),
        (1119, 12, 11),
        (1120, 12, 12),
        (1240, 24, 24),
        (1241, 25, 24),
    ] {
        assert_eq!(at(&queue, time, PhysicalOffset(0)), [lower, upper], "{time}");
    }
    let unreadable = offset_by_boundary(&queue.view(), 1010, Boundary::Upper, PhysicalOffset(0), |_| Ok(None));
    assert_eq!(unreadable.unwrap(), QueueOffset(0));
    // Of the first file all is gone, and of the second the first two.
    let log_min = unit(12).physical_offset;
    assert_eq!(at(&queue, 1000, log_min), [12, 0]);
    queue.delete_before(log_min).unwrap();
    assert_eq!(
        [at(&queue, 1000, log_min), at(&queue, 1135, log_min)],
        [[12, 0], [14, 13]]
    );
    let empty = Store::new().open(Opening::Clean);
    assert_eq!(at(&empty, 5, PhysicalOffset(0)), [0, 0]);
}
