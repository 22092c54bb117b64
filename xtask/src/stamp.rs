//! Small files that remember what a step was last done for.
//!
//! A stamp only saves work: a wrong one is mended by deleting the folder it lies in.

use anyhow::{Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// The digest of one file's bytes.
///
/// # Errors
/// When the file cannot be read.
pub fn of_file(path: &Path) -> Result<String> {
    of_files(path.parent().unwrap_or(Path::new("")), &[path.to_path_buf()])
}

/// The digest of all files in a folder, by name and content, without the folders left out.
///
/// # Errors
/// When a file or folder cannot be read.
pub fn of_folder(folder: &Path, left_out: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, left_out, &mut files)?;
    files.sort();
    of_files(folder, &files)
}

/// Whether the stamp at `path` says exactly `digest`.
pub fn is(path: &Path, digest: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found.trim() == digest)
}

/// Writes a stamp.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, digest: &str) -> Result<()> {
    fs::write(path, format!("{digest}\n"))
        .with_context(|| format!("{} could not be written.", path.display()))
}

fn of_files(base: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let name = file.strip_prefix(base).unwrap_or(file);
        let content =
            fs::read(file).with_context(|| format!("{} could not be read.", file.display()))?;
        // Lengths go in too, so that moving bytes between neighbours is noticed.
        for part in [name.to_string_lossy().as_bytes(), &content] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(folder: &Path, left_out: &[&str], files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} could not be read.", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if left_out.iter().any(|word| name == *word) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), left_out, files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own under cargo's folder for tests, empty at the start.
    fn folder(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("imprest-xtask-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("src")).expect("the folder is made");
        path
    }

    #[test]
    fn a_digest_follows_names_and_contents_and_nothing_left_out() {
        let path = folder("digest");
        fs::write(path.join("src/a"), "one").expect("writes");
        let first = of_folder(&path, &["dist"]).expect("digests");
        fs::create_dir(path.join("dist")).expect("makes");
        fs::write(path.join("dist/x"), "built").expect("writes");
        assert_eq!(of_folder(&path, &["dist"]).expect("digests"), first);
        fs::rename(path.join("src/a"), path.join("src/b")).expect("renames");
        let renamed = of_folder(&path, &["dist"]).expect("digests");
        assert_ne!(renamed, first);
        fs::write(path.join("src/b"), "two").expect("writes");
        assert_ne!(of_folder(&path, &["dist"]).expect("digests"), renamed);
        fs::remove_dir_all(&path).expect("the folder goes away");
    }

    #[test]
    fn a_stamp_is_read_back_and_another_is_not_taken_for_it() {
        let path = folder("stamp");
        let stamp = path.join("stamp");
        assert!(!is(&stamp, "abc"), "no stamp is no match");
        write(&stamp, "abc").expect("writes");
        assert!(is(&stamp, "abc") && !is(&stamp, "abd"));
        fs::remove_dir_all(&path).expect("the folder goes away");
    }
}
