//! Bodies, of the type that the first byte picks: whatever one is read from, it prints to a text that reads to what prints
//! the same, and a registration survives its compressed form.

use std::any::type_name;
use std::io::Write;

use cuemq_net::body::*;
use cuemq_net::dialect::Style;
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// One for each type, and two for the compressed form of a registration.
const READERS: [fn(&[u8]); 34] = [
    unfold,
    fold_and_unfold,
    reprint::<BrokerStatsData>,
    reprint::<CheckClient>,
    reprint::<ClusterInfo>,
    reprint::<ConsumeStats>,
    reprint::<ConsumeStatsList>,
    reprint::<ConsumeTimeSpans>,
    reprint::<ConsumerConnection>,
    reprint::<ConsumerList>,
    reprint::<ConsumerOffsetTable>,
    reprint::<ConsumerStatus>,
    reprint::<CorrectionOffsets>,
    reprint::<DataVersion>,
    reprint::<DelayOffsetTable>,
    reprint::<GroupList>,
    reprint::<HeartbeatData>,
    reprint::<KvTable>,
    reprint::<LockBatch>,
    reprint::<LockedQueues>,
    reprint::<MessageQueue>,
    reprint::<OffsetMovedEvent>,
    reprint::<ProducerConnection>,
    reprint::<RegisterBrokerBody>,
    reprint::<ResetOffset>,
    reprint::<ResetOffsetList>,
    reprint::<SubscriptionGroupConfig>,
    reprint::<SubscriptionGroupTable>,
    reprint::<TopicConfig>,
    reprint::<TopicConfigTable>,
    reprint::<TopicList>,
    reprint::<TopicRouteData>,
    reprint::<TopicStatsTable>,
    reprint::<ConsumerFilterTable>,
];

/// Reads `data` behind its first byte as a body.
pub fn run(data: &[u8]) {
    if let Some((&pick, text)) = data.split_first() {
        READERS[usize::from(pick) % READERS.len()](text);
    }
}

fn reprint<B: Body>(text: &[u8]) {
    let Ok(body) = B::decode(text) else { return };
    let name = type_name::<B>();
    let printed = body.encode(Style::Fastjson);
    for style in [Style::Fastjson, Style::Pretty] {
        let again = B::decode(&body.encode(style)).unwrap_or_else(|error| panic!("{name} in {style:?}: {error}"));
        let again = again.encode(Style::Fastjson);
        assert_eq!(
            String::from_utf8_lossy(&again),
            String::from_utf8_lossy(&printed),
            "{name}"
        );
    }
}

/// Reads a registration from a zlib stream.
fn unfold(stream: &[u8]) {
    if let Ok(body) = RegisterBrokerBody::decode_compressed(stream) {
        let again = RegisterBrokerBody::decode_compressed(&body.encode_compressed());
        assert_eq!(again.expect("what was written is readable"), body);
    }
}

/// Reads a registration from what a zlib stream unfolds to, which no fuzzer finds out by itself.
fn fold_and_unfold(plain: &[u8]) {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::none());
    let stream = encoder.write_all(plain).and_then(|()| encoder.finish());
    unfold(&stream.expect("a vector takes whatever is written to it"));
}
