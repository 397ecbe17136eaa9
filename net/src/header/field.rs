//! Typed views of extension fields: the macro [`fields!`](crate::header::field::fields) makes a struct from a table of
//! Rust name, type and name on the wire, with a `read` that goes over a header's fields once and a `write`.
//!
//! The type says whether a field has to be there: `Option<T>` may be missing, `T` may not, and `or value` after the name
//! stands in for a missing one. Names are byte strings: a match on them takes a few instructions. Unknown fields are
//! ignored. Mirrors `CommandCustomHeader` and its annotations, except that a missing or unreadable field is an error
//! that names it, where Java goes on with null.

use atoi::FromRadix10SignedChecked;

use super::{FieldWriter, HeaderView};
use crate::code::{RequestCode, ResponseCode};
use crate::error::{CommandCode, FieldError, FieldProblem};

/// Characters of an unreadable field that its error quotes.
const QUOTED_CHARACTERS: usize = 64;

/// A type that a field can have.
pub(crate) trait FieldValue<'a>: Sized {
    /// What a text has to be to be one.
    const EXPECTED: &'static str;

    fn read(text: &'a [u8]) -> Option<Self>;

    /// What a missing field stands for; `None` when it must not be missing.
    fn absent() -> Option<Self> {
        None
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>);
}

impl<'a> FieldValue<'a> for &'a str {
    const EXPECTED: &'static str = "text in UTF-8";

    fn read(text: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(text).ok()
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.text(key, self);
    }
}

/// Reads a whole text as a decimal number, as Java's `parseInt` and `parseLong` do.
#[inline]
fn number<T: FromRadix10SignedChecked>(text: &[u8]) -> Option<T> {
    let (number, used) = T::from_radix_10_signed_checked(text);
    number.filter(|_| used == text.len() && text.last().is_some_and(u8::is_ascii_digit))
}

impl FieldValue<'_> for i32 {
    const EXPECTED: &'static str = "a 32-bit number";

    #[inline]
    fn read(text: &[u8]) -> Option<Self> {
        number(text)
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.number(key, (*self).into());
    }
}

impl FieldValue<'_> for i64 {
    const EXPECTED: &'static str = "a 64-bit number";

    #[inline]
    fn read(text: &[u8]) -> Option<Self> {
        number(text)
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.number(key, *self);
    }
}

/// As in Java, `true` in any case is true and everything else false.
impl FieldValue<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(text: &[u8]) -> Option<Self> {
        Some(text.eq_ignore_ascii_case(b"true"))
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.boolean(key, *self);
    }
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(text: &'a [u8]) -> Option<Self> {
        T::read(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        if let Some(value) = self {
            value.write(key, fields);
        }
    }
}

/// Reads one field.
#[inline]
pub(crate) fn read<'a, T: FieldValue<'a>>(
    view: &HeaderView<'_>,
    field: &[u8],
    text: &'a [u8],
) -> Result<T, FieldError> {
    T::read(text).ok_or_else(|| unreadable(view, field, text, T::EXPECTED))
}

#[cold]
fn unreadable(view: &HeaderView<'_>, field: &[u8], text: &[u8], expected: &'static str) -> FieldError {
    let text = String::from_utf8_lossy(text).chars().take(QUOTED_CHARACTERS).collect();
    let field = String::from_utf8_lossy(field).into_owned();
    problem(view, FieldProblem::Unreadable { field, text, expected })
}

/// Settles a field once all are read; `names` are its names.
#[inline]
pub(crate) fn settle<'a, T: FieldValue<'a>>(
    view: &HeaderView<'_>,
    names: &[&[u8]],
    found: Option<T>,
) -> Result<T, FieldError> {
    found.or_else(T::absent).ok_or_else(|| missing(view, names))
}

#[cold]
fn missing(view: &HeaderView<'_>, names: &[&[u8]]) -> FieldError {
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
    problem(view, FieldProblem::Missing(names.join("` or `")))
}

/// A field's name as text.
pub(crate) const fn text_of(name: &'static [u8]) -> &'static str {
    match std::str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => panic!("the name of a field is ASCII"),
    }
}

#[cold]
fn problem(view: &HeaderView<'_>, problem: FieldProblem) -> FieldError {
    let command = if view.is_response() {
        CommandCode::Response(ResponseCode(view.code))
    } else {
        CommandCode::Request(RequestCode(view.code))
    };
    FieldError { command, problem }
}

/// Makes header structs from tables of fields. Of several wire names the first is the one that is written.
macro_rules! fields {
    ($(
        $(#[$doc:meta])+
        pub struct $name:ident $(<$life:lifetime>)? {
            $($(#[$field_doc:meta])+ $field:ident: $type:ty = $key:literal $(| $alias:literal)* $(or $default:expr)?,)*
        }
    )+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])+ pub $field: $type,)*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// Reads the fields; the error names the field that is missing or unreadable.
            pub fn read(
                view: &$crate::header::HeaderView<$($life)?>,
            ) -> Result<Self, $crate::error::FieldError> {
                $(let mut $field: Option<$type> = None;)*
                for (key, text) in view.fields {
                    match key {
                        $($key $(| $alias)* => $field = Some($crate::header::field::read(view, key, text)?),)*
                        _ => {}
                    }
                }
                Ok(Self {
                    $($field: $crate::header::field::settle(view, &[$key, $($alias),*], $field$(.or(Some($default)))?)?,)*
                })
            }

            /// Writes the fields; what is `None` is left out.
            pub fn write(&self, fields: &mut $crate::header::FieldWriter<'_>) {
                use $crate::header::field::FieldValue;
                fields.present();
                $(self.$field.write(const { $crate::header::field::text_of($key) }, fields);)*
            }
        }
    )+};
}
pub(crate) use fields;

