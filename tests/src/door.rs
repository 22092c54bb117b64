//! The agents' HTTP door, knocked on with nothing but an HTTP client and a token.

use crate::{Obstacle, Ready};
use reqwest::Client;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long one call may take; the desk itself waits up to a minute for owner and chain.
const CALL_PATIENCE: Duration = Duration::from_secs(90);
/// How long a payment may take to settle.
const SETTLE_PATIENCE: Duration = Duration::from_secs(90);

/// One agent at the HTTP door of a running desk.
#[derive(Debug, Clone)]
pub struct HttpDoor {
    client: Client,
    url: String,
    token: String,
}

impl HttpDoor {
    /// Knocks at the desk's door with `token`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(ready: &Ready, token: &str) -> Result<HttpDoor, Obstacle> {
        HttpDoor::at(&ready.url, token)
    }

    /// Knocks at the door at `url` with `token`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn at(url: &str, token: &str) -> Result<HttpDoor, Obstacle> {
        let client = Client::builder().no_proxy().timeout(CALL_PATIENCE).build();
        let client = client.map_err(|e| trouble("making an HTTP client", &e))?;
        Ok(HttpDoor { client, url: url.to_owned(), token: token.to_owned() })
    }

    /// Sends a body such as `{"url":…}` to a route such as `/v1/fetch`; answers the HTTP status
    /// and the document.
    ///
    /// # Errors
    /// When the door does not answer with JSON.
    pub async fn post(&self, route: &str, body: &Value) -> Result<(u16, Value), Obstacle> {
        self.answer(route, self.client.post(format!("{}{route}", self.url)).json(body)).await
    }

    /// Reads a route such as `/v1/payments`.
    ///
    /// # Errors
    /// As [`HttpDoor::post`].
    pub async fn get(&self, route: &str) -> Result<(u16, Value), Obstacle> {
        self.answer(route, self.client.get(format!("{}{route}", self.url))).await
    }

    /// Fetches, and answers the document of an answer that is no failure.
    ///
    /// # Errors
    /// When the HTTP status is not 200.
    pub async fn fetch(&self, body: &Value) -> Result<Value, Obstacle> {
        match self.post("/v1/fetch", body).await? {
            (200, answer) => Ok(answer),
            (status, failure) => Err(Obstacle::new(format!("HTTP {status}: {failure}"))),
        }
    }

    /// Waits until a payment has ended well, and answers what the desk then says of it.
    ///
    /// # Errors
    /// When it ends otherwise, or not in time.
    pub async fn settled(&self, payment: &str) -> Result<Value, Obstacle> {
        let until = Instant::now() + SETTLE_PATIENCE;
        loop {
            let (status, answer) =
                self.get(&format!("/v1/payments/{payment}?wait_ms=20000")).await?;
            match (status, answer["status"].as_str()) {
                (200, Some("settled")) => return Ok(answer),
                (200, Some("delivered" | "unknown")) if Instant::now() < until => {}
                _ => return Err(Obstacle::new(format!("{payment} does not settle: {answer}"))),
            }
        }
    }

    /// The agent's own payments, newest first, the first page.
    ///
    /// # Errors
    /// When the desk answers with another shape.
    pub async fn payments(&self) -> Result<Vec<Value>, Obstacle> {
        let (_, page) = self.get("/v1/payments").await?;
        let payments = page["payments"].as_array().cloned();
        payments.ok_or_else(|| Obstacle::new(format!("This is no page of payments: {page}")))
    }

    async fn answer(
        &self,
        route: &str,
        ask: reqwest::RequestBuilder,
    ) -> Result<(u16, Value), Obstacle> {
        let answer = ask.bearer_auth(&self.token).send().await.map_err(|e| trouble(route, &e))?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.map_err(|e| trouble(route, &e))?))
    }
}

fn trouble(doing: &str, error: &reqwest::Error) -> Obstacle {
    Obstacle::new(format!("{doing}: {error}"))
}
