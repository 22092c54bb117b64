//! Burning signatures: leave to cancel an authorisation, and what was sent for it.
//!
//! A cancellation gives nothing back by itself. The hold stays until the chain shows in a final
//! block that the authorisation can never be used (`Ledger::expire`), or that the payee was faster
//! (`Ledger::settle`).

use crate::error::LedgerError;
use crate::event::Event;
use crate::{CancelGrant, Ledger, TransactionTerms};
use alloy_primitives::B256;
use imprest_domain::{Asset, PaymentId};

impl Ledger {
    /// Records that the owner burns a payment's signature, and gives leave to sign just that.
    ///
    /// It may be repeated, for a transaction that was lost: the chain burns a nonce once.
    ///
    /// # Errors
    /// [`LedgerError::NothingToCancel`] when no signature of it can be used any more,
    /// [`LedgerError::ForeignAsset`] for a payment in another asset, or a failed write.
    pub async fn begin_cancel(
        &self,
        payment: &PaymentId,
        asset: Asset,
        terms: TransactionTerms,
    ) -> Result<CancelGrant, LedgerError> {
        let payment = payment.clone();
        self.store
            .write(move |tx| {
                let row = tx.books.payment(&payment)?;
                let signed = row.from_address.zip(row.nonce).filter(|_| row.state.is_open());
                let Some((authorizer, nonce)) = signed else {
                    return Err(LedgerError::NothingToCancel { payment, state: row.state });
                };
                if row.payee().asset != asset.id {
                    return Err(LedgerError::ForeignAsset);
                }
                let account = tx.books.agent(&row.agent)?.account;
                tx.append(Event::CancelGranted { payment: payment.clone(), authorizer, nonce })?;
                Ok((payment, account, authorizer, nonce, asset))
            })
            .await
            // The event is on the disk: only now may leave to sign come into being.
            .map(|(payment, account, authorizer, nonce, asset)| CancelGrant {
                payment,
                account,
                authorizer,
                nonce,
                asset,
                terms,
            })
    }

    /// Records the signed transaction that burns a signature, before it is sent.
    ///
    /// # Errors
    /// When there is no such payment, or the write fails.
    pub async fn cancel_sent(
        &self,
        payment: &PaymentId,
        transaction: B256,
    ) -> Result<(), LedgerError> {
        self.record(Event::CancelSent { payment: payment.clone(), transaction }).await.map(|_| ())
    }
}
