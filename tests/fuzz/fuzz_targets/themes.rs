//! Fuzzes [`bellhop_tests::fuzz::themes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bellhop_tests::fuzz::themes(input));
