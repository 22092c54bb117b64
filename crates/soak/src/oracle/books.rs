//! The oracle's books: plain lists of what happened and when. Whatever a limit needs to know is
//! found by going through the list; nothing is kept as a sum.

use super::limits::Limits;
use super::rules::Rule;
use super::step::Wish;
use super::world::{AGENTS, GROUPS, Item, ORIGINS, PayeeKey};
use imprest_domain::{ApprovalId, Danger, Grade, PaymentId, PaymentState, Window};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::{BTreeMap, BTreeSet};

/// Whose limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    Agent(usize),
    Group(usize),
}

/// One calendar window of a kind, by the local date it starts on; for one payee where it is its.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    pub kind: Window,
    pub first: Date,
    pub payee: Option<PayeeKey>,
}

/// The calendar windows.
pub const CALENDAR: [Window; 5] =
    [Window::Day, Window::Week, Window::Month, Window::PayeeDay, Window::NewPayeeDay];

/// An agent, or a shared budget.
#[derive(Debug, Clone)]
pub struct Account {
    pub limits: Limits,
    /// From when on the zone in force is in force: the number of holds there had been.
    pub zone_since: usize,
}

/// What only an agent has.
#[derive(Debug, Clone)]
pub struct Agent {
    pub grade: Grade,
    pub group: Option<usize>,
    pub place: Option<u8>,
    /// What came in, in all.
    pub received: u128,
}

/// Money that was reserved.
#[derive(Debug, Clone)]
pub struct Hold {
    /// How many there were before it.
    pub number: usize,
    pub at_ms: i64,
    /// When it was as far as the rolling hour goes: a clock that is set back brings it along.
    pub hour_ms: i64,
    /// What was the shared budget at that time.
    pub group: Option<usize>,
    /// The calendar windows it counts in.
    pub labels: Vec<(Holder, Label)>,
    /// Whose rolling hour has forgotten it.
    pub out_of_hour: Vec<Holder>,
    /// Whose hour had forgotten it when the clock was set back behind it.
    pub lost: Vec<Holder>,
}

impl Hold {
    pub fn is_of(&self, agent: usize, holder: Holder) -> bool {
        match holder {
            Holder::Agent(whose) => whose == agent,
            Holder::Group(group) => self.group == Some(group),
        }
    }
}

/// A question to the owner.
#[derive(Debug, Clone)]
pub struct Question {
    pub approval: ApprovalId,
    pub asked_ms: i64,
    pub expires_ms: i64,
    /// What was asked about.
    pub asks: BTreeSet<Rule>,
}

/// A payment, whatever became of it.
#[derive(Debug, Clone)]
pub struct Payment {
    pub id: PaymentId,
    pub wish: Wish,
    pub state: PaymentState,
    pub question: Option<Question>,
    pub hold: Option<Hold>,
    /// Whether the last that is known of the payee's answer is that it delivered.
    pub answered: bool,
}

/// What a signal is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Network,
    Origin(usize),
    Agent(usize),
}

/// What was odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    Jumped { value: u128, usual: u128, foreign: bool },
    Soared { value: u128, usual: u128, foreign: bool },
    OtherAddress { now: usize, was: usize },
    Undelivered,
    Burst,
    Elsewhere { known: u8, place: u8 },
    Differ,
}

/// Something odd that was seen.
#[derive(Debug, Clone)]
pub struct Signal {
    pub seq: u64,
    pub at_ms: i64,
    pub about: About,
    pub oddity: Oddity,
    pub ack_ms: Option<i64>,
}

/// All of it.
#[derive(Debug)]
pub struct Books {
    pub system_ms: i64,
    /// The time of the last event.
    pub mark_ms: i64,
    /// How many events there are.
    pub events: u64,
    pub frozen: bool,
    /// Whether a vault ever sealed these books, and whether it is open now.
    pub sealed: bool,
    pub open: bool,
    pub agents: [Agent; AGENTS],
    pub agent_accounts: [Account; AGENTS],
    pub group_accounts: [Account; GROUPS],
    pub payments: Vec<Payment>,
    /// How many holds there were.
    pub holds: usize,
    /// What a carried window lacked when another was carried into it.
    pub carried: BTreeMap<(Holder, Label), u128>,
    /// Who was seen, oldest first, seen again is moved to the end.
    pub payees: Vec<PayeeKey>,
    /// What was paid for what, in the order in which the chain said so.
    pub sales: Vec<(usize, usize, u128)>,
    pub signals: Vec<Signal>,
    /// When an agent was refused hard, and when a payee delivered nothing: the last ten times.
    pub refusals: [Vec<i64>; AGENTS],
    pub undelivered: [Vec<i64>; ORIGINS.len()],
}

