//! Fuzzes [`bellhop_tests::fuzz::keys`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bellhop_tests::fuzz::keys(input));
