//! The forms of what is typed, checked before a desk is asked.

use imprest_connect::{Program, ServerName};
use imprest_domain::{AgentId, AgentName, ApprovalId, Asset, AssetId, Grade, PaymentId, SharedId};

/// An amount's form: plain digits with a point. Whether the asset has so many decimals is the
/// desk's to say, so the text's own number of decimals is taken as the scale here.
pub fn amount(text: &str) -> Result<String, String> {
    let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let decimals = u8::try_from(decimals).ok().filter(|count| *count <= 24);
    let decimals = decimals.ok_or("no asset has that many digits after the point")?;
    let id = AssetId { chain_id: 0, contract: imprest_domain::Address::ZERO };
    let scale = Asset {
        id,
        symbol: String::new(),
        decimals,
        eip712_name: String::new(),
        eip712_version: String::new(),
    };
    scale.parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// An address whose capitals, if it has some, are those of the checksum (EIP-55).
pub(super) fn address(text: &str) -> Result<String, String> {
    imprest_domain::read_address(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A moment with its zone.
pub fn moment(text: &str) -> Result<String, String> {
    text.parse::<jiff::Timestamp>()
        .map(|moment| moment.to_string())
        .map_err(|_| "a time is written as 2026-12-31T23:00:00Z, with its zone".to_owned())
}

pub(super) fn grade(text: &str) -> Result<String, String> {
    text.parse::<Grade>().map(|grade| grade.to_string()).map_err(|error| error.to_string())
}

pub(super) fn agent_name(text: &str) -> Result<String, String> {
    text.parse::<AgentName>().map(String::from).map_err(|error| error.to_string())
}

/// An agent as it stands in a program's settings: by name.
pub(super) fn stored_agent(text: &str) -> Result<AgentName, String> {
    text.parse::<AgentName>().map_err(|error| error.to_string())
}

pub(super) fn agent_program(text: &str) -> Result<Program, String> {
    text.parse::<Program>().map_err(|error| error.to_string())
}

pub(super) fn server_name(text: &str) -> Result<ServerName, String> {
    text.parse::<ServerName>().map_err(|error| error.to_string())
}

/// An agent that exists: by name, or by identifier.
pub(super) fn agent(text: &str) -> Result<String, String> {
    if text.parse::<AgentId>().is_ok() {
        return Ok(text.to_owned());
    }
    agent_name(text)
}

/// A shared budget: by name, or by identifier.
pub(super) fn shared(text: &str) -> Result<String, String> {
    if text.parse::<SharedId>().is_ok() {
        return Ok(text.to_owned());
    }
    agent_name(text)
}

pub(super) fn approval(text: &str) -> Result<String, String> {
    text.parse::<ApprovalId>().map(String::from).map_err(|error| error.to_string())
}

pub(super) fn payment(text: &str) -> Result<String, String> {
    text.parse::<PaymentId>().map(String::from).map_err(|error| error.to_string())
}

pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let wrong = || "write host and port, such as 127.0.0.1:8402".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port_fits = port.parse::<u16>().is_ok_and(|port| port > 0);
    let host_fits = !host.is_empty() && host.len() <= 253 && !host.contains(['/', '@', ' ']);
    if port_fits && host_fits { Ok(text.to_owned()) } else { Err(wrong()) }
}

pub(super) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err("write a header as 'name: value'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_plain_digits() {
        for good in ["0", "0.25", "5", "1000000", "0.000001"] {
            assert_eq!(amount(good).as_deref(), Ok(good));
        }
        let long = format!("0.{}", "1".repeat(25));
        for bad in ["", "-1", "+1", "1,50", "1e3", ".5", "5.", "0x1", "none", " 1", &long] {
            assert!(amount(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn other_words_are_checked_before_a_desk_is_asked() {
        assert!(moment("2026-12-31").is_err());
        assert!(moment("2026-12-31T23:00:00Z").is_ok());
        assert_eq!(grade("l2").as_deref(), Ok("L2"));
        assert!(grade("L5").is_err());
        assert!(agent("../x").is_err());
        assert!(approval("pay_1").is_err());
        assert!(payment("pay_../1").is_err());
        for bad in ["localhost", "localhost:0", ":80", "a/b:80", "http://a:80", "a:99999"] {
            assert!(host_and_port(bad).is_err(), "{bad} was accepted");
        }
        for good in ["127.0.0.1:8402", "localhost:80", "[::1]:80"] {
            assert!(host_and_port(good).is_ok(), "{good} was refused");
        }
        assert_eq!(header("A:  b: c"), Ok(("a".to_owned(), "b: c".to_owned())));
        assert!(header("nothing").is_err() && header(": x").is_err());
    }
}
