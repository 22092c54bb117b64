//! What a payee delivered, as it is kept beside the books: for an agent that asks again, and for the
//! owner who looks at the evidence.

use crate::desk::Inner;
use crate::pay::response_view;
use crate::view::SignedReceiptView;
use imprest_gateway::wire::{ReceiptView, ResponseView};
use imprest_ledger::{LedgerError, PaymentRecord};
use imprest_rails::{Receipt, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An answer to a paid request, with the receipt that the payee signed, if it did.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The answer.
    #[serde(flatten)]
    pub(crate) response: Option<ResponseView>,
    /// What a tool gave, in place of the answer around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Map<String, Value>>,
    /// The receipt, as it was checked when it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
}

impl Kept {
    pub(crate) fn of(response: Response, receipt: Option<Receipt>) -> Kept {
        let receipt = receipt.and_then(|receipt| receipt.signed).map(|signed| ReceiptView {
            document: signed.raw,
            signer: signed.signer.map(|signer| signer.to_string()),
            transaction: signed.transaction.map(|transaction| transaction.to_string()),
            faults: signed.faults,
        });
        // What is nested too deeply for us to read is handed on as the text that it is.
        let result = match response.is_result {
            true => serde_json::from_slice(&response.body).ok(),
            false => None,
        };
        let response = result.is_none().then(|| response_view(response));
        Kept { response, result, receipt }
    }

    /// Holds the receipt against what the chain has shown since.
    fn beside(mut self, record: &PaymentRecord) -> Kept {
        if let Some(receipt) = &mut self.receipt
            && let (Some(theirs), Some(ours)) = (&receipt.transaction, &record.transaction)
            && !theirs.eq_ignore_ascii_case(ours)
        {
            receipt.faults.push(format!("the chain shows another transaction, {ours}"));
        }
        self
    }
}

impl Inner {
    /// What is still kept of a payment's answer; nothing once newer ones have taken its place.
    pub(crate) async fn kept(&self, record: &PaymentRecord) -> Result<Kept, LedgerError> {
        let kept = self.ledger.kept_response(&record.payment).await?;
        let kept = kept.and_then(|body| serde_json::from_slice::<Kept>(&body).ok());
        Ok(kept.unwrap_or_default().beside(record))
    }
}

impl From<ReceiptView> for SignedReceiptView {
    fn from(receipt: ReceiptView) -> SignedReceiptView {
        let ReceiptView { document, signer, faults, .. } = receipt;
        SignedReceiptView { document, signer, faults }
    }
}
