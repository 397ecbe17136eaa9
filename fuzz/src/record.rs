//! Bytes of a commit log: whatever is taken for a record lies within them, and the same fields written again are the same
//! record.

use cuemq_net::message::record::{self, Inspection, MAGIC, Record, RecordFields, position};
use cuemq_net::message::sysflag::{BORN_HOST_V6, STORE_HOST_V6};

/// Walks `data` as a commit log file, then as a pull's body.
pub fn run(data: &[u8]) {
    let mut rest = data;
    while let Inspection::Record(found) = record::inspect(rest) {
        assert_eq!(Record::parse(rest), Ok(found));
        assert_eq!(found.as_bytes(), &rest[..found.total_size()]);
        let _ = found.verify_crc();
        is_written_alike(&found);
        rest = &rest[found.total_size()..];
    }
    let read: usize = record::records(data)
        .filter_map(Result::ok)
        .map(|found| found.total_size())
        .sum();
    assert!(read <= data.len());
    let mut placed = data.to_vec();
    if record::place(&mut placed, 1, 2, 3).is_err() {
        assert_eq!(placed, data);
    }
}

/// Only for records that the writer could have made: with a short topic, ports that are ports, and IPv6 hosts that are no
/// IPv4 in disguise.
fn is_written_alike(found: &Record<'_>) {
    let Ok(topic) = found.topic() else { return };
    let fields = RecordFields {
        body: found.body(),
        body_crc: found.body_crc(),
        topic,
        properties: found.properties(),
        queue_id: found.queue_id(),
        flag: found.flag(),
        system_flag: found.system_flag(),
        born_timestamp_ms: found.born_timestamp_ms(),
        born_host: found.born_host(),
        store_host: found.store_host(),
        reconsume_times: found.reconsume_times(),
        prepared_transaction_offset: found.prepared_transaction_offset(),
    };
    let mut written = Vec::new();
    if record::encode(&fields, &mut written).is_err() {
        return;
    }
    record::place(
        &mut written,
        found.queue_offset(),
        found.physical_offset(),
        found.store_timestamp_ms(),
    )
    .expect("the record was just encoded");
    let again = Record::parse(&written).expect("what was written is readable");
    assert_eq!(again.body(), found.body());
    assert_eq!(again.topic(), found.topic());
    assert_eq!(again.properties(), found.properties());
    let is_canonical = |host: std::net::SocketAddr| host.ip().to_canonical() == host.ip();
    let has_same_layout = found.as_bytes().get(4..8) == Some(&MAGIC.to_be_bytes()[..]);
    if has_same_layout && is_canonical(found.born_host()) && is_canonical(found.store_host()) {
        let mut expected = found.as_bytes().to_vec();
        // a port has 32 bits, of which 16 are read
        for at in high_halves_of_ports(found.system_flag()) {
            expected[at..at + 2].fill(0);
        }
        assert_eq!(written, expected);
    }
}

/// Where the two ports begin, behind their hosts' addresses.
fn high_halves_of_ports(system_flag: i32) -> [usize; 2] {
    let bytes = |bit| if system_flag & bit == 0 { 4 } else { 16 };
    let born = position::BORN_HOST + bytes(BORN_HOST_V6);
    let store = born + 4 + 8 + bytes(STORE_HOST_V6);
    [born, store]
}
