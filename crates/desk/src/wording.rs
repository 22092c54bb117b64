//! Sentences for findings and outcomes, made from recorded figures only.

use imprest_domain::{
    Asset, Effect, Grade, PaymentState, Reason, ReasonCode, Remedy, Units, Verdict, plain_line,
};
use imprest_gateway::wire::{ReasonView, VerdictView};
use imprest_ledger::PaymentRecord;
use jiff::Timestamp;

/// One finding as a sentence without a full stop.
pub(crate) fn finding(reason: &Reason, asset: &Asset) -> String {
    let limit = || asset.format(reason.limit.unwrap_or_default());
    let observed = || asset.format(reason.observed.unwrap_or_default());
    let detail = || reason.detail.as_deref().unwrap_or_default();
    let over = |period: &str| {
        if reason.effect == Effect::Pass {
            format!("{} of {} {} after this", observed(), limit(), period)
        } else {
            format!("{} would be spent {period}, {} is the limit", observed(), limit())
        }
    };
    match reason.code {
        ReasonCode::Frozen => "the desk is frozen".into(),
        ReasonCode::AgentRevoked => "the agent was revoked".into(),
        ReasonCode::GradeTooLow => format!("{} may not pay", detail()),
        ReasonCode::GradeAsks => format!("{} asks about every payment", detail()),
        ReasonCode::OtherAsset => "the payee wants another asset than the budget is in".into(),
        ReasonCode::BudgetEnded => "the budget has ended".into(),
        ReasonCode::OverAgentMax if reason.effect == Effect::Pass => {
            format!("{} is within the agent’s own maximum of {}", observed(), limit())
        }
        ReasonCode::OverAgentMax => {
            format!("{} is more than the {} the agent itself allowed", observed(), limit())
        }
        ReasonCode::OverPerPayment if reason.effect == Effect::Pass => {
            format!("{} is within {} per payment", observed(), limit())
        }
        ReasonCode::OverPerPayment => format!("{} is above {} per payment", observed(), limit()),
        ReasonCode::OverPerDay => over("today"),
        ReasonCode::OverPerWeek => over("this week"),
        ReasonCode::OverPerMonth => over("this month"),
        ReasonCode::OverLifetime => over("in all"),
        ReasonCode::NewPayee => "this payee has never been paid".into(),
        ReasonCode::PayeeChanged => format!("this payee changed its address: {}", detail()),
        ReasonCode::OtherResource => "the offer names another resource than was fetched".into(),
        ReasonCode::FloatTooSmall if reason.effect == Effect::Pass => {
            format!("the float holds {}", limit())
        }
        ReasonCode::FloatTooSmall => {
            format!("the float holds {} and {} is needed", limit(), observed())
        }
        ReasonCode::ZeroAmount => "nothing is asked for, and zero is not a payment".into(),
        ReasonCode::OwnerRefused if detail().is_empty() => "the owner said no".into(),
        ReasonCode::OwnerRefused => format!("the owner said no: {}", plain_line(detail(), 200)),
        ReasonCode::NoAnswer => "the owner did not answer in time".into(),
        ReasonCode::QuoteChanged => "the offer changed before the owner answered".into(),
        ReasonCode::TooManyQuestions => {
            "too many of this agent’s questions wait for the owner already".into()
        }
    }
}

