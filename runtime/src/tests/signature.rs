//! Transactions signed by Polkadot's and by Ethereum's kind of key.

use super::chain::{author, author_up_to, local_chain, nonce};
use crate::{
    AccountId, Balances, ChroomSignature, Executive, Runtime, RuntimeCall, TxExtension, UncheckedExtrinsic, VERSION,
    Validators, economy::TreasuryAccount, transaction::SignedPayload,
};
use chroom_primitives::{CHR, EthereumSignature, NodeId, signed::personal_hash};
use codec::Encode;
use frame_support::traits::fungible::Mutate;
use sp_core::{Pair, ecdsa};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{
    generic::Era,
    transaction_validity::{InvalidTransaction, TransactionValidityError},
};

fn extension(account: &AccountId) -> TxExtension {
    (
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckEra::from(Era::Immortal),
        frame_system::CheckNonce::from(nonce(account)),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(0),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    )
}

pub fn signed(from: &AccountId, call: RuntimeCall, sign: impl Fn(&[u8]) -> ChroomSignature) -> UncheckedExtrinsic {
    let payload = SignedPayload::new(call.clone(), extension(from)).unwrap();
    let signature = payload.using_encoded(sign);
    UncheckedExtrinsic::new_signed(call, from.clone().into(), signature, extension(from))
}

pub fn transfer(to: AccountId, value: u128) -> RuntimeCall {
    RuntimeCall::Balances(pallet_balances::Call::transfer_allow_death { dest: to.into(), value })
}

/// An EVM wallet's key.
pub struct EthereumKey(ecdsa::Pair);

impl EthereumKey {
    pub fn new(seed: u8) -> Self {
        Self(ecdsa::Pair::from_seed(&[seed; 32]))
    }

    pub fn sign_hash(&self, hash: &[u8; 32]) -> EthereumSignature {
        EthereumSignature(self.0.sign_prehashed(hash).0)
    }

    pub fn sign(&self, hash: &[u8; 32]) -> ChroomSignature {
        ChroomSignature::Ethereum(self.sign_hash(hash))
    }

    pub fn address(&self) -> NodeId {
        self.sign_hash(&[7; 32]).recover_hash(&[7; 32]).unwrap()
    }

    pub fn account(&self) -> AccountId {
        self.address().account()
    }
}

#[test]
fn an_ethereum_account_pays_and_transfers_with_either_kind_of_signature() {
    local_chain().execute_with(|| {
        author_up_to(1);
        let alice = Sr25519Keyring::Alice.to_account_id();
        let key = EthereumKey::new(1);
        let account = key.account();
        author(2, || {
            let call = transfer(account.clone(), 10 * CHR);
            let fill = signed(&alice, call, |bytes| Sr25519Keyring::Alice.sign(bytes).into());
            Executive::apply_extrinsic(fill).unwrap().unwrap();
            for hash in [personal_hash as fn(&[u8]) -> [u8; 32], |bytes| sp_io::hashing::keccak_256(bytes)] {
                let before = Balances::free_balance(&account);
                let spend = signed(&account, transfer(alice.clone(), CHR), |bytes| key.sign(&hash(bytes)));
                Executive::apply_extrinsic(spend).unwrap().unwrap();
                let fee = before - CHR - Balances::free_balance(&account);
                assert!(fee > 0 && fee < CHR / 10, "a transfer costs a fee, and not much: {fee}");
            }
        });
    });
}

#[test]
fn another_ones_signature_is_refused() {
    local_chain().execute_with(|| {
        author_up_to(1);
        let (own, other) = (EthereumKey::new(1), EthereumKey::new(2));
        author(2, || {
            let call = transfer(Sr25519Keyring::Alice.to_account_id(), CHR);
            let forged = signed(&own.account(), call, |bytes| other.sign(&personal_hash(bytes)));
            assert_eq!(
                Executive::apply_extrinsic(forged),
                Err(TransactionValidityError::Invalid(InvalidTransaction::BadProof))
            );
        });
    });
}

#[test]
fn fees_go_to_the_validators_pot_and_to_the_treasury() {
    local_chain().execute_with(|| {
        author_up_to(1);
        let charlie = Sr25519Keyring::Charlie.to_account_id();
        let (pot, treasury) = (Validators::pot_account(), TreasuryAccount::get());
        let author_account = author(2, || {
            Balances::mint_into(&treasury, CHR).unwrap();
            let author_account = crate::Authorship::author().unwrap();
            let accounts = [&pot, &treasury, &author_account];
            let (before, issuance) = (accounts.map(Balances::free_balance), Balances::total_issuance());
            let call = transfer(Sr25519Keyring::Dave.to_account_id(), CHR);
            let paid = Balances::free_balance(&charlie);
            let spend = signed(&charlie, call, |bytes| Sr25519Keyring::Charlie.sign(bytes).into());
            Executive::apply_extrinsic(spend).unwrap().unwrap();
            let fee = paid - CHR - Balances::free_balance(&charlie);
            let to_pot = fee * 80 / 100;
            let after = [before[0] + to_pot, before[1] + fee - to_pot, before[2]];
            assert_eq!(accounts.map(Balances::free_balance), after, "without a tip the author has no more than others");
            assert_eq!(Balances::total_issuance(), issuance, "nothing is burnt or made");
            author_account
        });
        assert!(pallet_session::Validators::<Runtime>::get().contains(&author_account));
        assert_eq!(VERSION.transaction_version, 1);
    });
}
