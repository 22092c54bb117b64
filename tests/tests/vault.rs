//! Whether an owner gets back in when the keychain is gone, and whether what raises authority
//! waits for the owner while what lowers it does not.

use imprest_desk::view::{BudgetForm, DeskStatus};
use imprest_desk::{Keychain, KeychainChoice, owner};
use imprest_tests::{Desk, Inside, Obstacle, PASSPHRASE};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const NEW_PASSPHRASE: &str = "another seven grey herons";

fn folder() -> TempDir {
    TempDir::new().expect("makes a folder")
}

fn per_day(limit: &str) -> BudgetForm {
    BudgetForm { per_day: Some(limit.into()), zone: "UTC".into(), ..BudgetForm::default() }
}

async fn beside(folder: &Path, keychain: &Keychain) -> Result<Inside, Obstacle> {
    let mut options = Inside::options(folder);
    options.keychain = KeychainChoice::Given(keychain.clone());
    Inside::open_locked(options).await
}

/// Without any keychain, as after the desktop was changed.
async fn without_keychain(folder: &Path) -> Result<Inside, Obstacle> {
    Inside::open_locked(Inside::options(folder)).await
}

async fn settled(inside: &Inside, token: &str, key: &str) -> Result<(), Obstacle> {
    let url = inside.practice()?.good("weather");
    let body = json!({ "url": url, "idempotency_key": key, "wait_ms": 30_000 });
    let answer = inside.door(token)?.fetch(&body).await?;
    assert_eq!(answer["status"], "settled", "{answer}");
    Ok(())
}

async fn address(inside: &Inside) -> Result<String, Obstacle> {
    Ok(inside.desk.agent("Scout".into()).await?.row.address)
}

async fn kinds(inside: &Inside) -> Result<Vec<String>, Obstacle> {
    Ok(inside.desk.ways().await?.into_iter().map(|way| way.kind).collect())
}

