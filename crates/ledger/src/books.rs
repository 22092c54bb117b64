//! The books in memory: what the log adds up to, as far as it is at hand.
//!
//! The writer has them over its file: a row is read once, changed here, and written with its
//! group. A migration has them over nothing, and so holds all that the log adds up to. A proof
//! has them over nothing too, but lets go of rows that will not change any more (`proof.rs`).

use crate::error::LedgerError;
use crate::proof::Proof;
use crate::rows::*;
use crate::table::{Names, One, Row, Table};
use imprest_domain::{AgentId, PaymentId, SharedId};
use rusqlite::Connection;
use rusqlite::types::ToSqlOutput;

/// How many rows of one kind stay in memory between two groups.
const ROWS_KEPT: usize = 20_000;

/// What the log adds up to.
pub(crate) struct Books {
    pub(crate) tables: Tables,
    /// Where rows come from that are not in memory; nowhere in a replay.
    pub(crate) disk: Option<Connection>,
    /// Where a replay compares rows as they become final.
    pub(crate) proof: Option<Proof>,
}

/// The table of one kind of row.
pub(crate) trait Holds<R: Row> {
    fn table(&mut self) -> &mut Table<R>;
    fn table_ref(&self) -> &Table<R>;
}

macro_rules! tables {
    ($($field:ident: $row:ident),* $(,)?) => {
        #[derive(Default)]
        pub(crate) struct Tables { $(pub(crate) $field: Table<$row>),* }

        impl Tables {
            /// Tables of which nothing is written and nothing taken back.
            fn without_journal() -> Tables {
                Tables { $($field: Table::without_journal()),* }
            }
        }

        $(impl Holds<$row> for Tables {
            fn table(&mut self) -> &mut Table<$row> {
                &mut self.$field
            }
            fn table_ref(&self) -> &Table<$row> {
                &self.$field
            }
        })*

        impl Books {
            /// The job is done.
            pub(crate) fn keep(&mut self) {
                $(self.tables.$field.keep();)*
            }

            /// The job failed: memory is as it was before it.
            pub(crate) fn take_back(&mut self) {
                $(self.tables.$field.take_back();)*
            }

            /// Forgets everything that is in memory.
            pub(crate) fn forget(&mut self) {
                $(self.tables.$field.clear();)*
            }

            /// Writes every changed row into the transaction under way.
            pub(crate) fn flush(&mut self) -> Result<(), LedgerError> {
                let Some(disk) = &self.disk else { return Ok(()) };
                $(write_changed(disk, &mut self.tables.$field)?;)*
                Ok(())
            }

            /// Writes every row in memory that has changed into another file's transaction.
            pub(crate) fn write_all(&mut self, file: &Connection) -> Result<(), LedgerError> {
                $(write_changed(file, &mut self.tables.$field)?;)*
                Ok(())
            }

            /// Compares every table with the same table on a disk, but for those that a proof
            /// has compared already; one sentence a difference.
            pub(crate) fn compare(&self, disk: &Connection) -> Result<Vec<String>, LedgerError> {
                let mut faults = Vec::new();
                $(if !Proof::covers($row::TABLE) {
                    faults.extend(differs(disk, &self.tables.$field)?);
                })*
                Ok(faults)
            }
        }
    };
}

tables! {
    desk: DeskRow,
    agents: AgentRow,
    shared_budgets: SharedRow,
    payments: PaymentRow,
    client_keys: ClientKeyRow,
    counters: CounterRow,
    hours: HourRow,
    entries: EntryRow,
    accounts: AccountRow,
    payees: PayeeRow,
    origins: OriginRow,
    prices: PriceRow,
    approvals: ApprovalRow,
    refills: RefillRow,
    sweeps: SweepRow,
    hosts: HostRow,
    receipts: ReceiptRow,
    strangers: StrangerRow,
    signals: SignalRow,
    tallies: TallyRow,
    nonces: NonceRow,
}

impl Books {
    /// Books over nothing, which hold everything.
    pub(crate) fn empty() -> Books {
        Books { tables: Tables::default(), disk: None, proof: None }
    }

    /// Books over nothing that are compared with a file while they grow.
    pub(crate) fn proving(proof: Proof) -> Books {
        Books { tables: Tables::without_journal(), disk: None, proof: Some(proof) }
    }

    /// Books over a file, with everything in memory that a decision may have to look through.
    pub(crate) fn over(disk: Connection) -> Result<Books, LedgerError> {
        let mut books = Books { tables: Tables::default(), disk: Some(disk), proof: None };
        books.load_resident()?;
        Ok(books)
    }

