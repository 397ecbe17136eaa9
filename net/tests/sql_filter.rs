//! SQL filters against the table of what Java's own make of them (tests/testdata/sql): every expression on every message,
//! and what a client is told of those that do not compile. Then what has a bound here and none in Java, and expressions
//! that nobody thought of.

#![expect(clippy::unwrap_used, reason = "a test that cannot do its work has failed")]

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz crate exports it")]
#[expect(dead_code, reason = "the targets of other codecs")]
mod targets;

use cuemq_net::filter::{Bloom, DEPTH_MAX, FilterError, LENGTH_MAX, NAMES_IN_PLACE, SqlFilter};
use cuemq_net::message::properties::{self, Properties};
use proptest::collection::vec;
use proptest::prelude::*;

const TABLE: &str = include_str!("../../tests/testdata/sql/outcomes");

fn unescaped(text: &str) -> String {
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let plain = match (character, rest.clone().next()) {
            ('\\', Some('u')) => {
                let digits: String = rest.by_ref().skip(1).take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).unwrap());
                continue;
            }
            ('\\', Some(sign)) => {
                rest.next();
                match sign {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'f' => '\u{C}',
                    's' => ' ',
                    other => other,
                }
            }
            (plain, _) => plain,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).unwrap()
}

fn message(line: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for pair in line.split(' ').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap();
        properties::push(&mut message, &unescaped(name), &unescaped(value)).unwrap();
    }
    message
}

fn letter(filter: &SqlFilter, message: &[u8]) -> char {
    match filter.evaluate(Properties::new(message)) {
        Ok(Some(true)) => 't',
        Ok(Some(false)) => 'f',
        Ok(None) => 'n',
        Err(_) => 'x',
    }
}

/// The lines of the table that follow on one that begins so, each with it.
fn answered(kind: &str) -> Vec<(&'static str, &'static str)> {
    let lines: Vec<_> = TABLE.lines().collect();
    let asked = |pair: &[&'static str]| {
        let question = pair[0].strip_prefix(kind)?;
        (question.is_empty() || question.starts_with(' ')).then(|| (question.trim_start_matches(' '), pair[1]))
    };
    lines.windows(2).filter_map(asked).collect()
}

