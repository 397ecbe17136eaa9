//! Properties of the header codecs: no bytes make a reader panic, the JSON scanner reads what serde_json reads, and what
//! is written means the same when it is read.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz crate exports it")]
#[expect(dead_code, reason = "the targets of other codecs")]
mod targets;

use bytes::Bytes;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::frame::HeaderCodec;
use cuemq_net::header::{self, HeaderScratch};
use cuemq_net::language::Language;
use cuemq_net::version::Version;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Text with everything that JSON has to escape, and beyond the Basic Multilingual Plane.
fn text() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            any::<char>(),
            prop::sample::select(vec!['\u{1}', '\u{2}', '"', '\\', '/', '\n', 'a'])
        ],
        0..12,
    )
    .prop_map(String::from_iter)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::String),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((text(), inner), 0..4).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// A value for a member that is to be a number: mostly one.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => any::<i32>().prop_map(Value::from),
        1 => any::<i32>().prop_map(|number| Value::from(number.to_string())),
        1 => value(),
    ]
}

fn member() -> impl Strategy<Value = (String, Value)> {
    let fields = vec((text(), value()), 0..6).prop_map(|members| Value::Object(Map::from_iter(members)));
    prop_oneof![
        4 => (prop::sample::select(vec!["code", "flag", "opaque", "version"]), number())
            .prop_map(|(key, value)| (key.to_owned(), value)),
        2 => fields.prop_map(|fields| ("extFields".to_owned(), fields)),
        1 => value().prop_map(|value| ("extFields".to_owned(), value)),
        1 => (prop::sample::select(vec!["language", "remark"]), value()).prop_map(|(key, value)| (key.to_owned(), value)),
        1 => prop::sample::select(vec!["JAVA", "CPP", "COBOL"]).prop_map(|name| ("language".to_owned(), json!(name))),
        1 => (text(), value()),
    ]
}

/// Writes characters beyond ASCII as escapes, as some JSON writers do.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut units = [0; 2];
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn command() -> impl Strategy<Value = Command> {
    let head = (
        any::<i16>(),
        any::<i16>(),
        any::<i32>(),
        0..4,
        prop::sample::select(Language::ALL),
    );
    let remark =
        prop::option::of(text().prop_filter("an empty remark is none in the binary form", |text| !text.is_empty()));
    let codec = prop::sample::select(vec![HeaderCodec::Json, HeaderCodec::Binary]);
    (
        head,
        remark,
        vec((text(), text()), 0..8),
        vec(any::<u8>(), 0..32),
        codec,
    )
        .prop_map(
            |((code, version, opaque, flag, language), remark, fields, body, codec)| {
                let mut command = Command::request(RequestCode(code.into()))
                    .with_codec(codec)
                    .with_body(body);
                command.version = Version(version.into());
                (command.opaque, command.flag) = (opaque, flag);
                (command.language, command.remark) = (Some(language), remark);
                for (key, value) in fields {
                    command.fields.set(key, value);
                }
                command
            },
        )
}

#[test]
fn minus_zero_is_a_number_and_its_fraction_is_none() {
    for (text, is_number) in [("-0", true), ("-0.0", false), ("-0e5", false), ("-0.0E1", false)] {
        let json = format!(r#"{{"code":{text}}}"#);
        let mut scratch = HeaderScratch::new();
        let read = header::parse(HeaderCodec::Json, json.as_bytes(), &mut scratch);
        assert_eq!(read.map(|view| view.code).ok(), is_number.then_some(0), "{text}");
        targets::headers::agrees_with_serde_json(&json);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_but_never_panic(data in vec(any::<u8>(), 0..300)) {
        targets::headers::run(&data);
        targets::frame::run(&data);
    }

    #[test]
    fn any_bytes_in_a_well_formed_frame_never_panic(codec in 0..2_u8, header in vec(any::<u8>(), 0..200)) {
        let mut frame = (header.len() as u32 + 4).to_be_bytes().to_vec();
        frame.extend((u32::from(codec) << 24 | header.len() as u32).to_be_bytes());
        frame.extend(header);
        targets::frame::run(&frame);
    }

    #[test]
    fn a_damaged_header_never_panics(command in command(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut frame = Vec::new();
        command.encode(&mut frame).unwrap();
        let at = at.index(frame.len());
        frame[at] = byte;
        targets::frame::run(&frame);
    }

    #[test]
    fn the_scanner_reads_what_serde_json_reads(members in vec(member(), 0..8), pretty in any::<bool>(), ascii in any::<bool>()) {
        let value = Value::Object(Map::from_iter(members));
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        targets::headers::agrees_with_serde_json(&if ascii { escaped(&text) } else { text });
    }

    #[test]
    fn a_command_means_the_same_when_it_is_read_again(command in command()) {
        let mut frame = Vec::new();
        command.encode(&mut frame).unwrap();
        prop_assert_eq!(Command::decode(&Bytes::from(frame)), Ok(command));
    }
}
