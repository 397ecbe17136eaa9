//! Text in fastjson's dialect: what parses prints to a text that parses to the same value, whatever serde_json accepts
//! parses, and what is printed in the standard style is accepted by serde_json.

use cuemq_net::body::{Body, HeartbeatData, RegisterBrokerBody, TopicConfigTable};
use cuemq_net::dialect::{DialectError, MAX_DEPTH, Style, Value, parse, write};

/// Parses `data` and prints it again in every style; and reads it as some bodies.
pub fn run(data: &[u8]) {
    // any outcome is fine; what counts is that there is one
    let _ = HeartbeatData::decode(data);
    let _ = TopicConfigTable::decode(data);
    let _ = RegisterBrokerBody::decode_compressed(data);
    match parse(data) {
        Ok(value) => reprint(&value),
        Err(DialectError::TooDeep | DialectError::TooManyValues | DialectError::TooMuchReferred) => {}
        Err(error) => {
            let accepted = serde_json::from_slice::<serde_json::Value>(data);
            assert!(accepted.is_err(), "{error}: {}", String::from_utf8_lossy(data));
        }
    }
}

fn reprint(value: &Value) {
    for style in [Style::Fastjson, Style::Pretty] {
        assert_eq!(parse(&printed(value, style)).as_ref(), Ok(value), "{style:?}");
    }
    let standard = printed(value, Style::Standard);
    assert!(parse(&standard).is_ok(), "{}", String::from_utf8_lossy(&standard));
    // serde_json's own limit of depth is above ours
    const { assert!(MAX_DEPTH < 128) };
    assert!(serde_json::from_slice::<serde_json::Value>(&standard).is_ok());
}

fn printed(value: &Value, style: Style) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out, style);
    out
}
