//! Which nodes the desk asks about its chain: whoever chooses them chooses what the desk believes,
//! so the choice stands in the log, under the vault's seal, and not in a file that anybody can edit.

use crate::Ledger;
use crate::books::Books;
use crate::cell::Json;
use crate::error::LedgerError;
use crate::event::Event;
use crate::rows::DeskRow;
use serde::{Deserialize, Serialize};

/// The form of the events that name nodes.
const VERSION: u32 = 1;
/// The most nodes a desk asks.
pub const NODES_MAX: usize = 4;
/// The longest address of a node, in bytes.
pub const NODE_BYTES_MAX: usize = 500;

/// Addresses of nodes, the preferred first; at most [`NODES_MAX`] of at most [`NODE_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Nodes(Vec<String>);

impl Nodes {
    /// The addresses, as the owner wrote them. They may hold an access key.
    pub fn urls(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Nodes {
    type Error = &'static str;

    fn try_from(urls: Vec<String>) -> Result<Nodes, &'static str> {
        let fits = |url: &String| (1..=NODE_BYTES_MAX).contains(&url.len());
        if urls.len() > NODES_MAX || !urls.iter().all(fits) {
            return Err("one to four addresses of at most 500 bytes are allowed");
        }
        Ok(Nodes(urls))
    }
}

impl From<Nodes> for Vec<String> {
    fn from(nodes: Nodes) -> Vec<String> {
        nodes.0
    }
}

impl Ledger {
    /// The nodes that the owner chose; nothing where the network's own are asked.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn nodes(&self) -> Result<Option<Nodes>, LedgerError> {
        let found: Option<Option<String>> = sqlx::query_scalar("SELECT nodes FROM desk")
            .fetch_optional(&self.store.readers)
            .await?;
        let read = |text: String| {
            serde_json::from_str(&text).map_err(|error| LedgerError::damaged(error.to_string()))
        };
        let nodes: Option<Nodes> = found.flatten().map(read).transpose()?;
        Ok(nodes.filter(|nodes| !nodes.0.is_empty()))
    }

    /// Chooses the nodes; none at all stands for the network's own.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] while the vault is, or a failed write.
    pub async fn set_nodes(&self, nodes: Nodes) -> Result<(), LedgerError> {
        self.record(Event::NodesSet { version: VERSION, nodes }).await.map(|_| ())
    }
}

impl Books {
    /// Takes the owner's choice of nodes.
    pub(crate) fn set_nodes(&mut self, version: u32, nodes: Nodes) -> Result<(), LedgerError> {
        if version != VERSION {
            return Err(LedgerError::damaged("nodes in a form that this program does not know"));
        }
        let desk = self.desk()?;
        self.put(DeskRow { nodes: Some(Json(nodes)), ..desk });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Nodes> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn a_choice_is_short() {
        assert_eq!(read(r#"["a","b"]"#).unwrap().urls(), ["a", "b"]);
        assert_eq!(read("[]").unwrap().urls(), [""; 0]);
        let long = format!(r#"["{}"]"#, "x".repeat(NODE_BYTES_MAX));
        assert!(read(&long).is_some());
        let longer = format!(r#"["{}"]"#, "x".repeat(NODE_BYTES_MAX + 1));
        for bad in [r#"["a","b","c","d","e"]"#, r#"[""]"#, r#"{}"#, r#"[1]"#, "null", &longer] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
