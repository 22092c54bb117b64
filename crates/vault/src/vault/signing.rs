//! What the keys are used for, and the owner's freeze over it: the one place that signs.

use super::Vault;
use crate::derive::{Keys, TREASURY};
use crate::error::{NotSigned, VaultError};
use crate::secret::scrub_stack;
use crate::sign::{self, SignedAuthorization, SignedTransaction, TreasuryCall};
use crate::statement::{self, StatementKey};
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, U256};
use imprest_domain::{Asset, Authorization};
use imprest_ledger::{CancelGrant, Grant, SealKey, SweepGrant, TransactionTerms, TreasuryGrant};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The owner's freeze.
impl Vault {
    /// Stops all signing; when it returns, no signature is being made or will be. It is the
    /// desk's part to remember it over a restart.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
        // Waits out a signature that was past its last check; it is discarded by `not_halted`.
        drop(self.open_state());
    }

    /// Allows signing again.
    pub fn resume(&self) {
        self.halted.store(false, Ordering::SeqCst);
    }

    /// Whether signing is stopped.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    fn not_halted(&self) -> Result<(), VaultError> {
        if self.is_halted() { Err(VaultError::Halted) } else { Ok(()) }
    }
}

/// What the keys are used for.
impl Vault {
    /// The address of an account: 0 is the treasury, agents have 1 to 2147483647.
    ///
    /// # Errors
    /// [`VaultError::Locked`] or [`VaultError::AccountOutOfRange`].
    pub fn address(&self, account: u32) -> Result<Address, VaultError> {
        self.with_keys(|keys| Ok(keys.signer(account)?.address()))
    }

    /// The owner's own address, which refills floats.
    ///
    /// # Errors
    /// [`VaultError::Locked`].
    pub fn treasury_address(&self) -> Result<Address, VaultError> {
        self.with_keys(Keys::treasury_address)
    }

    /// The 256-bit key that authenticates the ledger's head: derived from the entropy under its
    /// own label, so it is the same after a change of passphrase and after a restore.
    ///
    /// # Errors
    /// [`VaultError::Locked`].
    pub fn seal_key(&self) -> Result<SealKey, VaultError> {
        self.with_keys(|keys| keys.seal_key().map(|key| SealKey::copied(key.bytes())))
    }

    /// The public half of the key that signs statements.
    ///
    /// # Errors
    /// [`VaultError::Locked`].
    pub fn statement_key(&self) -> Result<StatementKey, VaultError> {
        self.with_keys(|keys| Ok(statement::public_key(&keys.statement_seed()?)))
    }

    /// Signs a statement's bytes with the statement key, in OpenSSH's format under the namespace
    /// [`STATEMENT_NAMESPACE`](crate::STATEMENT_NAMESPACE). The key owns nothing, so any bytes may
    /// be given, and a freeze does not stop it.
    ///
    /// # Errors
    /// [`VaultError::Locked`].
    pub fn sign_statement(&self, document: &[u8]) -> Result<String, VaultError> {
        let seed = self.with_keys(|keys| keys.statement_seed())?;
        let signed = statement::sign(&seed, document);
        scrub_stack();
        signed
    }

    /// Signs the EIP-3009 authorisation of a grant with its agent's key. The same grant fields
    /// give the same signature (RFC 6979).
    ///
    /// # Errors
    /// The grant comes back with [`VaultError::Halted`], [`VaultError::Locked`], or a sign of a
    /// grant that does not fit its account: [`VaultError::WrongPayer`],
    /// [`VaultError::WrongAsset`], [`VaultError::TreasuryAccount`].
    pub fn sign(&self, grant: Grant) -> Result<SignedAuthorization, Box<NotSigned>> {
        match self.sign_authorization(grant.asset(), grant.authorization(), grant.account()) {
            Ok(signature) => Ok(SignedAuthorization {
                payment: grant.payment().clone(),
                authorization: grant.authorization().clone(),
                signature,
            }),
            Err(error) => Err(Box::new(NotSigned { grant, error })),
        }
    }

