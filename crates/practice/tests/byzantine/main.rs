//! A node that lies. It stands between the desk's reads and a true chain, and falsifies one field
//! after the other in every answer, answers as wholes, and whole worlds that fit together. Beside a
//! true node it never has the desk give money back, or call something paid, that the chain does not
//! bear out; alone it is survived.

#[path = "../common/mod.rs"]
mod common;
mod liar;
mod lies;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolStruct};
use alloy_primitives::{Address, B256, U256};
use common::*;
use imprest_chain::{At, Chain, Contradiction, Finding, Look, usdc};
use imprest_domain::Authorization;
use imprest_practice::Practice;
use liar::{Liar, TOLD_TX};
use lies::{Lie, STORIES, Story, What, Whole, about_answers, about_fields, now_and_then, stories};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const VALUE: u128 = 7;
const PAYEE: Address = Address::repeat_byte(5);
const MARGIN_S: u64 = 1;
/// How many lies are told at once.
const MOUTHS: usize = 12;
/// Longer than any look may take: each of its questions is given up after five seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// An authorisation, and what the chain bears out about it.
#[derive(Clone)]
struct Case {
    name: &'static str,
    authorization: Authorization,
    truth: Truth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Open,
    Expired,
    Paid(B256),
    Cancelled(B256),
}

impl Truth {
    /// Whether a finding may be acted on.
    fn bears_out(self, finding: Finding) -> bool {
        match finding {
            Finding::ExpiredUnused { .. } => self == Truth::Expired,
            Finding::Cancelled { tx, .. } => self == Truth::Cancelled(tx),
            Finding::Settled { tx, .. } => self == Truth::Paid(tx),
            Finding::StillOpen | Finding::Inconsistent(_) => true,
        }
    }
}

/// One authorisation of each kind, all of them final on the chain.
async fn cases(practice: &Practice, key: &PrivateKeySigner) -> Vec<Case> {
    let fresh = || authorization(practice.asset(), key.address(), PAYEE, units(VALUE));
    let (mut open, mut expired, paid, burnt) = (fresh(), fresh(), fresh(), fresh());
    open.window.valid_before_s = now_s() + 3_600;
    expired.window.valid_before_s = now_s() - 5;
    let take = usdc::transferWithAuthorizationCall {
        from: paid.from,
        to: paid.to,
        value: U256::from(VALUE),
        validAfter: U256::from(paid.window.valid_after_s),
        validBefore: U256::from(paid.window.valid_before_s),
        nonce: paid.nonce,
        signature: sign(key, practice.asset(), &paid).into(),
    };
    let paid_in = send(practice, key, take.abi_encode()).await;
    let message = usdc::CancelAuthorization { authorizer: key.address(), nonce: burnt.nonce };
    let hash = message.eip712_signing_hash(&domain(practice.asset()));
    let signature = key.sign_hash_sync(&hash).expect("signed").as_bytes();
    let cancel = usdc::cancelAuthorizationCall {
        authorizer: key.address(),
        nonce: burnt.nonce,
        signature: signature.into(),
    };
    let burnt_in = send(practice, key, cancel.abi_encode()).await;
    let case = |name, authorization, truth| Case { name, authorization, truth };
    let cases = vec![
        case("open", open, Truth::Open),
        case("expired", expired, Truth::Expired),
        case("paid", paid, Truth::Paid(paid_in)),
        case("cancelled", burnt, Truth::Cancelled(burnt_in)),
    ];
    for case in &cases {
        until("the chain to bear it out", async || {
            let look = practice.chain().look(&case.authorization, 0, MARGIN_S).await;
            look.is_ok_and(|look| match case.truth {
                Truth::Open => look.finding == Finding::StillOpen,
                Truth::Expired => matches!(look.finding, Finding::ExpiredUnused { .. }),
                Truth::Paid(_) => look.is_final && case.truth.bears_out(look.finding),
                Truth::Cancelled(_) => matches!(look.finding, Finding::Cancelled { .. }),
            })
        })
        .await;
    }
    cases
}

/// What came of all the lies.
#[derive(Debug, Default)]
struct Figures {
    told: usize,
    /// Beside a true node: how looks ended.
    by_two: BTreeMap<&'static str, usize>,
    /// Alone: how looks ended, and how often a lie was believed.
    alone: BTreeMap<&'static str, usize>,
    believed_alone: usize,
    failures: Vec<String>,
}