#[test]
fn every_expression_is_on_every_message_what_it_is_in_java() {
    let messages: Vec<Vec<u8>> = answered("m").iter().map(|(line, _)| message(line)).collect();
    let (mut tried, mut wrong) = (0, Vec::new());
    for (expression, expected) in answered("e") {
        let found = match SqlFilter::compile(&unescaped(expression)) {
            Ok(filter) => {
                let letters: String = messages.iter().map(|message| letter(&filter, message)).collect();
                format!("= {letters}")
            }
            Err(error) => format!("! {error}"),
        };
        tried += 1;
        if found != unescaped(expected) {
            wrong.push(format!("{expression}\n  java: {expected}\n  ours: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        tried > 300 && messages.len() > 30,
        "{tried} expressions on {} messages",
        messages.len()
    );
}

#[test]
fn a_group_sets_the_bits_that_it_sets_in_java() {
    let answered = answered("b");
    for (line, expected) in &answered {
        let [error_percent, groups, text] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let bloom = Bloom::new(error_percent.parse().unwrap(), groups.parse().unwrap()).unwrap();
        let text = unescaped(text);
        // The sign between group and topic is written for them.
        let (group, topic) = text.split_once('#').unwrap();
        let positions = bloom.positions(group, topic);
        assert_eq!(positions.len(), bloom.hashes() as usize);
        let positions: String = positions.iter().map(|position| format!(" {position}")).collect();
        assert_eq!(format!("= {}{positions}", bloom.bits()), *expected, "{line}");
    }
    assert!(answered.len() > 10);
}

fn matches(expression: &str, properties: &str) -> bool {
    SqlFilter::compile(expression)
        .unwrap()
        .matches(Properties::from(properties))
}

#[test]
fn an_expression_may_be_as_long_as_the_bound_and_no_longer() {
    let longest = format!("a = '{}'", "x".repeat(LENGTH_MAX - 6));
    assert!(SqlFilter::compile(&longest).is_ok());
    let length = LENGTH_MAX + 1;
    assert_eq!(
        SqlFilter::compile(&format!("{longest} ")).unwrap_err(),
        FilterError::TooLong { length }
    );
}

#[test]
fn what_nests_too_deep_is_an_error_and_no_end_of_the_stack() {
    let depth = usize::from(DEPTH_MAX);
    let nested = |open: &str, close: &str, times: usize| format!("{}a{}", open.repeat(times), close.repeat(times));
    for (open, close) in [("(", ")"), ("NOT ", ""), ("+", ""), ("- ", ""), ("(NOT +", " = TRUE)")] {
        let error = SqlFilter::compile(&nested(open, close, LENGTH_MAX / 16)).unwrap_err();
        assert_eq!(error, FilterError::TooDeep, "{open}");
    }
    assert!(SqlFilter::compile(&nested("(", ")", depth - 1)).is_ok());
    assert_eq!(
        SqlFilter::compile(&nested("(", ")", depth)).unwrap_err(),
        FilterError::TooDeep
    );
    let equalities = |times: usize| format!("a = 1{}", " = TRUE".repeat(times));
    assert!(SqlFilter::compile(&equalities(depth - 2)).is_ok());
    assert_eq!(
        SqlFilter::compile(&equalities(depth - 1)).unwrap_err(),
        FilterError::TooDeep
    );
}

#[test]
fn a_long_chain_and_a_long_list_are_not_deep() {
    let numbers = || (0..3000).map(|number| format!("a = {number}"));
    let any = numbers().collect::<Vec<_>>().join(" OR ");
    assert!(matches(&any, "a\x012999"));
    assert!(!matches(&any, "a\x013000"));
    let all = numbers()
        .map(|part| part.replace('=', "<>"))
        .collect::<Vec<_>>()
        .join(" AND ");
    assert!(matches(&all, "a\x013000"));
    assert!(!matches(&all, "a\x012999"));
    let list = (0..5000)
        .map(|number| format!("'{number}'"))
        .collect::<Vec<_>>()
        .join(",");
    assert!(matches(&format!("a IN ({list})"), "a\x014999"));
    assert!(matches(&format!("a NOT IN ({list})"), "a\x015000"));
}

#[test]
fn more_names_than_have_a_place_are_found_as_well() {
    for names in [1, NAMES_IN_PLACE, NAMES_IN_PLACE + 1, 100] {
        let parts: Vec<_> = (0..names).map(|name| format!("n{name} = '{name}'")).collect();
        let properties: String = (0..names).map(|name| format!("n{name}\x01{name}\x02")).collect();
        assert!(matches(&parts.join(" AND "), &properties), "{names}");
        assert!(
            !matches(&parts.join(" AND "), &properties.replacen('0', "1", 2)),
            "{names}"
        );
    }
}

#[test]
fn of_a_repeated_name_the_last_value_counts_and_what_vanishes_is_missing() {
    assert!(matches("a = 2", "a\x011\x02a\x012\x02"));
    assert!(matches("a IS NULL AND b = 1", "a\x01\x02b\x011"));
}

#[test]
fn what_it_takes_is_told() {
    let small = SqlFilter::compile("a = 1").unwrap();
    let large = SqlFilter::compile(&format!("a IN ('{}')", "x".repeat(10_000))).unwrap();
    assert!(small.bytes() < 500 && large.bytes() > 10_000);
    assert_eq!(small.parts(), 3);
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_an_error(text in "\\PC{0,60}", properties in vec(any::<u8>(), 0..60)) {
        targets::filter::run(&[text.as_bytes(), b"\0", &properties].concat());
    }

    #[test]
    fn any_tokens_are_an_expression_or_an_error(
        tokens in vec(
            prop::sample::select(vec![
                "a", "b", "5", "1.5", "'x'", "'5'", "TRUE", "NULL", "=", "<>", ">", "<=", "AND", "OR", "NOT", "IS",
                "BETWEEN", "IN", "(", ")", ",", "+", "-", "/*c*/", "--c\n", "#",
            ]),
            0..24,
        ),
    ) {
        targets::filter::run(&[tokens.join(" ").as_bytes(), b"\0a\x015\x02b\x01x"].concat());
    }
}
