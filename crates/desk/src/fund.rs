//! Where the owner sends money to: the treasury's address, and what it holds.

use crate::desk::Desk;
use crate::problem::ErrorCode;
use crate::view::{FundView, Problem};
use imprest_vault::{Treasury, VaultError};

/// The decimals of a chain's own coin: every chain that runs the EVM counts it in wei.
const COIN_DECIMALS: usize = 18;

impl Desk {
    /// The treasury's address, on which network and in what it takes money, and what it holds by
    /// the chain; without a chain that answers the address is told all the same.
    ///
    /// # Errors
    /// `no_vault`, or `locked` when the address takes the keys to know.
    pub async fn fund(&self) -> Result<FundView, Problem> {
        let inner = &self.inner;
        let vault = inner.need_vault()?;
        let treasury = vault.treasury();
        let address = match treasury.address() {
            Some(address) => address,
            None => vault.treasury_address().map_err(locked)?,
        };
        let chain = inner.chain();
        let (mut held, mut coin) = (None, None);
        if let Some(chain) = &chain {
            held = chain.balance(address).await.inspect_err(silent).ok();
            coin = chain.gas_balance_wei(address).await.inspect_err(silent).ok();
        }
        let id = inner.asset.id;
        Ok(FundView {
            // EIP-55: a digit that is copied wrongly is noticed by its letters' case.
            address: address.to_checksum(None),
            network: inner.network.name.clone(),
            network_id: id.network(),
            asset: inner.asset.symbol.clone(),
            contract: id.contract.to_checksum(None),
            balance: held.map(|units| inner.asset.format(units)),
            coin: coin.map(|wei| coin_text(&wei.to_string())),
            note: note(&treasury, inner.practice_mode).map(str::to_owned),
        })
    }
}

fn locked(error: VaultError) -> Problem {
    match error {
        VaultError::Locked => Problem::new(
            ErrorCode::Locked,
            "The vault is locked, and the treasury’s address is known once it is open.",
            "Unlock it, with `imprest unlock` or in the window.",
        ),
        other => other.into(),
    }
}

fn silent(error: &imprest_chain::ChainError) {
    tracing::warn!(%error, "what the treasury holds could not be read");
}

fn note(treasury: &Treasury, practice: bool) -> Option<&'static str> {
    match treasury {
        _ if practice => Some(
            "This is practice money, and the desk fills it up by itself. Send nothing real here.",
        ),
        Treasury::Watched { .. } => Some(
            "The treasury’s key is not here: refills, sweeps and cancellations are not signed.",
        ),
        Treasury::Device { .. } => Some(
            "The treasury’s key is on a Ledger device, which signs refills; it is needed here for sweeps and cancellations.",
        ),
        Treasury::Own | Treasury::Imported { .. } => None,
    }
}

/// Wei as a decimal of the chain's own coin, exactly and without zeros at the end.
fn coin_text(wei: &str) -> String {
    let digits = format!("{wei:0>width$}", width = COIN_DECIMALS + 1);
    let (whole, fraction) = digits.split_at(digits.len() - COIN_DECIMALS);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wei_are_written_as_coins_exactly() {
        for (wei, text) in [
            ("0", "0"),
            ("1", "0.000000000000000001"),
            ("1000000000000000000", "1"),
            ("10500000000000000000", "10.5"),
            ("123456789012345678901234", "123456.789012345678901234"),
        ] {
            assert_eq!(coin_text(wei), text);
        }
    }

    #[test]
    fn practice_money_says_what_it_is_first() {
        let address = imprest_domain::Address::ZERO;
        let practice = note(&Treasury::Watched { address }, true).expect("a note");
        assert!(practice.contains("practice money"), "{practice}");
        assert!(note(&Treasury::Own, false).is_none());
        for elsewhere in [Treasury::Watched { address }, Treasury::Device { address, account: 0 }] {
            assert!(note(&elsewhere, false).is_some_and(|note| note.contains("key is")));
        }
    }
}
