//! Challenges that are being answered. A payee may give two requests of one moment the same one, and
//! two answers to it would be one payment to the chain: the second request asks again instead.

use crate::desk::Desk;
use crate::problem::rails_failure;
use imprest_domain::{AgentId, B256};
use imprest_gateway::Failure;
use imprest_rails::{Probe, Request};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a payee is asked for a challenge of one's own.
const TRIES: u32 = 5;
/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);
/// For how long a challenge is remembered here; the books remember those that were answered.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// The challenges that some request has taken, by whose they are.
#[derive(Default)]
pub(crate) struct Challenges(Mutex<HashMap<(AgentId, B256), Instant>>);

impl Challenges {
    /// Takes a challenge; no when another request has it.
    fn take(&self, agent: &AgentId, nonce: B256, now: Instant) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, at| now.saturating_duration_since(*at) < KEPT_FOR);
        taken.insert((agent.clone(), nonce), now).is_none()
    }
}

impl Desk {
    /// Asks what something costs, until the offer is one that no other request of this agent answers.
    ///
    /// # Errors
    /// As [`imprest_rails::Rails::quote`].
    pub(crate) async fn own_quote(
        &self,
        agent: &AgentId,
        request: &Request,
    ) -> Result<Probe, Failure> {
        let mut tries = 0;
        loop {
            let probe = self.inner.rails.quote(request).await.map_err(rails_failure)?;
            tries += 1;
            let nonce = match &probe {
                Probe::Offer(quote) => quote.nonce(),
                _ => None,
            };
            let is_own =
                nonce.is_none_or(|nonce| self.inner.challenges.take(agent, nonce, Instant::now()));
            // Should the payee go on so, the books refuse what was answered.
            if is_own || tries == TRIES {
                return Ok(probe);
            }
            tokio::time::sleep(PAUSE * tries).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_has_one_taker_for_a_while() {
        let challenges = Challenges::default();
        let agent = |tail: &str| AgentId::from_tail(tail).unwrap();
        let (one, other) = (agent("one"), agent("other"));
        let (nonce, now) = (B256::repeat_byte(7), Instant::now());
        assert!(challenges.take(&one, nonce, now));
        assert!(!challenges.take(&one, nonce, now));
        assert!(challenges.take(&other, nonce, now), "another payer's is another payment");
        assert!(challenges.take(&one, B256::ZERO, now));
        assert!(challenges.take(&one, nonce, now + KEPT_FOR * 2));
        assert_eq!(challenges.0.lock().unwrap().len(), 1, "what is old is forgotten");
    }
}