impl Books {
    /// The books' time: the system's, but never behind the last event.
    pub fn now_ms(&self) -> i64 {
        self.system_ms.max(self.mark_ms)
    }

    pub fn clock_behind(&self) -> bool {
        self.mark_ms - self.system_ms > 120_000
    }

    /// Whether what gives authority can be written.
    pub fn may_write(&self) -> bool {
        self.open || !self.sealed
    }

    /// One more event, now.
    pub fn event(&mut self) {
        self.mark_ms = self.now_ms();
        self.events += 1;
    }

    pub fn account(&self, holder: Holder) -> &Account {
        match holder {
            Holder::Agent(agent) => &self.agent_accounts[agent],
            Holder::Group(group) => &self.group_accounts[group],
        }
    }

    pub fn account_mut(&mut self, holder: Holder) -> &mut Account {
        match holder {
            Holder::Agent(agent) => &mut self.agent_accounts[agent],
            Holder::Group(group) => &mut self.group_accounts[group],
        }
    }

    /// The agent's own budget, and the one it shares.
    pub fn holders_of(&self, agent: usize) -> Vec<Holder> {
        let group = self.agents[agent].group.map(Holder::Group);
        std::iter::once(Holder::Agent(agent)).chain(group).collect()
    }

    pub fn all_holders() -> Vec<Holder> {
        (0..AGENTS).map(Holder::Agent).chain((0..GROUPS).map(Holder::Group)).collect()
    }

    /// Holds whose money is reserved or spent, with what they hold.
    pub fn live(&self) -> impl Iterator<Item = (&Payment, &Hold)> {
        self.payments
            .iter()
            .filter(|p| p.state.is_open() || p.state == PaymentState::Settled)
            .filter_map(|payment| payment.hold.as_ref().map(|hold| (payment, hold)))
    }

    /// What a calendar window of a holder holds: settled and reserved.
    pub fn used(&self, holder: Holder, label: &Label) -> (u128, u128) {
        let lies = |hold: &Hold| hold.labels.iter().any(|(h, l)| *h == holder && l == label);
        let (mut settled, mut held) =
            (self.carried.get(&(holder, *label)).copied().unwrap_or(0), 0);
        for (payment, _) in self.live().filter(|(_, hold)| lies(hold)) {
            let of = if payment.state.is_open() { &mut held } else { &mut settled };
            *of += payment.wish.value;
        }
        (settled, held)
    }

    /// What a holder ever spent, and what it holds now.
    pub fn lifetime(&self, holder: Holder) -> (u128, u128) {
        let (mut settled, mut held) = (0, 0);
        for (payment, _) in self.live().filter(|(p, hold)| hold.is_of(p.wish.agent, holder)) {
            let of = if payment.state.is_open() { &mut held } else { &mut settled };
            *of += payment.wish.value;
        }
        (settled, held)
    }

    /// Sum and count of a holder's rolling hour: this minute and the sixty before it. What was
    /// signed stays even if nobody took it.
    pub fn hour(&self, holder: Holder, now_ms: i64) -> (u128, u32) {
        let inside = |payment: &&Payment| {
            payment.hold.as_ref().is_some_and(|hold| {
                hold.is_of(payment.wish.agent, holder)
                    && payment.state != PaymentState::Void
                    && !hold.out_of_hour.contains(&holder)
                    && minute(now_ms) - minute(hold.hour_ms) <= 60
            })
        };
        let values = self.payments.iter().filter(inside).map(|payment| payment.wish.value);
        values.fold((0, 0), |(sum, count), value| (sum + value, count + 1))
    }

    /// What an agent's float holds, and its holds.
    pub fn balance(&self, agent: usize) -> (u128, u128, u128) {
        let (paid, held) = self.lifetime(Holder::Agent(agent));
        ((self.agents[agent].received).saturating_sub(paid + held), held, paid)
    }

