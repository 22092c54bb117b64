//! What a payee asks: the `PAYMENT-REQUIRED` header, read strictly.
//!
//! Source: x402 specification v2, `transports-v2/http.md` and `scheme_exact_evm.md`.

use crate::json::{self, Members};
use crate::request::add;
use crate::{RailsError, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imprest_domain::{Address, Asset, AssetId, Payee, Units, plain_line};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use url::Url;

/// The longest payment header taken, in bytes as sent.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The most offers taken in one answer.
const OFFERS_MAX: usize = 32;
/// The longest time a payee may ask a signature to live, in seconds.
pub const MAX_TIMEOUT_S: u64 = 3600;

/// One offer the desk can pay, bound to the request it answers.
///
/// Nothing in it is the merchant's word except what must be: the price, the address to pay, and the
/// texts to echo. Decimals and the EIP-712 domain come from the desk's own registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Quote {
    /// Who would be paid: the origin that really answered, the address it names, and the asset.
    pub payee: Payee,
    /// How much, in atomic units; at least one.
    pub value: Units,
    /// How long the payee asks the signature to live, in seconds; 1 to 3600.
    pub max_timeout_s: u64,
    /// CAIP-2 network, `eip155:8453`.
    pub network: String,
    /// Whether the payee takes the money before it does the work (`extra.paymentFlow`: `upfront`).
    pub settles_first: bool,
    /// What the payee calls it: a stranger's text, one line of at most 200 characters.
    pub description: String,
    /// What the payee says it delivers, at most 100 characters.
    pub mime: Option<String>,
    /// Whether the terms name a resource of the origin that was asked; false when they name none.
    pub resource_matches: bool,
    /// [`Request::digest`] of the request that was answered with these terms.
    pub request_digest: [u8; 32],
    /// SHA-256 over the request's digest, the payee and the price: equal exactly if the same thing
    /// is asked for the same money. Texts that may differ each time are left out.
    pub digest: [u8; 32],
    /// The chosen offer, every byte as the payee wrote it.
    pub offer_raw: Box<RawValue>,
    /// The terms' `resource`, every byte as the payee wrote it.
    pub resource_raw: Option<Box<RawValue>>,
    /// The terms' `extensions`, every byte as the payee wrote it.
    pub extensions_raw: Option<Box<RawValue>>,
}

/// What terms come to.
#[derive(Debug)]
pub(crate) enum Terms {
    /// The first offer the desk can pay.
    Payable(Box<Quote>),
    /// None can be paid; one reason for each.
    Unpayable(Vec<String>),
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "x402Version")]
    version: u64,
}

#[derive(Deserialize)]
struct Required<'a> {
    #[serde(borrow)]
    accepts: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default)]
    extensions: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resource {
    url: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default, rename = "mimeType")]
    mime: Option<String>,
}

#[derive(Deserialize)]
struct Kind {
    scheme: String,
    network: String,
}

#[derive(Deserialize)]
struct Offer {
    amount: String,
    asset: String,
    #[serde(rename = "payTo")]
    pay_to: String,
    #[serde(rename = "maxTimeoutSeconds")]
    max_timeout_s: u64,
    #[serde(default)]
    extra: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
struct Extra {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default, rename = "assetTransferMethod")]
    transfer_method: Option<String>,
    #[serde(default, rename = "paymentFlow")]
    payment_flow: Option<String>,
}

/// What one offer comes to once every field has been read.
struct Payable {
    asset: AssetId,
    pay_to: Address,
    value: Units,
    max_timeout_s: u64,
    network: String,
    settles_first: bool,
}

