//! The life of a sweep: held, sent, and arrived at the treasury or given back to the float.

use super::{Done, Place, float, held, misplaced};
use crate::books::Books;
use crate::error::LedgerError;
use crate::event::Event;
use crate::rows::SweepRow;
use imprest_domain::{AgentId, Authorization, SweepId};

/// Where a sweep stands as long as its money is reserved.
const OPEN: [&str; 2] = ["held", "sent"];

impl Books {
    pub(super) fn apply_to_sweep(&mut self, event: Event, place: Place) -> Done {
        match event {
            Event::SweepHeld { sweep, agent, authorization } => {
                self.hold_sweep(sweep, agent, &authorization, place)
            }
            Event::SweepSent { sweep, transaction } => {
                let row = self.sweep(&sweep, &["held"])?;
                self.put(SweepRow { state: "sent".into(), tx: Some(transaction), ..row });
                Ok(())
            }
            Event::SweepSettled { sweep, transaction, block } => {
                let row = self.sweep(&sweep, &OPEN)?;
                self.move_units(held(&row.agent), "treasury".into(), row.value, place)?;
                let (tx, block) = (Some(transaction), Some(block));
                self.put(SweepRow { state: "settled".into(), tx, block, ..row });
                Ok(())
            }
            // What was sent was signed.
            Event::SweepVoided { sweep, why } => {
                let row = self.sweep(&sweep, &["held"])?;
                self.move_units(held(&row.agent), float(&row.agent), row.value, place)?;
                self.put(SweepRow { state: "void".into(), note: Some(why), ..row });
                Ok(())
            }
            Event::SweepExpired { sweep, block } => {
                let row = self.sweep(&sweep, &OPEN)?;
                self.move_units(held(&row.agent), float(&row.agent), row.value, place)?;
                self.put(SweepRow { state: "expired".into(), block: Some(block), ..row });
                Ok(())
            }
            _ => Err(misplaced()),
        }
    }

    fn hold_sweep(
        &mut self,
        sweep: SweepId,
        agent: AgentId,
        authorization: &Authorization,
        place: Place,
    ) -> Done {
        if self.get::<SweepRow>((sweep.clone(),))?.is_some() {
            return Err(LedgerError::damaged(format!("{sweep} beginning a second time")));
        }
        let window = authorization.window;
        self.move_units(float(&agent), held(&agent), authorization.value, place)?;
        self.put(SweepRow {
            sweep,
            agent,
            state: "held".into(),
            chain_id: authorization.asset.chain_id,
            contract: authorization.asset.contract,
            from_address: authorization.from,
            to_address: authorization.to,
            value: authorization.value,
            nonce: authorization.nonce,
            valid_after_s: window.valid_after_s,
            valid_before_s: window.valid_before_s,
            tx: None,
            block: None,
            note: None,
            at_ms: place.at_ms,
        });
        Ok(())
    }

    /// A sweep that stands where it has to for the next step.
    fn sweep(&mut self, sweep: &SweepId, states: &[&str]) -> Result<SweepRow, LedgerError> {
        self.get::<SweepRow>((sweep.clone(),))?
            .filter(|row| states.contains(&row.state.as_str()))
            .ok_or_else(|| LedgerError::damaged("a sweep that is not under way"))
    }
}
