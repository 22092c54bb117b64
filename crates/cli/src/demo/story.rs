//! The story: what the desk is for, in the order in which an owner meets it.

use super::chain::Chain;
use super::tell::{Fact, Teller, fact, told};
use crate::fault::Fault;
use crate::screen::local_time;
use imprest_desk::view::{ActivityFilter, BudgetForm, Evidence, Problem};
use imprest_desk::{Desk, Token};
use imprest_domain::{IdError, PaymentId, Units};
use imprest_gateway::wire::{FetchAnswer, FetchRequest, FetchStatus, PaymentView, ReasonView};
use imprest_gateway::{DoorError, Failure, HttpTeller, Teller as _};
use sha2::{Digest, Sha256};
use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The agent of the story.
const AGENT: &str = "Scout";
/// How long the chain may take to confirm a payment.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);
/// How long one call waits for the owner or the chain.
const WAIT_MS: u64 = 20_000;

/// Why the story does not go on.
pub enum Halt {
    /// A figure or an answer is another than was said.
    Differs(String),
    /// It could not be told at all.
    Fault(Fault),
}

impl Halt {
    /// A figure or an answer is another than was said.
    pub fn differs(what: impl Into<String>) -> Halt {
        Halt::Differs(what.into())
    }

    /// The halt as the demo's end.
    pub fn at(self, step: usize, title: &'static str) -> Fault {
        let differed = match self {
            Halt::Fault(fault @ (Fault::Output(_) | Fault::Stopped)) => return fault,
            Halt::Fault(fault) => fault.to_string(),
            Halt::Differs(what) => format!("{}.", what.trim_end_matches('.')),
        };
        Fault::Demo { step, title, differed }
    }
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Halt {
        Halt::Fault(problem.into())
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Halt {
        Halt::Fault(failure.into())
    }
}

impl From<DoorError> for Halt {
    fn from(error: DoorError) -> Halt {
        Halt::Fault(error.into())
    }
}

type Step<A> = Result<(A, Vec<Fact>), Halt>;

/// Everything the story plays with.
pub struct Story {
    desk: Desk,
    chain: Chain,
    door_url: String,
    shop: String,
    csv: Option<PathBuf>,
}

/// The agent, from the moment it has a token.
struct Scout {
    door: HttpTeller,
    address: String,
}

impl Story {
    /// Sets the scene on a desk that has just been opened.
    ///
    /// # Errors
    /// [`Fault::Demo`] when the desk runs without its practice network.
    pub async fn begin(desk: Desk, csv: Option<PathBuf>) -> Result<Story, Fault> {
        Story::set(desk, csv).await.map_err(|halt| halt.at(0, "The practice desk runs"))
    }

    async fn set(desk: Desk, csv: Option<PathBuf>) -> Result<Story, Halt> {
        let endpoints = desk.endpoints();
        let missing = || Halt::differs("the desk runs without its practice network or its door");
        let practice = endpoints.practice.ok_or_else(missing)?;
        let door_url = endpoints.http_url.ok_or_else(missing)?;
        let symbol = desk.status().await?.network.asset;
        let chain = Chain::look(&practice.rpc, practice.chain_id, &practice.usdc, &symbol).await?;
        let shop = practice.shop.trim_end_matches('/').to_owned();
        Ok(Story { desk, chain, door_url, shop, csv })
    }

    /// Tells it from beginning to end.
    ///
    /// # Errors
    /// The first step that did not do what it says.
    pub async fn tell(self, teller: &mut Teller) -> Result<(), Fault> {
        teller.step("The owner makes a vault", self.vault()).await?;
        let scout = teller.step("An agent gets a budget and a grade", self.agent()).await?;
        teller.step("The owner refills its float from the treasury", self.refill(&scout)).await?;
        let bought =
            teller.step("It buys a weather report, which is within its limits", self.buy(&scout));
        let weather = bought.await?;
        let again = self.repeat(&scout, &weather);
        teller.step("The same request again is the same payment, not a second one", again).await?;
        let asked = self.ask(&scout);
        let waiting =
            teller.step("A dear price list becomes a question to the owner", asked).await?;
        let approved = self.approve(&scout, &waiting);
        teller.step("The owner approves exactly that payment", approved).await?;
        let limit = self.over_the_day(&scout);
        teller.step("A second one would exceed the day and is refused", limit).await?;
        let frozen = self.freeze(&scout);
        teller.step("The owner freezes the desk, and thaws it again", frozen).await?;
        teller.step("Books and chain are equal to the last unit", self.books(&scout)).await?;
        teller.step("The log proves itself", self.verify()).await?;
        teller.step("Everything is written out for the owner’s records", self.export()).await
    }

