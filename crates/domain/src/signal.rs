//! Signals: what was seen that makes the world look suspicious, and the danger it adds up to.
//!
//! A pure fold: the same signals, answers and time give the same danger, in whatever order they
//! are read, so danger is never stored, only what was seen.

use crate::{AgentId, AssetId, Danger, Payee, Units};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a signal is about. A payment is in as much danger as the worst of its subjects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// The desk itself: everything.
    Desk,
    /// One chain.
    Network {
        /// The chain id of EIP-155, <https://eips.ethereum.org/EIPS/eip-155>.
        chain_id: u64,
    },
    /// One token.
    Token {
        /// Chain and contract.
        asset: AssetId,
    },
    /// One payee, at whatever address.
    Payee {
        /// [`Payee::origin`].
        origin: String,
    },
    /// One agent.
    Agent {
        /// Which.
        agent: AgentId,
    },
}

impl Subject {
    /// All subjects of one payment.
    pub fn of_payment(agent: &AgentId, payee: &Payee) -> [Subject; 5] {
        [
            Subject::Desk,
            Subject::Network { chain_id: payee.asset.chain_id },
            Subject::Token { asset: payee.asset },
            Subject::Payee { origin: payee.origin.clone() },
            Subject::Agent { agent: agent.clone() },
        ]
    }
}

/// One stable text; networks by CAIP-2 (<https://chainagnostic.org/CAIPs/caip-2>), tokens by CAIP-19
/// (<https://chainagnostic.org/CAIPs/caip-19>): `desk`, `network eip155:8453`, `token eip155:8453/erc20:0x…`,
/// `payee https://shop.example`, `agent agt_1`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Desk => f.write_str("desk"),
            Subject::Network { chain_id } => write!(f, "network eip155:{chain_id}"),
            Subject::Token { asset } => write!(f, "token {asset}"),
            Subject::Payee { origin } => write!(f, "payee {origin}"),
            Subject::Agent { agent } => write!(f, "agent {agent}"),
        }
    }
}

/// A text that is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is no subject of a signal")]
pub struct SubjectError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

/// Exactly what [`Subject`]'s `Display` writes.
impl FromStr for Subject {
    type Err = SubjectError;
    fn from_str(text: &str) -> Result<Subject, SubjectError> {
        let read = || match text.split_once(' ') {
            None => (text == "desk").then_some(Subject::Desk),
            Some(("network", rest)) => {
                let chain_id = rest.strip_prefix("eip155:")?.parse().ok()?;
                Some(Subject::Network { chain_id })
            }
            Some(("token", rest)) => rest.parse().ok().map(|asset| Subject::Token { asset }),
            Some(("payee", rest)) => Some(Subject::Payee { origin: rest.to_owned() }),
            Some(("agent", rest)) => rest.parse().ok().map(|agent| Subject::Agent { agent }),
            Some(_) => None,
        };
        read()
            // One text for one subject: `network eip155:007` is none.
            .filter(|subject| subject.to_string() == text)
            .ok_or_else(|| SubjectError { text: text.chars().take(80).collect() })
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;
    fn try_from(text: String) -> Result<Subject, SubjectError> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

/// What was seen. A closed set: what can raise danger is listed here and nowhere else. Why each
/// is one, and why it ends as it does: `docs/decisions/0014-signals-and-danger.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// More than twice the usual price was asked.
    PriceJumped,
    /// More than five times the usual price was asked.
    PriceSoared,
    /// A known origin names another address to pay to.
    PayToChanged,
    /// Several payments in a row brought nothing.
    Undelivered,
    /// An agent was refused again and again in a short time.
    RefusalBurst,
    /// An agent's credential was used from two places.
    CredentialElsewhere,
    /// The books and the chain, or two reads of the chain, do not agree.
    BooksDiffer,
    /// The log's chain of hashes is broken.
    BooksBroken,
    /// The books are older than the copy of their head says.
    RolledBack,
    /// The machine's clock is behind what the books have seen.
    ClockBehind,
}

/// What ends a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Clears {
    /// Time: one level down for each such period without another of its kind and subject.
    Quiet {
        /// The length of the period.
        hours: u32,
    },
    /// The owner's acknowledgement, and nothing else.
    Acknowledged,
    /// That the two sides agree again, for so long.
    Agreement {
        /// How long they must have agreed; zero is at once.
        hours: u32,
    },
}

