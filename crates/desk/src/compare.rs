//! Books and chain held against each other, once a minute, float by float.
//!
//! The books of an agent with nothing in flight are the chain two blocks back: what moved money
//! there is booked when it lies so deep. With payments in flight the chain lies between what the
//! books hold free and that with all holds, because a hold may have been taken and not be booked
//! yet. A float is therefore compared at exactly that block, and only when its figures in the
//! books were the same before the chain was looked through and after.

use crate::desk::Desk;
use crate::jobs::{SETTLED_DEPTH_BLOCKS, deposits_reach};
use crate::show::add;
use crate::view::Problem;
use imprest_chain::{At, Chain};
use imprest_domain::{Address, AgentId, Asset, SignalKind, Subject, Units};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What a float holds by the books, at a moment when no refill of it is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Booked {
    address: Address,
    name: String,
    free: Units,
    held: Units,
}

/// The floats that can be compared, by agent.
pub(crate) type Floats = BTreeMap<AgentId, Booked>;

/// One float by the books and by the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compared {
    free: Units,
    held: Units,
    chain: Units,
}

impl Compared {
    /// Whether the chain holds less or more than the books can explain.
    fn side(&self) -> Ordering {
        if self.chain < self.free {
            Ordering::Less
        } else if self.chain > add(self.free, self.held) {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }

    fn is_quiet(&self) -> bool {
        self.held.is_zero()
    }

    /// Whether it is the difference that was seen before. With payments in flight the figures
    /// change from look to look, and an agent that keeps paying must not hide what is missing.
    fn is_again(&self, before: &Compared) -> bool {
        let both_in_flight = !self.is_quiet() && !before.is_quiet();
        self == before || (both_in_flight && self.side() == before.side())
    }
}

/// What earlier comparisons found, for as long as the desk runs.
#[derive(Debug, Default)]
pub(crate) struct Comparisons {
    /// Each float that differed the last time its comparison said anything.
    differed: BTreeMap<AgentId, Compared>,
    /// Floats that were equal the last time they were compared with nothing in flight.
    equal: BTreeSet<AgentId>,
}

/// What one comparison came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is not known yet, or there was nothing to compare.
    Undecided,
    /// Floats that differed twice in a row.
    Differ(Vec<(AgentId, Compared)>),
    /// Every float there is was equal when it was last compared with nothing in flight.
    AllEqual,
}

impl Comparisons {
    /// Takes in what was compared; `all` are the agents there are.
    pub(crate) fn note(
        &mut self,
        compared: &BTreeMap<AgentId, Compared>,
        all: &BTreeSet<AgentId>,
    ) -> Outcome {
        let mut differ = Vec::new();
        for (agent, now) in compared {
            if now.side() == Ordering::Equal {
                // Between the bounds of what is in flight, equal and different look the same.
                if now.is_quiet() {
                    self.differed.remove(agent);
                    self.equal.insert(agent.clone());
                }
                continue;
            }
            self.equal.remove(agent);
            let before = self.differed.insert(agent.clone(), *now);
            if before.is_some_and(|before| now.is_again(&before)) {
                differ.push((agent.clone(), *now));
            }
        }
        if !differ.is_empty() {
            Outcome::Differ(differ)
        } else if !compared.is_empty() && all.is_subset(&self.equal) {
            Outcome::AllEqual
        } else {
            Outcome::Undecided
        }
    }
}

impl Desk {
    /// Every float as the books have it, but for those that are being refilled: the treasury's
    /// transaction may be on the chain and not in the books.
    pub(crate) async fn floats(&self) -> Result<Floats, Problem> {
        let ledger = &self.inner.ledger;
        let refilled: Vec<AgentId> =
            ledger.open_refills().await?.into_iter().map(|open| open.agent).collect();
        let mut floats = Floats::new();
        for agent in ledger.agents().await? {
            if refilled.contains(&agent.id) {
                continue;
            }
            let balance = ledger.balance(&agent.id).await?;
            let (address, name) = (agent.address, agent.name.to_string());
            let (free, held) = (balance.free, balance.held);
            floats.insert(agent.id, Booked { address, name, free, held });
        }
        Ok(floats)
    }

