//! The desk's own steps: ledger, signer, delivery, reconciliation, freeze, crash and restart.
//!
//! Each function is one step that nothing can come between. What a faulty design does otherwise
//! stands beside what is right, under the name of the [`Fault`].

use crate::fault::Fault;
use crate::network::{LAG_BLOCKS, MARGIN_BLOCKS, SETTLED_DEPTH_BLOCKS, Taken, only_if};
use crate::setting::Setting;
use crate::world::{Call, Desk, Finding, Nonce, Request, Row, Signature, Thawing, World};

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Allow,
    Ask,
    Deny,
}

/// The design under check: the right one, or one with a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) fault: Option<Fault>,
}

impl Design<'_> {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether reserving takes two transactions instead of one.
    pub(crate) fn looks_first(&self) -> bool {
        self.has(Fault::LooksThenHolds) || self.has(Fault::KeyLookedUpOutside)
    }
}

/// Decide and hold.
impl World {
    /// The ledger's one transaction: the key, the rules, the hold.
    pub(crate) fn reserve(&mut self, design: Design<'_>, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].call == Call::Unsent)?;
        only_if(!design.looks_first())?;
        if let Some(known) = self.same_key(design.setting, place) {
            self.answer_known(design, place, known);
            return Some(());
        }
        self.decide_and_hold(design, place);
        Some(())
    }

    /// The payment that the client key already stands for.
    fn same_key(&self, setting: &Setting, place: usize) -> Option<usize> {
        let key = setting.orders[place].key;
        let mut all = setting.orders.iter().zip(&self.requests);
        all.position(|(order, request)| order.key == key && request.row != Row::Absent)
    }

    /// A retry is answered with what became of its payment. Whatever signature there is may be sent
    /// again, which changes nothing: the payee has it or gets it, and the chain takes a nonce once.
    fn answer_known(&mut self, design: Design<'_>, place: usize, known: usize) {
        let known_row = self.requests[known].row;
        let request = &mut self.requests[place];
        request.call = Call::Over;
        if design.has(Fault::NewNonceOnRetry) && known_row.is_open() {
            request.call = Call::Granted;
            request.valid_before = self.chain.desk_clock + design.setting.life_blocks;
        }
    }

    fn decide_and_hold(&mut self, design: Design<'_>, place: usize) {
        match self.decide(design, place, false) {
            Outcome::Allow => self.hold(design, place),
            Outcome::Ask => self.end(place, Row::Waiting),
            Outcome::Deny => self.end(place, Row::Refused),
        }
    }

    /// The rules: deny beats ask beats allow. A yes answers the question and lifts no limit.
    fn decide(&self, design: Design<'_>, place: usize, yes: bool) -> Outcome {
        let (setting, books) = (design.setting, &self.books);
        let order = setting.orders[place];
        let counted = |held: u8, settled: u8| {
            if design.has(Fault::ForgetsOpenHolds) { settled } else { held + settled }
        };
        let own = counted(books.held[order.agent], books.settled[order.agent]) + order.units;
        let shared = counted(books.shared_held, books.shared_settled) + order.units;
        let within_own = own <= setting.limit_units[order.agent];
        let within_shared =
            shared <= setting.shared_limit_units || design.has(Fault::SharedLimitAfterHold);
        let lifted = yes && design.has(Fault::YesLiftsLimit);
        if books.frozen || !(within_own && within_shared || lifted) {
            Outcome::Deny
        } else if order.needs_owner && !yes {
            Outcome::Ask
        } else {
            Outcome::Allow
        }
    }

    /// Holds the money on disk; the grant follows from the commit.
    fn hold(&mut self, design: Design<'_>, place: usize) {
        let valid_before = self.chain.desk_clock + design.setting.life_blocks;
        let request = &mut self.requests[place];
        request.valid_before = valid_before;
        request.call = Call::Granted;
        if design.has(Fault::SignsBeforeCommit) {
            return;
        }
        if design.has(Fault::SharedLimitAfterHold) {
            request.call = Call::Looked;
        }
        self.commit_hold(design, place);
    }

    fn commit_hold(&mut self, design: Design<'_>, place: usize) {
        let order = design.setting.orders[place];
        self.requests[place].row = Row::Held;
        self.requests[place].in_cache_only = design.has(Fault::AnswersBeforeDisk);
        self.books.held[order.agent] += order.units;
        self.books.shared_held += order.units;
    }

