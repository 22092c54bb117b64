//! What is done with the ledger while its disk fails, and what the ledger said of it.

use super::world::{add_agent, budget, order, shop, stranger, units};
use crate::chance::Chance;
use crate::oracle::{seal_key, usdc};
use crate::proof::Figures;
use alloy_primitives::{Address, B256};
use futures::future::join_all;
use imprest_domain::{AgentId, ApprovalId, Danger, PaymentId, PaymentState, Units};
use imprest_ledger::{
    Approved, Delivery, Grant, Head, Ledger, LedgerError, Order, PaymentFilter, Reserved,
};
use jiff::SignedDuration;
use std::collections::BTreeMap;

/// What was seen otherwise than promised, in a sentence.
pub(super) type Seen<T = ()> = Result<T, String>;

/// How many agents there are.
const AGENTS: usize = 2;
/// How long a question waits; longer than any story takes.
const QUESTION: SignedDuration = SignedDuration::from_hours(1);
/// A body so large that writing it fills the write-ahead log, and the next commit folds it in.
const LARGE_BYTES: usize = 4_500_000;
/// How many steps are taken after the writer stopped, to hear it say so.
const STEPS_STOPPED: u32 = 2;
/// The mark that only ever grows.
pub(super) const MARK: &str = "soak";

/// What the ledger said of one payment.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    pub(super) agent: AgentId,
    pub(super) value: Units,
    /// The state that was promised, then those that a failed write may have led to all the same.
    pub(super) may: Vec<PaymentState>,
}

/// What the ledger said of one agent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Account {
    /// The highest limit that was ever asked for.
    pub(super) limit: u64,
    /// What was put into its float for certain, and what perhaps.
    pub(super) funds: u64,
    pub(super) funds_in_doubt: u64,
}

/// A payment whose money is held, with its grant as long as nothing was signed.
struct Hold {
    payment: PaymentId,
    grant: Option<Grant>,
}

struct Question {
    payment: PaymentId,
    approval: ApprovalId,
    order: Order,
}

/// What was done, and what the ledger promised.
pub(super) struct Story {
    pub(super) chance: Chance,
    pub(super) accounts: BTreeMap<AgentId, Account>,
    pub(super) payments: BTreeMap<PaymentId, Promise>,
    pub(super) keys: BTreeMap<(AgentId, String), PaymentId>,
    pub(super) head: Head,
    /// Whether a seal is under the log for certain.
    pub(super) sealed: bool,
    /// Whether this session's ledger has taken the vault's key.
    pub(super) unlocked: bool,
    /// Whether all payments are stopped: what was promised, then what may be.
    pub(super) frozen: Vec<bool>,
    pub(super) mark: u64,
    /// Whether this session's writer said that it has stopped.
    pub(super) stopped: bool,
    /// Whether something large is written at times.
    pub(super) large: bool,
    pub(super) figures: Figures,
    holds: Vec<Hold>,
    questions: Vec<Question>,
    /// The last number given; none is given twice.
    last: u64,
}

impl Story {
    pub(super) fn new(seed: u64) -> Story {
        Story {
            chance: Chance::new(seed),
            accounts: BTreeMap::new(),
            payments: BTreeMap::new(),
            keys: BTreeMap::new(),
            head: Head::EMPTY,
            sealed: false,
            unlocked: false,
            frozen: vec![false],
            mark: 0,
            stopped: false,
            large: false,
            figures: Figures::default(),
            holds: Vec::new(),
            questions: Vec::new(),
            last: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes down what a write said; its value, if it was done.
    pub(super) fn wrote<T>(
        &mut self,
        ledger: &Ledger,
        doing: &str,
        answer: Result<T, LedgerError>,
    ) -> Seen<Option<T>> {
        match answer {
            Ok(_) if self.stopped => Err(format!("{doing}: the writer had stopped, and wrote")),
            Ok(done) => {
                self.head = ledger.head();
                self.figures.count("promises");
                Ok(Some(done))
            }
            Err(LedgerError::Stopped { why }) if why.contains("closing") => {
                Err(format!("{doing}: the writer is gone without a word"))
            }
            Err(LedgerError::Stopped { .. }) => {
                self.stopped = true;
                self.figures.count("errors: stopped");
                Ok(None)
            }
            Err(other) if self.stopped => {
                Err(format!("{doing}: the writer had stopped, and said “{other}”"))
            }
            Err(LedgerError::DiskFull) => {
                self.figures.count("errors: disk full");
                Ok(None)
            }
            Err(LedgerError::Database(_) | LedgerError::Unsound(_)) => {
                self.figures.count("errors: unread");
                Ok(None)
            }
            Err(other) => Err(format!("{doing}: {other}")),
        }
    }

    /// Takes down what a read said; its value, if the disk gave it.
    fn read<T>(&mut self, doing: &str, answer: Result<T, LedgerError>) -> Seen<Option<T>> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(LedgerError::Database(_) | LedgerError::Unsound(_) | LedgerError::DiskFull) => {
                Ok(None)
            }
            // A search brings its index up to date first, and so may be the first to hear of it.
            Err(LedgerError::Stopped { .. }) => {
                self.stopped = true;
                Ok(None)
            }
            Err(other) => Err(format!("{doing}: {other}")),
        }
    }

