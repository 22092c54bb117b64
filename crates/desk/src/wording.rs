//! Sentences for findings and outcomes, made from recorded figures only.

use crate::view::Finding;
use imprest_domain::{
    Asset, Effect, Grade, PaymentState, Reason, ReasonCode, Remedy, Units, Verdict, plain_line,
};
use imprest_gateway::wire::{ReasonView, VerdictView};
use imprest_ledger::PaymentRecord;
use jiff::Timestamp;

/// One finding as a sentence without a full stop.
pub(crate) fn finding(reason: &Reason, asset: &Asset) -> String {
    let text = match reason.code {
        ReasonCode::OverPerPayment
        | ReasonCode::OverPerHour
        | ReasonCode::OverPerDay
        | ReasonCode::OverPerWeek
        | ReasonCode::OverPerMonth
        | ReasonCode::OverLifetime
        | ReasonCode::OverPayeeDay
        | ReasonCode::OverNewPayeeDay
        | ReasonCode::OverCountPerHour
        | ReasonCode::OverExposure
        | ReasonCode::OutsideHours
        | ReasonCode::BudgetEnded => limit_finding(reason, asset),
        _ => other_finding(reason, asset),
    };
    match &reason.scope {
        Some(shared) => format!("{text}, of the shared budget {shared}"),
        None => text,
    }
}

/// What a budget's limit found.
fn limit_finding(reason: &Reason, asset: &Asset) -> String {
    let limit = || asset.format(reason.limit.unwrap_or_default());
    let observed = || asset.format(reason.observed.unwrap_or_default());
    let detail = || reason.detail.as_deref().unwrap_or_default();
    let fits = matches!(reason.effect, Effect::Pass | Effect::Warn);
    let over = |period: &str| match fits {
        true => format!("{} of {} {period} after this", observed(), limit()),
        false => format!("{} would be spent {period}, {} is the limit", observed(), limit()),
    };
    match reason.code {
        ReasonCode::OverPerPayment => {
            let halved =
                if detail().is_empty() { String::new() } else { format!(", {}", detail()) };
            match fits {
                true => format!("{} is within {} per payment{halved}", observed(), limit()),
                false => format!("{} is above {} per payment{halved}", observed(), limit()),
            }
        }
        ReasonCode::OverPerHour => over("in 60 minutes"),
        ReasonCode::OverPerDay => over("today"),
        ReasonCode::OverPerWeek => over("this week"),
        ReasonCode::OverPerMonth => over("this month"),
        ReasonCode::OverPayeeDay => over("today at this payee"),
        ReasonCode::OverNewPayeeDay => over("today at new payees"),
        ReasonCode::OverCountPerHour => {
            let (limit, found) =
                (reason.limit_count.unwrap_or_default(), reason.observed_count.unwrap_or_default());
            match fits {
                true => format!("payment {found} of {limit} in 60 minutes"),
                false => {
                    format!("it would be payment {found} in 60 minutes, {limit} is the limit")
                }
            }
        }
        ReasonCode::OverExposure if fits => {
            format!("{} of {} in flight after this", observed(), limit())
        }
        ReasonCode::OverExposure => {
            format!("{} would be in flight at once, {} is the limit", observed(), limit())
        }
        ReasonCode::OutsideHours if fits => format!("it is within {}", detail()),
        ReasonCode::OutsideHours => format!("it may spend only within {}", detail()),
        ReasonCode::BudgetEnded => "the budget has ended".into(),
        _ => over("in all"),
    }
}

