//! What can be done to a ledger, drawn blindly: a step says which of those at hand it means only
//! when it is taken, so that any step may be left out of a story.

use super::limits::Limits;
use super::world::{AGENTS, GROUPS, Item};
use crate::chance::Chance;
use imprest_domain::{Danger, Grade};

/// An order in plain words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub agent: usize,
    pub item: Item,
    pub value: u128,
    pub key: Option<u8>,
    pub agent_max: Option<u128>,
    pub other_resource: bool,
    pub danger: Danger,
    /// How long a question may wait, in minutes.
    pub question_minutes: i64,
}

/// How the offer differs when the owner says yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {
    Same,
    Dearer,
    OtherAddress,
    OtherWords,
}

/// One thing that is done. Numbers named `pick` choose among those at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Reserve(Wish),
    /// Several at the same time, which one commit may take together.
    Together(Vec<Wish>),
    Approve {
        pick: u64,
        fresh: Fresh,
    },
    Refuse {
        pick: u64,
    },
    Lapse,
    Void {
        pick: u64,
    },
    Deliver {
        pick: u64,
        unknown: bool,
    },
    Settle {
        pick: u64,
    },
    Reopen {
        pick: u64,
    },
    Expire {
        pick: u64,
    },
    Freeze,
    Thaw,
    SetBudget {
        agent: usize,
        limits: Limits,
    },
    SetShared {
        group: usize,
        limits: Limits,
    },
    /// The same limits in another zone.
    MoveZone {
        shared: bool,
        which: usize,
        zone: &'static str,
    },
    SetGrade {
        agent: usize,
        grade: Grade,
    },
    Join {
        agent: usize,
        group: Option<usize>,
    },
    Acknowledge {
        pick: u64,
    },
    AcknowledgeAll,
    Differ,
    Agree,
    UsedFrom {
        agent: usize,
        place: u8,
    },
    Rotate {
        agent: usize,
    },
    Refill {
        agent: usize,
        value: u128,
        fails: bool,
    },
    Received {
        agent: usize,
        value: u128,
        again: bool,
    },
    Trust {
        item: Item,
    },
    /// The system's clock moves; a negative number is backwards.
    Clock {
        by_ms: i64,
    },
    AcceptClock,
    Lock,
    Unlock,
    Restart,
}

impl Wish {
    fn draw(chance: &mut Chance) -> Wish {
        let value = match chance.below(100) {
            0 => 0,
            1 => 1_000 + u128::from(chance.below(5_000)),
            2 => i64::MAX as u128 - u128::from(chance.below(2)),
            3..=11 => u128::from(chance.between(10, 40)),
            _ => u128::from(chance.between(1, 12)),
        };
        let item = Item::draw(chance);
        Wish {
            agent: chance.index(AGENTS),
            item,
            value,
            key: chance.percent(25).then(|| chance.below(60) as u8),
            agent_max: chance.percent(10).then(|| u128::from(chance.between(1, 30))),
            other_resource: chance.percent(3),
            danger: match chance.below(100) {
                0 => Danger::Halted,
                1 | 2 => Danger::Guarded,
                3..=5 => Danger::Wary,
                _ => Danger::Calm,
            },
            question_minutes: *chance.one_of(&[1, 10, 10, 60, 1_440]),
        }
    }
}

impl Step {
    /// Draws the steps of a story.
    pub fn story(chance: &mut Chance, steps: usize, start_ms: i64) -> Vec<Step> {
        (0..steps).map(|_| Step::draw(chance, start_ms)).collect()
    }

    fn draw(chance: &mut Chance, start_ms: i64) -> Step {
        match chance.below(1_000) {
            0..370 => Step::Reserve(Wish::draw(chance)),
            370..400 => {
                let many = chance.between(2, 12);
                Step::Together((0..many).map(|_| Wish::draw(chance)).collect())
            }
            400..560 => Step::draw_of_a_payment(chance),
            560..740 => Step::draw_time(chance),
            _ => Step::draw_of_the_owner(chance, start_ms),
        }
    }

