//! Secrets that must never surface: the passphrase, the words, keys, an agent's token, looked for
//! in everything the desk writes while it says as much as it can.

#![cfg(target_os = "linux")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use imprest_tests::{Answer, Desk, Obstacle, PASSPHRASE};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

const WRONG: &str = "canary that opens nothing 4471";
const OTHER: &str = "canary of a passphrase to come 9083";
const KEYSTORE: &str = "canary over an exported key 2266";
/// A treasury key from elsewhere, in hex.
const IMPORTED: &str = "2f4d1c9a6b8e7053a1d2c4f6980b7e5d3c1a2948f6e7d5b4c3a291807f6e5d4c";

/// A secret in every form in which it could be written.
struct Canary {
    name: &'static str,
    forms: Vec<Vec<u8>>,
}

impl Canary {
    fn text(name: &'static str, text: &str) -> Canary {
        let mut forms = written(text.as_bytes());
        forms.push(text.to_uppercase().into_bytes());
        forms.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        forms.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        Canary { name, forms }
    }

    fn bytes(name: &'static str, bytes: &[u8]) -> Canary {
        let mut canary = Canary::text(name, &hex::encode(bytes));
        canary.forms.extend(written(bytes));
        canary.forms.push(bytes.iter().rev().copied().collect());
        // As a list of numbers, which is how bytes look when they are printed for debugging.
        canary.forms.push(format!("{bytes:?}").trim_matches(['[', ']']).as_bytes().to_vec());
        canary
    }

    fn is_in(&self, haystack: &[u8]) -> bool {
        self.forms.iter().any(|form| contains(haystack, form))
    }
}

/// As it is, in hex, and in base64 wherever in a longer text it may begin.
fn written(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![bytes.to_vec(), hex::encode(bytes).into_bytes()];
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode([vec![0; before], bytes.to_vec()].concat());
        // The letters at both ends depend on what stands beside it.
        let inside = &text[if before == 0 { 0 } else { before + 1 }..text.len() - 2];
        forms.push(inside.as_bytes().to_vec());
        forms.push(inside.replace('+', "-").replace('/', "_").into_bytes());
    }
    forms
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return true;
        }
        from += at + 1;
    }
    false
}

fn canaries(words: &[String], token: &str) -> Vec<Canary> {
    let phrase = words.join(" ");
    let mnemonic = bip39::Mnemonic::parse(&phrase).expect("words");
    let key = |account: u32| {
        use alloy::signers::local::{MnemonicBuilder, coins_bip39::English};
        MnemonicBuilder::<English>::from_phrase(phrase.as_str())
            .derivation_path(format!("m/44'/60'/{account}'/0/0"))
            .and_then(|builder| builder.build())
            .expect("derives")
            .to_bytes()
    };
    let mut canaries = vec![
        Canary::text("the passphrase", PASSPHRASE),
        Canary::text("a wrong passphrase", WRONG),
        Canary::text("the passphrase that was for a while", OTHER),
        Canary::text("the keystore's passphrase", KEYSTORE),
        Canary::text("the token", token),
        Canary::bytes("the entropy", &mnemonic.to_entropy()),
        Canary::bytes("the seed", &mnemonic.to_seed("")),
        Canary::bytes("the treasury's own key", key(0).as_slice()),
        Canary::bytes("the agent's key", key(1).as_slice()),
        Canary::bytes("the imported key", &hex::decode(IMPORTED).expect("hex")),
    ];
    // Any four words in a row, in a sentence or in a list.
    for four in words.windows(4) {
        canaries.push(Canary::text("some of the words", &four.join(" ")));
        canaries.push(Canary::text("some of the words", &four.join("\",\"")));
        canaries.push(Canary::text("some of the words", &four.join(", ")));
    }
    canaries
}

/// What came out of the desk, by where it came out.
#[derive(Default)]
struct Heard(Vec<(String, Vec<u8>)>);