    /// Writes the end of an attempt that holds nothing.
    fn end(&mut self, place: usize, row: Row) {
        self.requests[place].row = row;
        self.requests[place].call = Call::Over;
    }

    /// Faulty designs only: the first of two transactions.
    pub(crate) fn look(&mut self, design: Design<'_>, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].call == Call::Unsent)?;
        only_if(design.looks_first())?;
        if let Some(known) = self.same_key(design.setting, place) {
            self.answer_known(design, place, known);
            return Some(());
        }
        let outcome = self.decide(design, place, false);
        if design.has(Fault::LooksThenHolds) && outcome != Outcome::Allow {
            self.decide_and_hold(design, place);
        } else {
            self.requests[place].call = Call::Looked;
        }
        Some(())
    }

    /// Faulty designs only: the second of two transactions.
    pub(crate) fn write(&mut self, design: Design<'_>, place: usize) -> Taken {
        let request = self.requests[place];
        only_if(self.desk.up)?;
        if design.has(Fault::SignsBeforeCommit) {
            let at_work = matches!(request.call, Call::Granted | Call::Signed | Call::Sent);
            only_if(at_work && request.row == Row::Absent)?;
            self.commit_hold(design, place);
            return Some(());
        }
        only_if(request.call == Call::Looked)?;
        if design.has(Fault::SharedLimitAfterHold) {
            let shared = self.books.shared_held + self.books.shared_settled;
            self.requests[place].call = Call::Granted;
            if shared > design.setting.shared_limit_units {
                return self.void(design, place);
            }
        } else if design.has(Fault::LooksThenHolds) {
            self.hold(design, place);
        } else {
            self.decide_and_hold(design, place);
        }
        Some(())
    }

    /// A faulty design only: the cache reaches the disk.
    pub(crate) fn sync(&mut self) -> Taken {
        only_if(self.requests.iter().any(|request| request.in_cache_only))?;
        for request in &mut self.requests {
            request.in_cache_only = false;
        }
        Some(())
    }
}

/// The owner's answers.
impl World {
    /// Yes: the ledger decides once more, and holds or refuses.
    pub(crate) fn approve(&mut self, design: Design<'_>, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].row == Row::Waiting)?;
        match self.decide(design, place, true) {
            Outcome::Allow => self.hold(design, place),
            Outcome::Ask | Outcome::Deny => self.end(place, Row::Refused),
        }
        Some(())
    }

    /// No, said or by silence.
    pub(crate) fn refuse(&mut self, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].row == Row::Waiting)?;
        self.end(place, Row::Refused);
        Some(())
    }

    /// Freeze, first step: when it is taken, no signature is being made or will be.
    pub(crate) fn halt(&mut self, design: Design<'_>) -> Taken {
        only_if(self.desk.up && !self.owner_froze && !self.desk.freezing)?;
        // The owner's acts on the freeze go one at a time.
        only_if(self.desk.thawing == Thawing::No || design.has(Fault::ThawRacesFreeze))?;
        self.desk.halted = true;
        self.desk.freezing = true;
        Some(())
    }

    /// Freeze, second step: on disk, and the owner is told that it stands.
    pub(crate) fn freeze(&mut self, design: Design<'_>) -> Taken {
        only_if(self.desk.up && self.desk.freezing)?;
        self.books.frozen = !design.has(Fault::FreezeForgotten);
        self.owner_froze = true;
        self.desk.freezing = false;
        Some(())
    }

    /// Thaw, first step: on disk.
    pub(crate) fn thaw(&mut self) -> Taken {
        only_if(self.desk.up && self.owner_froze)?;
        only_if(!self.desk.freezing && self.desk.thawing == Thawing::No)?;
        self.books.frozen = false;
        self.owner_froze = false;
        self.desk.thawing = Thawing::Booked;
        Some(())
    }

    /// Thaw, second step: the signer may sign again.
    pub(crate) fn resume(&mut self, design: Design<'_>) -> Taken {
        only_if(self.desk.up && self.desk.thawing == Thawing::Booked)?;
        self.desk.halted = false;
        let again = design.has(Fault::ThawRacesFreeze);
        self.desk.thawing = if again { Thawing::Resumed } else { Thawing::No };
        Some(())
    }

    /// A faulty design only, thaw, third step: a freeze that came in between is seen too late.
    pub(crate) fn halt_if_frozen(&mut self) -> Taken {
        only_if(self.desk.up && self.desk.thawing == Thawing::Resumed)?;
        self.desk.halted |= self.books.frozen;
        self.desk.thawing = Thawing::No;
        Some(())
    }
}

