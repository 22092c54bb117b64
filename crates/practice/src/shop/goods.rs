//! What the corner shop sells, and for how much.

use imprest_domain::Units;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a quoted price is honoured.
const QUOTE_LIFETIME: Duration = Duration::from_secs(600);

/// Most quotes remembered; the oldest go first.
const MAX_QUOTES: usize = 256;

/// One good.
pub(crate) struct Good {
    /// Its path, with the slash.
    pub(crate) path: &'static str,
    /// What the customer reads.
    pub(crate) title: &'static str,
    /// Prices in units of USDC (6 decimals), gone through visit by visit; never empty.
    prices_units: &'static [u32],
    make: fn(Date) -> Value,
}

/// The assortment.
pub(crate) const GOODS: [Good; 4] = [
    Good { path: "/weather", title: "Weather, Rotterdam", prices_units: &[10_000], make: weather },
    Good {
        path: "/freight-index",
        title: "Freight index",
        prices_units: &[50_000],
        make: freight_index,
    },
    Good {
        path: "/supplier-prices",
        title: "Supplier price list",
        prices_units: &[600_000],
        make: supplier_prices,
    },
    Good {
        path: "/tide",
        title: "Tide table, Hook of Holland",
        prices_units: &[4_200, 6_300, 8_400, 5_100, 2_700],
        make: tide,
    },
];

impl Good {
    /// What the price list says: the first price.
    pub(crate) fn list_price(&self) -> Units {
        units(self.prices_units.first().copied().unwrap_or_default())
    }

    /// Whether the next visit may see another price.
    pub(crate) fn price_changes(&self) -> bool {
        self.prices_units.len() > 1
    }

    /// The good itself, for today.
    pub(crate) fn content(&self) -> Value {
        (self.make)(Timestamp::now().to_zoned(TimeZone::UTC).date())
    }
}

fn units(units: u32) -> Units {
    // Every u32 is within the books.
    Units::new(u128::from(units)).unwrap_or(Units::ZERO)
}

/// Remembers what was quoted, so that a quote is kept.
#[derive(Default)]
pub(crate) struct Counter(Mutex<Quotes>);

#[derive(Default)]
struct Quotes {
    visits: usize,
    /// Price and time of quotes for goods whose price changes.
    made: VecDeque<(Units, Instant)>,
}

impl Counter {
    /// The price for this visit.
    pub(crate) fn quote(&self, good: &Good) -> Units {
        if !good.price_changes() {
            return good.list_price();
        }
        let mut quotes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let price = units(good.prices_units[quotes.visits % good.prices_units.len()]);
        quotes.visits = quotes.visits.wrapping_add(1);
        // One entry per price, with its newest time, so that visitors cannot push others' quotes out.
        quotes.made.retain(|(quoted, _)| *quoted != price);
        quotes.made.push_back((price, Instant::now()));
        if quotes.made.len() > MAX_QUOTES {
            quotes.made.pop_front();
        }
        price
    }

    /// The prices a payment may have, newest quote first.
    pub(crate) fn honoured(&self, good: &Good) -> Vec<Units> {
        if !good.price_changes() {
            return vec![good.list_price()];
        }
        let quotes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_live = |quoted_at: &Instant| quoted_at.elapsed() < QUOTE_LIFETIME;
        quotes.made.iter().rev().filter(|(_, at)| is_live(at)).map(|(price, _)| *price).collect()
    }
}

/// A figure between 0 and `below`, the same all day: the shop has no real sources, and says so
/// by being on the practice network.
fn figure(day: Date, what: &str, below: u64) -> u64 {
    let digest = alloy_primitives::keccak256(format!("{day} {what}"));
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first) % below.max(1)
}

