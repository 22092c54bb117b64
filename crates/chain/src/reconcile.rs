//! What the chain proves about one authorisation: [`judge`] is pure, facts in, finding out;
//! [`Chain::look`] reads the facts from every node of the network, judges each node's on their own,
//! and lets nothing pass that gives money back unless all of them say it.

use crate::client::{At, Block, Chain};
use crate::error::ChainError;
use crate::events::{AuthorizationEnd, Settlement};
use alloy_primitives::B256;
use futures::future::join_all;
use imprest_domain::Authorization;
use std::fmt;

/// What was read about one authorisation, in this order: finalised block and its state, newest
/// block and its state, then the logs.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What was signed.
    pub authorization: &'a Authorization,
    /// `authorizationState` at `finalized`.
    pub used_at_finalized: bool,
    /// `authorizationState` at the newest block.
    pub used_at_latest: bool,
    /// The log of what consumed the nonce, if one was found.
    pub end: Option<AuthorizationEnd>,
    /// The newest block that cannot be undone.
    pub finalized: Block,
    /// The newest block.
    pub latest: Block,
    /// Seconds past `valid_before_s` the finalised clock must show before unused means expired.
    pub margin_s: u64,
}

/// What the facts prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The money moved as signed.
    Settled {
        /// The transaction.
        tx: B256,
        /// Its block.
        block: u64,
    },
    /// The signer burnt it, in a block that cannot be undone; it can never move money.
    Cancelled {
        /// The transaction.
        tx: B256,
        /// Its block.
        block: u64,
    },
    /// It can still be used, or nothing final is known. The hold stays.
    StillOpen,
    /// Its time ran out unused; it can never move money.
    ExpiredUnused {
        /// The finalised block that proves it.
        block: u64,
    },
    /// The facts contradict each other. The hold stays, and the owner should know if it persists.
    Inconsistent(Contradiction),
}

/// Facts that cannot all be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The finalised block is newer than the newest.
    #[error("the finalised block is newer than the newest block")]
    BlocksOutOfOrder,
    /// Used when final, unused later.
    #[error("the authorisation was used in a final block and is unused in a newer one")]
    BecameUnused,
    /// Used, but no log says by what.
    #[error("the authorisation is used, but no log says by which transaction")]
    UsedWithoutLog,
    /// A log without the use it reports.
    #[error("a log reports the use of an authorisation that is unused")]
    LogWithoutUse,
    /// The log's block is newer than the newest.
    #[error("the log is in a block newer than the newest block")]
    LogFromTheFuture,
    /// Final use, but the log lies after the finalised block.
    #[error("the authorisation was used in a final block, but its log lies in a newer one")]
    LogTooLate,
    /// The log's block is final, but there the authorisation is unused.
    #[error("the log lies in a final block in which the authorisation is unused")]
    LogTooEarly,
    /// Money went elsewhere, or another sum.
    #[error("the transfer on chain is not the one that was signed")]
    OtherTransfer,
    /// Nodes that have to say the same do not.
    #[error("the nodes of the network do not say the same")]
    SourcesDisagree,
    /// The nodes that were heard would give the money back, and not all were.
    #[error("not every node of the network was heard, and money is given back on the word of all")]
    SourceSilent,
}

impl fmt::Display for Finding {
    /// What is so, to be put behind “the node says that”.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Settled { tx, block } => write!(f, "it was paid in block {block} by {tx}"),
            Finding::Cancelled { tx, block } => {
                write!(f, "it was cancelled in block {block} by {tx}")
            }
            Finding::StillOpen => f.write_str("it is open"),
            Finding::ExpiredUnused { block } => write!(f, "it had expired unused by block {block}"),
            Finding::Inconsistent(why) => why.fmt(f),
        }
    }
}

/// What one look at an authorisation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What it proves.
    pub finding: Finding,
    /// The newest block's number; of several nodes that were heard and make sense, the lowest.
    pub head: u64,
    /// Whether the use was seen in a block that cannot be undone, by every node that saw a use.
    pub is_final: bool,
    /// Whether every node was heard and none contradicts itself or another. Only then is what was
    /// not seen not there.
    pub is_unanimous: bool,
    /// One sentence for each node that was not heard or says something else, naming its host.
    pub doubts: Vec<String>,
}

