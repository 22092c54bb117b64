//! What the rules would say, worked out from the lists alone.

use super::books::*;
use super::limits::Newcomers;
use super::step::Wish;
use imprest_domain::{Danger, Effect, Grade, Outcome, Verdict, Window};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// A rule, and whose: the agent's own, or the shared budget's.
pub type Rule = (&'static str, Option<usize>);

/// What a rule compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub rule: Rule,
    pub limit: u128,
    pub observed: u128,
}

/// What a verdict has to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    pub denies: BTreeSet<Rule>,
    /// What is asked, or was answered by a yes.
    pub asks: BTreeSet<Rule>,
    pub compared: Vec<Compared>,
}

/// What an order itself brings to light.
pub fn sightings(books: &Books, wish: &Wish) -> Vec<(About, Oddity)> {
    let (item, value) = (wish.item, wish.value);
    let about = || About::Origin(item.origin);
    let mut seen = Vec::new();
    if let Standing::Changed { was } = books.standing(item) {
        seen.push((about(), Oddity::OtherAddress { now: item.address, was }));
    }
    if let Some(usual) = books.usual_price(item) {
        let foreign = item.foreign;
        if value > 5 * usual {
            seen.push((about(), Oddity::Soared { value, usual, foreign }));
        } else if value > 2 * usual {
            seen.push((about(), Oddity::Jumped { value, usual, foreign }));
        }
    }
    seen
}

/// Those of them for which no unanswered signal of their kind stands; one of a jumped price stands
/// for an hour.
pub fn unsaid(books: &Books, seen: Vec<(About, Oddity)>) -> Vec<(About, Oddity)> {
    let now = books.now_ms();
    let stands = |signal: &Signal| {
        !matches!(signal.oddity, Oddity::Jumped { .. }) || signal.at_ms > now - 3_600_000
    };
    let said =
        |(about, oddity): &(About, Oddity)| {
            let kind = std::mem::discriminant(oddity);
            books.signals.iter().filter(|s| s.ack_ms.is_none() && stands(s)).any(|signal| {
                signal.about == *about && std::mem::discriminant(&signal.oddity) == kind
            })
        };
    seen.into_iter().filter(|one| !said(one)).collect()
}

/// How suspicious the world looks to an order.
fn danger(books: &Books, wish: &Wish) -> Danger {
    let now = books.now_ms();
    let concerned = |signal: &&Signal| match signal.about {
        About::Network => true,
        About::Origin(origin) => origin == wish.item.origin,
        About::Agent(agent) => agent == wish.agent,
    };
    let remembered = books.signals.iter().filter(concerned).map(|signal| signal.level(now));
    let seen = sightings(books, wish).into_iter().map(|(about, oddity)| {
        Signal { seq: 0, at_ms: now, about, oddity, ack_ms: None }.level(now)
    });
    let clock = if books.clock_behind() { Danger::Guarded } else { Danger::Calm };
    remembered.chain(seen).fold(wish.danger.max(clock), Danger::max)
}

impl Expected {
    /// What is to be said of a wish now.
    pub fn of(books: &Books, wish: &Wish) -> Expected {
        let danger = danger(books, wish);
        let ceiling = match danger {
            Danger::Calm => 4,
            Danger::Wary => 3,
            Danger::Guarded => 2,
            Danger::Halted => 1,
        };
        let grade = (books.agents[wish.agent].grade as u8).min(ceiling);
        let mut expected = Expected::default();
        expected.standing(books, grade);
        expected.amounts(books, wish);
        for holder in books.holders_of(wish.agent) {
            expected.limits(books, wish, holder, danger > Danger::Calm);
        }
        expected.payee(books, wish, grade);
        expected
    }

    fn standing(&mut self, books: &Books, grade: u8) {
        if books.frozen {
            self.denies.insert(("frozen", None));
        }
        if grade <= Grade::L1 as u8 {
            self.denies.insert(("grade_too_low", None));
        } else if grade == Grade::L2 as u8 {
            self.asks.insert(("grade_asks", None));
        }
    }

