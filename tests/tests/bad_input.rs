//! What goes wrong is said in two lines, what happened and what to do; it loses nothing, and it
//! never pays.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use imprest_tests::{
    Answer, Desk, HttpDoor, Obstacle, PASSPHRASE, PracticeAddresses, token_balance,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a desk may take to notice something by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether an answer is a failure in two lines, and in JSON the same two sentences.
fn two_lines(answer: &Answer, code: i32, happened: &str, to_do: &str) {
    assert_eq!(answer.code, code, "{answer:?}");
    let lines: Vec<&str> = answer.stderr.lines().collect();
    let [what, recovery] = lines[..] else { panic!("not two lines: {answer:?}") };
    assert!(what.contains(happened), "{happened} is not said: {answer:?}");
    assert!(recovery.contains(to_do), "{to_do} is not said: {answer:?}");
    assert!(!answer.stderr.contains("panicked"), "{answer:?}");
    let error = &answer.documents.first().expect("a document")["error"];
    assert_eq!((&error["message"], &error["recovery"]), (&json!(what), &json!(recovery)));
}

fn folder() -> TempDir {
    TempDir::new().expect("makes a folder")
}

/// Runs `imprest serve`, which is expected not to get far.
fn serve(desk: &Desk, options: &[&str], variable: Option<(&str, &Path)>) -> Answer {
    let mut command = desk.command().expect("imprest is built");
    command.args(["serve", "--practice", "--json", "--passphrase-stdin"]).args(options);
    command.arg("--data").arg(desk.data()).envs(variable);
    Answer::of(command, PASSPHRASE).expect("it ends")
}

#[test]
fn a_data_folder_that_is_a_file_is_named() {
    let folder = folder();
    let desk = Desk::at(&folder.path().join("unused")).expect("a home");
    let file = folder.path().join("notes.txt");
    fs::write(&file, "mine").expect("writes");
    let inside = file.join("desk");
    for data in [&file, &inside] {
        for arguments in [
            &["init", "--practice", "--passphrase-stdin"][..],
            &["serve", "--practice", "--passphrase-stdin"],
            &["activity"],
            &["freeze"],
        ] {
            let mut command = desk.command().expect("imprest is built");
            command.args(arguments).arg("--json").arg("--data").arg(data);
            let answer = Answer::of(command, PASSPHRASE).expect("it ends");
            two_lines(&answer, 1, &data.display().to_string(), "Check the path");
        }
    }
    assert_eq!(fs::read_to_string(&file).expect("still there"), "mine");
}

#[test]
fn damaged_files_are_named_and_left_as_they_are() -> Result<(), Obstacle> {
    let folder = folder();
    let desk = Desk::init_practice(folder.path())?;
    let ledger = folder.path().join("ledger.db");
    let vault = folder.path().join("vault.json");
    let books = fs::read(&ledger).expect("the books");
    let keys = fs::read(&vault).expect("the vault");
    let noise: Vec<u8> = books.iter().map(|byte| byte.wrapping_mul(31).wrapping_add(7)).collect();
    let damaged: [(&Path, &[u8]); 7] = [
        (&ledger, &noise),
        (&ledger, b"garbage"),
        (&ledger, b""),
        (&ledger, &books[..books.len() / 2]),
        (&ledger, &books[..3_000]),
        (&vault, b"{"),
        (&vault, &keys[..keys.len() / 2]),
    ];
    for (file, bytes) in damaged {
        fs::write(file, bytes).expect("writes");
        let name = file.display().to_string();
        two_lines(&serve(&desk, &[], None), 1, &name, "backup");
        let read = desk.read(&["activity"])?;
        two_lines(&read, 1, &name, "backup");
        assert_eq!(fs::read(file).expect("still there"), bytes, "{name} was changed");
        fs::write(&ledger, &books).expect("writes");
        fs::write(&vault, &keys).expect("writes");
    }
    let settings = folder.path().join("desk.json");
    fs::write(&settings, "{").expect("writes");
    let unreadable = serve(&desk, &[], None);
    two_lines(&unreadable, 1, &settings.display().to_string(), "Move that file away");
    fs::remove_file(&settings).expect("moves it away");

    let proof = desk.read(&["verify"])?;
    assert_eq!(proof.done()?["whole"], true, "nothing was lost: {proof:?}");
    Ok(())
}