    async fn vault(&self) -> Step<()> {
        // Nobody needs to remember this passphrase: the desk is gone in a minute.
        let passphrase = Token::generate()?;
        let vault = self.desk.create_vault(passphrase.expose().to_owned()).await?;
        same("the number of recovery words", 24usize, vault.words.len())?;
        let status = self.desk.status().await?;
        same("the vault", "open", status.stage.as_str())?;
        let treasury = present("the treasury’s address", status.network.treasury)?;
        let held = self.chain.balance(&treasury).await?;
        holds(!held.is_zero(), || "the treasury holds nothing on chain".into())?;
        Ok((
            (),
            vec![
                told("words", "recovery", 24, "24 words, shown to the owner once"),
                fact("treasury", "treasury", treasury),
                told(
                    "treasury_balance",
                    "holds",
                    self.show(held),
                    format!("{} on chain", self.money(held)),
                ),
            ],
        ))
    }

    async fn agent(&self) -> Step<Scout> {
        let budget = BudgetForm {
            per_payment: Some("0.25".into()),
            per_day: Some("1.00".into()),
            over_payment: "ask".into(),
            new_payee: "ask".into(),
            zone: "UTC".into(),
            ..BudgetForm::default()
        };
        let made = self.desk.add_agent(AGENT.into(), "L3".into(), budget, None).await?;
        let page = self.desk.agent(AGENT.into()).await?;
        same("the grade in force", "L3", page.row.grade_in_force.as_str())?;
        same("the limit per day", Some("1.00"), page.budget.per_day.as_deref())?;
        same("the limit per payment", Some("0.25"), page.budget.per_payment.as_deref())?;
        let token = Token::parse(&made.token)?;
        let scout =
            Scout { door: HttpTeller::new(&self.door_url, &token)?, address: page.row.address };
        // The token opens the agents' door, and what is behind it is this agent's and nobody else's.
        let own = scout.door.budget(&()).await?;
        same("the agent behind the token", AGENT, own.agent.as_str())?;
        // A practice agent starts with a float from the treasury; the chain has to have it.
        let float = self.show(self.chain.balance(&scout.address).await?);
        same("the first float in the books", &float, &own.float_free)?;
        let address = scout.address.clone();
        Ok((
            scout,
            vec![
                told(
                    "agent",
                    "agent",
                    AGENT,
                    format!("{AGENT}, grade {}", page.row.grade_in_force),
                ),
                fact("budget", "budget", page.row.sentence),
                told("token", "token", "shown once", "shown once; only its hash is kept"),
                fact("door", "its door", self.door_url.clone()),
                fact("address", "its address", address),
                told(
                    "float",
                    "its float",
                    float.clone(),
                    format!("{float} {} on chain, to begin with", own.asset),
                ),
            ],
        ))
    }

    async fn refill(&self, scout: &Scout) -> Step<()> {
        let before = self.chain.balance(&scout.address).await?;
        let amount = self.read("2.00")?;
        let page = self.desk.refill(AGENT.into(), self.show(amount)).await?;
        let after = self.chain.balance(&scout.address).await?;
        same("the float on chain", self.show(add(before, amount)?), self.show(after))?;
        same("the float in the books", self.show(after), page.row.float)?;
        Ok((
            (),
            vec![
                told("refilled", "moved", self.show(amount), self.money(amount)),
                told(
                    "float",
                    "float",
                    self.show(after),
                    format!(
                        "{} on chain and in the books, was {}",
                        self.money(after),
                        self.show(before)
                    ),
                ),
            ],
        ))
    }

    async fn buy(&self, scout: &Scout) -> Step<PaymentView> {
        let (answer, paid) = self.purchase(scout, "/weather", "weather-1", "0.01").await?;
        let response = present("the shop’s answer", answer.response)?;
        same("the shop’s HTTP status", 200u16, response.status)?;
        let body = present("the weather", response.body)?;
        let weather: serde_json::Value = serde_json::from_str(&body)
            .map_err(|error| Halt::differs(format!("the weather is not JSON: {error}")))?;
        let place = present("the place of the weather", weather["place"].as_str())?;
        let sky = present("the sky of the weather", weather["sky"].as_str())?;
        let mut facts = vec![told("got", "got", body.clone(), format!("{place}: {sky}"))];
        facts.extend(paid.facts);
        Ok((paid.payment, facts))
    }