    fn amounts(&mut self, books: &Books, wish: &Wish) {
        if wish.value == 0 {
            self.denies.insert(("zero_amount", None));
        }
        if let Some(max) = wish.agent_max {
            self.compare(("over_agent_max", None), max, wish.value, Effect::Deny);
        }
        let (free, _, _) = books.balance(wish.agent);
        self.compare(("float_too_small", None), free, wish.value, Effect::Deny);
    }

    fn compare(&mut self, rule: Rule, limit: u128, observed: u128, over: Effect) {
        // The product's figures end at 2^63 − 1.
        let shown = observed.min(i64::MAX as u128);
        self.compared.push(Compared { rule, limit, observed: shown });
        if observed > limit {
            if over == Effect::Deny { &mut self.denies } else { &mut self.asks }.insert(rule);
        }
    }

    fn limits(&mut self, books: &Books, wish: &Wish, holder: Holder, halved: bool) {
        let limits = &books.account(holder).limits;
        let scope = scope_of(holder);
        let (now, value) = (books.now_ms(), wish.value);
        if limits.ends_ms.is_some_and(|end| now >= end) {
            self.denies.insert(("budget_ended", scope));
        }
        if wish.item.foreign {
            self.denies.insert(("other_asset", scope));
        }
        if limits.hours.is_some_and(|hours| !is_open(hours, limits.zone, now)) {
            self.denies.insert(("outside_hours", scope));
        }
        if let Some(limit) = limits.per_payment {
            let asks = limits.asks_above && limit > 0;
            let over = if asks { Effect::Ask } else { Effect::Deny };
            let in_force = if halved { limit / 2 } else { limit };
            self.compare(("over_per_payment", scope), in_force, value, over);
        }
        let (hour, count) = books.hour(holder, now);
        let (settled, held) = books.lifetime(holder);
        let used = |kind| books.used_now(holder, kind, wish);
        let sums = [
            ("over_per_hour", limits.hour, hour),
            ("over_per_day", limits.day, used(Window::Day)),
            ("over_per_week", limits.week, used(Window::Week)),
            ("over_per_month", limits.month, used(Window::Month)),
            ("over_lifetime", limits.lifetime, settled + held),
            ("over_payee_day", limits.payee_day, used(Window::PayeeDay)),
            ("over_exposure", limits.exposure, held),
        ];
        for (code, limit, sum) in sums {
            if let Some(limit) = limit {
                self.compare((code, scope), limit, sum + value, Effect::Deny);
            }
        }
        if limits.count_hour.is_some_and(|limit| count + 1 > limit) {
            self.denies.insert(("over_count_per_hour", scope));
        }
    }

    fn payee(&mut self, books: &Books, wish: &Wish, grade: u8) {
        if wish.other_resource {
            self.asks.insert(("other_resource", None));
        }
        match books.standing(wish.item) {
            Standing::Known => return,
            Standing::Changed { .. } => {
                self.asks.insert(("payee_changed", None));
                return;
            }
            Standing::New => {}
        }
        let holders = books.holders_of(wish.agent);
        let rule = |holder: &Holder| match books.account(*holder).limits.newcomers {
            Newcomers::Allowed if grade < Grade::L4 as u8 => Newcomers::Asked,
            other => other,
        };
        let own = rule(&holders[0]);
        self.newcomer(own, None);
        if let Some(group) = holders.get(1).filter(|group| rule(group) > own) {
            self.newcomer(rule(group), scope_of(*group));
        }
        if holders.iter().any(|holder| rule(holder) != Newcomers::Allowed) {
            return;
        }
        for holder in holders {
            if let Some(cap) = books.account(holder).limits.new_payee_day {
                let sum = books.used_now(holder, Window::NewPayeeDay, wish) + wish.value;
                self.compare(("over_new_payee_day", scope_of(holder)), cap, sum, Effect::Ask);
            }
        }
    }

