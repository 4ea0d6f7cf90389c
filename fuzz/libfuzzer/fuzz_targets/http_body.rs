#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| everstream_fuzz::http_body(input));
