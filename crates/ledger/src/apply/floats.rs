//! What goes into an agent's float and out of it beside its payments.

use super::{Done, Place, float, misplaced, payee_account};
use crate::books::Books;
use crate::error::LedgerError;
use crate::event::Event;
use crate::rows::{NonceRow, ReceiptRow, RefillRow};

impl Books {
    pub(super) fn apply_to_float(&mut self, event: &Event, place: Place) -> Done {
        match event {
            Event::RefillGranted { refill, agent, value, asset, .. } => {
                self.put(RefillRow {
                    refill: refill.clone(),
                    agent: agent.clone(),
                    value: *value,
                    chain_id: asset.chain_id,
                    contract: asset.contract,
                    state: "granted".into(),
                    tx: None,
                    block: None,
                    note: None,
                    at_ms: place.at_ms,
                });
                Ok(())
            }
            Event::RefillSent { refill, transaction } => {
                let row = self.refill(refill, &["granted"])?;
                self.put(RefillRow { state: "sent".into(), tx: Some(*transaction), ..row });
                Ok(())
            }
            Event::RefillSettled { refill, transaction, block } => {
                let row = self.refill(refill, &["granted", "sent"])?;
                self.move_units("treasury".into(), float(&row.agent), row.value, place)?;
                self.put(RefillRow {
                    state: "settled".into(),
                    tx: Some(*transaction),
                    block: Some(*block),
                    ..row
                });
                Ok(())
            }
            Event::RefillFailed { refill, why } => {
                let row = self.refill(refill, &["granted", "sent"])?;
                self.put(RefillRow { state: "failed".into(), note: Some(why.clone()), ..row });
                Ok(())
            }
            Event::FloatReceived { agent, value, transaction, log_index, .. } => {
                self.put(ReceiptRow {
                    tx: *transaction,
                    log_index: *log_index,
                    agent: agent.clone(),
                });
                self.move_units("outside".into(), float(agent), *value, place)
            }
            Event::SpendFound {
                agent,
                pay_to,
                value,
                transaction,
                log_index,
                nonce,
                spans,
                shared,
                ..
            } => {
                self.agent(agent)?;
                if let Some(nonce) = *nonce {
                    // A payee that prescribes it again would get a signature the chain refuses.
                    self.put(NonceRow { agent: agent.clone(), nonce, payment: None });
                }
                self.put(ReceiptRow {
                    tx: *transaction,
                    log_index: *log_index,
                    agent: agent.clone(),
                });
                self.count_spent(agent.as_str(), spans, *value)?;
                for hold in shared {
                    self.count_spent(hold.shared.as_str(), &hold.spans, *value)?;
                }
                let payee = payee_account(&pay_to.to_string());
                self.move_units(float(agent), payee, *value, place)
            }
            _ => Err(misplaced()),
        }
    }

    /// A refill that stands where it has to for the next step.
    fn refill(
        &mut self,
        refill: &imprest_domain::RefillId,
        states: &[&str],
    ) -> Result<RefillRow, LedgerError> {
        self.get::<RefillRow>((refill.clone(),))?
            .filter(|row| states.contains(&row.state.as_str()))
            .ok_or_else(|| LedgerError::damaged("a refill that is not under way"))
    }
}
