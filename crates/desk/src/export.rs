//! Activity as a file the owner can take anywhere.

use crate::desk::Desk;
use crate::pay::at_ms;
use crate::place::write_whole;
use crate::problem::{ErrorCode, bad_input};
use crate::view::{ActivityFilter, Exported, Problem};
use crate::wording::word;
use imprest_domain::PaymentState;
use imprest_ledger::PaymentRecord;
use imprest_report::{ActivityLine, write_activity_csv};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How many payments are read at once.
const PAGE: u32 = 1_000;

impl Desk {
    /// Writes activity as CSV, oldest first, to a path the owner chose. An existing file is
    /// replaced whole or not at all.
    ///
    /// # Errors
    /// `bad_input` for a relative path or a bad filter, `disk` when it cannot be written.
    pub async fn export_csv(
        &self,
        path: String,
        filter: ActivityFilter,
    ) -> Result<Exported, Problem> {
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            return Err(bad_input("File", "give the whole path"));
        }
        if path.extension().is_none_or(|end| end != "csv") && self.is_own_folder(&path) {
            return Err(bad_input(
                "File",
                "the desk’s own files lie there; choose another folder, or a name that ends in .csv",
            ));
        }
        let filter = self.read_filter(&filter).await?;
        let names: HashMap<_, _> = self
            .inner
            .ledger
            .agents()
            .await?
            .into_iter()
            .map(|agent| (agent.id, agent.name.to_string()))
            .collect();
        let mut records = Vec::new();
        let mut before = None;
        loop {
            let page = self.inner.ledger.payments(&filter, before, PAGE).await?;
            records.extend(page.payments);
            before = page.next_before_seq;
            if before.is_none() {
                break;
            }
        }
        records.reverse();
        let lines = records.into_iter().map(|record| {
            let agent = names.get(&record.agent).cloned().unwrap_or_default();
            self.line(record, agent)
        });
        let mut bytes = Vec::new();
        let rows = write_activity_csv(&mut bytes, lines)
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string(), "Try again."))?;
        write_whole(&path, &bytes)?;
        Ok(Exported {
            path: path.display().to_string(),
            rows,
            sha256: hex::encode(Sha256::digest(&bytes)),
        })
    }

    /// Whether a file would lie among the desk's own.
    fn is_own_folder(&self, path: &Path) -> bool {
        let whole = |path: &Path| path.canonicalize().ok();
        path.parent().and_then(whole) == whole(self.inner.place.dir())
    }

    fn line(&self, record: PaymentRecord, agent: String) -> ActivityLine {
        let rules: Vec<_> = record.verdict.objections().map(|r| r.code.word()).collect();
        let settled = record.state == PaymentState::Settled;
        ActivityLine {
            id: record.payment.to_string(),
            at: at_ms(record.at_ms),
            agent,
            what: record.what,
            payee: record.payee.origin,
            pay_to: record.payee.pay_to.to_string(),
            network: record.payee.asset.network(),
            asset: self.inner.asset.symbol.clone(),
            amount: self.inner.asset.format(record.value),
            units: record.value.to_string(),
            state: record.state.word().into(),
            verdict: word(&record.verdict.outcome),
            rules: rules.join(" "),
            task: record.task.unwrap_or_default(),
            purpose: record.purpose.unwrap_or_default(),
            url: record.url,
            transaction: record.transaction.unwrap_or_default(),
            block: record.block.filter(|_| settled).map(|b| b.to_string()).unwrap_or_default(),
        }
    }
}
