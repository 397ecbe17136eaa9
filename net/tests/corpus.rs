//! Runs every file of the fuzzers' corpus through the function that the fuzzer runs, so that what a fuzzer once found
//! stays found.

#![expect(clippy::unwrap_used, reason = "a test that cannot do its work has failed")]
#![expect(clippy::disallowed_methods, reason = "a test reads its own data")]

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz crate exports it")]
mod targets;

use std::path::Path;

/// Calls `run` with each file of the target's corpus.
fn run_all(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let data = load(&path);
        // shown only if it fails
        println!("{}", path.display());
        run(&data);
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}

fn load(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn the_corpus_of_frames_breaks_no_rule() {
    run_all("frame", targets::frame::run);
}

#[test]
fn the_corpus_of_headers_breaks_no_rule() {
    run_all("headers", targets::headers::run);
}

#[test]
fn the_corpus_of_batches_breaks_no_rule() {
    run_all("batch", targets::batch::run);
}

#[test]
fn the_corpus_of_properties_breaks_no_rule() {
    run_all("properties", targets::properties::run);
}

#[test]
fn the_corpus_of_records_breaks_no_rule() {
    run_all("record", targets::record::run);
}

#[test]
fn the_corpus_of_the_dialect_breaks_no_rule() {
    run_all("dialect", targets::dialect::run);
}

#[test]
fn the_corpus_of_bodies_breaks_no_rule() {
    run_all("bodies", targets::bodies::run);
}

#[test]
fn the_corpus_of_filters_breaks_no_rule() {
    run_all("filter", targets::filter::run);
}
