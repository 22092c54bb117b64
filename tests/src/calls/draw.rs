//! What an agent says by HTTP.

use super::{Call, OTHERS_PAYMENT, OWN_PAYMENT, Role, Stage, rpc};
use imprest_fuzz::{Dice, alter};
use serde_json::{Map, Value, json};

/// Addresses of nobody in the run, to be sent money.
const STRANGERS: [&str; 3] = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbf03b407c01e7cd3cbea99509d93f8dddc8c6fb",
];
/// What is given as an amount; some of them are amounts.
const AMOUNTS: [&str; 16] = [
    "0.01",
    "0.005",
    "0.02",
    "1",
    "0",
    "0.000001",
    "0.0000001",
    "00.01",
    "-1",
    "+1",
    "1e3",
    "0x10",
    "NaN",
    "",
    " 1",
    "99999999999999999999999999999999999999999999",
];
/// Keys are few, so that they come again, with the same request and with others.
const KEYS: [&str; 6] = ["k1", "k2", "k3", "k4", "a longer key, with spaces", "k\u{e9}"];

/// One of a list.
pub(super) fn one_of<T: Copy>(dice: &mut Dice, list: &[T]) -> T {
    list[dice.roll(list.len())]
}

/// One of a list of JSON values.
pub(super) fn value_of<const N: usize>(dice: &mut Dice, list: [Value; N]) -> Value {
    list[dice.roll(N)].clone()
}

/// Any call, by HTTP or by MCP.
pub(super) fn call(dice: &mut Dice, stage: &Stage, role: &Role) -> Call {
    if dice.once_in(2) {
        return rpc::call(dice, stage, role);
    }
    let mut call = match dice.roll(20) {
        0..=4 => post(dice, "/v1/fetch", |dice| fetch(dice, stage, role)),
        5..=6 => post(dice, "/v1/quote", |dice| fetch(dice, stage, role)),
        7..=8 => post(dice, "/v1/transfers", |dice| transfer(dice, stage, role)),
        9..=12 => get(payment_path(dice)),
        13..=14 => get(page_path(dice)),
        15..=16 => get("/v1/budget".to_owned()),
        17 => get("/v1/openapi.json".to_owned()),
        _ => wrong(dice, stage, role),
    };
    call.nth = dice.roll(1_000);
    call
}

fn get(path: String) -> Call {
    Call { method: "GET", path, headers: Vec::new(), body: Vec::new(), with_token: true, nth: 0 }
}

fn post(dice: &mut Dice, path: &str, body: impl FnOnce(&mut Dice) -> Value) -> Call {
    let body = body(dice).to_string().into_bytes();
    Call {
        method: "POST",
        path: path.to_owned(),
        headers: vec![("content-type", "application/json".to_owned())],
        body: altered(dice, body),
        with_token: true,
        nth: 0,
    }
}

/// Mostly as it is; else changed in what it says, or byte by byte.
pub(super) fn altered(dice: &mut Dice, body: Vec<u8>) -> Vec<u8> {
    match dice.roll(10) {
        0 => alter::json(&body, dice),
        1 => alter::bytes(&body, dice),
        _ => body,
    }
}

/// What `fetch` and `quote` take.
pub(super) fn fetch(dice: &mut Dice, stage: &Stage, role: &Role) -> Value {
    let shop = &stage.shop;
    let url = match dice.roll(16) {
        0..=7 => format!("{shop}/weather"),
        8..=9 => format!("{shop}/tide"),
        10 => format!("{shop}/freight-index"),
        11 => format!("{shop}/supplier-prices"),
        12 => format!("{shop}/"),
        13 => format!("{shop}/nothing"),
        14 => "http://127.0.0.1:1/".to_owned(),
        _ => one_of(
            dice,
            &[
                "",
                "weather",
                "file:///etc/passwd",
                "http://u:p@127.0.0.1/",
                "http://[::1]:1/",
                "http://169.254.169.254/",
            ],
        )
        .to_owned(),
    };
    let mut body = Map::from_iter([("url".to_owned(), Value::from(url))]);
    let mut say = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    say("purpose", Value::from(format!("{} wants it", role.mark)));
    say("wait_ms", value_of(dice, [json!(0), json!(0), json!(0), json!(40)]));
    if dice.once_in(2) {
        say("idempotency_key", Value::from(one_of(dice, &KEYS)));
    }
    if dice.once_in(4) {
        say("max_amount", Value::from(one_of(dice, &AMOUNTS)));
    }
    match dice.roll(24) {
        0 => say("method", Value::from(one_of(dice, &["POST", "get", "TRACE", "G T", ""]))),
        1 => say(
            "headers",
            json!({ one_of(dice, &["payment-signature", "host", "x-a", "authorization", "a b"]): "x" }),
        ),
        2 => say("body", json!("text")),
        3 => say("body_base64", Value::from(one_of(dice, &["AAECAw==", "=", "AAE"]))),
        4 => say("wait_ms", value_of(dice, [json!(60_001), json!(-1), json!(1.5), json!("1")])),
        5 => say("task", json!("t-1")),
        6 => say("agent", json!("agt_other")),
        7 => say("purpose", Value::from("\u{202e}\0x".repeat(200))),
        _ => {}
    }
    Value::Object(body)
}

