//! The first entry of every backup: what it holds, of which moment, and by which hashes.

use crate::error::Fault;
use alloy_primitives::B256;
use imprest_ledger::{Head, HeadCopy};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

const FORMAT: &str = "imprest-backup";
/// The version of the form; a file with a greater one is refused.
pub(crate) const VERSION: u64 = 1;
/// The most bytes a manifest may have: ten times what the longest one takes.
pub(crate) const MANIFEST_MAX_BYTES: u64 = 16 * 1024;
/// The most characters the name of a program's version may have.
const PROGRAM_MAX_CHARS: usize = 64;

/// The parts of a backup. There are no others, and they lie in this order, behind the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// The vault's file.
    #[serde(rename = "vault.json")]
    Vault,
    /// The desk's settings; a desk that never served has none.
    #[serde(rename = "desk.json")]
    Settings,
    /// The ledger's database.
    #[serde(rename = "ledger.db")]
    Ledger,
}

impl Part {
    /// The name of its entry, and of its file in a data folder.
    pub fn name(self) -> &'static str {
        match self {
            Part::Vault => "vault.json",
            Part::Settings => "desk.json",
            Part::Ledger => "ledger.db",
        }
    }

    /// The most bytes it may have. A ledger's bound is the most that a plain tar header can say.
    pub fn max_bytes(self) -> u64 {
        match self {
            Part::Vault | Part::Settings => 1 << 20,
            Part::Ledger => (1 << 33) - 1,
        }
    }
}

/// One part as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Which.
    pub name: Part,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    #[serde(with = "hex_text")]
    pub sha256: [u8; 32],
}

/// The end of the log that a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupHead {
    /// The last event's number; zero for an empty log.
    pub seq: u64,
    /// Its hash.
    pub hash: B256,
    /// Its time, milliseconds since 1970.
    pub at_ms: i64,
}

impl From<Head> for BackupHead {
    fn from(head: Head) -> BackupHead {
        BackupHead { seq: head.seq, hash: head.hash, at_ms: head.at_ms }
    }
}

impl From<BackupHead> for HeadCopy {
    fn from(head: BackupHead) -> HeadCopy {
        HeadCopy { seq: head.seq, hash: head.hash }
    }
}

/// `1204:0x…`, as the copy in the keychain is written.
impl fmt::Display for BackupHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HeadCopy::from(*self).fmt(f)
    }
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u64,
    /// When it was made, by the clock of the desk that made it.
    pub made_at: Timestamp,
    /// The version of the program that made it.
    pub program: String,
    /// The chain the desk pays on, where it knew one.
    pub chain_id: Option<u64>,
    /// The first account index that no agent had.
    pub next_account: u32,
    /// The end of the log.
    pub head: BackupHead,
    /// The parts, in order.
    pub files: Vec<FileEntry>,
}

/// What only the maker of a backup knows.
pub(crate) struct Made {
    pub(crate) made_at: Timestamp,
    pub(crate) program: String,
    pub(crate) chain_id: Option<u64>,
    pub(crate) next_account: u32,
    pub(crate) head: BackupHead,
}

impl Manifest {
    pub(crate) fn new(made: Made, files: Vec<FileEntry>) -> Manifest {
        let Made { made_at, program, chain_id, next_account, head } = made;
        let program = program.chars().filter(|c| !c.is_control()).take(PROGRAM_MAX_CHARS).collect();
        let format = FORMAT.to_owned();
        Manifest { format, version: VERSION, made_at, program, chain_id, next_account, head, files }
    }

    /// Reads a manifest and holds it to its bounds.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest, Fault> {
        // Format and version first: a later form may have fields that this program does not know.
        #[derive(Deserialize)]
        struct Form {
            format: String,
            version: u64,
        }
        let bad = |error: serde_json::Error| Fault::damaged(format_args!("its manifest: {error}"));
        let form: Form = serde_json::from_slice(bytes).map_err(bad)?;
        if form.format != FORMAT {
            return Err(Fault::NotABackup("its manifest is of another kind"));
        }
        if form.version > VERSION {
            return Err(Fault::Newer(form.version));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(bad)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.version != VERSION {
            return Err(Fault::damaged("its manifest has a version that no desk wrote"));
        }
        if self.program.chars().count() > PROGRAM_MAX_CHARS
            || self.program.chars().any(char::is_control)
        {
            return Err(Fault::damaged("its manifest names no program's version"));
        }
        let parts: Vec<Part> = self.files.iter().map(|file| file.name).collect();
        if parts != [Part::Vault, Part::Settings, Part::Ledger]
            && parts != [Part::Vault, Part::Ledger]
        {
            return Err(Fault::damaged("its manifest does not name the parts of a backup"));
        }
        for file in &self.files {
            if file.bytes == 0 || file.bytes > file.name.max_bytes() {
                let (name, bytes) = (file.name.name(), file.bytes);
                return Err(Fault::damaged(format_args!("its {name} is to have {bytes} bytes")));
            }
        }
        Ok(())
    }

