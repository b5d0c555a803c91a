//! Signed transactions, made without asking the node.

use crate::actors::{Attestor, account_of};
use chroom_primitives::{AccountId, ChroomSignature, Hash, Nonce};
use chroom_runtime::{Address, Runtime, RuntimeCall, TxExtension, UncheckedExtrinsic, VERSION};
use codec::Encode;
use sp_core::{Pair, sr25519};
use sp_runtime::generic::{Era, SignedPayload};

/// Signs for the chain with this genesis.
#[derive(Clone, Copy)]
pub struct Signing {
    /// Hash of block 0.
    pub genesis: Hash,
}

fn extension(nonce: Nonce) -> TxExtension {
    (
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        // Immortal: what is signed beforehand must not depend on when it is sent.
        frame_system::CheckEra::from(Era::Immortal),
        frame_system::CheckNonce::from(nonce),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::<Runtime>::from(0),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        frame_system::WeightReclaim::new(),
    )
}

impl Signing {
    fn extrinsic(
        &self,
        account: AccountId,
        call: RuntimeCall,
        nonce: Nonce,
        sign: impl FnOnce(&[u8]) -> ChroomSignature,
    ) -> Vec<u8> {
        let extension = extension(nonce);
        let implicit =
            ((), VERSION.spec_version, VERSION.transaction_version, self.genesis, self.genesis, (), (), (), None, ());
        let payload = SignedPayload::from_raw(call.clone(), extension.clone(), implicit);
        let signature = payload.using_encoded(sign);
        UncheckedExtrinsic::new_signed(call, Address::Id(account), signature, extension).encode()
    }

    /// A transaction of an account.
    pub fn by_account(&self, pair: &sr25519::Pair, call: RuntimeCall, nonce: Nonce) -> Vec<u8> {
        self.extrinsic(account_of(pair), call, nonce, |bytes| ChroomSignature::Sr25519(pair.sign(bytes)))
    }

    /// A transaction of a registry node.
    pub fn by_attestor(&self, attestor: &Attestor, call: RuntimeCall, nonce: Nonce) -> Vec<u8> {
        self.extrinsic(attestor.id.account(), call, nonce, |bytes| ChroomSignature::Ethereum(attestor.sign(bytes)))
    }
}
