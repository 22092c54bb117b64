//! A desk that is lost and put back from a backup older than its last payment.

use imprest_desk::backup::{inspect, restore};
use imprest_desk::view::{ActivityFilter, BudgetForm, DeskStatus};
use imprest_desk::{Desk, Keychain, SecretText};
use imprest_tests::{DialledClock, Inside, Obstacle, PASSPHRASE, comes_true, rpc, token_balance};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The backup's own passphrase; the vault's is another.
const SEAL: &str = "kept in the other house";
/// How long the desk may take to notice something by itself.
const PATIENCE: Duration = Duration::from_secs(90);
/// Why nothing is paid from books that are older than the chain.
const WHY: &str = "come from a backup";
/// By how much the chain's clock is set ahead, so that no signature from before is good any more;
/// less than the ten minutes by which clocks may differ.
const AHEAD_S: i64 = 400;

/// A desk's folder, and a shelf beside it for its backup.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(TempDir::new().expect("makes a folder"))
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("desk")
    }

    fn shelf(&self) -> PathBuf {
        let shelf = self.0.path().join("shelf");
        fs::create_dir_all(&shelf).expect("makes a folder");
        shelf
    }

    fn file(&self) -> PathBuf {
        self.shelf().join("desk.age")
    }

    /// Everything of the desk's is gone. The chain is not the desk's: it is put back.
    fn lose_everything(&self) {
        let (practice, kept) = (self.folder().join("practice"), self.0.path().join("chain"));
        fs::rename(&practice, &kept).expect("moves");
        fs::remove_dir_all(self.folder()).expect("removes");
        fs::create_dir(self.folder()).expect("makes");
        fs::rename(&kept, &practice).expect("moves");
    }

    async fn put_back(&self) {
        let seal = SecretText::new(SEAL.into());
        let restored =
            restore(&self.file(), &self.folder(), &seal, false, |_| ()).await.expect("restores");
        assert_eq!(restored.moved_to, None);
    }
}

/// Four weather reports in all.
fn four_times() -> BudgetForm {
    BudgetForm { lifetime: Some("0.04".into()), zone: "UTC".into(), ..BudgetForm::default() }
}

async fn buy(inside: &Inside, token: &str, key: &str) -> Result<Value, Obstacle> {
    let url = inside.practice()?.good("weather");
    let body = json!({ "url": url, "idempotency_key": key, "wait_ms": 30_000 });
    inside.door(token)?.fetch(&body).await
}

async fn settled(inside: &Inside, token: &str, key: &str) -> Result<(), Obstacle> {
    let answer = buy(inside, token, key).await?;
    assert_eq!(answer["status"], "settled", "{answer}");
    Ok(())
}

async fn back_up(desk: &Desk, file: &Path) -> Result<u64, Obstacle> {
    let path = file.to_str().expect("is text").to_owned();
    Ok(desk.backup(path, SEAL.into(), false).await?.events)
}

/// Nothing is paid, and the status and the refusal give this as the reason.
async fn waits(inside: &Inside, token: &str, key: &str) -> Result<(), Obstacle> {
    let status = inside.desk.status().await?;
    assert_eq!(status.danger, "halted", "{status:?}");
    assert!(status.danger_why.as_deref().is_some_and(|text| text.contains(WHY)), "{status:?}");
    let answer = buy(inside, token, key).await?;
    assert_eq!(answer["status"], "refused", "{answer}");
    let reasons = answer["verdict"]["reasons"].as_array().expect("has reasons");
    let mut words = reasons.iter().filter_map(|reason| reason["message"].as_str());
    assert!(words.any(|text| text.contains(WHY)), "{answer}");
    assert!(status.frozen && note(&status).contains("the desk is frozen"), "{status:?}");
    let early = inside.desk.add_agent("Early".into(), "L1".into(), four_times(), None).await;
    for refused in [
        inside.desk.thaw().await.expect_err("the chain has not been read"),
        early.expect_err("nobody knows which accounts were used"),
    ] {
        assert_eq!(refused.code, "conflict", "{refused}");
        assert!(refused.message.contains("come from a backup"), "{refused}");
    }
    Ok(())
}

/// What the status says about a restore.
fn note(status: &DeskStatus) -> &str {
    status.restored_note.as_deref().unwrap_or_default()
}

async fn until(
    what: &str,
    is_so: impl AsyncFnMut() -> Result<bool, Obstacle>,
) -> Result<(), Obstacle> {
    comes_true(what, PATIENCE, is_so).await
}

