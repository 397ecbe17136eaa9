//! Text in fastjson's dialect: what parses prints to a text that parses to the same value, whatever serde_json accepts
//! parses to the same value, and what is printed in the standard style is accepted by serde_json and not much longer.

use cuemq_net::dialect::{DialectError, Key, MAX_DEPTH, Style, Value, parse, write};
use serde_json::Value as Json;

/// How far apart two readers may round a fraction, in units of its last place; serde_json is fast rather than exact.
const ROUNDING: u64 = 8;

/// Parses `data`, compares with what serde_json reads, and prints it again in every style.
pub fn run(data: &[u8]) {
    let accepted = serde_json::from_slice(data).ok();
    match parse(data) {
        Ok(value) => {
            // serde_json follows no references
            if let Some(json) = accepted.filter(|json| !has_references(json)) {
                assert!(same(&value, &json), "{value:?} from {}", String::from_utf8_lossy(data));
            }
            reprint(&value);
        }
        Err(DialectError::TooDeep | DialectError::TooManyValues | DialectError::TooMuchReferred) => {}
        Err(error) => assert_eq!(accepted, None, "{error}"),
    }
}

fn reprint(value: &Value) {
    let fastjson = printed(value, Style::Fastjson);
    assert_eq!(parse(&fastjson).as_ref(), Ok(value));
    assert_eq!(parse(&printed(value, Style::Pretty)).as_ref(), Ok(value));
    let standard = printed(value, Style::Standard);
    // at worst the 0 of an integer key within an object key becomes \"0\"
    assert!(
        standard.len() <= 5 * fastjson.len(),
        "{}",
        String::from_utf8_lossy(&fastjson)
    );
    assert!(parse(&standard).is_ok(), "{}", String::from_utf8_lossy(&standard));
    // serde_json's own limit of depth is above ours
    const { assert!(MAX_DEPTH < 128) };
    assert!(serde_json::from_slice::<Json>(&standard).is_ok());
}

fn printed(value: &Value, style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out, style);
    out
}

fn has_references(json: &Json) -> bool {
    match json {
        Json::Array(items) => items.iter().any(has_references),
        Json::Object(members) => members
            .iter()
            .any(|(key, value)| key == "$ref" || has_references(value)),
        _ => false,
    }
}

fn same(value: &Value, json: &Json) -> bool {
    match (value, json) {
        (Value::Null, Json::Null) => true,
        (Value::Bool(one), Json::Bool(other)) => one == other,
        // -0 is a fraction to serde_json
        (Value::Integer(0), Json::Number(other)) => other.as_f64() == Some(0.0),
        (Value::Integer(one), Json::Number(other)) => other.as_i64() == Some(*one),
        (Value::Unsigned(one), Json::Number(other)) => other.as_u64() == Some(*one),
        (Value::Float(one), Json::Number(other)) => other.as_f64().is_some_and(|other| is_close(*one, other)),
        (Value::String(one), Json::String(other)) => one == other,
        (Value::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Json::Object(other)) => {
            let is_known = |key: &Key| matches!(key, Key::Text(key) if other.contains_key(key));
            one.0.iter().all(|(key, _)| is_known(key))
                && other
                    .iter()
                    .all(|(key, other)| one.get(key).is_some_and(|one| same(one, other)))
        }
        _ => false,
    }
}

fn is_close(one: f64, other: f64) -> bool {
    one == other || one.to_bits().abs_diff(other.to_bits()) <= ROUNDING
}
