//! The real window on a display of its own: from the first passphrase to a file that equals books
//! and chain, with agents that buy from other processes meanwhile.
#![cfg(target_os = "linux")]

use imprest_tests::{
    Answer, DesktopSession, Obstacle, PASSPHRASE, Window, built_program, token_balance, until,
};
use rmcp::model::CallToolRequestParams;
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::task::JoinHandle;

const AGENT: &str = "Scout";
/// How many decimals USDC has.
const DECIMALS: usize = 6;
/// keccak256("Transfer(address,address,uint256)"), the first topic of ERC-20's event.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

#[tokio::test]
async fn from_the_first_passphrase_to_a_file_that_equals_books_and_chain() -> Result<(), Obstacle> {
    let name = "from_the_first_passphrase_to_a_file_that_equals_books_and_chain";
    let Some(session) = DesktopSession::enter(name)? else { return Ok(()) };
    let place = Place { data: session.folder().join("desk"), session };
    let data = place.data.to_string_lossy().into_owned();
    let window = Window::open(&place.session, &["--practice", "--data", &data]).await?;
    let mut look_back = LookBack { place: &place, arrived: false };
    let ended = journey(&place, &window).await;
    look_back.arrived = ended.is_ok();
    ended
}

/// Keeps what was to be seen where the journey broke off, by an error or a failed comparison.
struct LookBack<'a> {
    place: &'a Place,
    arrived: bool,
}

impl Drop for LookBack<'_> {
    fn drop(&mut self) {
        if !self.arrived {
            let picture = self.place.session.picture("at-the-obstacle");
            eprintln!("{picture:?}\n{}", self.place.session.said("window"));
        }
    }
}

async fn journey(place: &Place, window: &Window) -> Result<(), Obstacle> {
    welcome(place, window).await?;
    let token = first_agent(place, window).await?;
    let shop = Shop::of(place)?;
    let before = shop.balances(place).await?;

    let weather = buys_within_its_limits(place, window, &shop).await?;
    let prices = asks_and_is_approved(place, window, &shop).await?;
    let again = place.agent(&token, &["fetch", &shop.good("weather"), "--key", "by-token"])?;
    assert_eq!(again.done()?["status"], "settled", "{again:?}");

    pictures_of_each_screen(place, window, &prices).await?;
    let file = exports(place, window).await?;
    let rows = equals_the_books(place, &file)?;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!((&rows[0]["id"], &rows[1]["id"]), (&weather, &prices));
    equals_the_chain(&shop, &rows, before, shop.balances(place).await?).await?;

    freezes(place, window, &shop).await?;
    closes_and_comes_back(place, window).await?;
    thaws_and_quits(place, window).await
}

/// Where the desk is, and the session it shows itself in.
struct Place {
    session: DesktopSession,
    data: PathBuf,
}

impl Place {
    fn imprest(&self, arguments: &[&str]) -> Result<Command, Obstacle> {
        let mut command = self.session.command(built_program("imprest")?);
        command.args(arguments).args(["--json", "--data"]).arg(&self.data);
        Ok(command)
    }

    /// Runs a command that needs no passphrase.
    fn read(&self, arguments: &[&str]) -> Result<Answer, Obstacle> {
        Answer::of(self.imprest(arguments)?, "")
    }

    /// Runs an agent's command with its token in the environment.
    fn agent(&self, token: &str, arguments: &[&str]) -> Result<Answer, Obstacle> {
        let mut command = self.imprest(arguments)?;
        command.env("IMPREST_TOKEN", token);
        Answer::of(command, "")
    }

    /// Starts a purchase that takes its token from the keychain, and does not wait for it.
    fn buys(&self, url: &str, key: &str) -> Result<JoinHandle<Result<Answer, Obstacle>>, Obstacle> {
        let purchase = ["fetch", url, "--agent", AGENT, "--key", key, "--wait", "60000"];
        let command = self.imprest(&purchase)?;
        Ok(tokio::task::spawn_blocking(move || Answer::of(command, "")))
    }

