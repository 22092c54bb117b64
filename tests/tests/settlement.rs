//! When a payment is paid: a chain that takes back what it said, and a facilitator that settles after
//! it gave up. What was signed counts, whatever anybody says, until the chain's last word.

use imprest_desk::view::BudgetForm;
use imprest_tests::{
    HttpDoor, Inside, Late, Merchant, Obstacle, PracticeAddresses, RelayNode, Till, comes_true,
    rpc, token_balance,
};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

const PAY_TO: &str = "0x00000000000000000000000000000000000000AB";
/// How many blocks behind the newest a block is final in these journeys.
const FINAL_DEPTH: u64 = 12;
const PATIENCE: Duration = Duration::from_secs(40);

struct Scene {
    inside: Inside,
    practice: PracticeAddresses,
    door: HttpDoor,
    token: String,
    folder: TempDir,
}

impl Scene {
    async fn open() -> Result<Scene, Obstacle> {
        let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
        let inside = Inside::open_with_late_finality(folder.path(), FINAL_DEPTH).await?;
        Scene::begin(folder, inside).await
    }

    /// As [`Scene::open`], where another node says what the chain's own does.
    async fn open_beside(node: &RelayNode) -> Result<Scene, Obstacle> {
        let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
        let inside = Inside::open_with_another_node(folder.path(), FINAL_DEPTH, node).await?;
        node.speak_for(&inside.practice()?.rpc);
        Scene::begin(folder, inside).await
    }

    async fn begin(folder: TempDir, inside: Inside) -> Result<Scene, Obstacle> {
        let practice = inside.practice()?.clone();
        // The contract has to be there in the final block too.
        rpc(&practice.rpc, "anvil_mine", json!([format!("{:#x}", FINAL_DEPTH + 1)])).await?;
        let budget = BudgetForm {
            per_day: Some("1.00".into()),
            new_payee: "allow".into(),
            zone: "UTC".into(),
            ..BudgetForm::default()
        };
        let token = inside.agent("Scout", "L4", budget, None).await?.token;
        let door = inside.door(&token)?;
        Ok(Scene { inside, practice, door, token, folder })
    }

    /// Closes the desk and opens it again, and its vault.
    async fn again(self) -> Result<Scene, Obstacle> {
        self.inside.close().await;
        let inside = Inside::open_with_late_finality(self.folder.path(), FINAL_DEPTH).await?;
        let practice = inside.practice()?.clone();
        let door = inside.door(&self.token)?;
        Ok(Scene { inside, practice, door, ..self })
    }

    /// Waits until the desk has looked at the chain up to a block.
    async fn looks_at(&self, block: u64) -> Result<(), Obstacle> {
        let looked = async || Ok(self.inside.desk.status().await?.network.block >= Some(block));
        self.until("the desk to look", looked).await
    }

    async fn fetch(&self, url: &str, key: &str, wait_ms: u64) -> Result<Value, Obstacle> {
        let ask = json!({ "url": url, "idempotency_key": key, "wait_ms": wait_ms });
        self.door.fetch(&ask).await
    }

    async fn state(&self, payment: &str) -> Result<Value, Obstacle> {
        let (_, answer) = self.door.get(&format!("/v1/payments/{payment}?wait_ms=0")).await?;
        Ok(answer["payment"]["state"].clone())
    }

    /// Waits until a payment stands so.
    async fn becomes(&self, payment: &str, state: &str) -> Result<(), Obstacle> {
        self.until(&format!("{payment} to be {state}"), async || {
            Ok(self.state(payment).await? == state)
        })
        .await
    }

    async fn until(
        &self,
        what: &str,
        is_so: impl AsyncFnMut() -> Result<bool, Obstacle>,
    ) -> Result<(), Obstacle> {
        comes_true(what, PATIENCE, is_so).await
    }

    /// What the agent's day holds: spent and in flight.
    async fn day(&self) -> Result<(String, String), Obstacle> {
        let (_, budget) = self.door.get("/v1/budget").await?;
        let day = &budget["windows"][0];
        let text = |field: &str| day[field].as_str().unwrap_or_default().to_owned();
        Ok((text("spent"), text("in_flight")))
    }

    async fn chain(&self, method: &str, params: Value) -> Result<Value, Obstacle> {
        rpc(&self.practice.rpc, method, params).await
    }

    async fn head(&self) -> Result<u64, Obstacle> {
        Ok(quantity(&self.chain("eth_blockNumber", json!([])).await?))
    }

