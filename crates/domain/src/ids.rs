//! Identifiers: short, prefixed, safe to show, log and put in a path.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An identifier that is not of the form `prefix_` followed by 1–64 of `[0-9a-z-]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is not an identifier that starts with {prefix}_")]
pub struct IdError {
    /// What the identifier should have started with.
    pub prefix: &'static str,
    /// What was given, cut to 80 characters.
    pub text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What every identifier of this kind starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Builds the identifier from a unique tail of `[0-9a-z-]`.
            ///
            /// # Errors
            /// When the tail is empty, longer than 64, or has another character.
            pub fn from_tail(tail: &str) -> Result<Self, IdError> {
                format!("{}_{tail}", $prefix).parse()
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                let fits = text
                    .strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .is_some_and(|tail| {
                        (1..=64).contains(&tail.len())
                            && tail.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'-'))
                    });
                if fits {
                    Ok(Self(text))
                } else {
                    Err(IdError { prefix: $prefix, text: text.chars().take(80).collect() })
                }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One agent of this desk, for ever; a revoked agent's identifier is never given again.
    AgentId, "agt"
);
id!(
    /// One payment an agent asked for, whatever became of it; refusals have one too.
    PaymentId, "pay"
);
id!(
    /// One question to the owner.
    ApprovalId, "apv"
);
id!(
    /// One budget that several agents share.
    SharedId, "shb"
);
id!(
    /// One movement of money from the treasury to a float.
    RefillId, "rfl"
);
id!(
    /// One movement of money from a float back to the treasury.
    SweepId, "swp"
);

impl AgentId {
    /// The agent of a rehearsal, which is nobody's.
    pub(crate) fn of_rehearsal() -> AgentId {
        AgentId("agt_rehearsal".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_its_own_form_only() {
        let nobody = AgentId::of_rehearsal();
        assert_eq!(nobody.as_str().parse(), Ok(nobody));
        assert!("pay_0192-ab".parse::<PaymentId>().is_ok());
        for bad in ["", "pay_", "pay_AB", "agt_1", "pay_1/2", "pay_1 ", "pay"] {
            assert!(bad.parse::<PaymentId>().is_err(), "{bad:?} was accepted");
        }
        assert!(format!("pay_{}", "1".repeat(65)).parse::<PaymentId>().is_err());
    }
}
