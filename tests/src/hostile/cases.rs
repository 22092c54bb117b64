//! The ways of cheating, made by combining what each field, encoding and answer can be.

use super::stall::Reply;
use super::{PAY_TO, base64, base64url, http};
use crate::PracticeAddresses;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;

/// The most that an honest price may be for these buyers, in atomic units.
pub const UNITS_MAX: u128 = 1_000;

/// One cheat: how it asks, and what it does once it is paid.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it tries.
    pub name: String,
    /// Whom it may be paid at, and how much, by what it asked in its first answer; empty where what
    /// it asks is nothing that anybody should sign.
    pub offers: Vec<(String, String)>,
    pub(super) unpaid: Reply,
    pub(super) paid: Reply,
}

/// Every case for a practice network; redirects lead to `elsewhere`.
pub fn cases(practice: &PracticeAddresses, elsewhere: SocketAddr) -> Vec<Case> {
    let maker = Maker { practice, elsewhere };
    let mut all = maker.answers_to_payment();
    all.extend(maker.fields());
    all.extend(maker.pairs());
    all.extend(maker.first_version());
    all.extend(maker.challenges());
    all.extend(maker.lists());
    all.extend(maker.encodings());
    all.extend(maker.sockets());
    all
}

struct Maker<'a> {
    practice: &'a PracticeAddresses,
    elsewhere: SocketAddr,
}

/// Amounts that are none, or none that anybody should pay.
fn bad_amounts() -> Vec<Value> {
    let mut all: Vec<Value> = [
        "",
        "0",
        "-1",
        "+1",
        "1e3",
        "1E3",
        "0x10",
        "0b1",
        "1.5",
        "1.0",
        " 1",
        "1 ",
        "01",
        "1_000",
        "1,000",
        "١",
        "１",
        "NaN",
        "Infinity",
        "null",
        "1\u{0}",
        "1001",
        "1000000",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
    ]
    .into_iter()
    .map(Value::from)
    .collect();
    all.push("9".repeat(78).into());
    all.push("9".repeat(79).into());
    all.push("1".repeat(5_000).into());
    all.extend([
        json!(10),
        json!(10.0),
        json!(-10),
        json!(null),
        json!([]),
        json!({}),
        json!(true),
        json!(["10"]),
    ]);
    all
}

fn bad_timeouts() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(3601),
        json!(86_400),
        json!(315_360_000_u64),
        json!(u64::MAX),
        json!(1.5),
        json!("60"),
        json!(null),
        json!([]),
        json!(1e300),
        json!(""),
        json!(false),
    ]
}

fn bad_addresses() -> Vec<Value> {
    [
        "",
        "0x",
        "0x0",
        "0x0000000000000000000000000000000000000000",
        "00000000000000000000000000000000000000bb",
        "0x00000000000000000000000000000000000000b",
        "0x00000000000000000000000000000000000000bbb",
        "0X00000000000000000000000000000000000000bb",
        "0x00000000000000000000000000000000000000bg",
        "0xFEEDfeedFEEDfeedFEEDfeedFEEDfeedFEEDfeed",
        " 0x00000000000000000000000000000000000000bb",
        "vitalik.eth",
        "0x00000000000000000000000000000000000000bb\u{200b}",
    ]
    .into_iter()
    .map(Value::from)
    .chain([json!(null), json!(187), json!([]), json!({})])
    .collect()
}

fn bad_networks() -> Vec<Value> {
    [
        "",
        "eip155:1",
        "eip155:8453",
        "eip155:0",
        "eip155:-402402",
        "eip155:0402402",
        "eip155: 402402",
        "eip155:402402 ",
        "EIP155:402402",
        "eip155:402402:1",
        "eip155:0x623e2",
        "eip155:9007199254740993",
        "402402",
        "base",
        "practice",
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        "*",
        "eip155:*",
    ]
    .into_iter()
    .map(Value::from)
    .chain([json!(402_402), json!(null), json!(["eip155:402402"])])
    .collect()
}

