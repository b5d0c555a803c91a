//! What an EVM wallet signs as typed data (EIP-712): the wallet shows the operator each value, not a hash.
//!
//! The domain has a name, a version and the genesis hash as salt, which separates networks. It has no chain id, because wallets refuse
//! to sign for a chain id that they aren't connected to.

use crate::{Balance, CapacityClass, Hash, NodeId, Role, signed::EthereumSignature};
use alloc::vec::Vec;
use sp_crypto_hashing::keccak_256;

/// Name of the domain.
pub const DOMAIN_NAME: &str = "Chroom";
/// Version of the domain.
pub const DOMAIN_VERSION: &str = "1";
/// Type of the domain, as EIP-712 encodes it.
pub const DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,bytes32 salt)";

/// A value as EIP-712 hashes it.
type Word = [u8; 32];

fn text(value: &str) -> Word {
    keccak_256(value.as_bytes())
}

fn number(value: u128) -> Word {
    let mut word = [0u8; 32];
    word.split_at_mut(16).1.copy_from_slice(&value.to_be_bytes());
    word
}

fn address(value: &NodeId) -> Word {
    let mut word = [0u8; 32];
    word.split_at_mut(12).1.copy_from_slice(&value.0);
    word
}

fn hash_words(words: &[Word]) -> Word {
    keccak_256(&words.concat())
}

/// The domain separator of the network with this genesis hash.
pub fn domain_separator(genesis: &Hash) -> [u8; 32] {
    hash_words(&[text(DOMAIN_TYPE), text(DOMAIN_NAME), text(DOMAIN_VERSION), genesis.0])
}

/// An operator's word that a node may register itself with the operator as its owner, and that the bond may be put on hold at
/// the operator's account. Signed by the operator's EVM wallet; the owner is who signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeRegistration {
    /// The node.
    pub node: NodeId,
    /// What it will do.
    pub role: Role,
    /// Its capacity class.
    pub class: CapacityClass,
    /// The bond, in the smallest unit; exactly this.
    pub bond: Balance,
    /// The owner's authorisation nonce: 0 at first, then one more after each use.
    pub nonce: u32,
    /// Last block at which it may be used.
    pub expires_at: u32,
}

impl NodeRegistration {
    /// Name of the primary type.
    pub const NAME: &'static str = "NodeRegistration";
    /// The primary type, as EIP-712 encodes it.
    pub const TYPE: &'static str = "NodeRegistration(address node,string role,string capacityClass,uint256 bond,\
        uint256 nonce,uint256 expiresAtBlock)";

    /// `hashStruct` of the message.
    pub fn struct_hash(&self) -> [u8; 32] {
        hash_words(&[
            text(Self::TYPE),
            address(&self.node),
            text(self.role.name()),
            text(self.class.name()),
            number(self.bond),
            number(self.nonce.into()),
            number(self.expires_at.into()),
        ])
    }

    /// The hash that a wallet signs on the network with this genesis hash.
    pub fn signing_hash(&self, genesis: &Hash) -> [u8; 32] {
        let mut input: Vec<u8> = Vec::with_capacity(66);
        input.extend_from_slice(b"\x19\x01");
        input.extend_from_slice(&domain_separator(genesis));
        input.extend_from_slice(&self.struct_hash());
        keccak_256(&input)
    }