    /// The window of a kind that a moment lies in.
    pub fn label(kind: Window, zone: &str, at_ms: i64, payee: PayeeKey) -> Label {
        let moment = Timestamp::from_millisecond(at_ms).unwrap_or_default();
        let local = TimeZone::get(zone).unwrap_or(TimeZone::UTC).to_datetime(moment).date();
        let first = match kind {
            Window::Week => {
                let back = (0..7).find(|days| (local - days.days()).weekday() == Weekday::Monday);
                local - back.unwrap_or(0).days()
            }
            Window::Month => local.first_of_month(),
            _ => local,
        };
        // Limits are in one asset, so a payee's day need not tell assets apart.
        let payee = (kind == Window::PayeeDay).then_some((payee.0, payee.1, false));
        Label { kind, first, payee }
    }

    /// The labels a hold made now would have.
    pub fn labels_now(
        &self,
        holder: Holder,
        payee: PayeeKey,
        is_new: bool,
    ) -> Vec<(Holder, Label)> {
        let zone = self.account(holder).limits.zone;
        CALENDAR
            .into_iter()
            .filter(|kind| *kind != Window::NewPayeeDay || is_new)
            .map(|kind| (holder, Books::label(kind, zone, self.now_ms(), payee)))
            .collect()
    }

    /// Other limits from now on. Under another zone today has another name: what the window of the
    /// old name holds goes on to count in that of the new one.
    pub fn set_limits(&mut self, holder: Holder, limits: Limits) {
        let (now, old) = (self.now_ms(), self.account(holder).limits.zone);
        for kind in CALENDAR {
            let nobody = (0, 0, false);
            let from = Books::label(kind, old, now, nobody).first;
            let to = Books::label(kind, limits.zone, now, nobody).first;
            if from != to {
                self.carry(holder, kind, from, to);
            }
        }
        let holds = self.holds;
        let account = self.account_mut(holder);
        if account.limits.zone != limits.zone {
            account.zone_since = holds;
        }
        account.limits = limits;
    }

    fn carry(&mut self, holder: Holder, kind: Window, from: Date, to: Date) {
        let mut labels: Vec<Label> = self.carried.keys().map(|(_, label)| *label).collect();
        let holds = self.payments.iter().filter_map(|payment| payment.hold.as_ref());
        labels.extend(holds.flat_map(|hold| &hold.labels).map(|(_, label)| *label));
        labels.retain(|label| label.kind == kind && label.first == from);
        labels.sort_unstable();
        labels.dedup();
        for label in labels {
            let new = Label { first: to, ..label };
            let (had, _) = self.used(holder, &new);
            let (brought, _) = self.used(holder, &label);
            if brought > had {
                *self.carried.entry((holder, new)).or_default() += brought - had;
            }
            for payment in self.payments.iter_mut().filter(|p| p.state.is_open()) {
                let Some(hold) = &mut payment.hold else { continue };
                if hold.labels.contains(&(holder, label)) && !hold.labels.contains(&(holder, new)) {
                    hold.labels.push((holder, new));
                }
            }
        }
    }

    /// Reserves an order's money now.
    pub fn hold(&mut self, wish: &Wish) -> Hold {
        let (now, agent, payee) = (self.now_ms(), wish.agent, wish.item.payee_key());
        let is_new = self.standing(wish.item) == Standing::New;
        let holders = self.holders_of(agent);
        for &holder in &holders {
            // The hour keeps what lies within sixty minutes before its newest.
            for payment in &mut self.payments {
                let whose = payment.wish.agent;
                let Some(hold) = &mut payment.hold else { continue };
                let old = minute(now) - minute(hold.hour_ms) > 60;
                if old && hold.is_of(whose, holder) && !hold.out_of_hour.contains(&holder) {
                    hold.out_of_hour.push(holder);
                }
            }
        }
        let labels =
            holders.iter().flat_map(|holder| self.labels_now(*holder, payee, is_new)).collect();
        let (number, group) = (self.holds, self.agents[agent].group);
        self.holds += 1;
        let out_of_hour = Vec::new();
        Hold { number, at_ms: now, hour_ms: now, group, labels, out_of_hour, lost: Vec::new() }
    }