    /// Agents, shared budgets, unfinished payments and signals that are not over: few, and looked
    /// through as a whole, so they are in memory always.
    pub(crate) fn load_resident(&mut self) -> Result<(), LedgerError> {
        self.load::<AgentRow>("1")?;
        self.load::<SharedRow>("1")?;
        self.load::<PaymentRow>("state IN ('waiting', 'held', 'delivered', 'unknown')")?;
        // What waits for an answer waits for ever, and there is one of each kind for a subject. A
        // price that jumped counts for a day, and what is counted for a burst is counted from the
        // last answer on: a week is more than both, also when the owner sets the clock back.
        self.load::<SignalRow>(
            "(ack_ms IS NULL AND kind <> 'price_jumped') OR max(at_ms, coalesce(ack_ms, at_ms))
                 > (SELECT at_ms FROM events ORDER BY seq DESC LIMIT 1) - 604800000",
        )
    }

    fn load<R: Row>(&mut self, which: &str) -> Result<(), LedgerError>
    where
        Tables: Holds<R>,
    {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut statement = disk.prepare(&format!("{} WHERE {which}", R::sql().all))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let row = R::read(row)?;
            self.tables.table().learn(row.key(), Some(row));
        }
        Ok(())
    }

    /// Brings the row of a key into memory, if there is one.
    fn bring<R: Row>(&mut self, key: &impl Names<R::Key>) -> Result<(), LedgerError>
    where
        Tables: Holds<R>,
    {
        if Holds::<R>::table_ref(&self.tables).peek(key).is_none()
            && let Some(disk) = &self.disk
        {
            let key = key.to_key();
            let found = select::<R>(disk, &key)?;
            self.tables.table().learn(key, found);
        }
        Ok(())
    }

    /// The row of a key, copied.
    pub(crate) fn get<R: Row>(&mut self, key: R::Key) -> Result<Option<R>, LedgerError>
    where
        Tables: Holds<R>,
    {
        Ok(self.find::<R>(&key)?.cloned())
    }

    /// The row of a key.
    pub(crate) fn find<R: Row>(
        &mut self,
        key: &impl Names<R::Key>,
    ) -> Result<Option<&R>, LedgerError>
    where
        Tables: Holds<R>,
    {
        self.bring::<R>(key)?;
        Ok(Holds::<R>::table_ref(&self.tables).peek(key).flatten())
    }

    /// The row of a key, to be changed where it is.
    pub(crate) fn edit<R: Row>(
        &mut self,
        key: &impl Names<R::Key>,
    ) -> Result<Option<&mut R>, LedgerError>
    where
        Tables: Holds<R>,
    {
        self.bring::<R>(key)?;
        Ok(Holds::<R>::table(&mut self.tables).edit(key))
    }

    /// The row of a key, to be changed where it is; made first if there is none.
    pub(crate) fn edit_or_make<R: Row>(
        &mut self,
        key: &impl Names<R::Key>,
        make: impl FnOnce() -> R,
    ) -> Result<&mut R, LedgerError>
    where
        Tables: Holds<R>,
    {
        if self.find::<R>(key)?.is_none() {
            self.put(make());
        }
        Holds::<R>::table(&mut self.tables)
            .edit(key)
            .ok_or_else(|| LedgerError::damaged("a row under another key than its own"))
    }

    /// Puts a row in place of any other of its key.
    pub(crate) fn put<R: Row>(&mut self, row: R)
    where
        Tables: Holds<R>,
    {
        self.tables.table().put(row.key(), Some(row));
    }

    /// Takes a row away.
    pub(crate) fn remove<R: Row>(&mut self, key: R::Key)
    where
        Tables: Holds<R>,
    {
        Holds::<R>::table(&mut self.tables).put(key, None);
    }

    /// All rows of a kind that are in memory.
    pub(crate) fn at_hand<'b, R: Row + 'b>(&'b self) -> impl Iterator<Item = &'b R>
    where
        Tables: Holds<R>,
    {
        Holds::<R>::table_ref(&self.tables).values()
    }

    /// The desk's own row.
    pub(crate) fn desk(&mut self) -> Result<DeskRow, LedgerError> {
        let row = self.get::<DeskRow>((1,))?;
        Ok(row.unwrap_or(DeskRow::FRESH))
    }

    /// One agent, or that there is none.
    pub(crate) fn agent(&mut self, agent: &AgentId) -> Result<AgentRow, LedgerError> {
        self.get::<AgentRow>((agent.clone(),))?
            .ok_or_else(|| LedgerError::NoAgent { name: agent.to_string() })
    }

    /// One shared budget, or that there is none.
    pub(crate) fn shared(&mut self, shared: &SharedId) -> Result<SharedRow, LedgerError> {
        self.get::<SharedRow>((shared.clone(),))?
            .ok_or_else(|| LedgerError::NoShared { name: shared.to_string() })
    }

    /// One payment, or that there is none.
    pub(crate) fn payment(&mut self, payment: &PaymentId) -> Result<PaymentRow, LedgerError> {
        self.bring_payment(payment)?;
        let row = self.tables.payments.peek(&One(payment)).flatten();
        row.cloned().ok_or_else(|| LedgerError::NoPayment { payment: payment.clone() })
    }

    /// One payment, to be changed and put back.
    pub(crate) fn lift_payment(&mut self, payment: &PaymentId) -> Result<PaymentRow, LedgerError> {
        self.bring_payment(payment)?;
        let row = self.tables.payments.lift(&One(payment));
        row.ok_or_else(|| LedgerError::NoPayment { payment: payment.clone() })
    }

    fn bring_payment(&mut self, payment: &PaymentId) -> Result<(), LedgerError> {
        self.bring::<PaymentRow>(&One(payment))?;
        if let Some(proof) = &mut self.proof
            && self.tables.payments.peek(&One(payment)).is_none()
            && let Some(row) = proof.take_up_again(payment)?
        {
            self.tables.payments.learn(row.key(), Some(row));
        }
        Ok(())
    }

    /// The rolling hours of all holders.
    pub(crate) fn hours(&mut self) -> Result<Vec<HourRow>, LedgerError> {
        let mut holders: Vec<String> =
            self.at_hand::<HourRow>().map(|row| row.holder.clone()).collect();
        if let Some(disk) = &self.disk {
            let mut statement = disk.prepare("SELECT holder FROM hours")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                holders.push(row.get(0)?);
            }
        }
        holders.sort_unstable();
        holders.dedup();
        let mut hours = Vec::with_capacity(holders.len());
        for holder in holders {
            hours.extend(self.get::<HourRow>((holder,))?);
        }
        Ok(hours)
    }

    /// The counters of one holder and kind whose label starts with a text.
    pub(crate) fn counters_from(
        &mut self,
        holder: &str,
        span: imprest_domain::Window,
        prefix: &str,
    ) -> Result<Vec<CounterRow>, LedgerError> {
        let mut keys: Vec<_> = self
            .at_hand::<CounterRow>()
            .filter(|row| row.holder == holder && row.span == span && row.label.starts_with(prefix))
            .map(Row::key)
            .collect();
        if let Some(disk) = &self.disk {
            let mut statement = disk.prepare_cached(
                "SELECT label FROM counters WHERE holder = ? AND span = ? AND label >= ? ORDER BY label",
            )?;
            let mut rows = statement.query((holder, span.word(), prefix))?;
            while let Some(row) = rows.next()? {
                let label: String = row.get(0)?;
                if !label.starts_with(prefix) {
                    break;
                }
                keys.push((holder.to_owned(), span, label));
            }
        }
        keys.sort_by(|a, b| a.2.cmp(&b.2));
        keys.dedup();
        let mut counters = Vec::with_capacity(keys.len());
        for key in keys {
            counters.extend(self.get::<CounterRow>(key)?);
        }
        Ok(counters)
    }

    /// Lets go of what is written and not looked through, once there is much of it.
    pub(crate) fn thin_out(&mut self) {
        let tables = &mut self.tables;
        if tables.payments.len() > ROWS_KEPT {
            tables.payments.retain(|row| !row.state.is_final());
        }
        thin(&mut tables.client_keys);
        thin(&mut tables.counters);
        thin(&mut tables.entries);
        thin(&mut tables.accounts);
        thin(&mut tables.payees);
        thin(&mut tables.origins);
        thin(&mut tables.prices);
        thin(&mut tables.approvals);
        thin(&mut tables.refills);
        thin(&mut tables.sweeps);
        thin(&mut tables.receipts);
        thin(&mut tables.tallies);
        thin(&mut tables.nonces);
    }
}

