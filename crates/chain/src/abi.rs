//! The part of Circle's FiatToken the desk speaks.

/// Calls and events of the token contract, named as on chain.
///
/// Sources: EIP-20, EIP-712, <https://eips.ethereum.org/EIPS/eip-3009> and Circle's
/// `FiatTokenV2_2`, which adds the forms that take the signature as one `bytes`.
#[allow(missing_docs)] // The names are the contract's; each is documented there.
pub mod usdc {
    alloy::sol! {
        function name() external view returns (string);
        function version() external view returns (string);
        function decimals() external view returns (uint8);
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        function balanceOf(address account) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, bytes signature
        ) external;
        function cancelAuthorization(address authorizer, bytes32 nonce, bytes signature) external;

        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

        /// What an EIP-3009 payer signs.
        #[derive(Debug, PartialEq, Eq)]
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }

        /// What an EIP-3009 payer signs to burn an authorisation.
        #[derive(Debug, PartialEq, Eq)]
        struct CancelAuthorization {
            address authorizer;
            bytes32 nonce;
        }
    }
}