    fn newcomer(&mut self, rule: Newcomers, scope: Option<usize>) {
        match rule {
            Newcomers::Allowed => false,
            Newcomers::Asked => self.asks.insert(("new_payee", scope)),
            Newcomers::Denied => self.denies.insert(("new_payee", scope)),
        };
    }

    /// Which way it goes; a yes of the owner answers what is asked.
    pub fn outcome(&self, approved: bool) -> Outcome {
        match (self.denies.is_empty(), self.asks.is_empty() || approved) {
            (false, _) => Outcome::Deny,
            (true, false) => Outcome::Ask,
            (true, true) => Outcome::Allow,
        }
    }

    /// Whether a refusal is the agent running against what its owner set.
    pub fn is_hard(&self) -> bool {
        let denied = |codes: &[&str]| self.denies.iter().any(|(code, _)| codes.contains(code));
        !denied(&["frozen", "grade_too_low"])
            && denied(&[
                "over_per_payment",
                "over_per_day",
                "over_per_week",
                "over_per_month",
                "over_lifetime",
                "over_payee_day",
                "new_payee",
                "other_asset",
            ])
    }

    /// What a verdict says otherwise than expected.
    pub fn differs(&self, verdict: &Verdict, approved: bool) -> Option<String> {
        let rules = |wanted: &[Effect]| -> BTreeSet<Rule> {
            let found = verdict.reasons.iter().filter(|reason| wanted.contains(&reason.effect));
            found
                .map(|reason| (reason.code.word(), reason.scope.as_deref().map(group_of)))
                .collect()
        };
        if verdict.outcome != self.outcome(approved) {
            return Some(format!("the outcome {:?} instead of {self:?}", verdict.outcome));
        }
        let (denies, asks) = (rules(&[Effect::Deny]), rules(&[Effect::Ask, Effect::Approved]));
        if denies != self.denies || asks != self.asks {
            return Some(format!("it denies {denies:?} and asks {asks:?} instead of {self:?}"));
        }
        let answered = if approved { Effect::Ask } else { Effect::Approved };
        if verdict.reasons.iter().any(|reason| reason.effect == answered) {
            return Some(format!("a rule is {answered:?}"));
        }
        self.compared.iter().find_map(|compared| {
            let reason = verdict.reasons.iter().find(|reason| {
                (reason.code.word(), reason.scope.as_deref().map(group_of)) == compared.rule
            });
            let found =
                reason.and_then(|reason| Some((reason.limit?.get(), reason.observed?.get())));
            let same = found == Some((compared.limit, compared.observed));
            (!same).then(|| format!("it compared {found:?} instead of {compared:?}"))
        })
    }
}

impl Books {
    /// What the window of a kind that now lies in holds, settled and reserved together.
    pub fn used_now(&self, holder: Holder, kind: Window, wish: &Wish) -> u128 {
        let zone = self.account(holder).limits.zone;
        let label = Books::label(kind, zone, self.now_ms(), wish.item.payee_key());
        let (settled, held) = self.used(holder, &label);
        settled + held
    }
}

/// The names of the shared budgets.
pub fn group_name(group: usize) -> String {
    format!("Group {group}")
}

fn group_of(name: &str) -> usize {
    name.strip_prefix("Group ").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
}

fn scope_of(holder: Holder) -> Option<usize> {
    match holder {
        Holder::Agent(_) => None,
        Holder::Group(group) => Some(group),
    }
}

fn is_open((from, until): (u16, u16), zone: &str, now_ms: i64) -> bool {
    let moment = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let local = TimeZone::get(zone).unwrap_or(TimeZone::UTC).to_datetime(moment);
    let minute = local.hour() as u16 * 60 + local.minute() as u16;
    match from < until {
        true => from <= minute && minute < until,
        false => from <= minute || minute < until,
    }
}
