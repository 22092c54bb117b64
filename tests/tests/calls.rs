//! Ten thousand drawn call sequences at the door of a real desk, by agents with good tokens: the
//! limits hold, the books prove, the chain agrees, and nobody sees another agent's payments.

use imprest_desk::view::{ActivityFilter, BudgetForm};
use imprest_tests::calls::{Call, Heard, Role, Sequence, Stage, Witness};
use imprest_tests::{Inside, Obstacle, comes_true, token_balance};
use reqwest::Client;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// How many sequences are drawn; `IMPREST_CALLS` for another number.
const SEQUENCES: u64 = 10_000;
/// The most calls in one of them.
const CALLS_MAX: usize = 3;
/// Agents of each of the kinds of budget below.
const OF_EACH_KIND: usize = 4;
/// How long what was signed may take to reach the chain, or to run out on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// USDC has six decimals.
const UNITS_PER_USDC: u128 = 1_000_000;

/// One agent of the run.
struct Agent {
    number: usize,
    token: String,
    float: String,
    budget: BudgetForm,
    /// What its float held at first, in units.
    held_units: u128,
}

/// Limits of each sort, so that each of them is run into.
fn budgets() -> [BudgetForm; 4] {
    let base = || BudgetForm {
        new_payee: "allow".into(),
        over_payment: "deny".into(),
        zone: "UTC".into(),
        ..BudgetForm::default()
    };
    let some = |text: &str| Some(text.to_owned());
    [
        BudgetForm { per_payment: some("0.02"), per_day: some("0.10"), ..base() },
        BudgetForm {
            per_hour: some("0.08"),
            max_count_hour: some("9"),
            per_month: some("1.00"),
            ..base()
        },
        BudgetForm { lifetime: some("0.12"), exposure: some("0.03"), ..base() },
        BudgetForm {
            per_payee_day: some("0.05"),
            per_week: some("0.20"),
            over_payment: "ask".into(),
            ..base()
        },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_call_sequences_break_nothing() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let inside = Inside::open(folder.path()).await?;
    let practice = inside.practice()?.clone();
    let stage = Stage {
        shop: practice.shop.trim_end_matches('/').to_owned(),
        contract: practice.usdc.clone(),
    };
    let agents = hire(&inside).await?;
    let roles: Vec<Role> = agents.iter().map(role).collect();
    let url = inside.desk.endpoints().http_url.unwrap_or_default();
    let run = Arc::new(Run::new(url, stage, roles)?);

    let (began, first_day) = (Instant::now(), today());
    let kinds = run.perform(&agents).await?;
    let calls: usize = kinds.values().sum();
    println!(
        "{} sequences, {calls} calls by {} agents in {} s: {kinds:?}",
        run.sequences,
        agents.len(),
        began.elapsed().as_secs()
    );

    until_settled(&inside).await?;
    let proof = inside.desk.verify().await?;
    assert!(proof.whole, "{proof:?}");
    let books = inside.desk.books().await?;
    assert!(books.equal, "{books:?}");
    let mut settled = 0;
    for agent in &agents {
        let left_units = token_balance(&practice.rpc, &practice.usdc, &agent.float).await?;
        let payments = run.account_for(&inside, agent, agent.held_units - left_units).await?;
        // What is limited by the calendar may have begun anew at midnight.
        within_limits(&agent.budget, &payments, if today() == first_day { 1 } else { 2 });
        settled += payments.len();
    }
    println!("{settled} payments settled, {} events in the books", proof.events);
    // Less than this would mean that the dice hardly ever made a payment that is one.
    assert!(run.sequences < SEQUENCES || settled >= 50, "only {settled} payments settled");
    inside.close().await;
    Ok(())
}

fn role(agent: &Agent) -> Role {
    Role { mark: mark(agent.number), float: agent.float.clone() }
}

/// The agent's name, and the first word of all its purposes.
fn mark(number: usize) -> String {
    format!("Caller-{number:02}")
}

async fn hire(inside: &Inside) -> Result<Vec<Agent>, Obstacle> {
    let practice = inside.practice()?;
    let mut agents = Vec::new();
    for budget in budgets().iter().flat_map(|kind| std::iter::repeat_n(kind, OF_EACH_KIND)) {
        let number = agents.len();
        let made = inside.agent(&mark(number), "L4", budget.clone(), None).await?;
        let float = made.agent.address;
        let held_units = token_balance(&practice.rpc, &practice.usdc, &float).await?;
        agents.push(Agent { number, token: made.token, float, budget: budget.clone(), held_units });
    }
    Ok(agents)
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Waits until nothing is in flight, and the chain is where the books say.
async fn until_settled(inside: &Inside) -> Result<(), Obstacle> {
    comes_true("nothing is in flight", PATIENCE, async || {
        let books = inside.desk.books().await?;
        Ok(books.in_flight == "0.00" && books.equal)
    })
    .await
}

/// A run of many sequences.
struct Run {
    client: Client,
    url: String,
    stage: Stage,
    witness: Witness,
    roles: Vec<Role>,
    first_seed: u64,
    sequences: u64,
}

impl Run {
    /// `IMPREST_CALLS_SEED` is the number of its first sequence.
    fn new(url: String, stage: Stage, roles: Vec<Role>) -> Result<Run, Obstacle> {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        // The door hangs up on a connection that says nothing for 15 s.
        let client = Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(5));
        let client = client.timeout(Duration::from_secs(60)).build();
        Ok(Run {
            client: client.map_err(|e| Obstacle::new(e.to_string()))?,
            url,
            stage,
            witness: Witness::new(roles.clone()),
            roles,
            first_seed: number("IMPREST_CALLS_SEED").unwrap_or(1),
            sequences: number("IMPREST_CALLS").unwrap_or(SEQUENCES),
        })
    }

    /// Has all agents call at the same time, each its own sequences one after the other, and counts
    /// how they were answered.
    async fn perform(
        self: &Arc<Run>,
        agents: &[Agent],
    ) -> Result<BTreeMap<String, usize>, Obstacle> {
        let mut callers = JoinSet::new();
        for agent in agents {
            let (run, number, token) = (self.clone(), agent.number, agent.token.clone());
            let seeds = (self.first_seed..self.first_seed + self.sequences)
                .skip(number)
                .step_by(agents.len());
            callers.spawn(async move {
                let mut kinds = Vec::new();
                for seed in seeds {
                    kinds.extend(run.sequence(number, &token, seed).await?);
                }
                Ok::<_, Obstacle>(kinds)
            });
        }
        let mut count = BTreeMap::new();
        while let Some(kinds) = callers.join_next().await {
            // The first one that fails ends the run.
            for kind in kinds.map_err(|e| Obstacle::new(e.to_string()))?? {
                *count.entry(kind).or_default() += 1;
            }
        }
        Ok(count)
    }

    async fn sequence(
        &self,
        agent: usize,
        token: &str,
        seed: u64,
    ) -> Result<Vec<String>, Obstacle> {
        let sequence = Sequence::draw(seed, CALLS_MAX, &self.stage, &self.roles[agent]);
        let made = async |call: Call| {
            let heard = self.say(token, &call).await?;
            let judged = self.witness.hear(agent, &call, &heard);
            Ok::<_, Obstacle>((call, heard, judged))
        };
        let mut kinds = Vec::new();
        let mut judge = |(call, heard, judged): (Call, Heard, Result<String, String>)| {
            kinds.push(judged.map_err(|why| {
                Obstacle::new(format!(
                    "{why}\n  sequence {seed}, call {} of {}{}: {call}\n  was answered: {heard}\n  \
                     IMPREST_CALLS_SEED={seed} IMPREST_CALLS=1 makes it alone",
                    kinds.len() + 1,
                    sequence.calls.len(),
                    if sequence.at_once { ", all at once" } else { "" },
                ))
            })?);
            Ok::<_, Obstacle>(())
        };
        if sequence.at_once {
            let (own, others) = self.witness.payments(agent);
            let calls = sequence.calls.iter().map(|call| made(call.naming(&own, &others)));
            for answered in futures::future::join_all(calls).await {
                judge(answered?)?;
            }
        } else {
            for call in &sequence.calls {
                let (own, others) = self.witness.payments(agent);
                judge(made(call.naming(&own, &others)).await?)?;
            }
        }
        Ok(kinds)
    }

    /// Makes a call, and makes it again when the door says that it comes too soon.
    async fn say(&self, token: &str, call: &Call) -> Result<Heard, Obstacle> {
        loop {
            let (heard, wait) = self.say_once(token, call).await?;
            match wait {
                Some(wait) if heard.status == 429 => tokio::time::sleep(wait).await,
                _ => return Ok(heard),
            }
        }
    }

    /// Makes a call; answers what was said, and how long to wait if the door says so.
    async fn say_once(
        &self,
        token: &str,
        call: &Call,
    ) -> Result<(Heard, Option<Duration>), Obstacle> {
        let trouble = |e: reqwest::Error| Obstacle::new(format!("{call}: {e:?}"));
        let method = call.method.parse().map_err(|_| Obstacle::new("no method"))?;
        let mut request = self.client.request(method, format!("{}{}", self.url, call.path));
        if call.with_token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let answer = request.body(call.body.clone()).send().await.map_err(trouble)?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let kind = header("content-type").unwrap_or_default();
        let wait = header("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs);
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(trouble)?.to_vec();
        Ok((Heard { status, kind, body }, wait))
    }

    /// Holds an agent's own pages, the owner's and the chain against each other; answers the payments
    /// that settled.
    async fn account_for(
        &self,
        inside: &Inside,
        agent: &Agent,
        moved_units: u128,
    ) -> Result<Vec<Value>, Obstacle> {
        let mut own: Vec<Value> = Vec::new();
        let mut cursor = None;
        let door = inside.door(&agent.token)?;
        loop {
            let query = cursor.map(|at: String| format!("?cursor={at}")).unwrap_or_default();
            let (status, page) = door.get(&format!("/v1/payments{query}")).await?;
            assert_eq!(status, 200, "{page}");
            own.extend(page["payments"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        let ids: BTreeSet<&str> = own.iter().filter_map(|payment| payment["id"].as_str()).collect();
        assert_eq!(ids.len(), own.len(), "a payment stands on two pages");
        assert_eq!(ids, owners_ids(inside, agent).await?.iter().map(String::as_str).collect());

        own.retain(|one| one["state"] == "settled");
        let spent_units: u128 = own.iter().map(amount_units).sum();
        assert_eq!(spent_units, moved_units, "{}: what the chain moved", mark(agent.number));
        Ok(own)
    }
}

/// The agent's payments as the owner sees them.
async fn owners_ids(inside: &Inside, agent: &Agent) -> Result<BTreeSet<String>, Obstacle> {
    let filter = ActivityFilter {
        agent_id: Some(mark(agent.number)),
        state: None,
        text: None,
        from: None,
        until: None,
    };
    let (mut ids, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = inside.desk.activity(filter.clone(), cursor, 100).await?;
        ids.extend(page.rows.into_iter().map(|row| row.payment_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(ids);
        }
    }
}

/// Everything was settled within minutes, so that each limit over time is one over all of it; over so
/// many windows where the calendar has a say.
fn within_limits(budget: &BudgetForm, settled: &[Value], windows: u128) {
    let limit =
        |text: &Option<String>| text.as_deref().map(decimal_units).unwrap_or(u64::MAX.into());
    let spent: u128 = settled.iter().map(amount_units).sum();
    for most in [&budget.per_hour, &budget.lifetime] {
        assert!(spent <= limit(most), "{spent} units were spent under {budget:?}");
    }
    for most in [&budget.per_day, &budget.per_week] {
        assert!(spent <= limit(most) * windows, "{spent} units were spent under {budget:?}");
    }
    let mut to_payee: BTreeMap<(&str, &str), u128> = BTreeMap::new();
    for one in settled {
        assert!(amount_units(one) <= limit(&budget.per_payment), "{one} under {budget:?}");
        let text = |name: &str| one[name].as_str().unwrap_or_default();
        *to_payee.entry((text("origin"), text("pay_to"))).or_default() += amount_units(one);
    }
    let most = limit(&budget.per_payee_day) * windows;
    assert!(to_payee.values().all(|units| *units <= most), "{to_payee:?} under {budget:?}");
    let count_max = budget.max_count_hour.as_deref().map_or(usize::MAX, |n| n.parse().unwrap_or(0));
    assert!(settled.len() <= count_max, "{} payments under {budget:?}", settled.len());
}

fn amount_units(payment: &Value) -> u128 {
    decimal_units(payment["amount"]["amount"].as_str().unwrap_or_default())
}

/// A decimal in whole units, read without a word of the desk's own code.
fn decimal_units(text: &str) -> u128 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= 6, "{text}");
    let number = |digits: &str| digits.parse::<u128>().unwrap_or_else(|_| panic!("{text}"));
    number(whole) * UNITS_PER_USDC + number(&format!("{part:0<6}"))
}
