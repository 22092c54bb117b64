//! The two requests of a paid fetch: one that asks, one that pays.

use crate::guard::Reach;
use crate::offer::Terms;
use crate::pay::{Answer, Says, judge, payment};
use crate::quote::Way;
use crate::response::{BodyEnd, BodyReader};
use crate::x402::{self, v1, v2};
use crate::{
    AddressGuard, AddressRefusal, Outcome, Payload, Quote, RailsError, Receipt, Request, Response,
    mpp,
};
use imprest_domain::{Asset, plain_line};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("payment-response");
const X_PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("x-payment-response");
const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");
/// Tells payees of several protocols which way of the `Payment` scheme the desk knows.
const ACCEPT_PAYMENT: HeaderName = HeaderName::from_static("accept-payment");

/// What the head of an answer may measure before the HTTP library gives up, in bytes.
const HEAD_BYTES_MAX: usize = 400 * 1024;

/// How the rails run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where requests may go.
    pub guard: AddressGuard,
    /// The assets that can be paid in.
    pub assets: Vec<Asset>,
    /// For making a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// For the unpaid leg as a whole, body included, in milliseconds.
    pub quote_timeout_ms: u64,
    /// For the paid leg as a whole, body included, in milliseconds.
    pub deliver_timeout_ms: u64,
    /// The most of a body that is kept, in bytes after decompression.
    pub body_bytes_max: usize,
}

impl Options {
    /// Takes 10 s to connect, 30 s for each leg and 1 MiB of body.
    pub fn new(guard: AddressGuard, assets: Vec<Asset>) -> Options {
        Options {
            guard,
            assets,
            connect_timeout_ms: 10_000,
            quote_timeout_ms: 30_000,
            deliver_timeout_ms: 30_000,
            body_bytes_max: 1024 * 1024,
        }
    }
}

/// What asking for something came to.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Nothing is asked for it. Redirects are handed back too: the desk follows none.
    Free(Response),
    /// It has a price the desk can pay.
    Offer(Box<Quote>),
    /// It has a price, but none the desk can pay.
    Unpayable {
        /// One sentence for each way to pay that was offered; never empty.
        reasons: Vec<String>,
        /// The answer.
        response: Response,
    },
}

/// Pays over HTTP. Every request has its own connection, goes where the guard lets it, through no
/// proxy, follows no redirect and is sent once.
#[derive(Debug, Clone)]
pub struct Rails {
    options: Options,
    public: reqwest::Client,
    listed: reqwest::Client,
}

impl Rails {
    /// Makes the rails ready.
    ///
    /// # Errors
    /// [`RailsError::NoTls`] when this machine has no CA certificates.
    pub fn new(options: Options) -> Result<Rails, RailsError> {
        let public = client(&options, Reach::Public)?;
        let listed = client(&options, Reach::Listed)?;
        Ok(Rails { options, public, listed })
    }

    /// Where requests may go; listing a host here takes effect at once.
    pub fn guard(&self) -> &AddressGuard {
        &self.options.guard
    }

