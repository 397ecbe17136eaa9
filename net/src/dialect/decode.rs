//! Turns a [`Value`] into a type that implements serde's `Deserialize`, as leniently as fastjson does: members that are
//! `null` count as missing, integers and booleans may be quoted, an enum may be its number in Java's order (C++ clients send
//! it so), and maps may be keyed by integers or by objects.

use super::{DialectError, Key, Object, Value};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess};
use serde::de::{Error, VariantAccess, Visitor};

/// Converts a value.
///
/// # Errors
/// [`DialectError::Shape`] if a member has the wrong type or a required one is missing.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, DialectError> {
    T::deserialize(value)
}

/// Defines the methods for some types alike: convert by the method named first, then look at what is there.
macro_rules! deserialize_by {
    ($convert:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DialectError> {
            self.$convert().deserialize_any(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Value {
    type Error = DialectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DialectError> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Integer(number) => visitor.visit_i64(number),
            Value::Unsigned(number) => visitor.visit_u64(number),
            Value::Float(number) => visitor.visit_f64(number),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Object(object) => visitor.visit_map(Members::new(object)),
        }
    }

    deserialize_by! { unquoted:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64 deserialize_bool
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DialectError> {
        match self {
            Value::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DialectError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DialectError> {
        let name = match self {
            Value::String(name) => Some(name),
            Value::Integer(number) => usize::try_from(number)
                .ok()
                .and_then(|number| names.get(number))
                .map(|name| (*name).to_owned()),
            _ => None,
        };
        let name = name.ok_or_else(|| DialectError::custom("expected an enum's name or its number"))?;
        visitor.visit_enum(Name(name))
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl Value {
    /// Reads a quoted number or boolean as what is in the quotes.
    fn unquoted(self) -> Value {
        let Value::String(text) = &self else { return self };
        let number = text
            .parse()
            .map(Value::Integer)
            .or_else(|_| text.parse().map(Value::Bool));
        number.unwrap_or(self)
    }
}

impl<'de> IntoDeserializer<'de, DialectError> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = DialectError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DialectError> {
        self.0.next().map(|item| seed.deserialize(item)).transpose()
    }
}

/// The members that are not null, and the value of the one whose key was taken last.
struct Members {
    rest: std::vec::IntoIter<(Key, Value)>,
    value: Value,
}

impl Members {
    fn new(mut object: Object) -> Self {
        object.0.retain(|(_, value)| *value != Value::Null);
        Members {
            rest: object.0.into_iter(),
            value: Value::Null,
        }
    }
}

impl<'de> MapAccess<'de> for Members {
    type Error = DialectError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DialectError> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = value;
        seed.deserialize(KeyDeserializer(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DialectError> {
        seed.deserialize(std::mem::take(&mut self.value))
    }
}

/// A key on its way into a map's key type; integer types take a quoted number, strings an unquoted one.
struct KeyDeserializer(Key);

impl KeyDeserializer {
    fn into_text(self) -> Value {
        match self.0 {
            Key::Text(text) => Value::String(text),
            Key::Number(number) => Value::String(number.to_string()),
            Key::Object(object) => Value::Object(object),
        }
    }

    fn into_number(self) -> Value {
        self.into_text().unquoted()
    }
}

impl<'de> Deserializer<'de> for KeyDeserializer {
    type Error = DialectError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DialectError> {
        match self.0 {
            Key::Number(number) => visitor.visit_i64(number),
            _ => self.into_text().deserialize_any(visitor),
        }
    }

    deserialize_by! { into_text: deserialize_str deserialize_string deserialize_identifier }

    deserialize_by! { into_number:
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    serde::forward_to_deserialize_any! {
        bool f32 f64 char bytes byte_buf option unit unit_struct newtype_struct seq tuple tuple_struct map struct
        enum ignored_any
    }
}

/// An enum, which fastjson prints as its name.
struct Name(String);

impl<'de> EnumAccess<'de> for Name {
    type Error = DialectError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DialectError> {
        Ok((seed.deserialize(Value::String(self.0))?, Name(String::new())))
    }
}

impl<'de> VariantAccess<'de> for Name {
    type Error = DialectError;

    fn unit_variant(self) -> Result<(), DialectError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, DialectError> {
        Err(DialectError::custom("an enum with content has no form in this dialect"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, DialectError> {
        Err(DialectError::custom("an enum with content has no form in this dialect"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, DialectError> {
        Err(DialectError::custom("an enum with content has no form in this dialect"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Queue {
        topic: String,
        id: i32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Colour {
        #[serde(rename = "RED")]
        Red,
        #[serde(rename = "GREEN")]
        Green,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        queues: BTreeMap<Queue, u64>,
        brokers: BTreeMap<i64, String>,
        names: BTreeMap<String, bool>,
        colour: Option<Colour>,
        rate: f64,
        #[serde(flatten)]
        extra: BTreeMap<String, Value>,
    }

    fn sample(text: &str) -> Result<Sample, DialectError> {
        from_value(parse(text.as_bytes())?)
    }

    #[test]
    fn maps_may_be_keyed_by_integers_and_objects() {
        let sample =
            sample(r#"{"queues":{{"topic":"t","id":1}:9},"brokers":{0:"a","1":"b"},"names":{5:true}}"#).unwrap();
        assert_eq!(
            sample.queues,
            BTreeMap::from([(
                Queue {
                    topic: "t".into(),
                    id: 1
                },
                9
            )])
        );
        assert_eq!(sample.brokers, BTreeMap::from([(0, "a".into()), (1, "b".into())]));
        assert_eq!(sample.names, BTreeMap::from([("5".into(), true)]));
    }

    #[test]
    fn numbers_and_booleans_may_be_quoted_and_null_is_missing() {
        let sample = sample(r#"{"queues":{{"topic":"t","id":"1"}:"9"},"names":{"a":"true"},"rate":null}"#).unwrap();
        assert_eq!(sample.queues.len(), 1);
        assert_eq!(sample.names.get("a"), Some(&true));
        assert_eq!(sample.rate, 0.0);
    }

    #[test]
    fn an_unknown_member_is_kept_whatever_it_holds() {
        let sample = sample(r#"{"colour":"RED","new":{{"a":1}:[2,{3:4}]}}"#).unwrap();
        assert_eq!(sample.colour, Some(Colour::Red));
        assert_eq!(sample.extra.get("new"), parse(br#"{{"a":1}:[2,{3:4}]}"#).ok().as_ref());
    }

    #[test]
    fn an_enum_is_its_name_or_its_number() {
        assert_eq!(sample(r#"{"colour":"GREEN"}"#).unwrap().colour, Some(Colour::Green));
        assert_eq!(sample(r#"{"colour":1}"#).unwrap().colour, Some(Colour::Green));
        assert_eq!(sample(r#"{"colour":0}"#).unwrap().colour, Some(Colour::Red));
    }

    #[test]
    fn the_wrong_type_is_refused_by_name() {
        for text in [
            r#"{"colour":"BLUE"}"#,
            r#"{"colour":2}"#,
            r#"{"colour":-1}"#,
            r#"{"brokers":{"x":"a"}}"#,
            r#"{"rate":[]}"#,
            r#"{"queues":{7:1}}"#,
            "[]",
        ] {
            assert!(matches!(sample(text), Err(DialectError::Shape(_))), "{text}");
        }
    }
}
