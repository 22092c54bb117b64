//! The child: it pays until it is killed.

use super::said::Said;
use super::{open, some_hash};
use crate::chance::Chance;
use crate::disk::world::{order, shop, units};
use crate::oracle::usdc;
use alloy_primitives::B256;
use imprest_domain::{AgentId, Danger, PaymentState};
use imprest_ledger::{Delivery, Grant, HeadCopy, Ledger, LedgerError, Reserved};
use jiff::SignedDuration;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// How many tasks pay at the same time.
const TASKS: u64 = 6;
/// After how many refusals in a row a task has nothing left to do.
const REFUSALS_MAX: u32 = 3;
/// How many keys there are: few enough that a later child comes upon those of an earlier one.
const KEYS: u64 = 3_000;

/// Pays on the file of the first argument, as the seed in the second has it, from several tasks
/// until it is killed or has reached the limits. Not for people.
pub fn child(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (Some(file), Some(seed)) = (args.next(), args.next().and_then(|seed| seed.parse().ok()))
    else {
        eprintln!("This is a part of imprest-soak. Run that instead.");
        return ExitCode::from(2);
    };
    match pay_until_killed(Path::new(&file), seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn pay_until_killed(file: &Path, seed: u64) -> Result<(), LedgerError> {
    let stopped = |why: String| LedgerError::Stopped { why };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| stopped(e.to_string()))?;
    runtime.block_on(async {
        let ledger = open(file).await?;
        let agents = ledger.agents().await?;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let agent = agents[task as usize % agents.len()].clone();
            // Agents have their keys for themselves; here none is used by two of them.
            let range = u64::from(agent.account) * KEYS;
            let chance = Chance::new(seed.wrapping_add(task));
            tasks.spawn(pay(ledger.clone(), agent.id, range, chance));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|e| stopped(e.to_string()))??;
        }
        say(&Said::Closing);
        ledger.close().await;
        Ok(())
    })
}

/// Orders until the limits say no.
async fn pay(
    ledger: Ledger,
    agent: AgentId,
    keys_from: u64,
    mut chance: Chance,
) -> Result<(), LedgerError> {
    let mut refused = 0;
    while refused < REFUSALS_MAX {
        let value = chance.between(1, 9);
        let key = chance.percent(40).then(|| format!("k{}", keys_from + chance.below(KEYS)));
        let order = order(&agent, shop(), units(value), key.clone());
        let question = SignedDuration::from_mins(10);
        match ledger.reserve(order, usdc(), Danger::Calm, question).await? {
            Reserved::Granted { payment, grant, .. } => {
                refused = 0;
                let head = HeadCopy::from(ledger.head());
                say(&Said::Granted { payment, value, key, head });
                go_on(&ledger, grant, &mut chance).await?;
            }
            Reserved::Known { payment } => {
                if let Some(key) = key {
                    say(&Said::Known { payment, key });
                }
            }
            Reserved::Refused { .. } | Reserved::Asked { .. } => refused += 1,
        }
    }
    Ok(())
}

/// What becomes of a grant: paid, given back, or left as it is.
async fn go_on(ledger: &Ledger, grant: Grant, chance: &mut Chance) -> Result<(), LedgerError> {
    let payment = grant.payment().clone();
    let moved = |to| say(&Said::Moved { payment: payment.clone(), to });
    match chance.below(10) {
        0 | 1 => {}
        2 => {
            ledger.void(grant, "not signed".to_owned()).await?;
            moved(PaymentState::Void);
        }
        3 => {
            ledger.expire(&payment, 1).await?;
            moved(PaymentState::Expired);
        }
        4 | 5 => {
            let delivered = Delivery::Delivered {
                status: 200,
                response_sha256: B256::repeat_byte(3),
                claimed_transaction: None,
            };
            ledger.record_delivery(&payment, delivered).await?;
            moved(PaymentState::Delivered);
            ledger.settle(&payment, some_hash(chance), 1).await?;
            moved(PaymentState::Settled);
        }
        _ => {
            ledger.settle(&payment, some_hash(chance), 1).await?;
            moved(PaymentState::Settled);
        }
    }
    Ok(())
}

/// Says one line, whole and at once: the next thing happens only after it is in the pipe.
fn say(said: &Said) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: then the end is near anyway.
    let _ = out.write_all(format!("{said}\n").as_bytes()).and_then(|()| out.flush());
}