impl Heard {
    fn note(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    /// Everything of an answer but what it is the point of the command to show.
    fn note_answer(&mut self, place: &str, answer: &Answer, is_shown: bool) {
        self.note(format!("{place}, standard error"), answer.stderr.as_bytes());
        if !is_shown {
            self.note(format!("{place}, standard output"), answer.stdout.as_bytes());
        }
    }

    /// Every file under a folder, sockets left out.
    fn note_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                self.note_files(&entry.path());
            } else if kind.is_file() {
                self.note(
                    entry.path().display().to_string(),
                    fs::read(entry.path()).expect("reads"),
                );
            }
        }
    }

    fn leaks(&self, canaries: &[Canary]) -> Vec<String> {
        let mut leaks = Vec::new();
        for (place, bytes) in &self.0 {
            for canary in canaries.iter().filter(|canary| canary.is_in(bytes)) {
                leaks.push(format!("{} in {place}", canary.name));
            }
        }
        leaks.dedup();
        leaks
    }
}

#[test]
fn the_search_finds_every_form() {
    let canary = Canary::text("a text", PASSPHRASE);
    let key = hex::decode(IMPORTED).expect("hex");
    let number = Canary::bytes("a key", &key);
    let around = |inside: Vec<u8>| [b"before ".to_vec(), inside, b" behind".to_vec()].concat();
    for form in [
        PASSPHRASE.as_bytes().to_vec(),
        hex::encode(PASSPHRASE).into_bytes(),
        PASSPHRASE.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        PASSPHRASE.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        STANDARD_NO_PAD.encode(format!("{{\"p\":\"{PASSPHRASE}\"}}")).into_bytes(),
        STANDARD_NO_PAD.encode(format!("x{PASSPHRASE}y")).into_bytes(),
        STANDARD_NO_PAD.encode(PASSPHRASE).into_bytes(),
    ] {
        assert!(canary.is_in(&around(form.clone())), "{}", String::from_utf8_lossy(&form));
        assert!(!number.is_in(&around(form)));
    }
    for form in [
        key.clone(),
        IMPORTED.as_bytes().to_vec(),
        IMPORTED.to_uppercase().into_bytes(),
        STANDARD_NO_PAD.encode(&key).into_bytes(),
        format!("{key:?}").into_bytes(),
    ] {
        assert!(number.is_in(&around(form)));
    }
}

/// Starts its programs with the most they can say, their standard error in a file, and where a
/// core of theirs would be seen.
fn noisy(data: &Path, outside: &Path) -> Result<Desk, Obstacle> {
    let mut desk = Desk::at(data)?;
    let script = "cd \"$0\" && program=$1 && shift && exec \"$program\" -vvv \"$@\" 2>>\"$0/log\"";
    desk.run_through(["sh".into(), "-c".into(), script.into(), outside.as_os_str().to_owned()]);
    Ok(desk)
}

#[test]
fn no_secret_surfaces_whatever_the_desk_is_put_through() -> Result<(), Obstacle> {
    let (data, outside) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let mut desk = noisy(data.path(), outside.path())?;
    let mut heard = Heard::default();

    let made = desk.owner(&["init", "--practice"])?;
    heard.note_answer("init", &made, true);
    let words: Vec<String> =
        serde_json::from_value(made.done()?["words"].clone()).expect("the words");
    let good = desk.serve()?.practice.as_ref().expect("practice").good("weather");
    let added = desk.owner(&["agent", "add", "Scout", "--grade", "L3", "--per-day", "0.02"])?;
    heard.note_answer("agent add", &added, true);
    let token = added.done()?["token"].as_str().expect("a token").to_owned();
    let canaries = canaries(&words, &token);

    pay_and_refuse(&desk, &token, &good, &mut heard)?;
    get_it_wrong(&desk, &words, &mut heard)?;
    change_and_export(&desk, outside.path(), &mut heard)?;
    ask_over_the_socket(data.path(), &words, &mut heard);

    // It ends as in a crash, and the books are left with whatever was not yet written back.
    let process = i32::try_from(desk.process()?).expect("a process");
    let process = rustix::process::Pid::from_raw(process).expect("a process");
    rustix::process::kill_process(process, rustix::process::Signal::ABORT).expect("it runs");
    desk.kill();
    assert!(data.path().join("ledger.db-wal").is_file(), "the books were closed in order");

    heard.note_files(data.path());
    heard.note_files(outside.path());
    heard.note_files(desk.home());
    let files: Vec<PathBuf> = heard.0.iter().map(|(place, _)| PathBuf::from(place)).collect();
    for name in ["vault.json", "ledger.db", "ledger.db-wal", "log", "desk.age", "key.json"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{name} was not looked at");
    }
    assert!(!files.iter().any(|file| file.ends_with("core")), "it left a core");
    let log = fs::read_to_string(outside.path().join("log")).expect("the log");
    assert!(log.contains("DEBUG"), "it did not say all it can");

    // The same search finds what a program is meant to show, where it shows it.
    let shown = |answer: &Answer| {
        let found = canaries.iter().filter(|canary| canary.is_in(answer.stdout.as_bytes()));
        found.map(|canary| canary.name).collect::<Vec<_>>()
    };
    assert!(shown(&made).contains(&"some of the words"), "the search finds no words");
    assert_eq!(shown(&added), ["the token"]);
    let leaks = heard.leaks(&canaries);
    assert!(leaks.is_empty(), "{leaks:#?}");
    Ok(())
}

