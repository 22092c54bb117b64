//! What the owner sees of payees: where each is paid, what its goods cost, and what changed.

use crate::desk::Desk;
use crate::pay::at_ms;
use crate::problem::bad_input;
use crate::view::{PayeeAddressView, PayeeView, PriceBand, Problem};
use imprest_domain::Subject;
use imprest_ledger::{ItemPrices, PAYEES_MAX, PayeeAddress, PayeeRecord};
use std::collections::BTreeMap;

/// The longest text that is looked for, in characters.
const TEXT_MAX_CHARS: usize = 200;
/// How many of the latest signals are looked at, beside all that are open.
const SIGNALS: u32 = 1;

impl Desk {
    /// Who was paid or is trusted, the latest first.
    ///
    /// # Errors
    /// `bad_input` for an over-long text, or when the books cannot be read.
    pub async fn payees(&self, text: Option<String>) -> Result<Vec<PayeeView>, Problem> {
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_MAX_CHARS) {
            return Err(bad_input("Text", format!("at most {TEXT_MAX_CHARS} characters")));
        }
        let ledger = &self.inner.ledger;
        let mut open: BTreeMap<String, u32> = BTreeMap::new();
        for record in ledger.signals(SIGNALS).await?.into_iter().filter(|record| !record.over) {
            if let Subject::Payee { origin } = record.signal.subject {
                *open.entry(origin).or_default() += 1;
            }
        }
        let payees = ledger.payees(text.as_deref(), PAYEES_MAX).await?;
        let view = |payee: PayeeRecord| {
            let signals = open.get(&payee.origin).copied().unwrap_or_default();
            self.payee_view(payee, signals)
        };
        Ok(payees.into_iter().filter_map(view).collect())
    }

    /// Nothing for a payee without an address, which no books have.
    fn payee_view(&self, payee: PayeeRecord, signals: u32) -> Option<PayeeView> {
        let asset = &self.inner.asset;
        let (now, earlier) = payee.addresses.split_first()?;
        let (last_amount, last_what) = match payee.last {
            Some((value, what)) => (Some(asset.format(value)), Some(what)),
            None => (None, None),
        };
        let prices = || payee.prices.iter().flat_map(|prices| &prices.last);
        Some(PayeeView {
            low: prices().min().map(|low| asset.format(*low)),
            high: prices().max().map(|high| asset.format(*high)),
            name: self.payee_name(&payee.origin),
            pay_to: now.pay_to.to_string(),
            earlier: earlier.iter().map(earlier_view).collect(),
            first_seen: at_ms(now.first_seen_ms),
            last_seen: at_ms(now.last_seen_ms),
            paid: asset.format(payee.paid),
            last_amount,
            last_what,
            asset: asset.symbol.clone(),
            prices: payee.prices.iter().filter_map(|prices| self.band(prices)).collect(),
            signals,
            origin: payee.origin,
        })
    }

    fn band(&self, prices: &ItemPrices) -> Option<PriceBand> {
        let asset = &self.inner.asset;
        let (low, high) = (prices.last.iter().min()?, prices.last.iter().max()?);
        Some(PriceBand {
            item: prices.item.clone(),
            low: asset.format(*low),
            high: asset.format(*high),
            last: asset.format(*prices.last.last()?),
            times: u32::try_from(prices.last.len()).unwrap_or(u32::MAX),
        })
    }
}

fn earlier_view(address: &PayeeAddress) -> PayeeAddressView {
    PayeeAddressView {
        pay_to: address.pay_to.to_string(),
        first_seen: at_ms(address.first_seen_ms),
        last_seen: at_ms(address.last_seen_ms),
    }
}
