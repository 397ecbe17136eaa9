//! The recorded frames of real clients and servers (`testdata/frames`), read, written and read again.
//!
//! `recording` loads them, `typed` knows which code has which header. Each rule runs over all frames and ends with a
//! count, so that none can pass by looking at nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

mod recording;
mod typed;

use std::collections::BTreeSet;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::frame::{self, HeaderCodec, MAX_FRAME_BYTES};
use cuemq_net::header::{self, HeaderScratch};
use recording::Recorded;

/// Calls `look` with the header view of every recorded frame.
fn each_view(mut look: impl FnMut(&Recorded, &header::HeaderView<'_>)) {
    let mut scratch = HeaderScratch::new();
    for recorded in recording::all() {
        let parts = frame::check(&recorded.frame, MAX_FRAME_BYTES).unwrap().unwrap();
        let view = header::parse(parts.codec, &recorded.frame[parts.header], &mut scratch);
        look(&recorded, &view.unwrap_or_else(|error| panic!("{recorded}: {error}")));
    }
}

fn encoded(command: &Command) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out).unwrap();
    out
}

#[test]
fn every_frame_is_read_whole() {
    let mut count = 0;
    each_view(|recorded, view| {
        assert_eq!(view.code, recorded.code, "{recorded}");
        assert_eq!(
            view.language.map(|language| language.name()),
            Some("JAVA"),
            "{recorded}"
        );
        assert!(view.version >= 273, "{recorded}");
        if recorded.asked.is_some() {
            assert!(view.is_response(), "{recorded}");
        }
        count += 1;
    });
    assert!(count > 900, "{count} frames");
}

#[test]
fn every_frame_means_the_same_when_it_is_written_again() {
    for recorded in recording::all() {
        let command = Command::decode(&recorded.frame).unwrap();
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let mut command = command.clone().with_codec(codec);
            // the binary form has no empty remark
            command.remark = command
                .remark
                .filter(|remark| codec == HeaderCodec::Json || !remark.is_empty());
            assert_eq!(Command::decode(&encoded(&command).into()), Ok(command), "{recorded}");
        }
    }
}

/// Not the meaning alone: the order of members, the escapes and the numbers are those that Java writes.
#[test]
fn every_frame_is_written_byte_for_byte_as_java_wrote_it() {
    let mut empty_objects = 0;
    for recorded in recording::all() {
        let command = Command::decode(&recorded.frame).unwrap();
        // a command does not remember an object of fields without fields, which does not count either
        let frame = String::from_utf8_lossy(&recorded.frame);
        if command.fields.is_empty() && frame.contains(r#""extFields":{},"#) {
            empty_objects += 1;
            continue;
        }
        let written = encoded(&command);
        assert_eq!(String::from_utf8_lossy(&written), frame, "{recorded}");
        assert_eq!(written, recorded.frame, "{recorded}");
    }
    assert!(
        (1..200).contains(&empty_objects),
        "{empty_objects} frames with an empty object"
    );
}

/// Requests whose headers no recording has.
const NEVER_RECORDED: [RequestCode; 6] = [
    RequestCode::RESUME_CHECK_HALF_MESSAGE,
    RequestCode::SEND_REPLY_MESSAGE,
    RequestCode::QUERY_TOPICS_BY_CONSUMER,
    RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER,
    RequestCode::GET_TOPIC_CONFIG,
    RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG,
];

#[test]
fn every_request_with_a_header_is_read_and_written_again() {
    let mut seen = BTreeSet::new();
    each_view(|recorded, view| {
        if view.is_response() || recorded.scenario.contains("errors") {
            return;
        }
        match typed::request(view) {
            Some(Ok(())) => {
                seen.insert(RequestCode(view.code));
            }
            Some(Err(error)) => panic!("{recorded}: {error}"),
            None => {
                let fields: Vec<_> = view.fields.iter().filter(|(key, _)| *key != b"ReqT").collect();
                assert!(
                    fields.is_empty(),
                    "{recorded} has no header type, but the fields {fields:?}"
                );
            }
        }
    });
    let expected: BTreeSet<_> = typed::REQUESTS
        .iter()
        .copied()
        .filter(|code| !NEVER_RECORDED.contains(code))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn every_response_with_a_header_is_read_and_written_again() {
    let mut seen = BTreeSet::new();
    each_view(|recorded, view| {
        let Some(asked) = recorded.asked else { return };
        match typed::response(asked, view) {
            Some(Ok(())) => {
                seen.insert((asked, ResponseCode(view.code)));
            }
            Some(Err(error)) => panic!("{recorded}: {error}"),
            None => {}
        }
    });
    let asked: BTreeSet<_> = seen.iter().map(|(asked, _)| *asked).collect();
    assert_eq!(asked, typed::ANSWERED.iter().copied().collect());
    let pulled: BTreeSet<_> = seen
        .iter()
        .filter(|(asked, _)| *asked == RequestCode::PULL_MESSAGE)
        .map(|(_, code)| code.0)
        .collect();
    assert_eq!(pulled, [0, 19, 20, 21].into());
}

/// The requests that were made wrong on purpose.
#[test]
fn what_is_wrong_with_a_recorded_request_is_said_by_name() {
    let mut complaints = BTreeSet::new();
    each_view(|recorded, view| {
        if view.is_response() || !recorded.scenario.contains("errors") {
            return;
        }
        if let Some(Err(error)) = typed::request(view) {
            complaints.insert(error.to_string());
        }
    });
    assert_eq!(
        Vec::from_iter(complaints),
        [
            "the field `queueId` holds `zero`, which is not a 32-bit number in the header of request SEND_MESSAGE (10)",
            "the required field `e` or `queueId` is missing in the header of request SEND_MESSAGE (10)",
            "the required field `topic` is missing in the header of request GET_ROUTEINTO_BY_TOPIC (105)",
        ]
    );
}
