//! Node ids of libp2p peers.

use chroom_primitives::NodeId;
use libp2p_identity::{PeerId, PublicKey};

/// The node whose key a libp2p peer has; none if the key is not secp256k1.
pub fn node_id_of_peer(key: &PublicKey) -> Option<NodeId> {
    let key = key.clone().try_into_secp256k1().ok()?;
    let bytes = key.to_bytes_uncompressed();
    let coordinates: &[u8; 64] = bytes.get(1..)?.try_into().ok()?;
    Some(NodeId::from_uncompressed_key(coordinates))
}

/// The node behind a peer id; none if the id does not carry a secp256k1 key. (Ids of such keys carry the whole key, being
/// short: libp2p's peer-id specification, "identity" multihash up to 42 bytes.)
pub fn node_id_of_peer_id(peer: &PeerId) -> Option<NodeId> {
    /// Code of the identity hash in multihash's table.
    const IDENTITY: u64 = 0;
    let hash = peer.as_ref();
    if hash.code() != IDENTITY {
        return None;
    }
    node_id_of_peer(&PublicKey::try_decode_protobuf(hash.digest()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wallet;

    #[test]
    fn the_peer_of_a_wallet_is_the_same_node() {
        let wallet = Wallet::generate();
        let key = wallet.libp2p_keypair().public();
        assert_eq!(node_id_of_peer(&key), Some(wallet.node_id()));
        assert_eq!(node_id_of_peer_id(&key.to_peer_id()), Some(wallet.node_id()));
    }

    #[test]
    fn a_known_key_is_its_known_peer() {
        // Secret 0x01: the generator itself.
        let mut secret = [0u8; 32];
        secret[31] = 1;
        let key = Wallet::from_secret(&secret).unwrap();
        assert_eq!(key.node_id().to_hex(), "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        let hash = key.libp2p_keypair().public().to_peer_id();
        assert!(hash.to_base58().starts_with("16Uiu2HA"), "{hash}");
    }

    #[test]
    fn other_kinds_of_key_are_no_node() {
        let key = PublicKey::try_decode_protobuf(&{
            // Ed25519 key of 32 bytes: the base point's encoding.
            let mut protobuf = vec![8, 1, 18, 32, 0x58];
            protobuf.extend_from_slice(&[0x66; 31]);
            protobuf
        });
        // Built without Ed25519 support the key is refused earlier: either way it is no node.
        assert_eq!(key.ok().and_then(|key| node_id_of_peer(&key)), None);
    }
}
