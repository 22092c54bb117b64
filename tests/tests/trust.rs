//! Whether the desk notices that its books are not its books any more, and that a credential is
//! used by somebody else.

use imprest_desk::Keychain;
use imprest_desk::view::{BudgetForm, SignalView};
use imprest_tests::{Inside, Obstacle};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().expect("makes a folder")
}

fn per_day(limit: &str) -> BudgetForm {
    BudgetForm { per_day: Some(limit.into()), zone: "UTC".into(), ..BudgetForm::default() }
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

/// The desk signs nothing, and gives this as the reason everywhere.
async fn halted(inside: &Inside, token: &str, key: &str, why: &str) -> Result<(), Obstacle> {
    let status = inside.desk.status().await?;
    assert_eq!(status.danger, "halted", "{status:?}");
    assert!(status.danger_why.as_deref().is_some_and(|text| text.contains(why)), "{status:?}");
    let answer = buy(inside, token, key).await?;
    assert_eq!(answer["status"], "refused", "{answer}");
    let reason = &answer["verdict"]["reasons"][0];
    assert_eq!(reason["code"], "grade_too_low", "{answer}");
    assert!(reason["message"].as_str().is_some_and(|text| text.contains(why)), "{answer}");
    for attempt in [
        inside.desk.set_budget("Scout".into(), per_day("9")).await.map(drop),
        inside.desk.set_grade("Scout".into(), "L4".into()).await.map(drop),
        inside.desk.rotate_token("Scout".into()).await.map(drop),
        inside.desk.add_shared("Team".into(), per_day("9")).await.map(drop),
        inside.desk.thaw().await.map(drop),
        inside.desk.refill("Scout".into(), "1".into()).await.map(drop),
    ] {
        let problem = attempt.expect_err("nothing gives authority now");
        assert_eq!(problem.code, "disk", "{problem}");
        assert!(problem.message.contains(why), "{problem}");
    }
    Ok(())
}

async fn rolled_back(inside: &Inside) -> Result<Vec<SignalView>, Obstacle> {
    let signals = inside.desk.signals().await?;
    Ok(signals.into_iter().filter(|s| s.open && s.kind == "rolled_back").collect())
}

/// The copy is renewed by itself, at most two seconds after a change.
async fn copied_soon(inside: &Inside, keychain: &Keychain) -> Result<(), Obstacle> {
    let seq = inside.desk.status().await?.seq;
    let renewed = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            tick.tick().await;
            let copy = keychain.load("ledger-head").await.expect("a keychain");
            let copied = copy.and_then(|text| text.split(':').next()?.parse::<u64>().ok());
            if copied >= Some(seq) {
                return;
            }
        }
    };
    // With room for a machine that has other things to do.
    tokio::time::timeout(std::time::Duration::from_secs(4), renewed)
        .await
        .map_err(|_| Obstacle::new("The copy of the ledger’s end is not renewed."))
}

fn books(folder: &Path) -> Vec<PathBuf> {
    ["ledger.db", "ledger.db-wal", "ledger.db-shm"].map(|name| folder.join(name)).to_vec()
}

/// Keeps the ledger's files as they are now.
fn copy_books(folder: &Path) -> Vec<Option<Vec<u8>>> {
    books(folder).iter().map(|path| fs::read(path).ok()).collect()
}

