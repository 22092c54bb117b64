//! The model as the checker sees it: states, steps, properties.

use crate::action::Action;
use crate::desk::Design;
use crate::fault::Fault;
use crate::invariant::{Broken, Happening};
use crate::network::{MARGIN_BLOCKS, Taken};
use crate::packed::{OLDEST_BLOCK, State};
use crate::setting::Setting;
use crate::world::{Call, Finding, Nonce, Row, Signature, World};
use stateright::Property;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// A state that breaks one of these.
    Breach(Broken),
    /// A state in which this can be seen.
    For(Happening),
}

/// One design under one setting.
#[derive(Debug, Clone)]
pub struct Model {
    /// Who asks for what, and what else can happen.
    pub setting: Setting,
    /// The wrong step, if the design has one.
    pub fault: Option<Fault>,
    /// What to look for.
    pub watch: Watch,
    /// How many states are enough, if not all.
    pub(crate) cap: Option<Cap>,
}

/// How many states are enough. When they have been looked at, none is followed any further.
#[derive(Debug, Clone)]
pub(crate) struct Cap {
    left: Arc<AtomicUsize>,
    reached: Arc<AtomicBool>,
}

impl Cap {
    pub(crate) fn at(states: usize) -> Cap {
        Cap { left: Arc::new(states.into()), reached: Arc::new(false.into()) }
    }

    fn count_one(&self) {
        // The counter may pass zero and go round; the flag has been set by then.
        if self.left.fetch_sub(1, Ordering::Relaxed) <= 1 {
            self.reached.store(true, Ordering::Relaxed);
        }
    }

    fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Lets states be followed again; answers whether the cap had been reached.
    pub(crate) fn lift(&self) -> bool {
        self.reached.swap(false, Ordering::Relaxed)
    }
}

/// The name of a search's one property. With several, the checker would go on after a sight and
/// lose the shortest way to it.
pub(crate) const WATCHED: &str = "what is watched for";

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::from(&World::START)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.cap.as_ref().is_some_and(Cap::is_reached) {
            return;
        }
        let world = state.world();
        self.outside_actions(&world, actions);
        if world.desk.up {
            self.desk_actions(&world, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut world = state.world();
        self.take(&mut world, action)?;
        forget_what_is_over(&mut world);
        Some(State::from(&world))
    }

    fn properties(&self) -> Vec<Property<Model>> {
        let property = match self.watch {
            Watch::Breach(_) => Property::always(WATCHED, |model: &Model, state: &State| {
                let Watch::Breach(watched) = model.watch else { return true };
                if let Some(cap) = &model.cap {
                    cap.count_one();
                }
                watched.in_state(&model.setting, &state.world()).is_empty()
            }),
            Watch::For(_) => Property::sometimes(WATCHED, |model: &Model, state: &State| {
                let Watch::For(happening) = model.watch else { return false };
                happening.is_seen(&model.setting, &state.world())
            }),
        };
        vec![property]
    }
}

impl Model {
    /// A search without a cap.
    pub fn new(setting: Setting, fault: Option<Fault>, watch: Watch) -> Model {
        Model { setting, fault, watch, cap: None }
    }

