//! What counts in which window, and what becomes of it when a zone or the clock changes.

use super::{Done, overflow, sum};
use crate::books::Books;
use crate::cell::Json;
use crate::error::LedgerError;
use crate::event::Carried;
use crate::rows::{CounterRow, HourRow, PaymentRow, Span};
use crate::table::{One, Three};
use imprest_domain::{Counted, HourUse, Units, Window};
use std::collections::BTreeMap;

/// A minute in which no payment was ever made.
const FORGOTTEN: i64 = -1;

/// How a hold ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was paid.
    Settled,
    /// It was signed and never taken.
    Unused,
    /// It was never signed.
    Unsigned,
}

impl Books {
    /// What the rolling hours hold from later moves into this minute, and open holds with it, so
    /// that one that is given back is taken from where it lies; one that its hour had forgotten
    /// lies nowhere any more.
    pub(super) fn set_hours_back(&mut self, to: i64) -> Done {
        let mut before = BTreeMap::new();
        for mut row in self.hours()? {
            before.insert(row.holder.clone(), row.minutes.0.clone());
            row.minutes.0.set_back(to);
            self.put(row);
        }
        let lies = |span: &Span| {
            let hour = before.get(&*span.0);
            minute(&span.2).is_ok_and(|at| hour.is_some_and(|hour| hour.knows(at)))
        };
        let later = |span: &Span| span.1 == Window::Hour && minute(&span.2).is_ok_and(|m| m > to);
        let open: Vec<PaymentRow> = self
            .at_hand::<PaymentRow>()
            .filter(|row| row.state.is_open())
            .filter(|row| row.spans.iter().flat_map(|spans| &spans.0).any(later))
            .cloned()
            .collect();
        for mut row in open {
            for span in row.spans.iter_mut().flat_map(|spans| &mut spans.0) {
                if later(span) {
                    span.2 = if lies(span) { to } else { FORGOTTEN }.to_string();
                }
            }
            self.put(row);
        }
        Ok(())
    }

    /// Another time zone gives today another name. What the window of the old name holds goes on
    /// to count in the window of the new one, so that no change of zone ever reopens a window.
    pub(super) fn carry_windows(&mut self, holder: &str, carried: &[Carried]) -> Done {
        for Carried { window, from, to } in carried {
            for counter in self.counters_from(holder, *window, from)? {
                let label = counter.label.replacen(from, to, 1);
                let mut carried = self.counter(holder, *window, &label)?;
                carried.settled = carried.settled.max(counter.settled);
                self.put(carried);
                self.carry_holds(holder, *window, &counter.label, &label)?;
            }
        }
        Ok(())
    }

    /// Open holds of a window also lie in the one it is carried into, and come back from both.
    fn carry_holds(&mut self, holder: &str, window: Window, from: &str, to: &str) -> Done {
        let lies = |row: &PaymentRow, label: &str| {
            row.spans.as_ref().is_some_and(|spans| {
                spans.0.iter().any(|s| &*s.0 == holder && s.1 == window && s.2 == label)
            })
        };
        let open: Vec<PaymentRow> = self
            .at_hand::<PaymentRow>()
            .filter(|row| row.state.is_open() && lies(row, from) && !lies(row, to))
            .cloned()
            .collect();
        for mut row in open {
            let mut counter = self.counter(holder, window, to)?;
            counter.held = sum(counter.held, row.value)?;
            self.put(counter);
            if let Some(spans) = &mut row.spans {
                spans.0.push(Span(holder.into(), window, to.to_owned()));
            }
            self.put(row);
        }
        Ok(())
    }

    /// Takes a hold out of its counters, into what is settled or out altogether.
    pub(super) fn uncount(&mut self, row: &PaymentRow, end: End) -> Done {
        let gone = || LedgerError::damaged("a hold that no counter holds");
        for Span(holder, window, label) in row.spans.iter().flat_map(|spans| &spans.0) {
            if *window == Window::Hour {
                if end == End::Unsigned {
                    self.hour_of(holder)?.take(minute(label)?, row.value);
                }
                continue;
            }
            let counter = self.counter_of(holder, *window, label)?;
            counter.held = counter.held.checked_sub(row.value).ok_or_else(gone)?;
            if end == End::Settled {
                counter.settled = sum(counter.settled, row.value)?;
            }
        }
        Ok(())
    }

    /// Takes a settlement back into the holds of its counters; each window's sum stays what it was.
    pub(super) fn count_again(&mut self, row: &PaymentRow) -> Done {
        let gone = || LedgerError::damaged("a settlement that no counter holds");
        for Span(holder, window, label) in row.spans.iter().flat_map(|spans| &spans.0) {
            // What was signed stays in the rolling hour, whatever became of it.
            if *window == Window::Hour {
                continue;
            }
            let counter = self.counter_of(holder, *window, label)?;
            counter.settled = counter.settled.checked_sub(row.value).ok_or_else(gone)?;
            counter.held = sum(counter.held, row.value)?;
        }
        Ok(())
    }

    /// Counts what was spent without ever having been held.
    pub(crate) fn count_spent(&mut self, holder: &str, spans: &[Counted], value: Units) -> Done {
        for Counted { window, label } in spans {
            if *window == Window::Hour {
                let hour = self.hour_of(holder)?;
                hour.add(minute(label)?, value).ok_or_else(overflow)?;
                continue;
            }
            let counter = self.counter_of(holder, *window, label)?;
            counter.settled = sum(counter.settled, value)?;
        }
        Ok(())
    }

    /// A counter, to be changed where it is; an empty one first if there is none.
    pub(super) fn counter_of(
        &mut self,
        holder: &str,
        span: Window,
        label: &str,
    ) -> Result<&mut CounterRow, LedgerError> {
        self.edit_or_make(&Three(holder, span, label), || empty_counter(holder, span, label))
    }

    /// The rolling hour of a holder, to be changed where it is.
    pub(super) fn hour_of(&mut self, holder: &str) -> Result<&mut HourUse, LedgerError> {
        let none = || HourRow { holder: holder.to_owned(), minutes: Json(HourUse::default()) };
        Ok(&mut self.edit_or_make(&One(holder), none)?.minutes.0)
    }

    /// A counter, or an empty one.
    pub(crate) fn counter(
        &mut self,
        holder: &str,
        span: Window,
        label: &str,
    ) -> Result<CounterRow, LedgerError> {
        let known = self.find::<CounterRow>(&Three(holder, span, label))?;
        Ok(known.cloned().unwrap_or_else(|| empty_counter(holder, span, label)))
    }

    /// The rolling hour of a holder.
    pub(crate) fn hour(&mut self, holder: &str) -> Result<HourUse, LedgerError> {
        let row = self.find::<HourRow>(&One(holder))?;
        Ok(row.map(|row| row.minutes.0.clone()).unwrap_or_default())
    }
}

fn empty_counter(holder: &str, span: Window, label: &str) -> CounterRow {
    CounterRow {
        holder: holder.to_owned(),
        span,
        label: label.to_owned(),
        held: Units::ZERO,
        settled: Units::ZERO,
    }
}

/// The minute an hour's counter is named after.
pub(super) fn minute(label: &str) -> Result<i64, LedgerError> {
    label.parse().map_err(|_| LedgerError::damaged("a minute that is no number"))
}