fn put_back(folder: &Path, copies: &[Option<Vec<u8>>]) {
    for (path, copy) in books(folder).iter().zip(copies) {
        match copy {
            Some(bytes) => fs::write(path, bytes).expect("writes"),
            // It may not be there now either.
            None => drop(fs::remove_file(path)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_ledger_in_its_place_is_noticed_and_stays_halted() -> Result<(), Obstacle> {
    const WHY: &str = "not the one whose end was copied";
    let folder = folder();
    let keychain = Keychain::in_memory();
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    let token = inside.agent("Scout", "L3", per_day("1.00"), None).await?.token;
    settled(&inside, &token, "one").await?;
    assert_eq!(inside.desk.status().await?.copy_note, None);
    copied_soon(&inside, &keychain).await?;
    let proof = inside.desk.verify().await?;
    assert!(proof.whole && proof.seal_checked && proof.copy_checked, "{proof:?}");
    inside.close().await;
    let old = copy_books(folder.path());

    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    settled(&inside, &token, "two").await?;
    inside.close().await;
    let new = copy_books(folder.path());
    put_back(folder.path(), &old);

    // Twice, because a restart must not make it good.
    for run in 0..2 {
        let inside = Inside::open_beside(folder.path(), &keychain).await?;
        halted(&inside, &token, &format!("halted-{run}"), WHY).await?;
        let signals = rolled_back(&inside).await?;
        assert_eq!(signals.len(), 1, "it is said once: {signals:?}");
        assert!(signals[0].needs_ack && signals[0].level == "halted", "{signals:?}");
        let proof = inside.desk.verify().await?;
        assert!(!proof.whole && proof.copy_checked, "{proof:?}");
        inside.close().await;
    }

    // The right ledger in its place again: nothing was wrong with that one.
    put_back(folder.path(), &new);
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    assert_eq!(inside.desk.status().await?.danger, "calm");
    settled(&inside, &token, "three").await?;
    inside.close().await;

    // Or the owner says that the older one is the right one.
    put_back(folder.path(), &old);
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    let signals = rolled_back(&inside).await?;
    inside.desk.acknowledge(signals[0].seq).await?;
    assert_eq!(rolled_back(&inside).await?, []);
    halted(&inside, &token, "still halted", WHY).await?;
    inside.close().await;
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    assert_eq!(inside.desk.status().await?.danger, "calm");
    settled(&inside, &token, "four").await?;
    let proof = inside.desk.verify().await?;
    assert!(proof.whole && proof.seal_checked && proof.copy_checked, "{proof:?}");
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_is_gone_or_forged_is_noticed() -> Result<(), Obstacle> {
    const FORGED: &str = "not the one the vault sealed";
    // A seal of another event is seen even without the vault's key, by the proof at the start.
    const PROVEN: &str = "books contradict themselves";
    let folder = folder();
    let keychain = Keychain::in_memory();
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    let token = inside.agent("Scout", "L3", per_day("1.00"), None).await?.token;
    settled(&inside, &token, "one").await?;
    inside.close().await;
    let good = copy_books(folder.path());
    let copy = keychain.load("ledger-head").await.expect("a keychain").expect("a copy");
    for (at, (spoil, why)) in [
        ("DELETE FROM seals", FORGED),
        ("UPDATE seals SET mac = zeroblob(32)", FORGED),
        ("UPDATE seals SET hash = zeroblob(32)", PROVEN),
        ("UPDATE seals SET seq = seq - 1", PROVEN),
    ]
    .into_iter()
    .enumerate()
    {
        // Books and copy as they were, so that nothing but the seal is odd.
        put_back(folder.path(), &good);
        keychain.store("ledger-head", &copy).await.expect("a keychain");
        let ledger = Connection::open(folder.path().join("ledger.db")).expect("the books");
        assert_eq!(ledger.execute(spoil, []).expect(spoil), 1, "{spoil}");
        drop(ledger);
        let inside = Inside::open_beside(folder.path(), &keychain).await?;
        halted(&inside, &token, &format!("forged-{at}"), why).await?;
        assert!(inside.desk.freeze().await?.frozen, "less authority may always be had");
        inside.close().await;
    }
    // Without the copy the lost seal is noticed too, and only the owner gets over it.
    put_back(folder.path(), &good);
    let ledger = Connection::open(folder.path().join("ledger.db")).expect("the books");
    ledger.execute("DELETE FROM seals", []).expect("drops it");
    drop(ledger);
    keychain.delete("ledger-head").await.expect("a keychain");
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    halted(&inside, &token, "unsealed", FORGED).await?;
    let signals = inside.desk.signals().await?;
    let broken: Vec<_> = signals.iter().filter(|s| s.open && s.kind == "books_broken").collect();
    assert_eq!(broken.len(), 1, "{signals:?}");
    inside.desk.acknowledge(broken[0].seq).await?;
    inside.close().await;
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    settled(&inside, &token, "adopted").await?;
    inside.close().await;

    put_back(folder.path(), &good);
    keychain.store("ledger-head", &copy).await.expect("a keychain");
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    settled(&inside, &token, "two").await?;
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_desk_opens_reads_and_takes_the_seal_with_it() -> Result<(), Obstacle> {
    let folder = folder();
    let keychain = Keychain::in_memory();
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    let token = inside.agent("Scout", "L3", per_day("1.00"), None).await?.token;
    inside.desk.lock().await?;
    // The books themselves refuse what gives authority while the key is away.
    let problem = inside.desk.set_grade("Scout".into(), "L4".into()).await.expect_err("locked");
    assert_eq!(problem.code, "locked", "{problem}");
    let problem = inside.desk.thaw().await;
    assert!(problem.is_ok(), "not frozen, so nothing is written");
    assert!(inside.desk.freeze().await?.frozen);
    let problem = inside.desk.thaw().await.expect_err("locked");
    assert_eq!(problem.code, "locked", "{problem}");
    inside.desk.revoke_agent("Scout".into()).await?;
    inside.close().await;

    // What was written while it was locked is copied too: a freeze cannot be rolled back.
    let mut options = Inside::options(folder.path());
    options.keychain = imprest_desk::KeychainChoice::Given(keychain.clone());
    let inside = Inside::open_locked(options).await?;
    let status = inside.desk.status().await?;
    assert_eq!((status.stage.as_str(), status.frozen), ("locked", true));
    assert_eq!((status.danger.as_str(), status.copy_note), ("calm", None));
    let proof = inside.desk.verify().await?;
    assert!(proof.whole && proof.copy_checked && !proof.seal_checked, "{proof:?}");
    inside.unlock().await?;
    assert!(!inside.desk.thaw().await?.frozen);
    assert!(inside.desk.verify().await?.seal_checked);
    inside.close().await;
    drop(token);

    // So is what is written on the books alone: put back, an older ledger would undo the freeze.
    let old = copy_books(folder.path());
    let mut options = Inside::options(folder.path());
    options.keychain = imprest_desk::KeychainChoice::Given(keychain.clone());
    let mut on_books = options.clone();
    on_books.serve = false;
    let desk = imprest_desk::Desk::open(on_books).await?;
    assert!(desk.freeze().await?.frozen);
    desk.close().await;
    let new = copy_books(folder.path());
    put_back(folder.path(), &old);
    let inside = Inside::open_locked(options).await?;
    let status = inside.desk.status().await?;
    assert_eq!((status.frozen, status.danger.as_str()), (false, "halted"), "{status:?}");
    inside.close().await;
    put_back(folder.path(), &new);

    // Without a keychain there is no copy, and the status says so.
    let inside = Inside::open_locked(Inside::options(folder.path())).await?;
    let note = inside.desk.status().await?.copy_note;
    assert!(note.is_some_and(|note| note.contains("No copy")), "it is said");
    assert!(!inside.desk.verify().await?.copy_checked);
    inside.close().await;
    Ok(())
}

/// A long log is proven while the desk already runs, and nothing is spent before that is done: seal
/// and copy vouch for the log, not for the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_proven_in_the_background() -> Result<(), Obstacle> {
    const EVENTS: usize = 50_001;
    const PROVING: &str = "The books are still being proven.";
    let folder = folder();
    let keychain = Keychain::in_memory();
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    let token = inside.agent("Scout", "L3", per_day("1.00"), None).await?.token;
    settled(&inside, &token, "one").await?;
    inside.close().await;

    let ledger = imprest_ledger::Ledger::open(&folder.path().join("ledger.db")).await;
    let ledger = ledger.expect("opens");
    let mut writes = tokio::task::JoinSet::new();
    for at in 0..EVENTS {
        let ledger = ledger.clone();
        writes.spawn(async move { ledger.remove_host(format!("host-{at}.example:80")).await });
    }
    for written in writes.join_all().await {
        written.expect("it is written");
    }
    ledger.close().await;

    let options = || {
        let mut options = Inside::options(folder.path());
        options.keychain = imprest_desk::KeychainChoice::Given(keychain.clone());
        options
    };
    let inside = Inside::open_locked(options()).await?;
    let status = inside.desk.status().await?;
    assert_eq!((status.danger.as_str(), status.danger_why.as_deref()), ("halted", Some(PROVING)));
    inside.unlock().await?;
    assert_eq!(proven(&inside).await?, None);
    settled(&inside, &token, "two").await?;
    assert!(inside.desk.verify().await?.whole);
    inside.close().await;

    // Damage that neither of the two sees is found by the proof before anything is signed.
    let books = Connection::open(folder.path().join("ledger.db")).expect("the books");
    let spoil = "UPDATE agents SET name = 'Skout'";
    assert_eq!(books.execute(spoil, []).expect("spoils"), 1);
    drop(books);
    let inside = Inside::open_locked(options()).await?;
    inside.unlock().await?;
    let early = buy(&inside, &token, "three").await?;
    assert_eq!(early["status"], "refused", "{early}");
    let why = proven(&inside).await?;
    assert_eq!(why.as_deref(), Some("The books contradict themselves."));
    let late = buy(&inside, &token, "four").await?;
    assert_eq!(late["status"], "refused", "{late}");
    let kinds: Vec<String> =
        inside.desk.signals().await?.into_iter().filter(|s| s.open).map(|s| s.kind).collect();
    assert!(kinds.contains(&"books_broken".to_owned()), "{kinds:?}");
    inside.close().await;
    Ok(())
}

/// Waits until the proof of a long log is done; why nothing is signed after it, if so.
async fn proven(inside: &Inside) -> Result<Option<String>, Obstacle> {
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        let status = inside.desk.status().await?;
        match status.danger_why.as_deref() {
            Some("The books are still being proven.") => tick.tick().await,
            _ if status.danger == "halted" => return Ok(status.danger_why),
            _ => return Ok(None),
        };
    }
}

/// What the owner is told at a terminal of a seal that is not the vault's.
#[test]
fn the_doctor_says_that_the_seal_is_forged() -> Result<(), Obstacle> {
    let folder = folder();
    let mut desk = imprest_tests::Desk::serve_practice(folder.path())?;
    let token = desk.add_agent("Scout", &["--per-day", "1"])?;
    desk.stop()?;
    let proof = desk.read(&["verify"])?;
    assert!(proof.done()?["sealed"].as_u64() > Some(0), "{proof:?}");
    let books = Connection::open(folder.path().join("ledger.db")).expect("the books");
    books.execute("UPDATE seals SET mac = zeroblob(32)", []).expect("forges");
    drop(books);
    let weather = desk.serve()?.practice.clone().expect("a practice network").good("weather");
    let looked = desk.read(&["doctor"])?;
    assert_eq!(looked.code, 1, "{looked:?}");
    let findings = looked.documents[0]["findings"].as_array().expect("findings").clone();
    let trust = findings.iter().find(|f| f["what"] == "trust").expect("it is looked at");
    assert_eq!(trust["health"], "bad");
    let found = trust["found"].as_str().expect("a sentence");
    assert!(found.contains("not the one the vault sealed"), "{found}");
    let refused = desk.agent(&token, &["fetch", &weather])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    let more = desk.owner(&["agent", "set", "Scout", "--per-day", "9"])?;
    assert_eq!((more.code, more.stderr.lines().count()), (1, 2), "{more:?}");
    Ok(())
}

/// A second user of the machine with the same token halts the agent until it has a new one. Only
/// root can become another user, so elsewhere there is nothing to see.
#[cfg(target_os = "linux")]
#[test]
fn a_credential_used_by_another_user_halts_its_agent() -> Result<(), Obstacle> {
    use imprest_tests::{Answer, Desk, built_program};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    if !rustix::process::getuid().is_root() {
        println!("skipped: only root can become another user");
        return Ok(());
    }
    let folder = folder();
    let desk = Desk::serve_practice(&folder.path().join("desk"))?;
    let token = desk.add_agent("Scout", &["--per-day", "1"])?;
    let ready = desk.ready()?.clone();
    let practice = ready.practice.expect("a practice network");
    let weather = practice.good("weather");
    let bought = desk.agent(&token, &["fetch", &weather, "--key", "one", "--wait", "30000"])?;
    assert_eq!(bought.done()?["status"], "settled");

    // The other user's own copy of the command, in a place they can reach.
    let open = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("opened to others");
    };
    let elsewhere = TempDir::new().expect("makes a folder");
    let program = elsewhere.path().join("imprest");
    fs::copy(built_program("imprest")?, &program).expect("copies");
    open(elsewhere.path());
    open(&program);
    let mut command = Command::new(&program);
    command.uid(12_345).gid(12_345).current_dir(elsewhere.path());
    command.env_clear().env("IMPREST_TOKEN", &token).env("HOME", elsewhere.path());
    command.args(["budget", "--json", "--desk", &ready.url, "--data"]).arg(elsewhere.path());
    let other = Answer::of(command, "")?;
    assert_eq!(other.done()?["grade_in_force"], "L1", "it is told so at once");

    let refused = desk.agent(&token, &["fetch", &weather, "--key", "two"])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    let reason = &refused.documents[0]["verdict"]["reasons"][0];
    assert_eq!(reason["code"], "grade_too_low", "{refused:?}");
    let message = reason["message"].as_str().expect("a sentence");
    assert!(message.contains("user 12345") && message.contains("user 0"), "{message}");
    let signals = desk.read(&["signals"])?;
    let signal = &signals.documents[0];
    assert_eq!(
        (&signal["kind"], &signal["level"]),
        (&json!("credential_elsewhere"), &json!("halted"))
    );
    assert_eq!((&signal["subject"], &signal["needs_ack"]), (&json!("Scout"), &json!(false)));
    let cannot = desk.owner(&["acknowledge", &signal["seq"].to_string()])?;
    assert_eq!(cannot.code, 1, "{cannot:?}");
    assert!(cannot.stderr.contains("agent rotate"), "{cannot:?}");

    let rotated = desk.owner(&["agent", "rotate", "Scout"])?;
    let token = rotated.done()?["token"].as_str().expect("a token").to_owned();
    let bought = desk.agent(&token, &["fetch", &weather, "--key", "three", "--wait", "30000"])?;
    assert_eq!(bought.done()?["status"], "settled");
    let open: Vec<Value> =
        desk.read(&["signals"])?.documents.into_iter().filter(|s| s["open"] == true).collect();
    assert_eq!(open, Vec::<Value>::new());
    Ok(())
}
