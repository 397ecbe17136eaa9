//! Rules about all text: no leftovers of work in progress, nothing of the machine it was written on, no recording
//! that no test reads.

use crate::{File, files, none, paths, rust_files};

/// This folder names the words that it looks for.
const SELF: &str = "tests/tests/tidy/";

fn offenders(words: &[&str], wanted: impl Fn(&File) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files()
        .into_iter()
        .filter(|file| !file.path.starts_with(SELF) && wanted(file))
    {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                found.push(format!("{}:{} {word}", file.path, number + 1));
            }
        }
    }
    found
}

#[test]
fn nothing_is_left_over_from_work_in_progress() {
    let words = ["dbg!(", "todo!(", "unimplemented!(", "TODO", "FIXME", "#[ignore"];
    none("leftovers", &offenders(&words, |file| file.name() != "clippy.toml"));
}

#[test]
fn no_path_of_a_machine_and_no_registry_host_appears() {
    let words = [
        "/work/",
        "/root/",
        "/home/",
        "../shared",
        "artifactory",
        "index.crates.io",
        "static.crates.io",
        "repo1.maven.org",
        "repo.maven.apache.org",
        "proxy.golang.org",
    ];
    none("paths or hosts of one machine", &offenders(&words, |_| true));
}

/// A test names a recording by its file name, or walks its folder below `testdata/` by that folder's name.
#[test]
fn every_testdata_file_is_read_by_a_test() {
    let sources = rust_files();
    let named = |word: &str| {
        sources
            .iter()
            .any(|file| !file.path.starts_with(SELF) && file.text.contains(word))
    };
    let mut offenders = Vec::new();
    for path in paths() {
        let Some((_, inside)) = path.split_once("testdata/") else {
            continue;
        };
        let folder = inside.rsplit_once('/').map(|(folder, _)| format!("testdata/{folder}"));
        if !named(path.rsplit('/').next().unwrap()) && !folder.is_some_and(|folder| named(&folder)) {
            offenders.push(path);
        }
    }
    none("recordings that no test reads", &offenders);
}