    /// What the desk's owner reads, such as `["activity"]`: one document.
    fn document(&self, arguments: &[&str]) -> Result<Value, Obstacle> {
        self.read(arguments)?.done().cloned()
    }
}

/// The practice shop, and the chain it is paid on.
struct Shop {
    url: String,
    rpc: String,
    usdc: String,
    float: String,
}

impl Shop {
    fn of(place: &Place) -> Result<Shop, Obstacle> {
        let status = place.document(&["status"])?;
        let agent = place.document(&["agent", "show", AGENT])?;
        let practice = fs::read_to_string(place.data.join("practice/practice.json"));
        let practice: Value =
            serde_json::from_str(&practice.expect("there is a practice network")).expect("JSON");
        Ok(Shop {
            url: text(&status["shop_url"]).trim_end_matches('/').to_owned(),
            rpc: format!("http://127.0.0.1:{}", practice["rpc_port"]),
            usdc: text(&status["network"]["contract"]).to_owned(),
            float: text(&agent["row"]["address"]).to_owned(),
        })
    }

    fn good(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// What the agent's float and the shop's till hold on chain, in atomic units.
    async fn balances(&self, place: &Place) -> Result<(u128, u128), Obstacle> {
        let weather = self.good("weather");
        let quote = place.read(&["quote", &weather, "--agent", AGENT])?;
        let till = text(&quote.done()?["pay_to"]).to_owned();
        Ok((
            token_balance(&self.rpc, &self.usdc, &self.float).await?,
            token_balance(&self.rpc, &self.usdc, &till).await?,
        ))
    }

    /// A transaction's block, and what moved in it: from, to, units.
    async fn moved(&self, transaction: &str) -> (u64, Vec<(String, String, u128)>) {
        let ask = json!({
            "jsonrpc": "2.0", "id": 1,
            "method": "eth_getTransactionReceipt", "params": [transaction],
        });
        let answer = reqwest::Client::new().post(&self.rpc).json(&ask).send().await;
        let answer: Value = answer.expect("the chain answers").json().await.expect("JSON");
        let receipt = &answer["result"];
        assert_eq!(receipt["status"], "0x1", "{answer}");
        let logs = receipt["logs"].as_array().expect("logs").iter();
        let ours = |log: &&Value| {
            log["topics"][0] == TRANSFER && text(&log["address"]).eq_ignore_ascii_case(&self.usdc)
        };
        let address = |topic: &Value| format!("0x{}", &text(topic)[26..]);
        let moved = logs.filter(ours).map(|log| {
            let topics = &log["topics"];
            (address(&topics[1]), address(&topics[2]), quantity(&log["data"]))
        });
        let block = u64::try_from(quantity(&receipt["blockNumber"])).expect("a block's number");
        (block, moved.collect())
    }
}

async fn welcome(place: &Place, window: &Window) -> Result<(), Obstacle> {
    window.see(&id("practice")).await?;
    window.fill(&id("passphrase"), PASSPHRASE).await?;
    window.fill(&id("passphrase-again"), PASSPHRASE).await?;
    picture(place, window, "welcome").await?;
    window.click(&id("create-vault")).await?;

    window.see(&id("word")).await?;
    let words = window.texts(&id("word")).await?;
    assert_eq!(words.len(), 24);
    picture(place, window, "words").await?;
    window.click(&id("words-written")).await?;

    assert_eq!(window.see(&id("confirm-word")).await?, 3);
    // They are asked for in the page's order, each with its place.
    let asked = window.attributes(&id("confirm-word"), "data-place").await?;
    for place in asked {
        let word = &words[place.parse::<usize>().expect("a place, from 1") - 1];
        let field = format!("[data-testid='confirm-word'][data-place='{place}']");
        window.fill(&field, word).await?;
    }
    window.click(&id("confirm-words")).await?;
    window.click(&id("practice-go")).await
}

async fn first_agent(place: &Place, window: &Window) -> Result<String, Obstacle> {
    let settings = settings_of_a_program(place);
    window.fill(&id("agent-name"), AGENT).await?;
    window.fill(&id("budget-amount"), "5.00").await?;
    window.fill(&id("budget-per-payment"), "0.25").await?;
    picture(place, window, "first-agent").await?;
    window.click(&id("create-agent")).await?;
    let token = window.text(&id("token")).await?;
    assert!(token.starts_with("imp_"), "{token}");
    let kept = window.attribute(&id("token-keychain"), "data-in-keychain").await?;
    assert_eq!(kept, "true", "the unlocked keychain takes the token");
    window.see(&id("snippet-mcp")).await?;
    connects_a_program(place, window, &settings).await?;
    picture(place, window, "connect").await?;
    window.click(&id("to-desk")).await?;
    window.see(&id("spent-today")).await?;
    Ok(token)
}

/// Settings of a program that has another server already.
const SETTINGS: &str =
    "{\n  \"mcpServers\": {\n    \"notes\": { \"command\": \"/opt/notes\" }\n  }\n}\n";

fn settings_of_a_program(place: &Place) -> PathBuf {
    let file = place.session.folder().join(".cursor/mcp.json");
    fs::create_dir_all(file.parent().expect("a folder")).expect("makes");
    fs::write(&file, SETTINGS).expect("writes");
    file
}

/// A click connects the agent in a program of this machine and takes it out again, and what the
/// entry starts is a desk with this agent's purse.
async fn connects_a_program(
    place: &Place,
    window: &Window,
    settings: &PathBuf,
) -> Result<(), Obstacle> {
    let now = || fs::read_to_string(settings).expect("reads");
    let connected = "[data-testid='program-cursor'][data-state='connected']";
    window.click(&id("connect-cursor")).await?;
    let shown = window.text(&id("connection-diff")).await?;
    assert!(shown.contains("\"scout\"") && !shown.contains("/opt/notes"), "{shown}");
    assert_eq!(now(), SETTINGS, "looking changes nothing");
    picture(place, window, "connecting").await?;
    // What was shown is not what would be written any more.
    let meanwhile = SETTINGS.replace("/opt/notes", "/opt/notes-2");
    let meanwhile = meanwhile.replace("\"notes\"", "\"memos\"");
    fs::write(settings, &meanwhile).expect("writes");
    window.click(&id("connect-confirm")).await?;
    let wrong = window.text("[data-testid='note'][data-tone='wrong']").await?;
    assert!(wrong.contains("changed by another program"), "{wrong}");
    assert_eq!(now(), meanwhile, "nothing was written");
    fs::write(settings, SETTINGS).expect("writes");
    window.click(&id("connect-cursor")).await?;
    window.click(&id("connect-confirm")).await?;
    window.see(connected).await?;
    window.click(&id("disconnect-cursor")).await?;
    window.see("[data-testid='program-cursor'][data-state='free']").await?;
    assert_eq!(now(), SETTINGS, "byte for byte as before");
    window.click(&id("connect-cursor")).await?;
    window.click(&id("connect-confirm")).await?;
    window.see(connected).await?;

    let after: Value = serde_json::from_str(&now()).expect("JSON");
    assert_eq!(after["mcpServers"]["notes"]["command"], "/opt/notes");
    let entry = &after["mcpServers"]["imprest"];
    let mut bridge = place.session.command(text(&entry["command"]));
    bridge.args(entry["args"].as_array().expect("a list").iter().map(text));
    let bridge = TokioChildProcess::new(tokio::process::Command::from(bridge));
    let lifecycle = ClientLifecycleMode::Initialize;
    let client = ().serve_with_lifecycle(bridge.expect("it starts"), lifecycle).await;
    let client = client.map_err(|e| Obstacle::new(format!("the entry's program: {e}")))?;
    let budget = client.call_tool(CallToolRequestParams::new("budget")).await;
    let budget = budget.map_err(|e| Obstacle::new(format!("its budget: {e}")))?;
    assert_eq!(budget.structured_content.expect("is told")["agent"], AGENT);
    Ok(())
}

/// A purchase below the limit shows as settled, without a question.
async fn buys_within_its_limits(
    place: &Place,
    window: &Window,
    shop: &Shop,
) -> Result<String, Obstacle> {
    let bought = finished(place.buys(&shop.good("weather"), "weather-1")?).await?;
    let answer = bought.done()?;
    assert!(body(answer)["temperature_c"].is_object(), "{answer}");
    let payment = text(&answer["payment"]["id"]).to_owned();
    window.see(&row(&payment, "settled")).await?;
    Ok(payment)
}

/// A purchase above the limit waits for the owner, who says yes by a click.
async fn asks_and_is_approved(
    place: &Place,
    window: &Window,
    shop: &Shop,
) -> Result<String, Obstacle> {
    let asked = place.buys(&shop.good("supplier-prices"), "prices-1")?;
    let card = id("approval");
    assert_eq!(window.see(&card).await?, 1);
    assert_eq!(window.text(&id("approval-amount")).await?.trim(), "0.60 USDC");
    let told = window.text(&card).await?;
    for part in [AGENT, "Supplier price list", &shop.url] {
        assert!(told.contains(part), "{part} is not on the card: {told}");
    }
    let payment = window.attribute(&card, "data-payment-id").await?;
    assert!(!asked.is_finished(), "nothing is bought before the owner's yes");

    theme(window, "dark").await?;
    window.click(&id("nav-desk")).await?;
    let armed = "[data-testid='approval'][data-armed='true']";
    window.see(armed).await?;
    picture(place, window, "desk-approval-dark").await?;
    theme(window, "light").await?;
    window.click(&id("nav-desk")).await?;
    window.see(armed).await?;
    picture(place, window, "desk-approval").await?;

    window.click(&id("approve")).await?;
    let bought = finished(asked).await?;
    let answer = bought.done()?;
    assert_eq!(answer["status"], "settled", "{answer}");
    assert_eq!(answer["payment"]["id"], payment, "{answer}");
    assert!(body(answer).is_object(), "the price list came: {answer}");
    window.see(&row(&payment, "settled")).await?;
    window.see_none(&card).await?;
    Ok(payment)
}

async fn pictures_of_each_screen(
    place: &Place,
    window: &Window,
    payment: &str,
) -> Result<(), Obstacle> {
    for wanted in ["dark", "light"] {
        theme(window, wanted).await?;
        picture(place, window, &format!("appearance-{wanted}")).await?;
        window.click(&id("nav-agents")).await?;
        window.see(&id("agent-row")).await?;
        picture(place, window, &format!("agents-{wanted}")).await?;
        window.click(&format!("{} a", id("agent-row"))).await?;
        window.see(&id("float-chain")).await?;
        window.see(&id("grade-L3")).await?;
        picture(place, window, &format!("agent-{wanted}")).await?;
        window.click(&id("nav-settings")).await?;
        window.see(&id("theme-dark")).await?;
        picture(place, window, &format!("settings-{wanted}")).await?;
        window.click(&id("nav-desk")).await?;
        window.see(&row(payment, "settled")).await?;
        picture(place, window, &format!("desk-{wanted}")).await?;
        window.click(&id("nav-activity")).await?;
        window.see("[data-testid='books'][data-equal='true']").await?;
        window.click(&format!("{} button", row(payment, "settled"))).await?;
        window.see(&id("finding")).await?;
        let state = window.attribute(&id("evidence-state"), "data-state").await?;
        assert_eq!(state, "settled");
        picture(place, window, &format!("activity-evidence-{wanted}")).await?;
        place.session.press("Escape")?;
        window.see_none(&id("evidence")).await?;
    }
    Ok(())
}

/// The owner exports through the system's own dialog.
async fn exports(place: &Place, window: &Window) -> Result<PathBuf, Obstacle> {
    let path = place.session.folder().join("exported.csv");
    window.click(&id("export")).await?;
    let dialog = place.session.window("Export activity")?;
    place.session.has_keyboard(&dialog)?;
    place.session.press("ctrl+a")?;
    place.session.write(&path.to_string_lossy())?;
    place.session.press("Return")?;
    place.session.no_window("Export activity")?;
    let told = window.text("[data-testid='note'][data-tone='done']").await?;
    let bytes = fs::read(&path).map_err(|e| Obstacle::new(format!("The exported file: {e}")))?;
    let digest = hex::encode(Sha256::digest(&bytes));
    assert!(told.contains(&digest), "{digest} is not told: {told}");
    assert!(told.contains(&*path.to_string_lossy()), "{told}");
    picture(place, window, "activity-exported").await?;
    Ok(path)
}

type Row = HashMap<String, String>;

/// Each line of the file is a row of the books, in full; answers the lines, oldest first.
fn equals_the_books(place: &Place, file: &PathBuf) -> Result<Vec<Row>, Obstacle> {
    let mut csv = csv::Reader::from_path(file).expect("the file can be read");
    let rows: Vec<Row> = csv.deserialize().map(|row| row.expect("a whole line")).collect();
    let activity = place.read(&["activity", "--limit", "100"])?;
    assert_eq!(activity.code, 0, "{activity:?}");
    assert_eq!(activity.documents.len(), rows.len(), "{activity:?}");
    for (row, told) in rows.iter().zip(activity.documents.iter().rev()) {
        for (column, member) in [
            ("id", "payment_id"),
            ("at", "at"),
            ("agent", "agent"),
            ("what", "what"),
            ("asset", "asset"),
            ("amount", "amount"),
            ("state", "state"),
        ] {
            assert_eq!(row[column], text(&told[member]), "{column} of {row:?}, {told}");
        }
        assert_eq!(units(&row["amount"]).to_string(), row["units"], "{row:?}");
        let evidence = place.document(&["evidence", &row["id"]])?;
        for column in ["pay_to", "network", "url", "transaction", "verdict"] {
            assert_eq!(row[column], text(&evidence[column]), "{column} of {row:?}");
        }
        assert_eq!(row["block"], evidence["block"].to_string());
    }
    assert_eq!(place.document(&["books"])?["equal"], true);
    assert_eq!(place.document(&["verify"])?["whole"], true);
    Ok(rows)
}

/// Each line is a transfer that anyone can read on chain, and the balances tell of no other.
async fn equals_the_chain(
    shop: &Shop,
    rows: &[Row],
    before: (u128, u128),
    after: (u128, u128),
) -> Result<(), Obstacle> {
    let mut paid = 0;
    for row in rows {
        assert_eq!(row["state"], "settled", "{row:?}");
        let units: u128 = row["units"].parse().expect("atomic units");
        let (block, moved) = shop.moved(&row["transaction"]).await;
        let (float, till) = (shop.float.to_lowercase(), row["pay_to"].to_lowercase());
        assert_eq!(moved, [(float, till, units)], "{row:?}");
        assert_eq!(row["block"], block.to_string(), "{row:?}");
        paid += units;
    }
    assert_eq!(paid, units("0.62"));
    assert_eq!((before.0 - after.0, after.1 - before.1), (paid, paid), "{before:?}, {after:?}");
    Ok(())
}

/// A click stops all payments.
async fn freezes(place: &Place, window: &Window, shop: &Shop) -> Result<(), Obstacle> {
    window.click(&id("nav-desk")).await?;
    window.click(&id("freeze")).await?;
    window.see(&id("frozen")).await?;
    let refused = finished(place.buys(&shop.good("weather"), "weather-frozen")?).await?;
    assert_eq!(refused.code, 3, "{refused:?}");
    let [answer] = &refused.documents[..] else { panic!("one answer: {refused:?}") };
    assert_eq!(answer["status"], "refused", "{answer}");
    let reasons = answer["verdict"]["reasons"].as_array().expect("reasons");
    assert!(reasons.iter().any(|reason| reason["code"] == "frozen"), "{answer}");
    window.see(&row(text(&answer["payment"]["id"]), "refused")).await?;
    picture(place, window, "desk-frozen").await
}

/// Closing the window leaves the desk running, and starting it again brings the same one back.
async fn closes_and_comes_back(place: &Place, window: &Window) -> Result<(), Obstacle> {
    let session = &place.session;
    let shown = session.window("Imprest")?;
    session.has_keyboard(&shown)?;
    session.press("alt+F4")?;
    session.no_window("Imprest")?;
    assert_eq!(place.read(&["budget", "--agent", AGENT])?.code, 0, "the desk goes on");

    let mut again = session.command(built_program("imprest-desk")?);
    again.args(["--practice", "--data"]).arg(&place.data);
    again.stdin(Stdio::null()).stdout(Stdio::null()).stderr(session.log("second-start")?);
    let mut again = again.spawn().map_err(|e| Obstacle::new(format!("a second start: {e}")))?;
    let ended = until("the second start to end", Duration::from_secs(20), || {
        again.try_wait().map_err(|e| Obstacle::new(format!("the second start: {e}")))
    })?;
    assert!(ended.success(), "{ended}: {}", session.said("second-start"));
    let shown_again = session.window("Imprest")?;
    session.has_keyboard(&shown_again)?;
    // The same desk, as it was left.
    window.see(&id("frozen")).await.map(drop)
}

async fn thaws_and_quits(place: &Place, window: &Window) -> Result<(), Obstacle> {
    window.click(&id("thaw")).await?;
    window.click(&id("thaw-confirm")).await?;
    window.see_none(&id("frozen")).await?;
    window.click(&id("nav-settings")).await?;
    window.click(&id("quit")).await?;
    window.click_the_last(&id("quit-confirm")).await?;
    place.session.no_window("Imprest")?;
    until("the desk to close", Duration::from_secs(20), || {
        Ok((place.read(&["budget", "--agent", AGENT])?.code == 5).then_some(()))
    })
}

/// Keeps what a person sees now.
async fn picture(place: &Place, window: &Window, name: &str) -> Result<(), Obstacle> {
    window.painted().await?;
    place.session.picture(name).map(drop)
}

async fn theme(window: &Window, name: &str) -> Result<(), Obstacle> {
    window.click(&id("nav-settings")).await?;
    window.click(&id(&format!("theme-{name}"))).await?;
    window.see(&format!("html[data-theme='{name}']")).await.map(drop)
}

async fn finished(purchase: JoinHandle<Result<Answer, Obstacle>>) -> Result<Answer, Obstacle> {
    purchase.await.map_err(|e| Obstacle::new(format!("The purchase broke off: {e}")))?
}

fn id(testid: &str) -> String {
    format!("[data-testid='{testid}']")
}

fn row(payment: &str, state: &str) -> String {
    format!("[data-testid='row'][data-payment-id='{payment}'][data-state='{state}']")
}

/// The document that was bought.
fn body(answer: &Value) -> Value {
    serde_json::from_str(text(&answer["response"]["body"])).expect("the content is JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A decimal amount of USDC in atomic units.
fn units(amount: &str) -> u128 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{fraction:0<DECIMALS$}").parse().expect("an amount")
}

/// A number as JSON-RPC writes it.
fn quantity(value: &Value) -> u128 {
    u128::from_str_radix(text(value).trim_start_matches("0x"), 16).expect("a quantity")
}
