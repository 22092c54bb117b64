//! What must hold in every state, and what has to happen in some.

use crate::setting::Setting;
use crate::world::{Call, Finding, Nonce, Request, Row, Signature, World};
use serde::Serialize;
use std::fmt;

/// What must hold in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// I1. For every agent, and for the shared budget: paid on the chain, still-spendable
    /// signatures and open holds together are within the limit.
    NoOverspend,
    /// I2. A signature exists only for a hold that is on the disk.
    HeldBeforeSigned,
    /// I3. Money is given back only if its signature was not used and never can be.
    ReleasedOnEvidence,
    /// I4. One client key is paid at most once.
    PaidOnce,
    /// I5. No signature is made while the owner's freeze stands.
    FreezeStops,
    /// I6. For every agent, and for the shared budget: the books count at least what was paid and
    /// what signatures can still take, so they never show more free money than there is.
    BooksNeverTooRich,
    /// I7. The running counters are what the open and the settled payments add up to, also when the
    /// chain took settlements back.
    CountersAddUp,
}

impl Invariant {
    /// All of them, I1 first.
    pub const ALL: [Invariant; 7] = [
        Invariant::NoOverspend,
        Invariant::HeldBeforeSigned,
        Invariant::ReleasedOnEvidence,
        Invariant::PaidOnce,
        Invariant::FreezeStops,
        Invariant::BooksNeverTooRich,
        Invariant::CountersAddUp,
    ];

    /// Its place in [`Invariant::ALL`], from 1.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// What it says, in a few words.
    pub fn says(self) -> &'static str {
        match self {
            Invariant::NoOverspend => "paid + spendable + open holds are within every limit",
            Invariant::HeldBeforeSigned => "a signature exists only for a hold on the disk",
            Invariant::ReleasedOnEvidence => "nothing is given back that was or can be used",
            Invariant::PaidOnce => "one client key is paid at most once",
            Invariant::FreezeStops => "nothing is signed while frozen",
            Invariant::BooksNeverTooRich => "the books never show more free money than there is",
            Invariant::CountersAddUp => "the counters are what the payments add up to",
        }
    }

    /// Whether it holds in a state.
    pub fn holds(self, setting: &Setting, world: &World) -> bool {
        match self {
            Invariant::NoOverspend => no_overspend(setting, world),
            Invariant::HeldBeforeSigned => {
                world.requests.iter().all(|r| r.signature == Signature::Unmade || was_held(r))
            }
            Invariant::ReleasedOnEvidence => {
                world.requests.iter().all(|r| !r.row.is_released() || is_gone(r))
            }
            Invariant::PaidOnce => paid_once(setting, world),
            Invariant::FreezeStops => !world.signed_while_frozen,
            Invariant::BooksNeverTooRich => books_never_too_rich(setting, world),
            Invariant::CountersAddUp => counters_add_up(setting, world),
        }
    }
}

/// `I1`
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{}", self.number())
    }
}

/// A set of invariants: those a state breaks, or those a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Broken(u8);

impl Broken {
    /// Every invariant.
    pub const ANY: Broken = Broken((1 << Invariant::ALL.len()) - 1);

    /// The set of one.
    pub fn only(invariant: Invariant) -> Broken {
        Broken(1 << invariant as u8)
    }

    /// What a state breaks of these.
    pub fn in_state(self, setting: &Setting, world: &World) -> Broken {
        let broken = self.iter().filter(|invariant| !invariant.holds(setting, world));
        broken.fold(Broken(0), |set, invariant| Broken(set.0 | Broken::only(invariant).0))
    }

    /// Whether it is in it.
    pub fn contains(self, invariant: Invariant) -> bool {
        self.0 & Broken::only(invariant).0 != 0
    }

    /// Whether none is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, I1 first.
    pub fn iter(self) -> impl Iterator<Item = Invariant> {
        Invariant::ALL.into_iter().filter(move |invariant| self.contains(*invariant))
    }
}

/// `I1, I6`
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.iter().map(|invariant| invariant.to_string()).collect();
        f.pad(&words.join(", "))
    }
}

/// Sums units over the requests that count: for each agent, and for the shared budget.
fn sums(
    setting: &Setting,
    world: &World,
    counts: impl Fn(&Request) -> bool,
) -> ([u8; crate::world::AGENTS_MAX], u8) {
    let (mut own, mut shared) = ([0; crate::world::AGENTS_MAX], 0);
    for (order, request) in setting.orders.iter().zip(&world.requests) {
        if counts(request) {
            own[order.agent] += order.units;
            shared += order.units;
        }
    }
    (own, shared)
}

