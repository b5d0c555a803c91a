//! A key in memory.

use chroom_primitives::{
    AccountId, EthereumSignature, Hash, NodeId, Signable, Signed, signed::personal_hash, typed_data::NodeRegistration,
};
use core::fmt;
use k256::ecdsa::SigningKey;
use rand::TryRngCore;
use zeroize::Zeroizing;

/// A node's (or an operator's) secp256k1 key.
///
/// The secret is wiped from memory when the last clone is dropped, and never shown by `Debug`.
#[derive(Clone)]
pub struct Wallet {
    key: SigningKey,
    id: NodeId,
}

/// 32 bytes are no secp256k1 secret: zero, or not below the group's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a secp256k1 secret key: it must be 32 bytes, above zero and below the group's order")]
pub struct SecretError;

impl Wallet {
    /// Makes a key from the operating system's randomness.
    ///
    /// # Panics
    /// If the operating system has no randomness to give: there is no safe way on.
    #[allow(clippy::expect_used)]
    pub fn generate() -> Self {
        loop {
            let mut secret = Zeroizing::new([0u8; 32]);
            rand::rngs::OsRng.try_fill_bytes(secret.as_mut_slice()).expect("the operating system gives random bytes");
            // All but about 2⁻¹²⁸ of the values are keys.
            if let Ok(wallet) = Self::from_secret(&secret) {
                return wallet;
            }
        }
    }