    async fn repeat(&self, scout: &Scout, weather: &PaymentView) -> Step<()> {
        let scout_before = self.chain.balance(&scout.address).await?;
        let shop_before = self.chain.balance(&weather.pay_to).await?;
        let answer = scout.door.fetch(&(), self.request("/weather", "weather-1")).await?;
        let again = present("the payment", answer.payment)?;
        same("the payment", &weather.id, &again.id)?;
        let scout_after = self.chain.balance(&scout.address).await?;
        let shop_after = self.chain.balance(&weather.pay_to).await?;
        same("the float on chain", self.show(scout_before), self.show(scout_after))?;
        same("the shop’s balance on chain", self.show(shop_before), self.show(shop_after))?;
        Ok((
            (),
            vec![
                fact("key", "key", "weather-1"),
                told("payment", "payment", again.id.clone(), format!("{}, as before", again.id)),
                told(
                    "shop_balance",
                    "shop",
                    self.show(shop_after),
                    format!("{} on chain, as before", self.money(shop_after)),
                ),
            ],
        ))
    }

    async fn ask(&self, scout: &Scout) -> Step<PaymentView> {
        let mut request = self.request("/supplier-prices", "prices-1");
        request.purpose = Some("Compare packaging prices for next week’s order".into());
        request.wait_ms = Some(0);
        let answer = scout.door.fetch(&(), request).await?;
        status("the answer", FetchStatus::Pending, &answer)?;
        let reason = reason(&answer, "over_per_payment")?;
        let payment = present("the payment", answer.payment)?;
        same("the price", "0.60", payment.amount.amount.as_str())?;
        let cards = self.desk.approvals().await?;
        same("the number of questions", 1usize, cards.len())?;
        let card = present("the question", cards.into_iter().next())?;
        same("the payment in question", &payment.id, &card.payment_id)?;
        Ok((
            payment,
            vec![
                told(
                    "amount",
                    "price",
                    card.amount.clone(),
                    format!("{} {}", card.amount, card.asset),
                ),
                told("reason", "because", reason.code.clone(), reason.message),
                told(
                    "purpose",
                    "its words",
                    card.purpose.clone(),
                    card.purpose.map(|p| format!("“{p}”")).unwrap_or_default(),
                ),
                fact("approval", "question", card.id),
                told(
                    "expires_at",
                    "silence is no",
                    card.expires_at.clone(),
                    format!("from {}", local_time(&card.expires_at)),
                ),
            ],
        ))
    }

    async fn approve(&self, scout: &Scout, waiting: &PaymentView) -> Step<()> {
        let before = Balances::read(self, scout, waiting).await?;
        let card = self.desk.approvals().await?.into_iter().find(|c| c.payment_id == waiting.id);
        let card = present("the question", card)?;
        self.desk.approve(card.id).await?;
        let answer = self.settled(scout, &waiting.id).await?;
        let paid = self.check_paid(scout, answer, before, "0.60").await?;
        same("the number of questions left", 0usize, self.desk.approvals().await?.len())?;
        Ok(((), paid.facts))
    }

    async fn over_the_day(&self, scout: &Scout) -> Step<()> {
        let before = self.chain.balance(&scout.address).await?;
        let answer = scout.door.fetch(&(), self.request("/supplier-prices", "prices-2")).await?;
        status("the answer", FetchStatus::Refused, &answer)?;
        let reason = reason(&answer, "over_per_day")?;
        let limit = present("the limit", reason.limit)?;
        let observed = present("the figure compared", reason.observed)?;
        same("the limit", "1.00", limit.as_str())?;
        // 0.01 and 0.60 are spent; with this one it would be 1.21.
        same("the figure compared", "1.21", observed.as_str())?;
        let resets_at = present("when the day starts again", reason.resets_at)?;
        let payment = present("the refusal’s record", answer.payment)?;
        let after = self.chain.balance(&scout.address).await?;
        same("the float on chain", self.show(before), self.show(after))?;
        Ok((
            (),
            vec![
                told("reason", "because", reason.code, reason.message),
                told(
                    "observed",
                    "compared",
                    observed.clone(),
                    format!("{observed} with the limit {limit}"),
                ),
                told("resets_at", "starts again", resets_at.clone(), local_time(&resets_at)),
                told("payment", "recorded", payment.id.clone(), payment.id),
                told(
                    "float",
                    "float",
                    self.show(after),
                    format!("{} on chain, as before", self.money(after)),
                ),
            ],
        ))
    }

