//! Searching activity by its words: payee, purpose, task and what was bought.
//!
//! The index is no part of the books. It is caught up before a search rather than with every
//! payment, so that finding costs the finder and not the payer.

use crate::Ledger;
use crate::error::LedgerError;

/// How far the index has come, among the marks.
const MARK: &str = "words_seq";
/// How many payments one write indexes, so that payments in between do not wait long.
const STEP: u32 = 5_000;

impl Ledger {
    /// Brings the index up to the last payment.
    pub(crate) async fn index_words(&self) -> Result<(), LedgerError> {
        while self.index_some().await? == STEP {}
        Ok(())
    }

    async fn index_some(&self) -> Result<u32, LedgerError> {
        let from = self.mark(MARK).await?.unwrap_or(0);
        let last: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM payments ORDER BY seq DESC LIMIT 1")
                .fetch_optional(&self.store.readers)
                .await?;
        if last.unwrap_or(0).unsigned_abs() <= from {
            return Ok(0);
        }
        self.store
            .write(|tx| {
                let file = tx.file()?;
                // Read again: another search may have gone ahead meanwhile.
                let from: i64 = file.query_row(
                    "SELECT coalesce((SELECT value FROM marks WHERE mark = ?), 0)",
                    [MARK],
                    |row| row.get(0),
                )?;
                let indexed = file.execute(
                    "INSERT INTO payments_text (rowid, what, payee, purpose, task)
                     SELECT seq, what, url || ' ' || pay_to, purpose, task FROM payments
                     WHERE seq > ? ORDER BY seq LIMIT ?",
                    (from, STEP),
                )?;
                file.execute(
                    "INSERT OR REPLACE INTO marks (mark, value)
                     SELECT ?, coalesce(max(seq), ?) FROM
                         (SELECT seq FROM payments WHERE seq > ? ORDER BY seq LIMIT ?)",
                    (MARK, from, from, STEP),
                )?;
                Ok(u32::try_from(indexed).unwrap_or(STEP))
            })
            .await
    }
}

/// What a person typed as an expression of the index: every word, or its beginning, must occur.
pub(crate) fn expression(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(16)
        .map(|word| format!("\"{}\"*", word.chars().take(64).collect::<String>()))
        .collect();
    // Nothing to look for is found nowhere.
    if words.is_empty() { "\"\u{1}\"".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::expression;

    #[test]
    fn whatever_is_typed_is_words_and_never_an_operator() {
        assert_eq!(expression("weather NOT (map)"), "\"weather\"* \"NOT\"* \"map\"*");
        assert_eq!(expression("say \"hi\" -- 100%"), "\"say\"* \"hi\"* \"100\"*");
        assert_eq!(expression("*^:"), "\"\u{1}\"");
        assert!(expression(&"x".repeat(10_000)).len() < 100);
    }
}