#[test]
fn what_keeps_a_desk_from_starting_is_said() -> Result<(), Obstacle> {
    let folder = folder();
    let mut desk = Desk::init_practice(folder.path())?;

    let nowhere = Path::new("/nonexistent/practice-kit");
    let kit = serve(&desk, &[], Some(("IMPREST_PRACTICE_KIT", nowhere)));
    two_lines(&kit, 1, "practice kit was not found", "/nonexistent/practice-kit");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let port = serve(&desk, &["--listen", &address], None);
    two_lines(&port, 1, &address, "--listen");
    let public = serve(&desk, &["--listen", "0.0.0.0:0"], None);
    two_lines(&public, 1, "0.0.0.0", "--listen");

    let mut command = desk.command()?;
    command.args(["serve", "--practice", "--json", "--passphrase-stdin", "--data"]);
    command.arg(desk.data());
    let wrong = Answer::of(command, "another one's passphrase")?;
    two_lines(&wrong, 6, "passphrase is wrong", "Try again");
    let again = desk.owner(&["init", "--practice"])?;
    two_lines(&again, 2, "already", "--data");
    let absent = desk.agent("imp_", &["fetch", "http://127.0.0.1:9/"])?;
    assert_eq!(absent.code, 2, "a malformed token: {absent:?}");
    let absent = desk.read(&["status"])?;
    two_lines(&absent, 5, "No desk is running", "imprest serve");

    // None of this stands in the way of the next start.
    desk.serve()?;
    let second = serve(&desk, &[], None);
    two_lines(&second, 1, "Another desk is open", "--data");
    assert_eq!(desk.read(&["status"])?.done()?["stage"], "open", "the first one goes on");
    desk.stop()
}

/// A seller that answers each path with the bytes it was given, and remembers what it was sent.
/// What it says to a signature stands under the path with ` signed` behind it.
struct HostileShop {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl HostileShop {
    /// Opens before it is known what it will say, because its address is part of that.
    fn open(answers: impl FnOnce(&str) -> BTreeMap<String, Vec<u8>>) -> HostileShop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let answers = Arc::new(answers(&format!("http://{address}")));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, hears) = (answers.clone(), hears.clone());
                // A client that hangs up in the middle is no concern of the shop's.
                thread::spawn(move || HostileShop::answer(stream, &answers, &hears));
            }
        });
        HostileShop { address, heard }
    }

    fn answer(
        stream: TcpStream,
        answers: &BTreeMap<String, Vec<u8>>,
        heard: &Mutex<Vec<String>>,
    ) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone()?.take(64 * 1024));
        while lines.read_line(&mut head)? > 2 {}
        let mut path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if is_signed(&head) {
            path.push_str(" signed");
        }
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(head);
        let nothing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
        (&stream).write_all(answers.get(&path).unwrap_or(&nothing))
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether the head of a request carries a payment.
fn is_signed(head: &str) -> bool {
    head.to_lowercase().contains("\r\npayment-signature:")
}

