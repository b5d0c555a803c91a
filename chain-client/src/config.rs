//! How this chain differs from a plain Substrate chain: its signature type.

use chroom_primitives::{AccountId, ChroomSignature};
use subxt::{
    ArcMetadata,
    config::{Config, DefaultTransactionExtensions, HashFor, SubstrateConfig},
    ext::{
        scale_decode::{self, DecodeAsType},
        scale_encode::{self, EncodeAsType},
    },
    utils::{AccountId32, MultiAddress},
};

/// subxt's view of the chain.
#[derive(Clone, Debug, Default)]
pub struct ChroomConfig(SubstrateConfig);

impl Config for ChroomConfig {
    type AccountId = AccountId32;
    type Address = MultiAddress<AccountId32, ()>;
    type Signature = ChainSignature;
    type Hasher = <SubstrateConfig as Config>::Hasher;
    type Header = <SubstrateConfig as Config>::Header;
    type TransactionExtensions = DefaultTransactionExtensions<Self>;
    type AssetId = <SubstrateConfig as Config>::AssetId;

    fn genesis_hash(&self) -> Option<HashFor<Self>> {
        self.0.genesis_hash()
    }

    fn spec_and_transaction_version_for_block_number(&self, number: u64) -> Option<(u32, u32)> {
        self.0.spec_and_transaction_version_for_block_number(number)
    }

    fn metadata_for_spec_version(&self, spec_version: u32) -> Option<ArcMetadata> {
        self.0.metadata_for_spec_version(spec_version)
    }

    fn set_metadata_for_spec_version(&self, spec_version: u32, metadata: ArcMetadata) {
        self.0.set_metadata_for_spec_version(spec_version, metadata);
    }
}

/// [`ChroomSignature`] as subxt encodes it: by the names that the metadata gives the variants.
#[derive(Clone, Debug, PartialEq, Eq, EncodeAsType, DecodeAsType)]
#[encode_as_type(crate_path = "scale_encode")]
#[decode_as_type(crate_path = "scale_decode")]
pub enum ChainSignature {
    /// Ed25519.
    Ed25519([u8; 64]),
    /// Sr25519.
    Sr25519([u8; 64]),
    /// Secp256k1 over BLAKE2b-256.
    Ecdsa([u8; 65]),
    /// Secp256k1 over EIP-191.
    Ethereum([u8; 65]),
}

impl From<ChroomSignature> for ChainSignature {
    fn from(signature: ChroomSignature) -> Self {
        match signature {
            ChroomSignature::Ed25519(s) => ChainSignature::Ed25519(s.0),
            ChroomSignature::Sr25519(s) => ChainSignature::Sr25519(s.0),
            ChroomSignature::Ecdsa(s) => ChainSignature::Ecdsa(s.0),
            ChroomSignature::Ethereum(s) => ChainSignature::Ethereum(s.0),
        }
    }
}

/// An account in subxt's type.
pub fn subxt_account(account: &AccountId) -> AccountId32 {
    AccountId32(*account.as_ref())
}
