use super::*;
use crate::{chain::ChainState, simulated};
use chroom_primitives::{
    H3Cell, Signed,
    epoch::EpochInfo,
    record::{LoadReport, next_seq},
};
use chroom_wallet::Wallet;
use codec::Encode;

fn genesis() -> Hash {
    Hash::repeat_byte(9)
}

fn chain(nodes: &[(&Wallet, Role, NodeStatus)]) -> Arc<ChainState> {
    let nodes = nodes
        .iter()
        .map(|(wallet, role, status)| {
            let mut registration = simulated::media_node(1, H3Cell(0x0851_f8d5_bfff_ffff), 0).registration;
            registration.node = wallet.node_id();
            registration.role = *role;
            registration.status = *status;
            (wallet.node_id(), registration)
        })
        .collect();
    let epoch = EpochInfo {
        current: QosEpoch(0),
        started_at: 1,
        started_ms: 0,
        length: 8,
        submit_window: 4,
        committee_size: 3,
    };
    Arc::new(ChainState { block: 1, epoch, nodes })
}

fn record(wallet: &Wallet, now: UnixMs) -> NodeRecord {
    NodeRecord { node: wallet.node_id(), ..simulated::media_node(1, H3Cell(0x0851_f8d5_bfff_ffff), now).record }
}

fn entry(wallet: &Wallet, record: NodeRecord) -> v1::Entry {
    let node = record.node;
    v1::Entry { node: node.0.to_vec(), signed_record: wallet.sign(record, &genesis()).encode(), ..Default::default() }
}

fn loaded(wallet: &Wallet, mut entry: v1::Entry, seq: u64) -> v1::Entry {
    let mut report: LoadReport = simulated::media_node(1, H3Cell(0), 0).load.unwrap().report;
    report.node = wallet.node_id();
    report.seq = seq;
    entry.signed_load = wallet.sign(report, &genesis()).encode();
    entry
}

const F: Follower = Follower(0);

#[test]
fn a_staked_node_with_its_own_signature_is_known() {
    let wallet = Wallet::generate();
    let now = now_ms();
    let index = Index::new(genesis(), chain(&[(&wallet, Role::Media, NodeStatus::Active)]));
    let seq = next_seq(0, now);
    let entry = loaded(&wallet, entry(&wallet, record(&wallet, now)), seq);
    assert_eq!(index.upsert(F, &entry, now), Ok(wallet.node_id()));
    assert_eq!(index.media_nodes().len(), 1);
    assert_eq!(index.node(&wallet.node_id()).unwrap().load.unwrap().report.seq, seq);
}

#[test]
fn without_a_stake_or_with_a_wrong_key_it_is_not() {
    let (staked, poor, thief) = (Wallet::generate(), Wallet::generate(), Wallet::generate());
    let now = now_ms();
    let index = Index::new(genesis(), chain(&[(&staked, Role::Media, NodeStatus::Active)]));
    assert_eq!(
        index.upsert(F, &entry(&poor, record(&poor, now)), now),
        Err(Refused::Outsider(Outsider::NotRegistered))
    );
    let forged = entry(&thief, record(&staked, now));
    assert!(matches!(index.upsert(F, &forged, now), Err(Refused::WrongKey { .. })));
    let registry = NodeRecord { role: Role::Registry, ..record(&staked, now) };
    assert!(matches!(
        index.upsert(F, &entry(&staked, registry), now),
        Err(Refused::Outsider(Outsider::WrongRole { .. }))
    ));
    assert!(index.media_nodes().is_empty());
    // A load report by another key doesn't pass either.
    let mut good = entry(&staked, record(&staked, now));
    good.signed_load = loaded(&thief, good.clone(), 5).signed_load;
    assert!(index.upsert(F, &good, now).is_err());
}

#[test]
fn another_networks_record_is_refused() {
    let wallet = Wallet::generate();
    let now = now_ms();
    let index = Index::new(genesis(), chain(&[(&wallet, Role::Media, NodeStatus::Active)]));
    let mut entry = entry(&wallet, record(&wallet, now));
    let signed: Signed<NodeRecord> = wallet.sign(record(&wallet, now), &Hash::repeat_byte(1));
    entry.signed_record = signed.encode();
    assert!(matches!(index.upsert(F, &entry, now), Err(Refused::WrongKey { .. })));
}

#[test]
fn the_chain_can_admit_later_and_turn_away_again() {
    let wallet = Wallet::generate();
    let now = now_ms();
    let index = Index::new(genesis(), chain(&[]));
    assert!(index.upsert(F, &entry(&wallet, record(&wallet, now)), now).is_err());
    index.follow_chain(chain(&[(&wallet, Role::Media, NodeStatus::Active)]));
    assert_eq!(index.media_nodes().len(), 1);
    assert_eq!(index.leaving(&wallet.node_id()), None);
    index.follow_chain(chain(&[(&wallet, Role::Media, NodeStatus::Draining)]));
    assert!(index.leaving(&wallet.node_id()).unwrap().contains("draining"));
    index.follow_chain(chain(&[(&wallet, Role::Media, NodeStatus::Jailed)]));
    assert!(index.media_nodes().is_empty());
}

#[test]
fn the_newest_record_wins_whichever_registry_sends_it() {
    let wallet = Wallet::generate();
    let now = now_ms();
    let index = Index::new(genesis(), chain(&[(&wallet, Role::Media, NodeStatus::Active)]));
    let old = record(&wallet, now);
    let new = NodeRecord { seq: old.seq + 1, public_url: b"http://new".to_vec().try_into().unwrap(), ..old.clone() };
    index.upsert(F, &entry(&wallet, new), now).unwrap();
    index.upsert(Follower(1), &entry(&wallet, old), now).unwrap();
    assert_eq!(index.node(&wallet.node_id()).unwrap().public_url(), "http://new");
    // One registry loses it; the other still has it.
    index.remove(F, &wallet.node_id());
    assert_eq!(index.media_nodes().len(), 1);
    index.synced(Follower(1), &BTreeSet::new());
    assert!(index.media_nodes().is_empty());
}

#[test]
fn what_callers_say_is_known_of_the_node_and_goes_with_it() {
    let wallet = Wallet::generate();
    let id = wallet.node_id();
    let now = now_ms();
    let index = Index::new(genesis(), chain(&[(&wallet, Role::Media, NodeStatus::Active)]));
    let enter = || index.upsert(F, &entry(&wallet, record(&wallet, now)), now).unwrap();
    let complain = || (0..4).for_each(|session| index.caller(id, [session; 16], Score(3_000), now));
    complain();
    enter();
    assert_eq!(index.node(&id).unwrap().failed_in, None, "nobody knew the node then");
    complain();
    assert_eq!(index.node(&id).unwrap().failed_in, Some(crate::allocation::turn::Turn::at(now)));
    index.remove(F, &id);
    enter();
    assert_eq!(index.node(&id).unwrap().failed_in, None);
}