    /// Opens the books for a session: the seal, the agents, some money, nothing frozen. A session
    /// whose disk does not let the seal be read stays locked, and nothing is told in it.
    pub(super) async fn begin(&mut self, ledger: &Ledger) -> Seen {
        (self.stopped, self.unlocked) = (false, false);
        self.holds.clear();
        self.questions.clear();
        let opened = ledger.open_seal(seal_key(), self.sealed).await;
        if self.wrote(ledger, "open_seal", opened)?.is_none() {
            return Ok(());
        }
        (self.sealed, self.unlocked) = (true, true);
        for _ in self.accounts.len()..AGENTS {
            if self.stopped {
                break;
            }
            let (number, limit) = (self.next(), self.chance.between(20, 60));
            let added = add_agent(ledger, number, units(limit)).await;
            if let Some(agent) = self.wrote(ledger, "add_agent", added)? {
                let account = Account { limit, ..Account::default() };
                self.accounts.insert(agent.id.clone(), account);
                self.fund(ledger, agent.id).await?;
            }
        }
        let trusted = ledger.trust_payee(shop()).await;
        self.wrote(ledger, "trust_payee", trusted)?;
        self.thaw(ledger).await
    }

    /// So many steps, unless the writer stops.
    pub(super) async fn tell(&mut self, ledger: &Ledger, steps: u32) -> Seen {
        let mut after = 0;
        for _ in 0..steps {
            if !self.unlocked || self.accounts.is_empty() || after >= STEPS_STOPPED {
                break;
            }
            self.step(ledger).await?;
            after += u32::from(self.stopped);
        }
        Ok(())
    }

    async fn step(&mut self, ledger: &Ledger) -> Seen {
        match self.chance.below(14) {
            0..=4 => self.together(ledger).await,
            5..=7 => self.finish(ledger).await,
            8 => self.answer(ledger).await,
            9 => self.raise(ledger).await,
            10 => self.beside(ledger).await,
            11 => self.freeze(ledger).await,
            12 => self.again(ledger).await,
            _ => self.acknowledge(ledger).await,
        }
    }

    fn agent(&mut self) -> Option<AgentId> {
        let place = self.chance.index(self.accounts.len());
        self.accounts.keys().nth(place).cloned()
    }

    fn order(&mut self, agent: &AgentId) -> Order {
        let value = units(self.chance.between(1, 9));
        let unknown = self.chance.percent(15);
        let key = self.chance.percent(50).then(|| format!("k{}", self.next()));
        let payee = if unknown { stranger(&mut self.chance) } else { shop() };
        let mut order = order(agent, payee, value, key);
        order.kept_request = unknown.then(|| vec![7; 100]);
        order
    }

    /// Several orders at the same time, so that some of them share a commit.
    async fn together(&mut self, ledger: &Ledger) -> Seen {
        let mut orders = Vec::new();
        for _ in 0..self.chance.between(1, 6) {
            let Some(agent) = self.agent() else { return Ok(()) };
            orders.push(self.order(&agent));
        }
        let reserve = |order: &Order| ledger.reserve(order.clone(), usdc(), Danger::Calm, QUESTION);
        let answers = join_all(orders.iter().map(reserve)).await;
        for (order, answer) in orders.into_iter().zip(answers) {
            self.reserved(ledger, order, answer)?;
        }
        Ok(())
    }

