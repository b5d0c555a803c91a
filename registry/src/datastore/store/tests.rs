//! What is stored, found again, and survives a restart.

use super::*;
use crate::{
    qos::attestation::Attestation,
    testing::{GENESIS, draft, resign, wallet},
};
use chroom_primitives::{AccountId, H3Cell, Role, merkle::Root, record::SessionGrant};

const NOW: UnixMs = 1_800_000_000_000;

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path(), &GENESIS).unwrap()
}

#[test]
fn the_index_follows_a_node_that_moves() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let node = wallet(1);
    let here = Versions::restore(vec![resign(&node, draft(&node, Role::Media, NOW))]).unwrap();
    let mut moved = draft(&node, Role::Media, NOW + 1);
    // Singapore.
    moved.cell = H3Cell(0x0846_520d_ffff_ffff);
    let there = Versions::restore(vec![resign(&node, moved.clone())]).unwrap();
    let at = |cell: H3Cell| PlaceKey::from(cell)..=PlaceKey::from(cell);
    store.put_versions(&node.node_id(), None, &here, Durability::Synced).unwrap();
    assert_eq!(store.nodes_in(&at(crate::testing::BERLIN), 9).unwrap(), [node.node_id()]);
    store.put_versions(&node.node_id(), Some(&here), &there, Durability::Buffered).unwrap();
    assert!(store.nodes_in(&at(crate::testing::BERLIN), 9).unwrap().is_empty());
    assert_eq!(store.nodes_in(&at(moved.cell), 9).unwrap(), [node.node_id()]);
    drop(store);
    let store = open(&folder);
    assert_eq!(store.all_versions().unwrap(), [(node.node_id(), there.clone())]);
    store.remove_versions(&node.node_id(), &there).unwrap();
    assert!(store.all_versions().unwrap().is_empty() && store.nodes_in(&at(moved.cell), 9).unwrap().is_empty());
}

#[test]
fn an_epochs_receipts_are_a_range_per_node() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let orchestrator = wallet(9);
    for node in [1u8, 2] {
        let grant = SessionGrant {
            orchestrator: orchestrator.node_id(),
            node: NodeId([node; 20]),
            session: [7; 16],
            application: AccountId::new([8; 32]),
            receipt_key: [2; 33],
            started_ms: NOW,
            expires_ms: NOW + 1_000_000,
        };
        let session = Session::new(orchestrator.sign(grant, &GENESIS), AccountId::new([1; 32]));
        let receipts: Vec<StoredReceipt> = (1..=10)
            .map(|seq| StoredReceipt {
                seq,
                from_ms: NOW + seq * 5_000 - 5_000,
                to_ms: NOW + seq * 5_000,
                rx_packets: 1,
                rx_lost: 0,
                rx_bytes: 1,
                tx_bytes: 1,
                rtt_ms: 1,
                jitter_ms: 1,
                wanted_kbps: 0,
                delivered_kbps: 0,
                payload: "{}".into(),
                signature: vec![0; 64],
            })
            .collect();
        store.put_receipts(&session, &receipts).unwrap();
    }
    drop(store);
    let store = open(&folder);
    let node = NodeId([1; 20]);
    let seqs = |from, to| -> Vec<u64> {
        store.receipts(&node, from, to).unwrap().into_iter().map(|(_, receipt)| receipt.seq).collect()
    };
    assert_eq!(seqs(NOW + 10_000, NOW + 25_000), [2, 3, 4], "the end belongs to the next epoch");
    assert_eq!(seqs(NOW, NOW + 1_000_000).len(), 10);
    assert!(store.session(&[7; 16], &node).unwrap().is_some());
    assert!(store.session(&[7; 16], &NodeId([3; 20])).unwrap().is_none());
    store.forget_before(NOW + 30_000).unwrap();
    assert_eq!(seqs(NOW, NOW + 1_000_000), [6, 7, 8, 9, 10]);
}

#[test]
fn a_sweep_drops_all_that_is_over_however_much_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    // More than two batches of two nodes, and between them what stays.
    let old = SWEEP_BATCH as u64 + 500;
    let (first, second) = (NodeId([1; 20]), NodeId([2; 20]));
    for node in [first, second] {
        let family = store.family(PROBES).unwrap();
        let mut batch = WriteBatch::default();
        for n in 0..old + 10 {
            let probe = Probe { at_ms: NOW + n, rtt_ms: Some(1) };
            batch.put_cf(&family, node_time_key(&node, probe.at_ms), probe.encode());
        }
        store.write(batch, Durability::Buffered).unwrap();
    }
    store.forget_before(NOW + old).unwrap();
    for node in [first, second] {
        let left = store.probes(&node, 0, UnixMs::MAX).unwrap();
        assert_eq!(
            left.iter().map(|probe| probe.at_ms).collect::<Vec<_>>(),
            (NOW + old..NOW + old + 10).collect::<Vec<_>>()
        );
    }
    // Nothing to do is no harm.
    store.forget_before(NOW + old).unwrap();
}

#[test]
fn the_last_64_snapshots_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for epoch in 0..70 {
        let snapshot = Snapshot { epoch: QosEpoch(epoch), at_ms: NOW, records: Vec::new() };
        store.put_epoch(&Attestation::new(QosEpoch(epoch), Vec::new(), Root::default()), &snapshot).unwrap();
    }
    let kept = store.snapshot_epochs().unwrap();
    assert_eq!((kept.len(), kept.first(), kept.last()), (64, Some(&QosEpoch(6)), Some(&QosEpoch(69))));
    assert!(store.snapshot(QosEpoch(5)).unwrap().is_none());
    assert!(store.attestation(QosEpoch(0)).unwrap().is_some());
    store.mark_submitted(QosEpoch(69)).unwrap();
    assert!(store.last_attestation().unwrap().unwrap().submitted);
}

#[test]
fn liveness_survives_in_few_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let slots: BTreeSet<u64> = (100..900).chain([1_000]).chain(2_000..2_002).collect();
    assert_eq!(runs(&slots), [(100, 800), (1_000, 1), (2_000, 2)]);
    store.put_liveness(&NodeId([1; 20]), &slots).unwrap();
    assert_eq!(store.all_liveness().unwrap(), [(NodeId([1; 20]), slots)]);
}

#[test]
fn a_folder_belongs_to_one_network() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    assert!(matches!(Store::open(folder.path(), &Hash::zero()), Err(StoreError::OtherNetwork { .. })));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(empty.path()), Err(StoreError::Absent(_))));
}