fn bad_extras() -> Vec<Value> {
    vec![
        json!({"name": "USDC", "version": "2"}),
        json!({"name": "USD Coin", "version": "1"}),
        json!({"name": "USD Coin ", "version": "2"}),
        json!({"name": "usd coin", "version": "2"}),
        json!({"name": "Permit2", "version": "2"}),
        json!({"name": "", "version": ""}),
        json!({"name": 1, "version": 2}),
        json!({"name": "USD Coin", "version": 2}),
        json!({"assetTransferMethod": "permit2"}),
        json!({"assetTransferMethod": "erc7710"}),
        json!({"paymentFlow": "escrow"}),
        json!({"paymentFlow": 1}),
        json!([]),
        json!("extra"),
        json!(7),
    ]
}

fn bad_schemes() -> Vec<Value> {
    ["", "Exact", "exact ", "upto", "batch-settlement", "auth-capture", "deferred", "*"]
        .into_iter()
        .map(Value::from)
        .chain([json!(null), json!(1), json!(["exact"])])
        .collect()
}

/// 64 MiB of zeros, packed: far more than any answer may be.
fn bomb() -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        // A vector takes everything.
        let _ = packed.write_all(&zeros);
    }
    packed.finish().unwrap_or_default()
}

fn delivered() -> Reply {
    Reply::Say(http("200 OK", &[("Content-Type", "text/plain")], b"thank you"))
}