/// One of the words, the same all day.
fn pick(day: Date, what: &str, words: &[&'static str]) -> &'static str {
    let index = figure(day, what, words.len().try_into().unwrap_or(1));
    usize::try_from(index).ok().and_then(|index| words.get(index)).copied().unwrap_or_default()
}

/// Hundredths as a decimal string: 1234 is `12.34`.
fn hundredths(value: u64) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

fn weather(day: Date) -> Value {
    // A mild sea climate: 4 °C in January, 19 °C in July, give or take three.
    let month = u64::try_from(day.month()).unwrap_or(1);
    let summer = 6 - month.abs_diff(7).min(6);
    let mean_c = 4 + summer * 15 / 6;
    let high = mean_c + figure(day, "high", 4);
    let sky = pick(day, "sky", &["clear", "partly cloudy", "overcast", "showers", "rain"]);
    json!({
        "place": "Rotterdam",
        "date": day.to_string(),
        "sky": sky,
        "temperature_c": { "low": high.saturating_sub(3 + figure(day, "low", 4)), "high": high },
        "wind": { "from": pick(day, "wind", &["SW", "W", "NW", "S"]), "beaufort": 2 + figure(day, "force", 5) },
        "rain_mm": if matches!(sky, "showers" | "rain") { 1 + figure(day, "rain", 12) } else { 0 },
    })
}

fn freight_index(day: Date) -> Value {
    let route = |name: &str, usd: u64| {
        let price = usd + figure(day, name, usd / 10);
        json!({ "route": name, "usd_per_40ft_container": price })
    };
    json!({
        "index": "Container freight",
        "date": day.to_string(),
        "routes": [
            route("Shanghai–Rotterdam", 2_900),
            route("Rotterdam–New York", 2_100),
            route("Santos–Rotterdam", 2_450),
            route("Rotterdam–Singapore", 640),
        ],
    })
}

fn supplier_prices(day: Date) -> Value {
    let line = |sku: &str, name: &str, unit: &str, eur_hundredths: u64| {
        let price = eur_hundredths + figure(day, sku, eur_hundredths / 20);
        json!({ "sku": sku, "name": name, "unit": unit, "price_eur": hundredths(price) })
    };
    json!({
        "supplier": "Maas Supplies",
        "valid_on": day.to_string(),
        "lines": [
            line("PAL-080", "Euro pallet, heat treated", "piece", 1_390),
            line("BOX-430", "Carton 430×310×250, double wall", "25 pieces", 2_675),
            line("TAP-048", "Paper tape 48 mm × 50 m", "36 rolls", 5_940),
            line("FIL-500", "Stretch film 500 mm, 23 µm", "6 rolls", 4_380),
            line("LBL-100", "Thermal labels 100×150 mm", "4 rolls", 3_120),
        ],
    })
}

fn tide(day: Date) -> Value {
    // Two highs and two lows, 6 h 12 min apart, fifty minutes later each day.
    const HALF_TIDE_MIN: u64 = 372;
    let shift = (u64::try_from(day.day_of_year()).unwrap_or_default() * 50) % HALF_TIDE_MIN;
    let tides: Vec<Value> = (0..4u64)
        .map(|n| {
            let minutes = (shift + n * HALF_TIDE_MIN) % 1_440;
            let is_high = n % 2 == 0;
            let cm = if is_high { 95 + figure(day, "high", 40) } else { figure(day, "low", 25) };
            json!({
                "time_utc": format!("{:02}:{:02}", minutes / 60, minutes % 60),
                "kind": if is_high { "high" } else { "low" },
                "height_m": hundredths(cm),
            })
        })
        .collect();
    json!({ "place": "Hook of Holland", "date": day.to_string(), "tides": tides })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_good_can_be_made_every_day() {
        let mut day = Date::constant(2027, 1, 1);
        for _ in 0..366 {
            for good in &GOODS {
                assert!((good.make)(day).is_object(), "{} on {day}", good.path);
            }
            day = day.tomorrow().expect("there is a next day");
        }
    }

    #[test]
    fn a_quoted_price_is_kept_while_others_are_quoted() {
        let tide = &GOODS[3];
        let counter = Counter::default();
        assert!(counter.honoured(tide).is_empty(), "nothing was quoted yet");
        let first = counter.quote(tide);
        let second = counter.quote(tide);
        assert_ne!(first, second);
        for _ in 0..1_000 {
            counter.quote(tide);
        }
        let honoured = counter.honoured(tide);
        assert!(honoured.contains(&first) && honoured.contains(&second));
        assert_eq!(counter.quote(&GOODS[0]), counter.quote(&GOODS[0]));
    }
}