/// Reads a `PAYMENT-REQUIRED` header and takes the first offer, in the payee's order, that the desk
/// can pay.
///
/// # Errors
/// [`RailsError::BadTerms`] when the header as a whole cannot be trusted. A bad offer among good
/// ones is a reason, not an error.
pub(crate) fn read_terms(
    header: &[u8],
    request: &Request,
    assets: &[Asset],
) -> Result<Terms, RailsError> {
    let json = decode(header).map_err(bad)?;
    let head: Head = json::object(&json).map_err(|e| bad(words(&e)))?;
    if head.version != 2 {
        return Err(bad(format!("x402 version {} is not one the desk speaks", head.version)));
    }
    let required: Required<'_> = json::object(&json).map_err(|e| bad(words(&e)))?;
    match required.accepts.len() {
        0 => return Err(bad("they offer no way to pay".into())),
        1..=OFFERS_MAX => {}
        n => return Err(bad(format!("they make {n} offers; at most {OFFERS_MAX} are read"))),
    }
    if let Some(extensions) = required.extensions {
        serde_json::from_str::<Members>(extensions.get())
            .map_err(|_| bad("their extensions are no object".into()))?;
    }
    let mut reasons = Vec::new();
    for (at, raw) in required.accepts.iter().enumerate() {
        match payable(raw, assets) {
            Ok(payable) => {
                let quote = quote(payable, raw, &required, request)?;
                return Ok(Terms::Payable(Box::new(quote)));
            }
            Err(why) => reasons.push(format!("offer {}: {why}", at + 1)),
        }
    }
    Ok(Terms::Unpayable(reasons))
}

/// Decodes a payment header: bounded, standard base64, and JSON that reads one way only.
pub(crate) fn decode(header: &[u8]) -> Result<String, String> {
    if header.len() > HEADER_BYTES_MAX {
        return Err("the header is longer than 64 KiB".into());
    }
    let json = STANDARD.decode(header).map_err(|_| "the header is not standard base64")?;
    let json = String::from_utf8(json).map_err(|_| "the header is not UTF-8")?;
    json::check(json.as_bytes()).map_err(|e| words(&e))?;
    Ok(json)
}

/// Reads one offer, or says why the desk does not pay it.
fn payable(raw: &RawValue, assets: &[Asset]) -> Result<Payable, String> {
    let kind: Kind = json::object(raw.get()).map_err(|e| words(&e))?;
    let named = |text: &str| plain_line(text, 60);
    if kind.scheme != "exact" {
        return Err(format!(
            "the scheme “{}” on {} is not one the desk pays",
            named(&kind.scheme),
            named(&kind.network)
        ));
    }
    let Some(chain_id) = chain_id(&kind.network) else {
        return Err(format!("the network “{}” is not one the desk pays on", named(&kind.network)));
    };
    let offer: Offer = json::object(raw.get()).map_err(|e| words(&e))?;
    let contract = address(&offer.asset).map_err(|why| format!("the asset {why}"))?;
    let id = AssetId { chain_id, contract };
    let Some(asset) = assets.iter().find(|asset| asset.id == id) else {
        return Err(format!("the asset {contract} on {} is not in the desk's list", kind.network));
    };
    let pay_to = address(&offer.pay_to).map_err(|why| format!("the address to pay {why}"))?;
    if pay_to == Address::ZERO || pay_to == contract {
        return Err("the address to pay is not one that anyone can hold money at".into());
    }
    // One to 78 digits without a leading zero is what the specification means by an amount.
    let value: Units = offer.amount.parse().map_err(|e| format!("its amount is refused: {e}"))?;
    if value.is_zero() {
        return Err("its amount is zero".into());
    }
    if !(1..=MAX_TIMEOUT_S).contains(&offer.max_timeout_s) {
        return Err(format!(
            "it wants a signature that lives {} s; the desk signs for 1 to {MAX_TIMEOUT_S} s",
            offer.max_timeout_s
        ));
    }
    let extra: Extra = match &offer.extra {
        Some(raw) => json::object(raw.get()).map_err(|e| words(&e))?,
        None => Extra::default(),
    };
    let settles_first = settles_first(&extra, asset)?;
    Ok(Payable {
        asset: id,
        pay_to,
        value,
        max_timeout_s: offer.max_timeout_s,
        network: kind.network,
        settles_first,
    })
}

