//! Records as they lie in the log, for tests of what reads them.

use cuemq_net::message::record::{self, RecordFields};

/// A message of `topic` with these properties: body `body`, queue 2, flag 7, born at 5.
pub(crate) fn message<'a>(topic: &'a str, properties: &'a [u8]) -> RecordFields<'a> {
    RecordFields {
        body: b"body",
        body_crc: record::body_crc(b"body"),
        topic,
        properties,
        queue_id: 2,
        flag: 7,
        system_flag: 0,
        born_timestamp_ms: 5,
        born_host: "10.1.1.1:5".parse().expect("an address"),
        store_host: "127.0.0.1:10911".parse().expect("an address"),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
    }
}

/// Its bytes in a log: its queue offset, its position there, and when it was stored, in milliseconds since 1970.
pub(crate) fn stored(
    fields: &RecordFields<'_>,
    (queue_offset, physical_offset, stored_ms): (u64, u64, i64),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode(fields, &mut bytes).expect("short fields");
    record::place(&mut bytes, queue_offset, physical_offset, stored_ms).expect("a record");
    bytes
}
