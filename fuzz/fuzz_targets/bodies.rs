//! Feeds `bodies` with whatever libFuzzer thinks of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cuemq_fuzz::bodies::run(data));
