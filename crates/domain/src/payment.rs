//! The life of a payment, from asked to accounted for.

use serde::{Deserialize, Serialize};

/// Where a payment stands.
///
/// ```text
/// refused
/// waiting ─▶ refused | held
/// held ─▶ void                      (never signed)
/// held ─▶ delivered | unknown ─▶ settled | expired
/// settled ─▶ delivered | unknown    (its block was undone: [`PaymentState::reopened`])
/// ```
/// From the moment of `held` the money counts as spent; only evidence gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentState {
    /// The rules or the owner said no. Nothing was reserved.
    Refused,
    /// The owner has been asked. Nothing is reserved yet.
    Waiting,
    /// Reserved and durable; a signature may exist.
    Held,
    /// The payee answered as if paid; the chain has not confirmed it yet.
    Delivered,
    /// A signature left the desk and nobody knows what became of it.
    Unknown,
    /// The chain says it was paid.
    Settled,
    /// The hold was given back without a signature ever having existed.
    Void,
    /// The signature's time ran out unused, by the chain's own finalised clock.
    Expired,
}

/// A step the life of a payment does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {from:?} cannot become {to:?}")]
pub struct TransitionError {
    /// Where it stands.
    pub from: PaymentState,
    /// What was attempted.
    pub to: PaymentState,
}

impl PaymentState {
    /// Whether reserved money still rests on it: a hold that neither settled nor came back.
    pub fn is_open(self) -> bool {
        matches!(self, PaymentState::Held | PaymentState::Delivered | PaymentState::Unknown)
    }

    /// Whether nothing more will happen to it, short of the chain undoing the block of a settlement.
    pub fn is_final(self) -> bool {
        !self.is_open() && self != PaymentState::Waiting
    }

    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            PaymentState::Refused => "refused",
            PaymentState::Waiting => "waiting",
            PaymentState::Held => "held",
            PaymentState::Delivered => "delivered",
            PaymentState::Unknown => "unknown",
            PaymentState::Settled => "settled",
            PaymentState::Void => "void",
            PaymentState::Expired => "expired",
        }
    }

    /// Reads [`PaymentState::word`] back.
    pub fn from_word(word: &str) -> Option<PaymentState> {
        use PaymentState::*;
        [Refused, Waiting, Held, Delivered, Unknown, Settled, Void, Expired]
            .into_iter()
            .find(|state| state.word() == word)
    }

    /// Where a settlement goes back to when the chain has undone its block: the money is reserved
    /// as before it settled. It never was, or is, a hold that nothing was signed under.
    ///
    /// # Errors
    /// [`TransitionError`] for a payment that is not settled.
    pub fn reopened(self, was_delivered: bool) -> Result<PaymentState, TransitionError> {
        use PaymentState::*;
        let to = if was_delivered { Delivered } else { Unknown };
        if self == Settled { Ok(to) } else { Err(TransitionError { from: self, to }) }
    }

    /// Checks one step forward.
    ///
    /// # Errors
    /// [`TransitionError`] for every step not drawn at [`PaymentState`].
    pub fn to(self, to: PaymentState) -> Result<PaymentState, TransitionError> {
        use PaymentState::*;
        let allowed = match self {
            Waiting => matches!(to, Refused | Held),
            Held => matches!(to, Void | Delivered | Unknown | Settled | Expired),
            // An answer can come late, and a claim can turn out empty.
            Delivered => matches!(to, Unknown | Settled | Expired),
            Unknown => matches!(to, Delivered | Settled | Expired),
            Refused | Settled | Void | Expired => false,
        };
        if allowed { Ok(to) } else { Err(TransitionError { from: self, to }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PaymentState::*;

    const ALL: [PaymentState; 8] =
        [Refused, Waiting, Held, Delivered, Unknown, Settled, Void, Expired];

    #[test]
    fn money_rests_on_a_payment_from_the_hold_to_the_last_word() {
        for (state, open, last) in [
            (Refused, false, true),
            (Waiting, false, false),
            (Held, true, false),
            (Delivered, true, false),
            (Unknown, true, false),
            (Settled, false, true),
            (Void, false, true),
            (Expired, false, true),
        ] {
            assert_eq!((state.is_open(), state.is_final()), (open, last), "{state:?}");
            let goes_on = ALL.into_iter().any(|to| state.to(to).is_ok());
            assert_eq!(goes_on, !last, "{state:?}");
        }
    }

    #[test]
    fn nothing_leaves_a_final_state() {
        for from in ALL.into_iter().filter(|s| s.is_final()) {
            for to in ALL {
                assert!(from.to(to).is_err(), "{from:?} became {to:?}");
            }
        }
    }

    #[test]
    fn only_an_unsigned_hold_can_be_void() {
        for from in ALL {
            assert_eq!(from.to(Void).is_ok(), from == Held, "{from:?}");
        }
    }

    #[test]
    fn only_a_settlement_reopens_and_never_as_something_that_can_be_void() {
        for from in ALL {
            for (delivered, to) in [(true, Delivered), (false, Unknown)] {
                let wrong = Err(TransitionError { from, to });
                let right = if from == Settled { Ok(to) } else { wrong };
                assert_eq!(from.reopened(delivered), right, "{from:?}");
            }
        }
    }

    #[test]
    fn words_read_back() {
        for state in ALL {
            assert_eq!(PaymentState::from_word(state.word()), Some(state));
        }
    }
}
