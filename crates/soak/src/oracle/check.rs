//! What is looked at after each step, and what must hold whatever the oracle thinks.

use super::books::*;
use super::desk::{Desk, Seen, unexpected, unread};
use super::peek;
use super::rules::Expected;
use super::step::Wish;
use super::world::{AGENTS, GROUPS, Item};
use imprest_domain::{Danger, PayeeStanding, Window};

/// The rolling hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;

impl Books {
    /// The places of payments that are such.
    pub fn places(&self, such: impl Fn(&Payment) -> bool) -> Vec<usize> {
        let found = self.payments.iter().enumerate().filter(|(_, payment)| such(payment));
        found.map(|(place, _)| place).collect()
    }

    /// Writes a signal down.
    pub fn raise(&mut self, about: About, oddity: Oddity) {
        self.event();
        let (seq, at_ms) = (self.events, self.mark_ms);
        self.signals.push(Signal { seq, at_ms, about, oddity, ack_ms: None });
    }

    /// Answers all open signals that are such.
    pub fn answer(&mut self, such: impl Fn(&Signal) -> bool) {
        for place in 0..self.signals.len() {
            if self.signals[place].ack_ms.is_none() && such(&self.signals[place]) {
                self.event();
                self.signals[place].ack_ms = Some(self.mark_ms);
            }
        }
    }

    /// Three times within a while, and not before the last answer, are a signal.
    pub fn burst(&mut self, about: About, oddity: Oddity, times: &[i64], within_ms: i64) {
        let same = |s: &&Signal| s.about == about && s.oddity == oddity;
        let answered = self.signals.iter().filter(same).filter_map(|s| s.ack_ms).max();
        let since = (self.now_ms() - within_ms).max(answered.unwrap_or(i64::MIN));
        let open = self.signals.iter().filter(same).any(|s| s.ack_ms.is_none());
        if times.iter().filter(|at| **at > since).count() >= 3 && !open {
            self.raise(about, oddity);
        }
    }

