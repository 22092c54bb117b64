//! A node is an outsider: what a wrong, slow or hostile one answers becomes an error, never a fact.

use alloy_primitives::{Address, B256, U256};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use imprest_chain::{At, Chain, ChainError, Networks};
use imprest_domain::Asset;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

const CHAIN_ID: u64 = 402_402;
const NONCE: B256 = B256::repeat_byte(4);
const PAYER: Address = Address::repeat_byte(2);

/// Starts a node whose every answer comes from `reply(method, params)`.
async fn node(reply: impl Fn(&str, &Value) -> Response + Send + Sync + 'static) -> Chain {
    let reply = Arc::new(reply);
    let handler = move |body: Bytes| {
        let reply = Arc::clone(&reply);
        async move {
            let request: Value = serde_json::from_slice(&body).expect("JSON-RPC");
            reply(request["method"].as_str().expect("a method"), &request["params"])
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    connect(&format!("http://{address}/secret-key")).expect("a connection")
}

fn asset() -> Asset {
    let networks = Networks::built_in().expect("the registry");
    networks.practice().expect("practice").unplaced[0].place(CHAIN_ID, Address::repeat_byte(9))
}

fn connect(url: &str) -> Result<Chain, ChainError> {
    let networks = Networks::built_in().expect("the registry");
    let network = networks.practice().expect("practice").clone();
    Chain::connect(network, Url::parse(url).expect("a URL"), asset())
}

fn result(value: Value) -> Response {
    axum::Json(json!({ "jsonrpc": "2.0", "id": 0, "result": value })).into_response()
}

fn text(body: impl Into<Body>) -> Response {
    (StatusCode::OK, body.into()).into_response()
}

/// A node that is right about its chain id, and otherwise answers by `reply`.
async fn node_with(reply: impl Fn(&str) -> Response + Send + Sync + 'static) -> Chain {
    // alloy numbers its requests from zero; the chain id is the first.
    node(move |method, _| match method {
        "eth_chainId" => result(json!(format!("{CHAIN_ID:#x}"))),
        other => reply(other),
    })
    .await
}

fn second(value: Value) -> Response {
    axum::Json(json!({ "jsonrpc": "2.0", "id": 1, "result": value })).into_response()
}

#[tokio::test]
async fn another_chain_is_refused_before_anything_else_is_asked() {
    let chain = node(|method, _| {
        assert_eq!(method, "eth_chainId");
        result(json!("0x1"))
    })
    .await;
    let wrong = ChainError::WrongChain { host: "127.0.0.1".into(), expected: CHAIN_ID, found: 1 };
    assert_eq!(chain.head().await, Err(wrong.clone()));
    assert_eq!(chain.confirm_asset().await, Err(wrong));
}

#[tokio::test]
async fn only_http_and_only_an_asset_of_the_network() {
    for bad in ["ftp://127.0.0.1/", "file:///etc/passwd", "data:text/plain,x"] {
        assert!(matches!(connect(bad), Err(ChainError::Unreachable { .. })), "{bad}");
    }
    let networks = Networks::built_in().expect("the registry");
    let base = networks.by_key("base").expect("base").clone();
    let url = Url::parse("http://127.0.0.1:1/").expect("a URL");
    assert!(matches!(Chain::connect(base, url, asset()), Err(ChainError::WrongChain { .. })));
}

#[tokio::test]
async fn errors_never_show_the_path_of_the_endpoint() {
    let refused = connect("http://user:word@127.0.0.1:1/secret-key").expect("lazy");
    let broken = node(|_, _| (StatusCode::BAD_GATEWAY, "secret-key").into_response()).await;
    for chain in [refused, broken] {
        let error = chain.head().await.expect_err("no node");
        assert!(matches!(error, ChainError::Unreachable { .. }), "{error:?}");
        for shown in [format!("{error} {error:?}"), format!("{chain:?}")] {
            assert!(!shown.contains("secret-key") && !shown.contains("word"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let chain = node(|_, _| {
        (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/")]).into_response()
    })
    .await;
    let error = chain.head().await.expect_err("a redirect");
    assert!(error.to_string().contains("HTTP 307"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let chain = node_with(|_| {
        let spaces =
            stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65_536])));
        text(Body::from_stream(spaces))
    })
    .await;
    let error = chain.head().await.expect_err("endless");
    assert!(matches!(error, ChainError::Unexpected { .. }), "{error:?}");
}

#[tokio::test]
async fn a_silent_node_is_given_up() {
    let chain =
        node_with(|_| text(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())))
            .await;
    let began = Instant::now();
    let error = chain.head().await.expect_err("silent");
    assert!(matches!(error, ChainError::Unreachable { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn nonsense_is_unexpected() {
    for nonsense in ["", "null", "[]", "{}", "<html>", r#"{"jsonrpc":"2.0","id":1,"result":"0x"}"#]
    {
        let chain = node_with(move |_| text(nonsense)).await;
        let error = chain.head().await.expect_err(nonsense);
        assert!(matches!(error, ChainError::Unexpected { .. }), "{nonsense}: {error:?}");
    }
    let chain = node_with(|_| second(Value::Null)).await;
    assert!(matches!(chain.head().await, Err(ChainError::Unexpected { .. })));
}

#[tokio::test]
async fn a_refusal_carries_the_reason_made_visible() {
    let chain = node_with(|_| {
        let error = json!({ "code": -32000, "message": "no\u{202e}pe\n" });
        text(json!({ "jsonrpc": "2.0", "id": 1, "error": error }).to_string())
    })
    .await;
    let Err(ChainError::Refused { code, message, .. }) = chain.head().await else {
        panic!("a refusal")
    };
    assert_eq!((code, message.as_str()), (-32000, "no⟨U+202E⟩pe⟨U+000A⟩"));
}

#[tokio::test]
async fn amounts_and_flags_are_decoded_strictly() {
    let word = |value: U256| json!(B256::from(value).to_string());
    for bad in [
        json!("0x01"),
        word(U256::MAX),
        word(U256::from(u64::MAX)),
        json!(format!("0x{}", "00".repeat(31))),
    ] {
        let chain = node_with(move |_| second(bad.clone())).await;
        let error = chain.balance(PAYER).await.expect_err("not a balance");
        assert!(matches!(error, ChainError::Unexpected { .. }), "{error:?}");
    }
    let two = word(U256::from(2));
    let chain = node_with(move |_| second(two.clone())).await;
    let state = chain.authorization_state(PAYER, NONCE, At::Latest).await;
    assert!(matches!(state, Err(ChainError::Unexpected { .. })), "2 is no truth value: {state:?}");
}

/// Answers for a head at block 5, and these logs.
fn logs_node(logs: Value) -> impl Fn(&str, &Value) -> Response + Send + Sync {
    logs_by(move |_| logs.clone())
}

/// Answers for a head at block 5, and the logs that `find` has for a filter's topics.
fn logs_by(
    find: impl Fn(&Value) -> Value + Send + Sync,
) -> impl Fn(&str, &Value) -> Response + Send + Sync {
    let id = std::sync::atomic::AtomicU64::new(0);
    move |method, params| {
        let id = id.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let value = match method {
            "eth_chainId" => json!(format!("{CHAIN_ID:#x}")),
            "eth_getBlockByNumber" => block(5),
            "eth_getLogs" => find(&params[0]["topics"]),
            other => panic!("{other} was not expected"),
        };
        axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": value })).into_response()
    }
}

fn block(number: u64) -> Value {
    let zero = B256::ZERO;
    json!({
        "number": format!("{number:#x}"), "hash": zero, "parentHash": zero, "sha3Uncles": zero,
        "miner": Address::ZERO, "stateRoot": zero, "transactionsRoot": zero, "receiptsRoot": zero,
        "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0", "gasLimit": "0x1",
        "gasUsed": "0x0", "timestamp": "0x64", "extraData": "0x", "mixHash": zero,
        "nonce": "0x0000000000000000", "uncles": [], "transactions": [],
    })
}

fn used_log(edit: impl Fn(&mut Value)) -> Value {
    let mut log = json!({
        "address": Address::repeat_byte(9),
        "topics": [
            "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5",
            PAYER.into_word(),
            NONCE,
        ],
        "data": "0x", "blockNumber": "0x3", "blockHash": B256::ZERO,
        "transactionHash": B256::repeat_byte(8), "transactionIndex": "0x0", "logIndex": "0x1",
        "removed": false,
    });
    edit(&mut log);
    log
}

#[tokio::test]
async fn logs_that_were_not_asked_for_are_no_evidence() {
    type Edit = fn(&mut Value);
    let edits: [Edit; 6] = [
        |log| log["address"] = json!(Address::ZERO),
        |log| log["topics"][1] = json!(B256::ZERO),
        |log| log["topics"][2] = json!(B256::ZERO),
        |log| log["blockNumber"] = json!("0x9"),
        |log| log["transactionHash"] = Value::Null,
        // The payer's log, but no transfer after it.
        |_| {},
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let chain = node(logs_node(json!([used_log(edit)]))).await;
        let end = chain.find_end(PAYER, NONCE, 0).await;
        assert!(matches!(end, Err(ChainError::Unexpected { .. })), "edit {n}: {end:?}");
    }
    let twice = json!([used_log(|_| {}), used_log(|log| log["logIndex"] = json!("0x2"))]);
    let chain = node(logs_node(twice)).await;
    assert!(chain.find_end(PAYER, NONCE, 0).await.is_err(), "one nonce was used twice");
    let chain = node(logs_node(json!([used_log(|log| log["removed"] = json!(true))]))).await;
    assert_eq!(chain.find_end(PAYER, NONCE, 0).await, Ok(None));
    // A range that ends before it begins holds nothing.
    let chain = node(logs_node(json!([used_log(|_| {})]))).await;
    assert_eq!(chain.find_end(PAYER, NONCE, 6).await, Ok(None));
    assert!(chain.transfers(&[PAYER], 0, u64::MAX).await.is_err(), "an endless search");
}

/// A transfer of one unit in the transaction of [`used_log`].
fn transfer_log(from: Address, log_index: u64) -> Value {
    used_log(|log| {
        log["topics"] = json!([
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
            from.into_word(),
            Address::repeat_byte(7).into_word(),
        ]);
        log["data"] = json!(format!("0x{}01", "00".repeat(31)));
        log["logIndex"] = json!(format!("{log_index:#x}"));
    })
}

/// A node with these transfers from the payer, and these uses of its authorisations.
async fn moves_node(transfers: Value, used: Value) -> Chain {
    node(logs_by(move |topics| {
        let transfer = topics[0].to_string().contains("0xddf252ad");
        match (transfer, topics[1].is_null()) {
            (true, false) => transfers.clone(),
            (true, true) => json!([]),
            (false, _) => used.clone(),
        }
    }))
    .await
}

#[tokio::test]
async fn a_transfer_knows_the_authorisation_that_made_it() {
    let transfers = json!([transfer_log(PAYER, 0), transfer_log(PAYER, 2), transfer_log(PAYER, 3)]);
    let chain = moves_node(transfers, json!([used_log(|_| {})])).await;
    let moves = chain.moves(&[PAYER], 0, 5).await.expect("makes sense");
    let nonces: Vec<_> = moves.iter().map(|it| (it.transfer.log_index, it.nonce)).collect();
    assert_eq!(nonces, [(0, None), (2, Some(NONCE)), (3, None)]);

    let other = Address::repeat_byte(6);
    for (transfers, used) in [
        // The use that moved nothing, the one before whose transfer another payer's lies, and one
        // of an address that was not asked about.
        (json!([transfer_log(PAYER, 0)]), json!([used_log(|_| {})])),
        (json!([transfer_log(other, 2), transfer_log(PAYER, 3)]), json!([used_log(|_| {})])),
        (
            json!([transfer_log(PAYER, 2)]),
            json!([used_log(|log| log["topics"][1] = json!(other.into_word()))]),
        ),
    ] {
        let chain = moves_node(transfers, used).await;
        let moves = chain.moves(&[PAYER], 0, 5).await;
        assert!(matches!(moves, Err(ChainError::Unexpected { .. })), "{moves:?}");
    }
}

#[tokio::test]
async fn another_hash_for_our_transaction_is_refused() {
    let chain = node_with(|_| second(json!(B256::ZERO))).await;
    let sent = chain.send_raw(&[1, 2, 3]).await;
    assert!(matches!(sent, Err(ChainError::Unexpected { .. })), "{sent:?}");
}
