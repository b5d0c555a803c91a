//! Two contradicting records cost part of the bond.

use crate::{Error, Event, mock::*};
use chroom_primitives::{CHR, NodeStatus, Role, Signed, evidence::RecordEquivocation, record::NodeRecord};
use frame_support::{
    assert_noop, assert_ok,
    dispatch::Pays,
    traits::fungible::{Inspect, InspectHold},
};

fn by(seed: u8, payload: NodeRecord) -> Signed<NodeRecord> {
    let signature = Key::new(seed).sign(&payload);
    Signed { payload, signature }
}

fn evidence(seed: u8, seq: u64) -> Box<RecordEquivocation> {
    let other = NodeRecord { left: true, ..record(seed, seq) };
    Box::new(RecordEquivocation { first: by(seed, record(seed, seq)), second: by(seed, other) })
}

#[test]
fn the_node_pays_and_the_reporter_gets_a_share() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let issuance = Balances::total_issuance();
        let reported = Nodes::report_equivocation(signed(BOB), evidence(1, 5)).unwrap();
        assert_eq!(reported.pays_fee, Pays::No);
        let held = Balances::balance_on_hold(&crate::HoldReason::Bond.into(), &ALICE);
        assert_eq!(held, 90 * CHR);
        assert_eq!(Nodes::registration(node).unwrap().bond, 90 * CHR);
        assert_eq!(Nodes::registration(node).unwrap().status, NodeStatus::Jailed);
        assert_eq!(Balances::balance(&BOB), WEALTH + 2 * CHR);
        // The mock burns the rest.
        assert_eq!(Balances::total_issuance(), issuance - 8 * CHR);
        System::assert_has_event(Event::Slashed { node, amount: 10 * CHR, reporter: Some(BOB) }.into());
        // Back in service only with the full bond.
        System::set_block_number(6);
        assert_noop!(Nodes::resume(signed(ALICE), node), Error::<Test>::BondTooLow);
        assert_ok!(Nodes::add_bond(signed(ALICE), node, 10 * CHR));
        assert_ok!(Nodes::resume(signed(ALICE), node));
    });
}

#[test]
fn the_same_evidence_works_once() {
    run(|| {
        register(ALICE, 1, Role::Media);
        assert_ok!(Nodes::report_equivocation(signed(BOB), evidence(1, 5)));
        assert_noop!(Nodes::report_equivocation(signed(BOB), evidence(1, 5)), Error::<Test>::EvidenceSpent);
        assert_noop!(Nodes::report_equivocation(signed(BOB), evidence(1, 4)), Error::<Test>::EvidenceSpent);
        assert_ok!(Nodes::report_equivocation(signed(BOB), evidence(1, 6)));
    });
}

#[test]
fn what_shows_no_contradiction_is_refused() {
    run(|| {
        register(ALICE, 1, Role::Media);
        let refuse = |first, second| {
            let evidence = Box::new(RecordEquivocation { first, second });
            assert_noop!(Nodes::report_equivocation(signed(BOB), evidence), Error::<Test>::InvalidEvidence);
        };
        let (one, other) = (record(1, 5), NodeRecord { left: true, ..record(1, 5) });
        refuse(by(1, one.clone()), by(1, one.clone()));
        refuse(by(1, one.clone()), by(1, NodeRecord { seq: 6, ..other.clone() }));
        // Signed by another than the node.
        refuse(by(1, one.clone()), by(2, other.clone()));
        refuse(by(2, one), by(2, other));
        assert_noop!(Nodes::report_equivocation(signed(BOB), evidence(2, 5)), Error::<Test>::NotRegistered);
    });
}

#[test]
fn an_unbonding_node_can_still_be_slashed() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        assert_ok!(Nodes::report_equivocation(signed(BOB), evidence(1, 5)));
        assert_eq!(Nodes::registration(node).unwrap().status, NodeStatus::Unbonding);
        System::set_block_number(11);
        assert_ok!(Nodes::withdraw(signed(ALICE), node));
        assert_eq!(Balances::balance(&ALICE), WEALTH - 10 * CHR);
    });
}
