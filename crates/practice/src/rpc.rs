//! The part of anvil's JSON-RPC that only a practice network has.

use crate::error::PracticeError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// Most bytes of an answer. A saved chain is the largest: a few MiB.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A caller of one anvil. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    client: reqwest::Client,
    url: Url,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

impl Rpc {
    pub(crate) fn new(url: Url) -> Result<Rpc, PracticeError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(PracticeError::anvil)?;
        Ok(Rpc { client, url })
    }

    /// Calls one method. A `null` result is an error except for [`Rpc::tell`].
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, PracticeError> {
        self.send(method, params).await?.ok_or_else(|| PracticeError::rpc(method, "no result"))
    }

    /// Calls a method that answers nothing of interest.
    pub(crate) async fn tell(&self, method: &str, params: Value) -> Result<(), PracticeError> {
        self.send::<Value>(method, params).await.map(drop)
    }

    /// A number in JSON-RPC's hexadecimal form.
    pub(crate) async fn number(&self, method: &str, params: Value) -> Result<u64, PracticeError> {
        let text: String = self.ask(method, params).await?;
        parse_quantity(&text).ok_or_else(|| PracticeError::rpc(method, "not a number"))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<Option<T>, PracticeError> {
        let failed = |error: reqwest::Error| PracticeError::rpc(method, error);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer =
            self.client.post(self.url.clone()).json(&body).send().await.map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(PracticeError::rpc(method, "the answer is larger than 256 MiB"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer: Answer<T> =
            serde_json::from_slice(&bytes).map_err(|error| PracticeError::rpc(method, error))?;
        match answer.error {
            Some(failure) => Err(PracticeError::rpc(method, failure.message)),
            None => Ok(answer.result),
        }
    }
}

/// Reads `0x1f`.
pub(crate) fn parse_quantity(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quantities_strictly() {
        assert_eq!(parse_quantity("0x1f"), Some(31));
        for bad in ["", "0x", "1f", "0x+1", "0xg", "0x10000000000000000", " 0x1"] {
            assert_eq!(parse_quantity(bad), None, "{bad:?}");
        }
    }
}
