//! The served description of the HTTP API against the running desk, by schemathesis: whatever is
//! drawn from it, well or badly formed, is answered without a server error and as described.

use imprest_desk::view::BudgetForm;
use imprest_tests::{Inside, Obstacle, built_program};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Cases that are drawn at random for each operation; what the description says by itself (edges,
/// missing fields, other methods) comes on top.
const CASES: &str = "60";
/// What is checked of each answer. Not that all that has the described form is accepted: what an
/// address may be, or an amount, no JSON Schema says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    unsupported_method,allow_header_conformance,ignored_auth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_what_its_description_says() -> Result<(), Obstacle> {
    let folder = TempDir::new().map_err(|e| Obstacle::new(e.to_string()))?;
    let inside = Inside::open(&folder.path().join("desk")).await?;
    let shop = inside.practice()?.clone();
    let agent = inside.agent("Buyer", "L4", budget(), None).await?;
    let door = inside.door(&agent.token)?;
    let bought = door.fetch(&json!({ "url": shop.good("weather"), "wait_ms": 60_000 })).await?;
    let payment = bought["payment"]["id"].as_str().unwrap_or_default().to_owned();
    let (_, served) = door.get("/v1/openapi.json").await?;
    let goods: Vec<String> =
        ["weather", "tide", "", "nothing"].iter().map(|good| shop.good(good)).collect();
    // The same description, but for what cannot be guessed: who sells, and what was bought.
    let told = with_examples(&served, &goods, &payment);
    assert_ne!(told, served);

    let url = inside.desk.endpoints().http_url.unwrap_or_default();
    let operations = operations(&served);
    assert_eq!(operations.len(), 8, "{operations:?}");
    let stranger = inside.agent("Caller", "L4", budget(), None).await?;
    let mut runs = JoinSet::new();
    for (name, document, token) in
        [("served", served, stranger.token), ("told", told, agent.token.clone())]
    {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).map_err(|e| Obstacle::new(e.to_string()))?;
        let path = folder.join("openapi.json");
        fs::write(&path, document.to_string()).map_err(|e| Obstacle::new(e.to_string()))?;
        let url = url.clone();
        runs.spawn_blocking(move || call(&path, &url, &token));
    }
    let mut cases = 0;
    while let Some(run) = runs.join_next().await {
        cases += run.map_err(|e| Obstacle::new(e.to_string()))??;
    }
    println!("{cases} calls, drawn from the description of {} operations", operations.len());
    assert!(cases >= 1_000, "only {cases} calls");
    // One was bought before; some of these bought too, or there was little to describe.
    let bought = door.payments().await?.len();
    println!("{bought} payments");
    assert!(bought > 1, "only {bought} payments");
    let proof = inside.desk.verify().await?;
    assert!(proof.whole, "{proof:?}");
    inside.close().await;
    Ok(())
}

fn budget() -> BudgetForm {
    BudgetForm {
        per_day: Some("0.10".into()),
        over_payment: "deny".into(),
        new_payee: "allow".into(),
        ..BudgetForm::default()
    }
}

fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.flat_map(|(_, path)| path.as_object().into_iter().flatten());
    methods.filter_map(|(_, one)| one["operationId"].as_str().map(str::to_owned)).collect()
}

fn with_examples(served: &Value, goods: &[String], payment: &str) -> Value {
    let mut told = served.clone();
    let schemas = &mut told["components"]["schemas"];
    schemas["FetchRequest"]["properties"]["url"] = json!({ "type": "string", "enum": goods });
    schemas["TransferRequest"]["properties"]["to"] =
        json!({ "type": "string", "enum": ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"] });
    told["paths"]["/v1/payments/{id}"]["get"]["parameters"][0]["schema"] =
        json!({ "type": "string", "enum": [payment] });
    told
}

/// Has every operation of a description called; answers how many calls it were.
fn call(document: &Path, url: &str, token: &str) -> Result<usize, Obstacle> {
    let folder = document.parent().unwrap_or(Path::new("."));
    let output = Command::new(schemathesis()?)
        // Its own folder, so that it reads no settings and leaves nothing behind.
        .current_dir(folder)
        .args(["run", "--no-color", "--continue-on-failure", "--warnings", "off"])
        .args(["--url", url, "--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", CHECKS])
        .args(["--max-examples", CASES, "--phases", "examples,coverage,fuzzing", "--seed", "1"])
        // It waits where the door tells it to: one agent may not ask for more at once.
        .args(["--generation-database", "none", "--rate-limit", "auto", "--workers", "2"])
        .arg(document)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Obstacle::new(format!("starting schemathesis: {e}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let complaints = String::from_utf8_lossy(&output.stderr);
        return Err(Obstacle::new(format!("The API is not as described:\n{said}{complaints}")));
    }
    let cases = said.lines().rev().find_map(generated);
    cases.ok_or_else(|| Obstacle::new(format!("It does not say how often it called:\n{said}")))
}

/// The number in its line `… 123 generated, …`.
fn generated(line: &str) -> Option<usize> {
    let (before, _) = line.split_once(" generated")?;
    before.split_whitespace().last()?.parse().ok()
}

/// schemathesis: `IMPREST_SCHEMATHESIS`, which `cargo xtask test` sets, else where it puts it.
fn schemathesis() -> Result<PathBuf, Obstacle> {
    let path = match env::var_os("IMPREST_SCHEMATHESIS") {
        Some(path) => PathBuf::from(path),
        None => {
            let program = built_program("imprest")?;
            let target = program.ancestors().nth(2).unwrap_or(Path::new("."));
            target.join("tools/schemathesis/bin/st")
        }
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(Obstacle::new(format!("{} is not there. `cargo xtask setup` installs it.", path.display())))
}