/// Checks `extra` against our own registry; true when the payee settles before it works.
fn settles_first(extra: &Extra, asset: &Asset) -> Result<bool, String> {
    let named = |text: &str| plain_line(text, 60);
    if let Some(method) = extra.transfer_method.as_deref().filter(|m| *m != "eip3009") {
        return Err(format!("the transfer method “{}” is not one the desk pays by", named(method)));
    }
    // The facilitator checks the signature with these; with any other it would refuse ours.
    for (what, theirs, ours) in [
        ("name", &extra.name, &asset.eip712_name),
        ("version", &extra.version, &asset.eip712_version),
    ] {
        if let Some(theirs) = theirs.as_deref().filter(|theirs| theirs != ours) {
            let theirs = named(theirs);
            return Err(format!("it gives the token the {what} “{theirs}”, which is “{ours}”"));
        }
    }
    match extra.payment_flow.as_deref() {
        None | Some("authorization") => Ok(false),
        Some("upfront") => Ok(true),
        Some(flow) => Err(format!("the payment flow “{}” is not one the desk pays", named(flow))),
    }
}

fn quote(
    payable: Payable,
    raw: &RawValue,
    required: &Required<'_>,
    request: &Request,
) -> Result<Quote, RailsError> {
    let resource: Option<Resource> = match required.resource {
        None => None,
        Some(raw) => {
            let unreadable = |e| bad(format!("their resource is unreadable: {}", words(&e)));
            Some(json::object(raw.get()).map_err(unreadable)?)
        }
    };
    let resource_matches = resource
        .as_ref()
        .and_then(|resource| Url::parse(&resource.url).ok())
        .is_some_and(|url| url.origin() == request.url().origin());
    let (description, mime) = resource.map(|r| (r.description, r.mime)).unwrap_or_default();
    let payee = Payee { origin: request.origin(), pay_to: payable.pay_to, asset: payable.asset };
    let request_digest = request.digest();
    Ok(Quote {
        digest: digest(&request_digest, &payee, payable.value),
        payee,
        value: payable.value,
        max_timeout_s: payable.max_timeout_s,
        network: payable.network,
        settles_first: payable.settles_first,
        description: plain_line(&description.unwrap_or_default(), 200),
        mime: mime.map(|mime| plain_line(&mime, 100)),
        resource_matches,
        request_digest,
        offer_raw: raw.to_owned(),
        resource_raw: required.resource.map(ToOwned::to_owned),
        extensions_raw: required.extensions.map(ToOwned::to_owned),
    })
}

fn digest(request: &[u8; 32], payee: &Payee, value: Units) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"imprest quote 1\n");
    add(&mut hash, request);
    add(&mut hash, payee.origin.as_bytes());
    add(&mut hash, payee.pay_to.as_slice());
    add(&mut hash, payee.asset.to_string().as_bytes());
    add(&mut hash, value.to_string().as_bytes());
    hash.finalize().into()
}

/// `eip155:` and a chain id of 1 to 16 digits without a leading zero.
fn chain_id(network: &str) -> Option<u64> {
    let digits = network.strip_prefix("eip155:")?;
    let plain = (1..=16).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// `0x` and 40 hexadecimal digits; with letters of both cases, the EIP-55 checksum must hold.
pub(crate) fn address(text: &str) -> Result<Address, &'static str> {
    let malformed = "is not 0x with 40 hexadecimal digits";
    let digits = text.strip_prefix("0x").ok_or(malformed)?;
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(malformed);
    }
    let mixed = digits.bytes().any(|b| b.is_ascii_lowercase())
        && digits.bytes().any(|b| b.is_ascii_uppercase());
    if mixed {
        Address::parse_checksummed(text, None).map_err(|_| "fails its own checksum (EIP-55)")
    } else {
        text.parse().map_err(|_| malformed)
    }
}

/// The payee's own word for why it asks, from a `PAYMENT-REQUIRED` header; a stranger's text.
pub(crate) fn error_word(header: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Word {
        #[serde(default)]
        error: Option<String>,
    }
    let json = decode(header).ok()?;
    let word: Word = json::object(&json).ok()?;
    word.error.filter(|word| !word.is_empty()).map(|word| plain_line(&word, 120))
}

fn bad(why: String) -> RailsError {
    RailsError::BadTerms { why }
}

