//! `imprest networks`: which there are, and which nodes are asked.

use crate::args::{NetworksArgs, NetworksCommand};
use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{Tone, one_line};
use imprest_desk::view::NetworkRow;
use serde_json::{Value, json};

/// `imprest networks` and `imprest networks set-rpc`.
///
/// # Errors
/// What the desk says: another network than its own, an address that is none, a node of another
/// network or without the asset.
pub async fn networks(context: &Context, args: NetworksArgs) -> Result<End, Fault> {
    let (command, args) = match args.command {
        None => ("networks", json!({})),
        Some(NetworksCommand::SetRpc { network, urls }) => {
            ("set_nodes", json!({ "network": network, "urls": urls }))
        }
    };
    let (rows, answer): (Vec<NetworkRow>, Value) = context.ask_for(command, args).await?;
    let screen = context.screen;
    if screen.is_json() {
        screen.documents(answer.as_array().into_iter().flatten())?;
        return Ok(End::Done);
    }
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            screen.line("")?;
        }
        let title = screen.palette.paint(Tone::Strong, &one_line(&row.name));
        let own = match (row.own, row.practice) {
            (true, true) => "  this desk’s; practice money",
            (true, false) => "  this desk’s",
            (false, true) => "  practice money",
            (false, false) => "",
        };
        screen.line(&format!("{title}{own}"))?;
        let nodes = match (row.nodes.is_empty(), row.practice) {
            (true, true) => "one of its own, on this machine".to_owned(),
            _ => row.nodes.join(", "),
        };
        let facts = [
            ("name", row.key.clone()),
            ("chain", row.id.clone()),
            ("assets", row.assets.join(", ")),
            ("asks", nodes),
        ];
        screen.facts(2, &facts)?;
    }
    Ok(End::Done)
}
