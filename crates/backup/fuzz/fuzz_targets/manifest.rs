//! The first entry of a backup.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(imprest_backup::fuzzing::manifest(bytes)));
