//! The official x402 seller is bought from through every door an agent has, with the genuine
//! contract on a real chain. What the desk says is held against the chain and the seller's own
//! count.

use imprest_tests::{
    Answer, Desk, HttpDoor, Merchant, Obstacle, PracticeAddresses, Ready, token_balance,
};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Whom the seller is paid as. Nobody else ever pays this address.
const PAY_TO: &str = "0x00000000000000000000000000000000000000AA";
const REPORT_UNITS: u128 = 20_000;
const ECHO_UNITS: u128 = 30_000;
const BIG_UNITS: u128 = 750_000;

/// A desk with one agent, and the official seller on the desk's own chain.
struct Market {
    desk: Desk,
    ready: Ready,
    practice: PracticeAddresses,
    merchant: Merchant,
    token: String,
    door: HttpDoor,
    _folder: TempDir,
}

impl Market {
    fn open(agent: &str, options: &[&str]) -> Result<Market, Obstacle> {
        let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
        let desk = Desk::serve_practice(folder.path())?;
        let token = desk.add_agent(agent, options)?;
        let ready = desk.ready()?.clone();
        let practice = ready.practice.clone();
        let practice = practice.ok_or_else(|| Obstacle::new("There is no practice network."))?;
        let merchant = Merchant::start(&practice.terms(), PAY_TO)?;
        let door = HttpDoor::new(&ready, &token)?;
        Ok(Market { desk, ready, practice, merchant, token, door, _folder: folder })
    }

    /// Lists the seller among the local addresses that agents may reach.
    fn list_seller(&self) -> Result<(), Obstacle> {
        let host = self.merchant.origin().trim_start_matches("http://");
        let hosts = self.desk.owner(&["hosts", "allow", host])?;
        assert_eq!(hosts.code, 0, "{hosts:?}");
        assert!(hosts.documents.contains(&json!(host)), "{hosts:?}");
        Ok(())
    }

    async fn paid_units(&self) -> Result<u128, Obstacle> {
        token_balance(&self.practice.rpc, &self.practice.usdc, PAY_TO).await
    }

    /// How often the seller has delivered a good, by its own count.
    async fn served(&self, path: &str) -> Result<u64, Obstacle> {
        let trouble = |e: reqwest::Error| Obstacle::new(format!("The seller's count: {e}"));
        let counts = reqwest::get(self.merchant.url("/served")).await.map_err(trouble)?;
        let counts: Value = counts.json().await.map_err(trouble)?;
        counts[path].as_u64().ok_or_else(|| Obstacle::new(format!("No count of {path}: {counts}")))
    }

    /// Whether an answer is a purchase that the chain and the seller confirm; `before` is what
    /// the seller had been paid and how often it had delivered. Answers the payment's id.
    async fn bought(
        &self,
        answer: &Value,
        (path, units): (&str, u128),
        before: (u128, u64),
    ) -> Result<String, Obstacle> {
        let status = answer["status"].as_str().unwrap_or_default();
        assert!(["settled", "delivered"].contains(&status), "{answer}");
        assert_eq!(answer["response"]["status"], 200, "{answer}");
        let id = answer["payment"]["id"].as_str().expect("a payment").to_owned();
        let settled = self.door.settled(&id).await?;
        assert_eq!(settled["payment"]["state"], "settled", "{settled}");
        assert_eq!(settled["payment"]["url"], self.merchant.url(path), "{settled}");
        assert!(settled["payment"]["transaction"].is_string(), "{settled}");
        assert_eq!(self.paid_units().await?, before.0 + units, "{path} was paid exactly");
        assert_eq!(self.served(path).await?, before.1 + 1, "{path} was delivered once");
        Ok(id)
    }

    async fn before(&self, path: &str) -> Result<(u128, u64), Obstacle> {
        Ok((self.paid_units().await?, self.served(path).await?))
    }

    /// Whether a repetition is the same payment and cost nothing.
    async fn same(&self, again: &Value, id: &str, path: &str) -> Result<(), Obstacle> {
        let before = self.before(path).await?;
        assert_eq!(again["payment"]["id"], id, "{again}");
        assert_eq!(again["status"], "settled", "{again}");
        assert_eq!(again["response"]["status"], 200, "the body is kept for a retry: {again}");
        assert_eq!(self.before(path).await?, before, "a repetition costs nothing");
        Ok(())
    }