    /// Asks for something without paying, and reads the price if there is one.
    ///
    /// # Errors
    /// [`RailsError`] when it could not be asked or the terms cannot be trusted. Nothing is paid.
    pub async fn quote(&self, request: &Request) -> Result<Probe, RailsError> {
        self.options.guard.vet_literal(request.url()).map_err(refused)?;
        if let Some(tool) = request.tool() {
            return self.quote_call(request, tool).await;
        }
        let timeout_ms = self.options.quote_timeout_ms;
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        let late = || RailsError::TimedOut { host: request.host(), timeout_ms };
        let mut unpaid = request.to_reqwest();
        unpaid.headers_mut().insert(ACCEPT_PAYMENT, HeaderValue::from_static("evm/charge"));
        let sending = self.client(request).execute(unpaid);
        let mut answer = match timeout_at(deadline, sending).await {
            Err(_) => return Err(late()),
            Ok(Err(error)) => return Err(self.failure(request, &error)),
            Ok(Ok(answer)) => answer,
        };
        let asks = answer.status().as_u16() == 402;
        let mut reasons = Vec::new();
        if asks && let Some(header) = only(answer.headers(), &PAYMENT_REQUIRED)? {
            match v2::read_terms(header, request, &self.options.assets, Timestamp::now())? {
                Terms::Payable(quote) => return Ok(Probe::Offer(quote)),
                Terms::Unpayable(why) => reasons = why,
            }
        }
        let mut body = BodyReader::default();
        let reading = body.read(&mut answer, self.options.body_bytes_max);
        match timeout_at(deadline, reading).await {
            Err(_) => return Err(late()),
            Ok(BodyEnd::Cut(why)) => {
                return Err(RailsError::Unreachable { host: request.host(), why });
            }
            Ok(BodyEnd::Read) => {}
        }
        let response = body.into_response(answer.status().as_u16(), answer.headers());
        if !asks {
            return Ok(Probe::Free(response));
        }
        match self.other_terms(request, answer.headers(), &response.body)? {
            Terms::Payable(quote) => return Ok(Probe::Offer(quote)),
            Terms::Unpayable(why) => reasons.extend(why),
        }
        if reasons.is_empty() {
            let none = "it asks for payment (402) but names no way to pay that the desk knows";
            reasons.push(none.into());
        }
        Ok(Probe::Unpayable { reasons, response })
    }

    /// Reads what a 402 offers beside x402 version 2, in the order in which its clients look.
    fn other_terms(
        &self,
        request: &Request,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Terms, RailsError> {
        let assets = &self.options.assets;
        let challenges = headers.get_all(WWW_AUTHENTICATE);
        let ways = [
            v1::read_terms(body, request, assets),
            mpp::read_terms(challenges.iter(), request, assets, Timestamp::now()),
        ];
        let mut reasons = Vec::new();
        for terms in ways.into_iter().flatten() {
            match terms? {
                Terms::Payable(quote) => return Ok(Terms::Payable(quote)),
                Terms::Unpayable(why) => reasons.extend(why),
            }
        }
        reasons.extend(challenges.iter().take(8).filter_map(not_paid_by));
        Ok(Terms::Unpayable(reasons))
    }

    /// Pays: sends the request once more with the signature, once, and reads what came of it.
    ///
    /// A future dropped half-way may have sent the signature; treat that as [`Outcome::Unclear`].
    pub async fn deliver(&self, request: &Request, quote: &Quote, payload: &Payload) -> Outcome {
        let unsent = |why| Outcome::Unclear { why, response: None, receipt: None, sent: false };
        if let Err(refusal) = self.options.guard.vet_literal(request.url()) {
            return unsent(refused(refusal).to_string());
        }
        if let Some(tool) = request.tool() {
            return self.deliver_call(request, tool, quote, payload).await;
        }
        let (name, value) = match payment(request, quote, payload) {
            Ok(header) => header,
            Err(why) => return unsent(why),
        };
        let mut paid = request.to_reqwest();
        paid.headers_mut().insert(name, value);
        let timeout_ms = self.options.deliver_timeout_ms;
        let deadline = Instant::now() + Duration::from_millis(timeout_ms);
        let late = || RailsError::TimedOut { host: request.host(), timeout_ms }.to_string();
        let lost = |why, sent| Outcome::Unclear { why, response: None, receipt: None, sent };
        let mut answer = match timeout_at(deadline, self.client(request).execute(paid)).await {
            Err(_) => return lost(late(), true),
            // No connection was made, so nothing was written to one.
            Ok(Err(error)) => {
                return lost(self.failure(request, &error).to_string(), !error.is_connect());
            }
            Ok(Ok(answer)) => answer,
        };
        let mut body = BodyReader::default();
        let reading = body.read(&mut answer, self.options.body_bytes_max);
        let end = match timeout_at(deadline, reading).await {
            Ok(end) => end,
            Err(_) => {
                body.stop_short();
                BodyEnd::Cut(late())
            }
        };
        let headers = answer.headers();
        let response = body.into_response(answer.status().as_u16(), headers);
        let (receipt, asks_again) = said((request, quote, payload), headers, &response.body);
        let says = Says::of(response.status, asks_again);
        judge(Answer { end, receipt, says, response })
    }

    /// How they run.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn client(&self, request: &Request) -> &reqwest::Client {
        if self.options.guard.lists(request.url()) { &self.listed } else { &self.public }
    }