    /// The owner says that the system's clock is right. What the rolling hours hold from later
    /// counts from now on; what is older than an hour by this clock is over.
    pub fn set_clock_back(&mut self) {
        let now = self.system_ms;
        for hold in self.payments.iter_mut().filter_map(|payment| payment.hold.as_mut()) {
            if minute(hold.hour_ms) <= minute(now) {
                // The true hour comes back, whatever a jump had pushed out of it: whole minutes,
                // so this one with all its seconds.
                hold.out_of_hour.clear();
            } else {
                // What was forgotten ahead of the clock never counts again.
                hold.lost.extend(std::mem::take(&mut hold.out_of_hour));
            }
            hold.hour_ms = hold.hour_ms.min(now);
            hold.out_of_hour.extend(hold.lost.iter().copied());
            if minute(now) - minute(hold.hour_ms) > 60 {
                hold.out_of_hour = Books::all_holders();
            }
        }
        self.mark_ms = now;
        self.events += 1;
    }

    /// Sees a payee, as one that was paid or that the owner named.
    pub fn see_payee(&mut self, payee: PayeeKey) {
        self.payees.retain(|known| *known != payee);
        self.payees.push(payee);
    }

    /// What is known of a payee.
    pub fn standing(&self, item: Item) -> Standing {
        let (origin, _, foreign) = item.payee_key();
        if self.payees.contains(&item.payee_key()) {
            return Standing::Known;
        }
        let last = self.payees.iter().rev().find(|known| known.0 == origin && known.2 == foreign);
        last.map_or(Standing::New, |known| Standing::Changed { was: known.1 })
    }

    /// A price was paid; ten of a thing are remembered.
    pub fn sell(&mut self, (origin, path, value): (usize, usize, u128)) {
        self.sales.push((origin, path, value));
        let same = |sale: &(usize, usize, u128)| (sale.0, sale.1) == (origin, path);
        if self.sales.iter().filter(|sale| same(sale)).count() > 10
            && let Some(oldest) = self.sales.iter().position(same)
        {
            self.sales.remove(oldest);
        }
    }

    /// A price was not paid after all.
    pub fn unsell(&mut self, sold: (usize, usize, u128)) {
        if let Some(place) = self.sales.iter().rposition(|sale| *sale == sold) {
            self.sales.remove(place);
        }
    }

    /// The median of the last ten prices of a thing, if there are three.
    pub fn usual_price(&self, item: Item) -> Option<u128> {
        let same = |sale: &&(usize, usize, u128)| (sale.0, sale.1) == (item.origin, item.path);
        let mut last: Vec<u128> =
            self.sales.iter().rev().filter(same).take(10).map(|sale| sale.2).collect();
        last.sort_unstable();
        (last.len() >= 3).then(|| last[(last.len() - 1) / 2])
    }

    /// Questions of an agent that wait.
    pub fn waiting(&self, agent: usize) -> impl Iterator<Item = &Payment> {
        self.payments
            .iter()
            .filter(move |p| p.wish.agent == agent && p.state == PaymentState::Waiting)
    }
}

/// What is known of a payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Known,
    New,
    Changed { was: usize },
}

/// Whole minutes since 1970.
pub fn minute(at_ms: i64) -> i64 {
    at_ms.div_euclid(60_000)
}

impl Signal {
    /// How much danger it means at a moment.
    pub fn level(&self, now_ms: i64) -> Danger {
        let answered = |wait_ms: i64| self.ack_ms.is_some_and(|ack| ack + wait_ms <= now_ms);
        let unless = |over: bool, level: Danger| if over { Danger::Calm } else { level };
        match self.oddity {
            Oddity::Jumped { .. } => unless(now_ms - self.at_ms >= 86_400_000, Danger::Wary),
            Oddity::Soared { .. }
            | Oddity::OtherAddress { .. }
            | Oddity::Undelivered
            | Oddity::Burst => unless(answered(0), Danger::Guarded),
            Oddity::Differ => unless(answered(3_600_000), Danger::Guarded),
            Oddity::Elsewhere { .. } => unless(answered(0), Danger::Halted),
        }
    }
}
