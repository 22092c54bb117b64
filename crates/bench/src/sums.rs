//! What the payments of a history add up to, kept while they are written.

use crate::orders;
use alloy_primitives::Address;
use anyhow::{Context, Result};
use imprest_domain::{AgentId, HourUse, Payee, Units, Window};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;

/// One payment that was paid, as far as sums care.
pub struct Paid<'p> {
    /// Who paid.
    pub agent: &'p AgentId,
    /// Whom.
    pub payee: &'p Payee,
    /// How much.
    pub value: Units,
    /// For what, in the payee's words.
    pub what: &'p str,
    /// The path that was fetched.
    pub item: &'p str,
    /// The counters its hold lay in: kind of window and label.
    pub spans: &'p [(Window, String)],
    /// When the chain said so, milliseconds since 1970.
    pub at_ms: i64,
}

/// What a payee was paid last.
struct LastPaid {
    value: Units,
    what: String,
    at_ms: i64,
}

/// Running sums over a history.
#[derive(Default)]
pub struct Sums {
    payments: u64,
    last_ms: BTreeMap<AgentId, i64>,
    settled: BTreeMap<(AgentId, Window, String), i64>,
    hours: BTreeMap<AgentId, HourUse>,
    accounts: BTreeMap<String, i64>,
    payees: BTreeMap<(String, Address), LastPaid>,
    prices: BTreeMap<(String, String), Vec<Units>>,
}

impl Sums {
    /// Counts a payment that was asked for, whatever became of it.
    pub fn asked(&mut self, agent: &AgentId, at_ms: i64) {
        self.payments += 1;
        match self.last_ms.get_mut(agent) {
            Some(last) => *last = at_ms,
            None => drop(self.last_ms.insert(agent.clone(), at_ms)),
        }
    }

    /// Counts a payment that was held and settled.
    ///
    /// # Errors
    /// When a sum passes all limits, or a minute is no number.
    pub fn paid(&mut self, paid: &Paid<'_>) -> Result<()> {
        let units = paid.value.as_i64();
        for (window, label) in paid.spans {
            if *window == Window::Hour {
                let hour = self.hours.entry(paid.agent.clone()).or_default();
                hour.add(label.parse()?, paid.value).context("an hour past all limits")?;
                continue;
            }
            *self.settled.entry((paid.agent.clone(), *window, label.clone())).or_default() += units;
        }
        let origin = &paid.payee.origin;
        *self.accounts.entry(format!("float/{}", paid.agent)).or_default() -= units;
        *self.accounts.entry(format!("held/{}", paid.agent)).or_default() += 0;
        *self.accounts.entry(format!("payee/{origin}")).or_default() += units;
        let last = LastPaid { value: paid.value, what: paid.what.to_owned(), at_ms: paid.at_ms };
        self.payees.insert((origin.clone(), paid.payee.pay_to), last);
        let prices = self.prices.entry((origin.clone(), paid.item.to_owned())).or_default();
        prices.push(paid.value);
        if prices.len() > 10 {
            prices.remove(0);
        }
        Ok(())
    }

    /// Writes the sums over what the ledger's own first pages left in these tables.
    ///
    /// # Errors
    /// When the file does not take them.
    pub fn write(&self, conn: &Connection) -> Result<()> {
        conn.execute(
            "INSERT INTO desk (only_row, frozen, payments, account) VALUES (1, 0, ?, 0)
             ON CONFLICT (only_row) DO UPDATE SET payments = payments + excluded.payments",
            [self.payments],
        )?;
        for (agent, at_ms) in &self.last_ms {
            conn.execute("UPDATE agents SET last_ms = ? WHERE agent = ?", (at_ms, agent.as_str()))?;
        }
        let mut counter = conn.prepare(
            "INSERT INTO counters (holder, span, label, held, settled) VALUES (?, ?, ?, 0, ?)",
        )?;
        for ((agent, window, label), units) in &self.settled {
            counter.execute((agent.as_str(), window.word(), label, units))?;
        }
        for (agent, hour) in &self.hours {
            let minutes = serde_json::to_string(hour)?;
            conn.execute(
                "INSERT INTO hours (holder, minutes) VALUES (?, ?)",
                (agent.as_str(), minutes),
            )?;
        }
        self.write_accounts(conn)?;
        self.write_payees(conn)
    }

    fn write_accounts(&self, conn: &Connection) -> Result<()> {
        for (account, change) in &self.accounts {
            let before: Option<i64> = conn
                .query_row("SELECT units FROM accounts WHERE account = ?", [account], |row| {
                    row.get(0)
                })
                .optional()?;
            conn.execute(
                "INSERT OR REPLACE INTO accounts (account, units) VALUES (?, ?)",
                (account, before.unwrap_or(0) + change),
            )?;
        }
        Ok(())
    }

    fn write_payees(&self, conn: &Connection) -> Result<()> {
        for ((origin, pay_to), last) in &self.payees {
            let changed = conn.execute(
                "UPDATE payees SET last_seen_ms = ?, last_value = ?, last_what = ?
                 WHERE origin = ? AND pay_to = ? AND chain_id = ?",
                (
                    last.at_ms,
                    last.value.as_i64(),
                    &last.what,
                    origin,
                    pay_to.to_string(),
                    orders::usdc().id.chain_id,
                ),
            )?;
            anyhow::ensure!(changed == 1, "the payee {origin} is not in the books");
        }
        for ((origin, item), last) in &self.prices {
            conn.execute(
                "INSERT INTO prices (origin, item, last) VALUES (?, ?, ?)",
                (origin, item, serde_json::to_string(last)?),
            )?;
        }
        Ok(())
    }
}