/// What the agent has spent of its lifetime limit, by the books.
async fn spent(inside: &Inside) -> Result<String, Obstacle> {
    let page = inside.desk.agent("Scout".into()).await?;
    let row = page.windows.iter().find(|row| row.window == "lifetime").expect("has that limit");
    Ok(row.spent.clone())
}

/// The chain moves on, and with it the time until which signatures are good.
async fn time_passes(inside: &Inside, clock: &DialledClock) -> Result<(), Obstacle> {
    let chain = &inside.practice()?.rpc;
    rpc(chain, "evm_increaseTime", json!([AHEAD_S])).await?;
    rpc(chain, "anvil_mine", json!(["0x5"])).await?;
    clock.turn_to(AHEAD_S);
    Ok(())
}

async fn payments(inside: &Inside) -> Result<Vec<(String, String)>, Obstacle> {
    let all = ActivityFilter { agent_id: None, state: None, text: None, from: None, until: None };
    let page = inside.desk.activity(all, None, 50).await?;
    Ok(page.rows.into_iter().map(|row| (row.payment_id, row.state)).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_backup_never_refills_a_budget() -> Result<(), Obstacle> {
    let (home, clock) = (Home::new(), DialledClock::default());
    let inside = Inside::open_by(&home.folder(), &clock).await?;
    let token = inside.agent("Scout", "L3", four_times(), None).await?.token;
    settled(&inside, &token, "one").await?;
    settled(&inside, &token, "two").await?;
    assert!(inside.desk.status().await?.backup.note.is_some(), "the first one is due");
    let events = back_up(&inside.desk, &home.file()).await?;
    let backup = inside.desk.status().await?.backup;
    assert!(backup.last_at.is_some() && backup.note.is_none(), "{backup:?}");
    let again = back_up(&inside.desk, &home.file()).await.expect_err("it is there already");
    assert!(again.to_string().contains("already exists"), "{again}");
    assert_eq!(inspect(&home.file(), &SecretText::new(SEAL.into())).await?.events, events);
    let before = payments(&inside).await?;
    settled(&inside, &token, "three").await?;
    inside.close().await;

    home.lose_everything();
    home.put_back().await;
    let inside = Inside::open_by(&home.folder(), &clock).await?;
    assert_eq!(payments(&inside).await?, before, "the payments up to the backup are there");
    waits(&inside, &token, "early").await?;
    until("the later payment is found on the chain", async || Ok(spent(&inside).await? == "0.03"))
        .await?;
    // It is found, but a signature of which nobody knows could still be good: the wait goes on.
    waits(&inside, &token, "still early").await?;
    until("only a signature is waited for", async || {
        Ok(note(&inside.desk.status().await?).contains("could still be used"))
    })
    .await?;
    inside.close().await;
    // What was found is in the books, and what is waited for too, whatever lies beside them.
    assert!(!home.folder().join("restored.json").exists());
    let inside = Inside::open_by(&home.folder(), &clock).await?;
    waits(&inside, &token, "even now").await?;

    time_passes(&inside, &clock).await?;
    until("the chain was read", async || Ok(inside.desk.status().await?.danger == "calm")).await?;
    // It does not go on by itself: the owner has to look first, and to be here.
    let status = inside.desk.status().await?;
    assert!(status.frozen && note(&status).contains("then thaw the desk"), "{status:?}");
    let frozen = buy(&inside, &token, "still frozen").await?;
    assert_eq!(frozen["status"], "refused", "{frozen}");
    inside.desk.leave().await?;
    assert_eq!(inside.desk.thaw().await.expect_err("nobody is here").code, "presence_needed");
    inside.desk.confirm(PASSPHRASE.into()).await?;
    let status = inside.desk.thaw().await?;
    assert!(!status.frozen && status.restored_note.is_none(), "{status:?}");
    settled(&inside, &token, "four").await?;
    let fifth = buy(&inside, &token, "five").await?;
    assert_eq!(fifth["status"], "refused", "the third one counts: {fifth}");
    assert_eq!(spent(&inside).await?, "0.04");
    assert_sound(&inside).await?;
    inside.close().await;

    // And so it stays.
    let inside = Inside::open_by(&home.folder(), &clock).await?;
    let status = inside.desk.status().await?;
    assert_eq!(
        (status.danger.as_str(), status.frozen, status.restored_note),
        ("calm", false, None)
    );
    assert_eq!(spent(&inside).await?, "0.04");
    inside.close().await;
    Ok(())
}

/// An agent that was made after the backup is not in it, but its account is the vault's: what it
/// spent counts in the budget it may have shared, and its account is not used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_made_after_the_backup_is_found_on_the_chain() -> Result<(), Obstacle> {
    let (home, clock) = (Home::new(), DialledClock::default());
    let inside = Inside::open_by(&home.folder(), &clock).await?;
    let team = BudgetForm { per_day: Some("0.05".into()), zone: "UTC".into(), ..four_times() };
    inside.desk.add_shared("Team".into(), team).await?;
    let token = inside.agent("Scout", "L3", four_times(), Some("Team")).await?.token;
    settled(&inside, &token, "one").await?;
    back_up(&inside.desk, &home.file()).await?;
    let late = inside.agent("Late", "L3", four_times(), Some("Team")).await?;
    let idle = inside.agent("Idle", "L3", four_times(), None).await?;
    settled(&inside, &late.token, "two").await?;
    settled(&inside, &late.token, "three").await?;
    inside.close().await;

    home.lose_everything();
    home.put_back().await;
    let inside = Inside::open_by(&home.folder(), &clock).await?;
    let team_spent = async || -> Result<String, Obstacle> {
        let team = inside.desk.shared_budgets().await?.remove(0);
        let day = team.windows.iter().find(|row| row.window == "day").expect("has that limit");
        Ok(day.spent.clone())
    };
    waits(&inside, &token, "early").await?;
    until("the spends are found", async || Ok(team_spent().await? == "0.03")).await?;
    time_passes(&inside, &clock).await?;
    until("the chain was read", async || Ok(inside.desk.status().await?.danger == "calm")).await?;
    let status = inside.desk.status().await?;
    assert!(note(&status).contains("An agent that was made after it"), "{status:?}");
    inside.desk.thaw().await?;
    settled(&inside, &token, "four").await?;
    let over = buy(&inside, &token, "five").await?;
    assert_eq!(over["status"], "refused", "Scout has 0.02 left of its own: {over}");
    let new = inside.agent("New", "L3", four_times(), None).await?;
    for used in [&late, &idle] {
        assert_ne!(new.agent.address, used.agent.address, "its account was used");
    }
    assert_sound(&inside).await?;
    inside.close().await;
    Ok(())
}

/// The log proves itself, and the books are the chain to the last unit.
async fn assert_sound(inside: &Inside) -> Result<(), Obstacle> {
    let proof = inside.desk.verify().await?;
    assert!(proof.whole && proof.seal_checked, "{proof:?}");
    until("books and chain are equal", async || Ok(inside.desk.books().await?.equal)).await?;
    let page = inside.desk.agent("Scout".into()).await?;
    let practice = inside.practice()?;
    let on_chain = token_balance(&practice.rpc, &practice.usdc, &page.row.address).await?;
    assert_eq!(Some(page.row.float.as_str()), page.float_on_chain.as_deref());
    assert!(on_chain > 0);
    Ok(())
}

/// The note can be taken away by any program of the same user, and so can what lies beside the log in
/// its file; the log says it itself, under the vault's seal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_know_without_the_note_that_they_are_a_backup() -> Result<(), Obstacle> {
    let home = Home::new();
    let inside = Inside::open(&home.folder()).await?;
    let token = inside.agent("Scout", "L3", four_times(), None).await?.token;
    back_up(&inside.desk, &home.file()).await?;
    settled(&inside, &token, "one").await?;
    inside.close().await;
    home.lose_everything();
    home.put_back().await;
    let note = home.folder().join("restored.json");
    let text = fs::read_to_string(&note).expect("is there");

    // A note that says nothing readable opens nothing.
    fs::write(&note, "{").expect("writes");
    let refused = Desk::open(Inside::options(&home.folder())).await.err().expect("is refused");
    assert_eq!(refused.code, "disk", "{refused}");
    assert!(refused.recovery.contains("Restore"), "{refused}");
    // Nor does a folder in which a restore was stopped midway.
    fs::write(&note, text.replace("placed", "placing")).expect("writes");
    let refused = Desk::open(Inside::options(&home.folder())).await.err().expect("is refused");
    assert!(refused.message.contains("stopped midway"), "{refused}");

    fs::remove_file(&note).expect("removes");
    let ledger = home.folder().join("ledger.db");
    let file = Connection::open(&ledger).expect("opens");
    // The chain is not read from where such a mark says, if that is later than the backup.
    file.execute("INSERT OR REPLACE INTO marks VALUES ('deposits_block', 1000000000)", [])
        .expect("skips");
    drop(file);
    let inside = Inside::open(&home.folder()).await?;
    waits(&inside, &token, "early").await?;
    until("the payment is found", async || Ok(spent(&inside).await? == "0.01")).await?;
    waits(&inside, &token, "still early").await?;
    inside.close().await;

    // Without its last event it is another log than the one that was sealed.
    home.lose_everything();
    home.put_back().await;
    fs::remove_file(home.folder().join("restored.json")).expect("removes");
    let file = Connection::open(&ledger).expect("opens");
    let guard: String = file
        .query_row(
            "SELECT sql FROM sqlite_master WHERE name = 'events_are_never_deleted'",
            [],
            |row| row.get(0),
        )
        .expect("reads");
    file.execute_batch(&format!(
        "DROP TRIGGER events_are_never_deleted;
         DELETE FROM events WHERE kind = 'from_backup';
         UPDATE desk SET restored = NULL, frozen = 0;
         {guard}"
    ))
    .expect("forges");
    drop(file);
    let inside = Inside::open(&home.folder()).await?;
    let status = inside.desk.status().await?;
    assert_eq!((status.danger.as_str(), status.frozen), ("halted", false), "{status:?}");
    let refused = buy(&inside, &token, "forged").await?;
    assert_eq!(refused["status"], "refused", "{refused}");
    let proof = inside.desk.verify().await?;
    assert!(!proof.whole, "{proof:?}");
    inside.close().await;
    Ok(())
}