    /// What becomes of a payment.
    fn draw_of_a_payment(chance: &mut Chance) -> Step {
        let pick = chance.any();
        match chance.below(22) {
            0..5 => {
                let other = [Fresh::Dearer, Fresh::OtherAddress, Fresh::OtherWords];
                let changes = chance.percent(15);
                let fresh = if changes { *chance.one_of(&other) } else { Fresh::Same };
                Step::Approve { pick, fresh }
            }
            5 => Step::Refuse { pick },
            6 | 7 => Step::Lapse,
            8 => Step::Void { pick },
            9..12 => Step::Deliver { pick, unknown: chance.percent(30) },
            12..18 => Step::Settle { pick },
            18 | 19 => Step::Reopen { pick },
            _ => Step::Expire { pick },
        }
    }

    fn draw_time(chance: &mut Chance) -> Step {
        const MINUTE: u64 = 60_000;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let back = |ms: u64| Step::Clock { by_ms: -(ms as i64) };
        let on = |ms: u64| Step::Clock { by_ms: ms as i64 };
        match chance.below(180) {
            0..60 => on(chance.below(MINUTE)),
            60..130 => on(chance.below(12 * MINUTE)),
            130..150 => on(chance.below(3 * HOUR)),
            150..158 => on(chance.below(2 * DAY)),
            158..160 => on(chance.below(40 * DAY)),
            160..165 => back(chance.below(3 * MINUTE)),
            165..170 => back(chance.below(6 * HOUR)),
            170..172 => Step::AcceptClock,
            // So that a clock that went back is seldom behind for long.
            _ => on(chance.below(HOUR)),
        }
    }

    fn draw_of_the_owner(chance: &mut Chance, start_ms: i64) -> Step {
        let (pick, agent) = (chance.any(), chance.index(AGENTS));
        match chance.below(300) {
            0..70 => Step::AcknowledgeAll,
            70..85 => Step::Acknowledge { pick },
            85..135 => Step::Refill {
                agent,
                value: u128::from(chance.between(20, 900)),
                fails: chance.percent(15),
            },
            135..150 => Step::Received {
                agent,
                value: u128::from(chance.below(200)),
                again: chance.percent(30),
            },
            150..185 => Step::draw_limits(chance, agent, start_ms),
            185..200 => Step::draw_grade(chance, agent),
            200..210 => {
                let group = chance.percent(70).then(|| chance.index(GROUPS));
                Step::Join { agent, group }
            }
            210..214 => Step::Freeze,
            214..250 => Step::Thaw,
            250..252 => Step::Differ,
            252..257 => Step::Agree,
            257..261 => Step::UsedFrom { agent, place: u8::from(chance.percent(20)) },
            261..269 => Step::Rotate { agent },
            269..281 => Step::Trust { item: Item::draw(chance) },
            281..283 => Step::Lock,
            283..292 => Step::Unlock,
            _ => Step::Restart,
        }
    }

    fn draw_limits(chance: &mut Chance, which: usize, start_ms: i64) -> Step {
        match chance.below(5) {
            0 | 1 => Step::SetBudget { agent: which, limits: Limits::draw(chance, start_ms) },
            2 => {
                let group = chance.index(GROUPS);
                Step::SetShared { group, limits: Limits::draw(chance, start_ms) }
            }
            _ => {
                let zone = *chance.one_of(&super::limits::ZONES);
                Step::MoveZone { shared: chance.percent(40), which, zone }
            }
        }
    }

    fn draw_grade(chance: &mut Chance, agent: usize) -> Step {
        use Grade::*;
        let grades = [L0, L1, L2, L3, L3, L3, L4, L4, L4, L4, L4, L4];
        Step::SetGrade { agent, grade: *chance.one_of(&grades) }
    }
}
