//! Header bytes, in the encoding that the first byte picks: neither reader panics, the JSON scanner reads whatever
//! serde_json accepts to the same meaning, a binary header written again has the same bytes, and a typed header written
//! again the same fields.

use std::fmt;

use bytes::Bytes;
use cuemq_net::code::RequestCode;
use cuemq_net::command::Command;
use cuemq_net::frame::{HeaderCodec, PREFIX_BYTES};
use cuemq_net::header::{self, HeaderError, HeaderScratch, HeaderView};
use cuemq_net::language::Language;
use cuemq_net::request::{PullHeader, RegisterBroker, SendHeader};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// Reads a header as these types, and each again from what it writes.
macro_rules! reads_alike {
    ($view:ident: $($header:ident)*) => {$(
        if let Ok(read) = $header::read(&$view) {
            let again = Command::request(RequestCode($view.code)).with_header(|fields| read.write(fields));
            assert_eq!($header::read(&again.view()), Ok(read));
        }
    )*};
}

/// Reads `data` behind its first byte as a header.
pub fn run(data: &[u8]) {
    let Some((&codec, header)) = data.split_first() else {
        return;
    };
    let codec = if codec % 2 == 0 {
        HeaderCodec::Json
    } else {
        HeaderCodec::Binary
    };
    let mut scratch = HeaderScratch::new();
    if let Ok(view) = header::parse(codec, header, &mut scratch) {
        reads_alike! { view: SendHeader PullHeader RegisterBroker }
        if codec == HeaderCodec::Binary {
            is_written_alike(&view, header);
        }
    }
    if codec == HeaderCodec::Json
        && let Ok(text) = std::str::from_utf8(header)
    {
        agrees_with_serde_json(text);
    }
}

/// Only for headers that our writer could have made: in a language that it knows, and with keys that differ and are text.
fn is_written_alike(view: &HeaderView<'_>, header: &[u8]) {
    let is_text = |bytes| std::str::from_utf8(bytes).is_ok();
    let are_texts = view.fields.iter().all(|(key, value)| is_text(key) && is_text(value));
    let command = Command::from_view(HeaderCodec::Binary, view, Bytes::new());
    if !are_texts || view.language.is_none() || command.fields.len() != view.fields.iter().count() {
        return;
    }
    let mut written = Vec::new();
    command
        .encode(&mut written)
        .expect("what was read is within the limits");
    assert_eq!(&written[PREFIX_BYTES..], header);
}

/// Compares the scanner with serde_json, where serde_json accepts the text and its members are of a sensible type.
pub fn agrees_with_serde_json(text: &str) {
    let Ok(Members(members)) = serde_json::from_str(text) else {
        return;
    };
    let mut scratch = HeaderScratch::new();
    let read = header::parse(HeaderCodec::Json, text.as_bytes(), &mut scratch);
    if let Err(HeaderError::TooDeep { .. } | HeaderError::TooManyFields { .. } | HeaderError::KeyTooLong { .. }) = read
    {
        return;
    }
    let repeated = members
        .iter()
        .enumerate()
        .any(|(at, (key, _))| members[..at].iter().any(|(seen, _)| seen == key));
    let find = |key: &str| {
        members
            .iter()
            .rfind(|(name, _)| name == key)
            .map_or(&Value::Null, |(_, value)| value)
    };
    if NUMBERS.iter().any(|key| is_minus_zero(find(key)))
        && ["-0.", "-0e", "-0E"].iter().any(|zero| text.contains(zero))
    {
        // To serde_json the number -0, which is one to the scanner, and the fraction -0.0, which is none, are the same.
        return;
    }
    let numbers = NUMBERS.map(|key| number(find(key)));
    let fields = find("extFields");
    let sensible = numbers.iter().all(Option::is_some) && (fields.is_object() || fields.is_null());
    match read {
        Ok(view) => {
            assert!(sensible, "accepted a member of a wrong type: {text}");
            assert_eq!(
                [view.code, view.flag, view.opaque, view.version].map(Some),
                numbers,
                "{text}"
            );
            assert!(same(view.remark, find("remark")), "{text}");
            assert_eq!(view.language, language(find("language")), "{text}");
            compare_fields(&view, fields, text);
        }
        // the scanner judges each member as it comes, even one that another of the same name replaces
        Err(error) => assert!(!sensible || repeated, "{error}: {text}"),
    }
}

fn compare_fields(view: &HeaderView<'_>, fields: &Value, text: &str) {
    let expected = fields
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let mut count = 0;
    for (key, value) in expected {
        assert!(same(view.fields.get(key), value), "field {key}: {text}");
        count += 1;
    }
    let mut keys: Vec<_> = view.fields.iter().map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "{text}");
}

/// Whether what was read stands for this value: a string's content, nothing for null, else its JSON.
fn same(read: Option<&str>, value: &Value) -> bool {
    match (read, value) {
        (read, Value::Null) => read.is_none(),
        (Some(read), Value::String(text)) => read == text,
        (Some(read), value) => serde_json::from_str::<Value>(read).is_ok_and(|read| read == *value),
        (None, _) => false,
    }
}

/// The members that are numbers.
const NUMBERS: [&str; 4] = ["code", "flag", "opaque", "version"];

/// Whether serde_json has read -0, or what is as little.
fn is_minus_zero(value: &Value) -> bool {
    matches!(value, Value::Number(number) if number.to_string() == "-0.0")
}

fn number(value: &Value) -> Option<i32> {
    match value {
        Value::Null => Some(0),
        Value::String(text) => text.parse().ok(),
        value if is_minus_zero(value) => Some(0),
        Value::Number(number) => number.as_i64()?.try_into().ok(),
        _ => None,
    }
}

fn language(value: &Value) -> Option<Language> {
    match value {
        Value::String(text) => Language::from_name(text).or_else(|| Language::from_number(text.parse().ok()?)),
        Value::Number(number) => Language::from_number(number.as_u64()?.try_into().ok()?),
        _ => None,
    }
}

/// The members of an object in order, repeated ones included.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