/// The keychain remembers where the books had been; an older backup is older than that, and only
/// the owner can say that it is meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keychain_that_knows_better_has_the_owner_say_so() -> Result<(), Obstacle> {
    let (home, keychain) = (Home::new(), Keychain::in_memory());
    let inside = Inside::open_beside(&home.folder(), &keychain).await?;
    let token = inside.agent("Scout", "L3", four_times(), None).await?.token;
    back_up(&inside.desk, &home.file()).await?;
    settled(&inside, &token, "one").await?;
    inside.close().await;
    home.lose_everything();
    home.put_back().await;

    let inside = Inside::open_beside(&home.folder(), &keychain).await?;
    let signals = inside.desk.signals().await?;
    let signal = signals.iter().find(|it| it.open && it.kind == "rolled_back").expect("is said");
    assert_eq!(inside.desk.status().await?.danger, "halted");
    inside.desk.acknowledge(signal.seq).await?;
    inside.close().await;
    let inside = Inside::open_beside(&home.folder(), &keychain).await?;
    waits(&inside, &token, "early").await?;
    until("the payment is found", async || Ok(spent(&inside).await? == "0.01")).await?;
    inside.close().await;
    Ok(())
}

/// The vault in a backup is opened by its own passphrase, not by the backup's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backups_passphrase_opens_no_vault() -> Result<(), Obstacle> {
    let home = Home::new();
    let inside = Inside::open(&home.folder()).await?;
    back_up(&inside.desk, &home.file()).await?;
    inside.close().await;
    let wrong = SecretText::new("not this one".into());
    let refused = restore(&home.file(), &home.folder(), &wrong, true, |_| ()).await;
    assert_eq!(refused.expect_err("is refused").code, "wrong_passphrase");
    home.lose_everything();
    home.put_back().await;
    let inside = Inside::open_locked(Inside::options(&home.folder())).await?;
    assert_eq!(
        inside.desk.unlock(SEAL.into()).await.expect_err("another passphrase").code,
        "wrong_passphrase"
    );
    inside.desk.unlock(PASSPHRASE.into()).await?;
    inside.close().await;
    Ok(())
}

/// What the desk wrote is a plain age file around a plain tar.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn age_and_tar_open_what_the_desk_wrote() -> Result<(), Obstacle> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let home = Home::new();
    let inside = Inside::open(&home.folder()).await?;
    let events = back_up(&inside.desk, &home.file()).await?;
    inside.close().await;
    // `age` asks for its passphrase at a terminal, which `script` of util-linux is.
    let open = "age --decrypt --output desk.tar desk.age && tar -xf desk.tar";
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", open, "/dev/null"])
        .current_dir(home.shelf())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut stdin = script.stdin.take().expect("has one");
    writeln!(stdin, "{SEAL}").expect("types");
    let done = script.wait_with_output().expect("ends");
    drop(stdin);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let vault = fs::read(home.shelf().join("vault.json")).expect("is there");
    assert_eq!(vault, fs::read(home.folder().join("vault.json")).expect("is there"));
    let file = Connection::open(home.shelf().join("ledger.db")).expect("opens");
    let seq: u64 =
        file.query_row("SELECT max(seq) FROM events", [], |row| row.get(0)).expect("reads");
    assert_eq!(seq, events);
    Ok(())
}
