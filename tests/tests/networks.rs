//! A desk on a real network's registry entry: its nodes are the owner's choice and looked at first,
//! its contract is confirmed before anything is signed, a float that somebody filled is spent, and
//! official sellers of both versions are paid.

use imprest_tests::{
    Desk, HttpDoor, Merchant, Obstacle, OwnChain, Protocol, rpc, token_balance, until,
};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

/// Whom the money for the float comes from, and whom the sellers are paid as.
const FRIEND: &str = "0x0000000000000000000000000000000000001234";
const PAY_TO: &str = "0x0000000000000000000000000000000000005678";
const NETWORK: &str = "base-sepolia";

fn folder() -> Result<TempDir, Obstacle> {
    TempDir::new().map_err(|e| Obstacle::new(e.to_string()))
}

/// Has somebody send an agent's float some of the token.
async fn send(chain: &OwnChain, to: &str, units: u128) -> Result<(), Obstacle> {
    let terms = chain.terms();
    let ask = async |method, params| rpc(&terms.rpc_url, method, params).await;
    ask("anvil_setBalance", json!([FRIEND, "0xde0b6b3a7640000"])).await?;
    ask("anvil_impersonateAccount", json!([FRIEND])).await?;
    // transfer(address,uint256), ERC-20.
    let data = format!("0xa9059cbb{:0>64}{units:064x}", to.trim_start_matches("0x"));
    ask("eth_sendTransaction", json!([{ "from": FRIEND, "to": terms.usdc, "data": data }])).await?;
    Ok(())
}