    async fn freeze(&self, scout: &Scout) -> Step<()> {
        let before = self.chain.balance(&scout.address).await?;
        same("the freeze", true, self.desk.freeze().await?.frozen)?;
        let answer = scout.door.fetch(&(), self.request("/weather", "weather-2")).await?;
        status("the answer while frozen", FetchStatus::Refused, &answer)?;
        let reason = reason(&answer, "frozen")?;
        let after = self.chain.balance(&scout.address).await?;
        same("the float on chain", self.show(before), self.show(after))?;
        same("the freeze", false, self.desk.thaw().await?.frozen)?;
        let (_, paid) = self.purchase(scout, "/weather", "weather-3", "0.01").await?;
        let settled = format!("{} settled in block {}", self.money(self.read("0.01")?), paid.block);
        Ok((
            (),
            vec![
                told("reason", "frozen", reason.code, reason.message),
                told(
                    "float",
                    "float",
                    self.show(after),
                    format!("{} on chain, as before", self.money(after)),
                ),
                told("after_thaw", "thawed", paid.payment.id, settled),
            ],
        ))
    }

    async fn books(&self, scout: &Scout) -> Step<()> {
        let books = self.desk.books().await?;
        holds(books.equal, || "the desk itself says that books and chain differ".into())?;
        let line = books.floats.iter().find(|line| line.address == scout.address);
        let line = present("the agent’s line in the books", line)?;
        // Not the desk's word for it: the demo's own look at the contract.
        let seen = self.show(self.chain.balance(&scout.address).await?);
        same("the float in the books", &seen, &line.ledger)?;
        same("the float on chain as the desk reads it", &seen, &line.chain)?;
        same("what is in flight", self.show(Units::ZERO), books.in_flight)?;
        let day = scout.door.budget(&()).await?.windows.into_iter().find(|w| w.window == "day");
        let day = present("the day’s window", day)?;
        same("what the day holds as spent", "0.62", day.spent.as_str())?;
        Ok((
            (),
            vec![
                told(
                    "ledger",
                    "books",
                    line.ledger.clone(),
                    format!("{} {}", line.ledger, books.asset),
                ),
                told(
                    "chain",
                    "chain",
                    seen.clone(),
                    format!("{seen} {}, block {}", books.asset, books.block),
                ),
                told(
                    "spent_today",
                    "spent today",
                    day.spent.clone(),
                    format!("{} of {}, {} left", day.spent, day.limit, day.left),
                ),
            ],
        ))
    }

    async fn verify(&self) -> Step<()> {
        let verified = self.desk.verify().await?;
        holds(verified.whole, || format!("the log has faults: {}", verified.faults.join(" ")))?;
        holds(verified.events > 0, || "the log is empty".into())?;
        Ok((
            (),
            vec![
                told(
                    "events",
                    "events",
                    verified.events,
                    format!("{}, each chained to the one before by its hash", verified.events),
                ),
                fact("head", "head", verified.head),
            ],
        ))
    }

    async fn export(&self) -> Step<()> {
        let path = match &self.csv {
            Some(path) => path.clone(),
            // A new folder of its own that stays; nobody else can have put something there.
            None => {
                let folder = tempfile::Builder::new().prefix("imprest-").tempdir();
                let folder = folder.map_err(|e| Halt::differs(format!("no folder: {e}")))?;
                folder.keep().join("activity.csv")
            }
        };
        let path = present("a path of plain text", path.to_str())?.to_owned();
        let all =
            ActivityFilter { agent_id: None, state: None, text: None, from: None, until: None };
        let exported = self.desk.export_csv(path, all.clone()).await?;
        let activity = self.desk.activity(all, None, 200).await?;
        same("the rows written", activity.total, exported.rows)?;
        let bytes = std::fs::read(&exported.path)
            .map_err(|error| Halt::differs(format!("{} cannot be read: {error}", exported.path)))?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        same("the file’s SHA-256", &exported.sha256, &sha256)?;
        Ok((
            (),
            vec![
                fact("csv", "file", exported.path),
                told(
                    "rows",
                    "rows",
                    exported.rows,
                    format!("{}, one a payment or refusal", exported.rows),
                ),
                fact("sha256", "sha-256", sha256),
            ],
        ))
    }

