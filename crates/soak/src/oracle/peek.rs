//! A look into the file beside the ledger: what its tables say, read by nothing of the ledger's.

use super::books::{Books, Holder, Label};
use super::world::{AGENTS, GROUPS, PayeeKey};
use imprest_domain::{AgentId, SharedId, Window};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::Path;

/// A connection of its own that only reads.
pub struct Peek(Connection);

/// The names the product gave.
#[derive(Debug, Clone)]
pub struct Names {
    pub agents: [AgentId; AGENTS],
    pub groups: [SharedId; GROUPS],
}

impl Names {
    /// The name of a holder.
    pub fn of(&self, holder: Holder) -> &str {
        match holder {
            Holder::Agent(agent) => self.agents[agent].as_str(),
            Holder::Group(group) => self.groups[group].as_str(),
        }
    }
}

impl Peek {
    /// Opens the file for reading.
    pub fn open(path: &Path) -> rusqlite::Result<Peek> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        conn.busy_timeout(std::time::Duration::from_secs(5))?;
        Ok(Peek(conn))
    }

    /// What an account holds.
    pub fn account(&self, account: &str) -> rusqlite::Result<i128> {
        let found: Option<i64> = self
            .0
            .prepare_cached("SELECT units FROM accounts WHERE account = ?")?
            .query_row([account], |row| row.get(0))
            .optional()?;
        Ok(found.unwrap_or(0).into())
    }

    /// What all accounts hold together: nothing, when every entry has two sides.
    pub fn all_accounts(&self) -> rusqlite::Result<i64> {
        self.0
            .prepare_cached("SELECT coalesce(sum(units), 0) FROM accounts")?
            .query_row([], |row| row.get(0))
    }

    /// A counter: settled and reserved.
    pub fn counter(
        &self,
        holder: &str,
        kind: Window,
        label: &str,
    ) -> rusqlite::Result<(u128, u128)> {
        let found: Option<(i64, i64)> = self
            .0
            .prepare_cached(
                "SELECT settled, held FROM counters WHERE holder = ? AND span = ? AND label = ?",
            )?
            .query_row((holder, kind.word(), label), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (settled, held) = found.unwrap_or((0, 0));
        Ok((settled.unsigned_abs().into(), held.unsigned_abs().into()))
    }

    /// Everything in a holder's counters of a kind whose label starts so, one by one.
    pub fn counters_from(
        &self,
        holder: &str,
        kind: Window,
        from: &str,
    ) -> rusqlite::Result<Vec<(String, u128)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT label, settled + held FROM counters WHERE holder = ? AND span = ? AND label >= ?",
        )?;
        let rows = statement.query_map((holder, kind.word(), from), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs().into()))
        })?;
        let all: Vec<(String, u128)> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(all.into_iter().filter(|(label, _)| label.starts_with(from)).collect())
    }
}

impl Label {
    /// The label as the product writes it.
    pub fn text(&self) -> String {
        match self.payee {
            None => self.first.to_string(),
            Some(payee) => format!("{} {}", self.first, payee_text(payee)),
        }
    }
}

fn payee_text((origin, address, foreign): PayeeKey) -> String {
    let item = super::world::Item { origin, address, path: 0, foreign };
    let payee = item.payee();
    format!("{} {}", payee.origin, payee.pay_to)
}

/// What the file says otherwise than the oracle: balances, and every current window of everybody.
pub fn differs(peek: &Peek, names: &Names, books: &Books) -> rusqlite::Result<Option<String>> {
    for agent in 0..AGENTS {
        let (free, held, paid) = books.balance(agent);
        let name = &names.agents[agent];
        let found =
            (peek.account(&format!("float/{name}"))?, peek.account(&format!("held/{name}"))?);
        if found != (free as i128, held as i128) {
            return Ok(Some(format!("{name} has {found:?}, not {:?}", (free, held))));
        }
        let lifetime = peek.counter(name.as_str(), Window::Lifetime, "all")?;
        if lifetime != (paid, held) {
            return Ok(Some(format!("{name} spent {lifetime:?}, not {:?}", (paid, held))));
        }
    }
    for holder in Books::all_holders() {
        let zone = books.account(holder).limits.zone;
        for kind in [Window::Day, Window::Week, Window::Month, Window::NewPayeeDay] {
            let label = Books::label(kind, zone, books.now_ms(), (0, 0, false));
            let (found, expected) =
                (peek.counter(names.of(holder), kind, &label.text())?, books.used(holder, &label));
            if found != expected {
                return Ok(Some(format!(
                    "{holder:?} has {found:?} in {} {}, not {expected:?}",
                    kind.word(),
                    label.text()
                )));
            }
        }
    }
    let sum = peek.all_accounts()?;
    Ok((sum != 0).then(|| format!("all accounts together hold {sum}")))
}
