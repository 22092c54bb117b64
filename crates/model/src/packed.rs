//! A state in 24 bytes, as the checker keeps millions of them.

use crate::network::MARGIN_BLOCKS;
use crate::world::{
    AGENTS_MAX, Books, Call, Chain, Desk, Finding, Nonce, REQUESTS_MAX, Request, Row, Signature,
    Thawing, World,
};

/// One [`World`], packed: equal worlds are equal states and the other way round.
///
/// Two words of three requests with 21 bits each, and one word for books, desk and chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct State([u64; 3]);

/// Bits of one request.
const REQUEST_BITS: u32 = 21;
/// Requests in one word.
const A_WORD: usize = 3;
/// The oldest block that is told apart, below the final one; older is the same as this.
pub(crate) const OLDEST_BLOCK: i8 = -2;

impl From<&World> for State {
    fn from(world: &World) -> State {
        let mut words = [0; 3];
        for (place, request) in world.requests.iter().enumerate() {
            // An unsent request is all zeros, and most are unsent.
            if *request != Request::UNSENT {
                let low = (place % A_WORD) as u32 * REQUEST_BITS;
                words[place / A_WORD] |= pack_request(request) << low;
            }
        }
        words[2] = pack_rest(world);
        State(words)
    }
}

impl State {
    /// The state, spread out.
    pub fn world(self) -> World {
        let mut world = World::START;
        for (place, request) in world.requests.iter_mut().enumerate() {
            let low = (place % A_WORD) as u32 * REQUEST_BITS;
            let bits = self.0[place / A_WORD] >> low & ((1 << REQUEST_BITS) - 1);
            if bits != 0 {
                *request = unpack_request(Bits(bits));
            }
        }
        unpack_rest(Bits(self.0[2]), &mut world);
        world
    }
}

/// What a person wants to see of a state is its world.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.world().fmt(f)
    }
}

/// Fields put into a word and taken out again from its low end, in the order they were put.
struct Bits(u64);

impl Bits {
    fn take(&mut self, bits: u32) -> u8 {
        let value = self.0 & ((1 << bits) - 1);
        self.0 >>= bits;
        value as u8
    }

    fn flag(&mut self) -> bool {
        self.take(1) == 1
    }

    fn pick<T: Copy>(&mut self, bits: u32, all: &[T]) -> T {
        // Only what `pack` wrote is ever read, so the place exists.
        all[usize::from(self.take(bits))]
    }
}

/// Puts fields together so that the first one is taken first.
fn pack(fields: &[(u8, u32)]) -> u64 {
    fields.iter().rev().fold(0, |word, &(value, bits)| {
        debug_assert!(u32::from(value) < 1 << bits, "{value} does not fit {bits} bits");
        word << bits | u64::from(value)
    })
}

const CALLS: [Call; 7] =
    [Call::Unsent, Call::Looked, Call::Granted, Call::Signed, Call::Sent, Call::Over, Call::Lost];
const ROWS: [Row; 9] = [
    Row::Absent,
    Row::Refused,
    Row::Waiting,
    Row::Held,
    Row::Delivered,
    Row::Unknown,
    Row::Settled,
    Row::Void,
    Row::Expired,
];
const SIGNATURES: [Signature; 3] = [Signature::Unmade, Signature::Made, Signature::WithPayee];
const FINDINGS: [Finding; 4] = [Finding::Open, Finding::Settled, Finding::Gone, Finding::Undone];
const THAWINGS: [Thawing; 3] = [Thawing::No, Thawing::Booked, Thawing::Resumed];

/// A block or a time, from the lowest that is told apart upwards.
fn above(value: i8, lowest: i8) -> u8 {
    debug_assert!(value >= lowest, "{value} lies below {lowest}");
    (value - lowest) as u8
}

fn pack_request(request: &Request) -> u64 {
    let (used, block) = match request.nonce {
        Nonce::Unused => (0, 0),
        Nonce::Paid(block) => (1, above(block, OLDEST_BLOCK)),
        Nonce::Burnt(block) => (2, above(block, OLDEST_BLOCK)),
    };
    pack(&[
        (request.call as u8, 3),
        (request.row as u8, 4),
        (u8::from(request.in_cache_only), 1),
        (request.signature as u8, 2),
        (used, 2),
        (block, 3),
        (above(request.valid_before, -MARGIN_BLOCKS), 4),
        (request.finding as u8, 2),
    ])
}

