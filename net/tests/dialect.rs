//! Properties of fastjson's dialect over texts that nobody meant: no bytes make the parser panic, and what it accepts it
//! prints to the same meaning.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz crate exports it")]
#[expect(dead_code, reason = "the targets of other codecs")]
mod targets;

use cuemq_net::dialect::MAX_DEPTH;
use proptest::collection::vec;
use proptest::prelude::*;
use targets::dialect::run;

/// Pieces that random texts are put together from.
const FRAGMENTS: [&str; 21] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"a\"",
    "'b'",
    "0",
    "-1",
    "1.5e3",
    "null",
    "{\"$ref\":\"$.a\"}",
    "{\"a\":",
    "[{\"$ref\":\"$[0]\"},",
    "\"$ref\"",
    "\"\\u00",
    "\\",
    "true",
    " ",
    "é",
];

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        run(&bytes);
    }

    #[test]
    fn random_fragments_never_panic(fragments in vec(prop::sample::select(&FRAGMENTS[..]), 0..40)) {
        run(fragments.concat().as_bytes());
    }
}

#[test]
fn the_deepest_value_that_parses_prints_again() {
    let text = "{\"a\":".repeat(MAX_DEPTH) + "1" + &"}".repeat(MAX_DEPTH);
    run(text.as_bytes());
}
