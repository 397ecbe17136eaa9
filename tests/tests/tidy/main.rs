//! The house rules that a compiler does not hold: crate edges, sizes, names that must not appear, and the truth of
//! COMPATIBILITY.md. Each rule is one test that lists every offender with file and line.
//!
//! Here: the files of the repository and what two or more rules share. The rules live in `crates` (edges of the
//! workspace), `source` (Rust files), `text` (all files), `messages` (what actors and
//! clients send) and `compatibility` (the feature table).
#![expect(
    clippy::unwrap_used,
    reason = "the whole program is a test, and a panic is how it fails"
)]
#![expect(clippy::disallowed_methods, reason = "it reads the repository's files")]

mod code;
mod compatibility;
mod crates;
mod messages;
mod source;
mod text;

use std::path::{Path, PathBuf};

/// One text file of the repository.
struct File {
    /// Path from the root of the repository, with `/`.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every path below the root, without what git ignores: the build folder, a broker's data, fuzzers' working files.
fn paths() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let ignored = [
                ".git",
                "target",
                "cuemq-data",
                "fuzz/target",
                "fuzz/corpus-work",
                "fuzz/artifacts",
            ];
            if ignored.contains(&relative.as_str()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                found.push(relative);
            }
        }
    }
    found.sort();
    found
}

/// Every file of the repository that is text; recordings and archives are left out.
fn files() -> Vec<File> {
    let read = |path: String| {
        std::fs::read_to_string(root().join(&path))
            .ok()
            .map(|text| File { path, text })
    };
    paths().into_iter().filter_map(read).collect()
}

fn rust_files() -> Vec<File> {
    files().into_iter().filter(File::is_rust).collect()
}

/// Fails with one line for each offender.
#[track_caller]
fn none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}