/// What every other rule found.
fn other_finding(reason: &Reason, asset: &Asset) -> String {
    let limit = || asset.format(reason.limit.unwrap_or_default());
    let observed = || asset.format(reason.observed.unwrap_or_default());
    let detail = || reason.detail.as_deref().unwrap_or_default();
    match reason.code {
        ReasonCode::Frozen => "the desk is frozen".into(),
        ReasonCode::AgentRevoked => "the agent was revoked".into(),
        ReasonCode::GradeTooLow => match detail().split_once(": ") {
            Some((grade, why)) => format!("{grade} may not pay: {why}"),
            None => format!("{} may not pay", detail()),
        },
        ReasonCode::GradeAsks => match detail().split_once(": ") {
            Some((grade, why)) => format!("{grade} asks about every payment: {why}"),
            None => format!("{} asks about every payment", detail()),
        },
        ReasonCode::OtherAsset => "the payee wants another asset than the budget is in".into(),
        ReasonCode::OverAgentMax if reason.effect == Effect::Pass => {
            format!("{} is within the agent’s own maximum of {}", observed(), limit())
        }
        ReasonCode::OverAgentMax => {
            format!("{} is more than the {} the agent itself allowed", observed(), limit())
        }
        ReasonCode::NewPayee => "this payee has never been paid".into(),
        ReasonCode::PayeeChanged => format!("this payee changed its address: {}", detail()),
        ReasonCode::OtherResource => "the offer names another resource than was fetched".into(),
        ReasonCode::FloatTooSmall if reason.effect == Effect::Pass => {
            format!("the float holds {}", limit())
        }
        ReasonCode::FloatTooSmall => {
            format!("the float holds {} and {} is needed", limit(), observed())
        }
        ReasonCode::PriceJumped => {
            format!("{} is asked where {} is usual for the same thing", observed(), limit())
        }
        ReasonCode::LookalikePayee => match detail().split_once(" is not ") {
            Some((this, known)) => {
                format!(
                    "the address {this} has the first and last digits of the known {known}, and is another"
                )
            }
            None => "the address looks like a known one, and is another".into(),
        },
        ReasonCode::OverGasDay => match detail().trim_end_matches(" wei").split_once(" of ") {
            Some((after, limit)) if reason.effect == Effect::Pass => {
                format!("transfers cost the treasury {after} wei of {limit} today at most")
            }
            Some((after, limit)) => format!(
                "transfers would cost the treasury {after} wei today at most, {limit} is the limit"
            ),
            None => "transfers would cost the treasury too much gas today".into(),
        },
        ReasonCode::ZeroAmount => "nothing is asked for, and zero is not a payment".into(),
        ReasonCode::OwnerRefused if detail().is_empty() => "the owner said no".into(),
        ReasonCode::OwnerRefused => format!("the owner said no: {}", plain_line(detail(), 200)),
        ReasonCode::NoAnswer => "the owner did not answer in time".into(),
        ReasonCode::QuoteChanged => "the offer changed before the owner answered".into(),
        ReasonCode::OfferAnswered => {
            "this offer was answered before; ask the payee for a new one".into()
        }
        ReasonCode::TooManyQuestions => {
            "too many of this agent’s questions wait for the owner already".into()
        }
        // The limits have words of their own.
        _ => limit_finding(reason, asset),
    }
}

/// A finding as the evidence shows it: what is only worth seeing passes, with a note.
pub(crate) fn finding_view(reason: &Reason, asset: &Asset) -> Finding {
    let warned = reason.effect == Effect::Warn;
    let note = match (warned, reason.code) {
        (false, _) => None,
        (true, ReasonCode::PriceJumped) => Some("That is more than twice the usual price."),
        (true, _) => Some("That is 80 % of the limit or more."),
    };
    Finding {
        code: reason.code.word().into(),
        effect: word(if warned { &Effect::Pass } else { &reason.effect }),
        message: finding(reason, asset),
        note: note.map(str::to_owned),
    }
}

/// A finding as a whole sentence.
pub(crate) fn finding_sentence(reason: &Reason, asset: &Asset) -> String {
    sentence(&finding(reason, asset))
}