fn word(look: &Result<Look, imprest_chain::ChainError>) -> &'static str {
    match look.as_ref().map(|look| look.finding) {
        Err(_) => "error",
        Ok(Finding::StillOpen) => "open",
        Ok(Finding::ExpiredUnused { .. }) => "expired",
        Ok(Finding::Cancelled { .. }) => "cancelled",
        Ok(Finding::Settled { .. }) => "paid",
        Ok(Finding::Inconsistent(Contradiction::SourcesDisagree)) => "disagreement",
        Ok(Finding::Inconsistent(_)) => "contradiction",
    }
}

/// A liar's mouth and the chains that listen to it.
struct Ear {
    mouth: String,
    /// The liar and a true node, in either order, and the liar alone.
    pair: Chain,
    alone: Chain,
}

struct Court {
    practice: Practice,
    liar: Liar,
    cases: Vec<Case>,
}

impl Court {
    fn ear(&self, mouth: String, liar_first: bool) -> Ear {
        let (true_node, liar) = (self.practice.rpc_url().clone(), self.liar.url(&mouth));
        let urls = match liar_first {
            true => vec![liar.clone(), true_node],
            false => vec![true_node, liar.clone()],
        };
        let (network, asset) = (self.practice.network(), self.practice.asset());
        let connect = |urls| Chain::connect_all(network.clone(), urls, asset.clone());
        let pair = connect(urls).expect("a chain of two");
        let alone = connect(vec![liar]).expect("a chain of one");
        Ear { mouth, pair, alone }
    }

    /// Has a lie told about one authorisation, beside a true node and alone.
    async fn hear(&self, ear: &Ear, lie: &Lie, case: &Case, figures: &Mutex<Figures>) {
        self.liar.tell(&ear.mouth, Some(lie.clone()));
        let look = |chain: &Chain| {
            let (chain, authorization) = (chain.clone(), case.authorization.clone());
            async move {
                let look = chain.look(&authorization, 0, MARGIN_S);
                timeout(PATIENCE, look).await.expect("a lie keeps nobody waiting for ever")
            }
        };
        let by_two = look(&ear.pair).await;
        let alone = look(&ear.alone).await;
        let is_of_blocks = lie.about.as_ref().is_none_or(|kind| kind.contains("Block"));
        if case.truth == Truth::Open && is_of_blocks {
            self.what_all_have_to_say(&ear.pair, case.authorization.from).await;
        }
        let mut figures = figures.lock().expect("nobody panicked");
        figures.told += 1;
        *figures.by_two.entry(word(&by_two)).or_default() += 1;
        *figures.alone.entry(word(&alone)).or_default() += 1;
        let believed = alone.is_ok_and(|look| !case.truth.bears_out(look.finding));
        figures.believed_alone += usize::from(believed);
        let Ok(look) = by_two else { return };
        let is_paid = matches!(case.truth, Truth::Paid(_));
        // What all say is gone would be taken out of what was paid.
        let undone =
            is_paid && look.is_unanimous && !matches!(look.finding, Finding::Settled { .. });
        if !case.truth.bears_out(look.finding) || undone {
            figures.failures.push(format!("{lie:?} about what is {}: {look:?}", case.name));
        }
    }

    /// What else is read, for which one node's word is enough: of one kind, or everything. It ends,
    /// and what must hold whatever a node says holds.
    async fn read_on(&self, chain: &Chain, case: &Case, kind: Option<&str>) {
        let payer = case.authorization.from;
        let is_asked = |about: &str| kind.is_none_or(|kind| kind.starts_with(about));
        let read = async {
            if is_asked("eth_call") {
                let _ = chain.confirm_asset().await;
                let _ = chain.balances(&[payer, PAYEE], At::Latest).await;
            }
            if is_asked("eth_getBalance") {
                let _ = chain.gas_balance_wei(payer).await;
            }
            if is_asked("eth_getCode") {
                let _ = chain.has_code().await;
            }
            if is_asked("eth_estimateGas") {
                let _ = chain.gas_for(payer, &usdc::nameCall {}.abi_encode()).await;
            }
            if is_asked("eth_getTransactionCount") || is_asked("eth_feeHistory") {
                self.terms_are_bounded(chain, payer).await;
            }
            if let (Truth::Paid(tx), true) = (case.truth, is_asked("eth_getTransactionReceipt")) {
                let _ = chain.receipt(tx).await;
            }
            if is_asked("eth_getLogs") || is_asked("eth_getBlock") {
                self.what_all_have_to_say(chain, payer).await;
            }
        };
        timeout(PATIENCE, read).await.expect("no read lasts for ever");
    }

    async fn terms_are_bounded(&self, chain: &Chain, payer: Address) {
        if let Ok(terms) = chain.transaction_terms(payer).await {
            assert!(terms.max_fee_per_gas_wei <= self.practice.network().max_fee_per_gas_wei);
            assert!(terms.max_priority_fee_per_gas_wei <= terms.max_fee_per_gas_wei);
        }
    }