    /// Compares the floats whose figures in the books are still those from `before` the chain was
    /// looked through up to `head`. While the nodes contradict each other, equal floats are no
    /// agreement.
    pub(crate) async fn compare_floats(
        &self,
        chain: &Chain,
        head: u64,
        before: &Floats,
        comparisons: &mut Comparisons,
        in_doubt: bool,
    ) -> Result<(), Problem> {
        let Some(block) = head.checked_sub(SETTLED_DEPTH_BLOCKS) else { return Ok(()) };
        // Money that arrived in blocks nobody has looked through yet is no difference.
        if before.is_empty() || !deposits_reach(self, block).await? {
            return Ok(());
        }
        let addresses: Vec<Address> = before.values().map(|booked| booked.address).collect();
        let on_chain = chain.balances(&addresses, At::Block(block)).await?;
        let after = self.floats().await?;
        let compared: BTreeMap<AgentId, Compared> = before
            .iter()
            .zip(on_chain)
            .filter(|((agent, booked), _)| after.get(*agent) == Some(*booked))
            .map(|((agent, booked), chain)| {
                (agent.clone(), Compared { free: booked.free, held: booked.held, chain })
            })
            .collect();
        let all = self.inner.ledger.agents().await?.into_iter().map(|agent| agent.id).collect();
        match comparisons.note(&compared, &all) {
            Outcome::AllEqual if in_doubt => Ok(()),
            outcome => self.say(outcome, block, &after).await,
        }
    }

    async fn say(&self, outcome: Outcome, block: u64, floats: &Floats) -> Result<(), Problem> {
        let (ledger, asset) = (&self.inner.ledger, &self.inner.asset);
        let subject = Subject::Network { chain_id: asset.id.chain_id };
        let (seq, kind) = (ledger.head().seq, SignalKind::BooksDiffer);
        match outcome {
            Outcome::Undecided => {}
            Outcome::AllEqual => ledger.agreed(kind, subject).await?,
            Outcome::Differ(floats_that_do) => {
                for (agent, found) in floats_that_do {
                    let name = floats.get(&agent).map_or(agent.as_str(), |b| b.name.as_str());
                    let Compared { free, held, chain } = found;
                    tracing::error!(block, %free, %held, %chain, name, "books and chain differ");
                    let detail = difference(name, &found, asset);
                    ledger.raise_signal(kind, subject.clone(), detail).await?;
                }
            }
        }
        if ledger.head().seq != seq {
            self.inner.changed(&["status", "overview", "agents"]);
        }
        Ok(())
    }
}