    /// The manifest as it lies in the backup.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// How many events the log has.
    pub fn events(&self) -> u64 {
        self.head.seq
    }

    /// How many bytes all parts have together.
    pub fn total_bytes(&self) -> u64 {
        // Three parts of bounded size cannot pass the end of a u64.
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// 32 bytes as 64 lower-case hex digits.
mod hex_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
        Ok(bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn manifest(files: Vec<FileEntry>) -> Manifest {
        let head = BackupHead { seq: 7, hash: B256::repeat_byte(7), at_ms: 1_700_000_000_000 };
        let made_at = "2026-11-22T17:11:01Z".parse().unwrap();
        let made = Made {
            made_at,
            program: "0.1.0".into(),
            chain_id: Some(84_532),
            next_account: 2,
            head,
        };
        Manifest::new(made, files)
    }

    pub(crate) fn entry(name: Part, bytes: u64) -> FileEntry {
        FileEntry { name, bytes, sha256: [0xA5; 32] }
    }

    fn whole() -> Manifest {
        manifest(vec![
            entry(Part::Vault, 900),
            entry(Part::Settings, 90),
            entry(Part::Ledger, 9_000),
        ])
    }

    fn refused(change: impl FnOnce(&mut serde_json::Value)) -> Fault {
        let mut json: serde_json::Value =
            serde_json::from_slice(&whole().to_json().unwrap()).unwrap();
        change(&mut json);
        Manifest::parse(json.to_string().as_bytes()).unwrap_err()
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let json = whole().to_json().unwrap();
        assert_eq!(Manifest::parse(&json).unwrap(), whole());
        assert!((json.len() as u64) < MANIFEST_MAX_BYTES / 10);
        let bare = manifest(vec![entry(Part::Vault, 1), entry(Part::Ledger, 1)]);
        assert_eq!(Manifest::parse(&bare.to_json().unwrap()).unwrap(), bare);
        assert_eq!(whole().total_bytes(), 9_990);
    }

    #[test]
    fn a_later_form_and_another_kind_are_told_apart_from_damage() {
        let newer = refused(|json| {
            json["version"] = 9.into();
            json["added"] = "later".into();
        });
        assert!(matches!(newer, Fault::Newer(9)));
        assert!(matches!(refused(|json| json["format"] = "x".into()), Fault::NotABackup(_)));
        assert!(matches!(refused(|json| json["version"] = 0.into()), Fault::Damaged(_)));
    }

    #[test]
    fn bad_forms_are_refused() {
        let bad: [fn(&mut serde_json::Value); 11] = [
            |json| json["added"] = 1.into(),
            |json| json["files"][0]["added"] = 1.into(),
            |json| json["files"][0]["name"] = "../vault.json".into(),
            |json| json["files"][0]["sha256"] = "00".into(),
            |json| json["files"][0]["bytes"] = (-1).into(),
            |json| json["files"][0]["bytes"] = 0.into(),
            |json| json["files"][2]["bytes"] = (Part::Ledger.max_bytes() + 1).into(),
            |json| json["files"] = serde_json::json!([]),
            |json| json["files"].as_array_mut().unwrap().swap(0, 2),
            |json| json["program"] = "x".repeat(65).into(),
            |json| json["program"] = "a\u{1b}[2J".into(),
        ];
        for change in bad {
            assert!(matches!(refused(change), Fault::Damaged(_)));
        }
        for text in ["", "{", "[]", "null", "{\"format\":\"imprest-backup\"}"] {
            assert!(matches!(Manifest::parse(text.as_bytes()), Err(Fault::Damaged(_))), "{text}");
        }
        let twice = refused(|json| {
            let first = json["files"][0].clone();
            json["files"].as_array_mut().unwrap().insert(0, first);
        });
        assert!(matches!(twice, Fault::Damaged(_)));
    }
}
