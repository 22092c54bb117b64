//! The designs with one wrong step: each has to be found, or finding nothing means nothing.

use imprest_model::{
    Broken, Fault, Hunt, Invariant, Model, SHORT_SETTINGS, Search, State, Watch, World, hunt,
};
use stateright::Model as _;
use std::collections::BTreeSet;

/// Walks a counterexample again: every step can be taken, and only the last state is broken.
fn walk_again(fault: Fault, search: &Search, watched: Broken) {
    let breach = search.breach.as_ref().expect("the fault was found");
    let model = Model::new(search.setting, Some(fault), Watch::Breach(Broken::ANY));
    let mut state = State::from(&World::START);
    for (number, step) in breach.steps.iter().enumerate() {
        let broken = watched.in_state(&search.setting, &state.world());
        assert!(broken.is_empty(), "{fault:?} is broken before step {number}: {:?}", breach.steps);
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        assert!(actions.contains(step), "{fault:?}: {step:?} cannot be taken");
        state = model.next_state(&state, *step).expect("the step leads somewhere");
    }
    assert_eq!(state.world(), breach.world, "{fault:?}: the steps lead elsewhere");
    assert!(!watched.in_state(&search.setting, &state.world()).is_empty());
}

fn check(fault: Fault) -> Hunt {
    let hunt = hunt(fault);
    assert!(hunt.found(), "{fault:?} was not found: {}", fault.says());
    walk_again(fault, &hunt.first, Broken::ANY);
    walk_again(fault, &hunt.meant, Broken::only(fault.breaks()));
    // The same setting is searched for the correct design, and there nothing breaks.
    assert!(SHORT_SETTINGS.contains(&hunt.first.setting), "{fault:?}");
    assert!(!hunt.first.exhausted && !hunt.meant.exhausted);
    hunt
}

macro_rules! each_is_found {
    ($($name:ident: $fault:ident,)*) => {
        $(#[test]
        fn $name() {
            check(Fault::$fault);
        })*

        #[test]
        fn none_is_left_out() {
            let tested = [$(Fault::$fault),*];
            assert_eq!(BTreeSet::from(tested), BTreeSet::from(Fault::ALL));
        }
    };
}

each_is_found! {
    signing_before_the_commit: SignsBeforeCommit,
    answering_before_the_disk_has_it: AnswersBeforeDisk,
    looking_then_holding: LooksThenHolds,
    looking_up_the_key_outside: KeyLookedUpOutside,
    a_new_nonce_on_retry: NewNonceOnRetry,
    forgetting_open_holds: ForgetsOpenHolds,
    the_shared_limit_after_the_hold: SharedLimitAfterHold,
    a_yes_that_lifts_the_limit: YesLiftsLimit,
    voiding_on_restart: VoidsOnRestart,
    releasing_on_unknown: ReleasesOnUnknown,
    releasing_on_the_desks_clock: ReleasesOnDeskClock,
    releasing_without_a_margin: NoMargin,
    settling_at_once: SettlesAtOnce,
    reopening_for_free: ReopensForFree,
    believing_a_cancellation_at_once: BelievesCancelAtOnce,
    releasing_twice: ReleasesTwice,
    a_freeze_at_the_door_only: FreezeAtTheDoorOnly,
    a_freeze_that_is_forgotten: FreezeForgotten,
    a_thaw_that_races_a_freeze: ThawRacesFreeze,
}

#[test]
fn every_promise_has_a_fault_that_breaks_it() {
    let broken: BTreeSet<Invariant> = Fault::ALL.into_iter().map(Fault::breaks).collect();
    assert_eq!(broken, BTreeSet::from(Invariant::ALL));
}