/// Payments that go through and one that does not, in a shell and over MCP.
fn pay_and_refuse(desk: &Desk, token: &str, good: &str, heard: &mut Heard) -> Result<(), Obstacle> {
    let paid = desk.agent(token, &["fetch", good, "--wait", "30000"])?;
    assert_eq!(paid.done()?["status"], "settled", "{paid:?}");
    heard.note_answer("fetch", &paid, false);
    let refused = desk.agent(token, &["fetch", good, "--max", "0.000001"])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    heard.note_answer("fetch, refused", &refused, false);
    let stranger = desk.agent("imp_not-a-token", &["budget"])?;
    assert_ne!(stranger.code, 0);
    heard.note_answer("budget of a stranger", &stranger, false);

    let mut command = desk.command()?;
    command.env("IMPREST_TOKEN", token).args(["mcp", "--data"]).arg(desk.data());
    let mut bridge = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| Obstacle::new(format!("starting the bridge: {e}")))?;
    let mut input = bridge.stdin.take().expect("a pipe");
    let mut said = BufReader::new(bridge.stdout.take().expect("a pipe"));
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "canary", "version": "1" },
    });
    let fetch = json!({ "name": "fetch", "arguments": { "url": good, "wait_ms": 30_000 } });
    let budget = json!({ "name": "budget", "arguments": {} });
    let wrong = json!({ "name": "fetch", "arguments": { "url": 7 } });
    let asks = [
        ("initialize", hello),
        ("tools/list", json!({})),
        ("tools/call", fetch),
        ("tools/call", budget),
        ("tools/call", wrong),
    ];
    for (id, (method, params)) in asks.into_iter().enumerate() {
        let ask = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        writeln!(input, "{ask}").expect("the bridge listens");
        let answer = line_with_id(&mut said, id);
        assert!(method != "initialize" || answer["result"].is_object(), "{answer}");
        heard.note(format!("MCP, {method}"), answer.to_string());
        if id == 0 {
            let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            writeln!(input, "{ready}").expect("the bridge listens");
        }
    }
    drop(input);
    bridge.wait().expect("the bridge ends");
    Ok(())
}

fn line_with_id(said: &mut impl BufRead, id: usize) -> Value {
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).expect("reads") > 0, "the bridge hung up");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        if answer["id"] == id {
            return answer;
        }
    }
}

/// Wrong passphrases, wrong words, wrong keys: an error is where a secret gets out first.
fn get_it_wrong(desk: &Desk, words: &[String], heard: &mut Heard) -> Result<(), Obstacle> {
    let mut swapped = words.to_vec();
    swapped.swap(0, 23);
    let mut misspelt = words.to_vec();
    misspelt[5].push('q');
    let recover = |words: &[String]| format!("{}\n{OTHER}", words.join(" "));
    for (lines, command, code) in [
        (WRONG.to_owned(), &["thaw"][..], 6),
        (WRONG.to_owned(), &["vault", "words"], 6),
        (WRONG.to_owned(), &["unlock"], 6),
        (format!("{WRONG}\n{OTHER}"), &["vault", "passwd"], 6),
        (recover(&swapped), &["recover"], 6),
        (recover(&misspelt), &["recover"], 6),
        (recover(&words[..23]), &["recover"], 6),
        (format!("{PASSPHRASE}\n{IMPORTED}00"), &["treasury", "import", "--raw-stdin"], 2),
        (format!("{WRONG}\n{IMPORTED}"), &["treasury", "import", "--raw-stdin"], 6),
    ] {
        let answer = desk.owner_with(&lines, command)?;
        assert!(answer.code == code || answer.code == 2, "{command:?}: {answer:?}");
        heard.note_answer(&command.join(" "), &answer, false);
    }
    Ok(())
}

