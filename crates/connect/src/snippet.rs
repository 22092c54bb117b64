//! Text to be copied into the settings of a program that the desk does not know.

use crate::render::{Layout, json_lines};
use crate::server::{Content, Server};

/// What stands in a snippet where the token has to be put in by hand.
pub const TOKEN_PLACE: &str = "PUT-THE-TOKEN-HERE";

/// The entry for a program that starts its servers itself, as most programs write it: JSON. It needs
/// no token: the bridge takes it from the keychain.
pub fn stdio_snippet(server: &Server) -> String {
    let command = Content::Text(server.command().to_owned());
    snippet(server, vec![("command", command), ("args", Content::Words(server.args()))])
}

/// The entry for a program that speaks streamable HTTP, JSON with [`TOKEN_PLACE`] where the agent's
/// token has to be put in. `url` is the desk's MCP address, such as `http://127.0.0.1:4020/mcp`.
pub fn http_snippet(server: &Server, url: &str) -> String {
    let bearer = Content::Text(format!("Bearer {TOKEN_PLACE}"));
    snippet(
        server,
        vec![
            ("type", Content::Text("http".to_owned())),
            ("url", Content::Text(url.to_owned())),
            ("headers", map(vec![("Authorization", bearer)])),
        ],
    )
}

fn map(fields: Vec<(&str, Content)>) -> Content {
    Content::Map(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn snippet(server: &Server, entry: Vec<(&str, Content)>) -> String {
    let unit = "  ".to_owned();
    let layout = Layout { newline: "\n", indent: unit.clone(), unit };
    let servers = map(vec![(server.name().as_str(), map(entry))]);
    format!("{{\n  {}\n}}\n", json_lines("mcpServers", &servers, &layout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    #[test]
    #[cfg(unix)]
    fn snippets_are_json_and_hold_no_token() {
        let server = Server::new(
            "desk".parse().unwrap(),
            Path::new("/opt/imprest"),
            "Night shift".parse().unwrap(),
        )
        .unwrap();
        let stdio: serde_json::Value = serde_json::from_str(&stdio_snippet(&server)).unwrap();
        assert_eq!(
            stdio,
            json!({ "mcpServers": { "desk": {
                "command": "/opt/imprest", "args": ["mcp", "--agent", "Night shift"],
            }}})
        );
        let http = http_snippet(&server, "http://127.0.0.1:4040/mcp");
        let http: serde_json::Value = serde_json::from_str(&http).unwrap();
        let entry = &http["mcpServers"]["desk"];
        assert_eq!(entry["url"], "http://127.0.0.1:4040/mcp");
        assert_eq!(entry["headers"]["Authorization"], "Bearer PUT-THE-TOKEN-HERE");
    }
}