impl SignalKind {
    /// Every kind.
    pub const ALL: [SignalKind; 10] = [
        SignalKind::PriceJumped,
        SignalKind::PriceSoared,
        SignalKind::PayToChanged,
        SignalKind::Undelivered,
        SignalKind::RefusalBurst,
        SignalKind::CredentialElsewhere,
        SignalKind::BooksDiffer,
        SignalKind::BooksBroken,
        SignalKind::RolledBack,
        SignalKind::ClockBehind,
    ];

    /// How much danger it means while it is fresh.
    pub fn level(self) -> Danger {
        use SignalKind::*;
        match self {
            PriceJumped => Danger::Wary,
            PriceSoared | PayToChanged | Undelivered | RefusalBurst | BooksDiffer | ClockBehind => {
                Danger::Guarded
            }
            CredentialElsewhere | BooksBroken | RolledBack => Danger::Halted,
        }
    }

    /// What ends it.
    pub fn clears(self) -> Clears {
        use SignalKind::*;
        match self {
            PriceJumped => Clears::Quiet { hours: 24 },
            BooksDiffer => Clears::Agreement { hours: 1 },
            ClockBehind => Clears::Agreement { hours: 0 },
            PriceSoared | PayToChanged | Undelivered | RefusalBurst | CredentialElsewhere
            | BooksBroken | RolledBack => Clears::Acknowledged,
        }
    }

    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            SignalKind::PriceJumped => "price_jumped",
            SignalKind::PriceSoared => "price_soared",
            SignalKind::PayToChanged => "pay_to_changed",
            SignalKind::Undelivered => "undelivered",
            SignalKind::RefusalBurst => "refusal_burst",
            SignalKind::CredentialElsewhere => "credential_elsewhere",
            SignalKind::BooksDiffer => "books_differ",
            SignalKind::BooksBroken => "books_broken",
            SignalKind::RolledBack => "rolled_back",
            SignalKind::ClockBehind => "clock_behind",
        }
    }

    /// Reads [`SignalKind::word`] back.
    pub fn from_word(word: &str) -> Option<SignalKind> {
        SignalKind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// One thing that was seen once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Its number in the log; what an [`Ack`] names it by.
    pub seq: u64,
    /// When it was seen, by the desk's clock.
    pub at: Timestamp,
    /// What was seen.
    pub kind: SignalKind,
    /// Of what.
    pub subject: Subject,
    /// One sentence without its full stop, for the owner.
    pub detail: String,
}

/// The answer to a signal: the owner's acknowledgement, or that agreement was seen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// [`Signal::seq`].
    pub seq: u64,
    /// When it was given, or seen.
    pub at: Timestamp,
}

impl Signal {
    /// How much danger it still means: full while fresh, less with quiet, none once cleared.
    ///
    /// An answer to a signal that only quiet clears changes nothing, nor does one from later than
    /// `now`; a signal from later than `now` counts in full.
    fn level_at(&self, ack: Option<Timestamp>, now: Timestamp) -> Danger {
        let full = self.kind.level();
        match self.kind.clears() {
            Clears::Quiet { hours } => {
                let quiet_s = now.duration_since(self.at).as_secs();
                let periods = quiet_s.checked_div(i64::from(hours) * 3_600).unwrap_or(i64::MAX);
                full.lowered_by(u32::try_from(periods.max(0)).unwrap_or(u32::MAX))
            }
            Clears::Acknowledged => cleared(full, ack, 0, now),
            Clears::Agreement { hours } => cleared(full, ack, hours, now),
        }
    }
}

