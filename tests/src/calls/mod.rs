//! Calls at the agents' door, drawn by dice: what an agent may say, what it should not, and what no
//! program ever says; by HTTP and by MCP, one after another or all at once.

mod draw;
mod judge;
mod rpc;

pub use judge::{Heard, Witness};

use imprest_fuzz::Dice;

/// Where a call's text names a payment of the agent's own; known only once calls were answered.
const OWN_PAYMENT: &str = "OWN-PAYMENT";
/// Where it names a payment of another agent.
const OTHERS_PAYMENT: &str = "OTHERS-PAYMENT";

/// One request, as far as it is known before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method.
    pub method: &'static str,
    /// Path and query; may hold a placeholder for a payment.
    pub path: String,
    /// Headers besides the host and the token.
    pub headers: Vec<(&'static str, String)>,
    /// The body; may hold a placeholder for a payment.
    pub body: Vec<u8>,
    /// Whether the agent shows its token.
    pub with_token: bool,
    /// Which of the known payments a placeholder stands for.
    pub nth: usize,
}

impl Call {
    /// The same call with payments in the place of its placeholders.
    pub fn naming(&self, own: &[String], others: &[String]) -> Call {
        let nobodys = "pay_0".to_owned();
        let nth = |ids: &[String]| match ids.len() {
            0 => nobodys.clone(),
            many => ids[self.nth % many].clone(),
        };
        let (own, others) = (nth(own), nth(others));
        let named = |text: &str| text.replace(OWN_PAYMENT, &own).replace(OTHERS_PAYMENT, &others);
        let body = match std::str::from_utf8(&self.body) {
            Ok(text) => named(text).into_bytes(),
            Err(_) => self.body.clone(),
        };
        Call { path: named(&self.path), body, ..self.clone() }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let shown: String = body.chars().take(600).collect();
        let token = if self.with_token { "" } else { " without a token" };
        write!(f, "{} {}{token} {:?} {shown}", self.method, self.path, self.headers)
    }
}

/// Calls that one agent makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// What it was drawn with; the same number draws the same calls.
    pub seed: u64,
    /// Whether the calls are made at the same moment.
    pub at_once: bool,
    /// The calls.
    pub calls: Vec<Call>,
}

/// What calls are about: the same for a whole run.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The practice shop's origin, without a slash at its end.
    pub shop: String,
    /// The USDC contract.
    pub contract: String,
}

/// Who makes the calls.
#[derive(Debug, Clone)]
pub struct Role {
    /// A word that only this agent uses; its purposes begin with it.
    pub mark: String,
    /// The address of its float.
    pub float: String,
}

impl Sequence {
    /// Draws one to `calls_max` calls.
    pub fn draw(seed: u64, calls_max: usize, stage: &Stage, role: &Role) -> Sequence {
        let mut dice = Dice::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let at_once = dice.once_in(4);
        let count = 1 + dice.roll(calls_max);
        let mut calls: Vec<Call> = Vec::with_capacity(count);
        for _ in 0..count {
            // A program that lost an answer says the same again.
            match calls.last() {
                Some(last) if dice.once_in(6) => calls.push(last.clone()),
                _ => calls.push(draw::call(&mut dice, stage, role)),
            }
        }
        Sequence { seed, at_once, calls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> Stage {
        Stage { shop: "http://127.0.0.1:9".into(), contract: format!("0x{}", "1".repeat(40)) }
    }

    fn role() -> Role {
        Role { mark: "mark-01".into(), float: format!("0x{}", "2".repeat(40)) }
    }

    #[test]
    fn the_same_number_draws_the_same_calls() {
        let draw = |seed| Sequence::draw(seed, 5, &stage(), &role());
        assert!((0..200).all(|seed| draw(seed) == draw(seed)));
        assert!((0..200).any(|seed| draw(seed) != draw(seed + 1)));
    }

    #[test]
    fn every_route_and_both_ways_are_drawn() {
        let all: Vec<Call> =
            (0..3_000).flat_map(|n| Sequence::draw(n, 5, &stage(), &role()).calls).collect();
        for (method, path) in [
            ("POST", "/v1/fetch"),
            ("POST", "/v1/quote"),
            ("POST", "/v1/transfers"),
            ("POST", "/mcp"),
            ("GET", "/v1/budget"),
            ("GET", "/v1/payments"),
            ("GET", "/v1/payments/OWN-PAYMENT?wait_ms=20"),
            ("GET", "/v1/payments/OTHERS-PAYMENT"),
            ("GET", "/v1/openapi.json"),
        ] {
            let drawn =
                all.iter().filter(|call| call.method == method && call.path == path).count();
            assert!(drawn >= 10, "{method} {path}: {drawn}");
        }
        let said = |word: &str| {
            all.iter().filter(|call| String::from_utf8_lossy(&call.body).contains(word)).count()
        };
        for word in ["tools/call", "tools/list", "initialize", "server/discover", "\"transfer\""] {
            assert!(said(word) >= 10, "{word}: {}", said(word));
        }
    }

    #[test]
    fn payments_are_named_where_they_are_known() {
        let call = Call {
            method: "GET",
            path: format!("/v1/payments/{OWN_PAYMENT}"),
            headers: Vec::new(),
            body: OTHERS_PAYMENT.into(),
            with_token: true,
            nth: 4,
        };
        let own: Vec<String> = ["pay_a", "pay_b", "pay_c"].map(String::from).into();
        let named = call.naming(&own, &[]);
        assert_eq!(
            (named.path.as_str(), named.body.as_slice()),
            ("/v1/payments/pay_b", &b"pay_0"[..])
        );
    }
}
