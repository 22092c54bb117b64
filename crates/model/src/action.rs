//! The steps of the model, named as in the design.

/// One step. The number is the place of the request it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The ledger decides an agent's request and holds its money: one transaction.
    Reserve(u8),
    /// Only in faulty designs: the first of two transactions, which looks.
    Look(u8),
    /// Only in faulty designs: the second of two transactions, which writes.
    Write(u8),
    /// Only in a faulty design: everything in the cache reaches the disk.
    Sync,
    /// The owner says yes, and the ledger decides again and holds.
    Approve(u8),
    /// The owner says no.
    Refuse(u8),
    /// Nobody answered in time.
    Lapse(u8),
    /// The signer signs under the grant.
    Sign(u8),
    /// The signer gives the grant back, and the hold is given back.
    Void(u8),
    /// The signature goes to the payee.
    Deliver(u8),
    /// The ledger records that the payee answered as if paid.
    RecordDelivered(u8),
    /// The ledger records that nobody knows.
    RecordUnknown(u8),
    /// The payee takes the signature to the chain, into the newest block.
    Take(u8),
    /// The owner burns the nonce on the chain.
    Cancel(u8),
    /// The desk reads what the chain says of a payment.
    Reconcile(u8),
    /// The same, but the node that tells the state of the nonce lags the one that tells the time.
    ReconcileBehind(u8),
    /// The ledger books that it was paid.
    Settle(u8),
    /// The ledger books that the chain took a settlement back, and holds its money again.
    Reopen(u8),
    /// The ledger books that it never will be, and gives the money back.
    Expire(u8),
    /// The chain grows by a block.
    Block,
    /// The chain undoes this many of its newest blocks.
    Undo(u8),
    /// The desk's clock moves on by a block's time.
    Tick,
    /// Freeze, first step: the signer's latch.
    Halt,
    /// Freeze, second step: the books; the owner is told.
    Freeze,
    /// Thaw, first step: the books.
    Thaw,
    /// Thaw, second step: the signer's latch.
    Resume,
    /// Only in a faulty design, thaw, third step: the books are read once more.
    HaltIfFrozen,
    /// The desk dies; its memory is gone.
    Crash,
    /// The desk starts again from its disk.
    Restart,
}
