//! A Ledger device as treasury: it keeps the key, shows every transaction, and its owner confirms
//! on it. Refills only; agents' payments are too many to confirm by hand.
//!
//! What is tested here without a device: paths, the mapping of errors, and the refusal of what the
//! vault must refuse before the device is asked. **Not tested**: finding a device over USB, its
//! answers, how it shows an EIP-1559 transaction of a token, and the permissions USB needs (udev
//! rules on Linux). On every system the device's Ethereum application must be open.

use crate::error::VaultError;
use crate::sign::{SignedTransaction, TreasuryCall};
use alloy::signers::ledger::coins_ledger::common::APDUResponseCodes as Code;
use alloy::signers::ledger::coins_ledger::errors::LedgerError as Transport;
use alloy::signers::ledger::coins_ledger::transports::native::NativeTransportError as Native;
use alloy::signers::ledger::{HDPath, LedgerError, LedgerSigner};
use alloy_primitives::Address;

/// BIP-32 can harden indices below 2^31.
const LAST_ACCOUNT: u32 = (1 << 31) - 1;

/// Why the device did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device is connected, or another program has it.
    #[error(
        "no Ledger device answers. Connect it, close other programs that use it, and try again."
    )]
    NotFound,
    /// The system does not let this program talk to it.
    #[error(
        "this system does not give access to the Ledger device. Allow it (on Linux, install Ledger's udev rules), and try again."
    )]
    NoAccess,
    /// It waits for its PIN.
    #[error("the Ledger device is locked. Unlock it with its PIN, and try again.")]
    Locked,
    /// Another application is open on it.
    #[error(
        "the Ethereum application is not open on the Ledger device. Open it there, and try again."
    )]
    OtherApplication,
    /// Its owner said no.
    #[error("the transaction was refused on the Ledger device. Nothing was signed.")]
    Refused,
    /// It signed with another key than the treasury's.
    #[error(
        "the Ledger device has another key than the treasury's. Nothing was sent; connect the right device."
    )]
    OtherDevice,
    /// Anything else.
    #[error("the Ledger device failed. Disconnect it, connect it again, and try once more.")]
    Failed,
}

impl From<LedgerError> for DeviceError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::LedgerError(inner) => Self::from_transport(&inner),
            _ => Self::Failed,
        }
    }
}

impl DeviceError {
    fn from_transport(error: &Transport) -> Self {
        match error {
            Transport::BadRetcode(Code::UnlockDeviceError)
            // Newer firmware answers 0x5515 while locked.
            | Transport::UnknownAPDUCode(0x5515 | 0x6b0c) => Self::Locked,
            Transport::BadRetcode(Code::ConditionsNotSatisfied) => Self::Refused,
            Transport::BadRetcode(Code::InsNotSupported | Code::ClaNotSupported)
            | Transport::UnknownAPDUCode(0x6511) => Self::OtherApplication,
            Transport::BackendGone
            | Transport::NativeTransportError(Native::DeviceNotFound) => Self::NotFound,
            Transport::NativeTransportError(Native::CantOpen(_)) => Self::NoAccess,
            _ => Self::Failed,
        }
    }
}

/// A connected device and one of its accounts.
pub struct LedgerDevice {
    signer: LedgerSigner,
    account: u32,
    address: Address,
}

impl LedgerDevice {
    /// Connects to the device and asks for an account's address, at `m/44'/60'/account'/0/0` as
    /// Ledger's own application counts.
    ///
    /// # Errors
    /// [`VaultError::AccountOutOfRange`], or [`VaultError::Device`] with the device's reason.
    pub async fn connect(account: u32) -> Result<Self, VaultError> {
        let signer = LedgerSigner::new(path(account)?, None).await.map_err(DeviceError::from)?;
        let address = signer.get_address().await.map_err(DeviceError::from)?;
        Ok(Self { signer, account, address })
    }

    /// The account's address, as the device told it.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The account on the device.
    pub fn account(&self) -> u32 {
        self.account
    }

    /// Waits for the owner to confirm on the device.
    pub(crate) async fn sign(
        &self,
        transfer: TreasuryCall,
    ) -> Result<SignedTransaction, VaultError> {
        let encoded = transfer.encoded();
        let signature = self.signer.sign_tx_rlp(&encoded).await.map_err(DeviceError::from)?;
        transfer.signed_by(signature, self.address).ok_or(DeviceError::OtherDevice.into())
    }
}

fn path(account: u32) -> Result<HDPath, VaultError> {
    if account > LAST_ACCOUNT {
        return Err(VaultError::AccountOutOfRange { account });
    }
    let index = usize::try_from(account).map_err(|_| VaultError::AccountOutOfRange { account })?;
    Ok(HDPath::LedgerLive(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_ledgers_own() {
        for (account, expected) in [
            (0, "m/44'/60'/0'/0/0"),
            (7, "m/44'/60'/7'/0/0"),
            (LAST_ACCOUNT, "m/44'/60'/2147483647'/0/0"),
        ] {
            assert_eq!(path(account).expect("in range").to_string(), expected);
        }
        let refused = path(LAST_ACCOUNT + 1).expect_err("past the last");
        assert!(matches!(refused, VaultError::AccountOutOfRange { .. }));
    }

    #[test]
    fn every_answer_has_its_own_word() {
        for (error, word) in [
            (Transport::BadRetcode(Code::UnlockDeviceError), DeviceError::Locked),
            (Transport::UnknownAPDUCode(0x5515), DeviceError::Locked),
            (Transport::BadRetcode(Code::ConditionsNotSatisfied), DeviceError::Refused),
            (Transport::BadRetcode(Code::InsNotSupported), DeviceError::OtherApplication),
            (Transport::BadRetcode(Code::ClaNotSupported), DeviceError::OtherApplication),
            (Transport::UnknownAPDUCode(0x6511), DeviceError::OtherApplication),
            (Transport::NativeTransportError(Native::DeviceNotFound), DeviceError::NotFound),
            (Transport::BackendGone, DeviceError::NotFound),
            (Transport::BadRetcode(Code::Unknown), DeviceError::Failed),
            (Transport::UnknownAPDUCode(0xffff), DeviceError::Failed),
            (Transport::ResponseTooShort(vec![1]), DeviceError::Failed),
        ] {
            assert_eq!(DeviceError::from(LedgerError::from(error)), word);
        }
        assert_eq!(DeviceError::from(LedgerError::UnexpectedNullResponse), DeviceError::Failed);
    }
}