    fn reserved(
        &mut self,
        ledger: &Ledger,
        order: Order,
        answer: Result<Reserved, LedgerError>,
    ) -> Seen {
        let Some(reserved) = self.wrote(ledger, "reserve", answer)? else { return Ok(()) };
        let key = order.client_key.clone().map(|key| (order.intent.agent.clone(), key));
        let (payment, state) = match reserved {
            Reserved::Granted { grant, payment, .. } => {
                if self.frozen == [true] {
                    return Err(format!("{payment} was granted though all was frozen"));
                }
                self.figures.count("grants");
                self.holds.push(Hold { payment: payment.clone(), grant: Some(grant) });
                (payment, PaymentState::Held)
            }
            Reserved::Asked { payment, approval, .. } => {
                let order = Order { kept_request: None, ..order.clone() };
                self.questions.push(Question { payment: payment.clone(), approval, order });
                (payment, PaymentState::Waiting)
            }
            Reserved::Refused { payment, .. } => (payment, PaymentState::Refused),
            // The same question asked twice is one question.
            Reserved::Known { .. } => return Ok(()),
        };
        if self.payments.contains_key(&payment) {
            return Err(format!("{payment} was made twice"));
        }
        let agent = order.intent.agent;
        let promise = Promise { agent, value: order.intent.value, may: vec![state] };
        self.payments.insert(payment.clone(), promise);
        self.keys.extend(key.map(|key| (key, payment)));
        Ok(())
    }

    /// Asks with a key that has an answer: it is that payment, whatever happened in between.
    async fn again(&mut self, ledger: &Ledger) -> Seen {
        if self.keys.is_empty() {
            return Ok(());
        }
        let place = self.chance.index(self.keys.len());
        let Some(((agent, key), payment)) = self.keys.iter().nth(place) else { return Ok(()) };
        let (key, payment) = (key.clone(), payment.clone());
        let order = order(agent, shop(), units(1), Some(key.clone()));
        let answer = ledger.reserve(order, usdc(), Danger::Calm, QUESTION).await;
        match self.wrote(ledger, "reserve again", answer)? {
            None => Ok(()),
            Some(Reserved::Known { payment: known }) if known == payment => Ok(()),
            Some(other) => Err(format!("the key {key} stood for {payment}, and now {other:?}")),
        }
    }

    /// Takes down to which state a write was to bring a payment.
    fn moved(&mut self, payment: &PaymentId, to: &[PaymentState], done: bool) {
        if let Some(promise) = self.payments.get_mut(payment) {
            if done {
                promise.may.clear();
            }
            promise.may.extend(to);
        }
    }

    /// What comes after a grant.
    async fn finish(&mut self, ledger: &Ledger) -> Seen {
        if self.holds.is_empty() {
            return Ok(());
        }
        let place = self.chance.index(self.holds.len());
        let Hold { payment, grant } = self.holds.swap_remove(place);
        let (to, answer) = match (self.chance.below(6), grant) {
            (0, Some(grant)) => {
                (PaymentState::Void, ledger.void(grant, "not signed".to_owned()).await)
            }
            (1 | 2, Some(_)) => {
                let (to, delivery) = self.delivery();
                let answer = ledger.record_delivery(&payment, delivery).await;
                if answer.is_ok() {
                    self.holds.push(Hold { payment: payment.clone(), grant: None });
                }
                (to, answer)
            }
            (3, _) => (PaymentState::Expired, ledger.expire(&payment, self.last).await),
            _ => {
                let transaction = B256::with_last_byte(self.next() as u8);
                let answer = ledger.settle(&payment, transaction, self.last).await;
                (PaymentState::Settled, answer)
            }
        };
        let done = self.wrote(ledger, "finish", answer)?.is_some();
        self.moved(&payment, &[to], done);
        Ok(())
    }

    fn delivery(&mut self) -> (PaymentState, Delivery) {
        if self.chance.percent(50) {
            let why = "the connection was cut".to_owned();
            return (PaymentState::Unknown, Delivery::Unknown { status: None, why });
        }
        let delivered = Delivery::Delivered {
            status: 200,
            response_sha256: B256::repeat_byte(3),
            claimed_transaction: None,
        };
        (PaymentState::Delivered, delivered)
    }

