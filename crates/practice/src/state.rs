//! What the practice folder keeps between runs: the chain, and where things are on it.

use crate::error::PracticeError;
use crate::rpc::parse_quantity;
use alloy_primitives::Address;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;

/// The chain itself, as anvil dumps it.
pub(crate) const CHAIN_FILE: &str = "chain.json.gz";
/// Addresses and ports.
pub(crate) const PLACES_FILE: &str = "practice.json";

/// Empty blocks kept at the end of a loaded chain, for everything that looks a little back.
const KEPT_EMPTY_BLOCKS: u64 = 256;

/// Most bytes of a chain, unpacked.
const MAX_CHAIN_BYTES: u64 = 1 << 30;

/// Where things are, so that a later start finds them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Places {
    /// EIP-155 chain id.
    pub(crate) chain_id: u64,
    /// The USDC proxy.
    pub(crate) usdc: Address,
    /// The chain's last port; tried first, so that addresses stay the same.
    pub(crate) rpc_port: u16,
    /// The shop's last port. A payee is known by its origin, which names the port.
    pub(crate) shop_port: u16,
}

impl Places {
    /// Reads the file; none is there on first start.
    pub(crate) fn load(folder: &Path) -> Result<Option<Places>, PracticeError> {
        let path = folder.join(PLACES_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PracticeError::file(&path, error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| PracticeError::file(&path, error))
    }

    /// Writes the file.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), PracticeError> {
        let path = folder.join(PLACES_FILE);
        let text =
            serde_json::to_vec_pretty(self).map_err(|error| PracticeError::file(&path, error))?;
        replace(&path, &text)
    }
}

/// Writes a file whole or not at all: a crash leaves the old one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), PracticeError> {
    let failed = |error| PracticeError::file(path, error);
    let fresh = path.with_extension("new");
    let mut file = std::fs::File::create(&fresh).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)
}

/// Reads a saved chain and leaves out old empty blocks, which the interval mining piles up:
/// 86 400 a day would make every save slower. Blocks with transactions all stay, and with them
/// receipts and logs.
pub(crate) fn load_chain(path: &Path) -> Result<Option<Vec<u8>>, PracticeError> {
    let failed = |why: String| PracticeError::file(path, why);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut chain: Value = serde_json::from_reader(std::io::BufReader::new(
        GzDecoder::new(file).take(MAX_CHAIN_BYTES),
    ))
    .map_err(|error| failed(error.to_string()))?;
    prune(&mut chain).ok_or_else(|| failed("it is not a saved chain".into()))?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut packed, &chain).map_err(|error| failed(error.to_string()))?;
    packed.finish().map(Some).map_err(|error| failed(error.to_string()))
}

fn prune(chain: &mut Value) -> Option<()> {
    let best = chain.get("best_block_number")?;
    let best = best.as_u64().or_else(|| best.as_str().and_then(parse_quantity))?;
    let blocks = chain.get_mut("blocks")?.as_array_mut()?;
    blocks.retain(|block| {
        let number = block["header"]["number"].as_str().and_then(parse_quantity);
        let empty = block["transactions"].as_array().is_some_and(Vec::is_empty);
        // What is not understood stays.
        !empty || number.is_none_or(|n| n == 0 || n.saturating_add(KEPT_EMPTY_BLOCKS) > best)
    });
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn saved(folder: &Path, chain: &Value) -> std::path::PathBuf {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut packed, chain).expect("packed");
        let path = folder.join(CHAIN_FILE);
        replace(&path, &packed.finish().expect("packed")).expect("written");
        path
    }

    #[test]
    fn old_empty_blocks_are_left_out_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let blocks: Vec<Value> = (0..1000)
            .map(|n| {
                let transactions = if n == 7 { json!([{}]) } else { json!([]) };
                json!({ "header": { "number": format!("{n:#x}") }, "transactions": transactions })
            })
            .collect();
        let path = saved(folder.path(), &json!({ "best_block_number": 999, "blocks": blocks }));
        let packed = load_chain(&path).expect("readable").expect("there");
        let chain: Value = serde_json::from_reader(GzDecoder::new(&packed[..])).expect("JSON");
        let kept: Vec<u64> = chain["blocks"]
            .as_array()
            .expect("blocks")
            .iter()
            .filter_map(|b| parse_quantity(b["header"]["number"].as_str()?))
            .collect();
        assert_eq!(kept.len(), 258, "the first, the one with a transaction, and 256 at the end");
        assert_eq!((kept[0], kept[1], kept[2], kept[257]), (0, 7, 744, 999));
    }

    #[test]
    fn a_damaged_file_is_named_and_a_missing_one_is_a_first_start() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(load_chain(&folder.path().join(CHAIN_FILE)).expect("no error"), None);
        assert_eq!(Places::load(folder.path()).expect("no error"), None);
        let path = saved(folder.path(), &json!({ "blocks": 3 }));
        assert!(load_chain(&path).is_err());
        std::fs::write(&path, b"not gzip").expect("written");
        assert!(load_chain(&path).is_err());
        for bad in ["", "{}", "[]", r#"{"chain_id":1,"usdc":"0x","rpc_port":1,"shop_port":1}"#] {
            std::fs::write(folder.path().join(PLACES_FILE), bad).expect("written");
            assert!(Places::load(folder.path()).is_err(), "{bad:?} was accepted");
        }
        let places = Places { chain_id: 1, usdc: Address::ZERO, rpc_port: 1, shop_port: 2 };
        places.save(folder.path()).expect("written");
        assert_eq!(Places::load(folder.path()).expect("readable"), Some(places));
    }
}