/// Judges one authorisation by the facts.
///
/// A settlement counts as soon as the newest block shows it: the money stays counted as spent
/// either way. Money is given back ([`Finding::Cancelled`], [`Finding::ExpiredUnused`]) only on
/// evidence that cannot be undone. The contract takes an authorisation only while
/// `block.timestamp < validBefore` (EIP-3009), and timestamps never go back along a chain.
pub fn judge(facts: &Facts<'_>) -> Finding {
    if let Some(contradiction) = contradiction(facts) {
        return Finding::Inconsistent(contradiction);
    }
    match facts.end {
        Some(AuthorizationEnd::Used(Settlement { transaction: tx, block, .. })) => {
            Finding::Settled { tx, block }
        }
        Some(AuthorizationEnd::Cancelled(gone)) if facts.used_at_finalized => {
            Finding::Cancelled { tx: gone.transaction, block: gone.block }
        }
        Some(AuthorizationEnd::Cancelled(_)) => Finding::StillOpen,
        None if has_expired(facts) => Finding::ExpiredUnused { block: facts.finalized.number },
        None => Finding::StillOpen,
    }
}

impl Chain {
    /// Reads the facts about one authorisation from every node, each on its own, and judges them.
    ///
    /// `from_block` is any block from before it was signed; the search for logs begins there.
    /// `margin_s` is as in [`Facts`]. [`Finding::ExpiredUnused`] and [`Finding::Cancelled`] are the
    /// word of all nodes. [`Finding::Settled`], which gives nothing back, is the word of those that
    /// could be heard and make sense, if none of them says otherwise.
    ///
    /// # Errors
    /// Every [`ChainError`] of a read, when no node was heard. An error proves nothing: the hold
    /// stays.
    pub async fn look(
        &self,
        authorization: &Authorization,
        from_block: u64,
        margin_s: u64,
    ) -> Result<Look, ChainError> {
        let sources = self.sources();
        let look =
            |source: &Chain| source.clone().look_alone(authorization.clone(), from_block, margin_s);
        let looks = join_all(sources.iter().map(look)).await;
        let hosts = self.hosts().map(str::to_owned);
        agree(hosts.zip(looks).collect())
    }

    /// What [`Chain::look`] proves.
    ///
    /// # Errors
    /// As [`Chain::look`].
    pub async fn reconcile(
        &self,
        authorization: &Authorization,
        from_block: u64,
        margin_s: u64,
    ) -> Result<Finding, ChainError> {
        Ok(self.look(authorization, from_block, margin_s).await?.finding)
    }

    /// What one node says; owned, so that several can be asked at once.
    async fn look_alone(
        self,
        authorization: Authorization,
        from_block: u64,
        margin_s: u64,
    ) -> Result<Look, ChainError> {
        let (from, nonce) = (authorization.from, authorization.nonce);
        // Old facts first: a use between two reads then shows in the newer one only.
        let finalized = self.finalized().await?;
        let then = match self.authorization_state(from, nonce, At::Block(finalized.number)).await {
            Ok(used) => Some(used),
            // Many nodes keep the state of the last 128 blocks only, and finality lies deeper.
            Err(ChainError::Refused { .. }) => None,
            Err(error) => return Err(error),
        };
        let latest = self.head().await?;
        let used_at_latest =
            self.authorization_state(from, nonce, At::Block(latest.number)).await?;
        let end = match used_at_latest {
            true => self.find_end(from, nonce, from_block).await?,
            false => None,
        };
        let used_at_finalized = then.unwrap_or_else(|| was_used_by(end, finalized.number));
        let finding = judge(&Facts {
            authorization: &authorization,
            used_at_finalized,
            used_at_latest,
            end,
            finalized,
            latest,
            margin_s,
        });
        Ok(Look {
            finding,
            head: latest.number,
            is_final: used_at_finalized,
            is_unanimous: !matches!(finding, Finding::Inconsistent(_)),
            doubts: Vec::new(),
        })
    }
}

/// Whether an authorisation was used, or cancelled, by a block whose state the node does not keep: a
/// nonce that is unused later was unused then, and of a used one the log's block tells.
fn was_used_by(end: Option<AuthorizationEnd>, block: u64) -> bool {
    end.is_some_and(|end| end.block() <= block)
}

