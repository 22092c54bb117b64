//! Whole terminal sessions that need no running desk: help, wrong usage, missing desks, and a desk
//! made, read and frozen on its books alone. Each runs in folders of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The passphrase of every desk made here.
const PASSPHRASE: &str = "correct horse battery staple";

/// An empty home, and a data folder in it that does not exist yet.
struct Home(TempDir);

/// What a command answered.
struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Home {
        Home(TempDir::new().expect("a home"))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("desk")
    }

    /// The built program, away from the person's own folders and keychain.
    fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imprest"));
        for variable in ["HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_RUNTIME_DIR"] {
            command.env(variable, self.0.path());
        }
        for variable in [
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "DBUS_SESSION_BUS_ADDRESS",
            "IMPREST_TOKEN",
            "IMPREST_URL",
            "COLUMNS",
        ] {
            command.env_remove(variable);
        }
        command.env("IMPREST_DATA", self.data()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        self.answer(self.command(arguments), "")
    }

    fn owner(&self, arguments: &[&str]) -> Answer {
        let mut command = self.command(arguments);
        command.arg("--passphrase-stdin");
        self.answer(command, PASSPHRASE)
    }

    fn answer(&self, mut command: Command, line: &str) -> Answer {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("imprest starts");
        let mut stdin = child.stdin.take().expect("its standard input");
        // A program that does not want the line may have closed the pipe; its answer tells.
        let _ = writeln!(stdin, "{line}");
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let home = self.0.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home, "HOME");
        Answer {
            code: status.code().expect("it ends by itself"),
            stdout: text(&stdout),
            stderr: text(&stderr),
        }
    }
}

impl Answer {
    fn document(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.stdout, self.stderr))
    }

    /// The exit code and what stood on standard error, for sessions that fail.
    fn session(&self, line: &str) -> String {
        assert_eq!(self.stderr.lines().count(), 2, "two lines: {}", self.stderr);
        format!("$ imprest {line}\n{}[{}]\n\n", self.stderr, self.code)
    }
}

/// Every command's help, as one page.
#[test]
fn help_says_what_every_command_does() {
    let home = Home::new();
    let commands = [
        "",
        "init",
        "serve",
        "demo",
        "agent",
        "agent add",
        "agent list",
        "agent show",
        "agent set",
        "agent rehearse",
        "agent rotate",
        "agent revoke",
        "shared",
        "shared add",
        "shared list",
        "shared show",
        "shared set",
        "approvals",
        "approve",
        "refuse",
        "freeze",
        "thaw",
        "signals",
        "acknowledge",
        "clock",
        "clock accept",
        "fund",
        "refill",
        "sweep",
        "cancel",
        "hosts",
        "hosts allow",
        "hosts list",
        "hosts remove",
        "networks",
        "networks set-rpc",
        "lock",
        "unlock",
        "recover",
        "vault",
        "vault slots",
        "vault add",
        "vault remove",
        "vault passwd",
        "vault rewrap",
        "vault words",
        "treasury",
        "treasury show",
        "treasury import",
        "treasury watch",
        "treasury own",
        "key",
        "key export",
        "status",
        "activity",
        "evidence",
        "books",
        "export",
        "verify",
        "backup",
        "restore",
        "doctor",
        "connect",
        "connect list",
        "connect add",
        "connect remove",
        "connect snippet",
        "mcp",
        "fetch",
        "call",
        "transfer",
        "quote",
        "budget",
        "payment",
        "payments",
        "payees",
        "completions",
        "man",
    ];
    let mut page = String::new();
    for command in commands {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let answer = home.run(&arguments);
        assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{command}");
        page.push_str(&format!("$ imprest {}\n{}\n", arguments.join(" "), answer.stdout));
    }
    insta::assert_snapshot!("help", page);
    assert!(!home.data().exists(), "help makes no folder");
    let listed = page.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next());
    let names: Vec<&str> = listed
        .expect("the list of commands")
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(commands.contains(&name), "{name} is not in the page");
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let home = Home::new();
    let page = home.run(&["man"]);
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    assert!(page.stdout.contains(".TH imprest 1"), "{}", page.stdout);
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().to_str().expect("is text");
    assert_eq!(home.run(&["man", "--into", path]).code, 0);
    for (command, says) in [
        ("imprest", "imprest\\-agent(1)"),
        ("imprest-agent-add", "\\-\\-per\\-day"),
        ("imprest-fetch", "IMPREST_TOKEN"),
    ] {
        let page = std::fs::read_to_string(folder.path().join(format!("{command}.1")));
        let page = page.unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(says), "{command}: {page}");
    }
    let nowhere = home.run(&["man", "--into", "/nowhere/at/all"]);
    assert_eq!(nowhere.code, 1);
    assert_eq!(nowhere.stderr.lines().count(), 2, "{}", nowhere.stderr);
    assert!(!home.data().exists(), "a manual makes no folder");
}