/// Paid, or payable without anybody's further leave. One nonce is one payment, so it counts once.
fn is_out(request: &Request) -> bool {
    request.nonce.is_paid() || request.is_spendable()
}

fn no_overspend(setting: &Setting, world: &World) -> bool {
    let (own, shared) = sums(setting, world, |r| is_out(r) || r.row.is_open());
    shared <= setting.shared_limit_units
        && own.iter().zip(setting.limit_units).all(|(sum, limit)| *sum <= limit)
}

fn books_never_too_rich(setting: &Setting, world: &World) -> bool {
    let (own, shared) = sums(setting, world, is_out);
    let books = &world.books;
    let counted = books.held.iter().zip(books.settled).map(|(held, settled)| held + settled);
    shared <= books.shared_held + books.shared_settled
        && own.iter().zip(counted).all(|(sum, counted)| *sum <= counted)
}

fn counters_add_up(setting: &Setting, world: &World) -> bool {
    let (held, shared_held) = sums(setting, world, |r| r.row.is_open());
    let (settled, shared_settled) = sums(setting, world, |r| r.row == Row::Settled);
    let books = &world.books;
    (books.held, books.settled) == (held, settled)
        && (books.shared_held, books.shared_settled) == (shared_held, shared_settled)
}

fn was_held(request: &Request) -> bool {
    let row = request.row;
    !request.in_cache_only && (row.is_open() || row.is_released() || row == Row::Settled)
}

/// Not used, and never to be: neither by the signature that exists nor by one that a grant in the
/// desk's hands could still become.
fn is_gone(request: &Request) -> bool {
    let may_be_signed = request.call == Call::Granted && request.in_time();
    !is_out(request) && !may_be_signed
}

fn paid_once(setting: &Setting, world: &World) -> bool {
    let requests = || setting.orders.iter().zip(&world.requests).enumerate();
    requests().filter(|(_, (_, request))| request.nonce.is_paid()).all(|(place, (order, _))| {
        !requests().any(|(other, (again, request))| {
            other > place && again.key == order.key && request.nonce.is_paid()
        })
    })
}

/// What has to happen in some state, or a search has proven nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A payment settles.
    Settles,
    /// A payment expires although it was signed and the payee had it.
    ExpiresWithPayee,
    /// A hold expires that was never signed: a crash came between.
    ExpiresUnsigned,
    /// A hold is void: the signer gave the grant back.
    Void,
    /// A limit refuses.
    LimitRefuses,
    /// Everything a limit allows is held, spendable or paid, by more than one payment.
    LimitFull,
    /// A retry finds its payment instead of buying again.
    RetryFindsPayment,
    /// The owner says yes and money is held.
    OwnerSaysYes,
    /// The owner says no, or nothing.
    OwnerSaysNo,
    /// A crash takes the request while its signature is with the payee, and the desk finds out
    /// later that it was paid.
    CrashThenPaid,
    /// A crash takes the request while its signature is with the payee, and the desk finds out
    /// later that it never can be paid.
    CrashThenGone,
    /// What nobody knew turns out to be paid.
    UnknownIsPaid,
    /// What nobody knew turns out never to be paid.
    UnknownIsGone,
    /// The chain takes back what the books call settled.
    SettlementUndone,
    /// A cancelled payment is given back.
    CancelReleases,
    /// A freeze turns a grant away at the signer.
    FreezeTurnsAway,
    /// A grant is signed so late that the chain has its end behind it.
    SignedTooLate,
    /// Money that was given back is held again by another payment.
    ReleasedMoneyHeldAgain,
}

impl Happening {
    /// All of them.
    pub const ALL: [Happening; 18] = [
        Happening::Settles,
        Happening::ExpiresWithPayee,
        Happening::ExpiresUnsigned,
        Happening::Void,
        Happening::LimitRefuses,
        Happening::LimitFull,
        Happening::RetryFindsPayment,
        Happening::OwnerSaysYes,
        Happening::OwnerSaysNo,
        Happening::CrashThenPaid,
        Happening::CrashThenGone,
        Happening::UnknownIsPaid,
        Happening::UnknownIsGone,
        Happening::SettlementUndone,
        Happening::CancelReleases,
        Happening::FreezeTurnsAway,
        Happening::SignedTooLate,
        Happening::ReleasedMoneyHeldAgain,
    ];