/// What a present owner may do with secrets, and what is written to files.
fn change_and_export(desk: &Desk, outside: &Path, heard: &mut Heard) -> Result<(), Obstacle> {
    let at = |name: &str| outside.join(name).display().to_string();
    for (lines, command) in [
        (format!("{PASSPHRASE}\n{OTHER}"), vec!["vault".to_owned(), "passwd".to_owned()]),
        (format!("{OTHER}\n{PASSPHRASE}"), vec!["vault".to_owned(), "passwd".to_owned()]),
        (
            format!("{PASSPHRASE}\n{IMPORTED}"),
            vec!["treasury".to_owned(), "import".to_owned(), "--raw-stdin".to_owned()],
        ),
        (
            format!("{PASSPHRASE}\n{KEYSTORE}"),
            ["key", "export", "treasury"]
                .map(str::to_owned)
                .into_iter()
                .chain([at("key.json")])
                .collect(),
        ),
        (format!("{PASSPHRASE}\n{OTHER}"), vec!["backup".to_owned(), at("desk.age")]),
        (String::new(), vec!["export".to_owned(), "--csv".to_owned(), at("books.csv")]),
        (String::new(), vec!["verify".to_owned()]),
        (String::new(), vec!["status".to_owned()]),
        (String::new(), vec!["activity".to_owned()]),
        (String::new(), vec!["doctor".to_owned()]),
        (String::new(), vec!["vault".to_owned(), "slots".to_owned()]),
        (String::new(), vec!["agent".to_owned(), "show".to_owned(), "Scout".to_owned()]),
        (String::new(), vec!["lock".to_owned()]),
        (PASSPHRASE.to_owned(), vec!["unlock".to_owned()]),
    ] {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let answer = match lines.is_empty() {
            true => desk.read(&words)?,
            false => desk.owner_with(&lines, &words)?,
        };
        assert!(answer.code == 0 || words == ["doctor"], "{command:?}: {answer:?}");
        heard.note_answer(&words.join(" "), &answer, false);
    }
    Ok(())
}

/// Lines that no program of ours would send: the secret where something else should be.
fn ask_over_the_socket(data: &Path, words: &[String], heard: &mut Heard) {
    let phrase = words.join(" ");
    for ask in [
        json!({ "command": "status" }),
        json!({ "command": "agent", "args": { "agent": "Scout" } }),
        json!({ "command": "unlock", "args": { "passphrase": WRONG } }),
        json!({ "command": "thaw", "passphrase": WRONG }),
        json!({ "command": "recover", "args": { "words": phrase.replacen(' ', " q", 1), "new_passphrase": OTHER } }),
        json!({ "command": "unlock", "args": PASSPHRASE }),
        json!({ "command": "unlock", "args": [PASSPHRASE] }),
        json!({ "command": "backup", "args": { "path": "x", "passphrase": OTHER, "replace": OTHER } }),
        json!({ "command": "set_locks", "args": { "signing_idle_min": PASSPHRASE, "window_idle_min": null, "with_session": true } }),
        json!({ "command": "status", "passphrase": [PASSPHRASE] }),
        json!({ "command": "status", "args": {}, PASSPHRASE: true }),
    ] {
        let answer = exchange(data, &ask.to_string());
        heard.note(format!("the socket at {}", ask["command"]), answer);
    }
    let torn = format!("{{\"command\":\"unlock\",\"args\":{{\"passphrase\":\"{PASSPHRASE}\"");
    heard.note("the socket at a torn line", exchange(data, &torn));
    heard.note("the socket at no JSON", exchange(data, PASSPHRASE));
}

fn exchange(data: &Path, line: &str) -> Vec<u8> {
    let mut socket = UnixStream::connect(data.join("owner.sock")).expect("the desk listens");
    writeln!(socket, "{line}").expect("it reads");
    let mut answer = Vec::new();
    BufReader::new(socket).read_until(b'\n', &mut answer).expect("it answers");
    assert!(!answer.is_empty(), "no answer to {line}");
    answer
}
