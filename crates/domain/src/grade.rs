//! Grades: what an agent may do unasked. Danger: how suspicious the world looks.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an agent may do without asking, from nothing (L0) to its whole budget (L4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grade {
    /// Stopped: nothing, not even looking.
    L0,
    /// Look: prices and its own budget only.
    L1,
    /// Ask: every payment is a question.
    L2,
    /// Allowance: pays known payees inside its limits, asks the rest.
    L3,
    /// Steward: also pays new payees where its budget's rule for them says so.
    L4,
}

impl Grade {
    /// All grades, lowest first.
    pub const ALL: [Grade; 5] = [Grade::L0, Grade::L1, Grade::L2, Grade::L3, Grade::L4];

    /// The grade in force: `min(granted, 4 − danger)`, see
    /// `docs/decisions/0014-signals-and-danger.md`.
    pub fn in_force(self, danger: Danger) -> Grade {
        let ceiling = match danger {
            Danger::Calm => Grade::L4,
            Danger::Wary => Grade::L3,
            Danger::Guarded => Grade::L2,
            Danger::Halted => Grade::L1,
        };
        self.min(ceiling)
    }

    /// The word people use for it.
    pub fn word(self) -> &'static str {
        match self {
            Grade::L0 => "Stopped",
            Grade::L1 => "Look",
            Grade::L2 => "Ask",
            Grade::L3 => "Allowance",
            Grade::L4 => "Steward",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}", *self as u8)
    }
}

/// `L3` or `l3`.
impl FromStr for Grade {
    type Err = GradeError;
    fn from_str(text: &str) -> Result<Grade, GradeError> {
        Grade::ALL
            .into_iter()
            .find(|grade| grade.to_string().eq_ignore_ascii_case(text))
            .ok_or(GradeError)
    }
}

/// A text that is no grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a grade is one of L0, L1, L2, L3, L4")]
pub struct GradeError;

/// How suspicious the world looks; it can only lower what an agent may do.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Danger {
    /// Nothing odd: grades as given.
    #[default]
    Calm,
    /// Something odd: at most L3.
    Wary,
    /// A trusted fact changed: at most L2.
    Guarded,
    /// Proof of trouble: at most L1, nothing is signed.
    Halted,
}

impl Danger {
    /// All levels, calmest first.
    pub const ALL: [Danger; 4] = [Danger::Calm, Danger::Wary, Danger::Guarded, Danger::Halted];

    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Danger::Calm => "calm",
            Danger::Wary => "wary",
            Danger::Guarded => "guarded",
            Danger::Halted => "halted",
        }
    }

    /// So many levels calmer, at the least calm.
    pub fn lowered_by(self, levels: u32) -> Danger {
        let left = (self as u32).saturating_sub(levels);
        Danger::ALL.into_iter().find(|danger| *danger as u32 == left).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn danger_only_ever_lowers() {
        for granted in Grade::ALL {
            let mut last = Grade::L4;
            for danger in [Danger::Calm, Danger::Wary, Danger::Guarded, Danger::Halted] {
                let in_force = granted.in_force(danger);
                assert!(in_force <= granted && in_force <= last);
                assert_eq!(in_force as u8, (granted as u8).min(4 - danger as u8));
                last = in_force;
            }
        }
    }

    #[test]
    fn danger_can_be_lowered_to_calm_and_no_further() {
        for (i, danger) in Danger::ALL.into_iter().enumerate() {
            assert_eq!(danger.lowered_by(0), danger);
            assert_eq!(danger.lowered_by(1), Danger::ALL[i.saturating_sub(1)]);
            assert_eq!(danger.lowered_by(u32::MAX), Danger::Calm);
            let json = serde_json::to_string(&danger).expect("written");
            assert_eq!(json, format!("\"{}\"", danger.word()));
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        for grade in Grade::ALL {
            assert_eq!(grade.to_string().parse(), Ok(grade));
        }
        assert_eq!("L5".parse::<Grade>(), Err(GradeError));
    }
}