/// Sign, deliver, record.
impl World {
    /// The signer signs, unless its latch is closed. It does not look at the time: a signature
    /// that comes too late is one that the chain refuses.
    pub(crate) fn sign(&mut self, design: Design<'_>, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].call == Call::Granted)?;
        only_if(!self.desk.halted || design.has(Fault::FreezeAtTheDoorOnly))?;
        self.signed_while_frozen |= self.owner_froze;
        self.requests[place].call = Call::Signed;
        self.requests[place].signature = Signature::Made;
        Some(())
    }

    /// The signer gives the grant back, for whatever reason, and the ledger voids the hold, if it
    /// still is one.
    pub(crate) fn void(&mut self, design: Design<'_>, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].call == Call::Granted)?;
        self.requests[place].call = Call::Over;
        if self.requests[place].row == Row::Held || design.has(Fault::ReleasesTwice) {
            self.release(design.setting, place, Row::Void);
        }
        Some(())
    }

    /// Takes a hold's money out of the counters.
    fn release(&mut self, setting: &Setting, place: usize, row: Row) {
        let order = setting.orders[place];
        self.requests[place].row = row;
        // Below zero only where a faulty design gives back twice; its ledger stops at zero.
        let held = &mut self.books.held[order.agent];
        *held = held.saturating_sub(order.units);
        self.books.shared_held = self.books.shared_held.saturating_sub(order.units);
    }

    /// The signature leaves the desk.
    pub(crate) fn deliver(&mut self, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].call == Call::Signed)?;
        self.requests[place].call = Call::Sent;
        self.requests[place].signature = Signature::WithPayee;
        Some(())
    }

    /// The payee answered as if paid.
    pub(crate) fn record_delivered(&mut self, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].call == Call::Sent)?;
        self.record(place, Row::Delivered);
        Some(())
    }

    /// Nobody knows: no answer, a strange one, or the request did not get through.
    pub(crate) fn record_unknown(&mut self, design: Design<'_>, place: usize) -> Taken {
        let call = self.requests[place].call;
        only_if(self.desk.up && matches!(call, Call::Signed | Call::Sent))?;
        self.record(place, Row::Unknown);
        if design.has(Fault::ReleasesOnUnknown) && self.requests[place].row == Row::Unknown {
            self.release(design.setting, place, Row::Void);
        }
        Some(())
    }

    fn record(&mut self, place: usize, row: Row) {
        let request = &mut self.requests[place];
        request.call = Call::Over;
        // Reconciliation may have been faster; then its evidence stands.
        if request.row == Row::Held {
            request.row = row;
        }
    }
}

/// Reconcile, settle, expire.
impl World {
    /// Reads what the chain says. Booking it is another step, and the world goes on in between.
    ///
    /// `behind`: the node that tells the state of the nonce lags the one that tells the time.
    pub(crate) fn reconcile(&mut self, design: Design<'_>, place: usize, behind: bool) -> Taken {
        let request = self.requests[place];
        only_if(self.desk.up && request.finding == Finding::Open)?;
        let undone = request.row == Row::Settled && self.looks_undone(&request, behind);
        let finding = if request.row.is_open() {
            self.judge(design, &request, behind)
        } else if undone && design.has(Fault::SettlesAtOnce) {
            Finding::Gone
        } else if undone {
            Finding::Undone
        } else {
            Finding::Open
        };
        only_if(finding != Finding::Open)?;
        self.requests[place].finding = finding;
        Some(())
    }

    /// What a node says of a nonce.
    fn nonce_seen(&self, request: &Request, behind: bool) -> Nonce {
        let newest_seen = if behind { -LAG_BLOCKS } else { self.chain.newest };
        match request.nonce.block() {
            Some(block) if block <= newest_seen => request.nonce,
            _ => Nonce::Unused,
        }
    }

    /// Whether a settlement seems to be gone. One that is final is not asked after any more. A node
    /// that lags can have it opened again for nothing, which only means to wait.
    fn looks_undone(&self, request: &Request, behind: bool) -> bool {
        let is_final = matches!(request.nonce, Nonce::Paid(block) if block <= 0);
        !is_final && !self.nonce_seen(request, behind).is_paid()
    }

