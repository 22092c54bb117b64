//! Money from floats back to the treasury: held like a payment, and ended by the chain alone.

mod common;

use common::*;
use imprest_domain::{Address, B256, SIGNATURE_S_MAX, Units};
use imprest_ledger::{FoundSpend, Ledger, LedgerError, OpenSweep, SealKey, SweepGrant};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

const FUNDED: u128 = 1_000_000;
const TREASURY: Address = Address::repeat_byte(0x77);
fn tx(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

async fn begin(
    desk: &Desk,
    amount: Option<u128>,
    on_chain: u128,
) -> Result<SweepGrant, LedgerError> {
    let (agent, amount) = (&desk.agent.id, amount.map(units));
    desk.ledger.begin_sweep(agent, amount, units(on_chain), TREASURY, usdc(), TERMS).await
}

/// Free and held by the books.
async fn balance(desk: &Desk) -> (u128, u128) {
    let balance = desk.ledger.balance(&desk.agent.id).await.expect("reads");
    (balance.free.get(), balance.held.get())
}

/// What the chain shows of the first agent under the nonce of a sweep.
fn seen_on_chain(desk: &Desk, grant: &SweepGrant) -> FoundSpend {
    FoundSpend {
        agent: desk.agent.id.clone(),
        pay_to: TREASURY,
        value: units(400),
        nonce: Some(grant.authorization().nonce),
        transaction: tx(5),
        log_index: 0,
        block: 9,
        at: Timestamp::now(),
    }
}

fn stands(desk: &Desk) -> Vec<String> {
    desk.rows("SELECT state, value, tx, block, note FROM sweeps ORDER BY at_ms, sweep")
}

#[tokio::test]
async fn a_sweep_is_held_signed_for_and_booked_to_the_treasury() {
    let desk = Desk::open(10, 100).await;
    let grant = begin(&desk, Some(400), FUNDED).await.expect("grants");
    let signed = grant.authorization().clone();
    assert_eq!((signed.from, signed.to, signed.value), (desk.agent.address, TREASURY, units(400)));
    assert_eq!((grant.account(), grant.terms(), grant.asset()), (1, TERMS, &usdc()));
    let window = signed.window.valid_before_s - signed.window.valid_after_s;
    assert!(window <= SIGNATURE_S_MAX + 600, "{window}");
    assert_eq!(balance(&desk).await, (FUNDED - 400, 400), "held before anything is signed");
    let sweep = grant.sweep().clone();
    desk.ledger.sweep_sent(&sweep, tx(1)).await.expect("records");
    // What was signed is what the chain is asked about after a restart.
    let desk = desk.again().await;
    let agent = desk.agent.id.clone();
    let open = OpenSweep { sweep: sweep.clone(), agent, authorization: signed };
    assert_eq!(desk.ledger.open_sweeps().await.expect("reads"), [open]);
    assert_eq!(stands(&desk), [format!("sent|400|{}|-|-", tx(1))]);
    // The treasury took it there a second time, for more gas, and that one was mined.
    for _ in 0..2 {
        desk.ledger.settle_sweep(&sweep, tx(2), 9).await.expect("books, and once only");
    }
    desk.ledger.expire_sweep(&sweep, 11).await.expect("changes nothing");
    assert_eq!(balance(&desk).await, (FUNDED - 400, 0));
    assert_eq!(stands(&desk), [format!("settled|400|{}|9|-", tx(2))]);
    let treasury = desk.rows("SELECT units FROM accounts WHERE account = 'treasury'");
    assert_eq!(treasury, [(400 - FUNDED as i64).to_string()]);
    assert_eq!(desk.ledger.open_sweeps().await.expect("reads"), []);
    desk.whole().await;
}

#[tokio::test]
async fn what_was_never_used_comes_back_on_the_chains_word_alone() {
    let desk = Desk::open(10, 100).await;
    let refused = begin(&desk, None, FUNDED).await.expect("grants");
    assert_eq!(balance(&desk).await, (0, FUNDED), "all of it");
    desk.ledger.void_sweep(refused, "the vault is locked".into()).await.expect("gives back");
    assert_eq!(balance(&desk).await, (FUNDED, 0));
    // One that the desk did not live to sign ends as one that it signed: by its time.
    let lost = begin(&desk, Some(500), FUNDED).await.expect("grants").sweep().clone();
    let sent = begin(&desk, Some(600), FUNDED).await.expect("grants").sweep().clone();
    desk.ledger.sweep_sent(&sent, tx(2)).await.expect("records");
    let desk = desk.again().await;
    assert_eq!(balance(&desk).await, (FUNDED - 1_100, 1_100));
    for sweep in [&lost, &sent] {
        desk.ledger.expire_sweep(sweep, 30).await.expect("gives back");
    }
    desk.ledger.settle_sweep(&sent, tx(2), 31).await.expect("changes nothing");
    assert_eq!(balance(&desk).await, (FUNDED, 0));
    let ends = ["void|1000000|-|-|the vault is locked", "expired|500|-|30|-"].map(str::to_owned);
    let last = format!("expired|600|{}|30|-", tx(2));
    assert_eq!(stands(&desk), [&ends[..], &[last]].concat());
    desk.whole().await;
}

#[tokio::test]
async fn nothing_is_moved_that_a_payment_may_still_take() {
    let desk = Desk::open(10, 100).await;
    let paid = desk.held(10).await;
    let movable = |refused: Result<SweepGrant, LedgerError>| match refused {
        Err(LedgerError::NotInFloat { movable }) => movable.get(),
        other => panic!("not refused: {other:?}"),
    };
    let free = FUNDED - 10;
    assert_eq!(movable(begin(&desk, Some(free + 1), FUNDED).await), free);
    // The chain has paid it already, and the books do not know: the hold counts once more.
    assert_eq!(movable(begin(&desk, Some(free), FUNDED - 10).await), free - 10);
    // The chain holds less than the books say, whatever the reason.
    assert_eq!(movable(begin(&desk, Some(6), 15).await), 5);
    assert_eq!(movable(begin(&desk, None, 10).await), 0);
    assert_eq!(movable(begin(&desk, Some(0), FUNDED).await), free);
    let grant = begin(&desk, None, FUNDED).await.expect("grants");
    assert_eq!(grant.authorization().value, units(free));
    assert_eq!(movable(begin(&desk, None, FUNDED).await), 0, "one after the other");
    // What is on its way to the treasury pays for nothing.
    let (word, rules) = verdict(&desk.reserve(1, None).await);
    assert_eq!((word, rules), ("refused", vec![imprest_domain::ReasonCode::FloatTooSmall]));
    desk.ledger.settle_sweep(grant.sweep(), tx(3), 9).await.expect("books");
    desk.ledger.settle(paid.payment(), tx(4), 9).await.expect("books");
    assert_eq!(balance(&desk).await, (0, 0));
    desk.whole().await;
}

#[tokio::test]
async fn a_sweep_counts_in_no_window() {
    let desk = Desk::open(10, 10).await;
    let grant = begin(&desk, Some(500), FUNDED).await.expect("grants");
    assert_eq!(verdict(&desk.reserve(10, None).await).0, "granted");
    desk.ledger.settle_sweep(grant.sweep(), tx(1), 3).await.expect("books");
    assert_eq!(desk.ledger.balance(&desk.agent.id).await.expect("reads").paid, Units::ZERO);
    desk.whole().await;
}

#[tokio::test]
async fn it_takes_the_vault_its_clock_and_the_agents_own_asset() {
    let desk = Desk::open(10, 100).await;
    let mut other = usdc();
    other.id.contract = Address::repeat_byte(1);
    let agent = &desk.agent.id;
    let foreign = desk.ledger.begin_sweep(agent, None, units(FUNDED), TREASURY, other, TERMS).await;
    assert!(matches!(foreign, Err(LedgerError::ForeignAsset)), "{foreign:?}");
    desk.ledger.adopt(SealKey::new([1; 32])).await.expect("seals");
    desk.ledger.close_seal().await.expect("lets go");
    let locked = begin(&desk, None, FUNDED).await;
    assert!(matches!(locked, Err(LedgerError::Locked)), "{locked:?}");
    assert_eq!(balance(&desk).await, (FUNDED, 0));

    let hands = Hands::at("2026-11-22T12:00:00Z");
    let desk = Desk::with(budget(10, 100), hands.options()).await;
    hands.set("2026-11-22T11:00:00Z");
    let behind = begin(&desk, None, FUNDED).await;
    assert!(matches!(behind, Err(LedgerError::ClockBehind)), "{behind:?}");
}

#[tokio::test]
async fn the_key_that_signs_is_that_of_the_agent() {
    let desk = Desk::open(10, 100).await;
    let second = desk.another("Night shift", 2, budget(10, 100)).await;
    let grant = desk
        .ledger
        .begin_sweep(&second.id, None, units(500), TREASURY, usdc(), TERMS)
        .await
        .expect("grants");
    assert_eq!((grant.account(), grant.authorization().from), (2, second.address));
    // A nonce belongs to the address that signs it: the first agent may spend under the same.
    let found = seen_on_chain(&desk, &grant);
    assert!(desk.ledger.spend_found(found).await.expect("books"));
    assert_eq!(balance(&desk).await, (FUNDED - 400, 0));
    desk.whole().await;
}

/// After a restore the chain is read: a sweep that the books know is not booked as a spend.
#[tokio::test]
async fn a_sweep_that_the_books_know_is_not_found_again() {
    let desk = Desk::open(10, 100).await;
    let grant = begin(&desk, Some(400), FUNDED).await.expect("grants");
    let found = seen_on_chain(&desk, &grant);
    let desk = desk.again().await;
    assert!(!desk.ledger.spend_found(found.clone()).await.expect("knows it"));
    desk.ledger.settle_sweep(grant.sweep(), tx(5), 9).await.expect("books");
    assert!(!desk.ledger.spend_found(found.clone()).await.expect("knows it"));
    assert_eq!(balance(&desk).await, (FUNDED - 400, 0));
    // One that they do not know counts as spent: nobody can tell any more what it was for.
    let unknown = FoundSpend { nonce: Some(tx(9)), transaction: tx(6), ..found };
    assert!(desk.ledger.spend_found(unknown).await.expect("books"));
    assert_eq!(balance(&desk).await, (FUNDED - 800, 0));
    desk.whole().await;
}

/// Books of the third form keep their log and everything that it adds up to.
#[tokio::test]
async fn books_of_the_third_form_are_brought_forward() {
    let desk = Desk::open(10, 100).await;
    let _held = desk.held(10).await;
    let path = desk.path();
    desk.ledger.clone().close().await;
    let folder = TempDir::new().expect("a folder");
    let older = folder.path().join("ledger.db");
    let file = Connection::open(&older).expect("makes");
    file.execute_batch(include_str!("../migrations/0003_books.sql")).expect("makes");
    file.execute("ATTACH ? AS newer", [path.to_str().expect("is text")]).expect("attaches");
    file.execute_batch(
        "INSERT INTO main.events SELECT * FROM newer.events;
         INSERT INTO main.marks VALUES ('deposits_block', 12);
         INSERT INTO main.hosts VALUES ('left by nobody:1');
         PRAGMA main.user_version = 3;",
    )
    .expect("copies");
    drop(file);
    let ledger = Ledger::open(&older).await.expect("brings it forward");
    assert_eq!(ledger.verify(None).await.expect("reads").faults, [""; 0]);
    assert_eq!(ledger.balance(&desk.agent.id).await.expect("reads").held, units(10));
    assert_eq!(ledger.mark("deposits_block").await.expect("reads"), Some(12));
    assert!(ledger.hosts().await.expect("reads").is_empty());
    assert_eq!(ledger.open_sweeps().await.expect("reads"), []);
    assert!(folder.path().join("ledger.v3.backup").exists());
}