/// Wrong usage and bad input exit with 2, in two lines, before any desk is asked.
#[test]
fn wrong_usage_is_said_in_two_lines() {
    let home = Home::new();
    let lines: [&[&str]; 26] = [
        &["frobnicate"],
        &["status", "--colour"],
        &["agent", "add"],
        &["agent", "add", "scout", "--per-dya", "5"],
        &["agent", "add", "scout", "--per-day", "1,50"],
        &["agent", "add", "../scout", "--per-day", "1"],
        &["agent", "add", "scout", "--grade", "L9", "--per-day", "1"],
        &["agent", "add", "scout", "--per-day", "1", "--expires", "tomorrow"],
        &["agent", "add", "scout", "--per-day", "1", "--hours", "9-18"],
        &["agent", "add", "scout", "--per-day", "1", "--max-count-hour", "-1"],
        &["agent", "set", "scout"],
        &["agent", "rehearse", "scout", "--days", "0"],
        &["shared", "add", "team", "--per-hour", "1e3"],
        &["acknowledge", "one"],
        &["refill", "scout", "-5"],
        &["sweep", "scout", "1,5"],
        &["cancel"],
        &["cancel", "apv_1"],
        &["approve", "pay_1"],
        &["hosts", "allow", "localhost"],
        &["fetch", "http://127.0.0.1/", "--wait", "60001"],
        &["transfer", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "1"],
        &["transfer", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "1", "--key", "k"],
        &["export"],
        &["backup"],
        &["restore", "desk.age", "--inspect", "--replace"],
    ];
    let mut sessions = String::new();
    for line in lines {
        let answer = home.run(line);
        assert_eq!(answer.code, 2, "{line:?}: {}", answer.stderr);
        assert_eq!(answer.stdout, "", "{line:?}");
        sessions.push_str(&answer.session(&line.join(" ")));
    }
    insta::assert_snapshot!("usage", sessions);
    assert!(!home.data().exists(), "nothing was made");
}

/// Without a desk: 5 where one is needed, and nothing is made by looking.
#[test]
fn a_missing_desk_is_said_in_two_lines() {
    let home = Home::new();
    let lines: [&[&str]; 17] = [
        &["status"],
        &["backup", "desk.age"],
        &["acknowledge", "1"],
        &["clock", "accept"],
        &["shared", "set", "team", "--per-day", "1"],
        &["books"],
        &["fund"],
        &["refill", "scout", "1"],
        &["sweep", "scout"],
        &["cancel", "--all"],
        &["approve", "apv_1"],
        &["lock"],
        &["agent", "list"],
        &["activity"],
        &["verify"],
        &["freeze"],
        &["mcp", "--agent", "scout"],
    ];
    let mut sessions = String::new();
    for line in lines {
        let answer = home.run(line);
        assert_eq!(answer.code, 5, "{line:?}: {}", answer.stderr);
        assert_eq!(answer.stdout, "", "{line:?}");
        sessions.push_str(&answer.session(&line.join(" ")));
    }
    insta::assert_snapshot!("missing", sessions);
    assert!(!home.data().exists(), "looking makes no folder");
}