impl Signal {
    /// The moments at which it means less than before, without anybody doing anything more.
    fn falls(&self, ack: Option<Timestamp>) -> Vec<Timestamp> {
        let after = |from: Timestamp, hours: u32| {
            from.checked_add(SignedDuration::from_hours(i64::from(hours))).ok()
        };
        match self.kind.clears() {
            Clears::Quiet { hours } => (1..=self.kind.level() as u32)
                .filter_map(|level| after(self.at, hours.checked_mul(level)?))
                .collect(),
            Clears::Agreement { hours } => {
                ack.and_then(|ack| after(ack, hours)).into_iter().collect()
            }
            Clears::Acknowledged => Vec::new(),
        }
    }
}

fn cleared(full: Danger, ack: Option<Timestamp>, wait_hours: u32, now: Timestamp) -> Danger {
    let wait = SignedDuration::from_hours(i64::from(wait_hours));
    let over = ack.is_some_and(|at| now.duration_since(at) >= wait);
    if over { Danger::Calm } else { full }
}

/// Whether a signal can never count again.
pub fn is_over(signal: &Signal, ack: Option<&Ack>, now: Timestamp) -> bool {
    let ack = ack.filter(|ack| ack.seq == signal.seq).map(|ack| ack.at);
    signal.level_at(ack, now) == Danger::Calm
}

/// The danger of every subject that is in any; the others are calm.
pub fn fold(signals: &[Signal], acks: &[Ack], now: Timestamp) -> BTreeMap<Subject, Danger> {
    let mut by_subject: BTreeMap<&Subject, Vec<Active<'_>>> = BTreeMap::new();
    for active in active(signals, acks, now) {
        by_subject.entry(&active.signal.subject).or_default().push(active);
    }
    by_subject.into_iter().map(|(subject, active)| (subject.clone(), level_of(&active))).collect()
}

/// The danger of a payment with these subjects, and the signals behind it, strongest and then
/// latest first.
pub fn danger_for<'a>(
    signals: &'a [Signal],
    acks: &[Ack],
    subjects: &[Subject],
    now: Timestamp,
) -> (Danger, Vec<&'a Signal>) {
    let mut found: Vec<Active<'a>> = active(signals, acks, now)
        .filter(|active| subjects.contains(&active.signal.subject))
        .collect();
    found.sort_by_key(|a| std::cmp::Reverse((a.level, a.signal.at, a.signal.seq)));
    let worst = subjects.iter().map(|subject| {
        let own: Vec<_> = found.iter().filter(|a| a.signal.subject == *subject).copied().collect();
        level_of(&own)
    });
    (worst.max().unwrap_or_default(), found.iter().map(|active| active.signal).collect())
}

/// When danger comes down by itself, if nothing odd is seen meanwhile. A level that it stays above
/// until somebody does something has no moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lowers {
    /// The first moment at which all is calm.
    pub to_calm: Option<Timestamp>,
    /// The first moment at which it is wary at most.
    pub to_wary: Option<Timestamp>,
    /// The first moment at which it is guarded at most.
    pub to_guarded: Option<Timestamp>,
}

impl Lowers {
    /// The first moment at which danger is at a level at most.
    pub fn to(&self, level: Danger) -> Option<Timestamp> {
        match level {
            Danger::Calm => self.to_calm,
            Danger::Wary => self.to_wary,
            // Nothing is above halted, so nobody waits for it.
            Danger::Guarded | Danger::Halted => self.to_guarded,
        }
    }
}