async fn status(inside: &Inside) -> Result<DeskStatus, Obstacle> {
    Ok(inside.desk.status().await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keychain_is_lost_and_the_words_alone_bring_everything_back() -> Result<(), Obstacle> {
    let folder = folder();
    let keychain = Keychain::in_memory();
    let inside = beside(folder.path(), &keychain).await?;
    let vault = inside.desk.create_vault(PASSPHRASE.into()).await?;
    assert_eq!((vault.way.as_str(), vault.words.len()), ("strong", 24));
    assert_eq!(vault.keychain.as_deref(), Some("memory (memory)"));
    let token = inside.agent("Scout", "L3", per_day("1.00"), None).await?.token;
    settled(&inside, &token, "before").await?;
    let float = address(&inside).await?;
    inside.close().await;

    // The right passphrase is not enough, and it is said what is.
    let inside = without_keychain(folder.path()).await?;
    let problem = inside.desk.unlock(PASSPHRASE.into()).await.expect_err("half a key");
    assert_eq!(problem.code, "keychain", "{problem}");
    assert!(problem.to_string().contains("24 recovery words"), "{problem}");
    assert_eq!(status(&inside).await?.stage, "locked");
    // Nor are other words.
    let others = "abandon ".repeat(23) + "art";
    let problem = inside.desk.recover(others, NEW_PASSPHRASE.into()).await.expect_err("others");
    assert_eq!(problem.code, "wrong_passphrase", "{problem}");

    let opened = inside.desk.recover(vault.words.join(" "), NEW_PASSPHRASE.into()).await?;
    assert_eq!(opened.stage, "open");
    assert_eq!(kinds(&inside).await?, ["passphrase", "words"]);
    assert_eq!(address(&inside).await?, float, "the same keys");
    settled(&inside, &token, "after").await?;
    inside.close().await;

    // From here on the new passphrase alone does, and the old one with its keychain does not.
    let inside = beside(folder.path(), &keychain).await?;
    let problem = inside.desk.unlock(PASSPHRASE.into()).await.expect_err("the old one");
    assert_eq!(problem.code, "wrong_passphrase", "{problem}");
    inside.desk.unlock(NEW_PASSPHRASE.into()).await?;
    settled(&inside, &token, "with the new passphrase").await?;
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_moves_to_another_keychain_and_back_to_none() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = without_keychain(folder.path()).await?;
    let vault = inside.desk.create_vault(PASSPHRASE.into()).await?;
    assert_eq!((vault.way.as_str(), vault.keychain.as_deref()), ("passphrase", None));
    let problem = inside.desk.move_to_keychain(PASSPHRASE.into()).await.expect_err("none here");
    assert_eq!(problem.code, "keychain", "{problem}");
    assert_eq!(kinds(&inside).await?, ["passphrase", "words"], "nothing has changed");
    inside.close().await;

    let keychain = Keychain::in_memory();
    let inside = beside(folder.path(), &keychain).await?;
    inside.desk.unlock(PASSPHRASE.into()).await?;
    inside.desk.move_to_keychain(PASSPHRASE.into()).await?;
    assert_eq!(kinds(&inside).await?, ["strong", "words"]);
    inside.desk.change_passphrase(PASSPHRASE.into(), NEW_PASSPHRASE.into()).await?;
    inside.close().await;

    let elsewhere = beside(folder.path(), &Keychain::in_memory()).await?;
    let problem = elsewhere.desk.unlock(NEW_PASSPHRASE.into()).await.expect_err("another one");
    assert_eq!(problem.code, "keychain", "{problem}");
    elsewhere.close().await;

    let inside = beside(folder.path(), &keychain).await?;
    let problem = inside.desk.unlock(PASSPHRASE.into()).await.expect_err("the old one");
    assert_eq!(problem.code, "wrong_passphrase", "{problem}");
    inside.desk.unlock(NEW_PASSPHRASE.into()).await?;
    inside.desk.add_way(NEW_PASSPHRASE.into(), "passphrase".into()).await?;
    let strong = inside.desk.ways().await?.into_iter().find(|way| way.kind == "strong");
    let strong = strong.expect("a strong way").id;
    inside.desk.remove_way(NEW_PASSPHRASE.into(), strong).await?;
    inside.close().await;
    let inside = without_keychain(folder.path()).await?;
    inside.desk.unlock(NEW_PASSPHRASE.into()).await?;
    let last = inside.desk.ways().await?.remove(0).id;
    let problem = inside.desk.remove_way(NEW_PASSPHRASE.into(), last).await.expect_err("the last");
    assert_eq!(problem.code, "conflict", "{problem}");
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_raises_needs_the_owner_and_what_lowers_does_not() -> Result<(), Obstacle> {
    let folder = folder();
    let inside = Inside::open(folder.path()).await?;
    inside.agent("Scout", "L3", per_day("1.00"), None).await?;
    let desk = &inside.desk;
    assert!(status(&inside).await?.presence_left_s.is_some_and(|left| (1..=120).contains(&left)));

    let left = desk.leave().await?;
    assert_eq!((left.presence_left_s, left.window_locked), (None, true));
    assert_eq!(left.stage, "open", "agents go on");
    let raising = [
        desk.set_budget("Scout".into(), per_day("1.01")).await.map(drop),
        desk.set_grade("Scout".into(), "L4".into()).await.map(drop),
        desk.rotate_token("Scout".into()).await.map(drop),
        desk.add_agent("Other".into(), "L1".into(), per_day("1"), None).await.map(drop),
        desk.add_shared("Team".into(), per_day("9")).await.map(drop),
        desk.refill("Scout".into(), "1".into()).await.map(drop),
        desk.allow_host("127.0.0.1:9".into()).await.map(drop),
        desk.reveal_words().await.map(drop),
        desk.set_locks(None, None, true).await.map(drop),
        desk.export_key(
            "Scout".into(),
            folder.path().join("key.json").display().to_string(),
            NEW_PASSPHRASE.into(),
        )
        .await
        .map(drop),
    ];
    for attempt in raising {
        let problem = attempt.expect_err("nobody is here");
        assert_eq!(problem.code, "presence_needed", "{problem}");
    }
    assert!(!folder.path().join("key.json").exists());

    desk.set_budget("Scout".into(), per_day("0.99")).await?;
    desk.set_grade("Scout".into(), "L2".into()).await?;
    desk.set_locks(Some(60), Some(5), true).await?;
    assert!(desk.freeze().await?.frozen);
    let problem = desk.thaw().await.expect_err("a thaw raises");
    assert_eq!(problem.code, "presence_needed", "{problem}");

    let problem = desk.confirm("not the passphrase".into()).await.expect_err("wrong");
    assert_eq!(problem.code, "wrong_passphrase", "{problem}");
    let confirmed = desk.confirm(PASSPHRASE.into()).await?;
    assert!(confirmed.presence_left_s.is_some() && !confirmed.window_locked);
    assert!(!desk.thaw().await?.frozen);
    desk.set_budget("Scout".into(), per_day("1.01")).await?;
    assert_eq!(desk.reveal_words().await?.words.len(), 24);

    // What was given in the window is not for programs outside it.
    let raise = json!({ "agent": "Scout", "budget": per_day("5.00") });
    let lower = json!({ "agent": "Scout", "budget": per_day("0.50") });
    assert_eq!(
        from_outside(folder.path(), "set_budget", &raise).await,
        Err("presence_needed".into())
    );
    assert_eq!(
        from_outside(folder.path(), "reveal_words", &json!({})).await,
        Err("wrong_passphrase".into())
    );
    assert!(from_outside(folder.path(), "set_budget", &lower).await.is_ok());
    inside.close().await;
    Ok(())
}

async fn from_outside(folder: &Path, command: &str, args: &Value) -> Result<Value, String> {
    owner::call(folder, command, args.clone(), None).await.map_err(|error| match error {
        owner::OwnerError::Refused(problem) => problem.code,
        owner::OwnerError::NotRunning => "not running".into(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_vault_file_is_refused_until_the_words_vouch_for_it() -> Result<(), Obstacle> {
    let folder = folder();
    let keychain = Keychain::in_memory();
    let inside = beside(folder.path(), &keychain).await?;
    let words = inside.desk.create_vault(PASSPHRASE.into()).await?.words.join(" ");
    let file = folder.path().join("vault.json");
    let old = fs::read(&file).expect("reads");
    inside.desk.change_passphrase(PASSPHRASE.into(), NEW_PASSPHRASE.into()).await?;
    inside.close().await;
    let new = fs::read(&file).expect("reads");

    fs::write(&file, &old).expect("writes");
    let inside = beside(folder.path(), &keychain).await?;
    let note = status(&inside).await?.vault_note;
    assert!(note.is_some_and(|note| note.contains("older copy")));
    for _ in 0..2 {
        let problem = inside.desk.unlock(PASSPHRASE.into()).await.expect_err("it is older");
        assert_eq!(problem.code, "disk", "{problem}");
        // Nor does a change make it the newest.
        let change = inside.desk.change_passphrase(PASSPHRASE.into(), PASSPHRASE.into()).await;
        assert_eq!(change.expect_err("it is older").code, "disk");
    }
    inside.close().await;

    fs::write(&file, &new).expect("writes");
    let inside = beside(folder.path(), &keychain).await?;
    assert_eq!(status(&inside).await?.vault_note, None);
    inside.desk.unlock(NEW_PASSPHRASE.into()).await?;
    inside.close().await;

    fs::write(&file, &old).expect("writes");
    let inside = beside(folder.path(), &keychain).await?;
    let opened = inside.desk.recover(words, PASSPHRASE.into()).await?;
    assert_eq!((opened.stage.as_str(), opened.vault_note), ("open", None));
    inside.desk.lock().await?;
    inside.desk.unlock(PASSPHRASE.into()).await?;
    inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keychain_alone_opens_the_vault_and_raises_nothing() -> Result<(), Obstacle> {
    let folder = folder();
    let keychain = Keychain::in_memory();
    let inside = Inside::open_beside(folder.path(), &keychain).await?;
    let token = inside.agent("Scout", "L3", per_day("1.00"), None).await?.token;
    let problem = inside.desk.unlock_with_keychain().await.expect_err("nobody chose that");
    assert!(["keychain", "conflict"].contains(&problem.code.as_str()), "{problem}");
    let ways = inside.desk.add_way(PASSPHRASE.into(), "everyday".into()).await?;
    let everyday = ways.iter().find(|way| way.kind == "everyday").expect("it is there").id.clone();
    assert_eq!(kinds(&inside).await?, ["everyday", "strong", "words"]);
    inside.close().await;

    let inside = beside(folder.path(), &keychain).await?;
    let opened = status(&inside).await?;
    assert_eq!((opened.stage.as_str(), opened.presence_left_s), ("open", None), "by itself");
    settled(&inside, &token, "by itself").await?;
    let problem = inside.desk.set_budget("Scout".into(), per_day("2.00")).await.expect_err("alone");
    assert_eq!(problem.code, "presence_needed", "{problem}");
    inside.desk.lock().await?;
    inside.desk.unlock_with_keychain().await?;
    inside.desk.confirm(PASSPHRASE.into()).await?;
    inside.desk.set_budget("Scout".into(), per_day("2.00")).await?;
    inside.desk.remove_way(PASSPHRASE.into(), everyday).await?;
    inside.close().await;

    let inside = beside(folder.path(), &keychain).await?;
    assert_eq!(status(&inside).await?.stage, "locked");
    inside.unlock().await?;
    settled(&inside, &token, "with the passphrase again").await?;
    inside.close().await;
    Ok(())
}

/// The disk takes a change and does not confirm it: the desk says so, and opens afterwards whether
/// a power cut left the new file or brought back the old one.
#[cfg(target_os = "linux")]
#[test]
fn a_change_that_the_disk_does_not_confirm_locks_nobody_out() -> Result<(), Obstacle> {
    let name = "a_change_that_the_disk_does_not_confirm_locks_nobody_out";
    if imprest_tests::not_bound_by_permissions(name)? {
        return Ok(());
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = folder();
        let file = folder.path().join("vault.json");
        let keychain = Keychain::in_memory();
        let inside = Inside::open_beside(folder.path(), &keychain).await?;
        let old = fs::read(&file).expect("reads");
        // A folder that is written to and not read cannot be synced.
        set_mode(folder.path(), 0o300);
        let moved = inside.desk.move_to_keychain(PASSPHRASE.into()).await;
        set_mode(folder.path(), 0o700);
        assert_eq!(moved?.len(), 2);
        let note = status(&inside).await?.vault_note.expect("the owner is told");
        assert!(note.contains("did not confirm") && note.contains("power cut"), "{note}");
        inside.close().await;

        let new = fs::read(&file).expect("reads");
        assert_ne!(new, old);
        for left in [&new, &old] {
            fs::write(&file, left).expect("writes");
            let inside = beside(folder.path(), &keychain).await?;
            inside.unlock().await?;
            assert_eq!(status(&inside).await?.vault_note, None);
            inside.close().await;
            // A desk that has opened the new file counts it as the last one from then on.
            keychain.delete("vault-generation").await.expect("forgotten");
        }

        let inside = beside(folder.path(), &keychain).await?;
        set_mode(folder.path(), 0o300);
        let changed = inside.desk.change_passphrase(PASSPHRASE.into(), NEW_PASSPHRASE.into()).await;
        set_mode(folder.path(), 0o700);
        changed?;
        assert!(status(&inside).await?.vault_note.is_some());
        inside.desk.change_passphrase(NEW_PASSPHRASE.into(), PASSPHRASE.into()).await?;
        assert_eq!(status(&inside).await?.vault_note, None, "confirmed");
        inside.close().await;
        let inside = beside(folder.path(), &keychain).await?;
        inside.unlock().await?;
        inside.close().await;
        Ok(())
    })
}

#[cfg(target_os = "linux")]
fn set_mode(folder: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("permitted");
}

/// By the command line alone, on a machine without a keychain.
#[test]
fn the_command_line_recovers_a_desk_and_moves_its_treasury() -> Result<(), Obstacle> {
    let folder = folder();
    let desk = Desk::at(folder.path())?;
    let made = desk.owner(&["init", "--practice"])?;
    let made = made.done()?;
    assert_eq!(made["way"], "passphrase", "{made}");
    let words: Vec<&str> =
        made["words"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
    let lines = format!("{}\n{NEW_PASSPHRASE}", words.join(" "));
    desk.owner_with(&lines, &["recover"])?.done()?;
    let again = desk.owner_with(NEW_PASSPHRASE, &["vault", "words"])?;
    assert_eq!(again.done()?["words"], made["words"]);
    assert_eq!(desk.owner(&["vault", "words"])?.code, 6, "the old passphrase");
    let slots = desk.read(&["vault", "slots"])?;
    assert_eq!(slots.documents.len(), 2, "{slots:?}");
    let both_ways = format!("{NEW_PASSPHRASE}\n{PASSPHRASE}");
    let changed = desk.owner_with(&both_ways, &["vault", "passwd"])?;
    assert_eq!(changed.code, 0, "{changed:?}");
    let none = desk.owner(&["vault", "rewrap"])?;
    assert_eq!(none.code, 6, "{none:?}");
    assert!(none.stderr.contains("No keychain works here"), "{none:?}");

    // A key goes out as a keystore and comes back as the treasury's.
    let file = folder.path().join("own.json");
    let file = file.to_str().expect("a path");
    let both = format!("{PASSPHRASE}\n{NEW_PASSPHRASE}");
    let out = desk.owner_with(&both, &["key", "export", "treasury", file])?;
    let address = out.done()?["address"].clone();
    let over = desk.owner_with(&both, &["key", "export", "treasury", file])?;
    assert_eq!(over.code, 1, "nothing is replaced: {over:?}");
    let watched = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let watch = desk.owner(&["treasury", "watch", watched])?;
    assert_eq!(watch.done()?["address"], watched);
    let import = desk.owner_with(&both, &["treasury", "import", file])?;
    assert_eq!(*import.done()?, json!({ "kind": "imported", "address": address }));
    let raw =
        format!("{PASSPHRASE}\n0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
    let import = desk.owner_with(&raw, &["treasury", "import", "--raw-stdin"])?;
    assert_eq!(*import.done()?, json!({ "kind": "imported", "address": watched }));
    let bad =
        desk.owner_with(&format!("{PASSPHRASE}\n0xac09"), &["treasury", "import", "--raw-stdin"])?;
    assert_eq!(bad.code, 2, "{bad:?}");
    assert_eq!(desk.owner(&["treasury", "own"])?.done()?["kind"], "own");
    Ok(())
}