    /// What happens, in a few words.
    pub fn says(self) -> &'static str {
        match self {
            Happening::Settles => "a payment settles",
            Happening::ExpiresWithPayee => "a delivered signature expires",
            Happening::ExpiresUnsigned => "an unsigned hold expires",
            Happening::Void => "a hold is void",
            Happening::LimitRefuses => "a limit refuses",
            Happening::LimitFull => "a limit is full to the last unit",
            Happening::RetryFindsPayment => "a retry finds its payment",
            Happening::OwnerSaysYes => "the owner says yes",
            Happening::OwnerSaysNo => "the owner says no, or nothing",
            Happening::CrashThenPaid => "after a crash: it was paid",
            Happening::CrashThenGone => "after a crash: it never will be paid",
            Happening::UnknownIsPaid => "unknown turns out paid",
            Happening::UnknownIsGone => "unknown turns out gone",
            Happening::SettlementUndone => "a settlement is undone",
            Happening::CancelReleases => "a cancelled payment is given back",
            Happening::FreezeTurnsAway => "a freeze turns a grant away",
            Happening::SignedTooLate => "a grant is signed too late to matter",
            Happening::ReleasedMoneyHeldAgain => "money given back is held again",
        }
    }

    /// Whether it can be seen in this state.
    pub fn is_seen(self, setting: &Setting, world: &World) -> bool {
        let any = |sees: &dyn Fn(&Request) -> bool| world.requests.iter().any(sees);
        let asked = |needs_owner: bool, sees: &dyn Fn(&Request) -> bool| {
            let pairs = || setting.orders.iter().zip(&world.requests);
            pairs().any(|(order, request)| order.needs_owner == needs_owner && sees(request))
        };
        let found = |row: Row, call: Call, finding: Finding| {
            any(&|r| r.row == row && r.call == call && r.finding == finding)
        };
        match self {
            Happening::Settles => any(&|r| r.row == Row::Settled),
            Happening::ExpiresWithPayee => any(&|r| {
                r.row == Row::Expired
                    && r.signature == Signature::WithPayee
                    && r.nonce == Nonce::Unused
            }),
            Happening::ExpiresUnsigned => {
                any(&|r| r.row == Row::Expired && r.signature == Signature::Unmade)
            }
            Happening::Void => any(&|r| r.row == Row::Void),
            Happening::LimitRefuses => !setting.freezes && asked(false, &|r| r.row == Row::Refused),
            Happening::LimitFull => limit_full(setting, world),
            Happening::RetryFindsPayment => any(&|r| r.call == Call::Over && r.row == Row::Absent),
            Happening::OwnerSaysYes => asked(true, &|r| r.row.is_open()),
            Happening::OwnerSaysNo => asked(true, &|r| r.row == Row::Refused),
            Happening::CrashThenPaid => found(Row::Held, Call::Lost, Finding::Settled),
            Happening::CrashThenGone => any(&|r| {
                (r.row, r.call, r.finding) == (Row::Held, Call::Lost, Finding::Gone)
                    && r.signature == Signature::WithPayee
            }),
            Happening::UnknownIsPaid => found(Row::Unknown, Call::Over, Finding::Settled),
            Happening::UnknownIsGone => found(Row::Unknown, Call::Over, Finding::Gone),
            Happening::SettlementUndone => any(&|r| {
                (r.row, r.nonce, r.finding) == (Row::Settled, Nonce::Unused, Finding::Undone)
            }),
            Happening::CancelReleases => {
                any(&|r| r.row == Row::Expired && matches!(r.nonce, Nonce::Burnt(_)))
            }
            Happening::FreezeTurnsAway => world.owner_froze && any(&|r| r.row == Row::Void),
            Happening::SignedTooLate => any(&|r| r.row == Row::Expired && r.call == Call::Signed),
            Happening::ReleasedMoneyHeldAgain => {
                any(&|r| r.row.is_released()) && any(&|r| r.row.is_open()) && {
                    // Not all of it would have fitted at once.
                    let (own, _) = sums(setting, world, |r| r.row.is_released() || r.row.is_open());
                    own.iter().zip(setting.limit_units).any(|(sum, limit)| *sum > limit)
                }
            }
        }
    }
}

fn limit_full(setting: &Setting, world: &World) -> bool {
    let counts = |r: &Request| is_out(r) || r.row.is_open();
    let several = world.requests.iter().filter(|r| counts(r)).count() > 1;
    several && sums(setting, world, counts).1 == setting.shared_limit_units
}