/// What `transfer` takes.
pub(super) fn transfer(dice: &mut Dice, stage: &Stage, role: &Role) -> Value {
    let to = match dice.roll(10) {
        0..=5 => one_of(dice, &STRANGERS).to_owned(),
        6 => role.float.clone(),
        7 => stage.contract.clone(),
        8 => format!("0x{}", "0".repeat(40)),
        _ => one_of(dice, &["", "0x", "scout.eth", "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"])
            .to_owned(),
    };
    let mut body = json!({
        "to": to,
        "amount": one_of(dice, &AMOUNTS),
        "idempotency_key": one_of(dice, &KEYS),
        "purpose": format!("{} sends it", role.mark),
        "wait_ms": 0,
    });
    if dice.once_in(6) {
        body["asset"] = Value::from(one_of(dice, &["USDC", "usdc", "EUR", ""]));
    }
    body
}

/// A payment's identifier: known, another's, nobody's, or none.
pub(super) fn payment(dice: &mut Dice) -> String {
    match dice.roll(8) {
        0..=3 => OWN_PAYMENT.to_owned(),
        4..=5 => OTHERS_PAYMENT.to_owned(),
        6 => "pay_0190b7c0-0000-7000-8000-000000000000".to_owned(),
        _ => {
            one_of(dice, &["pay_", "agt_1", "PAY_1", "x", "pay_1' or '1'='1", "%2e%2e"]).to_owned()
        }
    }
}

fn payment_path(dice: &mut Dice) -> String {
    let id = payment(dice).replace([' ', '\''], "%20");
    let query = one_of(
        dice,
        &["", "", "?wait_ms=0", "?wait_ms=20", "?wait_ms=60001", "?wait_ms=x", "?a=b"],
    );
    format!("/v1/payments/{id}{query}")
}

/// Where a page may be asked to begin.
pub(super) const CURSORS: [&str; 8] =
    ["1", "0", "57", "18446744073709551615", "18446744073709551616", "-1", "x", "9999999999999"];

fn page_path(dice: &mut Dice) -> String {
    match dice.roll(5) {
        0 | 1 => "/v1/payments".to_owned(),
        2 => one_of(dice, &["/v1/payments?", "/v1/payments?cursor=", "/v1/payments?page=2"])
            .to_owned(),
        _ => format!("/v1/payments?cursor={}", one_of(dice, &CURSORS)),
    }
}

/// A call that is wrong before anybody looks at what it wants.
fn wrong(dice: &mut Dice, stage: &Stage, role: &Role) -> Call {
    let mut call = post(dice, "/v1/fetch", |dice| fetch(dice, stage, role));
    match dice.roll(8) {
        0 => call.with_token = false,
        1 => call.headers = vec![("content-type", "text/plain".to_owned())],
        2 => call.headers.clear(),
        3 => call.method = one_of(dice, &["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
        4 => {
            call.path = one_of(
                dice,
                &["/", "/v1", "/v1/fetch/", "/v1/agents", "/v1/approvals/1", "/v2/fetch"],
            )
            .to_owned()
        }
        5 => call.headers.push(("origin", "http://127.0.0.1".to_owned())),
        6 => {
            call.body =
                one_of(dice, &[&b""[..], b"{", b"[]", b"null", b"\xff\xfe", b"{}{}"]).to_vec()
        }
        _ => call.body = nested(dice.roll(3)),
    }
    call
}

/// A document that is deep, long, or wide.
fn nested(kind: usize) -> Vec<u8> {
    match kind {
        0 => "[".repeat(20_000).into_bytes(),
        1 => format!(r#"{{"url":"http://127.0.0.1/{}"}}"#, "a".repeat(2_200_000)).into_bytes(),
        _ => format!(r#"{{"url":"http://127.0.0.1/","headers":{{{}}}}}"#, wide(5_000)).into_bytes(),
    }
}

fn wide(fields: usize) -> String {
    (0..fields).map(|n| format!(r#""h{n}":"v""#)).collect::<Vec<_>>().join(",")
}