/// An agent without a usable token, or with a desk that is not there.
#[test]
fn an_agent_is_told_what_is_wrong_with_its_token() {
    let home = Home::new();
    let good = "imp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let cases: [(&str, &[&str], i32); 6] = [
        ("", &["budget"], 2),
        ("imp_short", &["budget"], 2),
        (good, &["budget"], 5),
        (good, &["budget", "--desk", "http://127.0.0.1:1"], 5),
        (good, &["budget", "--desk", "http://198.51.100.7:4040"], 2),
        (good, &["fetch", "file:///etc/passwd", "--desk", "http://127.0.0.1:1"], 2),
    ];
    let mut sessions = String::new();
    for (token, line, code) in cases {
        let mut command = home.command(line);
        command.env("IMPREST_TOKEN", token);
        let answer = home.answer(command, "");
        assert_eq!(answer.code, code, "{line:?}: {}", answer.stderr);
        assert!(!answer.stderr.contains("imp_short"), "a token is never repeated");
        sessions
            .push_str(&answer.session(&format!("{}   # IMPREST_TOKEN={token}", line.join(" "))));
    }
    insta::assert_snapshot!("token", sessions);
}

#[test]
fn json_errors_are_one_document() {
    let home = Home::new();
    let cases: [(&[&str], i32, &str); 3] = [
        (&["status", "--json"], 5, "no_desk"),
        (&["refill", "scout", "x", "--json"], 2, "usage"),
        (&["budget", "--json"], 2, "bad_token"),
    ];
    for (line, code, word) in cases {
        let answer = home.run(line);
        let document = answer.document();
        assert_eq!(
            (answer.code, document["error"]["code"].as_str()),
            (code, Some(word)),
            "{line:?}"
        );
        for key in ["message", "recovery"] {
            let text = document["error"][key].as_str().expect("a sentence");
            assert!(answer.stderr.contains(text), "{line:?}: {}", answer.stderr);
        }
    }
}

#[test]
fn a_passphrase_is_asked_for_only_where_it_can_be_typed() {
    let home = Home::new();
    let answer = home.run(&["init", "--practice"]);
    assert_eq!(answer.code, 6, "{}", answer.stderr);
    assert!(answer.stderr.contains("--passphrase-stdin"), "{}", answer.stderr);
    let answer = home.answer(home.command(&["init", "--practice", "--passphrase-stdin"]), "short");
    assert_eq!(answer.code, 2, "{}", answer.stderr);
    assert_eq!(answer.stderr.lines().count(), 2, "{}", answer.stderr);
    let answer = home.answer(home.command(&["init", "--practice", "--passphrase-stdin"]), "");
    assert_eq!(answer.code, 2, "{}", answer.stderr);
}

