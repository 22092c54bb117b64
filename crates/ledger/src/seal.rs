//! The vault's name under the log: a keyed hash of its end, written with every commit while the
//! vault is open.
//!
//! The chain of hashes shows that nothing inside the log was changed without redoing the rest;
//! the seal shows that nobody without the vault's key redid it. What is written while the vault is
//! locked stands after the seal, and there no event may stand that gives authority.

use crate::error::LedgerError;
use crate::event::{Event, Head};
use alloy_primitives::B256;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OptionalExtension};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// The key that seals; it comes from the vault and leaves with it.
///
/// It stays where it was first put until it is wiped, so that handing it on leaves no copy behind.
#[derive(PartialEq, Eq)]
pub struct SealKey(Box<Zeroizing<[u8; 32]>>);

impl SealKey {
    /// Takes over 256 bits.
    pub fn new(bytes: [u8; 32]) -> SealKey {
        SealKey::copied(&Zeroizing::new(bytes))
    }

    /// Copies 256 bits from where they are; the source stays its owner's to wipe.
    pub fn copied(source: &[u8; 32]) -> SealKey {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        key.copy_from_slice(source);
        SealKey(key)
    }

    fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Clone for SealKey {
    fn clone(&self) -> SealKey {
        SealKey::copied(self.bytes())
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

/// One seal as it lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) seq: u64,
    pub(crate) hash: B256,
    pub(crate) mac: B256,
}

impl Seal {
    fn of(key: &SealKey, head: &Head) -> Seal {
        let mac = B256::from_slice(&keyed(key, head.seq, &head.hash).finalize().into_bytes());
        Seal { seq: head.seq, hash: head.hash, mac }
    }

    /// Whether the key made it.
    pub(crate) fn is_made_with(&self, key: &SealKey) -> bool {
        keyed(key, self.seq, &self.hash).verify_slice(self.mac.as_slice()).is_ok()
    }

    /// The seal in the file, if there ever was one.
    pub(crate) fn read(conn: &Connection) -> Result<Option<Seal>, LedgerError> {
        let found = conn
            .query_row("SELECT seq, hash, mac FROM seals", [], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .optional()?;
        let Some((seq, hash, mac)) = found else { return Ok(None) };
        let whole = |bytes: Vec<u8>| {
            B256::try_from(bytes.as_slice()).map_err(|_| LedgerError::damaged("a seal"))
        };
        Ok(Some(Seal { seq, hash: whole(hash)?, mac: whole(mac)? }))
    }
}

fn keyed(key: &SealKey, seq: u64, hash: &B256) -> Hmac<Sha256> {
    // HMAC takes a key of any length; one shorter than a block is filled up with zeros (RFC 2104).
    let mut block = Zeroizing::new([0_u8; 64]);
    block[..32].copy_from_slice(key.bytes());
    let block: &[u8; 64] = &block;
    let mut mac = Hmac::<Sha256>::new(block.into());
    mac.update(b"imprest head v1\0");
    mac.update(&seq.to_be_bytes());
    mac.update(hash.as_slice());
    mac
}

/// The writer's side: whether it can seal, and up to where it has.
pub(crate) struct Seals {
    key: Option<SealKey>,
    last: Option<Seal>,
}

impl Seals {
    pub(crate) fn read(conn: &Connection) -> Result<Seals, LedgerError> {
        Ok(Seals { key: None, last: Seal::read(conn)? })
    }

    /// Takes the key while the vault is open, or lets go of it.
    pub(crate) fn set_key(&mut self, key: Option<SealKey>) {
        self.key = key;
    }

    /// The key, while the vault is open.
    pub(crate) fn key(&self) -> Option<SealKey> {
        self.key.clone()
    }

    /// Whether an event may be written now: once a vault has sealed these books, what gives
    /// authority is written only while it is open.
    pub(crate) fn allow(&self, event: &Event) -> Result<(), LedgerError> {
        if self.last.is_some() && self.key.is_none() && event.needs_the_vault() {
            return Err(LedgerError::Locked);
        }
        Ok(())
    }

    /// Whether the end of the log is not under the seal though it could be.
    pub(crate) fn pending(&self, head: &Head) -> bool {
        self.key.is_some() && self.last.is_none_or(|last| last.seq != head.seq)
    }

    /// Seals the log's end in the transaction under way.
    pub(crate) fn write(&mut self, conn: &Connection, head: &Head) -> Result<(), LedgerError> {
        let Some(key) = &self.key else { return Ok(()) };
        let seal = Seal::of(key, head);
        conn.prepare_cached(
            "INSERT INTO seals (only_row, seq, hash, mac) VALUES (1, ?, ?, ?)
             ON CONFLICT (only_row) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac",
        )?
        .execute((seal.seq, seal.hash.as_slice(), seal.mac.as_slice()))?;
        self.last = Some(seal);
        Ok(())
    }
}