    fn design(&self) -> Design<'_> {
        Design { setting: &self.setting, fault: self.fault }
    }

    fn places(&self) -> impl Iterator<Item = u8> {
        0..self.setting.requests() as u8
    }

    /// What can happen whether the desk runs or not.
    fn outside_actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.extend([Action::Block, Action::Tick]);
        actions.extend((1..=self.setting.undone_blocks as u8).map(Action::Undo));
        for place in self.places() {
            let request = &world.requests[usize::from(place)];
            if request.signature == Signature::WithPayee && request.nonce == Nonce::Unused {
                actions.push(Action::Take(place));
            }
        }
        if world.desk.up {
            if self.setting.crashes {
                actions.push(Action::Crash);
            }
        } else {
            actions.push(Action::Restart);
        }
    }

    /// What a running desk can do. Each step looks again at whether it can be taken.
    fn desk_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let design = self.design();
        if self.setting.freezes {
            actions.extend([Action::Halt, Action::Freeze, Action::Thaw, Action::Resume]);
            if design.has(Fault::ThawRacesFreeze) {
                actions.push(Action::HaltIfFrozen);
            }
        }
        if design.has(Fault::AnswersBeforeDisk) {
            actions.push(Action::Sync);
        }
        for place in self.places() {
            let request = &world.requests[usize::from(place)];
            match request.call {
                Call::Unsent if design.looks_first() => actions.push(Action::Look(place)),
                Call::Unsent => actions.push(Action::Reserve(place)),
                Call::Looked => actions.push(Action::Write(place)),
                Call::Granted => actions.extend([Action::Sign(place), Action::Void(place)]),
                Call::Signed => {
                    actions.extend([Action::Deliver(place), Action::RecordUnknown(place)]);
                }
                Call::Sent => {
                    actions.extend([Action::RecordDelivered(place), Action::RecordUnknown(place)]);
                }
                Call::Over | Call::Lost => {}
            }
            if design.has(Fault::SignsBeforeCommit) && request.row == Row::Absent {
                actions.push(Action::Write(place));
            }
            if request.row == Row::Waiting {
                actions.extend([
                    Action::Approve(place),
                    Action::Refuse(place),
                    Action::Lapse(place),
                ]);
            }
            if self.setting.cancels && request.row.is_open() {
                actions.push(Action::Cancel(place));
            }
            match request.finding {
                Finding::Open => {
                    actions.extend([Action::Reconcile(place), Action::ReconcileBehind(place)]);
                }
                Finding::Settled => actions.push(Action::Settle(place)),
                Finding::Gone => actions.push(Action::Expire(place)),
                Finding::Undone => actions.push(Action::Reopen(place)),
            }
        }
    }

    fn take(&self, world: &mut World, action: Action) -> Taken {
        let (setting, design) = (&self.setting, self.design());
        let at = usize::from;
        match action {
            Action::Reserve(place) => world.reserve(design, at(place)),
            Action::Look(place) => world.look(design, at(place)),
            Action::Write(place) => world.write(design, at(place)),
            Action::Sync => world.sync(),
            Action::Approve(place) => world.approve(design, at(place)),
            // A question is turned down either way; only the books' words differ.
            Action::Refuse(place) | Action::Lapse(place) => world.refuse(at(place)),
            Action::Sign(place) => world.sign(design, at(place)),
            Action::Void(place) => world.void(design, at(place)),
            Action::Deliver(place) => world.deliver(at(place)),
            Action::RecordDelivered(place) => world.record_delivered(at(place)),
            Action::RecordUnknown(place) => world.record_unknown(design, at(place)),
            Action::Take(place) => world.take(at(place)),
            Action::Cancel(place) => world.cancel(at(place)),
            Action::Reconcile(place) => world.reconcile(design, at(place), false),
            Action::ReconcileBehind(place) => world.reconcile(design, at(place), true),
            Action::Settle(place) => world.settle(setting, at(place)),
            Action::Expire(place) => world.expire(design, at(place)),
            Action::Reopen(place) => world.reopen(design, at(place)),
            Action::Block => world.block(),
            Action::Undo(blocks) => world.undo(blocks as i8),
            Action::Tick => world.tick(setting),
            Action::Halt => world.halt(design),
            Action::Freeze => world.freeze(design),
            Action::Thaw => world.thaw(),
            Action::Resume => world.resume(design),
            Action::HaltIfFrozen => world.halt_if_frozen(),
            Action::Crash => world.crash(setting),
            Action::Restart => world.restart(design),
        }
    }
}

/// Forgets what nothing can depend on any more, so that equal situations are one state.
fn forget_what_is_over(world: &mut World) {
    for request in &mut world.requests {
        let is_final = request.nonce.block().is_some_and(|block| block <= 0);
        let ended = match request.row {
            Row::Settled => request.nonce.is_paid() && is_final,
            Row::Void => request.signature == Signature::Unmade && request.call != Call::Granted,
            Row::Expired => !request.nonce.is_paid() && !request.in_time(),
            _ => false,
        };
        if !ended {
            continue;
        }
        request.valid_before = -MARGIN_BLOCKS;
        request.nonce = match request.nonce {
            Nonce::Unused => Nonce::Unused,
            Nonce::Paid(_) => Nonce::Paid(OLDEST_BLOCK),
            Nonce::Burnt(_) => Nonce::Burnt(OLDEST_BLOCK),
        };
        // Nobody waits for what a crash took once it has ended.
        if request.call == Call::Lost {
            request.call = Call::Over;
        }
    }
}