    fn request(&self, path: &str, key: &str) -> FetchRequest {
        FetchRequest {
            url: format!("{}{path}", self.shop),
            method: None,
            headers: Default::default(),
            body: None,
            body_base64: None,
            max_amount: None,
            purpose: None,
            task: None,
            idempotency_key: Some(key.to_owned()),
            wait_ms: Some(WAIT_MS),
        }
    }

    /// Buys at the shop, unasked, and holds the outcome against the chain.
    async fn purchase(
        &self,
        scout: &Scout,
        path: &str,
        key: &str,
        price: &str,
    ) -> Result<(FetchAnswer, Paid), Halt> {
        let quote = scout.door.quote(&(), self.request(path, key)).await?;
        let pay_to = present("the shop’s address in the quote", quote.pay_to)?;
        same("the quoted price", Some(price), quote.amount.as_ref().map(|a| a.amount.as_str()))?;
        let before = Balances {
            scout: self.chain.balance(&scout.address).await?,
            shop: self.chain.balance(&pay_to).await?,
        };
        let first = scout.door.fetch(&(), self.request(path, key)).await?;
        let done = matches!(first.status, FetchStatus::Settled | FetchStatus::Delivered);
        holds(done, || unexpected("the answer", FetchStatus::Settled, &first))?;
        let payment = present("the payment", first.payment.as_ref())?;
        let last = self.settled(scout, &payment.id).await?;
        let paid = self.check_paid(scout, last, before, price).await?;
        Ok((first, paid))
    }

