//! Nodes that exist from genesis on.

use crate::{GenesisNode, NodeParameters, mock::*};
use chroom_primitives::{CHR, CapacityClass, NodeStatus, QosEpoch, Role};
use frame_support::traits::{BuildGenesisConfig, fungible::InspectHold};
use sp_runtime::Perbill;

fn node(seed: u8, role: Role) -> GenesisNode {
    GenesisNode {
        node: Key::new(seed).id(),
        owner: ALICE,
        role,
        class: CapacityClass::Medium,
        cell: cell(),
        endpoint: endpoint(),
        price_per_gib: if role == Role::Media { CHR } else { 0 },
    }
}

#[test]
fn they_are_bonded_active_and_have_a_share_of_the_first_epoch() {
    externalities(vec![node(1, Role::Media), node(2, Role::Registry)]).execute_with(|| {
        let media = Nodes::registration(Key::new(1).id()).unwrap();
        assert_eq!((media.status, media.bond), (NodeStatus::Active, 400 * CHR));
        assert_eq!(Nodes::terms(&media.node, QosEpoch(0)).unwrap().weight, 4);
        assert_eq!(crate::ActiveMediaWeight::<Test>::get(), 4);
        assert_eq!(Nodes::key_proof_nonce(media.node), 1);
        assert_eq!(Balances::balance_on_hold(&crate::HoldReason::Deposit.into(), &ALICE), 2 * DEPOSIT);
        Nodes::do_try_state().unwrap();
    });
}

#[test]
#[should_panic(expected = "node parameters are out of range")]
fn shares_above_all_of_a_slash_stop_genesis() {
    let parameters = NodeParameters { treasury_share: Perbill::one(), ..parameters() };
    let genesis = crate::GenesisConfig::<Test> { parameters, ..Default::default() };
    sp_io::TestExternalities::default().execute_with(|| genesis.build());
}

#[test]
#[should_panic(expected = "genesis nodes are valid")]
fn a_node_cannot_exist_twice_at_genesis() {
    externalities(vec![node(1, Role::Media), node(1, Role::Registry)]);
}

#[test]
#[should_panic(expected = "genesis nodes are valid")]
fn an_owner_without_means_stops_genesis() {
    externalities(vec![GenesisNode { owner: PAUPER, ..node(1, Role::Media) }]);
}