    /// What books out of a backup rest on is never looser beside a true node.
    async fn what_all_have_to_say(&self, chain: &Chain, payer: Address) {
        let (moves, finalized) = (chain.moves(&[payer], 0, 200).await, chain.finalized().await);
        if chain.hosts().count() < 2 {
            return;
        }
        let truly = self.practice.chain();
        if let Ok(moves) = moves {
            assert_eq!(Ok(moves), truly.moves(&[payer], 0, 200).await);
        }
        if let Ok(finalized) = finalized {
            let last = truly.finalized().await.expect("the true node answers");
            assert!(finalized.number <= last.number, "{finalized:?}");
        }
    }
}

/// Reads everything once through a mouth that says nothing of its own, to learn what there is to
/// lie about.
async fn truths(court: &Court) -> BTreeMap<String, serde_json::Value> {
    let ear = court.ear("true".into(), true);
    for case in &court.cases {
        ear.alone.look(&case.authorization, 0, MARGIN_S).await.expect("the truth");
        court.read_on(&ear.alone, case, None).await;
    }
    court.liar.heard()
}

/// Whether a kind of question is asked when an authorisation is judged.
fn is_of_a_look(kind: &str) -> bool {
    kind == "eth_chainId"
        || kind.starts_with("eth_getBlockByNumber")
        || kind.starts_with("eth_getLogs")
        || kind == "eth_call authorizationState"
}

/// Each lie with the authorisations it is told about.
fn trials(lies: Vec<Lie>, cases: &[Case]) -> Vec<(Lie, Case)> {
    let mut trials = Vec::new();
    for (n, lie) in lies.into_iter().enumerate() {
        let about = lie.about.clone().unwrap_or_default();
        // Five seconds each: one of them is enough. And no log is asked for where nothing was used.
        let slow = is_slow(&lie);
        // What decides nothing is told once as well.
        let once = slow || !lie.decides();
        let is_told = |at: usize, case: &Case| {
            let used = matches!(case.truth, Truth::Paid(_) | Truth::Cancelled(_));
            (!once || at == 1 + n % 3) && (used || !about.starts_with("eth_getLogs"))
        };
        let told = cases.iter().enumerate().filter(|(at, case)| is_told(*at, case));
        trials.extend(told.map(|(_, case)| (lie.clone(), case.clone())));
    }
    // Those that are waited for are told while others are.
    trials.sort_by_key(|(lie, _)| !is_slow(lie));
    trials
}

