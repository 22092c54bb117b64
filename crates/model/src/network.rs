//! The world outside the desk: the chain, the clocks, the payee, and the owner's cancellation.

use crate::packed::OLDEST_BLOCK;
use crate::setting::Setting;
use crate::world::{Nonce, Signature, World};

/// How many blocks lie above a block that cannot be undone.
pub(crate) const FINAL_DEPTH_BLOCKS: i8 = 2;
/// How many blocks lie above a block when the books call a payment in it settled: fewer, so that what is
/// settled can be undone, and has to be opened again.
pub(crate) const SETTLED_DEPTH_BLOCKS: i8 = 1;
/// How far the node that tells the state of a nonce may be behind the one that tells the time.
pub(crate) const LAG_BLOCKS: i8 = 2;
/// How far past `validBefore` the final block's time must be before unused means expired.
///
/// The last block that can pay is `validBefore − 1`; it must be in sight of a node that lags by
/// [`LAG_BLOCKS`], which takes one block less than the lag. A block more would be for comfort.
pub(crate) const MARGIN_BLOCKS: i8 = LAG_BLOCKS - 1;

// The oldest block told apart is the newest one that a lagging node shows as final.
const _: () = assert!(OLDEST_BLOCK == -LAG_BLOCKS);

/// What a step answers: whether it could be taken. A step that could not leaves nothing behind.
pub(crate) type Taken = Option<()>;

/// Goes on if it is so.
pub(crate) fn only_if(so: bool) -> Taken {
    so.then_some(())
}

impl World {
    /// The chain grows: within the desk's clock, for the chain is never ahead of it.
    pub(crate) fn block(&mut self) -> Taken {
        only_if(self.chain.newest < self.chain.desk_clock)?;
        if self.chain.newest < FINAL_DEPTH_BLOCKS {
            self.chain.newest += 1;
            return Some(());
        }
        // The lowest of the blocks above the final one becomes final: all numbers move down by one.
        self.chain.desk_clock -= 1;
        for request in &mut self.requests {
            request.valid_before = (request.valid_before - 1).max(-MARGIN_BLOCKS);
            request.nonce = match request.nonce {
                Nonce::Unused => Nonce::Unused,
                Nonce::Paid(block) => Nonce::Paid((block - 1).max(OLDEST_BLOCK)),
                Nonce::Burnt(block) => Nonce::Burnt((block - 1).max(OLDEST_BLOCK)),
            };
        }
        Some(())
    }

    /// The chain undoes its newest blocks, with everything in them.
    pub(crate) fn undo(&mut self, blocks: i8) -> Taken {
        only_if(self.chain.newest >= blocks)?;
        self.chain.newest -= blocks;
        for request in &mut self.requests {
            if request.nonce.block().is_some_and(|block| block > self.chain.newest) {
                request.nonce = Nonce::Unused;
            }
        }
        Some(())
    }

    /// The desk's clock moves on, as far ahead of the chain as the skew allows.
    pub(crate) fn tick(&mut self, setting: &Setting) -> Taken {
        only_if(self.chain.desk_clock < self.chain.newest + setting.skew_blocks)?;
        self.chain.desk_clock += 1;
        Some(())
    }

    /// The payee takes a signature to the chain while it is valid; the contract takes a nonce once.
    pub(crate) fn take(&mut self, place: usize) -> Taken {
        let newest = self.chain.newest;
        let request = &mut self.requests[place];
        only_if(request.signature == Signature::WithPayee && request.nonce == Nonce::Unused)?;
        // The final block is closed; the newest one is still being made.
        only_if(newest > 0 && newest < request.valid_before)?;
        request.nonce = Nonce::Paid(newest);
        Some(())
    }

    /// The owner burns the nonce of an open payment, at any time, if the payee was not faster.
    pub(crate) fn cancel(&mut self, place: usize) -> Taken {
        let newest = self.chain.newest;
        let request = &mut self.requests[place];
        only_if(self.desk.up && request.row.is_open())?;
        only_if(request.nonce == Nonce::Unused && newest > 0)?;
        request.nonce = Nonce::Burnt(newest);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Request, Row};

    /// A delivered signature under way, with its end so far ahead of the final block.
    fn delivered(valid_before: i8) -> World {
        let mut world = World::START;
        world.chain.desk_clock = 9;
        world.requests[0] = Request {
            row: Row::Delivered,
            signature: Signature::WithPayee,
            valid_before,
            ..Request::UNSENT
        };
        world
    }

    #[test]
    fn the_chain_pays_before_the_end_and_not_at_it() {
        assert_eq!(delivered(3).take(0), Some(()), "block 2 lies before 3");
        assert_eq!(delivered(2).take(0), None, "block 2 is the end");
        // Block 1 may come a second time, and then pay.
        assert!(delivered(2).requests[0].is_spendable());
        assert!(!delivered(1).requests[0].is_spendable());
    }

    #[test]
    fn a_nonce_is_used_once_unless_its_block_is_undone() {
        let mut world = delivered(9);
        assert_eq!(world.take(0), Some(()));
        assert_eq!(world.take(0), None);
        assert_eq!(world.cancel(0), None);
        assert_eq!(world.undo(1), Some(()));
        assert_eq!(world.requests[0].nonce, Nonce::Unused);
        assert_eq!(world.cancel(0), Some(()));
        assert_eq!(world.requests[0].nonce, Nonce::Burnt(1));
        assert_eq!(world.take(0), None);
    }

    #[test]
    fn what_is_final_stays() {
        let mut world = delivered(9);
        assert_eq!(world.take(0), Some(()));
        for _ in 0..2 {
            assert_eq!(world.block(), Some(()));
        }
        assert_eq!(world.requests[0].nonce, Nonce::Paid(0));
        assert_eq!(world.undo(2), Some(()));
        assert_eq!(world.requests[0].nonce, Nonce::Paid(0));
        assert_eq!(world.undo(1), None, "nothing is left to undo");
        assert!(!world.requests[0].is_spendable());
    }

    #[test]
    fn time_moves_down_and_stops_at_what_is_told_apart() {
        let mut world = delivered(2);
        for _ in 0..5 {
            assert_eq!(world.block(), Some(()));
        }
        assert_eq!(world.requests[0].valid_before, -MARGIN_BLOCKS);
        assert_eq!(world.chain.desk_clock, 4);
    }

    #[test]
    fn the_chain_stays_behind_the_desks_clock_and_within_the_skew() {
        let setting = crate::setting::SHORT_SETTINGS[0];
        let mut world = World::START;
        assert_eq!(world.block(), None, "the newest block has the desk's time already");
        for _ in 0..setting.skew_blocks {
            assert_eq!(world.tick(&setting), Some(()));
        }
        assert_eq!(world.tick(&setting), None);
        assert_eq!(world.block(), Some(()));
    }
}