#[cfg(test)]
mod tests {
    use super::FieldValue;
    use crate::frame::HeaderCodec;
    use crate::header::{HeaderScratch, parse};
    use crate::request::{SendBack, SendHeader};

    fn send_back(fields: &str) -> Result<(String, i64, Option<i32>, bool), String> {
        let header = format!(r#"{{"code":36,"extFields":{{{fields}}}}}"#);
        let mut scratch = HeaderScratch::new();
        let view = parse(HeaderCodec::Json, header.as_bytes(), &mut scratch).unwrap();
        let read = SendBack::read(&view).map_err(|error| error.to_string())?;
        Ok((
            read.group.to_owned(),
            read.physical_offset,
            read.max_reconsume_times,
            read.unit_mode,
        ))
    }

    #[test]
    fn optional_fields_may_be_missing_and_unknown_ones_are_ignored() {
        assert_eq!(
            send_back(r#""x":"y","offset":"5","group":"g","delayLevel":"0""#),
            Ok(("g".into(), 5, None, false))
        );
        assert_eq!(
            send_back(r#""offset":"-1","group":"","delayLevel":"0","maxReconsumeTimes":"2","unitMode":"TRUE""#),
            Ok((String::new(), -1, Some(2), true))
        );
    }

    #[test]
    fn an_error_names_field_and_code() {
        assert_eq!(
            send_back(r#""offset":"1","group":"g""#).unwrap_err(),
            "the required field `delayLevel` is missing in the header of request CONSUMER_SEND_MSG_BACK (36)"
        );
        assert_eq!(
            send_back(r#""delayLevel":"3000000000""#).unwrap_err(),
            "the field `delayLevel` holds `3000000000`, which is not a 32-bit number in the header of request \
             CONSUMER_SEND_MSG_BACK (36)"
        );
    }

    #[test]
    fn numbers_are_read_as_rusts_own_reader_reads_them() {
        let texts = [
            "0",
            "-0",
            "+7",
            "-12",
            "007",
            "9223372036854775807",
            "-9223372036854775808",
            "2147483647",
            "-2147483648",
        ];
        let wrong = [
            "",
            "-",
            "+",
            "+-1",
            "1 ",
            " 1",
            "0x1",
            "1.0",
            "１",
            "9223372036854775808",
            "-9223372036854775809",
            "2147483648",
        ];
        for text in texts.into_iter().chain(wrong) {
            assert_eq!(<i64 as FieldValue>::read(text.as_bytes()), text.parse().ok(), "{text}");
            assert_eq!(<i32 as FieldValue>::read(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_refused_by_its_name_and_only_where_it_is_read() {
        let header = |key| {
            [
                &b"\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\x01"[..],
                &[key],
                b"\0\0\0\x01\xc3",
            ]
            .concat()
        };
        let (asked, other) = (header(b'b'), header(b'?'));
        let read = |bytes| {
            let mut scratch = HeaderScratch::new();
            SendHeader::read(&parse(HeaderCodec::Binary, bytes, &mut scratch).unwrap()).unwrap_err()
        };
        assert_eq!(
            read(&asked).to_string(),
            "the field `b` holds `\u{fffd}`, which is not text in UTF-8 in the header of request SEND_MESSAGE (10)"
        );
        assert_eq!(
            read(&other).to_string(),
            "the required field `a` or `producerGroup` is missing in the header of request SEND_MESSAGE (10)"
        );
    }

    #[test]
    fn a_send_is_read_by_its_long_names_and_by_its_short_ones() {
        let long = r#"{"code":10,"extFields":{"producerGroup":"p","topic":"t","defaultTopic":"d","queueId":"1","flag":"2",
            "defaultTopicQueueNums":"4","sysFlag":"8","bornTimestamp":"9","properties":"x","batch":"true"}}"#;
        let short = r#"{"code":310,"extFields":{"a":"p","b":"t","c":"d","d":"4","e":"1","f":"8","g":"9","h":"2","i":"x","m":"true"}}"#;
        let (mut first, mut second) = (HeaderScratch::new(), HeaderScratch::new());
        let long = parse(HeaderCodec::Json, long.as_bytes(), &mut first).unwrap();
        let short = parse(HeaderCodec::Json, short.as_bytes(), &mut second).unwrap();
        let read = SendHeader::read(&long).unwrap();
        assert_eq!(Ok(read), SendHeader::read(&short));
        assert_eq!(
            (read.topic, read.queue_id, read.properties, read.batch),
            ("t", 1, Some("x"), true)
        );
    }
}
