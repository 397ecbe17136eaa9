//! COMPATIBILITY.md is what a user reads before switching, so it may not promise what nothing shows.
//!
//! A row is `| number | feature | state | shown by |`. The state is `works`, `differs: how` or `not yet`. What shows it
//! is a comma-separated list of `` `crate::file::test_name` `` (the crate's folder, then parts of the file's path) and
//! `` `interop:scenario` ``, or `` `interop:scenario@client` `` where one client alone shows it, and `` `mqadmin:subcommand` ``,
//! which `tests/interop/mqadmin` compares with a Java broker; a row that is `not yet` has `–` instead.

use crate::{File, files, none, root};
use std::collections::BTreeMap;

const FEATURES: usize = 158;
const ROWS_PER_NAME: usize = 5;

struct Row {
    number: usize,
    feature: String,
    state: String,
    shown_by: Vec<String>,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("COMPATIBILITY.md")).unwrap();
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line
        .trim()
        .strip_prefix('|')?
        .strip_suffix('|')?
        .split('|')
        .map(str::trim)
        .collect();
    let number = cells.first()?.parse().ok()?;
    let [_, feature, state, shown_by] = cells[..] else {
        panic!("not four cells: {line}")
    };
    let shown_by = match shown_by {
        "–" => Vec::new(),
        names => names
            .split(", ")
            .map(|name| name.trim_matches('`').to_owned())
            .collect(),
    };
    Some(Row {
        number,
        feature: feature.to_owned(),
        state: state.to_owned(),
        shown_by,
    })
}

/// Does a Rust file that fits the path hold a test of this name?
fn test_exists(files: &[File], name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let [folder, middle @ .., test] = &parts[..] else {
        return false;
    };
    let fits = |file: &&File| {
        let stem = file.path.trim_end_matches(".rs");
        let mut path = stem.split('/');
        path.next() == Some(folder)
            && middle
                .iter()
                .all(|part| *part == "tests" || stem.split('/').any(|p| p == *part))
    };
    files
        .iter()
        .filter(|file| file.is_rust())
        .filter(fits)
        .any(|file| has_test(&file.text, test))
}

/// Does this line make a function a test, inside `proptest!` as elsewhere? `#[cfg(test)]` makes a helper of tests.
fn marks_a_test(line: &str) -> bool {
    let attribute = line.strip_prefix("#[").and_then(|rest| rest.split([']', '(']).next());
    matches!(attribute, Some("test" | "actix::test" | "tokio::test"))
}

/// A test is a function right below attributes of which one says so.
fn has_test(text: &str, test: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let declares = |line: &str| line.trim_start_matches("async ").starts_with(&format!("fn {test}("));
    let attributes = |at: usize| lines[..at].iter().rev().take_while(|line| line.starts_with(['#', '/']));
    let is_test = |at: usize| attributes(at).any(|line| marks_a_test(line));
    lines.iter().enumerate().any(|(at, line)| declares(line) && is_test(at))
}

/// The clients that `tests/interop/run` plays when it is told none.
fn clients(files: &[File]) -> impl Iterator<Item = &str> {
    let run = files.iter().filter(|file| file.path == "tests/interop/run");
    run.flat_map(|file| file.text.lines())
        .filter_map(|line| line.strip_prefix("all_clients=(")?.strip_suffix(')'))
        .flat_map(str::split_whitespace)
}

/// Does a program of the interop script declare the scenario, and is the client that shows it among those played?
fn scenario_exists(files: &[File], name: &str) -> bool {
    let (scenario, client) = name
        .split_once('@')
        .map_or((name, None), |(name, client)| (name, Some(client)));
    let declaration = format!("scenario(\"{scenario}\"");
    let folder = |file: &&File| file.path.starts_with("tests/interop/");
    let declared = files.iter().filter(folder).any(|file| file.text.contains(&declaration));
    declared && client.is_none_or(|client| clients(files).any(|played| played == client))
}