/// What the nodes' looks come to together, each with its host.
fn agree(looks: Vec<(String, Result<Look, ChainError>)>) -> Result<Look, ChainError> {
    let heard: Vec<&Look> = looks.iter().filter_map(|(_, look)| look.as_ref().ok()).collect();
    let all_heard = heard.len() == looks.len();
    let lowest = |looks: &mut dyn Iterator<Item = &&Look>| looks.map(|look| look.head).min();
    // A node that makes no sense does not say either how far the chain is.
    let sensible = lowest(&mut heard.iter().filter(|look| look.is_unanimous));
    let Some(head) = sensible.or_else(|| lowest(&mut heard.iter())) else {
        let silent = looks.into_iter().find_map(|(_, look)| look.err());
        return Err(silent.unwrap_or(ChainError::Endpoints { why: "there is none" }));
    };
    let finding = together(&heard.iter().map(|look| look.finding).collect::<Vec<_>>(), all_heard);
    let is_settled = |look: &&&Look| matches!(look.finding, Finding::Settled { .. });
    Ok(Look {
        finding,
        head,
        is_final: heard.iter().filter(is_settled).all(|look| look.is_final)
            && matches!(finding, Finding::Settled { .. }),
        is_unanimous: all_heard
            && heard.iter().all(|look| look.is_unanimous)
            && !matches!(finding, Finding::Inconsistent(_)),
        doubts: looks.iter().filter_map(|(host, look)| doubt(host, look, finding)).collect(),
    })
}

/// What is odd about one node's look, in the light of what they came to together.
fn doubt(host: &str, look: &Result<Look, ChainError>, together: Finding) -> Option<String> {
    let kind = |finding: &Finding| std::mem::discriminant(finding);
    match look {
        Err(error) => Some(error.to_string()),
        Ok(look) if look.is_unanimous && kind(&look.finding) == kind(&together) => None,
        Ok(look) => Some(format!("The node at {host} says that {}.", look.finding)),
    }
}

/// What findings of several nodes come to.
fn together(findings: &[Finding], all_heard: bool) -> Finding {
    let is_odd = |finding: &&Finding| matches!(finding, Finding::Inconsistent(_));
    let odd = findings.iter().find(is_odd).copied();
    let mut coherent = findings.iter().filter(|finding| !is_odd(finding)).copied();
    let Some(first) = coherent.next() else {
        return odd.unwrap_or(Finding::Inconsistent(Contradiction::SourceSilent));
    };
    match coherent.try_fold(first, same_word) {
        None => Finding::Inconsistent(Contradiction::SourcesDisagree),
        // Money that counts as spent either way waits for no node that is down or makes no sense.
        Some(settled @ Finding::Settled { .. }) => settled,
        Some(open) => match odd {
            Some(odd) => odd,
            None if all_heard || open == Finding::StillOpen => open,
            None => Finding::Inconsistent(Contradiction::SourceSilent),
        },
    }
}

/// Two nodes' findings as one, if they say the same. Blocks may differ by what one node has not
/// seen yet; the one that asks for more patience is taken.
fn same_word(one: Finding, other: Finding) -> Option<Finding> {
    use Finding::{Cancelled, ExpiredUnused, Settled, StillOpen};
    match (one, other) {
        (Settled { tx, block }, Settled { tx: same, block: at }) if tx == same => {
            Some(Settled { tx, block: block.max(at) })
        }
        (Cancelled { tx, block }, Cancelled { tx: same, block: at }) if tx == same => {
            Some(Cancelled { tx, block: block.max(at) })
        }
        (ExpiredUnused { block }, ExpiredUnused { block: at }) => {
            Some(ExpiredUnused { block: block.min(at) })
        }
        (StillOpen, StillOpen) => Some(StillOpen),
        _ => None,
    }
}

fn has_expired(facts: &Facts<'_>) -> bool {
    // A window so late that the sum overflows never expires.
    let over = facts.authorization.window.valid_before_s.checked_add(facts.margin_s);
    !facts.used_at_latest
        && !facts.used_at_finalized
        && over.is_some_and(|over| facts.finalized.timestamp_s >= over)
}