    /// Signs the EIP-3009 authorisation of a grant with its agent's key, and the treasury's
    /// transaction that takes it to the chain.
    ///
    /// # Errors
    /// As [`Vault::sign`] and [`Vault::sign_treasury`]; [`VaultError::OverFee`] when the grant
    /// allows no transaction, or none that may cost so much. Nothing that was signed has left the
    /// vault then.
    pub fn sign_relayed(
        &self,
        grant: Grant,
        terms: TransactionTerms,
    ) -> Result<SignedTransaction, Box<NotSigned>> {
        let costs = U256::from(terms.gas_limit)
            .checked_mul(U256::from(terms.max_fee_per_gas_wei))
            .zip(grant.fee_max_wei());
        if costs.is_none_or(|(costs, most)| costs > U256::from(most.get())) {
            return Err(Box::new(NotSigned { grant, error: VaultError::OverFee }));
        }
        let (asset, authorization) = (grant.asset(), grant.authorization());
        let signed =
            self.sign_authorization(asset, authorization, grant.account()).and_then(|signature| {
                let call = TreasuryCall::relay(asset, authorization, signature, terms);
                self.sign_transfer(call)
            });
        signed.map_err(|error| Box::new(NotSigned { grant, error }))
    }

    /// Signs an ERC-20 transfer from the treasury, as an EIP-1559 transaction on the asset's
    /// chain that is worth no ether.
    ///
    /// # Errors
    /// The grant comes back with [`VaultError::Halted`] or [`VaultError::Locked`], and with
    /// [`VaultError::WatchOnly`] or [`VaultError::OnDevice`] when the key is not here.
    pub fn sign_treasury(
        &self,
        grant: TreasuryGrant,
    ) -> Result<SignedTransaction, Box<NotSigned<TreasuryGrant>>> {
        self.sign_transfer(TreasuryCall::of(&grant))
            .map_err(|error| Box::new(NotSigned { grant, error }))
    }

    /// Signs that an authorisation of an agent's is void (EIP-3009), and the treasury's transaction
    /// that takes this to the chain.
    ///
    /// It is signed while the desk is frozen, too: it can only burn what was signed before, which is
    /// what an owner who has just frozen the desk wants.
    ///
    /// # Errors
    /// The grant comes back with [`VaultError::Locked`], with [`VaultError::WatchOnly`] or
    /// [`VaultError::OnDevice`] when the treasury's key is not here, or with a sign of a grant that
    /// does not fit its account: [`VaultError::WrongPayer`], [`VaultError::TreasuryAccount`].
    pub fn sign_cancel(
        &self,
        grant: CancelGrant,
    ) -> Result<SignedTransaction, Box<NotSigned<CancelGrant>>> {
        let digest = sign::cancel_digest(grant.asset(), grant.authorizer(), grant.nonce());
        let signed = self.with_keys(|keys| {
            let signature =
                sign::sign_digest(payer(keys, grant.account(), grant.authorizer())?, &digest)?;
            TreasuryCall::cancel(&grant, signature).sign(keys.treasury()?)
        });
        signed.inspect(|_| self.was_used()).map_err(|error| Box::new(NotSigned { grant, error }))
    }

    /// Signs an authorisation from an agent's float to the treasury (EIP-3009), and the treasury's
    /// transaction that takes it to the chain.
    ///
    /// # Errors
    /// The grant comes back as with [`Vault::sign`] and [`Vault::sign_treasury`], and with
    /// [`VaultError::WrongPayee`] when it pays anybody but the treasury. Nothing that was signed
    /// has left the vault then.
    pub fn sign_sweep(
        &self,
        grant: SweepGrant,
    ) -> Result<SignedTransaction, Box<NotSigned<SweepGrant>>> {
        self.sign_swept(&grant).map_err(|error| Box::new(NotSigned { grant, error }))
    }

