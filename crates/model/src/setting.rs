//! What a search starts from: who orders what, under which limits, and what else can happen.

use crate::fault::Fault;
use crate::invariant::Happening;
use crate::world::{AGENTS_MAX, REQUESTS_MAX};

/// One request that an agent will send, at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Which agent.
    pub agent: usize,
    /// The client key: two orders with the same one are a request and its retry.
    pub key: u8,
    /// How much, in units.
    pub units: u8,
    /// Whether the rules let the owner decide.
    pub needs_owner: bool,
}

/// The bounds of one search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// What it is about, in a few words.
    pub name: &'static str,
    /// Every request there will be, at most [`REQUESTS_MAX`], in no order of time.
    pub orders: &'static [Order],
    /// Each agent's limit, in units.
    pub limit_units: [u8; AGENTS_MAX],
    /// The limit of the budget above them, in units.
    pub shared_limit_units: u8,
    /// For how long a signature can be used, in blocks' time by the desk's clock.
    pub life_blocks: i8,
    /// The most the chain's newest block is behind the desk's clock when that clock moves on.
    pub skew_blocks: i8,
    /// The most blocks that are undone at once: 0 to 2.
    pub undone_blocks: i8,
    /// Whether the owner freezes and thaws.
    pub freezes: bool,
    /// Whether the owner cancels authorisations.
    pub cancels: bool,
    /// Whether the desk crashes and restarts.
    pub crashes: bool,
}

impl Setting {
    /// How many requests there are.
    pub fn requests(&self) -> usize {
        self.orders.len().min(REQUESTS_MAX)
    }
}

/// A request that no rule asks about.
const fn order(agent: usize, key: u8, units: u8) -> Order {
    Order { agent, key, units, needs_owner: false }
}

/// A request that the owner is asked about.
const fn question(agent: usize, key: u8, units: u8) -> Order {
    Order { agent, key, units, needs_owner: true }
}

const ONE_REQUEST: Setting = Setting {
    name: "one request; everything can happen",
    orders: &[order(0, 0, 1)],
    limit_units: [1, 0],
    shared_limit_units: 1,
    life_blocks: 2,
    skew_blocks: 2,
    undone_blocks: 2,
    freezes: true,
    cancels: true,
    crashes: true,
};

const A_RETRY: Setting = Setting {
    name: "a request and its retry; everything can happen",
    orders: &[order(0, 0, 1), order(0, 0, 1)],
    limit_units: [2, 0],
    shared_limit_units: 2,
    ..ONE_REQUEST
};

/// Without freeze and cancellation, and with clocks closer together: what is left for more requests
/// to be visited whole.
const QUIET: Setting = Setting {
    name: "one request; crashes and undone blocks",
    skew_blocks: 1,
    freezes: false,
    cancels: false,
    ..ONE_REQUEST
};

const TWO_FOR_ONE: Setting = Setting {
    name: "two requests for one unit",
    orders: &[order(0, 0, 1), order(0, 1, 1)],
    ..QUIET
};

const TWO_AGENTS: Setting = Setting {
    name: "two agents for one shared unit",
    orders: &[order(0, 0, 1), order(1, 1, 1)],
    limit_units: [1, 1],
    ..QUIET
};

const A_QUESTION: Setting = Setting {
    name: "a request and a question for one unit",
    orders: &[order(0, 0, 1), question(0, 1, 1)],
    ..QUIET
};

const TWO_AT_ONCE: Setting = Setting {
    name: "two payments at once; no block is undone",
    orders: &[order(0, 0, 1), order(0, 1, 1)],
    limit_units: [2, 0],
    shared_limit_units: 2,
    undone_blocks: 0,
    ..QUIET
};

/// Settings for the test-suite: together they take every kind of step and show every happening,
/// and each fault is looked for in one of them.
pub const SHORT_SETTINGS: [Setting; 6] =
    [ONE_REQUEST, A_RETRY, TWO_FOR_ONE, TWO_AGENTS, A_QUESTION, TWO_AT_ONCE];