fn thin<R: Row>(table: &mut Table<R>) {
    if table.len() > ROWS_KEPT {
        table.clear();
    }
}

/// Reads one row.
pub(crate) fn select<R: Row>(disk: &Connection, key: &R::Key) -> Result<Option<R>, LedgerError> {
    let mut statement = disk.prepare_cached(&R::sql().select)?;
    bind(&mut statement, R::key_cells(key))?;
    let mut rows = statement.raw_query();
    rows.next()?.map(R::read).transpose()
}

fn write_changed<R: Row>(disk: &Connection, table: &mut Table<R>) -> Result<(), LedgerError> {
    let changed = table.drain_changed();
    for key in &changed {
        match table.peek(key).flatten() {
            Some(row) => {
                let mut statement = disk.prepare_cached(&R::sql().upsert)?;
                bind(&mut statement, row.cells())?;
                statement.raw_execute()?;
            }
            None => {
                let mut statement = disk.prepare_cached(&R::sql().delete)?;
                bind(&mut statement, R::key_cells(key))?;
                statement.raw_execute()?;
            }
        }
    }
    Ok(())
}

pub(crate) fn bind(
    statement: &mut rusqlite::CachedStatement<'_>,
    cells: Vec<ToSqlOutput<'_>>,
) -> Result<(), LedgerError> {
    for (at, cell) in cells.into_iter().enumerate() {
        statement.raw_bind_parameter(at + 1, cell)?;
    }
    Ok(())
}