/// A JSON error in bounded words; it can quote the document.
fn words(error: &serde_json::Error) -> String {
    plain_line(&error.to_string(), 120)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

    fn usdc() -> Asset {
        Asset {
            id: AssetId { chain_id: 84532, contract: TOKEN.parse().expect("an address") },
            symbol: "USDC".into(),
            decimals: 6,
            eip712_name: "USDC".into(),
            eip712_version: "2".into(),
        }
    }

    fn request() -> Request {
        Request::new("GET", "https://shop.example/a", [], bytes::Bytes::new()).expect("good")
    }

    fn offer() -> Value {
        json!({
            "scheme": "exact",
            "network": "eip155:84532",
            "amount": "10000",
            "asset": TOKEN,
            "payTo": PAYEE,
            "maxTimeoutSeconds": 60,
            "extra": {"name": "USDC", "version": "2"}
        })
    }

    fn terms() -> Value {
        json!({
            "x402Version": 2,
            "resource": {"url": "https://shop.example/a", "description": "A report"},
            "accepts": [offer()]
        })
    }

    fn read(text: &str) -> Result<Terms, RailsError> {
        read_terms(STANDARD.encode(text).as_bytes(), &request(), &[usdc()])
    }

    fn with(edit: impl FnOnce(&mut Value)) -> Result<Terms, RailsError> {
        let mut terms = terms();
        edit(&mut terms);
        read(&terms.to_string())
    }

    /// Reads terms whose only offer has one field changed, or taken out when `value` is absent.
    fn with_field(key: &str, value: Option<Value>) -> Result<Terms, RailsError> {
        with(|terms| {
            let offer = terms["accepts"][0].as_object_mut().expect("an object");
            match value {
                Some(value) => drop(offer.insert(key.to_owned(), value)),
                None => drop(offer.remove(key)),
            }
        })
    }

    fn taken(terms: Result<Terms, RailsError>) -> Quote {
        match terms {
            Ok(Terms::Payable(quote)) => *quote,
            other => panic!("not payable: {other:?}"),
        }
    }

    #[test]
    fn ordinary_terms_are_payable() {
        let quote = taken(with(|_| {}));
        assert_eq!(quote.value.get(), 10_000);
        assert!(quote.resource_matches);
        for nulls in ["error", "extensions"] {
            taken(with(|terms| terms[nulls] = Value::Null));
        }
        for extra in [
            None,
            Some(Value::Null),
            Some(json!({})),
            Some(json!({"name": null, "version": null, "assetTransferMethod": null})),
            Some(json!({"assetTransferMethod": "eip3009", "paymentFlow": "authorization"})),
        ] {
            assert!(!taken(with_field("extra", extra)).settles_first);
        }
        let upfront = json!({"paymentFlow": "upfront"});
        assert!(taken(with_field("extra", Some(upfront))).settles_first);
        taken(with_field("asset", Some(TOKEN.to_lowercase().into())));
        taken(with_field("maxTimeoutSeconds", Some(3600.into())));
    }

    #[test]
    fn what_cannot_be_trusted_as_a_whole_is_an_error() {
        let raw = |header: &[u8]| read_terms(header, &request(), &[usdc()]);
        let good = STANDARD.encode(terms().to_string());
        assert!(raw(good.as_bytes()).is_ok());
        let unpadded = format!("{}A", good.trim_end_matches('='));
        let url_safe = STANDARD.encode(r#"{"a":"???>>>"}"#).replace(['+', '/'], "_");
        let long = "A".repeat(HEADER_BYTES_MAX + 4);
        let spaced = format!("{} {}", &good[..8], &good[8..]);
        for bad in ["", "*", "{}", &unpadded, &url_safe, &long, &spaced, "e30", "e30==", "e31="] {
            let result = raw(bad.as_bytes());
            assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{bad:.40} {result:?}");
        }
        let text = terms().to_string();
        let deep = format!(r#"{{"x402Version":2,"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            "{",
            &deep,
            &format!("{text}{text}"),
            &text.replacen('{', r#"{"x402Version":2,"#, 1),
            &text.replace(r#""amount":"#, r#""amount":"1","amount":"#),
            &text.replace(r#""amount":"#, r#""\u0061mount":"1","amount":"#),
            &text.replace(r#""x402Version":2"#, r#""x402Version":1"#),
            &text.replace(r#""x402Version":2"#, r#""x402Version":3"#),
            &text.replace(r#""x402Version":2"#, r#""x402Version":"2""#),
            &text.replace(r#""x402Version":2"#, r#""x402Version":2.0"#),
            &text.replace(r#""x402Version":2"#, r#""x402Version":-2"#),
        ] {
            let result = read(bad);
            assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{bad:.80} {result:?}");
        }
        for result in [
            with(|terms| terms["accepts"] = json!([])),
            with(|terms| terms["accepts"] = json!({})),
            with(|terms| terms["accepts"] = Value::Null),
            with(|terms| terms["accepts"] = vec![offer(); 33].into()),
            with(|terms| terms["resource"] = "https://shop.example/a".into()),
            with(|terms| terms["resource"] = json!({"description": "x"})),
            with(|terms| terms["resource"] = json!(["https://shop.example/a", "x", "y"])),
            with(|terms| terms["extensions"] = json!([])),
            with(|terms| terms["extensions"] = 1.into()),
        ] {
            assert!(matches!(result, Err(RailsError::BadTerms { .. })), "{result:?}");
        }
        taken(with(|terms| terms["accepts"] = vec![offer(); 32].into()));
    }

    #[test]
    fn what_is_not_plainly_payable_is_not_paid() {
        let digits = |n: usize| Value::from("9".repeat(n));
        let zero = "0x0000000000000000000000000000000000000000";
        let bad_checksum = PAYEE.replace("Bc6", "bC6");
        let table: Vec<(&str, Vec<Value>)> = vec![
            ("scheme", vec!["upto".into(), "Exact".into(), "".into(), 1.into(), Value::Null]),
            (
                "network",
                ["eip155:1", "base-sepolia", "eip155:084532", "eip155:", "eip155:0x14a34"]
                    .into_iter()
                    .chain(["EIP155:84532", "eip155:84532 ", "eip155:+84532", "eip155:-1"])
                    .chain(["eip155:99999999999999999", "solana:84532", "eip155:84532:1", ""])
                    .map(Value::from)
                    .chain([84532.into()])
                    .collect(),
            ),
            (
                "amount",
                ["-1", "0x10", "1e6", "1.5", "010", "+1", " 1", "1 ", "1_000", "1,000", "٣", ""]
                    .into_iter()
                    .chain(["0", "NaN", "Infinity", "9223372036854775808"])
                    .map(Value::from)
                    .chain([digits(78), digits(79), 10_000.into(), 1.5.into(), Value::Null])
                    .collect(),
            ),
            ("asset", vec![PAYEE.into(), zero.into(), TOKEN.to_uppercase().into(), "USDC".into()]),
            (
                "payTo",
                vec![
                    bad_checksum.as_str().into(),
                    zero.into(),
                    TOKEN.into(),
                    PAYEE[2..].into(),
                    PAYEE[..41].into(),
                    format!("{PAYEE}0").into(),
                    format!(" {PAYEE}").into(),
                    PAYEE.replacen("0x", "0X", 1).into(),
                    format!("0x{}", "g".repeat(40)).into(),
                    "".into(),
                    "shop.eth".into(),
                    json!([PAYEE]),
                ],
            ),
            (
                "maxTimeoutSeconds",
                vec![0.into(), 3601.into(), (-1).into(), 60.5.into(), "60".into(), Value::Null]
                    .into_iter()
                    .chain([json!(1e15), u64::MAX.into()])
                    .collect(),
            ),
            (
                "extra",
                vec![
                    json!([]),
                    json!("x"),
                    json!({"name": "USD Coin"}),
                    json!({"version": "1"}),
                    json!({"version": 2}),
                    json!({"assetTransferMethod": "permit2"}),
                    json!({"assetTransferMethod": "erc7710"}),
                    json!({"assetTransferMethod": ""}),
                    json!({"paymentFlow": "escrow"}),
                    json!({"paymentFlow": "later"}),
                ],
            ),
        ];
        for (key, values) in table {
            for value in values {
                let shown = value.to_string();
                let result = with_field(key, Some(value));
                let Ok(Terms::Unpayable(reasons)) = &result else {
                    panic!("{key} = {shown} came to {result:?}");
                };
                assert_eq!(reasons.len(), 1);
                assert!(reasons[0].starts_with("offer 1: "), "{reasons:?}");
                assert!(reasons[0].len() < 400, "{reasons:?}");
            }
            if key != "extra" {
                let result = with_field(key, None);
                assert!(matches!(result, Ok(Terms::Unpayable(_))), "no {key} came to {result:?}");
            }
        }
    }

    #[test]
    fn the_first_payable_offer_is_taken_in_the_payees_order() {
        let offer_of = |amount: &str, network: &str| {
            let mut offer = offer();
            offer["amount"] = amount.into();
            offer["network"] = network.into();
            offer
        };
        let quote = taken(with(|terms| {
            terms["accepts"] = json!([
                "not an offer",
                ["exact", "eip155:84532"],
                {"scheme": "exact", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"},
                offer_of("1", "eip155:1"),
                offer_of("-1", "eip155:84532"),
                offer_of("20000", "eip155:84532"),
                offer_of("10000", "eip155:84532"),
            ]);
        }));
        assert_eq!(quote.value.get(), 20_000);
        let result = with(|terms| {
            terms["accepts"] = json!([
                {"scheme": "upto\u{202e}", "network": "eip155:84532"},
                offer_of("1", "eip155:1"),
            ]);
        });
        let Ok(Terms::Unpayable(reasons)) = result else { panic!("{result:?}") };
        assert_eq!(reasons.len(), 2);
        assert!(reasons[0].contains("upto⟨U+202E⟩"), "{reasons:?}");
        assert!(reasons[1].contains("eip155:1"), "{reasons:?}");
    }

    #[test]
    fn a_resource_elsewhere_is_noticed() {
        for (url, same) in [
            ("https://shop.example/other", true),
            ("https://shop.example:443/", true),
            ("http://shop.example/a", false),
            ("https://shop.example:8443/a", false),
            ("https://evil.example/a", false),
            ("https://shop.example.evil.example/a", false),
            ("https://shop.example@evil.example/a", false),
            ("/a", false),
            ("", false),
            ("mcp://tool/x", false),
        ] {
            let quote = taken(with(|terms| terms["resource"]["url"] = url.into()));
            assert_eq!(quote.resource_matches, same, "{url}");
            assert_eq!(quote.payee.origin, "https://shop.example");
        }
        let quote = taken(with(|terms| terms["resource"] = Value::Null));
        assert!(!quote.resource_matches);
        assert_eq!(quote.description, "");
        let long = "x".repeat(5000);
        let quote = taken(with(|terms| {
            terms["resource"]["description"] = long.as_str().into();
            terms["resource"]["mimeType"] = long.as_str().into();
        }));
        assert_eq!(quote.description.chars().count(), 201);
        assert_eq!(quote.mime.map(|mime| mime.chars().count()), Some(101));
    }

    #[test]
    fn the_digest_follows_the_money_and_not_the_words() {
        let base = taken(with(|_| {})).digest;
        assert_eq!(base, taken(with(|t| t["resource"]["description"] = "new".into())).digest);
        assert_eq!(base, taken(with(|t| t["extensions"] = json!({"nonce": 1}))).digest);
        assert_ne!(base, taken(with_field("amount", Some("10001".into()))).digest);
        let other = "0x1111111111111111111111111111111111111111";
        assert_ne!(base, taken(with_field("payTo", Some(other.into()))).digest);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_terms(&bytes, &request(), &[usdc()]);
            let _ = read_terms(STANDARD.encode(&bytes).as_bytes(), &request(), &[usdc()]);
            let _ = error_word(&bytes);
            let _ = crate::pay::read_receipt(Some(&bytes));
        }

        #[test]
        fn no_mutation_makes_it_panic_or_pay_another_way(
            at in any::<prop::sample::Index>(),
            length in 0_usize..12,
            put in "[\\x00-\\x7f]{0,12}",
        ) {
            let text = terms().to_string();
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            let mutated = format!("{}{put}{}", &text[..start], &text[end..]);
            if let Ok(Terms::Payable(quote)) = read(&mutated) {
                prop_assert_eq!(quote.payee.asset, usdc().id);
                prop_assert_eq!(quote.payee.origin, "https://shop.example");
                prop_assert!(!quote.value.is_zero());
                prop_assert!((1..=MAX_TIMEOUT_S).contains(&quote.max_timeout_s));
                prop_assert!(mutated.contains(quote.offer_raw.get()));
            }
        }
    }
}