/// Settings for the long run, each larger than those before it.
pub const LONG_SETTINGS: [Setting; 12] = [
    ONE_REQUEST,
    A_RETRY,
    TWO_AT_ONCE,
    Setting {
        name: "two requests for one unit; everything can happen",
        orders: TWO_FOR_ONE.orders,
        ..ONE_REQUEST
    },
    Setting {
        name: "two agents for one shared unit; everything can happen",
        orders: TWO_AGENTS.orders,
        limit_units: [1, 1],
        ..ONE_REQUEST
    },
    Setting {
        name: "a request and a question for one unit; everything can happen",
        orders: A_QUESTION.orders,
        ..ONE_REQUEST
    },
    Setting {
        name: "a request, its retry and another agent's question, two at once",
        orders: &[order(0, 0, 1), order(0, 0, 1), question(1, 1, 1)],
        limit_units: [1, 1],
        shared_limit_units: 2,
        undone_blocks: 1,
        ..QUIET
    },
    Setting {
        name: "three requests of two agents, one of them for all there is",
        orders: &[order(0, 0, 1), order(0, 1, 1), order(1, 2, 2)],
        limit_units: [2, 2],
        shared_limit_units: 2,
        undone_blocks: 1,
        ..QUIET
    },
    Setting {
        name: "four requests of two agents for one unit",
        orders: &[order(0, 0, 1), order(0, 1, 1), order(1, 2, 1), order(1, 3, 1)],
        limit_units: [1, 1],
        undone_blocks: 1,
        ..QUIET
    },
    Setting {
        name: "two payments at once; everything can happen",
        orders: TWO_AT_ONCE.orders,
        limit_units: [2, 0],
        shared_limit_units: 2,
        ..ONE_REQUEST
    },
    Setting {
        name: "three requests of two agents, two at once; freezes",
        orders: &[order(0, 0, 1), order(0, 1, 1), order(1, 2, 1)],
        limit_units: [2, 1],
        shared_limit_units: 2,
        freezes: true,
        ..QUIET
    },
    Setting {
        name: "three requests and a retry, two agents, two at once",
        orders: &[order(0, 0, 1), order(0, 0, 1), order(0, 1, 1), order(1, 2, 1)],
        limit_units: [2, 1],
        shared_limit_units: 2,
        undone_blocks: 1,
        ..QUIET
    },
];

/// Larger than anybody's patience: five requests, and everything can happen.
pub const ENDLESS_SETTING: Setting = Setting {
    name: "five requests of two agents, three at once; everything can happen",
    orders: &[order(0, 0, 1), order(0, 0, 1), order(0, 1, 1), question(1, 2, 1), order(1, 3, 2)],
    limit_units: [2, 2],
    shared_limit_units: 3,
    ..ONE_REQUEST
};

/// Where a fault is looked for. The correct design is searched there too, and has no breach.
pub(crate) fn setting_for(fault: Fault) -> Setting {
    match fault {
        Fault::SignsBeforeCommit
        | Fault::AnswersBeforeDisk
        | Fault::VoidsOnRestart
        | Fault::ReleasesOnUnknown
        | Fault::ReleasesOnDeskClock
        | Fault::NoMargin
        | Fault::SettlesAtOnce
        | Fault::ReopensForFree
        | Fault::BelievesCancelAtOnce
        | Fault::FreezeAtTheDoorOnly
        | Fault::FreezeForgotten
        | Fault::ThawRacesFreeze => ONE_REQUEST,
        Fault::KeyLookedUpOutside | Fault::NewNonceOnRetry => A_RETRY,
        Fault::LooksThenHolds | Fault::ForgetsOpenHolds => TWO_FOR_ONE,
        Fault::SharedLimitAfterHold => TWO_AGENTS,
        Fault::YesLiftsLimit => A_QUESTION,
        Fault::ReleasesTwice => TWO_AT_ONCE,
    }
}

/// Where a happening is looked for.
pub(crate) fn setting_showing(happening: Happening) -> Setting {
    match happening {
        Happening::Settles
        | Happening::ExpiresWithPayee
        | Happening::ExpiresUnsigned
        | Happening::Void
        | Happening::CrashThenPaid
        | Happening::CrashThenGone
        | Happening::UnknownIsPaid
        | Happening::UnknownIsGone
        | Happening::SettlementUndone
        | Happening::CancelReleases
        | Happening::FreezeTurnsAway
        | Happening::SignedTooLate => ONE_REQUEST,
        Happening::RetryFindsPayment => A_RETRY,
        Happening::LimitRefuses | Happening::ReleasedMoneyHeldAgain => TWO_FOR_ONE,
        Happening::LimitFull => TWO_AT_ONCE,
        Happening::OwnerSaysYes | Happening::OwnerSaysNo => A_QUESTION,
    }
}