/// Is the subcommand, or question, among those that `tests/interop/mqadmin` runs?
fn subcommand_exists(files: &[File], name: &str) -> bool {
    let commands = files
        .iter()
        .filter(|file| file.path == "tests/interop/agents/mqadmin/commands");
    let command = |line: &str| {
        let line = line.split_once(" :: ").map_or(line, |(_, line)| line);
        let line = line.split_once(": ").map_or(line, |(_, line)| line);
        line.split(' ').next() == Some(name)
    };
    commands.flat_map(|file| file.text.lines()).any(command)
}

#[test]
fn all_158_features_are_listed_in_order() {
    let numbers: Vec<usize> = rows().iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=FEATURES).collect::<Vec<_>>());
    none(
        "features without words",
        &rows()
            .iter()
            .filter(|r| r.feature.is_empty())
            .map(|r| r.number.to_string())
            .collect::<Vec<_>>(),
    );
}

#[test]
fn a_state_is_shown_by_something_or_it_is_not_yet() {
    let mut offenders = Vec::new();
    for row in rows() {
        let how = row.state.strip_prefix("differs: ").is_some_and(|how| !how.is_empty());
        let claims = row.state == "works" || how;
        if !claims && row.state != "not yet" {
            offenders.push(format!("{}: unknown state {:?}", row.number, row.state));
        } else if claims == row.shown_by.is_empty() {
            offenders.push(format!(
                "{}: {:?} is shown by {:?}",
                row.number, row.state, row.shown_by
            ));
        }
    }
    none("rows whose state nothing shows", &offenders);
}

#[test]
fn every_named_test_and_scenario_exists() {
    let files = files();
    let mut offenders = Vec::new();
    for row in rows() {
        for name in &row.shown_by {
            let exists = match name.split_once(':') {
                Some(("interop", scenario)) => scenario_exists(&files, scenario),
                Some(("mqadmin", subcommand)) => subcommand_exists(&files, subcommand),
                _ => test_exists(&files, name),
            };
            if !exists {
                offenders.push(format!("{}: {name}", row.number));
            }
        }
    }
    none("tests that COMPATIBILITY.md names and nobody wrote", &offenders);
}

#[test]
fn no_name_shows_more_than_five_rows() {
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for name in rows().into_iter().flat_map(|row| row.shown_by) {
        *uses.entry(name).or_default() += 1;
    }
    let worn = uses.into_iter().filter(|(_, rows)| *rows > ROWS_PER_NAME);
    none(
        "names that serve too many rows",
        &worn.map(|(name, rows)| format!("{name}: {rows}")).collect::<Vec<_>>(),
    );
}

#[test]
fn a_test_is_found_by_crate_file_and_name() {
    let text = r#"
        #[cfg(test)]
        mod tests {
            #[test]
            fn a_torn_tail_is_cut() {}
            #[tokio::test(start_paused = true)]
            #[expect(clippy::large_futures, reason = "a test")]
            async fn a_slow_disk_is_awaited() {}
            proptest! {
                /// Whatever the bytes are.
                #[test]
                fn any_tail_is_cut(bytes in any::<Vec<u8>>()) {}
            }
            fn helper() {}
            #[cfg(test)]
            #[expect(clippy::unwrap_used, reason = "a test")]
            // #[test]
            fn marked_helper() {}
        }
    "#;
    let files = [File {
        path: "storage/src/log/recovery.rs".to_owned(),
        text: text.to_owned(),
    }];
    for name in [
        "storage::a_torn_tail_is_cut",
        "storage::log::recovery::tests::a_torn_tail_is_cut",
        "storage::recovery::a_slow_disk_is_awaited",
        "storage::recovery::any_tail_is_cut",
    ] {
        assert!(test_exists(&files, name), "{name}");
    }
    for name in [
        "net::recovery::a_torn_tail_is_cut",
        "storage::index::a_torn_tail_is_cut",
        "storage::recovery::helper",
        "storage::recovery::marked_helper",
        "storage",
    ] {
        assert!(!test_exists(&files, name), "{name}");
    }
}