    fn books_are_equal(&self) -> Result<(), Obstacle> {
        let books = self.desk.read(&["books"])?;
        let books = books.done()?;
        assert_eq!(books["equal"], true, "{books}");
        assert_eq!(books["in_flight"], "0.00", "{books}");
        let proof = self.desk.read(&["verify"])?;
        assert_eq!(proof.done()?["whole"], true, "{proof:?}");
        Ok(())
    }
}

fn report() -> Value {
    json!({ "report": "Container rates, week by week", "weeks": [1840, 1825, 1861, 1902] })
}

/// The body that was bought, as JSON.
fn body(answer: &Value) -> Value {
    let text = answer["response"]["body"].as_str().expect("a body of text");
    serde_json::from_str(text).expect("the seller answers with JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_buys_from_the_official_seller() -> Result<(), Obstacle> {
    let unasked = ["--grade", "L4", "--new-payee", "allow", "--per-payment", "0.25"];
    let market = Market::open("Buyer", &[&unasked[..], &["--per-day", "5"]].concat())?;
    a_seller_not_listed_is_refused(&market).await?;
    market.list_seller()?;
    buy_over_http(&market).await?;
    buy_with_the_command(&market).await?;
    buy_over_mcp(&market, &by_http(&market).await?, "mcp-http").await?;
    buy_over_mcp(&market, &by_stdio(&market).await?, "mcp-stdio").await?;
    a_bridge_without_a_token_says_so(&market)?;
    assert_eq!(market.paid_units().await?, 4 * REPORT_UNITS + 2 * ECHO_UNITS);
    assert_eq!(market.served("/report").await?, 4);
    assert_eq!(market.served("/echo").await?, 2);
    let payments = market.door.payments().await?;
    assert!(payments.iter().all(|payment| payment["state"] == "settled"), "{payments:?}");
    assert_eq!(payments.len(), 6);
    market.books_are_equal()
}

async fn a_seller_not_listed_is_refused(market: &Market) -> Result<(), Obstacle> {
    let ask = json!({ "url": market.merchant.url("/report"), "idempotency_key": "unlisted" });
    let (status, failure) = market.door.post("/v1/fetch", &ask).await?;
    assert_eq!((status, &failure["code"]), (400, &json!("bad_request")), "{failure}");
    assert!(failure["detail"].as_str().is_some_and(|text| text.contains("127.0.0.1")), "{failure}");
    assert!(
        failure["recovery"].as_str().is_some_and(|text| text.contains("imprest hosts allow")),
        "{failure}"
    );
    let said = market.desk.agent(&market.token, &["fetch", &market.merchant.url("/report")])?;
    assert_eq!(said.code, 2, "{said:?}");
    assert_eq!(said.stderr.lines().count(), 2, "{said:?}");
    assert_eq!(market.before("/report").await?, (0, 0));
    assert_eq!(market.door.payments().await?, Vec::<Value>::new());
    Ok(())
}

async fn buy_over_http(market: &Market) -> Result<(), Obstacle> {
    let before = market.before("/report").await?;
    let ask = json!({
        "url": market.merchant.url("/report"), "max_amount": "0.05", "purpose": "The week's rates",
        "idempotency_key": "http-report", "wait_ms": 20_000,
    });
    let answer = market.door.fetch(&ask).await?;
    let id = market.bought(&answer, ("/report", REPORT_UNITS), before).await?;
    assert_eq!(body(&answer), report());
    let again = market.door.fetch(&ask).await?;
    market.same(&again, &id, "/report").await?;
    assert_eq!(body(&again), report());
    the_receipt_is_kept(market, &id, &again)?;

    let before = market.before("/echo").await?;
    let mut ask = json!({
        "url": market.merchant.url("/echo"), "method": "POST", "body": "hello, seller",
        "headers": { "content-type": "text/plain" },
        "idempotency_key": "http-echo", "wait_ms": 20_000,
    });
    let answer = market.door.fetch(&ask).await?;
    market.bought(&answer, ("/echo", ECHO_UNITS), before).await?;
    assert_eq!(body(&answer), json!({ "echo": "hello, seller" }));

    // The key stands for the whole request, its body too.
    let before = market.before("/echo").await?;
    ask["body"] = json!("hello, thief");
    let (status, failure) = market.door.post("/v1/fetch", &ask).await?;
    assert_eq!((status, &failure["code"]), (409, &json!("key_reused")), "{failure}");
    assert_eq!(market.before("/echo").await?, before);
    Ok(())
}

/// The seller signs its offers and its receipts; both are kept, and nothing speaks against them. As
/// it does by itself, the receipt names no transaction.
fn the_receipt_is_kept(market: &Market, id: &str, answer: &Value) -> Result<(), Obstacle> {
    let receipt = &answer["receipt"];
    assert_eq!(receipt["faults"], json!([]), "{answer}");
    assert_eq!(receipt["signer"], Merchant::SIGNER, "{answer}");
    let document: Value = serde_json::from_str(receipt["document"].as_str().unwrap_or_default())
        .map_err(|e| Obstacle::new(format!("The receipt is no JSON ({e}): {receipt}")))?;
    assert_eq!(document["payload"]["resourceUrl"], answer["payment"]["url"], "{document}");
    let evidence = market.desk.read(&["evidence", id])?;
    let evidence = evidence.done()?;
    assert_eq!(evidence["receipt"]["signer"], Merchant::SIGNER, "{evidence}");
    assert_eq!(
        document["payload"]["payer"].as_str().map(str::to_lowercase),
        evidence["from"].as_str().map(str::to_lowercase),
        "{document}"
    );
    let offer: Value = serde_json::from_str(evidence["offer"].as_str().unwrap_or_default())
        .map_err(|e| Obstacle::new(format!("The offer is no JSON ({e}): {evidence}")))?;
    assert_eq!(offer["signed_by"], Merchant::SIGNER, "{offer}");
    assert_eq!(offer["signed"]["payload"]["amount"], offer["accepted"]["amount"], "{offer}");
    Ok(())
}

async fn buy_with_the_command(market: &Market) -> Result<(), Obstacle> {
    let before = market.before("/report").await?;
    let url = market.merchant.url("/report");
    let fetch = ["fetch", &url, "--max", "0.05", "--key", "cli-report", "--wait", "20000"];
    let answer = market.desk.agent(&market.token, &fetch)?;
    let id = market.bought(answer.done()?, ("/report", REPORT_UNITS), before).await?;
    assert_eq!(body(answer.done()?), report());
    let again = market.desk.agent(&market.token, &fetch)?;
    market.same(again.done()?, &id, "/report").await?;

    // As a person types it: the goods on standard output, the money on standard error.
    let before = market.before("/report").await?;
    let mut command = market.desk.command()?;
    command.env("IMPREST_TOKEN", &market.token).args(fetch);
    command.arg("--data").arg(market.desk.data());
    let plain = Answer::of(command, "")?;
    assert_eq!((plain.code, plain.documents), (0, vec![report()]));
    assert!(plain.stderr.contains("Paid 0.02 USDC") && plain.stderr.contains(&id));
    assert_eq!(market.before("/report").await?, before);

    let before = market.before("/echo").await?;
    let url = market.merchant.url("/echo");
    let posted = ["fetch", &url, "--body", "from a shell", "-H", "content-type: text/plain"];
    let posted = [&posted[..], &["--key", "cli-echo", "--wait", "20000"]].concat();
    let answer = market.desk.agent(&market.token, &posted)?;
    market.bought(answer.done()?, ("/echo", ECHO_UNITS), before).await?;
    assert_eq!(body(answer.done()?), json!({ "echo": "from a shell" }));
    Ok(())
}

type McpClient = RunningService<RoleClient, ()>;

/// The official client at the desk's MCP endpoint, in the newest revision.
async fn by_http(market: &Market) -> Result<McpClient, Obstacle> {
    let client = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let config = StreamableHttpClientTransportConfig::with_uri(market.ready.mcp.clone())
        .auth_header(market.token.clone());
    let transport = StreamableHttpClientTransport::with_client(client, config);
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    let lifecycle = ClientLifecycleMode::Discover { preferred_versions };
    let connected = ().serve_with_lifecycle(transport, lifecycle).await;
    connected.map_err(|e| Obstacle::new(format!("MCP over HTTP: {e}")))
}

/// The official client with `imprest mcp` as its child, in the revision with a handshake.
async fn by_stdio(market: &Market) -> Result<McpClient, Obstacle> {
    let mut command = market.desk.command()?;
    // Without a keychain the token comes from the environment, and no name is needed.
    command.env("IMPREST_TOKEN", &market.token).args(["mcp", "--data"]).arg(market.desk.data());
    let bridge = TokioChildProcess::new(tokio::process::Command::from(command));
    let bridge = bridge.map_err(|e| Obstacle::new(format!("starting imprest mcp: {e}")))?;
    let connected = ().serve_with_lifecycle(bridge, ClientLifecycleMode::Initialize).await;
    connected.map_err(|e| Obstacle::new(format!("MCP over stdio: {e}")))
}

/// With a name and no keychain the bridge says so, and keeps standard output for the protocol.
fn a_bridge_without_a_token_says_so(market: &Market) -> Result<(), Obstacle> {
    let mut command = market.desk.command()?;
    command.args(["mcp", "--agent", "Buyer", "--data"]).arg(market.desk.data());
    let answer = Answer::of(command, "")?;
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{answer:?}");
    assert_eq!(answer.stderr.lines().count(), 2, "{answer:?}");
    assert!(answer.stderr.contains("keychain"), "{answer:?}");
    assert!(answer.stderr.contains("IMPREST_TOKEN"), "{answer:?}");
    Ok(())
}

async fn buy_over_mcp(market: &Market, client: &McpClient, key: &str) -> Result<(), Obstacle> {
    let before = market.before("/report").await?;
    let ask = json!({
        "url": market.merchant.url("/report"), "max_amount": "0.05", "purpose": "The week's rates",
        "idempotency_key": key, "wait_ms": 20_000,
    });
    let answer = call(client, "fetch", &ask).await?;
    let id = market.bought(&answer, ("/report", REPORT_UNITS), before).await?;
    assert_eq!(body(&answer), report());
    assert_eq!(answer["untrusted"], json!(["response", "receipt"]));
    let again = call(client, "fetch", &ask).await?;
    market.same(&again, &id, "/report").await?;
    let ask = json!({ "payment": id });
    assert_eq!(call(client, "payment_status", &ask).await?["status"], "settled");
    let budget = call(client, "budget", &json!({})).await?;
    assert_eq!(budget["agent"], "Buyer");
    assert_eq!(budget["windows"][0]["in_flight"], "0.00", "{budget}");
    Ok(())
}

async fn call(client: &McpClient, tool: &'static str, ask: &Value) -> Result<Value, Obstacle> {
    let arguments = ask.as_object().cloned().unwrap_or_default();
    let result = client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await;
    let result = result.map_err(|e| Obstacle::new(format!("{tool}: {e}")))?;
    assert_ne!(result.is_error, Some(true), "{result:?}");
    let answer = result.structured_content;
    answer.ok_or_else(|| Obstacle::new(format!("{tool} has no structured answer")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_is_asked_about_a_stranger_and_about_a_dear_good() -> Result<(), Obstacle> {
    let limits = ["--grade", "L3", "--per-payment", "0.25", "--per-day", "5"];
    let market = Market::open("Careful", &limits)?;
    market.list_seller()?;
    the_first_purchase_from_a_stranger_waits(&market).await?;
    the_second_does_not(&market).await?;
    a_dear_good_waits(&market).await?;
    a_no_is_a_no(&market).await?;
    assert_eq!(market.paid_units().await?, 2 * REPORT_UNITS + BIG_UNITS);
    market.books_are_equal()
}

/// Fetches a good that becomes a question; answers the payment and the question.
async fn asked(
    market: &Market,
    (path, key): (&str, &str),
    reason: &str,
) -> Result<(String, Value), Obstacle> {
    let before = market.before(path).await?;
    let url = market.merchant.url(path);
    let fetch = ["fetch", &url, "--key", key, "--wait", "0", "--purpose", "For the Monday memo"];
    let answer = market.desk.agent(&market.token, &fetch)?;
    assert_eq!(answer.code, 4, "{answer:?}");
    let pending = answer.documents.first().cloned().unwrap_or_default();
    assert_eq!(pending["status"], "pending", "{pending}");
    let codes: Vec<&Value> = pending["verdict"]["reasons"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|reason| &reason["code"])
        .collect();
    assert_eq!(codes, [reason], "{pending}");
    let id = pending["payment"]["id"].as_str().expect("a payment").to_owned();
    let cards = market.desk.read(&["approvals"])?;
    let card = cards.done()?.clone();
    assert_eq!(card["payment_id"], id.as_str(), "{card}");
    assert_eq!(card["url"], url.as_str(), "{card}");
    assert_eq!(card["pay_to"], PAY_TO, "{card}");
    assert_eq!(card["purpose"], "For the Monday memo", "{card}");
    assert_eq!(market.before(path).await?, before, "a question costs nothing");
    Ok((id, card))
}

async fn the_first_purchase_from_a_stranger_waits(market: &Market) -> Result<(), Obstacle> {
    let before = market.before("/report").await?;
    let (id, card) = asked(market, ("/report", "first"), "new_payee").await?;
    assert_eq!((&card["amount"], &card["what"]), (&json!("0.02"), &json!("Weekly report")));
    let question = card["id"].as_str().unwrap_or_default();
    let wrong = market.desk.owner_with("not the passphrase", &["approve", question])?;
    assert_eq!(wrong.code, 6, "{wrong:?}");
    let waiting = market.desk.agent(&market.token, &["payment", &id])?;
    assert_eq!(waiting.code, 4, "a wrong passphrase approves nothing: {waiting:?}");

    market.desk.owner(&["approve", question])?.done()?;
    let answer = market.desk.agent(&market.token, &["payment", &id, "--wait", "20000"])?;
    market.bought(answer.done()?, ("/report", REPORT_UNITS), before).await?;
    assert_eq!(body(answer.done()?), report());
    let approved = market.desk.owner(&["approve", question])?;
    assert_eq!(approved.code, 1, "a question is answered once: {approved:?}");
    Ok(())
}

async fn the_second_does_not(market: &Market) -> Result<(), Obstacle> {
    let before = market.before("/report").await?;
    let ask = json!({
        "url": market.merchant.url("/report"), "idempotency_key": "second", "wait_ms": 20_000,
    });
    let answer = market.door.fetch(&ask).await?;
    market.bought(&answer, ("/report", REPORT_UNITS), before).await?;
    Ok(())
}

async fn a_dear_good_waits(market: &Market) -> Result<(), Obstacle> {
    let before = market.before("/big").await?;
    let (id, card) = asked(market, ("/big", "big"), "over_per_payment").await?;
    assert_eq!(card["amount"], "0.75", "{card}");
    market.desk.owner(&["approve", card["id"].as_str().unwrap_or_default()])?.done()?;
    let answer = market.door.settled(&id).await?;
    market.bought(&answer, ("/big", BIG_UNITS), before).await?;
    assert_eq!(body(&answer)["archive"].as_array().map(Vec::len), Some(52));
    Ok(())
}

async fn a_no_is_a_no(market: &Market) -> Result<(), Obstacle> {
    let before = market.before("/big").await?;
    let url = market.merchant.url("/big");
    let capped = market.desk.agent(&market.token, &["fetch", &url, "--max", "0.50"])?;
    assert_eq!(capped.code, 3, "{capped:?}");
    let capped = capped.documents.first().cloned().unwrap_or_default();
    assert_eq!(capped["verdict"]["reasons"][0]["code"], "over_agent_max", "{capped}");

    let (id, card) = asked(market, ("/big", "again"), "over_per_payment").await?;
    let question = card["id"].as_str().unwrap_or_default();
    market.desk.owner(&["refuse", question, "--reason", "one archive is enough"])?.done()?;
    let refused = market.desk.agent(&market.token, &["payment", &id, "--wait", "20000"])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stdout.contains("one archive is enough"), "{refused:?}");
    assert_eq!(market.before("/big").await?, before);
    Ok(())
}
