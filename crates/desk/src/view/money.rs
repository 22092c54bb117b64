//! What crosses about money between treasury, floats and others.

use serde::{Deserialize, Serialize};

shapes! {
    /// Where money for the desk is sent to.
    pub struct FundView {
        /// The treasury's address, EIP-55.
        pub address: String,
        /// "Practice", "Base".
        pub network: String,
        /// CAIP-2.
        pub network_id: String,
        /// The asset's symbol.
        pub asset: String,
        /// The asset's contract, EIP-55.
        pub contract: String,
        /// What the treasury holds of the asset by the chain; absent when it does not answer.
        pub balance: Option<String>,
        /// What it holds of the network's own coin, for gas, as an exact decimal.
        pub coin: Option<String>,
        /// One sentence when there is something to know before sending anything.
        pub note: Option<String>,
    }

    /// What became of an attempt to burn a payment's signature.
    pub struct CancelView {
        /// The payment.
        pub payment_id: String,
        /// The agent's name.
        pub agent: String,
        /// The payee's host, or "Corner shop" for the practice shop.
        pub payee: String,
        /// How much.
        pub amount: String,
        /// The asset's symbol.
        pub asset: String,
        /// "burnt", "paid" (the payee was faster), "over" (its time ran out), "sent" (not in a block
        /// yet), "failed", or "left" (not reached in time).
        pub end: String,
        /// What that means, in one sentence or two.
        pub sentence: String,
        /// The transaction that decided it, once known.
        pub transaction: Option<String>,
    }
}