/// When the danger of a payment with these subjects comes down by itself: by quiet, or because
/// what disagreed has agreed again and only the wait is left.
pub fn lowers_at(signals: &[Signal], acks: &[Ack], subjects: &[Subject], now: Timestamp) -> Lowers {
    let about = |signal: &&Signal| subjects.contains(&signal.subject);
    let signals: Vec<Signal> = signals.iter().filter(about).cloned().collect();
    let danger = |at: Timestamp| danger_for(&signals, acks, subjects, at).0;
    let answers = first_answers(acks);
    let mut moments: Vec<Timestamp> = signals
        .iter()
        .flat_map(|signal| signal.falls(answers.get(&signal.seq).copied()))
        .filter(|at| *at > now)
        .chain([now])
        .collect();
    moments.sort_unstable();
    // As nothing is added, danger never rises from one of these moments to the next.
    let first = |level: Danger| {
        let at = moments.partition_point(|at| danger(*at) > level);
        moments.get(at).copied()
    };
    Lowers {
        to_calm: first(Danger::Calm),
        to_wary: first(Danger::Wary),
        to_guarded: first(Danger::Guarded),
    }
}

/// A signal that still counts.
#[derive(Debug, Clone, Copy)]
struct Active<'a> {
    signal: &'a Signal,
    level: Danger,
}

fn active<'a>(
    signals: &'a [Signal],
    acks: &[Ack],
    now: Timestamp,
) -> impl Iterator<Item = Active<'a>> {
    let answered = first_answers(acks);
    signals.iter().filter_map(move |signal| {
        let level = signal.level_at(answered.get(&signal.seq).copied(), now);
        (level > Danger::Calm).then_some(Active { signal, level })
    })
}

/// Of several answers to one signal the first counts: a later one never raises danger.
fn first_answers(acks: &[Ack]) -> BTreeMap<u64, Timestamp> {
    let mut answered: BTreeMap<u64, Timestamp> = BTreeMap::new();
    for ack in acks {
        let first = answered.entry(ack.seq).or_insert(ack.at);
        *first = ack.at.min(*first);
    }
    answered
}

/// The level of one subject, of its active signals: the highest, but two different small things
/// within a day are one larger thing.
fn level_of(active: &[Active<'_>]) -> Danger {
    let seen: Vec<Seen> = active
        .iter()
        .map(|a| Seen {
            kind: a.signal.kind,
            fresh: a.signal.kind.level(),
            level: a.level,
            at: a.signal.at,
        })
        .collect();
    combined(&seen)
}

/// What [`combined`] looks at in an active signal.
#[derive(Debug, Clone, Copy)]
struct Seen {
    kind: SignalKind,
    /// The level of its kind.
    fresh: Danger,
    /// What is left of it.
    level: Danger,
    at: Timestamp,
}

fn combined(seen: &[Seen]) -> Danger {
    let highest = seen.iter().map(|s| s.level).max().unwrap_or_default();
    let small: Vec<&Seen> = seen.iter().filter(|s| s.fresh == Danger::Wary).collect();
    let day = SignedDuration::from_hours(24);
    let together = small.iter().enumerate().any(|(i, a)| {
        small[i..].iter().any(|b| a.kind != b.kind && a.at.duration_since(b.at).abs() <= day)
    });
    if together { highest.max(Danger::Guarded) } else { highest }
}

/// What a price says when the same thing has a usual one: above five times it soared, above twice
/// it jumped. Why these: `docs/decisions/0014-signals-and-danger.md`.
pub fn price_signal(value: Units, usual: Option<Units>) -> Option<SignalKind> {
    // A product that no u128 holds is above every price.
    let above = |times: u128| {
        usual.is_some_and(|usual| {
            usual.get().checked_mul(times).is_some_and(|limit| value.get() > limit)
        })
    };
    if above(5) {
        Some(SignalKind::PriceSoared)
    } else if above(2) {
        Some(SignalKind::PriceJumped)
    } else {
        None
    }
}

/// The lower median, or nothing under three values: two prices are no habit. What is usual is a
/// price that was really paid, so of two middle ones the lower counts and not their mean.
pub fn median(values: &[Units]) -> Option<Units> {
    if values.len() < 3 {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() - 1) / 2).copied()
}

#[cfg(test)]
mod tests;