    /// Takes a raw secret, big-endian.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, SecretError> {
        let key = SigningKey::from_slice(secret).map_err(|_| SecretError)?;
        let point = key.verifying_key().to_sec1_point(false);
        let coordinates: &[u8; 64] = point.as_bytes().get(1..).and_then(|xy| xy.try_into().ok()).ok_or(SecretError)?;
        let id = NodeId::from_uncompressed_key(coordinates);
        Ok(Self { key, id })
    }

    /// Takes a raw secret as 64 hex digits, with or without `0x`.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let mut secret = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(digits, secret.as_mut_slice()).map_err(|_| SecretError)?;
        Self::from_secret(&secret)
    }

    /// The raw secret. For keystores and exports that a person asked for.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// The key's EVM address: the node's name everywhere.
    pub fn node_id(&self) -> NodeId {
        self.id
    }

    /// The account that the key controls on the chain.
    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    /// The public key, SEC1 compressed.
    pub fn public_key(&self) -> [u8; 33] {
        let mut key = [0u8; 33];
        let point = self.key.verifying_key().to_sec1_point(true);
        // A compressed point has 33 bytes.
        for (to, from) in key.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        key
    }

    /// Signs a payload for the network with this genesis hash.
    pub fn sign<T: Signable>(&self, payload: T, genesis: &Hash) -> Signed<T> {
        let signature = self.sign_hash(&payload.signing_hash(genesis));
        Signed { payload, signature }
    }

    /// Signs a message as EIP-191 `personal_sign`.
    pub fn sign_personal(&self, message: &[u8]) -> EthereumSignature {
        self.sign_hash(&personal_hash(message))
    }

    /// Signs, as the owner, that a node may register itself on the network with this genesis hash (EIP-712).
    pub fn sign_registration(&self, registration: &NodeRegistration, genesis: &Hash) -> EthereumSignature {
        self.sign_hash(&registration.signing_hash(genesis))
    }

    /// Signs a hash: deterministic (RFC 6979), low-s, `v` 27 or 28. Only for hashes whose preimage has its own domain.
    fn sign_hash(&self, hash: &[u8; 32]) -> EthereumSignature {
        let (signature, recovery) = self.key.sign_prehash_recoverable(hash);
        let mut bytes = [0u8; 65];
        let (r_s, v) = bytes.split_at_mut(64);
        r_s.copy_from_slice(&signature.to_bytes());
        v.fill(27 + recovery.to_byte());
        EthereumSignature(bytes)
    }

    /// The same key as a libp2p identity.
    ///
    /// # Panics
    /// Never: the secret was checked when the wallet was made.
    #[allow(clippy::expect_used)]
    pub fn libp2p_keypair(&self) -> libp2p_identity::Keypair {
        let secret = libp2p_identity::secp256k1::SecretKey::try_from_bytes(self.secret().as_mut_slice())
            .expect("a wallet's secret is a valid key");
        libp2p_identity::secp256k1::Keypair::from(secret).into()
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::{
        ChroomSignature, Role,
        record::{KeyProof, LoadReport},
    };
    use proptest::prelude::*;

    const HARDHAT_0: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn known_keys_have_their_known_addresses() {
        let cases = [
            (HARDHAT_0, "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
            // The example of EIP-155.
            (
                "0x4646464646464646464646464646464646464646464646464646464646464646",
                "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f",
            ),
        ];
        for (secret, address) in cases {
            assert_eq!(Wallet::from_hex(secret).unwrap().node_id().to_hex(), address);
        }
    }

    #[test]
    fn personal_sign_gives_the_published_signature() {
        // web3.eth.accounts.sign('Some data', key), from the documentation of web3.js.
        let wallet = Wallet::from_hex("0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318").unwrap();
        assert_eq!(wallet.node_id().to_hex(), "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23");
        assert_eq!(
            format!("{:?}", wallet.sign_personal(b"Some data")),
            "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
             6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
        );
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(Wallet::from_secret(&[0; 32]).unwrap_err(), SecretError);
        assert_eq!(Wallet::from_secret(&[0xFF; 32]).unwrap_err(), SecretError);
        assert_eq!(Wallet::from_hex("0x1234").unwrap_err(), SecretError);
    }

    #[test]
    fn debug_hides_the_secret() {
        let wallet = Wallet::from_hex(HARDHAT_0).unwrap();
        let shown = format!("{wallet:?}");
        assert!(shown.contains("0xf39f") && !shown.contains("ac0974"), "{shown}");
    }

    #[test]
    fn a_signed_payload_names_its_signer_on_its_own_network_only() {
        let wallet = Wallet::generate();
        let genesis = Hash::repeat_byte(1);
        let report = LoadReport {
            node: wallet.node_id(),
            seq: 7,
            cpu: 1,
            ingress_kbps: 2,
            egress_kbps: 3,
            egress_limit_kbps: 4,
            rooms: 5,
            sessions: 6,
            loss: 7,
            rtt_ms: 8,
            accepting: true,
        };
        let signed = wallet.sign(report, &genesis);
        assert_eq!(signed.signer(&genesis), Some(wallet.node_id()));
        assert_ne!(signed.signer(&Hash::repeat_byte(2)), Some(wallet.node_id()));
        let mut forged = signed.clone();
        forged.payload.cpu = 9;
        assert_ne!(forged.signer(&genesis), Some(wallet.node_id()));
    }

    #[test]
    fn another_kind_of_payload_never_shares_a_signature() {
        let wallet = Wallet::generate();
        let genesis = Hash::zero();
        let proof =
            KeyProof { node: wallet.node_id(), owner: wallet.account(), role: Role::Media, nonce: 0, expires_at: 10 };
        let plain = wallet.sign_personal(&codec::Encode::encode(&proof));
        let signed = wallet.sign(proof, &genesis);
        assert_ne!(plain, signed.signature);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_chain_accepts_what_a_wallet_signs(secret in proptest::array::uniform32(1u8..), message: Vec<u8>) {
            prop_assume!(Wallet::from_secret(&secret).is_ok());
            let wallet = Wallet::from_secret(&secret).unwrap();
            let signature = wallet.sign_personal(&message);
            prop_assert_eq!(signature.recover_personal(&message), Some(wallet.node_id()));
            use chroom_primitives_verify::Verify;
            prop_assert!(ChroomSignature::Ethereum(signature).verify(&message[..], &wallet.account()));
            let other = Wallet::generate();
            prop_assert!(!ChroomSignature::Ethereum(signature).verify(&message[..], &other.account()));
        }
    }

    /// The chain's trait, under a name of its own.
    mod chroom_primitives_verify {
        pub use sp_runtime::traits::Verify;
    }
}