fn contradiction(facts: &Facts<'_>) -> Option<Contradiction> {
    let (finalized, latest) = (&facts.finalized, &facts.latest);
    if finalized.number > latest.number || finalized.timestamp_s > latest.timestamp_s {
        return Some(Contradiction::BlocksOutOfOrder);
    }
    if facts.used_at_finalized && !facts.used_at_latest {
        return Some(Contradiction::BecameUnused);
    }
    let Some(end) = facts.end else {
        return facts.used_at_latest.then_some(Contradiction::UsedWithoutLog);
    };
    let block = end.block();
    if !facts.used_at_latest {
        return Some(Contradiction::LogWithoutUse);
    }
    if block > latest.number {
        return Some(Contradiction::LogFromTheFuture);
    }
    if facts.used_at_finalized && block > finalized.number {
        return Some(Contradiction::LogTooLate);
    }
    if !facts.used_at_finalized && block <= finalized.number {
        return Some(Contradiction::LogTooEarly);
    }
    match end {
        AuthorizationEnd::Used(s)
            if s.to != facts.authorization.to || s.value != facts.authorization.value =>
        {
            Some(Contradiction::OtherTransfer)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Cancellation;
    use alloy_primitives::Address;
    use imprest_domain::{AssetId, Units, ValidityWindow};
    use proptest::prelude::*;

    const MARGIN_S: u64 = 30;

    fn authorization() -> Authorization {
        Authorization {
            asset: AssetId { chain_id: 1, contract: Address::repeat_byte(1) },
            from: Address::repeat_byte(2),
            to: Address::repeat_byte(3),
            value: Units::new(600_000).expect("fits"),
            window: ValidityWindow { valid_after_s: 0, valid_before_s: 1_000 },
            nonce: B256::repeat_byte(4),
        }
    }

    fn block(number: u64, timestamp_s: u64) -> Block {
        Block { number, timestamp_s, hash: B256::ZERO }
    }

    fn used(block: u64) -> Option<AuthorizationEnd> {
        let a = authorization();
        let transaction = B256::repeat_byte(9);
        Some(AuthorizationEnd::Used(Settlement { transaction, block, to: a.to, value: a.value }))
    }

    fn cancelled(block: u64) -> Option<AuthorizationEnd> {
        Some(AuthorizationEnd::Cancelled(Cancellation { transaction: B256::repeat_byte(8), block }))
    }

    /// Finalised block 10 and newest block 12, at these times.
    fn facts(
        a: &Authorization,
        final_s: u64,
        states: (bool, bool),
        end: Option<AuthorizationEnd>,
    ) -> Facts<'_> {
        Facts {
            authorization: a,
            used_at_finalized: states.0,
            used_at_latest: states.1,
            end,
            finalized: block(10, final_s),
            latest: block(12, final_s + 2),
            margin_s: MARGIN_S,
        }
    }

    #[test]
    fn expiry_needs_the_finalised_clock_and_the_margin() {
        let a = authorization();
        let at = |final_s| judge(&facts(&a, final_s, (false, false), None));
        assert_eq!(at(999), Finding::StillOpen);
        assert_eq!(at(1_000), Finding::StillOpen);
        assert_eq!(at(1_029), Finding::StillOpen);
        assert_eq!(at(1_030), Finding::ExpiredUnused { block: 10 });
        // The newest block's clock alone proves nothing.
        let mut early = facts(&a, 900, (false, false), None);
        early.latest.timestamp_s = 9_000;
        assert_eq!(judge(&early), Finding::StillOpen);
    }

    #[test]
    fn a_settlement_counts_at_once_and_a_cancellation_when_final() {
        let a = authorization();
        let settled = |block| Finding::Settled { tx: B256::repeat_byte(9), block };
        assert_eq!(judge(&facts(&a, 500, (false, true), used(11))), settled(11));
        assert_eq!(judge(&facts(&a, 500, (true, true), used(9))), settled(9));
        assert_eq!(judge(&facts(&a, 9_999, (false, true), cancelled(11))), Finding::StillOpen);
        assert_eq!(
            judge(&facts(&a, 500, (true, true), cancelled(9))),
            Finding::Cancelled { tx: B256::repeat_byte(8), block: 9 }
        );
    }

    #[test]
    fn contradictions_are_named() {
        let a = authorization();
        let why = |states, end| judge(&facts(&a, 5_000, states, end));
        let is = Finding::Inconsistent;
        assert_eq!(why((true, false), None), is(Contradiction::BecameUnused));
        assert_eq!(why((false, true), None), is(Contradiction::UsedWithoutLog));
        assert_eq!(why((false, false), used(9)), is(Contradiction::LogWithoutUse));
        assert_eq!(why((false, true), used(13)), is(Contradiction::LogFromTheFuture));
        assert_eq!(why((true, true), used(11)), is(Contradiction::LogTooLate));
        assert_eq!(why((false, true), used(10)), is(Contradiction::LogTooEarly));
        let mut backwards = facts(&a, 5_000, (false, false), None);
        backwards.finalized.number = 13;
        assert_eq!(judge(&backwards), is(Contradiction::BlocksOutOfOrder));
    }

    #[test]
    fn another_sum_or_another_payee_is_no_settlement() {
        let a = authorization();
        let other = |edit: fn(&mut Settlement)| {
            let Some(AuthorizationEnd::Used(mut settlement)) = used(11) else { return None };
            edit(&mut settlement);
            Some(AuthorizationEnd::Used(settlement))
        };
        for end in [other(|s| s.to = Address::ZERO), other(|s| s.value = Units::ZERO)] {
            let finding = judge(&facts(&a, 500, (false, true), end));
            assert_eq!(finding, Finding::Inconsistent(Contradiction::OtherTransfer));
        }
    }

    #[test]
    fn a_window_without_end_never_expires() {
        let mut a = authorization();
        a.window.valid_before_s = u64::MAX;
        let late = facts(&a, u64::MAX - 2, (false, false), None);
        assert_eq!(judge(&late), Finding::StillOpen);
    }

    fn said(finding: Finding, head: u64) -> Look {
        Look {
            finding,
            head,
            is_final: matches!(finding, Finding::Settled { .. }),
            is_unanimous: !matches!(finding, Finding::Inconsistent(_)),
            doubts: Vec::new(),
        }
    }

    fn silent() -> ChainError {
        ChainError::Unreachable { host: "two".into(), why: "HTTP 502".into() }
    }

    fn of_two(one: Finding, two: Result<Finding, ChainError>) -> Look {
        let two = two.map(|finding| said(finding, 7));
        agree(vec![("one".into(), Ok(said(one, 9))), ("two".into(), two)]).unwrap()
    }

    #[test]
    fn what_gives_money_back_is_the_word_of_every_node() {
        let tx = B256::repeat_byte(9);
        let expired = |block| Finding::ExpiredUnused { block };
        let burnt = |block| Finding::Cancelled { tx, block };
        let paid = |block| Finding::Settled { tx, block };
        let odd = Finding::Inconsistent(Contradiction::BecameUnused);
        let disagree = Finding::Inconsistent(Contradiction::SourcesDisagree);
        let alone = Finding::Inconsistent(Contradiction::SourceSilent);
        for (one, two, comes_to) in [
            (expired(5), Ok(expired(4)), expired(4)),
            (expired(5), Ok(Finding::StillOpen), disagree),
            (expired(5), Ok(paid(4)), disagree),
            (expired(5), Ok(burnt(4)), disagree),
            (expired(5), Ok(odd), odd),
            (expired(5), Err(silent()), alone),
            (burnt(5), Ok(burnt(6)), burnt(6)),
            (burnt(5), Ok(Finding::Cancelled { tx: B256::ZERO, block: 5 }), disagree),
            (burnt(5), Err(silent()), alone),
            (burnt(5), Ok(Finding::StillOpen), disagree),
            (Finding::StillOpen, Ok(Finding::StillOpen), Finding::StillOpen),
            (Finding::StillOpen, Err(silent()), Finding::StillOpen),
            (Finding::StillOpen, Ok(paid(4)), disagree),
            (paid(5), Ok(paid(6)), paid(6)),
            (paid(5), Ok(Finding::Settled { tx: B256::ZERO, block: 5 }), disagree),
            (paid(5), Ok(odd), paid(5)),
            (paid(5), Err(silent()), paid(5)),
        ] {
            let look = of_two(one, two.clone());
            assert_eq!(look.finding, comes_to, "{one}, and {two:?}");
            let swapped = agree(vec![
                ("two".into(), two.clone().map(|finding| said(finding, 7))),
                ("one".into(), Ok(said(one, 9))),
            ]);
            assert_eq!(swapped.unwrap().finding, comes_to, "{two:?}, and {one}");
            let at_one = two.as_ref().is_ok_and(|two| together(&[one, *two], true) == comes_to)
                && !matches!(comes_to, Finding::Inconsistent(_))
                && !matches!(two, Ok(Finding::Inconsistent(_)));
            assert_eq!(look.is_unanimous, at_one, "{one}, and {two:?}");
            assert_eq!(look.doubts.is_empty(), at_one, "{:?}", look.doubts);
            assert!(look.doubts.iter().all(|doubt| doubt.contains("one") || doubt.contains("two")));
            let two_counts = two.is_ok_and(|two| two != odd);
            assert_eq!(look.head, if two_counts { 7 } else { 9 });
        }
        let nobody = agree(vec![("one".into(), Err(silent())), ("two".into(), Err(silent()))]);
        assert_eq!(nobody, Err(silent()));
    }

    fn any_finding() -> impl Strategy<Value = Result<Finding, ()>> {
        let tx = (0u8..2).prop_map(B256::repeat_byte);
        prop_oneof![
            Just(Err(())),
            Just(Ok(Finding::StillOpen)),
            Just(Ok(Finding::Inconsistent(Contradiction::UsedWithoutLog))),
            (0u64..9).prop_map(|block| Ok(Finding::ExpiredUnused { block })),
            (tx.clone(), 0u64..9).prop_map(|(tx, block)| Ok(Finding::Settled { tx, block })),
            (tx, 0u64..9).prop_map(|(tx, block)| Ok(Finding::Cancelled { tx, block })),
        ]
    }

    fn any_end() -> impl Strategy<Value = Option<AuthorizationEnd>> {
        prop_oneof![Just(None), (0u64..20).prop_map(used), (0u64..20).prop_map(cancelled),]
    }

    proptest! {
        /// Money comes back only if it can never be used: whatever is read, and however wrong.
        #[test]
        fn money_is_given_back_on_final_evidence_only(
            numbers in (0u64..20, 0u64..20),
            times in (900u64..1_200, 900u64..1_200),
            states in (any::<bool>(), any::<bool>()),
            end in any_end(),
            margin_s in 0u64..100,
        ) {
            let a = authorization();
            let facts = Facts {
                authorization: &a,
                used_at_finalized: states.0,
                used_at_latest: states.1,
                end,
                finalized: block(numbers.0, times.0),
                latest: block(numbers.1, times.1),
                margin_s,
            };
            match judge(&facts) {
                Finding::ExpiredUnused { block } => {
                    prop_assert!(!states.0 && !states.1 && end.is_none());
                    prop_assert!(times.0 >= a.window.valid_before_s + margin_s);
                    prop_assert_eq!(block, numbers.0);
                }
                Finding::Cancelled { block, .. } => {
                    prop_assert!(states.0 && states.1 && block <= numbers.0);
                    prop_assert!(matches!(end, Some(AuthorizationEnd::Cancelled(_))));
                }
                Finding::Settled { block, .. } => {
                    prop_assert!(states.1 && block <= numbers.1);
                    prop_assert!(matches!(end, Some(AuthorizationEnd::Used(_))));
                }
                Finding::StillOpen | Finding::Inconsistent(_) => {}
            }
        }

        /// However many nodes there are: nothing comes back that one of them does not say, and
        /// nothing is settled that a node which makes sense denies.
        #[test]
        fn no_node_is_outvoted(words in prop::collection::vec(any_finding(), 1..6)) {
            let looks = words.iter().map(|word| {
                let look = word.map(|finding| said(finding, 9)).map_err(|()| silent());
                ("node".to_owned(), look)
            });
            let Ok(look) = agree(looks.collect()) else {
                prop_assert!(words.iter().all(Result::is_err));
                return Ok(());
            };
            let kind = std::mem::discriminant(&look.finding);
            let same = |word: &Result<Finding, ()>| word.is_ok_and(|f| std::mem::discriminant(&f) == kind);
            let nobody_denies = words.iter().all(|word| {
                same(word) || matches!(word, Err(()) | Ok(Finding::Inconsistent(_)))
            });
            let is_so = match look.finding {
                Finding::ExpiredUnused { .. } | Finding::Cancelled { .. } => {
                    look.is_unanimous && words.iter().all(same)
                }
                Finding::Settled { .. } => nobody_denies,
                Finding::StillOpen => words.iter().all(|word| same(word) || word.is_err()),
                Finding::Inconsistent(_) => !look.is_unanimous,
            };
            prop_assert!(is_so, "{look:?} of {words:?}");
        }

        /// More time never un-expires, and never expires what was used.
        #[test]
        fn time_only_moves_one_way(final_s in 0u64..3_000, later_s in 0u64..3_000) {
            let a = authorization();
            let now = judge(&facts(&a, final_s, (false, false), None));
            let then = judge(&facts(&a, final_s + later_s, (false, false), None));
            if now != Finding::StillOpen {
                prop_assert_eq!(now, then);
            }
            let spent = judge(&facts(&a, final_s, (true, true), used(3)));
            let is_settled = matches!(spent, Finding::Settled { .. });
            prop_assert!(is_settled);
        }
    }
}
