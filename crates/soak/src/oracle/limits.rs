//! Limits in plain numbers, as the oracle keeps them.

use super::world::usdc;
use crate::chance::Chance;
use imprest_domain::{Budget, NewPayeeRule, OverPayment, Units};
use jiff::Timestamp;

/// Time zones with something odd about them: far east and west, half hours, changes of the clock
/// that others do not have.
pub const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Amsterdam",
    "America/New_York",
    "Asia/Tokyo",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Pacific/Chatham",
];

/// What happens with a payee never paid before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Newcomers {
    /// A steward may pay it.
    Allowed,
    /// The owner is asked.
    Asked,
    /// Never.
    Denied,
}

/// A budget in plain numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub per_payment: Option<u128>,
    pub hour: Option<u128>,
    pub day: Option<u128>,
    pub week: Option<u128>,
    pub month: Option<u128>,
    pub lifetime: Option<u128>,
    pub payee_day: Option<u128>,
    pub new_payee_day: Option<u128>,
    pub exposure: Option<u128>,
    pub count_hour: Option<u32>,
    /// Minutes after local midnight, from and until.
    pub hours: Option<(u16, u16)>,
    pub asks_above: bool,
    pub newcomers: Newcomers,
    pub zone: &'static str,
    pub ends_ms: Option<i64>,
}

impl Limits {
    /// Limits that a few dozen payments of 1–20 units run into.
    pub fn draw(chance: &mut Chance, now_ms: i64) -> Limits {
        let mut maybe = |percent, from, to| {
            let set = chance.percent(percent);
            let limit = u128::from(chance.between(from, to));
            set.then_some(limit)
        };
        let (per_payment, hour) = (maybe(60, 6, 25), maybe(50, 20, 80));
        let (day, week, month) = (maybe(60, 40, 160), maybe(40, 100, 500), maybe(30, 200, 1_500));
        let (lifetime, payee_day) = (maybe(25, 500, 9_000), maybe(30, 20, 90));
        let (new_payee_day, exposure) = (maybe(50, 5, 40), maybe(40, 20, 120));
        let count_hour = maybe(30, 1, 9).and_then(|count| u32::try_from(count).ok());
        let hours = chance.percent(10).then(|| {
            let from = chance.below(1_440) as u16;
            // Any other minute up to 24:00, so that the hours may pass midnight.
            let until = (u64::from(from) + 1 + chance.below(1_439)) % 1_441;
            (from, if until == u64::from(from) { 1_440 } else { until as u16 })
        });
        let newcomers =
            [Newcomers::Allowed, Newcomers::Allowed, Newcomers::Asked, Newcomers::Denied];
        let mut limits = Limits {
            per_payment,
            hour,
            day,
            week,
            month,
            lifetime,
            payee_day,
            new_payee_day,
            exposure,
            count_hour,
            hours: hours.filter(|(from, until)| from != until),
            asks_above: chance.percent(50),
            newcomers: *chance.one_of(&newcomers),
            zone: chance.one_of::<&str>(&ZONES),
            ends_ms: chance
                .percent(5)
                .then(|| now_ms + chance.between(60_000, 3_000_000_000) as i64),
        };
        if !limits.is_bounded() {
            limits.day = Some(150);
        }
        if chance.percent(3) {
            limits.day = Some(0);
        }
        limits
    }

    /// Whether a calendar window or a lifetime bounds it.
    pub fn is_bounded(&self) -> bool {
        [self.day, self.week, self.month, self.lifetime].iter().any(Option::is_some)
    }

    /// The same limits in the product's form.
    pub fn budget(&self) -> Budget {
        let units = |limit: Option<u128>| limit.and_then(|limit| Units::new(limit).ok());
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        Budget {
            limit_units_per_payment: units(self.per_payment),
            limit_units_per_hour: units(self.hour),
            limit_units_per_day: units(self.day),
            limit_units_per_week: units(self.week),
            limit_units_per_month: units(self.month),
            limit_units_lifetime: units(self.lifetime),
            limit_units_per_payee_day: units(self.payee_day),
            limit_units_per_new_payee_day: units(self.new_payee_day),
            limit_units_exposure: units(self.exposure),
            limit_count_per_hour: self.count_hour,
            hours: self
                .hours
                .and_then(|(from, until)| format!("{}-{}", clock(from), clock(until)).parse().ok()),
            over_payment: if self.asks_above { OverPayment::Ask } else { OverPayment::Deny },
            new_payee: match self.newcomers {
                Newcomers::Allowed => NewPayeeRule::Allow,
                Newcomers::Asked => NewPayeeRule::Ask,
                Newcomers::Denied => NewPayeeRule::Deny,
            },
            zone: self.zone.to_owned(),
            expires_at: self.ends_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            ..Budget::blank(usdc().id)
        }
    }
}
