//! What the books have seen of payees: where each was paid, what it took, and since when.

use crate::error::LedgerError;
use crate::{Ledger, apply, read};
use alloy_primitives::Address;
use imprest_domain::{AssetId, Units};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// The most payees that are read at once.
pub const PAYEES_MAX: u32 = 500;
/// The most things of one payee whose prices are told.
const ITEMS_MAX: i64 = 50;

/// An origin that was paid, or that the owner named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayeeRecord {
    /// Scheme, host and port, or `transfer:0x…` for an address that was sent money.
    pub origin: String,
    /// What it was paid in.
    pub asset: AssetId,
    /// All that it has been paid and the chain has settled.
    pub paid: Units,
    /// What was last paid, once anything was, and for what in the payee's words.
    pub last: Option<(Units, String)>,
    /// The addresses it was paid at or is trusted with, the present one first and then the latest.
    pub addresses: Vec<PayeeAddress>,
    /// The last prices of what it sells, by path.
    pub prices: Vec<ItemPrices>,
}

/// An address of a payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayeeAddress {
    /// The address.
    pub pay_to: Address,
    /// Since when it is known, milliseconds since 1970.
    pub first_seen_ms: i64,
    /// When it was paid or named last, milliseconds since 1970.
    pub last_seen_ms: i64,
}

/// What was paid for one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPrices {
    /// The path that was fetched.
    pub item: String,
    /// The last prices, at most ten, oldest first; never empty.
    pub last: Vec<Units>,
}

impl Ledger {
    /// The payees whose origin or address contains `text`, without regard to case; the latest
    /// first, at most `limit` of them and never more than [`PAYEES_MAX`].
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn payees(
        &self,
        text: Option<&str>,
        limit: u32,
    ) -> Result<Vec<PayeeRecord>, LedgerError> {
        let rows = sqlx::query(
            "SELECT o.origin, o.chain_id, o.contract, o.pay_to, y.last_seen_ms, a.units
             FROM origins o
             JOIN payees y ON y.origin = o.origin AND y.pay_to = o.pay_to
                 AND y.chain_id = o.chain_id AND y.contract = o.contract
             LEFT JOIN accounts a ON a.account = ?1 || o.origin
             WHERE ?2 IS NULL OR instr(lower(o.origin), ?2) OR instr(lower(o.pay_to), ?2)
             ORDER BY y.last_seen_ms DESC, o.origin LIMIT ?3",
        )
        .bind(apply::payee_account(""))
        .bind(text.map(str::to_lowercase))
        .bind(i64::from(limit.clamp(1, PAYEES_MAX)))
        .fetch_all(&self.store.readers)
        .await?;
        let mut payees = Vec::with_capacity(rows.len());
        for row in &rows {
            payees.push(self.payee_of(row).await?);
        }
        Ok(payees)
    }

    async fn payee_of(&self, row: &SqliteRow) -> Result<PayeeRecord, LedgerError> {
        let origin: String = row.try_get("origin")?;
        let contract: String = row.try_get("contract")?;
        let chain_id: i64 = row.try_get("chain_id")?;
        let now: String = row.try_get("pay_to")?;
        let paid: Option<i64> = row.try_get("units")?;
        let rows = sqlx::query(
            "SELECT * FROM payees WHERE origin = ? AND chain_id = ? AND contract = ?
             ORDER BY pay_to = ? DESC, last_seen_ms DESC, pay_to",
        )
        .bind(&origin)
        .bind(chain_id)
        .bind(&contract)
        .bind(now)
        .fetch_all(&self.store.readers)
        .await?;
        let last = match rows.first() {
            Some(row) => last_of(row)?,
            None => None,
        };
        Ok(PayeeRecord {
            asset: AssetId { chain_id: chain_id.unsigned_abs(), contract: address(&contract)? },
            paid: match paid {
                Some(units) => read::units(units)?,
                None => Units::ZERO,
            },
            last,
            addresses: rows.iter().map(address_of).collect::<Result<_, _>>()?,
            prices: self.prices_of(&origin).await?,
            origin,
        })
    }

    async fn prices_of(&self, origin: &str) -> Result<Vec<ItemPrices>, LedgerError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT item, last FROM prices WHERE origin = ? ORDER BY item LIMIT ?")
                .bind(origin)
                .bind(ITEMS_MAX)
                .fetch_all(&self.store.readers)
                .await?;
        let mut items = Vec::with_capacity(rows.len());
        for (item, last) in rows {
            let last: Vec<Units> = serde_json::from_str(&last)
                .map_err(|_| LedgerError::damaged("a list of prices"))?;
            // Prices that were taken back can leave none.
            if !last.is_empty() {
                items.push(ItemPrices { item, last });
            }
        }
        Ok(items)
    }
}

fn last_of(row: &SqliteRow) -> Result<Option<(Units, String)>, LedgerError> {
    let value: Option<i64> = row.try_get("last_value")?;
    let what: Option<String> = row.try_get("last_what")?;
    value.map(|value| Ok((read::units(value)?, what.unwrap_or_default()))).transpose()
}

fn address_of(row: &SqliteRow) -> Result<PayeeAddress, LedgerError> {
    Ok(PayeeAddress {
        pay_to: address(row.try_get("pay_to")?)?,
        first_seen_ms: row.try_get("first_seen_ms")?,
        last_seen_ms: row.try_get("last_seen_ms")?,
    })
}

fn address(text: &str) -> Result<Address, LedgerError> {
    text.parse().map_err(|_| LedgerError::damaged("a payee’s address"))
}
