//! What the codecs cost for each message of a send: reading the request, looking at its properties, encoding and placing
//! its record, writing the answer.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cuemq_net::code::ResponseCode;
use cuemq_net::frame::{self, HeaderCodec, MAX_FRAME_BYTES};
use cuemq_net::header::{self, HeaderScratch};
use cuemq_net::message::id::OffsetMessageId;
use cuemq_net::message::record::{self, Record, RecordFields};
use cuemq_net::message::{properties, tags};
use cuemq_net::request::SendHeader;
use cuemq_net::response::{self, ResponseHead, SendResponse};
use std::hint::black_box;
use std::net::SocketAddr;

/// Sends (310) as Java clients wrote them.
const JSON_SEND: &[u8] = include_bytes!("../../fuzz/corpus/frame/send");
const BINARY_SEND: &[u8] = include_bytes!("../../fuzz/corpus/frame/binary-send");

const PROPERTIES: &[u8] = b"KEYS\x01order-4711\x02UNIQ_KEY\x01C00002024AAE1DBD16A6695F03560008\x02\
    WAIT\x01true\x02CLUSTER\x01DefaultCluster\x02TAGS\x01TagC\x02";

fn host(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], port))
}

fn fields(body: &[u8]) -> RecordFields<'_> {
    RecordFields {
        body,
        body_crc: record::body_crc(body),
        topic: "TopicOfOrders",
        properties: PROPERTIES,
        queue_id: 3,
        flag: 0,
        system_flag: 0,
        born_timestamp_ms: 1_795_260_526_393,
        born_host: host(36040),
        store_host: host(10911),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
    }
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for body_bytes in [100, 1024, 16 * 1024] {
        let body = vec![b'b'; body_bytes];
        let fields = fields(&body);
        let mut out = Vec::new();
        group.throughput(Throughput::Bytes(body_bytes as u64));
        group.bench_function(format!("encode and place {body_bytes}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let encoded = record::encode(black_box(&fields), &mut out);
                let placed = record::place(&mut out, 7, 1 << 30, 1_795_260_528_717);
                (encoded, placed)
            });
        });
        group.bench_function(format!("parse {body_bytes}"), |bencher| {
            bencher.iter(|| Record::parse(black_box(&out)));
        });
        group.bench_function(format!("crc {body_bytes}"), |bencher| {
            bencher.iter(|| record::body_crc(black_box(&body)));
        });
    }
    group.finish();
}

fn small_parts(criterion: &mut Criterion) {
    criterion.bench_function("properties known", |bencher| {
        bencher.iter(|| properties::known(black_box(PROPERTIES)));
    });
    criterion.bench_function("index hash of a unique key", |bencher| {
        bencher.iter(|| {
            tags::index_hash(
                black_box("TopicOfOrders"),
                black_box("C00002024AAE1DBD16A6695F03560008"),
            )
        });
    });
    let id = OffsetMessageId {
        host: host(10911),
        physical_offset: 1 << 30,
    };
    let mut out = Vec::new();
    criterion.bench_function("offset id", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&id).write_hex(&mut out);
        });
    });
}

fn requests(criterion: &mut Criterion) {
    for (name, send) in [("json", JSON_SEND), ("binary", BINARY_SEND)] {
        let mut scratch = HeaderScratch::new();
        criterion.bench_function(&format!("read a send, {name}"), |bencher| {
            bencher.iter(|| {
                let parts = frame::check(black_box(send), MAX_FRAME_BYTES)
                    .expect("a frame")
                    .expect("a whole one");
                let view = header::parse(parts.codec, &send[parts.header], &mut scratch).expect("a header");
                black_box(SendHeader::read(&view).expect("a send"));
            });
        });
    }
}

fn responses(criterion: &mut Criterion) {
    let answer = SendResponse {
        msg_id: "C000020200002A9F0000000040000000",
        queue_id: 3,
        queue_offset: 7,
        transaction_id: None,
        region: Some("DefaultRegion"),
        trace_on: Some(true),
    };
    for (name, codec) in [("json", HeaderCodec::Json), ("binary", HeaderCodec::Binary)] {
        let mut out = Vec::new();
        criterion.bench_function(&format!("write a send's answer, {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let head = ResponseHead::new(ResponseCode::SUCCESS, 97);
                let fields = |fields: &mut header::FieldWriter<'_>| answer.write(fields);
                response::write(&mut out, codec, black_box(head), None, fields, 0).expect("a small frame");
            });
        });
    }
}

criterion_group!(benches, records, small_parts, requests, responses);
criterion_main!(benches);