    /// Undoes the blocks from the one that holds a transaction on.
    async fn undo(&self, transaction: &Value) -> Result<(), Obstacle> {
        let receipt = self.chain("eth_getTransactionReceipt", json!([transaction])).await?;
        let depth = self.head().await? - quantity(&receipt["blockNumber"]) + 1;
        self.chain("anvil_reorg", json!([depth, []])).await?;
        let gone = self.chain("eth_getTransactionReceipt", json!([transaction])).await?;
        assert!(gone.is_null(), "it was undone: {gone}");
        Ok(())
    }

    async fn is_doubted(&self) -> Result<bool, Obstacle> {
        let signals = self.inside.desk.signals().await?;
        Ok(signals.iter().any(|signal| signal.open && signal.kind == "books_differ"))
    }

    async fn is_whole(&self) -> Result<(), Obstacle> {
        let proof = self.inside.desk.verify().await?;
        assert!(proof.whole, "{proof:?}");
        Ok(())
    }
}

fn quantity(word: &Value) -> u64 {
    let digits = word.as_str().unwrap_or_default().trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("a quantity")
}

/// A purchase at the desk's own shop, settled two blocks deep and not final.
async fn bought(scene: &Scene, key: &str) -> Result<(String, Value), Obstacle> {
    let answer = scene.fetch(&scene.practice.good("weather"), key, 30_000).await?;
    assert_eq!(answer["status"], "settled", "{answer}");
    let id = answer["payment"]["id"].as_str().expect("a payment").to_owned();
    Ok((id, answer["payment"]["transaction"].clone()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_the_chain_takes_back_is_open_again_and_settles_again() -> Result<(), Obstacle>
{
    let scene = Scene::open().await?;
    let (payment, transaction) = bought(&scene, "one").await?;
    let (spent, none) = scene.day().await?;
    assert_eq!(none, "0.00");
    let raw = scene.chain("eth_getRawTransactionByHash", json!([transaction])).await?;

    scene.undo(&transaction).await?;
    scene.becomes(&payment, "delivered").await?;
    assert_eq!(scene.day().await?, ("0.00".to_owned(), spent.clone()), "no window holds less");
    scene.until("the owner to be told", async || scene.is_doubted().await).await?;
    let (_, answer) = scene.door.get(&format!("/v1/payments/{payment}?wait_ms=0")).await?;
    assert!(answer["payment"]["transaction"].is_null(), "{answer}");
    assert!(answer["note"].as_str().is_some_and(|note| note.contains("took back")), "{answer}");
    scene.is_whole().await?;

    // The same again is the same payment still, and nothing is signed a second time.
    let again = scene.fetch(&scene.practice.good("weather"), "one", 0).await?;
    assert_eq!((&again["payment"]["id"], &again["status"]), (&json!(payment), &json!("delivered")));

    scene.chain("eth_sendRawTransaction", json!([raw])).await?;
    scene.becomes(&payment, "settled").await?;
    assert_eq!(scene.day().await?, (spent, "0.00".to_owned()));
    scene.is_whole().await?;
    let books = scene.inside.desk.books().await?;
    assert!(books.equal, "{books:?}");
    scene.inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_that_stays_undone_comes_back_after_its_time() -> Result<(), Obstacle> {
    let scene = Scene::open().await?;
    let (kept, _) = bought(&scene, "kept").await?;
    let (spent_before, _) = scene.day().await?;
    let (payment, transaction) = bought(&scene, "undone").await?;
    scene.undo(&transaction).await?;
    scene.becomes(&payment, "delivered").await?;
    let (spent, held) = scene.day().await?;
    assert_eq!(spent, spent_before, "what was not undone stays paid");
    assert_ne!(held, "0.00");
    // Its time runs out, and that moment becomes final.
    scene.chain("evm_increaseTime", json!([600])).await?;
    assert_eq!(scene.state(&payment).await?, "delivered", "no clock but the final one counts");
    scene.chain("anvil_mine", json!([format!("{:#x}", FINAL_DEPTH + 2)])).await?;
    scene.becomes(&payment, "expired").await?;
    assert_eq!(scene.day().await?, (spent_before, "0.00".to_owned()));
    assert_eq!(scene.state(&kept).await?, "settled");
    scene.is_whole().await?;
    scene.inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_comes_back_on_the_word_of_every_node() -> Result<(), Obstacle> {
    let node = RelayNode::open().await?;
    let scene = Scene::open_beside(&node).await?;
    let till = Till::open(&scene.practice, PAY_TO, 30_000).await?;
    till.deliver_nothing();
    scene.inside.desk.allow_host(till.host()).await?;
    let (bought, _) = bought(&scene, "weather").await?;
    let (spent, _) = scene.day().await?;
    let answer = scene.fetch(&till.thing(), "thing", 0).await?;
    assert_eq!(answer["status"], "unknown", "{answer}");
    let payment = answer["payment"]["id"].as_str().expect("a payment").to_owned();

    // One node is not heard while the signature's end passes, and becomes final.
    node.fall_silent();
    scene.chain("evm_increaseTime", json!([600])).await?;
    scene.chain("anvil_mine", json!([format!("{:#x}", FINAL_DEPTH + 2)])).await?;
    let head = scene.head().await? + 3;
    scene.looks_at(head).await?;
    assert_eq!(scene.state(&payment).await?, "unknown");
    assert_eq!(scene.day().await?, (spent.clone(), "0.03".to_owned()));
    let network = scene.inside.desk.status().await?.network;
    assert!(network.reachable, "one that answers is enough to read: {network:?}");

    node.speak_for(&scene.practice.rpc);
    scene.becomes(&payment, "expired").await?;
    assert_eq!(scene.day().await?, (spent, "0.00".to_owned()));
    assert_eq!(scene.state(&bought).await?, "settled");
    scene.is_whole().await?;
    scene.inside.close().await;
    Ok(())
}

/// Taking a settlement back needs the vault, and what no open desk saw is seen by the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_desk_keeps_it_settled_until_the_vault_is_open() -> Result<(), Obstacle> {
    let scene = Scene::open().await?;
    let (payment, transaction) = bought(&scene, "one").await?;
    let day = scene.day().await?;
    scene.inside.desk.lock().await?;
    scene.undo(&transaction).await?;
    let head = scene.head().await? + 3;
    scene.looks_at(head).await?;
    assert_eq!(scene.state(&payment).await?, "settled");
    assert_eq!(scene.day().await?, day);
    let scene = scene.again().await?;
    scene.becomes(&payment, "delivered").await?;
    assert_eq!(scene.day().await?, (day.1, day.0), "it is in flight as it was spent");
    scene.is_whole().await?;
    scene.inside.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_facilitator_that_settles_after_its_time_out_is_found_out() -> Result<(), Obstacle> {
    let scene = Scene::open().await?;
    for (how, key) in [(Late::Refuses, "refused"), (Late::HangsUp, "cut")] {
        settles_late(&scene, how, key).await?;
    }
    scene.inside.close().await;
    Ok(())
}

async fn settles_late(scene: &Scene, how: Late, key: &str) -> Result<(), Obstacle> {
    let merchant = Merchant::settling_late(&scene.practice.terms(), PAY_TO, how)?;
    let host = merchant.origin().trim_start_matches("http://").to_owned();
    scene.inside.desk.allow_host(host).await?;
    let paid = async || token_balance(&scene.practice.rpc, &scene.practice.usdc, PAY_TO).await;
    let (before, (spent, _)) = (paid().await?, scene.day().await?);

    let answer = scene.fetch(&merchant.url("/report"), key, 0).await?;
    assert_eq!(answer["status"], "unknown", "{answer}");
    let payment = answer["payment"]["id"].as_str().expect("a payment").to_owned();
    assert_eq!(paid().await?, before, "nothing has moved");
    // Blocks go by, and it is neither given back nor signed again.
    let head = scene.head().await? + 3;
    scene.looks_at(head).await?;
    let again = scene.fetch(&merchant.url("/report"), key, 0).await?;
    assert_eq!(again["payment"]["id"], json!(payment), "{again}");
    assert_eq!(scene.state(&payment).await?, "unknown");
    assert_eq!(scene.day().await?, (spent, "0.02".to_owned()), "it counts all the while");

    let owed = reqwest::Client::new().post(merchant.url("/settle-owed")).send().await;
    let trouble = |e: reqwest::Error| Obstacle::new(format!("The late settlement: {e}"));
    let owed: Value = owed.map_err(trouble)?.json().await.map_err(trouble)?;
    assert_eq!((owed[0]["success"].as_bool(), owed[1].is_null()), (Some(true), true), "{owed}");
    let settled = scene.door.settled(&payment).await?;
    assert_eq!(settled["payment"]["transaction"], owed[0]["transaction"], "{settled}");
    assert_eq!(paid().await?, before + 20_000, "it was paid once");
    assert_eq!(scene.day().await?.1, "0.00");
    scene.is_whole().await
}