impl Maker<'_> {
    fn offer(&self, units: &str) -> Value {
        json!({
            "scheme": "exact", "network": format!("eip155:{}", self.practice.chain_id), "amount": units,
            "asset": self.practice.usdc, "payTo": PAY_TO, "maxTimeoutSeconds": 60,
            "extra": {"name": "USD Coin", "version": "2"},
        })
    }

    fn terms(&self, offers: &[Value]) -> Value {
        json!({"x402Version": 2, "error": "pay", "accepts": offers,
            "resource": {"url": format!("http://{}/", self.elsewhere), "description": "A thing"}})
    }

    /// Terms in the header; a payer that takes them is answered with thanks.
    fn asking(&self, name: String, terms: &Value, offers: Vec<(String, String)>) -> Case {
        Case { name, offers, unpaid: Reply::Ask(terms.clone()), paid: delivered() }
    }

    fn honest(&self, units: &str) -> Vec<(String, String)> {
        vec![(PAY_TO.to_owned(), units.to_owned())]
    }

    /// One field at a time.
    fn fields(&self) -> Vec<Case> {
        let table: [(&str, Vec<Value>); 7] = [
            ("amount", bad_amounts()),
            ("maxTimeoutSeconds", bad_timeouts()),
            ("payTo", bad_addresses()),
            ("asset", bad_addresses()),
            ("network", bad_networks()),
            ("extra", bad_extras()),
            ("scheme", bad_schemes()),
        ];
        let mut all = Vec::new();
        for (key, values) in table {
            for value in values {
                let name = format!("{key} = {}", shown(&value));
                let mut offer = self.offer("10");
                offer[key] = value;
                all.push(self.asking(name, &self.terms(&[offer]), Vec::new()));
            }
            let mut offer = self.offer("10");
            offer.as_object_mut().map(|members| members.remove(key));
            // What an offer need not say is taken from the desk's own list.
            let offers = if key == "extra" { self.honest("10") } else { Vec::new() };
            all.push(self.asking(format!("no {key}"), &self.terms(&[offer]), offers));
        }
        for version in
            [json!(0), json!(1), json!(3), json!("2"), json!(null), json!(2.5), json!([2])]
        {
            let mut terms = self.terms(&[self.offer("10")]);
            terms["x402Version"] = version.clone();
            all.push(self.asking(format!("x402Version = {version}"), &terms, Vec::new()));
        }
        let own = self.practice.usdc.as_str();
        let mut offer = self.offer("10");
        offer["payTo"] = own.into();
        all.push(self.asking("pays the token itself".into(), &self.terms(&[offer]), Vec::new()));
        all
    }

    /// Two fields at a time: what is caught alone must be caught in company.
    fn pairs(&self) -> Vec<Case> {
        let mut all = Vec::new();
        for amount in bad_amounts() {
            for timeout in bad_timeouts().into_iter().take(8) {
                let name = format!("amount = {}, maxTimeoutSeconds = {timeout}", shown(&amount));
                let mut offer = self.offer("10");
                (offer["amount"], offer["maxTimeoutSeconds"]) = (amount.clone(), timeout);
                all.push(self.asking(name, &self.terms(&[offer]), Vec::new()));
            }
        }
        for network in bad_networks() {
            for asset in bad_addresses().into_iter().take(10) {
                let name = format!("network = {}, asset = {}", shown(&network), shown(&asset));
                let mut offer = self.offer("10");
                (offer["network"], offer["asset"]) = (network.clone(), asset);
                all.push(self.asking(name, &self.terms(&[offer]), Vec::new()));
            }
        }
        all
    }

    /// The first version has no name for this network, whatever it is called.
    fn first_version(&self) -> Vec<Case> {
        let mut all = Vec::new();
        let offer = |network: Value, amount: Value| {
            json!({"scheme": "exact", "network": network, "maxAmountRequired": amount,
                "resource": format!("http://{}/", self.elsewhere), "description": "", "mimeType": "",
                "payTo": PAY_TO, "maxTimeoutSeconds": 60, "asset": self.practice.usdc,
                "extra": {"name": "USD Coin", "version": "2"}})
        };
        let mut put = |name: String, offer: Value| {
            let body = json!({"x402Version": 1, "error": "pay", "accepts": [offer]}).to_string();
            let unpaid = Reply::Say(http("402 Payment Required", &[], body.as_bytes()));
            all.push(Case { name, offers: Vec::new(), unpaid, paid: delivered() });
        };
        for network in bad_networks() {
            put(format!("v1 network = {}", shown(&network)), offer(network.clone(), "10".into()));
        }
        for network in ["base", "base-sepolia", "polygon", "avalanche"] {
            for amount in bad_amounts() {
                put(format!("v1 on {network}, {}", shown(&amount)), offer(network.into(), amount));
            }
        }
        all
    }

    /// `Payment` challenges.
    fn challenges(&self) -> Vec<Case> {
        let charge = json!({"amount": "10", "currency": self.practice.usdc, "recipient": PAY_TO,
            "methodDetails": {"chainId": self.practice.chain_id}});
        let mut all = Vec::new();
        let mut put = |name: String, challenge: String, offers| {
            let headers = [("WWW-Authenticate", challenge.as_str())];
            let unpaid = Reply::Say(http("402 Payment Required", &headers, b""));
            all.push(Case { name, offers, unpaid, paid: delivered() });
        };
        let line = |method: &str, id: &str, charge: &Value| {
            let request = base64url(charge);
            format!(
                "Payment id=\"{id}\", realm=\"r\", method=\"{method}\", intent=\"charge\", request=\"{request}\""
            )
        };
        for (key, values) in [
            ("amount", bad_amounts()),
            ("currency", bad_addresses()),
            ("recipient", bad_addresses()),
        ] {
            for (at, value) in values.into_iter().enumerate() {
                let name = format!("challenge with {key} = {}", shown(&value));
                let mut charge = charge.clone();
                charge[key] = value;
                put(name, line("evm", &format!("{key}{at}"), &charge), Vec::new());
            }
        }
        for (at, details) in [
            json!(null), json!({}), json!({"chainId": 1}), json!({"chainId": "402402"}), json!({"chainId": -1}),
            json!({"chainId": self.practice.chain_id, "decimals": 18}),
            json!({"chainId": self.practice.chain_id, "credentialTypes": ["permit2"]}),
            json!({"chainId": self.practice.chain_id, "splits": [{"amount": "5", "recipient": PAY_TO}]}),
        ]
        .into_iter()
        .enumerate()
        {
            let mut charge = charge.clone();
            charge["methodDetails"] = details.clone();
            put(format!("challenge with {details}"), line("evm", &format!("details{at}"), &charge), Vec::new());
        }
        for method in ["tempo", "stripe", "lightning", "EVM", ""] {
            put(format!("challenge by {method}"), line(method, "method", &charge), Vec::new());
        }
        for end in ["2020-01-01T00:00:00Z", "never", "", "0"] {
            put(
                format!("challenge that ends {end}"),
                format!("{}, expires=\"{end}\"", line("evm", "end", &charge)),
                Vec::new(),
            );
        }
        for header in ["X-Api-Key", "Cookie", "Host", ""] {
            put(
                format!("challenge for {header}"),
                format!("{}, header=\"{header}\"", line("evm", "header", &charge)),
                Vec::new(),
            );
        }
        put(
            "challenge said twice".into(),
            format!("{}, id=\"again\"", line("evm", "twice", &charge)),
            Vec::new(),
        );
        put(
            "challenge with a far end".into(),
            format!("{}, expires=\"2099-01-01T00:00:00Z\"", line("evm", "far", &charge)),
            self.honest("10"),
        );
        // The same challenge to several: its nonce can be signed once.
        for copy in 0..4 {
            put(format!("one challenge, {copy}"), line("evm", "one", &charge), self.honest("10"));
        }
        all
    }

    /// Many offers, and good ones among bad ones.
    fn lists(&self) -> Vec<Case> {
        let good = self.offer("10");
        let mut elsewhere = self.offer("10");
        elsewhere["payTo"] = "0x00000000000000000000000000000000000000cc".into();
        let mut bad = self.offer("10");
        bad["network"] = "eip155:1".into();
        let both = vec![
            (PAY_TO.to_owned(), "10".to_owned()),
            ("0x00000000000000000000000000000000000000cc".to_owned(), "10".to_owned()),
        ];
        vec![
            self.asking("no offers".into(), &self.terms(&[]), Vec::new()),
            self.asking("33 offers".into(), &self.terms(&vec![good.clone(); 33]), Vec::new()),
            self.asking("180 offers".into(), &self.terms(&vec![good.clone(); 180]), Vec::new()),
            self.asking(
                "a good one last".into(),
                &self.terms(&[vec![bad; 31], vec![good.clone()]].concat()),
                self.honest("10"),
            ),
            self.asking(
                "two addresses".into(),
                &self.terms(&[good.clone(), elsewhere.clone()]),
                both.clone(),
            ),
            self.asking(
                "two addresses, turned".into(),
                &self.terms(&[elsewhere, good.clone()]),
                both,
            ),
            self.asking(
                "a dear one behind".into(),
                &self.terms(&[good.clone(), self.offer("1000000")]),
                self.honest("10"),
            ),
            self.asking(
                "a dear one before".into(),
                &self.terms(&[self.offer("1000000"), good]),
                Vec::new(),
            ),
        ]
    }

    /// Headers that no two readers read alike.
    fn encodings(&self) -> Vec<Case> {
        let text = self.terms(&[self.offer("10")]).to_string();
        let good = base64(&text);
        let dear = text.replace("\"amount\":\"10\"", "\"amount\":\"10\",\"amount\":\"1000000\"");
        let cheap = text.replace("\"amount\":\"10\"", "\"amount\":\"1000000\",\"amount\":\"10\"");
        let escaped = text.replace(
            "\"payTo\":",
            "\"payTo\":\"0x00000000000000000000000000000000000000cc\",\"pay\\u0054o\":",
        );
        let deep = format!("{}{}{}", "[".repeat(5_000), "1", "]".repeat(5_000));
        let mut all = Vec::new();
        let mut put = |name: &str, headers: &[(&str, &str)]| {
            let unpaid = Reply::Say(http("402 Payment Required", headers, b"{}"));
            all.push(Case { name: name.to_owned(), offers: Vec::new(), unpaid, paid: delivered() });
        };
        let name = "PAYMENT-REQUIRED";
        for (what, value) in [
            ("empty", String::new()),
            ("stars", "***".into()),
            ("plain JSON", text.clone()),
            ("amount said twice, dear last", base64(&dear)),
            ("amount said twice, dear first", base64(&cheap)),
            ("payTo said twice, once escaped", base64(&escaped)),
            ("two documents", base64(&format!("{text}{text}"))),
            ("cut", good[..good.len() / 2].to_owned()),
            ("no padding", format!("{}A", good.trim_end_matches('='))),
            ("doubled", format!("{good}{good}")),
            ("spaced", good.replacen('A', " A", 1)),
            ("nested deeply", base64(&deep)),
            ("80 KiB", base64(&" ".repeat(60 * 1024))),
            ("JSON null", base64("null")),
            ("JSON list", base64(&format!("[{text}]"))),
            ("UTF-16", super::base64(&text.chars().flat_map(|c| [c, '\0']).collect::<String>())),
            ("BOM", base64(&format!("\u{feff}{text}"))),
            ("NaN", base64(&text.replace("60", "NaN"))),
            ("trailing comma", base64(&text.replace("}]", "},]"))),
            ("comment", base64(&format!("/* */{text}"))),
        ] {
            put(what, &[(name, &value)]);
        }
        let other = base64(&self.terms(&[self.offer("1000000")]).to_string());
        put("the header twice", &[(name, &good), (name, &other)]);
        put("the header twice, alike", &[(name, &good), (name, &good)]);
        all
    }

    /// Connections that end badly before anything was asked.
    fn sockets(&self) -> Vec<Case> {
        let header = base64(&self.terms(&[self.offer("10")]).to_string());
        let head = format!("HTTP/1.1 402 Payment Required\r\nPAYMENT-REQUIRED: {header}\r\n");
        let far = format!("http://{}/c/0", self.elsewhere);
        let mut all = vec![
            ("cut at once", Reply::Cut),
            ("half a head", Reply::Say(head.as_bytes()[..40].to_vec())),
            ("no HTTP", Reply::Say(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())),
            (
                "a megabyte of head",
                Reply::Say(
                    format!("HTTP/1.1 402 P\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
                ),
            ),
            (
                "1,000 headers",
                Reply::Say(
                    format!("HTTP/1.1 402 P\r\n{}\r\n", "X: y\r\n".repeat(1_000)).into_bytes(),
                ),
            ),
            (
                "a bomb for free",
                Reply::Say(http("200 OK", &[("Content-Encoding", "gzip")], &bomb())),
            ),
            (
                "a flood for free",
                Reply::Flood(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec()),
            ),
            (
                "the price in a 200",
                Reply::Say(http("200 OK", &[("PAYMENT-REQUIRED", &header)], b"")),
            ),
            (
                "the price in a 500",
                Reply::Say(http("500 Sorry", &[("PAYMENT-REQUIRED", &header)], b"")),
            ),
            (
                "the price in a 412",
                Reply::Say(http("412 Sorry", &[("PAYMENT-REQUIRED", &header)], b"")),
            ),
            (
                "basic credentials asked",
                Reply::Say(http("401 Who", &[("WWW-Authenticate", "Basic realm=\"x\"")], b"")),
            ),
            (
                "proxy credentials asked",
                Reply::Say(http("407 Who", &[("Proxy-Authenticate", "Basic realm=\"x\"")], b"")),
            ),
        ];
        for status in ["301", "302", "303", "307", "308"] {
            all.push((
                "a redirect before anything",
                Reply::Say(http(&format!("{status} Go"), &[("Location", &far)], b"")),
            ));
        }
        all.into_iter()
            .map(|(name, unpaid)| Case {
                name: name.to_owned(),
                offers: Vec::new(),
                unpaid,
                paid: delivered(),
            })
            .collect()
    }

    /// An honest price, and then anything but honesty.
    fn answers_to_payment(&self) -> Vec<Case> {
        let far = format!("http://{}/stolen", self.elsewhere);
        let again = |units: &str, pay_to: &str| {
            let mut offer = self.offer(units);
            offer["payTo"] = pay_to.into();
            Reply::Ask(self.terms(&[offer]))
        };
        let receipt = |json: Value| {
            Reply::Say(http("200 OK", &[("PAYMENT-RESPONSE", &base64(&json.to_string()))], b"ok"))
        };
        let lie = json!({"success": true, "transaction": format!("0x{}", "ab".repeat(32)), "network": "eip155:402402"});
        let mut replies = vec![
            ("thanks", delivered()),
            ("asked again", again("10", PAY_TO)),
            ("asked for more", again("20", PAY_TO)),
            ("asked for far more", again("1000000", PAY_TO)),
            (
                "asked for another address",
                again("10", "0x00000000000000000000000000000000000000cc"),
            ),
            ("a lying receipt", receipt(lie.clone())),
            (
                "a receipt of failure",
                receipt(
                    json!({"success": false, "errorReason": "invalid_exact_evm_nonce_already_used", "transaction": "", "network": ""}),
                ),
            ),
            (
                "settlement pending",
                receipt(
                    json!({"success": false, "errorReason": "settlement_pending", "transaction": "", "network": ""}),
                ),
            ),
            (
                "a receipt that is none",
                Reply::Say(http("200 OK", &[("PAYMENT-RESPONSE", "***")], b"ok")),
            ),
            (
                "two receipts",
                Reply::Say(http(
                    "200 OK",
                    &[("PAYMENT-RESPONSE", &base64(&lie.to_string())), ("PAYMENT-RESPONSE", "***")],
                    b"ok",
                )),
            ),
            ("an error", Reply::Say(http("500 Sorry", &[], b""))),
            ("a conflict", Reply::Say(http("409 Sorry", &[], b""))),
            ("too many", Reply::Say(http("429 Later", &[("Retry-After", "0")], b""))),
            ("unavailable, try again", Reply::Say(http("503 Later", &[("Retry-After", "0")], b""))),
            ("cut at once", Reply::Cut),
            ("cut in the head", Reply::Say(b"HTTP/1.1 200 OK\r\nContent-".to_vec())),
            (
                "cut in the body",
                Reply::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf".to_vec()),
            ),
            (
                "a bad chunk",
                Reply::Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
            ),
            (
                "two lengths",
                Reply::Say(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"
                        .to_vec(),
                ),
            ),
            (
                "bad gzip",
                Reply::Say(http("200 OK", &[("Content-Encoding", "gzip")], b"not packed")),
            ),
            ("a flood", Reply::Flood(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec())),
        ];
        for status in ["301 Go", "302 Go", "303 Go", "307 Go", "308 Go"] {
            replies.push((
                "a redirect to another host",
                Reply::Say(http(status, &[("Location", &far)], b"")),
            ));
        }
        let mut all = Vec::new();
        for units in ["1", "10", "25", "100", "500", "1000"] {
            for (name, paid) in &replies {
                let terms = self.terms(&[self.offer(units)]);
                let asked =
                    self.asking(format!("{units} paid: {name}"), &terms, self.honest(units));
                all.push(Case { paid: paid.clone(), ..asked });
            }
        }
        let terms = self.terms(&[self.offer("10")]);
        for (name, paid) in [
            ("a bomb", Reply::Say(http("200 OK", &[("Content-Encoding", "gzip")], &bomb()))),
            ("silence", Reply::SayAndHang(Vec::new())),
            ("silence in the head", Reply::SayAndHang(b"HTTP/1.1 200 OK\r\n".to_vec())),
            (
                "silence in the body",
                Reply::SayAndHang(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nha".to_vec()),
            ),
        ] {
            let asked = self.asking(format!("paid: {name}"), &terms, self.honest("10"));
            all.push(Case { paid, ..asked });
        }
        all
    }
}

/// A value short enough to stand in a name.
fn shown(value: &Value) -> String {
    value.to_string().chars().take(48).collect()
}
