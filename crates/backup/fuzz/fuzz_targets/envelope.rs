//! The outside of a backup: the header of an age file.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| imprest_backup::fuzzing::envelope(bytes));