    /// The address that signed this for the network with this genesis hash, if the signature is one.
    pub fn signer(&self, signature: &EthereumSignature, genesis: &Hash) -> Option<NodeId> {
        signature.recover_hash(&self.signing_hash(genesis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signable;
    use sp_core::{Pair, ecdsa};

    /// What another implementation (the Python package eth-account) made of the same message and the first key of Hardhat.
    struct Vector {
        genesis: Hash,
        message: NodeRegistration,
        domain: &'static str,
        structure: &'static str,
        hash: &'static str,
        signature: &'static str,
    }

    const SIGNER: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

    fn vectors() -> [Vector; 3] {
        [
            Vector {
                genesis: Hash::repeat_byte(5),
                message: NodeRegistration {
                    node: "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".parse().unwrap(),
                    role: Role::Media,
                    class: CapacityClass::Small,
                    bond: 100 * crate::CHR,
                    nonce: 0,
                    expires_at: 1_200,
                },
                domain: "b26f0d05675150db61df22971b4c6e1285e501f33e8ccf09936d654d953c7bc1",
                structure: "ec4a9fd640e3ac1662d9b2a70c88d360e6418cd6311eb9a9402b2c458dd5894a",
                hash: "62518d33f16baf087abc26b3b7a6786e49feaf3d8e8e69a8191cf89f16957b22",
                signature: "763bf885d762eaebdc4de34dc6a7e13d06c7b9229a954fb46064aae0e861ba24\
                    30cfeaece33f0f52b0fd48f708a34adcd79c90df544195ed00704a7bca2cd11d1b",
            },
            Vector {
                genesis: Hash::from(core::array::from_fn(|index| index as u8)),
                message: NodeRegistration {
                    node: SIGNER.parse().unwrap(),
                    role: Role::Orchestrator,
                    class: CapacityClass::Medium,
                    bond: u128::MAX,
                    nonce: u32::MAX,
                    expires_at: u32::MAX,
                },
                domain: "01e515a2075ae4cbbce887ac27e1ec21579875d3a588dcf968fe2299d88f0cbd",
                structure: "398099fe62fb6a1f4d5e77af1a1268730f12c49852969f48b7b12b364dbe8e7b",
                hash: "c9b98b948a05f8c8500f3639213a4538f6eb5b930bf2e5577eea853d02fe0a4e",
                signature: "36a973d7a0348bde39a429ce1222679a856ff3803b619afeda5119bf62f4c2fc\
                    46486355e4f43a673cf513f2f0a695db41604295e51cfe74f346d9a4f422d8351b",
            },
            Vector {
                genesis: Hash::zero(),
                message: NodeRegistration {
                    node: NodeId::default(),
                    role: Role::Registry,
                    class: CapacityClass::Large,
                    bond: 0,
                    nonce: 0,
                    expires_at: 0,
                },
                domain: "53133b9475ac2d06ccbd7c66e30b7572e719b2311c7fc19b7ad470c19ebcdedb",
                structure: "9877ce8a59be8f147c0693eb71a045ff869b8416930935dfcf99ff9b3f06ad26",
                hash: "32602b37feeaf415d3d94a69c9e0ff68e8a12298df078ea76edcc4a5284952c0",
                signature: "f871af38ad716fe1be43877d8bf2e6c3d61a69df948857310ec97b23779609c1\
                    689c1a4059500d5aa28de730b5c65317ab279e4df1bec890486ffc8a826dcf651b",
            },
        ]
    }

    #[test]
    fn hashes_are_those_of_another_implementation() {
        for Vector { genesis, message, domain, structure, hash, .. } in vectors() {
            assert_eq!(hex::encode(domain_separator(&genesis)), domain);
            assert_eq!(hex::encode(message.struct_hash()), structure);
            assert_eq!(hex::encode(message.signing_hash(&genesis)), hash);
        }
    }

    #[test]
    fn a_wallets_signature_names_the_wallet() {
        for Vector { genesis, message, signature, .. } in vectors() {
            let signature = EthereumSignature(hex::decode(signature).unwrap().try_into().unwrap());
            assert_eq!(message.signer(&signature, &genesis), Some(SIGNER.parse().unwrap()));
        }
    }

    #[test]
    fn a_signature_fits_one_message_and_network_only() {
        let [Vector { genesis, message, .. }, ..] = vectors();
        let key = ecdsa::Pair::from_seed(&[1; 32]);
        let signature = EthereumSignature(key.sign_prehashed(&message.signing_hash(&genesis)).0);
        let signer = message.signer(&signature, &genesis);
        assert!(signer.is_some());
        let others = [
            NodeRegistration { node: NodeId([1; 20]), ..message },
            NodeRegistration { role: Role::Registry, ..message },
            NodeRegistration { class: CapacityClass::Large, ..message },
            NodeRegistration { bond: message.bond + 1, ..message },
            NodeRegistration { nonce: 1, ..message },
            NodeRegistration { expires_at: message.expires_at + 1, ..message },
        ];
        for other in others {
            assert_ne!(other.signer(&signature, &genesis), signer, "{other:?}");
        }
        assert_ne!(message.signer(&signature, &Hash::zero()), signer);
    }

    #[test]
    fn typed_data_and_records_never_share_a_hash() {
        // What `personal_sign` hashes begins with \x19E, typed data with \x19\x01.
        let [Vector { genesis, message, .. }, ..] = vectors();
        let proof = crate::record::KeyProof {
            node: message.node,
            owner: message.node.account(),
            role: message.role,
            nonce: message.nonce,
            expires_at: message.expires_at,
        };
        assert_ne!(proof.signing_hash(&genesis), message.signing_hash(&genesis));
    }

    #[test]
    fn names_are_those_in_json() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        for class in CapacityClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        }
    }

    #[test]
    fn the_type_names_the_fields_in_order() {
        assert_eq!(
            NodeRegistration::TYPE,
            "NodeRegistration(address node,string role,string capacityClass,uint256 bond,uint256 nonce,uint256 expiresAtBlock)"
        );
        assert!(NodeRegistration::TYPE.starts_with(NodeRegistration::NAME));
    }
}