    /// What the facts prove about an open payment.
    fn judge(&self, design: Design<'_>, request: &Request, behind: bool) -> Finding {
        let nonce = self.nonce_seen(request, behind);
        let deep = |block: i8| block + SETTLED_DEPTH_BLOCKS <= self.chain.newest;
        let gone = match nonce {
            Nonce::Paid(block) if deep(block) || design.has(Fault::SettlesAtOnce) => {
                return Finding::Settled;
            }
            Nonce::Paid(_) => false,
            Nonce::Burnt(block) => block <= 0 || design.has(Fault::BelievesCancelAtOnce),
            Nonce::Unused if design.has(Fault::ReleasesOnDeskClock) => {
                self.chain.desk_clock >= request.valid_before + MARGIN_BLOCKS
            }
            // The final block is number 0, and a block's number is its time.
            Nonce::Unused if design.has(Fault::NoMargin) => request.valid_before <= 0,
            Nonce::Unused => request.valid_before + MARGIN_BLOCKS <= 0,
        };
        if gone { Finding::Gone } else { Finding::Open }
    }

    /// Books a settlement, if the payment is still open.
    pub(crate) fn settle(&mut self, setting: &Setting, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].finding == Finding::Settled)?;
        self.requests[place].finding = Finding::Open;
        if self.requests[place].row.is_open() {
            self.release(setting, place, Row::Settled);
            let order = setting.orders[place];
            self.books.settled[order.agent] += order.units;
            self.books.shared_settled += order.units;
        }
        Some(())
    }

    /// Books that the chain took a settlement back: its money is held again.
    pub(crate) fn reopen(&mut self, design: Design<'_>, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].finding == Finding::Undone)?;
        self.requests[place].finding = Finding::Open;
        if self.requests[place].row == Row::Settled {
            let order = design.setting.orders[place];
            self.requests[place].row = Row::Unknown;
            self.books.settled[order.agent] -= order.units;
            self.books.shared_settled -= order.units;
            if !design.has(Fault::ReopensForFree) {
                self.books.held[order.agent] += order.units;
                self.books.shared_held += order.units;
            }
        }
        Some(())
    }

    /// Books that a payment can never be made, if it is still open, and gives its money back.
    pub(crate) fn expire(&mut self, design: Design<'_>, place: usize) -> Taken {
        only_if(self.desk.up && self.requests[place].finding == Finding::Gone)?;
        self.requests[place].finding = Finding::Open;
        let row = self.requests[place].row;
        if row.is_open() || design.has(Fault::ReleasesTwice) {
            self.release(design.setting, place, Row::Expired);
        } else if row == Row::Settled && design.has(Fault::SettlesAtOnce) {
            let order = design.setting.orders[place];
            self.requests[place].row = Row::Expired;
            self.books.settled[order.agent] -= order.units;
            self.books.shared_settled -= order.units;
        }
        Some(())
    }
}

/// Crash and restart.
impl World {
    /// Everything in memory is gone; what is on disk and in the world stays.
    pub(crate) fn crash(&mut self, setting: &Setting) -> Taken {
        only_if(self.desk.up)?;
        self.desk = Desk { up: false, halted: false, freezing: false, thawing: Thawing::No };
        for place in 0..setting.requests() {
            let request = &mut self.requests[place];
            request.finding = Finding::Open;
            if !matches!(request.call, Call::Unsent | Call::Over) {
                request.call = Call::Lost;
            }
            if request.in_cache_only {
                self.forget_unwritten(setting, place);
            }
        }
        Some(())
    }

    /// A faulty design only: what never reached the disk is not there after a power cut, and
    /// neither is its share of the counters.
    fn forget_unwritten(&mut self, setting: &Setting, place: usize) {
        let (order, row) = (setting.orders[place], self.requests[place].row);
        if row.is_open() {
            self.release(setting, place, Row::Absent);
        } else if row == Row::Settled {
            self.books.settled[order.agent] -= order.units;
            self.books.shared_settled -= order.units;
        }
        self.requests[place].row = Row::Absent;
        self.requests[place].in_cache_only = false;
    }

    /// Starts from the disk: the freeze is read before anything is signed, and open holds wait for
    /// the chain.
    pub(crate) fn restart(&mut self, design: Design<'_>) -> Taken {
        only_if(!self.desk.up)?;
        self.desk.up = true;
        self.desk.halted = self.books.frozen;
        if design.has(Fault::VoidsOnRestart) {
            for place in 0..design.setting.requests() {
                if self.requests[place].row == Row::Held {
                    self.release(design.setting, place, Row::Void);
                }
            }
        }
        Some(())
    }
}