fn is_slow(lie: &Lie) -> bool {
    matches!(lie.what, What::Whole(Whole::Never | Whole::TooLong | Whole::Late))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_node_only_makes_the_desk_stricter() {
    let began = Instant::now();
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let key = payer(&practice, 1_000_000).await;
    let stale = practice.chain().head().await.expect("a head").number;
    let cases = cases(&practice, &key).await;
    let (node, contract) = (practice.rpc_url().clone(), practice.asset().id.contract);
    let liar = Liar::start(node, contract, stale, (PAYEE, VALUE)).await;
    let court = Arc::new(Court { practice, liar, cases });

    let truths = truths(&court).await;
    let of_looks: BTreeMap<_, _> =
        truths.clone().into_iter().filter(|(kind, _)| is_of_a_look(kind)).collect();
    assert_eq!(of_looks.len(), 6, "a chain id, two blocks, a word and two logs: {of_looks:?}");
    let mut lies = about_fields(&of_looks);
    lies.extend(about_answers(of_looks.keys().cloned()));
    lies.extend(now_and_then());
    lies.extend(stories());
    let of_reads: BTreeMap<_, _> =
        truths.into_iter().filter(|(kind, _)| !is_of_a_look(kind)).collect();
    let (lies_told, trials) = (lies.len(), trials(lies, &court.cases));

    let figures = Arc::new(Mutex::new(Figures::default()));
    let queue = Arc::new(Mutex::new(trials.into_iter()));
    let mut hearings = tokio::task::JoinSet::new();
    for mouth in 0..MOUTHS {
        let (court, queue, figures) =
            (Arc::clone(&court), Arc::clone(&queue), Arc::clone(&figures));
        hearings.spawn(async move {
            let ear = court.ear(mouth.to_string(), mouth % 2 == 0);
            loop {
                let next = queue.lock().expect("nobody panicked").next();
                let Some((lie, case)) = next else { return };
                // A chain id is asked for once, so that lie needs new ears.
                if lie.about.as_deref() == Some("eth_chainId") {
                    let ear = court.ear(mouth.to_string(), mouth % 2 == 0);
                    court.hear(&ear, &lie, &case, &figures).await;
                } else {
                    court.hear(&ear, &lie, &case, &figures).await;
                }
            }
        });
    }
    while let Some(ended) = hearings.join_next().await {
        ended.expect("no lie makes the desk panic");
    }
    let judged = began.elapsed();
    let others = tell_about_other_reads(&court, &of_reads).await;

    let figures = figures.lock().expect("nobody panicked");
    println!(
        "{lies_told} lies about authorisations in {} cases in {:.1} s, {others} about other reads in \
         {:.1} s\nbeside a true node: {:?}\nalone: {:?}, believed {} times",
        figures.told,
        judged.as_secs_f64(),
        (began.elapsed() - judged).as_secs_f64(),
        figures.by_two,
        figures.alone,
        figures.believed_alone,
    );
    assert_eq!(figures.failures, Vec::<String>::new());
    assert!(figures.told >= 900 && figures.believed_alone >= 10, "the lies are lies: {figures:?}");
}

/// Lies about everything else that is read: nothing panics, hangs, or is believed that has a bound.
async fn tell_about_other_reads(
    court: &Arc<Court>,
    truths: &BTreeMap<String, serde_json::Value>,
) -> usize {
    let mut lies = about_fields(truths);
    let slow = |lie: &Lie| matches!(lie.what, What::Whole(Whole::Never | Whole::TooLong));
    lies.extend(about_answers(truths.keys().cloned()).into_iter().filter(|lie| !slow(lie)));
    let count = lies.len();
    let queue = Arc::new(Mutex::new(lies.into_iter().enumerate()));
    let mut readers = tokio::task::JoinSet::new();
    for mouth in 0..MOUTHS {
        let (court, queue) = (Arc::clone(court), Arc::clone(&queue));
        readers.spawn(async move {
            let ear = court.ear(format!("reads-{mouth}"), true);
            loop {
                let next = queue.lock().expect("nobody panicked").next();
                let Some((n, lie)) = next else { return };
                let kind = lie.about.clone();
                court.liar.tell(&ear.mouth, Some(lie));
                let chain = if n % 2 == 0 { &ear.alone } else { &ear.pair };
                // The one that was paid: it has a receipt.
                court.read_on(chain, &court.cases[2], kind.as_deref()).await;
            }
        });
    }
    while let Some(ended) = readers.join_next().await {
        ended.expect("no lie makes the desk panic");
    }
    count
}

/// What one node can do that nobody contradicts, and that a second one stops: the test's own proof
/// that its lies would be believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_world_that_fits_together_is_believed_alone_and_not_beside_the_truth() {
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let key = payer(&practice, 1_000_000).await;
    let stale = practice.chain().head().await.expect("a head").number;
    let cases = cases(&practice, &key).await;
    let (node, contract) = (practice.rpc_url().clone(), practice.asset().id.contract);
    let liar = Liar::start(node, contract, stale, (PAYEE, VALUE)).await;
    let court = Court { practice, liar, cases };
    let ear = court.ear("story".into(), true);
    let told = TOLD_TX;
    for story in STORIES {
        court.liar.tell("story", Some(stories().swap_remove(place(story))));
        for case in &court.cases {
            let alone = ear.alone.look(&case.authorization, 0, MARGIN_S).await.expect("coherent");
            let believed = match story {
                Story::LaterAndUnused => matches!(alone.finding, Finding::ExpiredUnused { .. }),
                Story::AllPaid => {
                    matches!(alone.finding, Finding::Settled { tx, .. } if tx == told)
                }
                Story::AllCancelled => {
                    matches!(alone.finding, Finding::Cancelled { tx, .. } if tx == told)
                }
                // What had not happened then is open, or over by its time.
                Story::Stale | Story::Longer => true,
            };
            assert!(believed, "{story:?} about what is {}: {alone:?}", case.name);
            let by_two = ear.pair.look(&case.authorization, 0, MARGIN_S).await.expect("the truth");
            assert!(case.truth.bears_out(by_two.finding), "{story:?}, {}: {by_two:?}", case.name);
            if !case.truth.bears_out(alone.finding) {
                let disagree = Finding::Inconsistent(Contradiction::SourcesDisagree);
                assert_eq!(by_two.finding, disagree, "{story:?} about what is {}", case.name);
                assert!(!by_two.is_unanimous);
                assert!(by_two.doubts.iter().all(|doubt| doubt.contains("127.0.0.1")));
            }
        }
    }
}

fn place(story: Story) -> usize {
    STORIES.iter().position(|told| *told == story).expect("one of them")
}
