//! Prints a [`Value`] as fastjson would, as JSON proper, or as fastjson's pretty format of the config files.

use super::{Key, Object, Value};

/// How a value is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As fastjson prints bodies: integer keys unquoted, object keys as objects.
    Fastjson,
    /// Valid JSON: integer keys quoted; an object key, for which JSON has no form, as a string that holds its text.
    Standard,
    /// As fastjson prints the config files: each member with a text key on a line of its own, indented by tabs; integer
    /// and object keys follow each other on one line, and arrays too.
    Pretty,
}

/// Appends the printed value to `out`.
pub fn write(value: &Value, out: &mut Vec<u8>, style: Style) {
    write_value(value, out, style, 0);
}

fn write_value(value: &Value, out: &mut Vec<u8>, style: Style, indent: usize) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Integer(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Unsigned(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Float(number) if number.is_finite() => out.extend_from_slice(format!("{number:?}").as_bytes()),
        Value::Float(_) => out.extend_from_slice(b"null"),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_array(items, out, style, indent),
        Value::Object(object) => write_object(object, out, style, indent),
    }
}

fn write_array(items: &[Value], out: &mut Vec<u8>, style: Style, indent: usize) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(item, out, style, indent + 1);
    }
    out.push(b']');
}

fn write_object(object: &Object, out: &mut Vec<u8>, style: Style, indent: usize) {
    out.push(b'{');
    for (index, (key, value)) in object.0.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if style == Style::Pretty && matches!(key, Key::Text(_)) {
            break_line(out, indent + 1);
        }
        write_key(key, out, style, indent + 1);
        out.push(b':');
        write_value(value, out, style, indent + 1);
    }
    if style == Style::Pretty && !object.0.is_empty() {
        break_line(out, indent);
    }
    out.push(b'}');
}

fn write_key(key: &Key, out: &mut Vec<u8>, style: Style, indent: usize) {
    match (key, style) {
        (Key::Text(text), _) => write_string(text, out),
        (Key::Number(number), Style::Standard) => write_string(itoa::Buffer::new().format(*number), out),
        (Key::Number(number), _) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        (Key::Object(object), Style::Standard) => {
            let mut text = Vec::new();
            write_object(object, &mut text, style, indent);
            write_string(&String::from_utf8_lossy(&text), out);
        }
        (Key::Object(object), _) => write_object(object, out, style, indent),
    }
}

fn break_line(out: &mut Vec<u8>, indent: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b'\t', indent));
}

/// Prints a string with fastjson's escapes, all of which are JSON's: short ones where there are, and `\u00XX` for the
/// other control characters, those of Latin-1 and the two line separators included.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut printed = 0;
    for (position, character) in text.char_indices() {
        let short = match character {
            '"' | '\\' => character,
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => 'u',
            _ => continue,
        };
        out.extend_from_slice(text.get(printed..position).unwrap_or_default().as_bytes());
        printed = position + character.len_utf8();
        match short {
            'u' => out.extend_from_slice(format!("\\u{:04X}", u32::from(character)).as_bytes()),
            _ => out.extend_from_slice(format!("\\{short}").as_bytes()),
        }
    }
    out.extend_from_slice(text.get(printed..).unwrap_or_default().as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    fn printed(text: &str, style: Style) -> String {
        let mut out = Vec::new();
        write(&parse(text.as_bytes()).unwrap(), &mut out, style);
        String::from_utf8(out).unwrap()
    }

    const OFFSETS: &str = r#"{"offsetTable":{"%RETRY%g@g":{0:1,1:2},"none":{}},"list":[{"a":1.0}]}"#;

    #[test]
    fn fastjson_style_prints_integer_and_object_keys_as_java_does() {
        let stats =
            r#"{"consumeTps":0.0,"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:{"brokerOffset":3}}}"#;
        assert_eq!(printed(stats, Style::Fastjson), stats);
        assert_eq!(printed(OFFSETS, Style::Fastjson), OFFSETS);
    }

    #[test]
    fn standard_style_is_json() {
        let text = printed(r#"{0:"a",{"q":0}:1}"#, Style::Standard);
        assert_eq!(text, r#"{"0":"a","{\"q\":0}":1}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn pretty_style_breaks_lines_at_text_keys_only() {
        let pretty = "{\n\t\"offsetTable\":{\n\t\t\"%RETRY%g@g\":{0:1,1:2\n\t\t},\n\t\t\"none\":{}\n\t},\n\
                      \t\"list\":[{\n\t\t\t\"a\":1.0\n\t\t}]\n}";
        assert_eq!(printed(OFFSETS, Style::Pretty), pretty);
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut out = Vec::new();
        let text = "a\u{1}\u{b}\u{1f}\u{7f}\u{9f}\u{2028}\n\t\"\\/é😀";
        write(&Value::from(text), &mut out, Style::Fastjson);
        let expected = "\"a\\u0001\\u000B\\u001F\\u007F\\u009F\\u2028\\n\\t\\\"\\\\/é😀\"";
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
        assert_eq!(parse(&out), Ok(Value::from(text)));
    }

    #[test]
    fn numbers_that_are_not_finite_print_as_null() {
        let mut out = Vec::new();
        write(
            &Value::Array(vec![Value::Float(f64::NAN), Value::Float(0.0)]),
            &mut out,
            Style::Fastjson,
        );
        assert_eq!(out, b"[null,0.0]");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            (i64::MAX as u64 + 1..=u64::MAX).prop_map(Value::Unsigned),
            proptest::num::f64::NORMAL.prop_map(Value::Float),
            any::<String>().prop_map(Value::String),
        ];
        leaf.clone().prop_recursive(5, 64, 6, move |inner| {
            let text = any::<String>().prop_map(Key::Text);
            let key = prop_oneof![
                3 => text.clone(),
                1 => any::<i64>().prop_map(Key::Number),
                1 => prop::collection::vec((text, leaf.clone()), 0..3).prop_map(|members| Key::Object(Object(members))),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((key, inner), 0..6).prop_map(|members| Value::Object(Object(members))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_value(value in any_value()) {
            for style in [Style::Fastjson, Style::Pretty] {
                let mut out = Vec::new();
                write(&value, &mut out, style);
                prop_assert_eq!(parse(&out), Ok(value.clone()));
            }
            let mut out = Vec::new();
            write(&value, &mut out, Style::Standard);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
    }
}
