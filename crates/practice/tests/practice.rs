//! The practice network as the desk uses it: real anvil, genuine USDC, the corner shop.

mod common;

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolStruct};
use alloy_primitives::{Address, B256, U256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::*;
use futures::future::join_all;
use imprest_chain::{At, AuthorizationEnd, Finding, usdc};
use imprest_domain::{Authorization, Units};
use imprest_practice::{Kit, Practice};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::path::Path;

/// Set in the child process of `anvil_ends_when_the_desk_is_killed`.
const CHILD_FOLDER: &str = "IMPREST_PRACTICE_TEST_FOLDER";

fn header(response: &Response, name: &str) -> Option<Value> {
    let text = STANDARD.decode(response.headers().get(name)?).expect("standard base64");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

fn payment(accepted: &Value, a: &Authorization, signature: &[u8]) -> Value {
    json!({
        "x402Version": 2,
        "accepted": accepted,
        "payload": {
            "signature": format!("0x{}", hex::encode(signature)),
            "authorization": {
                "from": a.from.to_string(),
                "to": a.to.to_string(),
                "value": a.value,
                "validAfter": a.window.valid_after_s.to_string(),
                "validBefore": a.window.valid_before_s.to_string(),
                "nonce": a.nonce.to_string(),
            },
        },
    })
}

/// A customer of the shop.
struct Customer<'a> {
    practice: &'a Practice,
    http: reqwest::Client,
    key: PrivateKeySigner,
}

impl<'a> Customer<'a> {
    async fn with(practice: &'a Practice, level: u128) -> Customer<'a> {
        let key = payer(practice, level).await;
        Customer { practice, http: reqwest::Client::new(), key }
    }

    async fn visit(&self, path: &str) -> Response {
        let url = self.practice.shop_url().join(path).expect("a URL");
        self.http.get(url).send().await.expect("the shop answers")
    }

    async fn pay(&self, path: &str, payment: &Value) -> Response {
        let url = self.practice.shop_url().join(path).expect("a URL");
        let header = STANDARD.encode(payment.to_string());
        let request = self.http.get(url).header("PAYMENT-SIGNATURE", header);
        request.send().await.expect("the shop answers")
    }

    /// The terms of a fresh 402.
    async fn quote(&self, path: &str) -> Value {
        let response = self.visit(path).await;
        assert_eq!(response.status(), StatusCode::PAYMENT_REQUIRED);
        header(&response, "PAYMENT-REQUIRED").expect("terms")["accepts"][0].clone()
    }

    /// A payment as the terms say.
    fn accept(&self, terms: &Value) -> (Authorization, Value) {
        let asset = self.practice.asset();
        let to = terms["payTo"].as_str().expect("payTo").parse().expect("an address");
        let value = terms["amount"].as_str().expect("amount").parse().expect("units");
        let authorization = authorization(asset, self.key.address(), to, value);
        let signature = sign(&self.key, asset, &authorization);
        let payment = payment(terms, &authorization, &signature);
        (authorization, payment)
    }

    async fn balance(&self) -> u128 {
        self.practice.chain().balance(self.key.address()).await.expect("a balance").get()
    }
}

async fn find(practice: &Practice, a: &Authorization, margin_s: u64) -> Finding {
    practice.chain().reconcile(a, 0, margin_s).await.expect("facts")
}

#[tokio::test(flavor = "multi_thread")]
async fn first_start_deploys_genuine_usdc_and_fills_the_treasury() {
    let folder = tempfile::tempdir().expect("a folder");
    let treasury = Address::repeat_byte(0x77);
    let practice = start(folder.path(), Some(treasury)).await;
    let chain = practice.chain();
    chain.confirm_asset().await.expect("the contract is what the registry says");
    assert_eq!(practice.network().caip2(), "eip155:402402");
    assert_eq!(chain.balance(treasury).await, Ok(units(250_000_000)));
    assert!(
        chain.gas_balance_wei(treasury).await.expect("coin") > U256::from(10).pow(U256::from(18))
    );
    // Filling to a level already reached mints nothing; a higher level mints the difference.
    practice.fund_treasury(treasury, units(1_000_000)).await.expect("nothing to do");
    assert_eq!(chain.balance(treasury).await, Ok(units(250_000_000)));
    practice.fund_treasury(treasury, units(251_000_000)).await.expect("one more");
    let several = chain.balances(&[Address::ZERO, treasury], At::Latest).await.expect("balances");
    assert_eq!(several, [Units::ZERO, units(251_000_000)]);
    // Finality is a few blocks behind, not an epoch.
    let (head, last) = (chain.head().await.expect("head"), chain.finalized().await.expect("final"));
    assert!(last.number <= head.number && head.number - last.number <= 3, "{last:?} {head:?}");
    let transfers = chain.transfers(&[treasury], 0, head.number).await.expect("transfers");
    let minted: Vec<u128> = transfers.iter().map(|t| t.value.get()).collect();
    assert_eq!(minted, [250_000_000, 1_000_000]);
    practice.stop().await.expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_speaks_x402_and_settles_on_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let customer = Customer::with(&practice, 5_000_000).await;
    let asset = practice.asset().clone();

    let unpaid = customer.visit("/weather?day=today").await;
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(unpaid.headers()["cache-control"], "no-store");
    let expected = json!({
        "x402Version": 2,
        "error": "PAYMENT-SIGNATURE header is required",
        "resource": {
            "url": practice.shop_url().join("/weather?day=today").expect("a URL").as_str(),
            "description": "Weather, Rotterdam",
            "mimeType": "application/json",
            "serviceName": "Corner shop",
        },
        "accepts": [{
            "scheme": "exact",
            "network": "eip155:402402",
            "amount": "10000",
            "asset": asset.id.contract.to_string(),
            "payTo": practice.shop().pay_to().to_string(),
            "maxTimeoutSeconds": 60,
            "extra": { "name": "USD Coin", "version": "2" },
        }],
    });
    assert_eq!(header(&unpaid, "PAYMENT-REQUIRED"), Some(expected.clone()));
    assert_eq!(unpaid.json::<Value>().await.expect("JSON"), json!({}));

    let (authorization, payment) = customer.accept(&expected["accepts"][0]);
    assert_eq!(find(&practice, &authorization, 0).await, Finding::StillOpen);
    let paid = customer.pay("/weather", &payment).await;
    assert_eq!(paid.status(), StatusCode::OK);
    let settled = header(&paid, "PAYMENT-RESPONSE").expect("a receipt");
    assert_eq!(settled["success"], true);
    assert_eq!(settled["network"], "eip155:402402");
    assert_eq!(settled["payer"], customer.key.address().to_string());
    assert_eq!(paid.json::<Value>().await.expect("JSON")["place"], "Rotterdam");

    let on_chain = practice
        .chain()
        .find_settlement(authorization.from, authorization.nonce, 0)
        .await
        .expect("logs")
        .expect("a settlement");
    assert_eq!(settled["transaction"], on_chain.transaction.to_string());
    assert_eq!((on_chain.to, on_chain.value), (authorization.to, authorization.value));
    assert_eq!(customer.balance().await, 4_990_000);
    let finding = find(&practice, &authorization, 0).await;
    assert_eq!(finding, Finding::Settled { tx: on_chain.transaction, block: on_chain.block });

    let replay = customer.pay("/weather", &payment).await;
    assert_eq!(replay.status(), StatusCode::PAYMENT_REQUIRED);
    let why = header(&replay, "PAYMENT-REQUIRED").expect("terms")["error"].clone();
    assert_eq!(why, "invalid_exact_evm_nonce_already_used");
    assert_eq!(customer.balance().await, 4_990_000);
    practice.stop().await.expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_refuses_every_payment_that_is_not_what_it_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let customer = Customer::with(&practice, 5_000_000).await;
    let terms = customer.quote("/freight-index").await;
    let (authorization, good) = customer.accept(&terms);

    let edited = |path: &str, value: Value| {
        let mut payment = good.clone();
        *payment.pointer_mut(path).expect("the path exists") = value;
        payment
    };
    let stranger = PrivateKeySigner::random();
    let forged = sign(&stranger, practice.asset(), &authorization);
    let poor = {
        let key = PrivateKeySigner::random();
        let mut a = authorization.clone();
        a.from = key.address();
        let signature = sign(&key, practice.asset(), &a);
        payment(&terms, &a, &signature)
    };
    for (bad, why) in [
        (json!("hello"), "the PAYMENT-SIGNATURE is not an exact payment"),
        (edited("/x402Version", json!(1)), "the PAYMENT-SIGNATURE is not of x402 version 2"),
        (edited("/accepted/amount", json!("1")), "the accepted terms are none this shop offered"),
        (
            edited("/accepted/extra/name", json!("X")),
            "the accepted terms are none this shop offered",
        ),
        (
            edited("/payload/authorization/value", json!("1")),
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            edited("/payload/authorization/to", json!(stranger.address())),
            "invalid_exact_evm_payload_recipient_mismatch",
        ),
        (
            edited("/payload/authorization/validBefore", json!("1")),
            "invalid_exact_evm_payload_authorization_valid_before",
        ),
        (
            edited("/payload/authorization/nonce", json!(B256::ZERO)),
            "invalid_exact_evm_payload_signature",
        ),
        (payment(&terms, &authorization, &forged), "invalid_exact_evm_payload_signature"),
        (payment(&terms, &authorization, &[0; 65]), "invalid_exact_evm_payload_signature"),
        (payment(&terms, &authorization, &[0xff; 65]), "invalid_exact_evm_payload_signature"),
        (poor, "invalid_exact_evm_insufficient_balance"),
    ] {
        let answer = customer.pay("/freight-index", &bad).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{why}");
        assert_eq!(header(&answer, "PAYMENT-REQUIRED").expect("terms")["error"], why);
        assert!(answer.headers().get("PAYMENT-RESPONSE").is_none());
    }
    let url = practice.shop_url().join("/freight-index").expect("a URL");
    for raw in [b"\xff\xfe".to_vec(), b"====".to_vec(), vec![b'A'; 20_000]] {
        let value = reqwest::header::HeaderValue::from_bytes(&raw).expect("a header value");
        let request = customer.http.get(url.clone()).header("PAYMENT-SIGNATURE", value);
        assert_eq!(request.send().await.expect("an answer").status(), StatusCode::PAYMENT_REQUIRED);
    }
    let twice = customer.http.get(url.clone()).header("PAYMENT-SIGNATURE", "a");
    let twice = twice.header("PAYMENT-SIGNATURE", "b").send().await.expect("an answer");
    assert_eq!(twice.status(), StatusCode::PAYMENT_REQUIRED);
    let posted = customer.http.post(url).send().await.expect("an answer");
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(customer.visit("/nothing").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(customer.balance().await, 5_000_000, "nothing was taken");

    // After all that the honest payment still works, once, however often it comes at once.
    let answers = join_all((0..6).map(|_| customer.pay("/freight-index", &good))).await;
    let sold = answers.iter().filter(|answer| answer.status() == StatusCode::OK).count();
    assert_eq!((sold, customer.balance().await), (1, 4_950_000));
    practice.stop().await.expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changing_price_is_honoured_as_quoted() {
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let customer = Customer::with(&practice, 1_000_000).await;
    let listing: Value = customer.visit("/").await.json().await.expect("a free price list");
    assert_eq!(listing["goods"].as_array().map(Vec::len), Some(4));
    assert_eq!(listing["goods"][2]["price"], "0.60");

    let first = customer.quote("/tide").await;
    let second = customer.quote("/tide").await;
    assert_eq!((&first["amount"], &second["amount"]), (&json!("4200"), &json!("6300")));
    let (_, payment) = customer.accept(&first);
    let paid = customer.pay("/tide", &payment).await;
    assert_eq!(paid.status(), StatusCode::OK, "the first quote is kept after the second");
    // Never quoted yet, though it is in the cycle.
    let mut early = first.clone();
    early["amount"] = json!("5100");
    let (_, payment) = customer.accept(&early);
    assert_eq!(customer.pay("/tide", &payment).await.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(customer.balance().await, 995_800);
    practice.stop().await.expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_payments_at_once_all_settle_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let customer = Customer::with(&practice, 1_000_000).await;
    let terms = customer.quote("/weather").await;
    let payments: Vec<Value> = (0..100).map(|_| customer.accept(&terms).1).collect();
    let answers = join_all(payments.iter().map(|p| customer.pay("/weather", p))).await;
    let mut transactions: Vec<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status(), StatusCode::OK);
            header(answer, "PAYMENT-RESPONSE").expect("a receipt")["transaction"].to_string()
        })
        .collect();
    transactions.sort();
    transactions.dedup();
    assert_eq!(transactions.len(), 100);
    assert_eq!(customer.balance().await, 0);
    // One more finds an empty purse.
    let (_, payment) = customer.accept(&terms);
    assert_eq!(customer.pay("/weather", &payment).await.status(), StatusCode::PAYMENT_REQUIRED);
    practice.stop().await.expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_and_expired_authorisations_are_told_from_the_chain() {
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let key = payer(&practice, 1_000_000).await;
    let asset = practice.asset();
    let chain = practice.chain();

    let mut lapsing = authorization(asset, key.address(), Address::repeat_byte(5), units(7));
    lapsing.window.valid_before_s = now_s() + 2;
    assert_eq!(find(&practice, &lapsing, 1).await, Finding::StillOpen);
    until("the window to run out by the finalised clock", async || {
        matches!(find(&practice, &lapsing, 1).await, Finding::ExpiredUnused { .. })
    })
    .await;

    let burnt = authorization(asset, key.address(), Address::repeat_byte(5), units(7));
    let message = usdc::CancelAuthorization { authorizer: key.address(), nonce: burnt.nonce };
    let hash = message.eip712_signing_hash(&domain(asset));
    let signature = key.sign_hash_sync(&hash).expect("signed").as_bytes();
    let cancel = usdc::cancelAuthorizationCall {
        authorizer: key.address(),
        nonce: burnt.nonce,
        signature: signature.into(),
    };
    let transaction = send(&practice, &key, cancel.abi_encode()).await;
    let end = chain.find_end(key.address(), burnt.nonce, 0).await.expect("logs");
    assert!(matches!(end, Some(AuthorizationEnd::Cancelled(c)) if c.transaction == transaction));
    until("the cancellation to be final", async || {
        matches!(find(&practice, &burnt, 1).await, Finding::Cancelled { tx, .. } if tx == transaction)
    })
    .await;
    assert_eq!(chain.find_settlement(key.address(), burnt.nonce, 0).await, Ok(None));
    practice.stop().await.expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_and_starting_keeps_money_nonces_and_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let practice = start(folder.path(), None).await;
    let customer = Customer::with(&practice, 1_000_000).await;
    let terms = customer.quote("/weather").await;
    let (authorization, payment) = customer.accept(&terms);
    assert_eq!(customer.pay("/weather", &payment).await.status(), StatusCode::OK);
    let before = practice.chain().head().await.expect("a head");
    let key = customer.key.clone();
    let (asset, rpc_url) = (practice.asset().clone(), practice.rpc_url().clone());
    let shop_url = practice.shop_url().clone();
    practice.stop().await.expect("saved");

    let practice = start(folder.path(), None).await;
    assert_eq!(practice.asset(), &asset);
    assert_eq!((practice.rpc_url(), practice.shop_url()), (&rpc_url, &shop_url));
    let after = practice.chain().head().await.expect("a head");
    assert!(after.number > before.number && after.timestamp_s >= before.timestamp_s);
    let customer = Customer { practice: &practice, http: reqwest::Client::new(), key };
    assert_eq!(customer.balance().await, 990_000);
    let finding = find(&practice, &authorization, 0).await;
    assert!(matches!(finding, Finding::Settled { .. }), "{finding:?}");
    let again = customer.pay("/weather", &payment).await;
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED, "a used nonce stays used");
    let (_, payment) = customer.accept(&terms);
    assert_eq!(customer.pay("/weather", &payment).await.status(), StatusCode::OK);
    practice.stop().await.expect("saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_chain_that_does_not_fit_is_not_replaced_by_a_fresh_one() {
    let folder = tempfile::tempdir().expect("a folder");
    start(folder.path(), None).await.stop().await.expect("saved");
    let kit = Kit::find().expect("the kit");
    let chain = folder.path().join("chain.json.gz");
    std::fs::write(&chain, b"torn").expect("written");
    assert!(Practice::start(&kit, folder.path(), None).await.is_err());
    std::fs::remove_file(&chain).expect("removed");
    assert!(Practice::start(&kit, folder.path(), None).await.is_err());
    assert!(!chain.exists(), "no fresh chain took the old one's place");
}

/// Not a test by itself: the desk that `anvil_ends_when_the_desk_is_killed` kills.
#[tokio::test(flavor = "multi_thread")]
async fn child_desk() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let folder = Path::new(&folder);
    let practice = start(folder, Some(Address::repeat_byte(0x77))).await;
    std::fs::write(folder.join("ready"), practice.rpc_url().as_str()).expect("written");
    std::future::pending::<()>().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn anvil_ends_when_the_desk_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child_desk", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .kill_on_drop(true)
        .spawn()
        .expect("a child");
    let ready = folder.path().join("ready");
    until("the child to be ready", async || {
        std::fs::read_to_string(&ready).is_ok_and(|url| url.ends_with('/'))
    })
    .await;
    let url: url::Url = std::fs::read_to_string(&ready).expect("a URL").parse().expect("a URL");
    let port = url.port().expect("a port");
    let answers = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
    assert!(answers().await, "anvil runs");
    child.kill().await.expect("SIGKILL");
    until("anvil to end", async || !answers().await).await;
    // What it had reached is still there.
    let practice = start(folder.path(), None).await;
    let held = practice.chain().balance(Address::repeat_byte(0x77)).await;
    assert_eq!(held, Ok(units(250_000_000)));
    practice.stop().await.expect("saved");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_anvil_is_replaced_with_all_it_had() {
    let folder = tempfile::tempdir().expect("a folder");
    let treasury = Address::repeat_byte(0x77);
    let practice = start(folder.path(), Some(treasury)).await;
    let before = practice.chain().head().await.expect("a head");
    let port = practice.rpc_url().port().expect("a port").to_string();
    for killed in ["anvil", "sh"] {
        let old = pid_of("anvil", &port).expect("it runs");
        let pid = pid_of(killed, &port).expect("it runs");
        let status = std::process::Command::new("kill").args(["-9", &pid]).status();
        assert!(status.expect("kill runs").success());
        until("the chain to be back", async || {
            pid_of("anvil", &port).is_some_and(|new| new != old)
                && practice.chain().head().await.is_ok_and(|head| head.number > before.number)
                && practice.chain().has_code().await == Ok(true)
        })
        .await;
        assert_eq!(practice.chain().balance(treasury).await, Ok(units(250_000_000)));
    }
    practice.fund_treasury(treasury, units(260_000_000)).await.expect("it takes transactions");
    practice.stop().await.expect("saved");
}

/// The process with this program name whose arguments name the port.
#[cfg(target_os = "linux")]
fn pid_of(program: &str, port: &str) -> Option<String> {
    std::fs::read_dir("/proc").expect("proc").flatten().find_map(|entry| {
        let pid = entry.file_name().into_string().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let arguments: Vec<String> =
            line.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect();
        let name = arguments.first()?.rsplit('/').next()?;
        let names_port = arguments.windows(2).any(|pair| pair[0] == "--port" && pair[1] == port);
        // The leash is a second `sh` with the same arguments; the first has the lower number.
        (name == program && names_port).then_some(pid)
    })
}