/// The sentence that says so.
pub(crate) fn not_the_sum<R: Row>(what: String) -> String {
    format!("The table {} is not what the log adds up to: {what}.", R::TABLE)
}

/// What differs between a table in memory that holds everything, and the same on a disk.
fn differs<R: Row>(disk: &Connection, table: &Table<R>) -> Result<Option<String>, LedgerError> {
    let wrong = |what: String| Ok(Some(not_the_sum::<R>(what)));
    let mut statement = disk.prepare(&R::sql().all)?;
    let mut rows = statement.query([])?;
    let mut seen = 0_usize;
    while let Some(row) = rows.next()? {
        let Ok(live) = R::read(row) else {
            return wrong("a row of it cannot be read".into());
        };
        match table.peek(&live.key()).flatten() {
            Some(replayed) if *replayed == live => seen += 1,
            Some(replayed) => return wrong(format!("“{live:?}” instead of “{replayed:?}”")),
            None => return wrong(format!("“{live:?}”, which no event made")),
        }
    }
    let expected = table.values().count();
    if seen == expected { Ok(None) } else { wrong(format!("{seen} rows instead of {expected}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::Place;
    use crate::event::Order;
    use alloy_primitives::{Address, B256};
    use imprest_domain::{AssetId, Intent, Payee, PaymentState, Units};

    fn payment(number: usize, state: PaymentState) -> PaymentRow {
        let asset = AssetId { chain_id: 1, contract: Address::ZERO };
        let order = Order {
            intent: Intent {
                agent: AgentId::from_tail("1").unwrap(),
                payee: Payee { origin: String::new(), pay_to: Address::ZERO, asset },
                value: Units::ZERO,
                agent_max: None,
                for_other_resource: false,
            },
            client_key: None,
            request_sha256: B256::ZERO,
            url: String::new(),
            method: String::new(),
            what: String::new(),
            purpose: None,
            task: None,
            offer: String::new(),
            max_timeout_s: 60,
            nonce: None,
            gas: None,
            kept_request: None,
            credential: None,
        };
        let payment = PaymentId::from_tail(&number.to_string()).unwrap();
        PaymentRow::begun(payment, order, state, Place { seq: number as u64, at_ms: 0 })
    }

    fn learn<R: Row>(books: &mut Books, row: R)
    where
        Tables: Holds<R>,
    {
        books.tables.table().learn(row.key(), Some(row));
    }

    /// What is looked through as a whole must never be let go of, or a hold would be forgotten
    /// where open holds are added up; what is over is read again when somebody asks.
    #[test]
    fn what_is_open_stays_in_memory_however_much_there_was() {
        use PaymentState::{Delivered, Held, Settled, Unknown, Waiting};
        let mut books = Books::empty();
        let open = [Waiting, Held, Delivered, Unknown];
        for (number, state) in open.into_iter().enumerate() {
            learn(&mut books, payment(number, state));
        }
        for number in open.len()..ROWS_KEPT {
            learn(&mut books, payment(number, Settled));
        }
        books.thin_out();
        assert_eq!(books.at_hand::<PaymentRow>().count(), ROWS_KEPT, "there is room for them");
        learn(&mut books, payment(ROWS_KEPT, Settled));
        books.thin_out();
        let mut left: Vec<_> = books.at_hand::<PaymentRow>().collect();
        left.sort_unstable_by_key(|row| row.seq);
        assert_eq!(left.iter().map(|row| row.state).collect::<Vec<_>>(), open);
    }

    #[test]
    fn what_is_not_looked_through_is_let_go_of_once_there_is_much_of_it() {
        let account = |number: usize| AccountRow { account: number.to_string(), units: 0 };
        let mut books = Books::empty();
        for number in 0..ROWS_KEPT {
            learn(&mut books, account(number));
        }
        books.thin_out();
        assert_eq!(books.at_hand::<AccountRow>().count(), ROWS_KEPT, "there is room for them");
        learn(&mut books, account(ROWS_KEPT));
        books.thin_out();
        assert_eq!(books.at_hand::<AccountRow>().count(), 0);
    }
}
