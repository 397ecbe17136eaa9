//! Rules about Rust files: sizes, opening comments, leftovers, the one file with unsafe code, mailboxes, dead files.

use crate::code::{Function, blank, functions, is_word, without_tests};
use crate::{none, rust_files};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const HANDLER_LINES: usize = 20;
/// How many lines of attributes above a function are looked at.
const ATTRIBUTE_LINES: usize = 6;
const UNSAFE_FILES: [&str; 2] = ["storage/src/read_view.rs", "client/tests/allocations/counting.rs"];

#[test]
fn no_file_has_more_than_600_lines_before_its_tests() {
    let count = |text: &str| without_tests(text).lines().count();
    let long = rust_files().into_iter().filter(|file| count(&file.text) > FILE_LINES);
    let offenders: Vec<_> = long
        .map(|file| format!("{}: {} lines", file.path, count(&file.text)))
        .collect();
    none("files over 600 lines; split them by noun", &offenders);
}

#[test]
fn no_function_has_more_than_70_lines_and_no_handler_more_than_20() {
    let mut offenders = Vec::new();
    for file in rust_files() {
        for function in functions(&blank(&file.text)) {
            let handler = function.name == "handle" && function.signature.contains("Context");
            let limit = if handler { HANDLER_LINES } else { FUNCTION_LINES };
            if function.lines() > limit {
                let (path, line, name, lines) = (&file.path, function.first_line, &function.name, function.lines());
                offenders.push(format!("{path}:{line} {name}: {lines} lines, the limit is {limit}"));
            }
        }
    }
    none("functions that are too long", &offenders);
}

#[test]
fn every_file_says_first_what_it_is() {
    let silent = rust_files().into_iter().filter(|file| !file.text.starts_with("//!"));
    none(
        "files that do not begin with //!",
        &silent.map(|file| file.path).collect::<Vec<_>>(),
    );
}

#[test]
fn unsafe_code_is_in_the_read_view_and_a_counting_allocator_alone() {
    let mut offenders = Vec::new();
    for file in rust_files()
        .into_iter()
        .filter(|file| !UNSAFE_FILES.contains(&file.path.as_str()))
    {
        for (number, line) in blank(&file.text).lines().enumerate() {
            let word = |word: &str| line.split(|c| !is_word(c)).any(|found| found == word);
            if word("unsafe") || (word("unsafe_code") && !line.contains("deny") && !line.contains("forbid")) {
                offenders.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    none(
        "unsafe code outside the read view and the counting allocator",
        &offenders,
    );
}

/// `do_send` ignores the bound of a mailbox, so whoever uses it says which other bound holds: by an
/// `expect(clippy::disallowed_methods, reason = …)` on the function, or a comment `// do_send: …` in it, above the call.
#[test]
fn every_do_send_names_the_bound_that_holds() {
    let mut offenders = Vec::new();
    for file in rust_files().into_iter().filter(|file| file.path.starts_with("actors/")) {
        let lines: Vec<&str> = file.text.lines().collect();
        let code = blank(without_tests(&file.text));
        let functions = functions(&code);
        for (number, line) in code.lines().enumerate() {
            let around = |f: &&Function| f.first_line <= number + 1 && number < f.last_line;
            let first_line = functions.iter().filter(around).map(|f| f.first_line).max().unwrap_or(1);
            let above = &lines[first_line.saturating_sub(ATTRIBUTE_LINES)..=number];
            let reason = |l: &&str| l.contains("clippy::disallowed_methods") || l.contains("// do_send: ");
            if line.contains(".do_send(") && !above.iter().any(reason) {
                offenders.push(format!("{}:{}", file.path, number + 1));
            }
        }
    }
    none(
        "do_send without the bound that holds instead of the mailbox's",
        &offenders,
    );
}

/// A file below `src/` that no `mod` line names is never compiled.
#[test]
fn no_source_file_is_dead() {
    let files = rust_files();
    let named = |file: &crate::File, crate_source: &str| {
        let stem = match file.name() {
            "mod.rs" => file.path.rsplit('/').nth(1).unwrap(),
            name => name.trim_end_matches(".rs"),
        };
        let declaration = format!("mod {stem};");
        files
            .iter()
            .any(|other| other.path.starts_with(crate_source) && blank(&other.text).contains(&declaration))
    };
    let mut offenders = Vec::new();
    for file in &files {
        let Some(at) = file.path.find("/src/") else { continue };
        let root = ["lib.rs", "main.rs"].contains(&file.name());
        if !root && !file.path.contains("/src/bin/") && !named(file, &file.path[..at + 5]) {
            offenders.push(file.path.clone());
        }
    }
    none("files that no mod line names", &offenders);
}
