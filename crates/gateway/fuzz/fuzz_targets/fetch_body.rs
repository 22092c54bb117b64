#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(imprest_gateway::fuzzing::fetch_body(bytes)));
