//! The outside of a backup: the header of an age file.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(imprest_backup::fuzzing::envelope(bytes)));
