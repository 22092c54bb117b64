//! The corner shop: a small honest merchant that sells by x402 version 2, scheme `exact`.

mod facilitator;
mod goods;
mod wire;

use crate::account::{Account, Role};
use crate::error::PracticeError;
use alloy_primitives::Address;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use facilitator::{Facilitator, Refusal};
use goods::{Counter, GOODS, Good};
use imprest_chain::Chain;
use imprest_domain::Units;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;
use wire::{MAX_HEADER_BYTES, Requirements};

/// Seconds a customer's authorisation should be good for.
const MAX_TIMEOUT_S: u64 = 60;

/// An open corner shop on 127.0.0.1.
#[derive(Debug)]
pub struct Shop {
    url: Url,
    port: u16,
    pay_to: Address,
    close: Option<oneshot::Sender<()>>,
    door: JoinHandle<()>,
}

impl Shop {
    /// Opens the shop on a port, or on another free one if that is taken.
    ///
    /// # Errors
    /// [`PracticeError::Shop`] when no port can be had.
    pub async fn open(chain: Chain, port: Option<u16>) -> Result<Shop, PracticeError> {
        let on = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = match on(port.unwrap_or(0)).await {
            Ok(listener) => Ok(listener),
            Err(_) => on(0).await,
        };
        let no_port =
            |error| PracticeError::Shop { why: format!("it has no port on 127.0.0.1: {error}") };
        let listener = listener.map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).map_err(PracticeError::anvil)?;
        let pay_to = Role::Shop.key()?.address();
        let relayer = Account::new(Role::Relayer, chain.clone())?;
        let stall = Stall {
            url: url.clone(),
            pay_to,
            counter: Counter::default(),
            facilitator: Arc::new(Facilitator::new(chain.clone(), relayer)),
            chain,
        };
        let router = Router::new().fallback(serve).with_state(Arc::new(stall));
        let (close, closed) = oneshot::channel::<()>();
        let door = tokio::spawn(async move {
            let until_closed = async move {
                let _ = closed.await;
            };
            if let Err(error) =
                axum::serve(listener, router).with_graceful_shutdown(until_closed).await
            {
                tracing::warn!(%error, "the corner shop closed");
            }
        });
        Ok(Shop { url, port, pay_to, close: Some(close), door })
    }

    /// Where it is, `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address customers pay.
    pub fn pay_to(&self) -> Address {
        self.pay_to
    }

    /// Lets the customers inside finish, for at most two seconds, and closes.
    pub async fn close(mut self) {
        if let Some(close) = self.close.take() {
            let _ = close.send(());
        }
        if timeout(Duration::from_secs(2), &mut self.door).await.is_err() {
            self.door.abort();
        }
    }
}

/// What the shop's one handler works with.
struct Stall {
    url: Url,
    pay_to: Address,
    counter: Counter,
    facilitator: Arc<Facilitator>,
    chain: Chain,
}

impl Stall {
    /// The terms for a good at a price.
    fn terms(&self, price: Units) -> Requirements {
        let asset = self.chain.asset();
        Requirements::exact(asset, price, self.pay_to, MAX_TIMEOUT_S)
    }

    /// The price list, free of charge.
    fn listing(&self) -> Value {
        let asset = self.chain.asset();
        let goods: Vec<Value> = GOODS
            .iter()
            .map(|good| {
                let price = good.list_price();
                json!({
                    "path": good.path,
                    "title": good.title,
                    "price": asset.format(price),
                    "price_units": price,
                    "price_changes": good.price_changes(),
                })
            })
            .collect();
        json!({
            "shop": "Corner shop",
            "practice": true,
            "network": asset.id.network(),
            "asset": { "symbol": asset.symbol, "contract": asset.id.contract.to_string() },
            "pay_to": self.pay_to.to_string(),
            "goods": goods,
        })
    }

    /// 402 with the terms in `PAYMENT-REQUIRED`, and why.
    fn ask(&self, good: &Good, url: &Url, why: &str) -> Response {
        let terms = self.terms(self.counter.quote(good));
        let required = wire::payment_required(good, url, why, &terms);
        answer(StatusCode::PAYMENT_REQUIRED, Some(("payment-required", &required)), json!({}))
    }

    /// A visit with a payment: verify, make the good, settle, hand over.
    async fn sell(&self, good: &'static Good, url: &Url, paid: &HeaderValue) -> Response {
        let payment = match wire::read_payment(paid.as_bytes()) {
            Ok(payment) => payment,
            Err(why) => return self.ask(good, url, why),
        };
        let honoured = self.counter.honoured(good);
        let Some(terms) = honoured
            .into_iter()
            .map(|price| self.terms(price))
            .find(|t| t.equals(&payment.accepted))
        else {
            return self.ask(good, url, "the accepted terms are none this shop offered");
        };
        let claim = match self.facilitator.verify(&terms, &payment.payload).await {
            Ok(claim) => claim,
            Err(why) => return self.ask(good, url, why.reason()),
        };
        // The good is made before the money moves: nobody pays for what cannot be had.
        let content = good.content();
        let payer = claim.payer();
        // Its own task: a customer who hangs up does not leave a settlement half done.
        let facilitator = Arc::clone(&self.facilitator);
        let settled = tokio::spawn(async move { facilitator.settle(claim).await }).await;
        let settled = settled.unwrap_or(Err(Refusal::unexpected()));
        let response = wire::settle_response(&terms, payer, settled.as_ref());
        let header = Some(("payment-response", &response));
        match settled {
            Ok(_) => answer(StatusCode::OK, header, content),
            Err(_) => answer(StatusCode::PAYMENT_REQUIRED, header, json!({})),
        }
    }
}

async fn serve(
    State(stall): State<Arc<Stall>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET {
        let only = [(header::ALLOW, HeaderValue::from_static("GET"))];
        return (StatusCode::METHOD_NOT_ALLOWED, only).into_response();
    }
    if uri.path() == "/" {
        return answer(StatusCode::OK, None, stall.listing());
    }
    let Some(good) = GOODS.iter().find(|good| good.path == uri.path()) else {
        let what = json!({ "error": "The corner shop does not sell this. See / for the goods." });
        return answer(StatusCode::NOT_FOUND, None, what);
    };
    let mut url = stall.url.clone();
    url.set_path(uri.path());
    url.set_query(uri.query());
    let mut payments = headers.get_all("payment-signature").iter();
    match (payments.next(), payments.next()) {
        (None, _) => stall.ask(good, &url, "PAYMENT-SIGNATURE header is required"),
        (Some(_), Some(_)) => stall.ask(good, &url, "more than one PAYMENT-SIGNATURE header"),
        (Some(paid), None) if paid.len() > MAX_HEADER_BYTES => {
            stall.ask(good, &url, "the PAYMENT-SIGNATURE header is too long")
        }
        (Some(paid), None) => stall.sell(good, &url, paid).await,
    }
}

/// A JSON answer that nobody caches, with one of x402's headers.
fn answer(status: StatusCode, x402: Option<(&'static str, &Value)>, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some((name, value)) = x402 {
        // Base64 always is a header value; the conversion cannot fail.
        if let Ok(value) = HeaderValue::from_str(&wire::encode(value)) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}
