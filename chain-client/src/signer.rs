//! Who signs a transaction.

use crate::config::{ChainSignature, ChroomConfig, subxt_account};
use chroom_primitives::AccountId;
use chroom_wallet::Wallet;
use std::fmt;
use subxt::utils::AccountId32;
use subxt_signer::sr25519;

/// A key that signs transactions.
#[derive(Clone)]
pub enum Signer {
    /// A node's (or an operator's) EVM key: `personal_sign` over the extrinsic's payload, account H160 ‖ 0xEE × 12.
    Wallet(Wallet),
    /// A Polkadot key.
    Sr25519(sr25519::Keypair),
}

impl Signer {
    /// The account that the key controls.
    pub fn account(&self) -> AccountId {
        match self {
            Signer::Wallet(wallet) => wallet.account(),
            Signer::Sr25519(key) => AccountId::new(key.public_key().0),
        }
    }
}

impl From<Wallet> for Signer {
    fn from(wallet: Wallet) -> Self {
        Signer::Wallet(wallet)
    }
}

impl From<sr25519::Keypair> for Signer {
    fn from(key: sr25519::Keypair) -> Self {
        Signer::Sr25519(key)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.account()).finish()
    }
}

impl subxt::tx::Signer<ChroomConfig> for Signer {
    fn account_id(&self) -> AccountId32 {
        subxt_account(&self.account())
    }

    fn sign(&self, payload: &[u8]) -> ChainSignature {
        match self {
            Signer::Wallet(wallet) => ChainSignature::Ethereum(wallet.sign_personal(payload).0),
            Signer::Sr25519(key) => ChainSignature::Sr25519(key.sign(payload).0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::{ChroomSignature, EthereumSignature};
    use sp_runtime::traits::Verify;
    use subxt::tx::Signer as _;

    #[test]
    fn the_chain_accepts_both_kinds_of_signature() {
        let wallet = Signer::from(Wallet::generate());
        let ChainSignature::Ethereum(bytes) = wallet.sign(b"payload") else { panic!("an Ethereum signature") };
        assert!(
            ChroomSignature::Ethereum(EthereumSignature(bytes)).verify(&b"payload"[..], &wallet.account()),
            "a wallet's signature"
        );
        let alice = Signer::from(sr25519::dev::alice());
        let ChainSignature::Sr25519(bytes) = alice.sign(b"payload") else { panic!("an sr25519 signature") };
        assert!(
            ChroomSignature::Sr25519(bytes.into()).verify(&b"payload"[..], &alice.account()),
            "a Polkadot signature"
        );
    }

    #[test]
    fn debug_shows_the_account_only() {
        let wallet = Wallet::generate();
        let shown = format!("{:?}", Signer::from(wallet.clone()));
        assert!(!shown.contains(&wallet.secret().iter().map(|b| format!("{b:02x}")).collect::<String>()));
    }
}
