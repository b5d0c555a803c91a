//! What the tests of this crate build records with.

use chroom_primitives::{CapacityClass, H3Cell, Hash, Role, Signed, UnixMs, record::NodeRecord};
use chroom_wallet::Wallet;

pub(crate) const GENESIS: Hash = Hash::repeat_byte(0x42);
/// Berlin, resolution 5.
pub(crate) const BERLIN: H3Cell = H3Cell(0x0851_f1d4_bfff_ffff);

pub(crate) fn wallet(n: u8) -> Wallet {
    Wallet::from_secret(&[n + 1; 32]).unwrap()
}

pub(crate) fn draft(wallet: &Wallet, role: Role, made: UnixMs) -> NodeRecord {
    NodeRecord {
        node: wallet.node_id(),
        seq: made << 16,
        expires_ms: made + NodeRecord::MAX_LIFETIME_MS,
        role,
        cell: BERLIN,
        rpc: "127.0.0.1:7400".parse().unwrap(),
        public_url: b"http://127.0.0.1:7600".to_vec().try_into().unwrap(),
        p2p: Default::default(),
        class: CapacityClass::Small,
        version: b"0.1.0".to_vec().try_into().unwrap(),
        left: false,
    }
}

pub(crate) fn resign(wallet: &Wallet, record: NodeRecord) -> Signed<NodeRecord> {
    wallet.sign(record, &GENESIS)
}