fn payment_required(headers: &[String], body: &str) -> Vec<u8> {
    let headers: String =
        headers.iter().map(|value| format!("PAYMENT-REQUIRED: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "HTTP/1.1 402 Payment Required\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Terms that the desk would pay, as text, so that they can be spoiled in any way.
fn fair_terms(origin: &str, practice: &PracticeAddresses) -> String {
    json!({
        "x402Version": 2,
        "resource": { "url": format!("{origin}/fair"), "description": "A fair offer" },
        "accepts": [{
            "scheme": "exact",
            "network": format!("eip155:{}", practice.chain_id),
            "amount": "10000",
            "asset": practice.usdc,
            "payTo": "0x00000000000000000000000000000000000000bb",
            "maxTimeoutSeconds": 60,
            "extra": { "name": "USD Coin", "version": "2" },
        }],
    })
    .to_string()
}

/// Terms with one thing spoiled, by what is spoiled.
fn spoiled_terms(fair: &str, practice: &PracticeAddresses) -> Vec<(String, String)> {
    let amount = |wrong: &str| fair.replace("\"amount\":\"10000\"", &format!("\"amount\":{wrong}"));
    let mut spoiled: Vec<(String, String)> = [
        "\"-10000\"",
        "\"+10000\"",
        "\"0x2710\"",
        "\"1e4\"",
        "\"10000.0\"",
        "\"10,000\"",
        "\"\"",
        "\" 10000\"",
        "\"010000\"",
        "\"0\"",
        "\"١٠\"",
        "10000",
        "1e4",
        "-1",
        "null",
        "[]",
    ]
    .into_iter()
    .map(|wrong| (format!("amount {wrong}"), amount(wrong)))
    .collect();
    spoiled.push(("an endless amount".into(), amount(&format!("\"{}\"", "9".repeat(79)))));
    let pay_to = "0x00000000000000000000000000000000000000bb";
    let network = format!("eip155:{}", practice.chain_id);
    let other = "0x00000000000000000000000000000000000000cc";
    for (what, from, to) in [
        ("another asset", practice.usdc.as_str(), other),
        ("no address as asset", practice.usdc.as_str(), "USDC"),
        ("another network", network.as_str(), "eip155:1"),
        ("a network of another kind", network.as_str(), "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"),
        ("another scheme", "\"exact\"", "\"upto\""),
        ("nobody to pay", pay_to, "0x0000000000000000000000000000000000000000"),
        ("the contract to pay", pay_to, practice.usdc.as_str()),
        ("a short address to pay", pay_to, "0xbb"),
        ("another token name", "USD Coin", "Dollar Coin"),
        ("no time at all", "\"maxTimeoutSeconds\":60", "\"maxTimeoutSeconds\":0"),
        ("a year of time", "\"maxTimeoutSeconds\":60", "\"maxTimeoutSeconds\":31536000"),
        ("another version", "\"x402Version\":2", "\"x402Version\":3"),
        ("two prices", "\"amount\":\"10000\"", "\"amount\":\"1\",\"amount\":\"10000\""),
        ("a body behind the terms", "\"x402Version\":2}", "\"x402Version\":2}{}"),
    ] {
        // The asset's contract occurs once; the other texts do too.
        spoiled.push((what.into(), fair.replacen(from, to, 1)));
    }
    spoiled.push(("no offers".into(), json!({ "x402Version": 2, "accepts": [] }).to_string()));
    for (what, text) in &spoiled {
        assert_ne!(text, fair, "{what} spoils nothing");
    }
    spoiled
}

/// Every path of the shop, and its name in words.
fn hostile_answers(
    origin: &str,
    practice: &PracticeAddresses,
    names: &mut BTreeMap<String, String>,
) -> BTreeMap<String, Vec<u8>> {
    let fair = fair_terms(origin, practice);
    let encoded = STANDARD.encode(&fair);
    let mut answers = Vec::new();
    for (what, text) in spoiled_terms(&fair, practice) {
        answers.push((what, payment_required(&[STANDARD.encode(text)], "{}")));
    }
    let half = encoded[..encoded.len() / 2 / 4 * 4].to_owned();
    let v1 = json!({ "x402Version": 1, "accepts": [], "error": "pay" }).to_string();
    for (what, headers, body) in [
        ("no base64", vec!["%%%%".to_owned()], "{}"),
        ("base64 of other letters", vec![encoded.replace('e', "_")], "{}"),
        ("no JSON", vec![STANDARD.encode("pay me")], "{}"),
        ("no UTF-8", vec![STANDARD.encode([0xff, 0xfe, 0x00])], "{}"),
        ("half a document", vec![half], "{}"),
        ("terms twice", vec![encoded.clone(), encoded.clone()], "{}"),
        ("a header of a mebibyte", vec!["A".repeat(1 << 20)], "{}"),
        ("an empty header", vec![String::new()], "{}"),
        ("no terms", vec![], ""),
        ("the old protocol", vec![], v1.as_str()),
    ] {
        answers.push((what.to_owned(), payment_required(&headers, body)));
    }
    answers.push(("no HTTP".to_owned(), b"\x00\x01\x02 hello".to_vec()));
    answers.push(("nothing".to_owned(), Vec::new()));
    let mut paths: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (at, (what, answer)) in answers.into_iter().enumerate() {
        names.insert(format!("/{at}"), what);
        paths.insert(format!("/{at}"), answer);
    }
    let fair = payment_required(&[encoded], "{}");
    for path in ["/fair", "/silent", "/broken", "/greedy", "/greedy signed"] {
        paths.insert(path.into(), fair.clone());
    }
    paths.insert("/silent signed".into(), Vec::new());
    let broken = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    paths.insert("/broken signed".into(), broken.to_vec());
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_neither_money_nor_a_way_in() -> Result<(), Obstacle> {
    let folder = folder();
    let mut desk = Desk::serve_practice(folder.path())?;
    let limits = ["--grade", "L4", "--new-payee", "allow", "--per-day", "5"];
    let token = desk.add_agent("Trusting", &limits)?;
    let ready = desk.ready()?.clone();
    let practice = ready.practice.clone().expect("a practice network");
    let door = HttpDoor::new(&ready, &token)?;
    let mut names = BTreeMap::new();
    let shop = HostileShop::open(|origin| hostile_answers(origin, &practice, &mut names));

    a_redirect_leads_nowhere(&desk, &door).await?;
    unlisted_hosts_hear_nothing(&desk, &token, &door, &shop).await?;
    let host = shop.address.to_string();
    assert_eq!(desk.owner(&["hosts", "allow", &host])?.code, 0);
    malformed_terms_are_never_paid(&desk, &door, &shop, &names, &practice).await?;
    a_shop_that_is_gone_is_named(&desk, &token)?;
    a_locked_desk_signs_nothing(&desk, &token, &door, &shop).await?;
    a_signature_that_buys_nothing_counts_as_spent(&desk, &door, &shop).await?;
    malformed_requests_are_explained(&desk, &token)?;
    unknown_agents_are_named(&desk)?;
    dead_tokens_open_nothing(&desk, &ready, &token).await?;
    changed_books_spend_nothing(&mut desk).await?;
    assert!(!desk.complaints().contains("panicked"), "{}", desk.complaints());
    Ok(())
}

async fn unlisted_hosts_hear_nothing(
    desk: &Desk,
    token: &str,
    door: &HttpDoor,
    shop: &HostileShop,
) -> Result<(), Obstacle> {
    let port = shop.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"] {
        let ask = json!({ "url": format!("http://{host}:{port}/fair") });
        for route in ["/v1/fetch", "/v1/quote"] {
            let (status, failure) = door.post(route, &ask).await?;
            assert_eq!((status, &failure["code"]), (400, &json!("bad_request")), "{failure}");
        }
        let call = json!({ "server": ask["url"], "tool": "fair" });
        let (status, failure) = door.post("/v1/tools/call", &call).await?;
        assert_eq!((status, &failure["code"]), (400, &json!("bad_request")), "{failure}");
    }
    let url = format!("http://127.0.0.1:{port}/fair");
    let refused = desk.agent(token, &["fetch", &url])?;
    two_lines(&refused, 2, "not on the public internet", "");
    assert_eq!(shop.heard(), Vec::<String>::new(), "not even a connection is used");
    Ok(())
}

/// A listed shop cannot lead the desk on to an address that is not listed.
async fn a_redirect_leads_nowhere(desk: &Desk, door: &HttpDoor) -> Result<(), Obstacle> {
    let unlisted = HostileShop::open(|_| BTreeMap::new());
    let goal = unlisted.address;
    let listed = HostileShop::open(|_| {
        let found =
            format!("HTTP/1.1 302 Found\r\nLocation: http://{goal}/\r\nContent-Length: 0\r\n\r\n");
        BTreeMap::from([("/".to_owned(), found.into_bytes())])
    });
    assert_eq!(desk.owner(&["hosts", "allow", &listed.address.to_string()])?.code, 0);
    let answer = door.fetch(&json!({ "url": format!("http://{}/", listed.address) })).await?;
    assert_eq!((&answer["status"], &answer["response"]["status"]), (&json!("free"), &json!(302)));
    assert_eq!(listed.heard().len(), 1);
    assert_eq!(unlisted.heard(), Vec::<String>::new());
    Ok(())
}

async fn malformed_terms_are_never_paid(
    desk: &Desk,
    door: &HttpDoor,
    shop: &HostileShop,
    names: &BTreeMap<String, String>,
    practice: &PracticeAddresses,
) -> Result<(), Obstacle> {
    let page = desk.read(&["agent", "show", "Trusting"])?;
    let row = page.done()?["row"].clone();
    let address = row["address"].as_str().expect("an address");
    let before = token_balance(&practice.rpc, &practice.usdc, address).await?;

    // The terms before they are spoiled would be paid, so what is refused below is the spoiling.
    let fair = json!({ "url": format!("http://{}/fair", shop.address) });
    let (_, quote) = door.post("/v1/quote", &fair).await?;
    assert_eq!(quote["amount"]["amount"], "0.01", "{quote}");
    assert_eq!(quote["verdict"]["outcome"], "allow", "{quote}");

    for (path, what) in names {
        let ask = json!({
            "url": format!("http://{}{path}", shop.address),
            "idempotency_key": format!("hostile{path}"), "wait_ms": 0,
        });
        let (status, answer) = door.post("/v1/fetch", &ask).await?;
        if status == 200 {
            assert_eq!(answer["status"], "failed", "{what}: {answer}");
            assert_eq!(answer.get("payment"), None, "{what}: {answer}");
            assert!(
                answer["note"].as_str().is_some_and(|note| note.len() > 20),
                "{what}: {answer}"
            );
        } else {
            assert_eq!(answer["code"], "payee_failed", "{what}: {answer}");
            for part in ["detail", "recovery"] {
                let text = answer[part].as_str().unwrap_or_default();
                assert!(text.ends_with('.') && text.len() < 600, "{what}: {answer}");
            }
        }
    }
    assert_eq!(door.payments().await?, Vec::<Value>::new());
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, address).await?, before);
    let page = desk.read(&["agent", "show", "Trusting"])?;
    assert_eq!(page.done()?["row"]["float"], row["float"]);
    let heard = shop.heard();
    assert!(heard.len() > names.len(), "each was asked: {} of {}", heard.len(), names.len());
    let signed = heard.iter().find(|head| is_signed(head));
    assert_eq!(signed, None, "a signature went out");
    Ok(())
}

fn a_shop_that_is_gone_is_named(desk: &Desk, token: &str) -> Result<(), Obstacle> {
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let host = gone.to_string();
    assert_eq!(desk.owner(&["hosts", "allow", &host])?.code, 0);
    let answer = desk.agent(token, &["fetch", &format!("http://{host}/report")])?;
    two_lines(&answer, 1, "127.0.0.1", "try again");
    assert_eq!(answer.documents[0]["error"]["code"], "payee_failed", "{answer:?}");
    Ok(())
}

async fn a_locked_desk_signs_nothing(
    desk: &Desk,
    token: &str,
    door: &HttpDoor,
    shop: &HostileShop,
) -> Result<(), Obstacle> {
    desk.read(&["lock"])?.done()?;
    let url = format!("http://{}/fair", shop.address);
    let locked = desk.agent(token, &["fetch", &url])?;
    two_lines(&locked, 6, "locked", "unlock");
    assert_eq!(door.payments().await?, Vec::<Value>::new());
    let wrong = desk.owner_with("not the passphrase", &["unlock"])?;
    two_lines(&wrong, 6, "passphrase is wrong", "Try again");
    for raising in [&["agent", "add", "Thief", "--per-day", "9"][..], &["refill", "Trusting", "1"]]
    {
        let wrong = desk.owner_with("not the passphrase", raising)?;
        two_lines(&wrong, 6, "passphrase is wrong", "Try again");
    }
    let silent = desk.read(&["unlock"])?;
    two_lines(&silent, 6, "needs the passphrase", "--passphrase-stdin");
    desk.owner(&["unlock"])?.done()?;
    Ok(())
}

/// A shop may take the money later, so what it was given stays reserved and is given only once.
async fn a_signature_that_buys_nothing_counts_as_spent(
    desk: &Desk,
    door: &HttpDoor,
    shop: &HostileShop,
) -> Result<(), Obstacle> {
    let paths = ["/silent", "/broken", "/greedy"];
    for path in paths {
        let url = format!("http://{}{path}", shop.address);
        let ask = json!({ "url": url, "idempotency_key": path, "wait_ms": 0 });
        let answer = door.fetch(&ask).await?;
        assert_eq!(answer["status"], "unknown", "{answer}");
        assert_eq!(answer["payment"]["state"], "unknown", "{answer}");
        assert!(answer["payment"]["valid_before"].is_string(), "{answer}");
        assert!(answer["note"].as_str().is_some_and(|note| note.len() > 20), "{answer}");
        let again = door.fetch(&ask).await?;
        assert_eq!(again["payment"]["id"], answer["payment"]["id"], "{again}");
        assert_eq!(again["status"], "unknown", "{again}");
        let sent = |head: &&String| is_signed(head) && head.contains(&format!(" {path} "));
        assert_eq!(shop.heard().iter().filter(sent).count(), 1, "{path} was signed for once");
    }
    let (_, budget) = door.get("/v1/budget").await?;
    let day = &budget["windows"][0];
    assert_eq!((&day["spent"], &day["in_flight"]), (&json!("0.00"), &json!("0.03")), "{budget}");
    let books = desk.read(&["books"])?;
    let books = books.done()?;
    assert_eq!((&books["equal"], &books["in_flight"]), (&json!(true), &json!("0.03")), "{books}");
    Ok(())
}

fn malformed_requests_are_explained(desk: &Desk, token: &str) -> Result<(), Obstacle> {
    for wrong in [
        &["ftp://shop.example/report"][..],
        &["//shop.example/report"],
        &["http://owner:secret@shop.example/"],
        &["http://127.0.0.1:99999/"],
        &["http://shop.example/", "--method", "CONNECT"],
        &["http://shop.example/", "-H", "payment-signature: forged"],
        &["http://shop.example/", "-H", "Host: elsewhere"],
        &["http://shop.example/", "--max", "1,50"],
        &["http://shop.example/", "--max", "-1"],
        &["http://shop.example/", "--max", "1e2"],
        &["http://shop.example/", "--max", "0x10"],
        &["http://shop.example/", "--wait", "60001"],
    ] {
        let answer = desk.agent(token, &[&["fetch"], wrong].concat())?;
        two_lines(&answer, 2, "", "");
    }
    for wrong in [
        &["agent", "add", "Fine", "--per-day", "0.0000001"][..],
        &["agent", "add", "Fine", "--per-day", "-1"],
        &["agent", "add", "Fine", "--per-day", "1", "--zone", "Mars/Olympus"],
        &["agent", "add", "Fine", "--per-day", "1", "--grade", "L9"],
        &["agent", "add", "a/b", "--per-day", "1"],
        &["agent", "add", "No limits"],
        &["agent", "add", "TRUSTING", "--per-day", "1"],
        &["hosts", "allow", "nowhere"],
        &["hosts", "allow", "127.0.0.1:99999"],
        &["approve", "everything"],
        &["evidence", "payment one"],
        &["frobnicate"],
    ] {
        two_lines(&desk.owner(wrong)?, 2, "", "");
    }
    let agents = desk.read(&["agent", "list"])?;
    assert_eq!(agents.documents.len(), 1, "none was made: {agents:?}");
    Ok(())
}

fn unknown_agents_are_named(desk: &Desk) -> Result<(), Obstacle> {
    for unknown in [
        &["agent", "show", "Nobody"][..],
        &["agent", "set", "Nobody", "--per-day", "1"],
        &["agent", "rotate", "Nobody"],
        &["agent", "revoke", "Nobody"],
        &["refill", "Nobody", "1"],
        &["activity", "--agent", "Nobody"],
    ] {
        two_lines(&desk.owner(unknown)?, 1, "Nobody", "");
    }
    Ok(())
}

async fn dead_tokens_open_nothing(
    desk: &Desk,
    ready: &imprest_tests::Ready,
    first: &str,
) -> Result<(), Obstacle> {
    let rotated = desk.owner(&["agent", "rotate", "Trusting"])?;
    let second = rotated.done()?["token"].as_str().expect("a token").to_owned();
    let (status, budget) = HttpDoor::new(ready, &second)?.get("/v1/budget").await?;
    assert_eq!((status, &budget["agent"]), (200, &json!("Trusting")));
    shut(desk, ready, first).await?;

    // Taking authority away needs no passphrase.
    desk.read(&["agent", "revoke", "Trusting"])?.done()?;
    shut(desk, ready, &second).await?;
    for wrong in ["", "nonsense", "imp_", &second[..second.len() - 1]] {
        let (status, failure) = HttpDoor::new(ready, wrong)?.get("/v1/budget").await?;
        assert_eq!(
            (status, &failure["code"]),
            (401, &json!("unauthorized")),
            "“{wrong}”: {failure}"
        );
        two_lines(&desk.agent(wrong, &["budget"])?, 2, "IMPREST_TOKEN", "imprest agent rotate");
    }
    Ok(())
}

/// Whether a token that looks right and is dead opens no route.
async fn shut(desk: &Desk, ready: &imprest_tests::Ready, token: &str) -> Result<(), Obstacle> {
    let door = HttpDoor::new(ready, token)?;
    let ask = json!({ "url": "http://127.0.0.1:1/" });
    for (status, failure) in [
        door.get("/v1/budget").await?,
        door.get("/v1/payments").await?,
        door.post("/v1/fetch", &ask).await?,
        door.post("/v1/quote", &ask).await?,
        door.post("/mcp", &ask).await?,
    ] {
        assert_eq!((status, &failure["code"]), (401, &json!("unauthorized")), "{failure}");
        assert!(failure["recovery"].as_str().is_some_and(|text| text.ends_with('.')), "{failure}");
    }
    let answer = desk.agent(token, &["fetch", "http://127.0.0.1:1/"])?;
    two_lines(&answer, 1, "knows no agent", "IMPREST_TOKEN");
    Ok(())
}

/// Books that were changed behind the desk's back are found out, and nothing is spent by them.
async fn changed_books_spend_nothing(desk: &mut Desk) -> Result<(), Obstacle> {
    let token = desk.add_agent("Faithful", &["--grade", "L3", "--per-day", "5"])?;
    desk.stop()?;
    let ledger = desk.data().join("ledger.db");
    let mut bytes = fs::read(&ledger).expect("the books");
    let (from, to) = (b"Faithful", b"Faithles");
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "the name is in the books as text");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(&ledger, &bytes).expect("writes");

    let ready = desk.serve()?.clone();
    let door = HttpDoor::new(&ready, &token)?;
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, budget) = door.get("/v1/budget").await?;
        if budget["grade_in_force"] == "L1" {
            break;
        }
        assert!(Instant::now() < until, "the desk does not notice: {budget}");
    }
    let shop = ready.practice.expect("a practice network").shop;
    let url = format!("{}/weather", shop.trim_end_matches('/'));
    let refused = desk.agent(&token, &["fetch", &url])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    let refused = &refused.documents[0]["verdict"]["reasons"][0];
    assert_eq!(refused["code"], "grade_too_low", "{refused}");
    let proof = desk.read(&["verify"])?;
    assert_eq!(proof.code, 1, "{proof:?}");
    assert_eq!(proof.documents[0]["whole"], false, "{proof:?}");
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_signs_nothing_and_heals() -> Result<(), Obstacle> {
    let disk = imprest_tests::SmallDisk::mount(16)?;
    let mut desk = Desk::on(&disk)?;
    disk.fill()?;
    two_lines(&desk.owner(&["init", "--practice"])?, 1, "disk is full", "");
    disk.free()?;
    desk.owner(&["init", "--practice"])?.done()?;
    let ready = desk.serve()?.clone();
    let practice = ready.practice.clone().expect("a practice network");
    let token = desk.add_agent("Patient", &["--grade", "L3", "--per-day", "5"])?;
    let url = format!("{}/weather", practice.shop.trim_end_matches('/'));
    let buy = |key: &str| desk.agent(&token, &["fetch", &url, "--key", key, "--wait", "20000"]);
    let settled = buy("before")?;
    assert_eq!(settled.done()?["status"], "settled");
    let door = HttpDoor::new(&ready, &token)?;
    let page = desk.read(&["agent", "show", "Patient"])?;
    let address = page.done()?["row"]["address"].as_str().expect("an address").to_owned();
    let before = token_balance(&practice.rpc, &practice.usdc, &address).await?;
    let payments = door.payments().await?;

    disk.fill()?;
    for key in ["full-1", "full-2", "full-3"] {
        two_lines(&buy(key)?, 1, "The disk is full", "Free some space");
    }
    // The owner's word holds on a full disk too, although it cannot be written down.
    two_lines(&desk.read(&["freeze"])?, 1, "Signing has stopped", "Free some space");
    assert_eq!(door.payments().await?, payments, "reading goes on, and nothing was held");
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, &address).await?, before);

    disk.free()?;
    let frozen = buy("full-1")?;
    assert_eq!(frozen.code, 1, "{frozen:?}");
    assert!(frozen.stderr.contains("frozen"), "{frozen:?}");
    desk.owner(&["thaw"])?.done()?;
    let settled = buy("after")?;
    assert_eq!(settled.done()?["status"], "settled", "{settled:?}");
    assert_eq!(token_balance(&practice.rpc, &practice.usdc, &address).await?, before - 10_000);
    assert_eq!(desk.read(&["verify"])?.done()?["whole"], true);
    assert_eq!(desk.read(&["books"])?.done()?["equal"], true);
    assert!(!desk.complaints().contains("panicked"), "{}", desk.complaints());

    // A power cut while the disk is full, and a start before there is room again.
    disk.fill()?;
    desk.kill();
    two_lines(&serve(&desk, &[], None), 1, "No space left", "");
    disk.free()?;
    desk.serve()?;
    assert_eq!(desk.read(&["verify"])?.done()?["whole"], true);
    assert_eq!(desk.read(&["books"])?.done()?["equal"], true);
    Ok(())
}