/// What differs, so that the same difference is said once: without the block, and without figures
/// that the payments in flight change.
fn difference(name: &str, found: &Compared, asset: &Asset) -> String {
    if found.is_quiet() {
        return format!(
            "the books say that {name}’s float holds {}, and the chain says {}",
            asset.format(found.free),
            asset.format_with_symbol(found.chain)
        );
    }
    let than = if found.side() == Ordering::Less { "less" } else { "more" };
    format!("the chain says that {name}’s float holds {than} than its payments in flight explain")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(tail: &str) -> AgentId {
        AgentId::from_tail(tail).unwrap()
    }

    fn units(n: u128) -> Units {
        Units::new(n).unwrap()
    }

    fn found(free: u128, held: u128, chain: u128) -> Compared {
        Compared { free: units(free), held: units(held), chain: units(chain) }
    }

    /// Floats with nothing in flight: books, chain.
    fn compared(list: &[(&str, u128, u128)]) -> BTreeMap<AgentId, Compared> {
        list.iter().map(|(who, books, chain)| (agent(who), found(*books, 0, *chain))).collect()
    }

    fn in_flight(found: Compared) -> BTreeMap<AgentId, Compared> {
        BTreeMap::from([(agent("a"), found)])
    }

    #[test]
    fn only_the_same_difference_twice_in_a_row_is_one() {
        let all = BTreeSet::from([agent("a"), agent("b")]);
        let mut it = Comparisons::default();
        assert_eq!(it.note(&compared(&[("a", 5, 4), ("b", 7, 7)]), &all), Outcome::Undecided);
        // It moved on: a payment that settled between the two looks.
        assert_eq!(it.note(&compared(&[("a", 4, 3)]), &all), Outcome::Undecided);
        assert_eq!(it.note(&compared(&[("a", 4, 4)]), &all), Outcome::AllEqual);
        assert_eq!(it.note(&compared(&[("a", 4, 3)]), &all), Outcome::Undecided);
        let differs = Outcome::Differ(vec![(agent("a"), found(4, 0, 3))]);
        assert_eq!(it.note(&compared(&[("a", 4, 3)]), &all), differs);
        assert_eq!(it.note(&compared(&[("a", 4, 3)]), &all), differs);
    }

    #[test]
    fn all_equal_takes_every_float() {
        let all = BTreeSet::from([agent("a"), agent("b")]);
        let mut it = Comparisons::default();
        assert_eq!(it.note(&compared(&[("a", 4, 4)]), &all), Outcome::Undecided);
        assert_eq!(it.note(&compared(&[]), &all), Outcome::Undecided);
        assert_eq!(it.note(&compared(&[("b", 1, 1)]), &all), Outcome::AllEqual);
        assert_eq!(it.note(&compared(&[("a", 4, 5), ("b", 1, 1)]), &all), Outcome::Undecided);
    }

    #[test]
    fn what_is_in_flight_bounds_what_the_chain_may_say() {
        for (chain, side) in [
            (3, Ordering::Less),
            (4, Ordering::Equal),
            (5, Ordering::Equal),
            (6, Ordering::Equal),
            (7, Ordering::Greater),
        ] {
            assert_eq!(found(4, 2, chain).side(), side, "{chain}");
        }
        let most = Units::MAX.get();
        assert_eq!(found(most, most, most).side(), Ordering::Equal);
    }

    /// An agent that always has something in flight cannot hide that money is missing.
    #[test]
    fn a_float_in_flight_is_compared_too() {
        let all = BTreeSet::from([agent("a")]);
        let mut it = Comparisons::default();
        assert_eq!(it.note(&in_flight(found(10, 2, 9)), &all), Outcome::Undecided);
        let again = found(8, 3, 7);
        let differs = Outcome::Differ(vec![(agent("a"), again)]);
        assert_eq!(it.note(&in_flight(again), &all), differs);
        // The other way round is another difference.
        assert_eq!(it.note(&in_flight(found(8, 3, 12)), &all), Outcome::Undecided);
        let texts: Vec<String> = [found(10, 2, 9), found(8, 3, 7), found(8, 3, 12)]
            .iter()
            .map(|found| difference("Scout", found, &asset()))
            .collect();
        assert_eq!(texts[0], texts[1], "said once");
        assert!(texts[0].contains("less") && texts[2].contains("more"), "{texts:?}");
    }

    /// What is in flight may be just what is missing, so being inside its bounds is no agreement.
    #[test]
    fn inside_the_bounds_proves_nothing() {
        let all = BTreeSet::from([agent("a")]);
        let mut it = Comparisons::default();
        assert_eq!(it.note(&compared(&[("a", 4, 3)]), &all), Outcome::Undecided);
        assert_eq!(it.note(&in_flight(found(2, 2, 3)), &all), Outcome::Undecided);
        let differs = Outcome::Differ(vec![(agent("a"), found(4, 0, 3))]);
        assert_eq!(it.note(&compared(&[("a", 4, 3)]), &all), differs);
    }

    fn asset() -> Asset {
        Asset {
            id: imprest_domain::AssetId { chain_id: 1, contract: Address::ZERO },
            symbol: "USDC".into(),
            decimals: 6,
            eip712_name: "USD Coin".into(),
            eip712_version: "2".into(),
        }
    }
}
