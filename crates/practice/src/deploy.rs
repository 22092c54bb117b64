//! Deploying USDC as Circle does: library, implementation, proxy, roles.

use crate::account::{Account, Role, confirm};
use crate::error::PracticeError;
use crate::kit::Kit;
use crate::rpc::Rpc;
use alloy::sol_types::{SolCall, SolValue};
use alloy_primitives::{Address, TxKind, U256};
use imprest_chain::Chain;
use imprest_domain::Units;
use serde_json::json;

alloy::sol! {
    function changeAdmin(address newAdmin) external;
    function initialize(
        string tokenName, string tokenSymbol, string tokenCurrency, uint8 tokenDecimals,
        address newMasterMinter, address newPauser, address newBlacklister, address newOwner
    ) external;
    function initializeV2(string newName) external;
    function initializeV2_1(address lostAndFound) external;
    function initializeV2_2(address[] accountsToBlacklist, string newSymbol) external;
    function configureMinter(address minter, uint256 minterAllowedAmount) external returns (bool);
    function mint(address to, uint256 amount) external returns (bool);
}

/// Gas for the largest step, the implementation (about 5.3 million), with room.
const CREATE_GAS: u64 = 8_000_000;
const CALL_GAS: u64 = 500_000;

/// Where a fresh chain's USDC will be: the proxy is the issuer's third contract.
pub(crate) fn address_of_usdc() -> Result<Address, PracticeError> {
    Ok(Role::Issuer.key()?.address().create(2))
}

/// Deploys and sets up USDC at [`address_of_usdc`].
///
/// All transactions are handed over at once, in order of nonce, and mined together.
pub(crate) async fn deploy(
    kit: &Kit,
    chain: &Chain,
    rpc: &Rpc,
    issuer: &Account,
) -> Result<(), PracticeError> {
    const WHAT: &str = "deploy USDC";
    let contracts = kit.contracts()?;
    let me = issuer.address();
    let (checker, implementation, proxy) = (me.create(0), me.create(1), me.create(2));
    if chain.asset().id.contract != proxy || chain.transaction_terms(me).await?.nonce != 0 {
        return Err(PracticeError::Damaged { why: "this chain is not fresh".into() });
    }
    let creations = [
        contracts.checker.clone(),
        contracts.token(checker)?,
        [contracts.proxy.clone(), implementation.abi_encode()].concat(),
    ];
    let mut sent = Vec::new();
    for code in creations {
        sent.push(issuer.send(TxKind::Create, code, CREATE_GAS).await?);
    }
    for call in setup_calls(chain, me, Role::ProxyAdmin.key()?.address()) {
        sent.push(issuer.send(TxKind::Call(proxy), call, CALL_GAS).await?);
    }
    // Deep enough that the contract is there at the finalised block too.
    rpc.tell("anvil_mine", json!(["0x4"])).await?;
    for transaction in sent {
        confirm(chain, WHAT, transaction).await?;
    }
    Ok(())
}

/// The calls after creation, in Circle's order.
fn setup_calls(chain: &Chain, me: Address, proxy_admin: Address) -> [Vec<u8>; 6] {
    let asset = chain.asset();
    let (name, symbol) = (asset.eip712_name.clone(), asset.symbol.clone());
    let initialize = initializeCall {
        tokenName: name.clone(),
        tokenSymbol: symbol.clone(),
        tokenCurrency: "USD".into(),
        tokenDecimals: asset.decimals,
        newMasterMinter: me,
        newPauser: me,
        newBlacklister: me,
        newOwner: me,
    };
    let minting =
        configureMinterCall { minter: me, minterAllowedAmount: U256::from(Units::MAX.get()) };
    [
        changeAdminCall { newAdmin: proxy_admin }.abi_encode(),
        initialize.abi_encode(),
        initializeV2Call { newName: name }.abi_encode(),
        initializeV2_1Call { lostAndFound: proxy_admin }.abi_encode(),
        initializeV2_2Call { accountsToBlacklist: vec![], newSymbol: symbol }.abi_encode(),
        minting.abi_encode(),
    ]
}

/// Makes practice money.
pub(crate) async fn mint(
    issuer: &Account,
    contract: Address,
    to: Address,
    units: Units,
) -> Result<(), PracticeError> {
    let call = mintCall { to, amount: U256::from(units.get()) };
    issuer.run("mint practice USDC", contract, call.abi_encode(), CALL_GAS).await
}
