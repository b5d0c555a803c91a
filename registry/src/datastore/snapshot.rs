//! Snapshots: the register as it was at an epoch's end, in a form that all registries agree on.

use super::merge::Versions;
use chroom_primitives::{
    Hash, NodeId, QosEpoch, Signed, SnapshotLeaf, UnixMs,
    merkle::{Root, Tree},
    record::NodeRecord,
};
use codec::{Decode, Encode};
use std::collections::BTreeSet;

/// Records made later than this before the cut are left out, so that the last ones have reached every registry.
pub const SETTLE_MS: u64 = 10_000;
/// Snapshots kept on disk.
pub const KEEP: u32 = 64;

/// The register at the end of an epoch.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Snapshot {
    /// The epoch that ended.
    pub epoch: QosEpoch,
    /// Unix time in milliseconds of the first block of the next epoch.
    pub at_ms: UnixMs,
    /// The records, ordered by node.
    pub records: Vec<Signed<NodeRecord>>,
}

impl Snapshot {
    /// Cuts the register: of each member the record with the greatest `seq` whose time is [`SETTLE_MS`] before `at_ms` or earlier, if it is
    /// unexpired at `at_ms` and no farewell.
    pub fn cut<'a>(
        epoch: QosEpoch,
        at_ms: UnixMs,
        members: &BTreeSet<NodeId>,
        versions: impl Fn(&NodeId) -> Option<&'a Versions>,
    ) -> Self {
        let settled = at_ms.saturating_sub(SETTLE_MS);
        let records = members
            .iter()
            .filter_map(|node| versions(node)?.at(settled))
            .filter(|v| !v.signed.payload.left && at_ms <= v.signed.payload.expires_ms)
            .map(|v| v.signed.clone())
            .collect();
        Self { epoch, at_ms, records }
    }

    /// The leaves, ordered by node.
    pub fn leaves(&self) -> Vec<SnapshotLeaf> {
        self.records
            .iter()
            .map(|signed| SnapshotLeaf {
                node: signed.payload.node,
                seq: signed.payload.seq,
                record_hash: signed.payload.hash(),
            })
            .collect()
    }

    /// The root that goes on chain.
    pub fn root(&self) -> Root {
        Tree::new(&self.leaves()).root()
    }

    /// Nodes whose records their signatures do not fit: none, unless the data was tampered with.
    pub fn forged(&self, genesis: &Hash) -> Vec<NodeId> {
        self.records
            .iter()
            .filter(|signed| signed.signer(genesis) != Some(signed.payload.node))
            .map(|signed| signed.payload.node)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datastore::merge::{Book, Standing},
        testing::{GENESIS, draft, resign, wallet},
    };
    use chroom_primitives::Role;

    #[test]
    fn registries_that_got_records_in_other_orders_cut_the_same() {
        let cut = 1_800_000_000_000;
        let [a, b, c] = [wallet(1), wallet(2), wallet(3)];
        let mut left = draft(&c, Role::Media, cut - 20_000);
        left.left = true;
        let mut short = draft(&b, Role::Media, cut - 50_000);
        short.expires_ms = cut - 1;
        let mut records = vec![
            resign(&a, draft(&a, Role::Media, cut - 60_000)),
            resign(&a, draft(&a, Role::Media, cut - 9_000)),
            resign(&a, draft(&a, Role::Media, cut + 3_000)),
            resign(&b, short),
            resign(&c, draft(&c, Role::Media, cut - 80_000)),
            resign(&c, left),
        ];
        let members: BTreeSet<NodeId> = [&a, &b, &c].map(|w| w.node_id()).into();
        let mut roots = Vec::new();
        for _ in 0..2 {
            let mut book = Book::default();
            for record in &records {
                book.merge(record.clone(), Standing::Member(Role::Media), &GENESIS, cut + 5_000);
            }
            let snapshot = Snapshot::cut(QosEpoch(1), cut, &members, |node| book.versions(node));
            assert_eq!(snapshot.records.len(), 1, "b expired and c left");
            assert_eq!(
                snapshot.records[0],
                records.iter().find(|r| r.payload.seq >> 16 == cut - 60_000).unwrap().clone()
            );
            assert!(snapshot.forged(&GENESIS).is_empty());
            roots.push(snapshot.root());
            records.reverse();
        }
        assert_eq!(roots[0], roots[1]);
    }
}
