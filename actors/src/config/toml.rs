//! Our own settings file: TOML with a table for each topic. What it does not know is an error.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::given::Given;
use super::nearest::nearest;
use super::setting::{self, SETTINGS};
use super::value::Value;

/// Reads a settings file's text; `place` gives the place of a line.
///
/// # Errors
/// When it is no TOML, or says something that is no setting.
pub(super) fn read(text: &str, place: impl Fn(usize) -> Place) -> Result<Vec<Given>, ConfigError> {
    let place = |span: Range<usize>| place(line_of(text, span.start));
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: place(error.span().unwrap_or_default()),
        reason: format!("this is no TOML: {}", error.message()),
    })?;
    let mut given = Vec::new();
    for (key, value) in document.get_ref() {
        let name = key.get_ref().as_ref();
        let unknown = || ConfigError::unknown_key(place(key.span()), name, near(name));
        if setting::named(name).is_some() {
            given.extend(setting_of(name, text, key.span(), value, &place));
            continue;
        }
        if !SETTINGS.iter().any(|setting| section_of(setting.name) == Some(name)) {
            return Err(unknown());
        }
        let DeValue::Table(section) = value.get_ref() else {
            return Err(ConfigError::Syntax {
                place: place(key.span()),
                reason: format!("`{name}` is a section: write [{name}] and its settings below"),
            });
        };
        for (key, value) in section {
            let name = format!("{name}.{}", key.get_ref());
            let one = setting_of(&name, text, key.span(), value, &place);
            given.push(one.ok_or_else(|| ConfigError::unknown_key(place(key.span()), &name, near(&name)))?);
        }
    }
    Ok(given)
}

fn setting_of(
    name: &str,
    text: &str,
    key: Range<usize>,
    value: &Spanned<DeValue<'_>>,
    place: &impl Fn(Range<usize>) -> Place,
) -> Option<Given> {
    Some(Given {
        setting: setting::named(name)?,
        key: name.to_owned(),
        written: text.get(value.span()).unwrap_or_default().to_owned(),
        value: value_of(value.get_ref()),
        place: place(key),
    })
}

fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map_or(Value::Other, Value::Integer)
        }
        DeValue::Array(array) => {
            let texts = array.iter().map(|part| part.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map_or(Value::Other, Value::List)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Value::Other,
    }
}

fn section_of(name: &str) -> Option<&str> {
    name.split_once('.').map(|(section, _)| section)
}

fn near(name: &str) -> Option<&'static str> {
    let sections = SETTINGS.iter().filter_map(|setting| section_of(setting.name));
    nearest(name, SETTINGS.iter().map(|setting| setting.name).chain(sections))
}

fn line_of(text: &str, position: usize) -> usize {
    let before = text.as_bytes().iter().take(position);
    1 + before.filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Vec<(&'static str, Value, usize)> {
        let all = read(text, Place::line_of("s.toml")).unwrap();
        let line = |given: &Given| match given.place {
            Place::File { line, .. } => line,
            _ => 0,
        };
        all.into_iter()
            .map(|given| (given.setting.name, given.value.clone(), line(&given)))
            .collect()
    }

    fn refused(text: &str) -> String {
        read(text, Place::line_of("s.toml"))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn settings_stand_at_the_top_and_in_sections() {
        let text = "port = 1_0911\nflush = \"sync\"\n\n[name_server]\naddresses = [\"a:1\", \"b:2\"]\n[topics]\nauto_create = false\n";
        let mut all = given(text);
        all.sort_by_key(|&(.., line)| line);
        let peers = Value::List(vec!["a:1".into(), "b:2".into()]);
        let expected = [
            ("port", Value::Integer(10_911), 1),
            ("flush", Value::Text("sync".into()), 2),
            ("name_server.addresses", peers, 5),
            ("topics.auto_create", Value::Truth(false), 7),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_nearest_one() {
        assert_eq!(
            refused("data = \"d\"\nflsuh = \"sync\""),
            "s.toml:2: there is no setting `flsuh`: did you mean `flush`?"
        );
        assert_eq!(
            refused("[store]\nsegment_byte = 1"),
            "s.toml:2: there is no setting `store.segment_byte`: did you mean `store.segment_bytes`?"
        );
        assert_eq!(
            refused("[stor]\n"),
            "s.toml:1: there is no setting `stor`: did you mean `store`?"
        );
        assert_eq!(
            refused("check_crc = true"),
            "s.toml:1: there is no setting `check_crc`: did you mean `store.check_crc`?"
        );
    }

    #[test]
    fn an_unknown_key_that_is_near_to_none_says_where_all_are_listed() {
        let text = refused("colour = 1");
        assert_eq!(
            text,
            "s.toml:1: there is no setting `colour`: `cuemq server -p` prints all there are"
        );
    }

    #[test]
    fn a_section_is_a_table() {
        assert_eq!(
            refused("store = 1"),
            "s.toml:1: `store` is a section: write [store] and its settings below"
        );
    }

    #[test]
    fn what_is_no_toml_is_an_error_with_its_line() {
        for text in ["\nport 1", "\nport = 1\nport = 2", "\nport = \"a", "\n[store\n"] {
            let text = refused(text);
            assert!(
                text.starts_with("s.toml:2: ") || text.starts_with("s.toml:3: "),
                "{text}"
            );
        }
    }

    #[test]
    fn what_no_setting_takes_is_kept_as_such() {
        for value in ["1.5", "1979-05-27", "[1]", "{}", "99999999999999999999"] {
            assert_eq!(given(&format!("port = {value}")), [("port", Value::Other, 1)]);
        }
        assert_eq!(given("port = 0x10"), [("port", Value::Integer(16), 1)]);
    }
}
