//! The inside of a backup: a tar of known names.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(imprest_backup::fuzzing::container(bytes)));
