//! Turns a type that implements serde's `Serialize` into a [`Value`] as fastjson would see it: members sorted by name,
//! `null` members left out, enums as their names, maps keyed by integers or by objects.

use super::{DialectError, Key, Object, Value};
use serde::ser::{
    Error, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer,
};
use std::cmp::Ordering;

/// Converts a value.
///
/// # Errors
/// [`DialectError::Shape`] for what the dialect has no form for: enums with content, and keys other than strings,
/// integers and objects.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, DialectError> {
    value.serialize(ToValue)
}

struct ToValue;

fn no_form<T>(what: &str) -> Result<T, DialectError> {
    Err(DialectError::custom(format_args!("{what} has no form in this dialect")))
}

macro_rules! serialize_integers {
    ($($method:ident $integer:ty),*) => {
        $(fn $method(self, number: $integer) -> Result<Value, DialectError> {
            Ok(Value::Integer(number.into()))
        })*
    };
}

impl Serializer for ToValue {
    type Ok = Value;
    type Error = DialectError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Impossible<Value, DialectError>;
    type SerializeTupleVariant = Impossible<Value, DialectError>;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Impossible<Value, DialectError>;

    serialize_integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32
    }

    fn serialize_bool(self, flag: bool) -> Result<Value, DialectError> {
        Ok(Value::Bool(flag))
    }

    fn serialize_u64(self, number: u64) -> Result<Value, DialectError> {
        Ok(i64::try_from(number).map_or(Value::Unsigned(number), Value::Integer))
    }

    fn serialize_f32(self, number: f32) -> Result<Value, DialectError> {
        Ok(Value::Float(number.into()))
    }

    fn serialize_f64(self, number: f64) -> Result<Value, DialectError> {
        Ok(Value::Float(number))
    }

    fn serialize_char(self, character: char) -> Result<Value, DialectError> {
        Ok(Value::String(character.into()))
    }

    fn serialize_str(self, text: &str) -> Result<Value, DialectError> {
        Ok(Value::from(text))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Value, DialectError> {
        no_form("a byte string")
    }

    fn serialize_none(self) -> Result<Value, DialectError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, DialectError> {
        to_value(value)
    }

    fn serialize_unit(self) -> Result<Value, DialectError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, DialectError> {
        Ok(Value::Object(Object::default()))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Value, DialectError> {
        Ok(Value::from(name))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        inner: &T,
    ) -> Result<Value, DialectError> {
        to_value(inner)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: &T,
    ) -> Result<Value, DialectError> {
        no_form(name)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, DialectError> {
        Ok(Items(Vec::new()))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, DialectError> {
        Ok(Items(Vec::new()))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, DialectError> {
        no_form(name)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, DialectError> {
        no_form(name)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, DialectError> {
        Ok(Members {
            members: Vec::new(),
            key: None,
        })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members, DialectError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, DialectError> {
        no_form(name)
    }
}

/// An array as far as it has been seen.
struct Items(Vec<Value>);

impl SerializeSeq for Items {
    type Ok = Value;
    type Error = DialectError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), DialectError> {
        self.0.push(to_value(item)?);
        Ok(())
    }

    fn end(self) -> Result<Value, DialectError> {
        Ok(Value::Array(self.0))
    }
}

impl SerializeTuple for Items {
    type Ok = Value;
    type Error = DialectError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), DialectError> {
        SerializeSeq::serialize_element(self, item)
    }

    fn end(self) -> Result<Value, DialectError> {
        SerializeSeq::end(self)
    }
}

/// An object as far as it has been seen, and the key whose value comes next.
struct Members {
    members: Vec<(Key, Value)>,
    key: Option<Key>,
}

impl SerializeMap for Members {
    type Ok = Value;
    type Error = DialectError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), DialectError> {
        self.key = Some(match to_value(key)? {
            Value::String(text) => Key::Text(text),
            Value::Integer(number) => Key::Number(number),
            Value::Object(object) => Key::Object(object),
            _ => return no_form("a key that is no string, integer or object"),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), DialectError> {
        match (self.key.take(), to_value(value)?) {
            (None, _) => no_form("a value without a key"),
            (Some(_), Value::Null) => Ok(()),
            (Some(key), value) => {
                self.members.push((key, value));
                Ok(())
            }
        }
    }

    fn end(mut self) -> Result<Value, DialectError> {
        self.members.sort_by(|(left, _), (right, _)| compare(left, right));
        Ok(Value::Object(Object(self.members)))
    }
}

impl SerializeStruct for Members {
    type Ok = Value;
    type Error = DialectError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), DialectError> {
        SerializeMap::serialize_entry(self, name, value)
    }

    fn end(self) -> Result<Value, DialectError> {
        SerializeMap::end(self)
    }
}

/// Orders text keys by their text and numbers by their value; object keys, which come last, stay in their map's order.
fn compare(left: &Key, right: &Key) -> Ordering {
    match (left, right) {
        (Key::Text(left), Key::Text(right)) => left.cmp(right),
        (Key::Number(left), Key::Number(right)) => left.cmp(right),
        (Key::Object(_), Key::Object(_)) => Ordering::Equal,
        (Key::Text(_), _) | (Key::Number(_), Key::Object(_)) => Ordering::Less,
        _ => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Style, parse, write};
    use super::*;
    use serde::Serialize;
    use std::collections::BTreeMap;

    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Queue {
        topic: &'static str,
        id: i32,
    }

    #[derive(Serialize)]
    struct Sample {
        queues: BTreeMap<Queue, u64>,
        brokers: BTreeMap<i64, &'static str>,
        missing: Option<u8>,
        rate: f64,
        #[serde(flatten)]
        extra: BTreeMap<String, Value>,
    }

    #[test]
    fn members_are_sorted_and_null_ones_left_out() {
        let sample = Sample {
            queues: BTreeMap::from([(Queue { topic: "t", id: 1 }, u64::MAX)]),
            brokers: BTreeMap::from([(0, "a"), (10, "b"), (2, "c")]),
            missing: None,
            rate: 0.0,
            extra: BTreeMap::from([("new".to_owned(), parse(br#"{{"a":1}:[null]}"#).unwrap())]),
        };
        let mut out = Vec::new();
        write(&to_value(&sample).unwrap(), &mut out, Style::Fastjson);
        let expected = r#"{"brokers":{0:"a",2:"c",10:"b"},"new":{{"a":1}:[null]},"queues":{{"id":1,"topic":"t"}:18446744073709551615},"rate":0.0}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_has_no_form_is_refused() {
        assert!(to_value(&BTreeMap::from([(true, 1)])).is_err());
        assert!(to_value(&Ok::<i32, i32>(1)).is_err());
    }
}