/// A desk's life on its books alone: made, read, frozen, thawed; each needs no running desk.
#[test]
fn a_desk_is_made_read_and_frozen_without_running() {
    let home = Home::new();
    let made = home.owner(&["init", "--practice", "--json"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let document = made.document();
    assert_eq!(document["words"].as_array().map(Vec::len), Some(24));
    assert_eq!(document["practice"], true);
    assert!(document["treasury"].as_str().is_some_and(|address| address.starts_with("0x")));

    let again = home.owner(&["init", "--practice"]);
    assert_eq!((again.code, again.stderr.lines().count()), (2, 2), "{}", again.stderr);

    for line in [
        ["agent", "list"].as_slice(),
        &["shared", "list"],
        &["signals"],
        &["approvals"],
        &["activity"],
        &["hosts", "list"],
    ] {
        let answer = home.run(line);
        assert_eq!(answer.code, 0, "{line:?}: {}", answer.stderr);
        assert!(answer.stdout.lines().count() == 1, "{line:?} says that there is nothing");
        let mut json = line.to_vec();
        json.push("--json");
        assert_eq!(home.run(&json).stdout, "", "{line:?}: an empty list has no documents");
    }

    let unknown = home.run(&["agent", "show", "nobody"]);
    assert_eq!((unknown.code, unknown.stderr.lines().count()), (1, 2), "{}", unknown.stderr);

    assert_eq!(home.run(&["freeze", "--json"]).document()["frozen"], true);
    let wrong = home.answer(home.command(&["thaw", "--passphrase-stdin"]), "wrong passphrase");
    assert_eq!((wrong.code, wrong.stderr.lines().count()), (6, 2), "{}", wrong.stderr);
    assert_eq!(home.owner(&["thaw", "--json"]).document()["frozen"], false);

    let verified = home.run(&["verify", "--json"]);
    assert_eq!((verified.code, &verified.document()["whole"]), (0, &serde_json::json!(true)));
    // The vault was open for the thaw, so the log is sealed; it is locked now, so nobody can check.
    assert!(verified.document()["sealed"].as_u64() > Some(0), "{}", verified.stdout);
    assert_eq!(verified.document()["seal_checked"], false);
    assert_eq!(verified.document()["copy_checked"], false);
    let words = home.run(&["verify"]).stdout;
    for line in ["Whole: ", "Seal: the vault sealed it up to event", "Copy: there is none"] {
        assert!(words.contains(line), "{line}: {words}");
    }

    let csv = home.0.path().join("all.csv");
    let exported = home.run(&["export", "--json", "--csv", &csv.display().to_string()]);
    assert_eq!((exported.code, &exported.document()["rows"]), (0, &serde_json::json!(0)));
    assert!(csv.is_file());

    assert_eq!(home.run(&["status"]).code, 5, "status is about a running desk");
}

/// A backup made, looked into and put back, each without a running desk.
#[test]
fn a_backup_is_made_and_put_back_without_running() {
    let home = Home::new();
    assert_eq!(home.owner(&["init", "--practice"]).code, 0);
    let file = home.0.path().join("desk.age").display().to_string();
    let with = |line: &[&str], passphrase: &str| {
        let mut command = home.command(line);
        command.arg("--passphrase-stdin");
        // A backup asks for the desk's own passphrase first.
        let lines = match line[0] {
            "backup" => format!("{PASSPHRASE}\n{passphrase}"),
            _ => passphrase.to_owned(),
        };
        home.answer(command, &lines)
    };
    let seal = "kept in the other house";
    let made = with(&["backup", &file, "--json"], seal);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{}", made.stdout);
    let made = made.document();
    assert!(made["bytes"].as_u64() > Some(0) && made["path"] == "HOME/desk.age", "{made}");
    for (line, passphrase, code) in [
        (["backup", &file].as_slice(), seal, 2),
        (&["backup", &file, "--replace"], "short", 2),
        (&["backup", "/"], seal, 2),
        (&["restore", &file], seal, 2),
        (&["restore", &file, "--replace"], "another passphrase", 6),
        (&["restore", &file, "--inspect"], "another passphrase", 6),
        (&["restore", "nothing.age", "--inspect"], seal, 2),
    ] {
        let answer = with(line, passphrase);
        let said = (answer.code, answer.stderr.lines().count(), answer.stdout.as_str());
        assert_eq!(said, (code, 2, ""), "{line:?}: {}", answer.stderr);
        assert!(!answer.stderr.contains(passphrase), "{line:?}: {}", answer.stderr);
    }
    // Without the owner nothing is taken out, and nothing that is no backup is replaced.
    let mut stranger = home.command(&["backup", &file, "--replace", "--passphrase-stdin"]);
    stranger.arg("--json");
    assert_eq!(home.answer(stranger, &format!("some guess of mine\n{seal}")).code, 6);
    let precious = home.0.path().join("precious.txt");
    std::fs::write(&precious, "what I wrote").expect("writes");
    let refused = with(&["backup", &precious.display().to_string(), "--replace"], seal);
    assert!(refused.code == 2 && refused.stderr.contains("not replaced"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&precious).expect("is there"), "what I wrote");
    let inside = home.data().join("desk.age").display().to_string();
    let among = with(&["backup", &inside], seal);
    assert!(among.code == 2 && among.stderr.contains("own folder"), "{}", among.stderr);

    let again = with(&["backup", &file, "--replace"], seal);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let looked = with(&["restore", &file, "--inspect", "--json"], seal);
    assert_eq!(looked.code, 0, "{}", looked.stderr);
    let contents = looked.document();
    assert_eq!(contents["events"], made["events"]);
    assert!(contents["files"].as_array().is_some_and(|files| files.len() >= 2), "{contents}");

    let back = with(&["restore", &file, "--replace", "--json"], seal);
    assert_eq!(back.code, 0, "{}", back.stderr);
    let aside = back.document()["moved_to"].as_str().expect("moved aside").to_owned();
    assert!(aside.starts_with("HOME/desk/replaced-"), "{aside}");
    let verified = home.run(&["verify", "--json"]);
    assert_eq!(verified.document()["whole"], true, "{}", verified.stdout);
    let elsewhere = home.0.path().join("elsewhere").display().to_string();
    let back = with(&["restore", &file, "--data", &elsewhere], seal);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert!(back.stdout.contains("reads the chain"), "{}", back.stdout);
    // It is frozen, and no passphrase thaws it before the chain was read.
    let thawed = home.owner(&["thaw"]);
    assert!(thawed.code != 0 && thawed.stderr.contains("come from a backup"), "{}", thawed.stderr);
}

#[test]
fn doctor_looks_at_what_is_there() {
    let home = Home::new();
    let looked = home.run(&["doctor", "--json"]).document();
    let of = |document: &serde_json::Value, what: &str| {
        let findings = document["findings"].as_array().expect("findings");
        findings.iter().find(|f| f["what"] == what).cloned().expect("the finding")
    };
    assert_eq!(of(&looked, "desk")["health"], "note");
    assert!(!home.data().exists(), "looking makes no folder");

    home.owner(&["init", "--practice"]);
    let looked = home.run(&["doctor", "--json"]).document();
    assert_eq!(of(&looked, "ledger")["health"], "good");
    assert_eq!(of(&looked, "vault")["health"], "good");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(of(&looked, "folder")["health"], "good");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home.data(), open).expect("opened to others");
        // Looking at the books closes the folder again, so this is looked at without them.
        for name in ["ledger.db", "vault.json"] {
            let _ = std::fs::remove_file(home.data().join(name));
        }
        let answer = home.run(&["doctor", "--json"]);
        assert_eq!((answer.code, &of(&answer.document(), "folder")["health"]), (1, &"bad".into()));
    }
}

