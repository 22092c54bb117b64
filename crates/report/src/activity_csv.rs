//! Activity as CSV: exact figures, one line a payment, safe to open in a spreadsheet.

use std::io::Write;

/// One payment, ready to be written. Figures are exact decimals; nothing is rounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivityLine {
    /// Identifier, `pay_…`.
    pub id: String,
    /// When it was asked for, RFC 3339 in UTC.
    pub at: String,
    /// The agent's name.
    pub agent: String,
    /// What was bought; a stranger's text.
    pub what: String,
    /// Where the offer came from.
    pub payee: String,
    /// The address paid.
    pub pay_to: String,
    /// CAIP-2.
    pub network: String,
    /// The asset's symbol.
    pub asset: String,
    /// Exact decimal.
    pub amount: String,
    /// The same in atomic units.
    pub units: String,
    /// Where it stands.
    pub state: String,
    /// "allow", "ask" or "deny".
    pub verdict: String,
    /// The rules that stood in the way, separated by spaces.
    pub rules: String,
    /// The task it served.
    pub task: String,
    /// The agent's own words.
    pub purpose: String,
    /// The address fetched.
    pub url: String,
    /// The transaction that settled it.
    pub transaction: String,
    /// Its block.
    pub block: String,
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The writer failed, or the disk is full.
    #[error("the report could not be written: {0}")]
    Write(#[from] csv::Error),
    /// As above, at the last flush.
    #[error("the report could not be written: {0}")]
    Flush(#[from] std::io::Error),
}

const HEADER: [&str; 18] = [
    "id",
    "at",
    "agent",
    "what",
    "payee",
    "pay_to",
    "network",
    "asset",
    "amount",
    "units",
    "state",
    "verdict",
    "rules",
    "task",
    "purpose",
    "url",
    "transaction",
    "block",
];

/// Writes a header and the lines (RFC 4180) and answers how many lines there were.
///
/// # Errors
/// [`ReportError`] when the writer fails.
pub fn write_activity_csv<W: Write>(
    out: W,
    lines: impl IntoIterator<Item = ActivityLine>,
) -> Result<u64, ReportError> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    csv.write_record(HEADER)?;
    let mut count = 0;
    for line in lines {
        // The figures are ours and must stay numbers; everything else is text and is guarded.
        csv.write_record([
            guarded(&line.id),
            guarded(&line.at),
            guarded(&line.agent),
            guarded(&line.what),
            guarded(&line.payee),
            guarded(&line.pay_to),
            guarded(&line.network),
            guarded(&line.asset),
            line.amount,
            line.units,
            guarded(&line.state),
            guarded(&line.verdict),
            guarded(&line.rules),
            guarded(&line.task),
            guarded(&line.purpose),
            guarded(&line.url),
            guarded(&line.transaction),
            line.block,
        ])?;
        count += 1;
    }
    csv.flush()?;
    Ok(count)
}

/// Puts an apostrophe before what a spreadsheet would take for a formula (OWASP ASVS 1.2.10):
/// quoting alone does not stop it. Full-width forms count, since spreadsheets normalise them.
fn guarded(text: &str) -> String {
    const STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\0', '＝', '＋', '－', '＠'];
    if text.trim_start().starts_with(STARTS) || text.starts_with(STARTS) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: ActivityLine) -> String {
        let mut out = Vec::new();
        assert_eq!(write_activity_csv(&mut out, [line]).expect("writes"), 1);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn formulas_stay_text() {
        for evil in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "\r=1"] {
            let text = written(ActivityLine { what: evil.into(), ..ActivityLine::default() });
            assert!(text.contains(&format!("'{evil}")), "{evil:?} got through: {text:?}");
        }
    }

    #[test]
    fn figures_stay_figures_and_quotes_are_doubled() {
        let line = ActivityLine {
            amount: "0.0042".into(),
            units: "4200".into(),
            what: "a \"b\", c\nd".into(),
            ..ActivityLine::default()
        };
        let text = written(line);
        assert!(text.contains(",0.0042,4200,"));
        assert!(text.contains("\"a \"\"b\"\", c\nd\""));
        assert!(text.starts_with("id,at,agent,"));
    }
}