fn unpack_request(mut bits: Bits) -> Request {
    let call = bits.pick(3, &CALLS);
    let row = bits.pick(4, &ROWS);
    let in_cache_only = bits.flag();
    let signature = bits.pick(2, &SIGNATURES);
    let (used, block) = (bits.take(2), bits.take(3) as i8 + OLDEST_BLOCK);
    Request {
        call,
        row,
        in_cache_only,
        signature,
        nonce: match used {
            0 => Nonce::Unused,
            1 => Nonce::Paid(block),
            _ => Nonce::Burnt(block),
        },
        valid_before: bits.take(4) as i8 - MARGIN_BLOCKS,
        finding: bits.pick(2, &FINDINGS),
    }
}

fn pack_rest(world: &World) -> u64 {
    let World { books, desk, chain, .. } = world;
    pack(&[
        (books.held[0], 4),
        (books.held[1], 4),
        (books.settled[0], 4),
        (books.settled[1], 4),
        (books.shared_held, 4),
        (books.shared_settled, 4),
        (u8::from(books.frozen), 1),
        (u8::from(desk.up), 1),
        (u8::from(desk.halted), 1),
        (u8::from(desk.freezing), 1),
        (desk.thawing as u8, 2),
        (above(chain.newest, 0), 2),
        (above(chain.desk_clock, 0), 4),
        (u8::from(world.owner_froze), 1),
        (u8::from(world.signed_while_frozen), 1),
    ])
}

fn unpack_rest(mut bits: Bits, world: &mut World) {
    world.books = Books {
        held: [bits.take(4), bits.take(4)],
        settled: [bits.take(4), bits.take(4)],
        shared_held: bits.take(4),
        shared_settled: bits.take(4),
        frozen: bits.flag(),
    };
    world.desk = Desk {
        up: bits.flag(),
        halted: bits.flag(),
        freezing: bits.flag(),
        thawing: bits.pick(2, &THAWINGS),
    };
    world.chain = Chain { newest: bits.take(2) as i8, desk_clock: bits.take(4) as i8 };
    world.owner_froze = bits.flag();
    world.signed_while_frozen = bits.flag();
}

// The layout above is for these; a larger one needs another.
const _: () = assert!(REQUESTS_MAX == 2 * A_WORD && AGENTS_MAX == 2);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of every field of a request, and every field of the rest, one at a time.
    #[test]
    fn an_unsent_request_is_all_zeros() {
        assert_eq!(pack_request(&Request::UNSENT), 0);
        assert_eq!(unpack_request(Bits(0)), Request::UNSENT);
    }

    #[test]
    fn worlds_survive_being_packed() {
        let mut seen = std::collections::HashSet::new();
        let mut check = |world: World| {
            let state = State::from(&world);
            assert_eq!(state.world(), world);
            assert!(seen.insert(state), "two worlds share a state: {world:?}");
        };
        let nonces = [Nonce::Unused]
            .into_iter()
            .chain((OLDEST_BLOCK..=2).flat_map(|b| [Nonce::Paid(b), Nonce::Burnt(b)]));
        let nonces: Vec<Nonce> = nonces.collect();
        for (place, &call) in (0..REQUESTS_MAX).flat_map(|p| CALLS.iter().map(move |c| (p, c))) {
            for (&row, &signature) in
                ROWS.iter().flat_map(|r| SIGNATURES.iter().map(move |s| (r, s)))
            {
                for (i, &nonce) in nonces.iter().enumerate() {
                    let mut world = World::START;
                    world.requests[place] = Request {
                        call,
                        row,
                        in_cache_only: i % 2 == 1,
                        signature,
                        nonce,
                        valid_before: (i % 8) as i8 - 1,
                        finding: FINDINGS[i % FINDINGS.len()],
                    };
                    // The first request is not the same in every place.
                    world.requests[(place + 1) % REQUESTS_MAX].valid_before = 5;
                    check(world);
                }
            }
        }
        for word in 0..1 << 14 {
            let mut bits = Bits(word);
            let mut world = World::START;
            // Not the start's own times, so that no world of above comes again.
            world.requests[0].valid_before = 7;
            world.books.frozen = bits.flag();
            world.desk.up = bits.flag();
            world.desk.halted = bits.flag();
            world.desk.freezing = bits.flag();
            world.owner_froze = bits.flag();
            world.signed_while_frozen = bits.flag();
            world.chain.desk_clock = bits.take(3) as i8;
            world.books.held = [bits.take(1) * 15, bits.take(1) * 9];
            world.books.settled = [bits.take(1) * 15, bits.take(1) * 6];
            world.books.shared_held = 15;
            world.chain.newest = bits.take(1) as i8 + 1;
            check(world);
        }
    }
}
