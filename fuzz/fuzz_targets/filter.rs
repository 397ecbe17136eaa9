//! Feeds `filter` with whatever libFuzzer thinks of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cuemq_fuzz::filter::run(data));
