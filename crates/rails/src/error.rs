//! What can go wrong before anything is paid.

use std::net::IpAddr;

/// Why a request was not made, or its answer could not be used. A closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RailsError {
    /// The address is not one the desk fetches.
    #[error("the address cannot be fetched: {why}")]
    BadUrl {
        /// What is wrong, and what to write instead.
        why: String,
    },
    /// The method is not one the desk uses.
    #[error("“{method}” is not a method the desk uses; use GET, HEAD, POST, PUT, PATCH or DELETE")]
    BadMethod {
        /// What was given, bounded.
        method: String,
    },
    /// A header is malformed, or one that the desk sets itself.
    #[error("the header “{name}” cannot be sent: {why}")]
    BadHeader {
        /// Which header, bounded.
        name: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A call of a tool is malformed.
    #[error("the tool cannot be called: {why}")]
    BadCall {
        /// What is wrong with it.
        why: String,
    },
    /// A tool's server did not answer as one, or refused the call.
    #[error("{host} did not do what was called: {why}; nothing was paid")]
    NotDone {
        /// The host as asked for.
        host: String,
        /// What it said instead, bounded.
        why: String,
    },
    /// The host resolves to an address that agents may not reach.
    #[error(
        "{host} leads to {address}, which is not on the public internet; the desk's owner can allow it with `imprest hosts allow HOST:PORT`"
    )]
    AddressRefused {
        /// The host as asked for.
        host: String,
        /// The first address that was refused.
        address: IpAddr,
    },
    /// No connection, or one that broke before a whole answer arrived.
    #[error("{host} could not be reached: {why}; check the address and try again")]
    Unreachable {
        /// The host as asked for.
        host: String,
        /// What happened.
        why: String,
    },
    /// No whole answer within the time allowed.
    #[error("{host} gave no whole answer within {timeout_ms} ms; try again later")]
    TimedOut {
        /// The host as asked for.
        host: String,
        /// The time allowed.
        timeout_ms: u64,
    },
    /// Something is larger than the desk takes.
    #[error("{what} is larger than {bytes_max} bytes; send or ask for less")]
    TooLarge {
        /// What is too large: “the request body”.
        what: &'static str,
        /// The most that is taken.
        bytes_max: usize,
    },
    /// The payee asks for payment in a form that cannot be trusted.
    #[error("the payee's terms cannot be read: {why}; nothing was paid")]
    BadTerms {
        /// What is wrong with them.
        why: String,
    },
    /// This machine offers no usable TLS.
    #[error(
        "secure connections cannot be set up on this machine: {why}; install its CA certificates"
    )]
    NoTls {
        /// What the TLS library says.
        why: String,
    },
}