    /// Waits until the chain has confirmed a payment.
    async fn settled(&self, scout: &Scout, payment: &str) -> Result<FetchAnswer, Halt> {
        let id: PaymentId =
            payment.parse().map_err(|error: IdError| Halt::differs(error.to_string()))?;
        let begun = Instant::now();
        loop {
            let answer = scout.door.payment(&(), id.clone(), WAIT_MS).await?;
            let open = matches!(
                answer.status,
                FetchStatus::Delivered | FetchStatus::Pending | FetchStatus::Unknown
            );
            if !open {
                status("the payment", FetchStatus::Settled, &answer)?;
                return Ok(answer);
            }
            holds(begun.elapsed() < SETTLE_PATIENCE, || {
                unexpected("the payment after a minute", FetchStatus::Settled, &answer)
            })?;
            // The call above waits by itself; this only bounds a desk that answers at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Holds a settled payment against the transaction and the balances on chain.
    async fn check_paid(
        &self,
        scout: &Scout,
        answer: FetchAnswer,
        before: Balances,
        price: &str,
    ) -> Result<Paid, Halt> {
        let payment = present("the payment", answer.payment)?;
        same("the amount paid", price, payment.amount.amount.as_str())?;
        let evidence: Evidence = self.desk.evidence(payment.id.clone()).await?;
        same("the shop’s HTTP status", Some(200u16), evidence.response_status)?;
        let transaction = present("the transaction", evidence.transaction)?;
        let block = present("the block", evidence.block)?;
        let receipt = self.chain.receipt(&transaction).await?;
        holds(receipt.ok, || format!("the transaction {transaction} failed on chain"))?;
        same("the block of the transaction", receipt.block, u128::from(block))?;
        let after = Balances::read(self, scout, &payment).await?;
        let amount = self.read(price)?;
        let shop = add(before.shop, amount)?;
        same(
            "the float on chain",
            self.show(before.scout.saturating_sub(amount)),
            self.show(after.scout),
        )?;
        same("the shop’s balance on chain", self.show(shop), self.show(after.shop))?;
        let facts = vec![
            told("amount", "paid", price, format!("{} to {}", self.money(amount), payment.pay_to)),
            fact("payment", "payment", payment.id.clone()),
            fact("transaction", "transaction", transaction),
            told("block", "block", block, format!("{block}, read back from the chain")),
            told(
                "float",
                "float",
                self.show(after.scout),
                format!("{} on chain, was {}", self.money(after.scout), self.show(before.scout)),
            ),
        ];
        Ok(Paid { payment, block, facts })
    }

    fn read(&self, amount: &str) -> Result<Units, Halt> {
        let read = self.chain.asset.parse(amount);
        read.map_err(|error| Halt::differs(format!("the amount {amount}: {error}")))
    }

    fn show(&self, units: Units) -> String {
        self.chain.asset.format(units)
    }

    fn money(&self, units: Units) -> String {
        self.chain.asset.format_with_symbol(units)
    }
}

/// A payment that the chain confirms.
struct Paid {
    payment: PaymentView,
    block: u64,
    facts: Vec<Fact>,
}

/// What payer and payee hold on chain.
struct Balances {
    scout: Units,
    shop: Units,
}

impl Balances {
    async fn read(story: &Story, scout: &Scout, payment: &PaymentView) -> Result<Balances, Halt> {
        Ok(Balances {
            scout: story.chain.balance(&scout.address).await?,
            shop: story.chain.balance(&payment.pay_to).await?,
        })
    }
}

fn add(a: Units, b: Units) -> Result<Units, Halt> {
    a.checked_add(b).ok_or_else(|| Halt::differs("the sum of two balances does not fit the books"))
}

fn same<A: PartialEq<B> + Shown, B: Shown>(what: &str, wanted: A, found: B) -> Result<(), Halt> {
    if wanted == found {
        return Ok(());
    }
    Err(Halt::differs(format!("{what} should be {} and is {}", wanted.shown(), found.shown())))
}

fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), Halt> {
    if condition { Ok(()) } else { Err(Halt::Differs(otherwise())) }
}

fn present<A>(what: &str, value: Option<A>) -> Result<A, Halt> {
    value.ok_or_else(|| Halt::differs(format!("{what} is missing")))
}

fn status(what: &str, wanted: FetchStatus, answer: &FetchAnswer) -> Result<(), Halt> {
    holds(answer.status == wanted, || unexpected(what, wanted, answer))
}

/// What came instead, with the reasons given for it.
fn unexpected(what: &str, wanted: FetchStatus, answer: &FetchAnswer) -> String {
    let reasons = answer.verdict.iter().flat_map(|verdict| &verdict.reasons);
    let reasons: Vec<&str> =
        reasons.map(|r| r.message.as_str()).chain(answer.note.as_deref()).collect();
    let found = format!("{:?}", answer.status).to_lowercase();
    let wanted = format!("{wanted:?}").to_lowercase();
    format!("{what} should be {wanted} and is {found}: {}", reasons.join(" "))
}

fn reason(answer: &FetchAnswer, code: &str) -> Result<ReasonView, Halt> {
    let reasons = answer.verdict.iter().flat_map(|verdict| &verdict.reasons);
    let found = reasons.clone().find(|reason| reason.code == code).cloned();
    found.ok_or_else(|| {
        let codes: Vec<&str> = reasons.map(|reason| reason.code.as_str()).collect();
        Halt::differs(format!("the reason should be {code} and is {}", codes.join(", ")))
    })
}

/// How a value is said when it differs.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($type:ty),*) => { $(impl Shown for $type {
        fn shown(&self) -> String {
            self.to_string()
        }
    })* };
}
shown!(str, String, bool, u16, i32, u64, u128, usize);

impl<A: Shown + ?Sized> Shown for &A {
    fn shown(&self) -> String {
        (**self).shown()
    }
}

impl<A: Display> Shown for Option<A> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "absent".to_owned(), A::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(halt: Halt) -> String {
        halt.at(4, "It buys").to_string()
    }

    #[test]
    fn a_difference_names_both_figures() {
        let halt = same("the float on chain", "1.39", "1.40").expect_err("they differ");
        assert_eq!(
            text(halt),
            "Step 4 of the demo, “It buys”, did not do what it says: \
             the float on chain should be 1.39 and is 1.40."
        );
        let halt = same("the limit", Some("1.00"), None::<&str>).expect_err("they differ");
        assert!(text(halt).ends_with("the limit should be 1.00 and is absent."));
        assert!(same("the words", 24, 24).is_ok());
        assert!(present("the block", None::<u64>).is_err());
    }

    #[test]
    fn another_status_says_why() {
        let answer = FetchAnswer {
            status: FetchStatus::Refused,
            payment: None,
            verdict: None,
            response: None,
            result: None,
            receipt: None,
            note: Some("The vault is locked.".into()),
        };
        let halt = status("the answer", FetchStatus::Settled, &answer).expect_err("refused");
        assert!(text(halt).ends_with("should be settled and is refused: The vault is locked."));
    }
}