    /// At the moment of a grant no limit is passed, by the payments' own timestamps.
    pub fn limits_hold(&self, place: usize) -> Seen {
        let wish = &self.payments[place].wish;
        for holder in self.holders_of(wish.agent) {
            let limits = &self.account(holder).limits;
            let (settled, held) = self.lifetime(holder);
            let mut sums = vec![
                ("lifetime", limits.lifetime, settled + held),
                ("exposure", limits.exposure, held),
                ("hour", limits.hour, self.fullest_hour(holder).0),
                ("count", limits.count_hour.map(u128::from), self.fullest_hour(holder).1),
            ];
            for (kind, limit) in [
                (Window::Day, limits.day),
                (Window::Week, limits.week),
                (Window::Month, limits.month),
                (Window::PayeeDay, limits.payee_day),
            ] {
                sums.push((kind.word(), limit, self.exactly(holder, kind, wish)));
            }
            for (what, limit, sum) in sums {
                if limit.is_some_and(|limit| sum > limit) {
                    return Err(format!(
                        "{holder:?} holds {sum} in its {what}, above {limit:?}, after {wish:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What the current window of a kind holds by the timestamps of payments, since the zone in
    /// force is in force.
    fn exactly(&self, holder: Holder, kind: Window, wish: &Wish) -> u128 {
        let (zone, since) = (self.account(holder).limits.zone, self.account(holder).zone_since);
        let payee = wish.item.payee_key();
        let now = Books::label(kind, zone, self.now_ms(), payee);
        let inside = |(payment, hold): &(&Payment, &Hold)| {
            hold.number >= since
                && hold.is_of(payment.wish.agent, holder)
                && now == Books::label(kind, zone, hold.at_ms, payment.wish.item.payee_key())
        };
        self.live().filter(inside).map(|(payment, _)| payment.wish.value).sum()
    }

    /// The fullest sixty minutes that hold this moment, by the timestamps of payments.
    fn fullest_hour(&self, holder: Holder) -> (u128, u128) {
        let now = self.now_ms();
        let near: Vec<(i64, u128)> = self
            .live()
            .filter(|(payment, hold)| {
                hold.is_of(payment.wish.agent, holder)
                    && !hold.out_of_hour.contains(&holder)
                    && now - hold.hour_ms <= HOUR_MS
            })
            .map(|(payment, hold)| (hold.hour_ms, payment.wish.value))
            .collect();
        let from = near.iter().map(|(at, _)| *at).filter(|at| *at <= now);
        let sums = from.map(|from| {
            let inside = near.iter().filter(|(at, _)| (from..=from + HOUR_MS).contains(at));
            inside.fold((0, 0), |(sum, count), (_, value)| (sum + value, count + 1))
        });
        sums.fold((0, 0), |(units, count): (u128, u128), (u, c)| (units.max(u), count.max(c)))
    }
}

impl Desk {
    /// Looks at everything that the step may have changed, and at some that it may not.
    pub async fn look(&mut self) -> Seen {
        let head = self.ledger.head();
        if (head.seq, head.at_ms) != (self.books.events, self.books.mark_ms) {
            return Err(format!(
                "the head is {head:?}, not event {} of {}",
                self.books.events, self.books.mark_ms
            ));
        }
        let differs = peek::differs(&self.peek, &self.names, &self.books).map_err(unread)?;
        differs.map_or(Ok(()), Err)?;
        self.look_ahead().await?;
        self.ask_the_ledger().await?;
        if self.looks.percent(2) { self.look_at_open_payments().await } else { Ok(()) }
    }

    /// What would be said of some order now.
    async fn look_ahead(&mut self) -> Seen {
        let wish = Wish {
            agent: self.looks.index(AGENTS),
            item: Item::draw(&mut self.looks),
            value: u128::from(self.looks.between(0, 20)),
            key: None,
            agent_max: None,
            other_resource: false,
            danger: Danger::Calm,
            question_minutes: 10,
        };
        let order = wish.order(&self.names.agents[wish.agent]);
        let answer = self.ledger.preview(order, wish.item.asset(), wish.danger).await;
        let preview = answer.map_err(unexpected("previewing"))?;
        let expected = Expected::of(&self.books, &wish);
        if let Some(what) = expected.differs(&preview.verdict, false) {
            return Err(format!("a look at {wish:?}: {what}"));
        }
        let same = match (self.books.standing(wish.item), preview.payee) {
            (Standing::New, PayeeStanding::New) | (Standing::Known, PayeeStanding::Known) => true,
            (Standing::Changed { was }, PayeeStanding::Changed { was: found }) => {
                Item { address: was, ..wish.item }.payee().pay_to == found
            }
            _ => false,
        };
        if same { Ok(()) } else { Err(format!("a look at {wish:?} found {:?}", preview.payee)) }
    }

    /// The ledger's own readers say what the lists say.
    async fn ask_the_ledger(&mut self) -> Seen {
        let holder = match self.looks.index(AGENTS + GROUPS) {
            group if group < GROUPS => Holder::Group(group),
            agent => Holder::Agent(agent - GROUPS),
        };
        let window = *self.looks.one_of(&[
            Window::Hour,
            Window::Day,
            Window::Week,
            Window::Month,
            Window::Lifetime,
            Window::NewPayeeDay,
        ]);
        let limits = &self.books.account(holder).limits;
        let answer = self.ledger.window_use(self.names.of(holder), &limits.budget(), window).await;
        let found = answer.map_err(unexpected("reading a window"))?;
        let found = (found.settled.get(), found.held.get());
        let now = self.books.now_ms();
        let expected = match window {
            Window::Hour => (self.books.hour(holder, now).0, 0),
            Window::Lifetime => self.books.lifetime(holder),
            _ => self.books.used(holder, &Books::label(window, limits.zone, now, (0, 0, false))),
        };
        if found != expected {
            let word = window.word();
            return Err(format!("{holder:?}’s {word} is said to hold {found:?}, not {expected:?}"));
        }
        let agent = self.looks.index(AGENTS);
        let answer = self.ledger.balance(&self.names.agents[agent]).await;
        let said = answer.map_err(unexpected("reading a balance"))?;
        let found = (said.free.get(), said.held.get(), said.paid.get());
        match found == self.books.balance(agent) {
            true => Ok(()),
            false => Err(format!("{said:?} instead of {:?}", self.books.balance(agent))),
        }
    }

    async fn look_at_open_payments(&self) -> Seen {
        let open = self.ledger.open_payments().await.map_err(unexpected("reading holds"))?;
        let mut found: Vec<_> = open.iter().map(|p| (p.payment.clone(), p.state)).collect();
        let listed = self.books.payments.iter().filter(|payment| payment.state.is_open());
        let mut expected: Vec<_> = listed.map(|p| (p.id.clone(), p.state)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        match found == expected {
            true => Ok(()),
            false => Err(format!("open payments are {found:?}, not {expected:?}")),
        }
    }
}
