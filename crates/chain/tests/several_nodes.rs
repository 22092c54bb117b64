//! Several nodes of one network: reads pass over one that is down or serves another chain, and what
//! others rest on is every node's word.

use alloy_primitives::{Address, B256};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use imprest_chain::{Chain, ChainError, Finding, Networks};
use imprest_domain::{Asset, Authorization, Units, ValidityWindow};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use url::Url;

const CHAIN_ID: u64 = 402_402;

/// A node that can be switched off, and counts what it is asked.
#[derive(Clone)]
struct Node {
    url: Url,
    is_down: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Node {
    /// A node of a chain, whose newest block is `head` and whose final one is two behind it.
    async fn start(chain_id: u64, head: u64, logs: Value) -> Node {
        let (is_down, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (down, count) = (Arc::clone(&is_down), Arc::clone(&asked));
        let handler = move |body: Bytes| {
            count.fetch_add(1, Ordering::SeqCst);
            let is_down = down.load(Ordering::SeqCst);
            let request: Value = serde_json::from_slice(&body).expect("JSON-RPC");
            let reply = reply(&request, chain_id, head, &logs);
            async move { if is_down { StatusCode::BAD_GATEWAY.into_response() } else { reply } }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(
            async move { axum::serve(listener, Router::new().fallback(post(handler))).await },
        );
        let url = Url::parse(&format!("http://user:word@{address}/secret-key")).expect("a URL");
        Node { url, is_down, asked }
    }

    fn is_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

fn reply(request: &Value, chain_id: u64, head: u64, logs: &Value) -> Response {
    let zero = B256::ZERO;
    let block = |number: u64| {
        json!({
            "number": format!("{number:#x}"), "hash": zero, "parentHash": zero,
            "sha3Uncles": zero, "miner": Address::ZERO, "stateRoot": zero,
            "transactionsRoot": zero, "receiptsRoot": zero,
            "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0",
            "gasLimit": "0x1", "gasUsed": "0x0", "timestamp": format!("{:#x}", number * 2),
            "extraData": "0x", "mixHash": zero, "nonce": "0x0000000000000000", "uncles": [],
            "transactions": [],
        })
    };
    let result = match request["method"].as_str().expect("a method") {
        "eth_chainId" => json!(format!("{chain_id:#x}")),
        "eth_getBlockByNumber" if request["params"][0] == "finalized" => block(head - 2),
        "eth_getBlockByNumber" => block(head),
        // As nodes do that keep the newest state only.
        "eth_call" if request["params"][1] == format!("{head:#x}") => json!(zero),
        "eth_call" => return refuse(request, "missing trie node"),
        "eth_getLogs" if is_for_payers(&request["params"][0]["topics"]) => logs.clone(),
        "eth_getLogs" => json!([]),
        other => panic!("{other} was not expected"),
    };
    axum::Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).into_response()
}

fn refuse(request: &Value, why: &str) -> Response {
    let error = json!({ "code": -32000, "message": why });
    axum::Json(json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })).into_response()
}

/// Whether transfers are looked for by who paid.
fn is_for_payers(topics: &Value) -> bool {
    topics[0].to_string().contains("0xddf252ad") && !topics[1].is_null()
}

fn asset() -> Asset {
    let networks = Networks::built_in().expect("the registry");
    networks.practice().expect("practice").unplaced[0].place(CHAIN_ID, Address::repeat_byte(9))
}

fn connect(urls: Vec<Url>) -> Result<Chain, ChainError> {
    let networks = Networks::built_in().expect("the registry");
    Chain::connect_all(networks.practice().expect("practice").clone(), urls, asset())
}

async fn good(head: u64) -> Node {
    Node::start(CHAIN_ID, head, json!([])).await
}

fn chain_of(nodes: &[&Node]) -> Chain {
    connect(nodes.iter().map(|node| node.url.clone()).collect()).expect("a connection")
}

async fn head(chain: &Chain) -> u64 {
    chain.head().await.expect("a node answers").number
}

#[tokio::test]
async fn a_read_passes_over_a_node_that_is_down_and_stays_with_the_one_that_answered() {
    let (one, two) = (good(10).await, good(20).await);
    let chain = chain_of(&[&one, &two]);
    assert_eq!(head(&chain).await, 10, "the first is preferred");
    assert_eq!((one.asked(), two.asked()), (2, 0), "its chain id, and its head");
    one.is_down(true);
    assert_eq!(head(&chain).await, 20);
    assert_eq!((one.asked(), two.asked()), (1, 2));
    assert_eq!(head(&chain).await, 20);
    assert_eq!((one.asked(), two.asked()), (0, 1), "one that is down is not asked again and again");
    one.is_down(false);
    two.is_down(true);
    assert_eq!(head(&chain).await, 10);
    one.is_down(true);
    let error = chain.head().await.expect_err("none answers");
    assert!(matches!(error, ChainError::Unreachable { .. }), "{error:?}");
    for shown in [format!("{error} {error:?}"), format!("{chain:?}")] {
        assert!(!shown.contains("secret-key") && !shown.contains("word"), "{shown}");
        assert!(shown.contains("127.0.0.1"), "{shown}");
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_passed_over_and_named() {
    let (wrong, right) = (Node::start(1, 99, json!([])).await, good(10).await);
    assert_eq!(head(&chain_of(&[&wrong, &right])).await, 10);
    let named = ChainError::WrongChain { host: "127.0.0.1".into(), expected: CHAIN_ID, found: 1 };
    assert_eq!(chain_of(&[&wrong]).head().await, Err(named.clone()));
    // What every node has to answer, it spoils.
    assert_eq!(chain_of(&[&right, &wrong]).finalized().await, Err(named));
}

#[tokio::test]
async fn what_is_final_is_final_for_every_node() {
    let (one, two) = (good(30).await, good(20).await);
    for pair in [[&one, &two], [&two, &one]] {
        assert_eq!(chain_of(&pair).finalized().await.expect("both answer").number, 18);
    }
    let chain = chain_of(&[&one, &two]);
    two.is_down(true);
    assert!(chain.finalized().await.is_err());
    assert_eq!(chain.sources().len(), 2);
    assert_eq!(head(&chain.sources()[0]).await, 30);
    assert!(chain.sources()[1].head().await.is_err(), "a source is asked alone");
}

#[tokio::test]
async fn what_moved_is_every_nodes_word() {
    let payer = Address::repeat_byte(2);
    let transfer = json!([{
        "address": Address::repeat_byte(9),
        "topics": [
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
            payer.into_word(),
            Address::repeat_byte(7).into_word(),
        ],
        "data": format!("0x{}01", "00".repeat(31)), "blockNumber": "0x3", "blockHash": B256::ZERO,
        "transactionHash": B256::repeat_byte(8), "transactionIndex": "0x0", "logIndex": "0x1",
        "removed": false,
    }]);
    let (knows, forgot) = (Node::start(CHAIN_ID, 10, transfer).await, good(10).await);
    let told = chain_of(&[&forgot, &knows]).transfers(&[payer], 0, 5).await;
    assert_eq!(told, Ok(Vec::new()), "an ordinary read is one node's word");
    let moves = chain_of(&[&knows, &knows.again()]).moves(&[payer], 0, 5).await;
    assert_eq!(moves.expect("both say it").len(), 1);
    for pair in [[&knows, &forgot], [&forgot, &knows]] {
        let moves = chain_of(&pair).moves(&[payer], 0, 5).await;
        assert!(matches!(moves, Err(ChainError::SourcesDisagree { .. })), "{moves:?}");
    }
    forgot.is_down(true);
    assert!(chain_of(&[&knows, &forgot]).moves(&[payer], 0, 5).await.is_err());
}

impl Node {
    /// The same node at another address.
    fn again(&self) -> Node {
        let mut node = self.clone();
        node.url.set_path("/another-key");
        node
    }
}

#[tokio::test]
async fn a_list_of_endpoints_is_short_and_names_none_twice() {
    let url = |n: usize| Url::parse(&format!("http://127.0.0.1:1/{n}")).expect("a URL");
    for bad in [Vec::new(), vec![url(1), url(2), url(1)], (0..9).map(url).collect()] {
        let count = bad.len();
        let refused = connect(bad).expect_err("no list of endpoints");
        assert!(matches!(refused, ChainError::Endpoints { .. }), "{count}: {refused:?}");
    }
    let hosts = connect((0..8).map(url).collect()).expect("eight are allowed");
    assert_eq!(hosts.hosts().collect::<Vec<_>>(), ["127.0.0.1"; 8]);
    let wrong = connect(vec![url(1), Url::parse("ftp://127.0.0.1/").expect("a URL")]);
    assert!(matches!(wrong, Err(ChainError::Unreachable { .. })));
}

/// Finality lies deeper than the state that most nodes keep.
#[tokio::test]
async fn nodes_that_have_forgotten_the_final_state_still_say_that_nothing_was_taken() {
    let (one, two) = (good(1_000).await, good(1_001).await);
    let authorization = Authorization {
        asset: asset().id,
        from: Address::repeat_byte(2),
        to: Address::repeat_byte(3),
        value: Units::new(5).expect("fits"),
        window: ValidityWindow { valid_after_s: 0, valid_before_s: 1_900 },
        nonce: B256::repeat_byte(4),
    };
    let chain = chain_of(&[&one, &two]);
    let look = chain.look(&authorization, 0, 30).await.expect("both answer");
    assert_eq!(look.finding, Finding::ExpiredUnused { block: 998 });
    assert!(look.is_unanimous && look.doubts.is_empty(), "{look:?}");
    let patient = chain.look(&authorization, 0, 100).await.expect("both answer");
    assert_eq!(patient.finding, Finding::StillOpen);
}
