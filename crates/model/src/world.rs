//! One state of everything: the requests, the books, the desk's memory, the chain.

use crate::network::MARGIN_BLOCKS;

/// The most requests a setting can have.
pub const REQUESTS_MAX: usize = 6;
/// The most agents a setting can have.
pub const AGENTS_MAX: usize = 2;

/// How far the one request's work has come in the desk's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// The agent has not sent it yet.
    Unsent,
    /// Only in faulty designs: looked at in one transaction, to be written in another.
    Looked,
    /// The desk has a grant for it.
    Granted,
    /// The desk has a signature that has not left it.
    Signed,
    /// The signature is with the payee; the desk waits for the answer.
    Sent,
    /// Done with.
    Over,
    /// A crash took it.
    Lost,
}

/// What the books say of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Nothing is written.
    Absent,
    /// The rules or the owner said no.
    Refused,
    /// The owner has been asked.
    Waiting,
    /// Reserved; a signature may exist.
    Held,
    /// The payee answered as if paid.
    Delivered,
    /// Nobody knows what became of the signature.
    Unknown,
    /// The chain says it was paid.
    Settled,
    /// Given back without a signature.
    Void,
    /// Given back because the signature can never be used.
    Expired,
}

impl Row {
    /// Whether its money is reserved.
    pub fn is_open(self) -> bool {
        matches!(self, Row::Held | Row::Delivered | Row::Unknown)
    }

    /// Whether its money was given back.
    pub fn is_released(self) -> bool {
        matches!(self, Row::Void | Row::Expired)
    }
}

/// Whether a signature exists, and who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signature {
    /// None was made.
    Unmade,
    /// It was made, and nobody but the desk has seen it.
    Made,
    /// The payee has it.
    WithPayee,
}

/// What the chain's newest block says of a nonce.
///
/// Block numbers are relative to the newest final block: 1 and 2 can still be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nonce {
    /// It was not used.
    Unused,
    /// The payee was paid in this block.
    Paid(i8),
    /// The owner burnt it in this block.
    Burnt(i8),
}

impl Nonce {
    /// The block it was used in.
    pub fn block(self) -> Option<i8> {
        match self {
            Nonce::Unused => None,
            Nonce::Paid(block) | Nonce::Burnt(block) => Some(block),
        }
    }

    /// Whether the payee was paid.
    pub fn is_paid(self) -> bool {
        matches!(self, Nonce::Paid(_))
    }
}

/// What the desk read about a payment and has not booked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Nothing, or nothing final.
    Open,
    /// It was paid, deep enough.
    Settled,
    /// It can never be used: its time ran out, or it was cancelled.
    Gone,
    /// The books call it settled, and the chain has undone it.
    Undone,
}

/// One request of an agent, and everything that came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// In the desk's memory: how far the work is.
    pub call: Call,
    /// On disk: what the books say.
    pub row: Row,
    /// Whether a power cut now would forget `row`; never, but in one faulty design.
    pub in_cache_only: bool,
    /// In the world: whether a signature exists.
    pub signature: Signature,
    /// On the chain: what became of the nonce.
    pub nonce: Nonce,
    /// The block time from which the chain refuses the signature (EIP-3009 `validBefore`),
    /// relative to the newest final block; never told apart below minus the margin.
    pub valid_before: i8,
    /// In the desk's memory: what it read and has not booked.
    pub finding: Finding,
}

/// The running counters of the books and the owner's freeze, on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// Units in open holds, for each agent.
    pub held: [u8; AGENTS_MAX],
    /// Units settled, for each agent.
    pub settled: [u8; AGENTS_MAX],
    /// Units in open holds under the shared budget.
    pub shared_held: u8,
    /// Units settled under the shared budget.
    pub shared_settled: u8,
    /// Whether the owner froze the desk.
    pub frozen: bool,
}

/// How far a thaw has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thawing {
    /// None is under way.
    No,
    /// It is in the books; the signer does not know yet.
    Booked,
    /// Only in a faulty design: the signer may sign again, and the books are to be read once more.
    Resumed,
}

/// The desk's own memory, lost in a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desk {
    /// Whether it runs.
    pub up: bool,
    /// The signer's latch: whether it refuses to sign.
    pub halted: bool,
    /// Whether a freeze is between the latch and the books.
    pub freezing: bool,
    /// Where a thaw is.
    pub thawing: Thawing,
}

/// The chain and the clocks, relative to the newest final block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The newest block: 0 to 2, for what can be undone lies above the final block.
    pub newest: i8,
    /// The desk's clock, in blocks' time; a block's own timestamp is its number.
    pub desk_clock: i8,
}

/// One state of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    /// The requests, in the order of the setting; the rest stay unsent.
    pub requests: [Request; REQUESTS_MAX],
    /// On disk.
    pub books: Books,
    /// In memory.
    pub desk: Desk,
    /// Outside.
    pub chain: Chain,
    /// The owner's last word, as the owner knows it: whether a freeze stands.
    pub owner_froze: bool,
    /// Whether a signature was ever made while the owner's freeze stood.
    pub signed_while_frozen: bool,
}

impl Request {
    /// A request that has not been sent.
    pub const UNSENT: Request = Request {
        call: Call::Unsent,
        row: Row::Absent,
        in_cache_only: false,
        signature: Signature::Unmade,
        nonce: Nonce::Unused,
        valid_before: -MARGIN_BLOCKS,
        finding: Finding::Open,
    };

    /// Whether the chain could still pay it in a block to come, given a signature.
    ///
    /// Everything above the final block can be undone, so the block after it may come once more.
    pub fn in_time(&self) -> bool {
        self.nonce.block().is_none_or(|block| block > 0) && self.valid_before > 1
    }

    /// Whether a signature exists that the chain could still pay.
    pub fn is_spendable(&self) -> bool {
        self.signature != Signature::Unmade && self.in_time()
    }
}

impl World {
    /// The beginning: an empty desk that runs, and a chain with two blocks above the final one.
    pub const START: World = World {
        requests: [Request::UNSENT; REQUESTS_MAX],
        books: Books {
            held: [0; AGENTS_MAX],
            settled: [0; AGENTS_MAX],
            shared_held: 0,
            shared_settled: 0,
            frozen: false,
        },
        desk: Desk { up: true, halted: false, freezing: false, thawing: Thawing::No },
        chain: Chain { newest: 2, desk_clock: 2 },
        owner_froze: false,
        signed_while_frozen: false,
    };
}
