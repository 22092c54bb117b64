//! A model of the money path, small enough that every state it can reach is visited.
//!
//! The desk's promises are about *every* interleaving and *every* crash, and no number of tests
//! covers those. Here the path of a payment is written once more as a state machine without I/O,
//! and a checker walks through all of its states: what must always hold ([`Invariant`]) is looked
//! at in each one. To show that the looking is not blind, the same checker is set on designs with
//! one wrong step each ([`Fault`]), and has to find every one.
//!
//! # What is modelled
//! - **Agents' requests**, each with a client key, running at the same time against one desk, with
//!   a budget per agent and a shared one above them; a request may come again under its key.
//! - **The ledger**: each of its transactions is one step and durable, with running counters for
//!   open holds and settled money. What the desk has in memory (grants, signatures not yet sent,
//!   findings, the latch of the freeze) is lost in a crash, and a crash can come between any two
//!   steps.
//! - **The signer**, which signs under a grant, or hands the grant back, and then the hold is void.
//! - **The payee** (or its facilitator), who takes a signature to the chain at any moment in which
//!   the chain would accept it, or never.
//! - **The chain**: blocks with timestamps behind the desk's clock by a bounded skew; the newest two
//!   can be undone, the third is final. A payment is settled one block deep, and opened again when
//!   the chain takes that back (docs/decisions/0019). The desk reads it in one step and books what it found in a
//!   later one, and the node that tells the state of a nonce may be two blocks behind the one that
//!   tells the time.
//! - **The owner**: yes, no and silence to a question; freeze and thaw in the steps the desk takes
//!   for them; cancelling an authorisation on the chain.
//!
//! Time is kept relative to the newest final block, and crashes, undone blocks, freezes and thaws
//! are not counted. So a finished search is not "up to so many steps": it covers runs of any
//! length, for the requests of its [`Setting`].
//!
//! # What is abstracted
//! - Amounts are one or two units and limits a few; one window that does not end. That windows roll
//!   over rightly, and the rest of `decide()`, is tested in the domain crate.
//! - One unit of time is one block. A question lapses at any moment, not after ten minutes: the model
//!   has more behaviours than the desk, not fewer.
//! - The quote, the HTTP exchange and the response are one step with three ends: the payee has the
//!   signature and answered, has it and did not answer, never got it.
//! - A signature that exists counts as spendable as soon as the chain would take it, whether or not
//!   anybody but the desk has it.
//!
//! # What is not modelled
//! - A chain that undoes final blocks, or nodes that lie together. Two blocks deep counts as final.
//! - A clock that runs backwards (the ledger keeps a high-water mark), an edited or restored ledger
//!   file, a stolen key, money that moves without an authorisation, refills and deposits.
//! - That something good happens in the end: only safety is checked, and that each good thing *can*
//!   happen ([`Happening`]).
//! - The program itself. The model is written from the design; the ledger's and desk's own tests
//!   hold the program to it.
//!
//! The checker is [stateright](https://docs.rs/stateright) (MIT; 0.31.0 of July 2025, no newer one).
//! It brings a small web server for its explorer, which nothing here starts. States are told apart
//! by 64-bit fingerprints; a test compares its counts with an exact search.

mod action;
mod check;
mod desk;
mod fault;
mod invariant;
mod model;
mod network;
mod packed;
mod setting;
mod world;

pub use action::Action;
pub use check::{Hunt, Search, Sight, find, hunt, search, search_until};
pub use fault::Fault;
pub use invariant::{Broken, Happening, Invariant};
pub use model::{Model, Watch};
pub use packed::State;
pub use setting::{ENDLESS_SETTING, LONG_SETTINGS, Order, SHORT_SETTINGS, Setting};
pub use world::{
    AGENTS_MAX, Books, Call, Chain, Desk, Finding, Nonce, REQUESTS_MAX, Request, Row, Signature,
    Thawing, World,
};