    pub(crate) fn failure(&self, request: &Request, error: &reqwest::Error) -> RailsError {
        if let Some(refusal) = chain(error).find_map(|e| e.downcast_ref::<AddressRefusal>()) {
            return refused(refusal.clone());
        }
        let host = request.host();
        if error.is_timeout() {
            return RailsError::TimedOut { host, timeout_ms: self.options.connect_timeout_ms };
        }
        match words(error) {
            // The HTTP library tells this case apart by its words only.
            why if why == "message head is too large" => {
                RailsError::TooLarge { what: "the head of the answer", bytes_max: HEAD_BYTES_MAX }
            }
            why => RailsError::Unreachable { host, why },
        }
    }
}

fn client(options: &Options, reach: Reach) -> Result<reqwest::Client, RailsError> {
    reqwest::Client::builder()
        .dns_resolver(options.guard.resolver(reach))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(Duration::from_millis(options.connect_timeout_ms))
        // A connection is vetted when it is made, so none is kept for the next request.
        .pool_max_idle_per_host(0)
        // HTTP/2 would bound headers below what payment terms need.
        .http1_only()
        .gzip(true)
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .user_agent(concat!("imprest/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| RailsError::NoTls { why: words(&error) })
}

/// The one value of a header; nothing when it is absent.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, RailsError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(RailsError::BadTerms { why: format!("the header {name} is sent twice") });
    }
    Ok(first.map(|value| value.as_bytes()))
}

/// What the payee says of a payment, and its word for asking again, each where its protocol has it.
fn said(
    (request, quote, payload): (&Request, &Quote, &Payload),
    headers: &HeaderMap,
    body: &[u8],
) -> (Option<Receipt>, Option<String>) {
    let header = |name| only(headers, name).unwrap_or_default();
    match &quote.way {
        Way::X402V2 { .. } => (
            header(&PAYMENT_RESPONSE)
                .and_then(|header| x402::read_signed_receipt(header, request, quote, payload)),
            header(&PAYMENT_REQUIRED).and_then(v2::error_word),
        ),
        Way::X402V1 { .. } => {
            (header(&X_PAYMENT_RESPONSE).and_then(x402::read_receipt), v1::error_word(body))
        }
        Way::Mpp { .. } => {
            (header(&PAYMENT_RECEIPT).and_then(mpp::read_receipt), mpp::error_word(body))
        }
    }
}

/// Names a way to pay that a challenge stands for and the desk does not have.
fn not_paid_by(challenge: &HeaderValue) -> Option<String> {
    let text = String::from_utf8_lossy(challenge.as_bytes());
    let scheme = text.split([' ', ',']).next().unwrap_or_default();
    let known = match scheme.to_ascii_lowercase().as_str() {
        // Said already, offer by offer.
        "payment" => return None,
        "l402" | "lsat" => "L402 (Lightning)".to_owned(),
        _ => format!("the challenge “{}”", plain_line(scheme, 40)),
    };
    Some(format!("it asks for payment by {known}, which the desk does not pay"))
}

fn refused(refusal: AddressRefusal) -> RailsError {
    RailsError::AddressRefused { host: refusal.host, address: refusal.address }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// What lies at the bottom of an error, in bounded words. The layers above name the address asked
/// for, whose query can hold an agent's secrets.
pub(crate) fn words(error: &reqwest::Error) -> String {
    match chain(error).skip(1).last() {
        Some(cause) => plain_line(&cause.to_string(), 160),
        None => "the request could not be completed".into(),
    }
}
