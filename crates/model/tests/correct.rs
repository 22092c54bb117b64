//! The correct design, in settings small enough for the test-suite.

use imprest_model::{
    Action, Broken, ENDLESS_SETTING, Happening, LONG_SETTINGS, Model, SHORT_SETTINGS, Setting,
    State, Watch, World, find, search, search_until,
};
use stateright::Model as _;
use std::collections::{BTreeSet, HashMap};
use std::mem::discriminant;

/// How many states the settings of the test-suite have to make up, so that none shrinks unnoticed.
const STATES_MIN: usize = 200_000;

/// Too large for an exact search in a debug build.
const LARGE: [Setting; 2] = [SHORT_SETTINGS[1], SHORT_SETTINGS[5]];
/// The variants of [`Action`].
const KINDS_OF_STEP: usize = 29;

#[test]
fn no_state_breaks_a_promise() {
    let searches: Vec<_> = SHORT_SETTINGS.into_iter().map(|setting| search(setting, 2)).collect();
    for search in &searches {
        let name = search.setting.name;
        assert!(search.breach.is_none(), "{name}: {:#?}", search.breach);
        assert!(search.exhausted, "{name}: not visited whole");
        assert!(search.total_states > search.unique_states, "{name}: no state was met twice");
    }
    let states: usize = searches.iter().map(|search| search.unique_states).sum();
    assert!(states >= STATES_MIN, "only {states} states");
}

#[test]
fn everything_that_should_can_happen() {
    let missing: Vec<_> = Happening::ALL.into_iter().filter(|h| find(*h).is_none()).collect();
    assert!(missing.is_empty(), "these never happen: {missing:?}");
}

#[test]
fn a_cap_ends_a_search_that_has_no_end() {
    for threads in [1, 2] {
        let search = search_until(ENDLESS_SETTING, threads, 5_000);
        assert!(search.breach.is_none(), "{:#?}", search.breach);
        assert!(!search.exhausted, "five thousand states cannot be all");
        assert!((5_000..100_000).contains(&search.unique_states), "{}", search.unique_states);
    }
}

#[test]
fn a_cap_beyond_the_end_changes_nothing() {
    let whole = search(SHORT_SETTINGS[0], 2);
    let capped = search_until(SHORT_SETTINGS[0], 1, usize::MAX);
    assert!(capped.exhausted);
    assert_eq!(capped.unique_states, whole.unique_states);
}

/// Every state of a setting, told apart by all of its bits, with the states that follow it.
struct Whole {
    setting: Setting,
    states: Vec<State>,
    followers: Vec<Vec<usize>>,
    steps: Vec<Action>,
}

impl Whole {
    /// An exact search of our own, to hold the checker's against.
    fn of(setting: Setting) -> Whole {
        let model = Model::new(setting, None, Watch::Breach(Broken::ANY));
        let mut states = model.init_states();
        let mut places: HashMap<State, usize> = states.iter().copied().zip(0..).collect();
        let (mut followers, mut steps) = (Vec::new(), BTreeSet::new());
        let mut at = 0;
        while let Some(&state) = states.get(at) {
            let mut next = Vec::new();
            for (step, state) in model.next_steps(&state) {
                steps.insert(step);
                let place = *places.entry(state).or_insert_with(|| {
                    states.push(state);
                    states.len() - 1
                });
                next.push(place);
            }
            followers.push(next);
            at += 1;
        }
        Whole { setting, states, followers, steps: steps.into_iter().collect() }
    }

    fn worlds(&self) -> impl Iterator<Item = World> {
        self.states.iter().map(|state| state.world())
    }

    /// Which states have a way to one for which `arrived` holds.
    fn can_reach(&self, arrived: impl Fn(&World) -> bool) -> Vec<bool> {
        let mut leads_here = vec![Vec::new(); self.states.len()];
        for (from, followers) in self.followers.iter().enumerate() {
            for &to in followers {
                leads_here[to].push(from);
            }
        }
        let mut reaches: Vec<bool> = self.worlds().map(|world| arrived(&world)).collect();
        let mut ahead: Vec<usize> = (0..reaches.len()).filter(|&place| reaches[place]).collect();
        while let Some(place) = ahead.pop() {
            for &from in &leads_here[place] {
                if !reaches[from] {
                    reaches[from] = true;
                    ahead.push(from);
                }
            }
        }
        reaches
    }
}

#[test]
fn an_exact_search_agrees() {
    let mut steps = Vec::new();
    for setting in SHORT_SETTINGS.into_iter().filter(|setting| !LARGE.contains(setting)) {
        let whole = Whole::of(setting);
        let search = search(setting, 2);
        assert_eq!(search.unique_states, whole.states.len(), "{}", setting.name);
        for world in whole.worlds() {
            assert!(Broken::ANY.in_state(&setting, &world).is_empty(), "{world:?}");
        }
        no_money_is_held_for_ever(&whole);
        steps.extend(whole.steps);
    }
    every_step_is_taken(steps);
}

/// From every state there is a way to one in which no hold is open.
fn no_money_is_held_for_ever(whole: &Whole) {
    let ends = whole.can_reach(|world| world.requests.iter().all(|r| !r.row.is_open()));
    let stuck = ends.iter().position(|ends| !ends).map(|place| whole.states[place]);
    assert!(stuck.is_none(), "{}: {stuck:?}", whole.setting.name);
}

/// No kind of step is dead, and none of a faulty design is taken by the correct one.
fn every_step_is_taken(mut taken: Vec<Action>) {
    let only_in_faulty = [Action::Look(0), Action::Write(0), Action::Sync, Action::HaltIfFrozen];
    taken.sort_unstable();
    taken.dedup_by_key(|action| discriminant(action));
    for action in only_in_faulty {
        let kind = discriminant(&action);
        assert!(taken.iter().all(|taken| discriminant(taken) != kind), "{action:?} was taken");
    }
    assert_eq!(taken.len() + only_in_faulty.len(), KINDS_OF_STEP, "{taken:?}");
}

#[test]
fn settings_grow() {
    assert!(LONG_SETTINGS.len() > 8);
    for setting in LONG_SETTINGS.iter().chain(&SHORT_SETTINGS).chain([&ENDLESS_SETTING]) {
        let sum: u8 = setting.orders.iter().map(|order| order.units).sum();
        assert!(sum >= setting.shared_limit_units, "{}: no limit can bind", setting.name);
        assert!(setting.crashes, "{}: nothing crashes", setting.name);
        assert!(setting.orders.len() <= imprest_model::REQUESTS_MAX, "{}", setting.name);
    }
}
