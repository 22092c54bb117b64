//! JSON-RPC over HTTP with a bounded body, a deadline and no redirects.

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;
use url::Url;

/// How long one call to a node may take, connection and body included.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of one answer. A full page of logs is about 1 MiB.
pub(crate) const MAX_ANSWER_BYTES: usize = 8 << 20;

/// The transport alloy drives. Its own HTTP transport reads a body of any size.
#[derive(Debug, Clone)]
pub(crate) struct BoundedHttp {
    client: reqwest::Client,
    url: Url,
}

impl BoundedHttp {
    /// Prepares a transport; nothing is sent yet.
    ///
    /// # Errors
    /// When the TLS configuration cannot be set up.
    pub(crate) fn new(url: Url) -> Result<BoundedHttp, String> {
        let client = reqwest::Client::builder()
            .timeout(CALL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(BoundedHttp { client, url })
    }

    async fn ask(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        // `without_url`: the URL may hold an access key.
        let failed = |error: reqwest::Error| TransportErrorKind::custom(error.without_url());
        let is_batch = matches!(request, RequestPacket::Batch(_));
        let mut answer = self.client.post(self.url).json(&request).send().await.map_err(failed)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(TransportErrorKind::non_retryable_str("it is larger than 8 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice::<ResponsePacket>(&body) {
            Ok(ResponsePacket::Batch(_)) if !is_batch => {
                Err(TransportErrorKind::non_retryable_str("it is a list"))
            }
            // Some nodes send a JSON-RPC error with a status of 4xx.
            Ok(packet) if status.is_success() || packet.is_error() => Ok(packet),
            Err(error) if status.is_success() => Err(TransportError::deser_err(error, "")),
            _ => Err(TransportErrorKind::http_error(status.as_u16(), String::new())),
        }
    }
}

impl Service<RequestPacket> for BoundedHttp {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}