    /// The owner's word on a question.
    async fn answer(&mut self, ledger: &Ledger) -> Seen {
        let Some(Question { payment, approval, order }) = self.questions.pop() else {
            return Ok(());
        };
        if self.chance.percent(30) {
            let answer = ledger.refuse(&approval, None).await;
            let done = self.wrote(ledger, "refuse", answer)?.is_some();
            self.moved(&payment, &[PaymentState::Refused], done);
            return Ok(());
        }
        let answer = ledger.approve(&approval, order, usdc(), Danger::Calm).await;
        let may: &[PaymentState] = match self.wrote(ledger, "approve", answer)? {
            Some(Approved::Granted { payment, grant }) => {
                self.figures.count("grants");
                self.holds.push(Hold { payment, grant: Some(grant) });
                &[PaymentState::Held]
            }
            Some(Approved::Refused { .. } | Approved::Changed { .. }) => &[PaymentState::Refused],
            None => {
                self.moved(&payment, &[PaymentState::Held, PaymentState::Refused], false);
                return Ok(());
            }
        };
        self.moved(&payment, may, true);
        Ok(())
    }

    /// A higher limit, and money to go with it.
    async fn raise(&mut self, ledger: &Ledger) -> Seen {
        let Some(agent) = self.agent() else { return Ok(()) };
        let more = self.chance.between(5, 40);
        let account = self.accounts.entry(agent.clone()).or_default();
        account.limit += more;
        let budget = budget(units(account.limit));
        let answer = ledger.set_budget(&agent, budget).await;
        self.wrote(ledger, "set_budget", answer)?;
        self.fund(ledger, agent).await
    }

    async fn fund(&mut self, ledger: &Ledger, agent: AgentId) -> Seen {
        let value = self.chance.between(10, 80);
        let transaction = B256::with_last_byte(self.next() as u8);
        let log = self.last;
        let answer =
            ledger.float_received(&agent, Address::ZERO, units(value), transaction, log, log).await;
        let done = self.wrote(ledger, "float_received", answer)?;
        let account = self.accounts.entry(agent).or_default();
        match done {
            Some(true) => account.funds += value,
            Some(false) => return Err("money that never came was booked already".to_owned()),
            None => account.funds_in_doubt += value,
        }
        Ok(())
    }

    /// Writes that are no part of the books, in one commit with orders.
    async fn beside(&mut self, ledger: &Ledger) -> Seen {
        let Some(agent) = self.agent() else { return Ok(()) };
        let orders = [self.order(&agent), self.order(&agent)];
        let mark = self.next();
        let bytes = if self.large && self.chance.percent(50) { LARGE_BYTES } else { 300 };
        let owner = self.payments.keys().next_back().cloned();
        let keep = async {
            match &owner {
                Some(payment) => ledger.keep_response(payment, vec![9; bytes]).await,
                None => Ok(()),
            }
        };
        let reserve = |order: &Order| ledger.reserve(order.clone(), usdc(), Danger::Calm, QUESTION);
        let words = PaymentFilter { text: Some("weather".to_owned()), ..PaymentFilter::default() };
        let (marked, first, kept, found, second) = futures::join!(
            ledger.set_mark(MARK, mark),
            reserve(&orders[0]),
            keep,
            ledger.count_payments(&words),
            reserve(&orders[1]),
        );
        if self.wrote(ledger, "set_mark", marked)?.is_some() {
            self.mark = mark;
        }
        let [one, two] = orders;
        self.reserved(ledger, one, first)?;
        if owner.is_some() {
            self.wrote(ledger, "keep_response", kept)?;
        }
        self.reserved(ledger, two, second)?;
        // Submitted last of all.
        self.read("count_payments", found).map(|_| ())
    }

    /// Stops everything for a moment.
    async fn freeze(&mut self, ledger: &Ledger) -> Seen {
        let frozen = ledger.freeze().await;
        self.switched(ledger, true, frozen)?;
        self.together(ledger).await?;
        self.thaw(ledger).await
    }

    async fn thaw(&mut self, ledger: &Ledger) -> Seen {
        let thawed = ledger.thaw().await;
        self.switched(ledger, false, thawed)
    }

    fn switched(&mut self, ledger: &Ledger, to: bool, answer: Result<(), LedgerError>) -> Seen {
        if self.wrote(ledger, "freeze or thaw", answer)?.is_some() {
            self.frozen.clear();
        }
        self.frozen.push(to);
        Ok(())
    }

    /// The owner has looked at what was odd.
    async fn acknowledge(&mut self, ledger: &Ledger) -> Seen {
        let answer = ledger.signals(10).await;
        let Some(signals) = self.read("signals", answer)? else { return Ok(()) };
        if let Some(open) = signals.iter().find(|signal| signal.ack.is_none()) {
            let answer = ledger.acknowledge(open.signal.seq).await;
            self.wrote(ledger, "acknowledge", answer)?;
        }
        Ok(())
    }
}
