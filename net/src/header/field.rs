//! Typed views of extension fields: the macro [`fields!`](crate::header::field::fields) makes a struct from a table of
//! Rust name, type and name on the wire, with a `read` that goes over a header's fields once and a `write`.
//!
//! The type says whether a field has to be there: `Option<T>` may be missing, `T` may not, and `or value` after the name
//! stands in for a missing one. Unknown fields are ignored. Mirrors `CommandCustomHeader` and its annotations, except that
//! a missing or unreadable field is an error that names it, where Java goes on with null.

use super::{FieldWriter, HeaderView};
use crate::code::{RequestCode, ResponseCode};
use crate::error::{CommandCode, FieldError, FieldProblem};

/// Characters of an unreadable field that its error quotes.
const QUOTED_CHARACTERS: usize = 64;

/// A type that a field can have.
pub(crate) trait FieldValue<'a>: Sized {
    /// What a text has to be to be one.
    const EXPECTED: &'static str;

    fn read(text: &'a str) -> Option<Self>;

    /// What a missing field stands for; `None` when it must not be missing.
    fn absent() -> Option<Self> {
        None
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>);
}

impl<'a> FieldValue<'a> for &'a str {
    const EXPECTED: &'static str = "text";

    fn read(text: &'a str) -> Option<Self> {
        Some(text)
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.text(key, self);
    }
}

impl FieldValue<'_> for i32 {
    const EXPECTED: &'static str = "a 32-bit number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.number(key, (*self).into());
    }
}

impl FieldValue<'_> for i64 {
    const EXPECTED: &'static str = "a 64-bit number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.number(key, *self);
    }
}

/// As in Java, `true` in any case is true and everything else false.
impl FieldValue<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(text: &str) -> Option<Self> {
        Some(text.eq_ignore_ascii_case("true"))
    }

    fn write(&self, key: &str, fields: &mut FieldWriter<'_>) {
        fields.boolean(key, *self);
    }
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(text: &'a str) -> Option<Self> {
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
pub(crate) fn read<'a, T: FieldValue<'a>>(view: &HeaderView<'_>, field: &str, text: &'a str) -> Result<T, FieldError> {
    T::read(text).ok_or_else(|| {
        let text = text.chars().take(QUOTED_CHARACTERS).collect();
        problem(
            view,
            FieldProblem::Unreadable {
                field: field.to_owned(),
                text,
                expected: T::EXPECTED,
            },
        )
    })
}

/// Settles a field once all are read; `field` is its name, or its names as [`FieldProblem::Missing`] wants them.
pub(crate) fn settle<'a, T: FieldValue<'a>>(
    view: &HeaderView<'_>,
    field: &'static str,
    found: Option<T>,
) -> Result<T, FieldError> {
    found
        .or_else(T::absent)
        .ok_or_else(|| problem(view, FieldProblem::Missing(field)))
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
                for &(key, text) in view.fields() {
                    match key {
                        $($key $(| $alias)* => $field = Some($crate::header::field::read(view, key, text)?),)*
                        _ => {}
                    }
                }
                Ok(Self {
                    $($field: $crate::header::field::settle(view, concat!($key $(, "` or `", $alias)*), $field$(.or(Some($default)))?)?,)*
                })
            }

            /// Writes the fields; what is `None` is left out.
            pub fn write(&self, fields: &mut $crate::header::FieldWriter<'_>) {
                use $crate::header::field::FieldValue;
                fields.present();
                $(self.$field.write($key, fields);)*
            }
        }
    )+};
}
pub(crate) use fields;

#[cfg(test)]
mod tests {
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