/// The agent's budget, as soon as its float holds anything.
fn filled(desk: &Desk, token: &str) -> Result<Value, Obstacle> {
    until("the deposit in the books", Duration::from_secs(30), || {
        let budget = desk.agent(token, &["budget"])?.done()?.clone();
        Ok((budget["float_free"] != "0.00").then_some(budget))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_on_a_real_network_pays_from_a_float_that_was_sent() -> Result<(), Obstacle> {
    let chain = OwnChain::like_base_sepolia(FRIEND)?;
    let folder = folder()?;
    let rpc_url = chain.terms().rpc_url.clone();
    let mut desk = Desk::serve_on(folder.path(), NETWORK, &[&rpc_url])?;
    let rows = desk.read(&["networks"])?.documents;
    let own = rows.first().cloned().unwrap_or_default();
    assert_eq!(
        (&own["key"], &own["own"], &own["practice"]),
        (&json!(NETWORK), &json!(true), &json!(false))
    );
    assert_eq!(own["nodes"], json!(["127.0.0.1"]), "{own}");
    assert!(desk.ready()?.practice.is_none(), "no practice network beside a real one");

    let options = ["--grade", "L4", "--new-payee", "allow", "--per-payment", "1", "--per-day", "5"];
    let token = desk.add_agent("Buyer", &options)?;
    let page = desk.read(&["agent", "show", "Buyer"])?;
    let float = page.done()?["row"]["address"].as_str().expect("an address").to_owned();
    assert_eq!(token_balance(&chain.terms().rpc_url, &chain.terms().usdc, &float).await?, 0);
    send(&chain, &float, 3_000_000).await?;
    let door = HttpDoor::new(desk.ready()?, &token)?;
    assert_eq!(filled(&desk, &token)?["float_free"], "3.00");

    let (mut spent, mut sellers) = (0, Vec::new());
    for protocol in [Protocol::X402V1, Protocol::X402V2] {
        let seller = Merchant::speaking(protocol, chain.terms(), PAY_TO)?;
        let host = seller.origin().trim_start_matches("http://");
        assert_eq!(desk.owner(&["hosts", "allow", host])?.code, 0);
        let bought =
            door.fetch(&json!({ "url": seller.url("/report"), "wait_ms": 30_000 })).await?;
        assert_eq!(bought["response"]["status"], 200, "{bought}");
        let id = bought["payment"]["id"].as_str().unwrap_or_default();
        assert_eq!(door.settled(id).await?["payment"]["amount"]["network"], "eip155:84532");
        spent += 20_000;
        assert_eq!(
            token_balance(&chain.terms().rpc_url, &chain.terms().usdc, PAY_TO).await?,
            spent
        );
        sellers.push(seller);
    }
    assert_eq!(desk.read(&["books"])?.done()?["equal"], true);

    // The choice of nodes is the desk's own memory, and the folder keeps to its network.
    let twice = desk.owner(&["networks", "set-rpc", NETWORK, &rpc_url, &rpc_url])?;
    assert!(twice.code != 0 && twice.stderr.contains("twice"), "{twice:?}");
    desk.kill();
    // A node that says nothing cannot confirm the contract, and without that nothing is signed.
    drop(chain);
    desk.serve()?;
    assert_eq!(desk.read(&["networks"])?.documents[0]["nodes"], json!(["127.0.0.1"]));
    assert_eq!(desk.read(&["verify"])?.done()?["whole"], true);
    let door = HttpDoor::new(desk.ready()?, &token)?;
    let ask = json!({ "url": sellers[1].url("/report"), "wait_ms": 0 });
    let refused = door.fetch(&ask).await?;
    assert_eq!(refused["status"], "refused", "{refused}");
    assert!(refused.to_string().contains("has not been confirmed on the chain"), "{refused}");
    desk.kill();
    // Without its settings the books say which network it is; with other ones it does not open.
    let settings = folder.path().join("desk.json");
    let text = std::fs::read_to_string(&settings).map_err(|e| Obstacle::new(e.to_string()))?;
    let edit =
        |text: &str| std::fs::write(&settings, text).map_err(|e| Obstacle::new(e.to_string()));
    edit(&text.replace(NETWORK, "base"))?;
    let mixed = desk.owner(&["serve"])?;
    assert_eq!(mixed.code, 1, "{mixed:?}");
    assert!(mixed.stderr.contains("books in this folder are on eip155:84532"), "{mixed:?}");
    std::fs::remove_file(&settings).map_err(|e| Obstacle::new(e.to_string()))?;
    assert_eq!(desk.read(&["networks"])?.documents[0]["key"], NETWORK);
    let other = desk.owner(&["serve", "--practice"])?;
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.stderr.contains("pays on Base Sepolia, not on Practice"), "{other:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_chain_or_without_the_contract_is_not_taken() -> Result<(), Obstacle> {
    let chain = OwnChain::like_base_sepolia(FRIEND)?;
    let (folder, rpc_url) = (folder()?, chain.terms().rpc_url.clone());
    let desk = Desk::serve_on(folder.path(), NETWORK, &[&rpc_url])?;
    let other = OwnChain::start(FRIEND)?;
    let bare = OwnChain::with_id(OwnChain::V1_CHAIN_ID, FRIEND)?;
    let set = |network: &str, url: &str| desk.owner(&["networks", "set-rpc", network, url]);
    for (network, url, says) in [
        (NETWORK, other.terms().rpc_url.as_str(), "402499"),
        (NETWORK, bare.terms().rpc_url.as_str(), "no contract"),
        (NETWORK, "http://127.0.0.1:1", "127.0.0.1"),
        (NETWORK, "ws://127.0.0.1:1", "https://"),
        ("base", rpc_url.as_str(), "pays on Base Sepolia"),
    ] {
        let refused = set(network, url)?;
        assert!(refused.code != 0 && refused.stderr.contains(says), "{url}: {refused:?}");
    }
    assert_eq!(desk.read(&["networks"])?.documents[0]["nodes"], json!(["127.0.0.1"]));
    // Without a word of its owner's passphrase nothing is chosen.
    let unasked = desk.owner_with("not it", &["networks", "set-rpc", NETWORK, &rpc_url])?;
    assert_eq!(unasked.code, 6, "{unasked:?}");
    assert_eq!(set(NETWORK, &rpc_url)?.code, 0);
    Ok(())
}
