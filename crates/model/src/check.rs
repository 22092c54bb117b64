//! Searches: through everything a correct design can do, and after one fault.

use crate::action::Action;
use crate::fault::Fault;
use crate::invariant::{Broken, Happening};
use crate::model::{Cap, Model, WATCHED, Watch};
use crate::setting::{Setting, setting_for, setting_showing};
use crate::world::World;
use stateright::{Checker, Model as _};
use std::time::Instant;

/// A state that breaks something, and the shortest way there if one thread searched.
#[derive(Debug, Clone)]
pub struct Sight {
    /// What it breaks.
    pub broken: Broken,
    /// The steps from the beginning.
    pub steps: Vec<Action>,
    /// The state itself.
    pub world: World,
}

/// What a search did and found.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where it went.
    pub setting: Setting,
    /// Different states visited.
    pub unique_states: usize,
    /// States generated, those met again included.
    pub total_states: usize,
    /// The most steps from the beginning to any state, by the shortest way if one thread searched.
    pub depth_steps: usize,
    /// How long it took.
    pub took_ms: u128,
    /// Whether no state was left out.
    pub exhausted: bool,
    /// A breach, if there was one. The search ends with it.
    pub breach: Option<Sight>,
}

/// What was found of one faulty design.
#[derive(Debug, Clone)]
pub struct Hunt {
    /// The wrong step.
    pub fault: Fault,
    /// The search that ended with whatever broke first.
    pub first: Search,
    /// The search that looked for nothing but the promise this fault is there to break; the same
    /// one if that broke first.
    pub meant: Search,
}

impl Hunt {
    /// Whether the checker saw the fault, and saw it break what it is there to break.
    pub fn found(&self) -> bool {
        self.first.breach.is_some() && self.meant.breach.is_some()
    }
}

/// Visits every state that a correct design can reach.
pub fn search(setting: Setting, threads: usize) -> Search {
    breadth_first(Model::new(setting, None, Watch::Breach(Broken::ANY)), threads)
}

/// Visits the states that a correct design can reach, nearest first, until this many have been
/// looked at; those known by then are looked at too, and not followed any further.
pub fn search_until(setting: Setting, threads: usize, unique_states: usize) -> Search {
    let mut model = Model::new(setting, None, Watch::Breach(Broken::ANY));
    model.cap = Some(Cap::at(unique_states));
    breadth_first(model, threads)
}

/// Looks for one fault: for anything it breaks, and for what it is there to break.
pub fn hunt(fault: Fault) -> Hunt {
    let look = |watched: Broken| {
        // One thread, so that the way to the breach is the shortest.
        breadth_first(Model::new(setting_for(fault), Some(fault), Watch::Breach(watched)), 1)
    };
    let first = look(Broken::ANY);
    let both = first.breach.as_ref().is_some_and(|breach| breach.broken.contains(fault.breaks()));
    let meant = if both { first.clone() } else { look(Broken::only(fault.breaks())) };
    Hunt { fault, first, meant }
}

/// Looks for one thing that a correct design can do; answers the shortest way to it.
pub fn find(happening: Happening) -> Option<Vec<Action>> {
    let model = Model::new(setting_showing(happening), None, Watch::For(happening));
    let checker = model.checker().spawn_bfs().join();
    checker.discovery(WATCHED).map(stateright::Path::into_actions)
}

fn breadth_first(model: Model, threads: usize) -> Search {
    let (setting, cap) = (model.setting, model.cap.clone());
    let began = Instant::now();
    let checker = model.checker().threads(threads).spawn_bfs().join();
    let took_ms = began.elapsed().as_millis();
    // The way to a breach is walked again, and then no cap may stop it.
    let capped = cap.is_some_and(|cap| cap.lift());
    let breach = checker.discovery(WATCHED).map(|path| {
        let world = path.last_state().world();
        let broken = Broken::ANY.in_state(&setting, &world);
        Sight { broken, steps: path.into_actions(), world }
    });
    Search {
        setting,
        unique_states: checker.unique_state_count(),
        total_states: checker.state_count(),
        // The checker counts states on the way, not steps.
        depth_steps: checker.max_depth().saturating_sub(1),
        took_ms,
        exhausted: breach.is_none() && !capped,
        breach,
    }
}
