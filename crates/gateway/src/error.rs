//! What can go wrong with the door itself, as opposed to with one request.

use std::net::SocketAddr;

/// A fault of the door or of the bridge: it could not be opened, or not be kept open.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The listener can be reached from other machines.
    #[error(
        "The agents' door would listen on {addr}, which other machines can reach. Listen on 127.0.0.1 instead."
    )]
    NotLoopback {
        /// Where it would have listened.
        addr: SocketAddr,
    },
    /// The listener does not say where it listens.
    #[error(
        "The agents' door could not be opened. Close the program that uses its port, or choose another port."
    )]
    Listener(#[source] std::io::Error),
    /// The text is not a token of the desk.
    #[error(
        "This is not an agent's token. Copy the whole token, from “imp_” to its end, or rotate it at the desk."
    )]
    MalformedToken,
    /// The operating system gives no random numbers.
    #[error(
        "The system gave no random numbers for a new token. Try again after restarting the computer."
    )]
    NoEntropy,
    /// The bridge was pointed at something else than a desk on this machine.
    #[error(
        "“{url}” is not the address of a desk on this machine. Give an address such as http://127.0.0.1:4040."
    )]
    NotADesk {
        /// What was given, cut to 200 characters.
        url: String,
    },
    /// The HTTP client could not be made.
    #[error("The bridge could not prepare its connection to the desk. Start it again.")]
    Client(#[source] reqwest::Error),
    /// The MCP conversation on standard input and output broke.
    #[error(
        "The MCP conversation broke: {reason}. Start the bridge again from the agent's MCP settings."
    )]
    Conversation {
        /// What the MCP library says.
        reason: String,
    },
}