    fn sign_swept(&self, grant: &SweepGrant) -> Result<SignedTransaction, VaultError> {
        self.not_halted()?;
        let (asset, authorization) = (grant.asset(), grant.authorization());
        if authorization.asset != asset.id {
            return Err(VaultError::WrongAsset);
        }
        let digest = sign::digest(asset, authorization);
        self.with_keys(|keys| {
            let (own, named) = (keys.treasury_address()?, authorization.to);
            if own != named {
                return Err(VaultError::WrongPayee { own, named });
            }
            self.unless_halted(|| {
                let signer = payer(keys, grant.account(), authorization.from)?;
                let signature = sign::sign_digest(signer, &digest)?;
                TreasuryCall::relay(asset, authorization, signature, grant.terms())
                    .sign(keys.treasury()?)
            })
        })
        .inspect(|_| self.was_used())
    }

    /// Signs an ERC-20 transfer from a treasury on a Ledger device, whose owner confirms there.
    ///
    /// # Errors
    /// As [`Vault::sign_treasury`]; [`VaultError::Device`] with the device's reason, also when it
    /// is not the treasury's.
    #[cfg(feature = "ledger-device")]
    pub async fn sign_treasury_on(
        &self,
        device: &crate::LedgerDevice,
        grant: TreasuryGrant,
    ) -> Result<SignedTransaction, Box<NotSigned<TreasuryGrant>>> {
        let refused = |error, grant| Err(Box::new(NotSigned { grant, error }));
        if let Err(error) = self.may_use(device.address()) {
            return refused(error, grant);
        }
        match device.sign(TreasuryCall::of(&grant)).await {
            // The owner may have frozen or locked the desk while the device waited.
            Ok(signed) => match self.may_use(device.address()) {
                Ok(()) => Ok(signed),
                Err(error) => refused(error, grant),
            },
            Err(error) => refused(error, grant),
        }
    }

    /// Whether a device with this address may sign for the treasury now.
    #[cfg(feature = "ledger-device")]
    pub(super) fn may_use(&self, address: Address) -> Result<(), VaultError> {
        self.not_halted()?;
        match self.with_keys(|keys| keys.treasury().map(drop)) {
            Err(VaultError::OnDevice { address: treasury }) if treasury == address => Ok(()),
            Err(VaultError::OnDevice { .. }) | Ok(()) => {
                Err(crate::DeviceError::OtherDevice.into())
            }
            Err(other) => Err(other),
        }
    }

    pub(super) fn sign_authorization(
        &self,
        asset: &Asset,
        authorization: &Authorization,
        account: u32,
    ) -> Result<[u8; 65], VaultError> {
        self.not_halted()?;
        if authorization.asset != asset.id {
            return Err(VaultError::WrongAsset);
        }
        let digest = sign::digest(asset, authorization);
        self.with_keys(|keys| {
            let signer = payer(keys, account, authorization.from)?;
            self.unless_halted(|| sign::sign_digest(signer, &digest))
        })
        .inspect(|_| self.was_used())
    }

    pub(super) fn sign_transfer(
        &self,
        transfer: TreasuryCall,
    ) -> Result<SignedTransaction, VaultError> {
        self.not_halted()?;
        self.with_keys(|keys| {
            let signer = keys.treasury()?;
            self.unless_halted(|| transfer.sign(signer))
        })
        .inspect(|_| self.was_used())
    }

    fn was_used(&self) {
        let mut open = self.open_state();
        if open.keys.is_some() {
            open.used = Some(Instant::now());
        }
    }

    /// Makes a signature between two looks at the freeze: one that was under way when the owner
    /// froze the desk is thrown away.
    pub(super) fn unless_halted<T>(
        &self,
        make: impl FnOnce() -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        self.not_halted()?;
        let made = make()?;
        self.not_halted()?;
        Ok(made)
    }

    pub(super) fn with_keys<T>(
        &self,
        act: impl FnOnce(&mut Keys) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let outcome = act(self.open_state().keys.as_mut().ok_or(VaultError::Locked)?);
        scrub_stack();
        outcome
    }
}

/// The signer of an agent's account, if it is the address that a grant names.
fn payer(keys: &mut Keys, account: u32, named: Address) -> Result<&PrivateKeySigner, VaultError> {
    if account == TREASURY {
        return Err(VaultError::TreasuryAccount);
    }
    let signer = keys.signer(account)?;
    let own = signer.address();
    if own != named {
        return Err(VaultError::WrongPayer { account, own, named });
    }
    Ok(signer)
}
