#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imprest_vault::fuzzing::keystore(bytes));