/// A folder that is no folder, and one that another desk has.
#[test]
fn a_folder_that_cannot_be_used_is_said_in_two_lines() {
    let home = Home::new();
    std::fs::write(home.data(), "not a folder").expect("a file in its place");
    for line in [["agent", "list"].as_slice(), &["verify"]] {
        let answer = home.run(line);
        assert_eq!((answer.code, answer.stderr.lines().count()), (1, 2), "{}", answer.stderr);
    }
    let init = home.owner(&["init", "--practice"]);
    assert_eq!((init.code, init.stderr.lines().count()), (1, 2), "{}", init.stderr);

    let home = Home::new();
    assert_eq!(home.owner(&["init", "--practice"]).code, 0);
    let lock = std::fs::File::options()
        .write(true)
        .open(home.data().join("desk.lock"))
        .expect("the desk's lock file");
    lock.lock().expect("the folder is free");
    let answer = home.run(&["verify"]);
    assert_eq!((answer.code, answer.stderr.lines().count()), (1, 2), "{}", answer.stderr);
    assert!(answer.stderr.contains("Another desk"), "{}", answer.stderr);
}

#[test]
fn completions_are_written_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let answer = home.run(&["completions", shell]);
        assert_eq!(answer.code, 0, "{shell}: {}", answer.stderr);
        assert!(answer.stdout.contains("per-payment"), "{shell} knows the options");
    }
    assert_eq!(home.run(&["completions", "csh"]).code, 2);
}

/// A reader that goes away, as `head` does, is no error.
#[test]
fn a_closed_pipe_is_no_error() {
    let home = Home::new();
    let mut child = home
        .command(&["completions", "bash"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("imprest starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

/// Nothing outside of the home given was touched; the person's own folder is somewhere else.
#[test]
fn the_data_folder_is_the_one_named() {
    let home = Home::new();
    let elsewhere = home.0.path().join("elsewhere");
    let made = home.owner(&["init", "--practice", "--data", &elsewhere.display().to_string()]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(Path::new(&elsewhere).join("vault.json").is_file());
    assert!(!home.data().exists(), "--data goes before IMPREST_DATA");
}
