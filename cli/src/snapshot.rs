//! Recomputes a registry snapshot's root from the signed records that a registry serves.

use chroom_primitives::{
    Hash, NodeId, Signed, SnapshotLeaf,
    merkle::{Root, Tree},
    record::NodeRecord,
};
use codec::Decode;
use serde::Deserialize;

/// A snapshot as a registry serves it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Snapshot {
    /// The root that the registry says it has.
    root: Root,
    /// SCALE `Signed<NodeRecord>`, hex with 0x.
    records: Vec<String>,
}

/// A snapshot is not what it claims to be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A record cannot be read.
    #[error("record {0} cannot be read")]
    Malformed(usize),
    /// A record is not signed by its node.
    #[error("the record of {0} is not signed by it")]
    Signature(NodeId),
    /// The nodes are not in order, or one is there twice.
    #[error("the records are not ordered by node")]
    Order,
    /// The registry's own root is another.
    #[error("its records give another root than it says")]
    Root,
}

impl Snapshot {
    /// Checks each record's signature for the network with this genesis hash, and builds the tree over their leaves.
    pub fn recompute(&self, genesis: &Hash) -> Result<Root, SnapshotError> {
        let mut leaves = Vec::with_capacity(self.records.len());
        for (index, text) in self.records.iter().enumerate() {
            let bytes = hex::decode(text.trim_start_matches("0x")).map_err(|_| SnapshotError::Malformed(index))?;
            let signed: Signed<NodeRecord> =
                Signed::decode(&mut bytes.as_slice()).map_err(|_| SnapshotError::Malformed(index))?;
            let node = signed.payload.node;
            if signed.signer(genesis) != Some(node) {
                return Err(SnapshotError::Signature(node));
            }
            leaves.push(SnapshotLeaf { node, seq: signed.payload.seq, record_hash: signed.payload.hash() });
        }
        if !leaves.is_sorted_by(|a, b| a.node < b.node) {
            return Err(SnapshotError::Order);
        }
        let root = Tree::new(&leaves).root();
        if root == self.root { Ok(root) } else { Err(SnapshotError::Root) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::{CapacityClass, H3Cell, Role};
    use chroom_wallet::Wallet;
    use codec::Encode;

    const GENESIS: Hash = Hash::repeat_byte(7);

    fn signed() -> Signed<NodeRecord> {
        let wallet = Wallet::generate();
        let record = NodeRecord {
            node: wallet.node_id(),
            seq: 1 << 40,
            expires_ms: 1 << 30,
            role: Role::Media,
            cell: H3Cell(0),
            rpc: "127.0.0.1:7400".parse().unwrap(),
            public_url: Default::default(),
            p2p: Default::default(),
            class: CapacityClass::Small,
            version: Default::default(),
            left: false,
        };
        wallet.sign(record, &GENESIS)
    }

    fn snapshot(records: &[Signed<NodeRecord>], root: Root) -> Snapshot {
        Snapshot { root, records: records.iter().map(|record| format!("0x{}", hex::encode(record.encode()))).collect() }
    }

    #[test]
    fn the_root_is_recomputed_and_lies_are_found() {
        let mut records: Vec<_> = (0..5).map(|_| signed()).collect();
        records.sort_by_key(|record| record.payload.node);
        let leaves: Vec<SnapshotLeaf> = records
            .iter()
            .map(|record| SnapshotLeaf { node: record.payload.node, seq: 1 << 40, record_hash: record.payload.hash() })
            .collect();
        let root = Tree::new(&leaves).root();
        assert_eq!(snapshot(&records, root).recompute(&GENESIS), Ok(root));
        let first = records[0].payload.node;
        assert_eq!(snapshot(&records, root).recompute(&Hash::zero()), Err(SnapshotError::Signature(first)));
        assert_eq!(snapshot(&records[1..], root).recompute(&GENESIS), Err(SnapshotError::Root));
        let mut tampered = records.clone();
        tampered[3].payload.role = Role::Orchestrator;
        let node = tampered[3].payload.node;
        assert_eq!(snapshot(&tampered, root).recompute(&GENESIS), Err(SnapshotError::Signature(node)));
        let mut swapped = records.clone();
        swapped.swap(0, 1);
        assert_eq!(snapshot(&swapped, root).recompute(&GENESIS), Err(SnapshotError::Order));
        let mut twice = records;
        twice.insert(0, twice[0].clone());
        assert_eq!(snapshot(&twice, root).recompute(&GENESIS), Err(SnapshotError::Order));
        let rubbish = Snapshot { root, records: vec!["0xzz".into()] };
        assert_eq!(rubbish.recompute(&GENESIS), Err(SnapshotError::Malformed(0)));
    }
}
