//! Books and chain held against each other, once a minute, float by float.
//!
//! The books of an agent with nothing in flight are the chain two blocks back: what moved money
//! there is booked when it lies so deep. A float is therefore compared at exactly that block, and
//! only when its figure in the books was the same before the chain was looked through and after.

use crate::desk::Desk;
use crate::jobs::SETTLED_DEPTH_BLOCKS;
use crate::show::add;
use crate::view::Problem;
use imprest_chain::{At, Chain};
use imprest_domain::{Address, AgentId, SignalKind, Subject, Units};
use std::collections::{BTreeMap, BTreeSet};

/// What a float holds by the books, at a moment when nothing of it is in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quiet {
    address: Address,
    name: String,
    units: Units,
}

/// The floats that are quiet, by agent.
pub(crate) type QuietFloats = BTreeMap<AgentId, Quiet>;

/// What earlier comparisons found, for as long as the desk runs.
#[derive(Debug, Default)]
pub(crate) struct Comparisons {
    /// Books and chain of each float that differed the last time it was compared.
    differed: BTreeMap<AgentId, (Units, Units)>,
    /// Floats that were equal the last time they were compared.
    equal: BTreeSet<AgentId>,
}

/// What one comparison came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is not known yet, or there was nothing quiet to compare.
    Undecided,
    /// Floats that differed twice in a row by the same figures: whose, books, chain.
    Differ(Vec<(AgentId, Units, Units)>),
    /// Every float there is was equal when it was last compared.
    AllEqual,
}

impl Comparisons {
    /// Takes in what was compared: books and chain, by agent; `all` are the agents there are.
    pub(crate) fn note(
        &mut self,
        compared: &BTreeMap<AgentId, (Units, Units)>,
        all: &BTreeSet<AgentId>,
    ) -> Outcome {
        let mut differ = Vec::new();
        for (agent, &(books, chain)) in compared {
            if books == chain {
                self.differed.remove(agent);
                self.equal.insert(agent.clone());
                continue;
            }
            self.equal.remove(agent);
            let before = self.differed.insert(agent.clone(), (books, chain));
            if before == Some((books, chain)) {
                differ.push((agent.clone(), books, chain));
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
    /// Every float with nothing in flight, as the books have it.
    pub(crate) async fn quiet_floats(&self) -> Result<QuietFloats, Problem> {
        let ledger = &self.inner.ledger;
        let refilled: Vec<AgentId> =
            ledger.open_refills().await?.into_iter().map(|open| open.agent).collect();
        let mut quiet = QuietFloats::new();
        for agent in ledger.agents().await? {
            let balance = ledger.balance(&agent.id).await?;
            if balance.held.is_zero() && !refilled.contains(&agent.id) {
                let units = add(balance.free, balance.held);
                let name = agent.name.to_string();
                quiet.insert(agent.id, Quiet { address: agent.address, name, units });
            }
        }
        Ok(quiet)
    }

    /// Compares the floats that were quiet `before` the chain was looked through up to `head`, and
    /// still are.
    pub(crate) async fn compare_floats(
        &self,
        chain: &Chain,
        head: u64,
        before: &QuietFloats,
        comparisons: &mut Comparisons,
    ) -> Result<(), Problem> {
        let Some(block) = head.checked_sub(SETTLED_DEPTH_BLOCKS) else { return Ok(()) };
        let addresses: Vec<Address> = before.values().map(|quiet| quiet.address).collect();
        if addresses.is_empty() {
            return Ok(());
        }
        let on_chain = chain.balances(&addresses, At::Block(block)).await?;
        let after = self.quiet_floats().await?;
        let compared: BTreeMap<AgentId, (Units, Units)> = before
            .iter()
            .zip(on_chain)
            .filter(|((agent, quiet), _)| after.get(*agent) == Some(*quiet))
            .map(|((agent, quiet), chain)| (agent.clone(), (quiet.units, chain)))
            .collect();
        let all = self.inner.ledger.agents().await?.into_iter().map(|agent| agent.id).collect();
        let outcome = comparisons.note(&compared, &all);
        self.say(outcome, block, &after).await
    }

    async fn say(&self, outcome: Outcome, block: u64, floats: &QuietFloats) -> Result<(), Problem> {
        let (ledger, asset) = (&self.inner.ledger, &self.inner.asset);
        let subject = Subject::Network { chain_id: asset.id.chain_id };
        let (seq, kind) = (ledger.head().seq, SignalKind::BooksDiffer);
        match outcome {
            Outcome::Undecided => {}
            Outcome::AllEqual => ledger.agreed(kind, subject).await?,
            Outcome::Differ(floats_that_do) => {
                for (agent, books, chain) in floats_that_do {
                    let name = floats.get(&agent).map_or(agent.as_str(), |q| q.name.as_str());
                    // Without the block, so that the same difference is said once.
                    let detail = format!(
                        "the books say that {name}’s float holds {}, and the chain says {}",
                        asset.format(books),
                        asset.format_with_symbol(chain)
                    );
                    tracing::error!(block, "{detail}");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(tail: &str) -> AgentId {
        AgentId::from_tail(tail).unwrap()
    }

    fn units(n: u128) -> Units {
        Units::new(n).unwrap()
    }

    fn compared(list: &[(&str, u128, u128)]) -> BTreeMap<AgentId, (Units, Units)> {
        list.iter()
            .map(|(who, books, chain)| (agent(who), (units(*books), units(*chain))))
            .collect()
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
        let differs = Outcome::Differ(vec![(agent("a"), units(4), units(3))]);
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
}
