//! What a payee answered: a stranger's data, bounded.

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Response headers beyond this many are left out.
const HEADERS_MAX: usize = 64;
/// Response headers longer than this are left out.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// An answer, held whole in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// At most 64 headers of at most 8 KiB each, lower case; repeated ones joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body after decompression, up to the limit in [`crate::Options`].
    pub body: Bytes,
    /// Whether there was more body than is held.
    pub truncated: bool,
    /// SHA-256 of [`Response::body`].
    pub sha256: [u8; 32],
    /// Whether the body is what a tool gave, a JSON object, taken out of the message it came in.
    pub is_result: bool,
}

impl Response {
    /// An answer that arrived whole.
    pub(crate) fn new(status: u16, headers: &HeaderMap, body: Bytes) -> Response {
        let sha256 = Sha256::digest(&body).into();
        let headers = bounded(headers);
        Response { status, headers, body, truncated: false, sha256, is_result: false }
    }
}

/// How reading a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// It was read whole, or up to the limit.
    Read,
    /// The connection broke, or the body could not be decompressed.
    Cut(String),
}

/// A body being read; what has arrived survives a cut or a time-out.
#[derive(Debug, Default)]
pub(crate) struct BodyReader {
    bytes: BytesMut,
    truncated: bool,
}

impl BodyReader {
    /// Reads until the end or `bytes_max`, whichever comes first.
    pub(crate) async fn read(
        &mut self,
        response: &mut reqwest::Response,
        bytes_max: usize,
    ) -> BodyEnd {
        self.read_until(response, bytes_max, |_| false).await
    }

    /// As [`BodyReader::read`], and no further than needed: `is_enough` is asked about everything
    /// that has arrived, each time there is more.
    pub(crate) async fn read_until(
        &mut self,
        response: &mut reqwest::Response,
        bytes_max: usize,
        mut is_enough: impl FnMut(&[u8]) -> bool,
    ) -> BodyEnd {
        loop {
            match response.chunk().await {
                Ok(None) => return BodyEnd::Read,
                Ok(Some(chunk)) => {
                    let room = bytes_max - self.bytes.len();
                    if chunk.len() > room {
                        self.bytes.extend_from_slice(&chunk[..room]);
                        self.truncated = !is_enough(&self.bytes);
                        return BodyEnd::Read;
                    }
                    self.bytes.extend_from_slice(&chunk);
                    if is_enough(&self.bytes) {
                        return BodyEnd::Read;
                    }
                }
                Err(error) => {
                    self.truncated = true;
                    return BodyEnd::Cut(crate::rails::words(&error));
                }
            }
        }
    }

    /// Marks that more was to come than was read.
    pub(crate) fn stop_short(&mut self) {
        self.truncated = true;
    }

    /// Whether there was more than is held.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// What has arrived.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_response(self, status: u16, headers: &HeaderMap) -> Response {
        Response {
            truncated: self.truncated,
            ..Response::new(status, headers, self.bytes.freeze())
        }
    }
}

fn bounded(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for name in headers.keys() {
        if kept.len() == HEADERS_MAX {
            break;
        }
        let values: Vec<_> =
            headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        let value = values.join(", ");
        if value.len() <= HEADER_BYTES_MAX {
            kept.insert(name.as_str().to_owned(), value);
        }
    }
    kept
}
