#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(imprest_rails::fuzzing::tool_stream(bytes)));
