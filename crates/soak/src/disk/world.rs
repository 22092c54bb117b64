//! Who pays whom on the failing disk: two agents, a shop they know, and strangers.

use crate::chance::Chance;
use crate::oracle::usdc;
use alloy_primitives::{Address, B256};
use imprest_domain::{AgentId, Budget, Grade, Intent, Payee, Units};
use imprest_ledger::{Agent, Ledger, LedgerError, NewAgent, Order};

/// A count of units; what is drawn here always fits.
pub(crate) fn units(n: u64) -> Units {
    Units::new(u128::from(n)).unwrap_or(Units::MAX)
}

/// A budget with one limit over its whole life, so that its sum is plain addition.
pub(crate) fn budget(lifetime: Units) -> Budget {
    Budget { limit_units_lifetime: Some(lifetime), ..Budget::blank(usdc().id) }
}

/// The shop that everyone knows.
pub(crate) fn shop() -> Payee {
    payee("http://127.0.0.1:4021".to_owned())
}

fn payee(origin: String) -> Payee {
    Payee { origin, pay_to: Address::repeat_byte(0x5A), asset: usdc().id }
}

/// One of a few payees that nobody trusted yet: what is ordered there is a question.
pub(crate) fn stranger(chance: &mut Chance) -> Payee {
    payee(format!("https://stranger-{}.example", chance.below(5)))
}

/// Makes the agent of a number that no other has.
pub(crate) async fn add_agent(
    ledger: &Ledger,
    number: u64,
    lifetime: Units,
) -> Result<Agent, LedgerError> {
    let name = format!("Payer {number}").parse();
    let new = NewAgent {
        name: name.map_err(|_| LedgerError::NoAgent { name: format!("Payer {number}") })?,
        account: ledger.next_account().await?,
        address: Address::left_padding_from(&number.to_be_bytes()),
        grade: Grade::L3,
        budget: budget(lifetime),
        shared: None,
        token_sha256: format!("{number:02x}"),
    };
    ledger.add_agent(new).await
}

/// An order of something that costs this much.
pub(crate) fn order(agent: &AgentId, payee: Payee, value: Units, key: Option<String>) -> Order {
    Order {
        url: format!("{}/weather", payee.origin),
        intent: Intent {
            agent: agent.clone(),
            payee,
            value,
            agent_max: None,
            for_other_resource: false,
        },
        client_key: key,
        request_sha256: B256::repeat_byte(1),
        method: "GET".to_owned(),
        what: "Weather".to_owned(),
        purpose: None,
        task: None,
        offer: "{}".to_owned(),
        max_timeout_s: 60,
        nonce: None,
        gas: None,
        kept_request: None,
        credential: None,
    }
}