/// Words without a full stop as a whole sentence; an address at the front stays as it is written.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let is_address = text.split(' ').next().is_some_and(|word| word.contains("://"));
    let first = chars.next().filter(|_| !is_address);
    match first {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => format!("{text}."),
    }
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
                scope: reason.scope.clone(),
                limit: reason.limit.map(|units| asset.format(units)),
                observed: reason.observed.map(|units| asset.format(units)),
                limit_count: reason.limit_count,
                observed_count: reason.observed_count,
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
                // Only a settlement that the chain took back leaves a note behind what was delivered.
                PaymentState::Delivered if record.note.is_some() => {
                    format!("In flight again: the chain took back its block{until}")
                }
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
            limit: Units::new(limit).ok(),
            observed: Units::new(observed).ok(),
            ..Reason::new(code, effect, Remedy::Time)
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
    fn every_rule_has_words_of_its_own() {
        use Effect::*;
        let mut seen = std::collections::BTreeSet::new();
        for code in ReasonCode::ALL {
            for effect in [Pass, Warn, Ask, Approved, Deny] {
                let mut it = reason(code, effect, 2_000_000, 1_000_000);
                (it.limit_count, it.observed_count) = (Some(7), Some(8));
                it.detail = Some("L2 Ask: it looked odd".into());
                let text = finding_sentence(&it, &asset());
                assert!(text.ends_with('.') && !text.contains("  "), "{code:?}: {text}");
                assert!(text.starts_with(|c: char| !c.is_lowercase()), "{code:?}: {text}");
                it.scope = Some("Team".into());
                let shared = finding_sentence(&it, &asset());
                assert!(shared.ends_with(", of the shared budget Team."), "{shared}");
                if effect == Deny {
                    assert!(seen.insert(text.clone()), "{code:?} says what another does: {text}");
                }
            }
        }
    }

    #[test]
    fn counts_hours_and_halves_are_named() {
        let mut count = reason(ReasonCode::OverCountPerHour, Effect::Deny, 0, 0);
        (count.limit_count, count.observed_count) = (Some(12), Some(13));
        assert_eq!(
            finding_sentence(&count, &asset()),
            "It would be payment 13 in 60 minutes, 12 is the limit."
        );
        let mut halved = reason(ReasonCode::OverPerPayment, Effect::Ask, 50_000, 60_000);
        halved.detail = Some("halved while danger is wary".into());
        assert_eq!(
            finding_sentence(&halved, &asset()),
            "0.06 is above 0.05 per payment, halved while danger is wary."
        );
        let mut hours = reason(ReasonCode::OutsideHours, Effect::Deny, 0, 0);
        hours.detail = Some("09:00-18:00 Europe/Amsterdam".into());
        assert_eq!(
            finding_sentence(&hours, &asset()),
            "It may spend only within 09:00-18:00 Europe/Amsterdam."
        );
        let address = sentence("http://shop.example asks 1.00");
        assert_eq!(address, "http://shop.example asks 1.00.");
    }

    #[test]
    fn lookalikes_are_shown_side_by_side_and_gas_in_wei() {
        let mut alike = Reason::new(ReasonCode::LookalikePayee, Effect::Ask, Remedy::Owner);
        alike.detail = Some("0x12ab is not 0x12cd".into());
        assert_eq!(
            finding_sentence(&alike, &asset()),
            "The address 0x12ab has the first and last digits of the known 0x12cd, and is another."
        );
        let mut gas = Reason::new(ReasonCode::OverGasDay, Effect::Deny, Remedy::Time);
        gas.detail = Some("120 of 100 wei".into());
        assert_eq!(
            finding_sentence(&gas, &asset()),
            "Transfers would cost the treasury 120 wei today at most, 100 is the limit."
        );
        gas.effect = Effect::Pass;
        let fits = finding(&gas, &asset());
        assert_eq!(fits, "transfers cost the treasury 120 wei of 100 today at most");
    }

    #[test]
    fn a_warning_passes_with_a_note() {
        let near = reason(ReasonCode::OverPerDay, Effect::Warn, 5_000_000, 4_100_000);
        let view = finding_view(&near, &asset());
        assert_eq!((view.code.as_str(), view.effect.as_str()), ("over_per_day", "pass"));
        assert_eq!(view.message, "4.10 of 5.00 today after this");
        assert_eq!(view.note.as_deref(), Some("That is 80 % of the limit or more."));
        let verdict = Verdict {
            outcome: imprest_domain::Outcome::Allow,
            grade: Grade::L3,
            reasons: vec![near],
        };
        assert!(verdict_view(&verdict, &asset()).reasons.is_empty(), "it stands in no way");
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