/// A finding as a whole sentence.
pub(crate) fn finding_sentence(reason: &Reason, asset: &Asset) -> String {
    let text = finding(reason, asset);
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// A verdict as an agent sees it: what stands in the way, strictest first.
pub(crate) fn verdict_view(verdict: &Verdict, asset: &Asset) -> VerdictView {
    VerdictView {
        outcome: word(&verdict.outcome),
        grade: verdict.grade.to_string(),
        reasons: verdict
            .objections()
            .map(|reason| ReasonView {
                code: reason.code.word().into(),
                message: finding_sentence(reason, asset),
                limit: reason.limit.map(|units| asset.format(units)),
                observed: reason.observed.map(|units| asset.format(units)),
                remedy: match reason.remedy {
                    Remedy::Agent => "agent".into(),
                    Remedy::Owner => "owner".into(),
                    Remedy::Time => "time".into(),
                },
                resets_at: reason.resets_at.map(|at| at.to_string()),
            })
            .collect(),
    }
}

/// The serde word of a unit-like value.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// What became of a payment, in a few words.
pub(crate) fn outcome(record: &PaymentRecord, asset: &Asset) -> String {
    match record.state {
        PaymentState::Refused => match record.verdict.objections().next() {
            Some(reason) => format!("Refused: {}", finding(reason, asset)),
            None => "Refused".into(),
        },
        PaymentState::Waiting => "Waiting for you".into(),
        PaymentState::Held | PaymentState::Delivered | PaymentState::Unknown => {
            let until = record
                .valid_before_s
                .and_then(|s| i64::try_from(s).ok())
                .and_then(|s| Timestamp::from_second(s).ok())
                .map(|at| format!(", can be taken until {}", clock(at)))
                .unwrap_or_default();
            match record.state {
                PaymentState::Unknown => format!("Unclear{until}"),
                _ => format!("In flight{until}"),
            }
        }
        PaymentState::Settled => match record.block {
            Some(block) => format!("Settled, block {}", grouped(block)),
            None => "Settled".into(),
        },
        PaymentState::Void => match &record.note {
            Some(note) => format!("Not sent: {}", plain_line(note, 120)),
            None => "Not sent".into(),
        },
        PaymentState::Expired => "Never taken, the money is back".into(),
    }
}

/// The local time of day, to the second.
pub(crate) fn clock(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202F}');
        }
        out.push(digit);
    }
    out
}

/// Why the grade in force is what it is.
pub(crate) fn grade_reason(granted: Grade, in_force: Grade, why: Option<&str>) -> String {
    match why {
        None => format!("Danger is calm, so {granted} {} is in force.", granted.word()),
        Some(why) => format!(
            "{granted} {} was granted; {why}, so {in_force} {} is in force.",
            granted.word(),
            in_force.word()
        ),
    }
}

/// An amount with its symbol, or what stands for no limit.
pub(crate) fn or_no_limit(units: Option<Units>, asset: &Asset) -> String {
    units.map_or("no limit".into(), |units| asset.format(units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use imprest_domain::{Address, AssetId};

    fn asset() -> Asset {
        Asset {
            id: AssetId { chain_id: 1, contract: Address::ZERO },
            symbol: "USDC".into(),
            decimals: 6,
            eip712_name: "USD Coin".into(),
            eip712_version: "2".into(),
        }
    }

    fn reason(code: ReasonCode, effect: Effect, limit: u128, observed: u128) -> Reason {
        Reason {
            code,
            effect,
            limit: Units::new(limit).ok(),
            observed: Units::new(observed).ok(),
            remedy: Remedy::Time,
            resets_at: None,
            detail: None,
        }
    }

    #[test]
    fn a_finding_names_both_figures_exactly() {
        let over = reason(ReasonCode::OverPerDay, Effect::Deny, 1_000_000, 1_204_200);
        assert_eq!(
            finding_sentence(&over, &asset()),
            "1.2042 would be spent today, 1.00 is the limit."
        );
        let within = reason(ReasonCode::OverPerPayment, Effect::Pass, 250_000, 10_000);
        assert_eq!(finding(&within, &asset()), "0.01 is within 0.25 per payment");
    }

    #[test]
    fn only_what_stands_in_the_way_is_told_to_agents() {
        let verdict = Verdict {
            outcome: imprest_domain::Outcome::Deny,
            grade: Grade::L3,
            reasons: vec![
                reason(ReasonCode::OverPerDay, Effect::Deny, 1, 2),
                reason(ReasonCode::OverPerPayment, Effect::Pass, 2, 1),
            ],
        };
        let view = verdict_view(&verdict, &asset());
        assert_eq!(view.outcome, "deny");
        assert_eq!(view.reasons.len(), 1);
        assert_eq!(view.reasons[0].code, "over_per_day");
    }

    #[test]
    fn blocks_are_grouped_in_threes() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_204), "1\u{202F}204");
        assert_eq!(grouped(1_234_567), "1\u{202F}234\u{202F}567");
    }
}
