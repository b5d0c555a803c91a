//! Two contradicting records cost part of the bond.

use crate::{Discipline, Error, Event, NodeParameters, mock::*, types::MAX_CLOCK_LEAD_MS};
use chroom_primitives::{AccountId, CHR, NodeStatus, Role, Signed, evidence::RecordEquivocation, record::NodeRecord};
use frame_support::{
    assert_noop, assert_ok,
    dispatch::Pays,
    traits::{
        Time,
        fungible::{Inspect, InspectHold},
    },
};
use sp_runtime::Perbill;

fn by(seed: u8, payload: NodeRecord) -> Signed<NodeRecord> {
    let signature = Key::new(seed).sign(&payload);
    Signed { payload, signature }
}

fn evidence(seed: u8, seq: u64) -> Box<RecordEquivocation> {
    let other = NodeRecord { left: true, ..record(seed, seq) };
    Box::new(RecordEquivocation { first: by(seed, record(seed, seq)), second: by(seed, other) })
}

#[test]
fn half_is_burnt_and_reporter_and_treasury_have_their_shares() {
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
        assert_eq!(Balances::balance(&TREASURY), 3 * CHR);
        assert_eq!(Balances::total_issuance(), issuance - 5 * CHR);
        let event = Event::Slashed { node, amount: 10 * CHR, burnt: 5 * CHR, reporter: Some(BOB) };
        System::assert_has_event(event.into());
        assert_eq!(Slashes::get(), [(node, Perbill::from_percent(10), Some(BOB))]);
        // Back in service only with the full bond.
        System::set_block_number(6);
        assert_noop!(Nodes::resume(signed(ALICE), node), Error::<Test>::BondTooLow);
        assert_ok!(Nodes::add_bond(signed(ALICE), node, 10 * CHR));
        assert_ok!(Nodes::resume(signed(ALICE), node));
    });
}

#[test]
fn without_a_reporter_its_share_is_burnt() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let issuance = Balances::total_issuance();
        assert_eq!(Nodes::slash(&node, Perbill::from_percent(10), None), 10 * CHR);
        assert_eq!(Balances::balance(&TREASURY), 3 * CHR);
        assert_eq!(Balances::total_issuance(), issuance - 7 * CHR);
        let event = Event::Slashed { node, amount: 10 * CHR, burnt: 7 * CHR, reporter: None };
        System::assert_has_event(event.into());
        assert_eq!(Slashes::get(), [(node, Perbill::from_percent(10), None)]);
    });
}

#[test]
fn what_an_account_cannot_take_is_burnt() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let issuance = Balances::total_issuance();
        // A hundred-thousandth of the bond: neither share would keep a new account alive.
        let nobody = AccountId::new([77; 32]);
        let taken = Nodes::slash(&node, Perbill::from_parts(10_000), Some(&nobody));
        assert_eq!(taken, CHR / 1_000);
        assert_eq!((Balances::balance(&nobody), Balances::balance(&TREASURY)), (0, 0));
        assert_eq!(Balances::total_issuance(), issuance - taken);
        let event = Event::Slashed { node, amount: taken, burnt: taken, reporter: Some(nobody) };
        System::assert_has_event(event.into());
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
fn spent_evidence_stays_spent_over_withdrawal() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        assert_ok!(Nodes::report_equivocation(signed(BOB), evidence(1, 5)));
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        System::set_block_number(12);
        assert_ok!(Nodes::withdraw(signed(ALICE), node));
        register(ALICE, 1, Role::Media);
        assert_noop!(Nodes::report_equivocation(signed(BOB), evidence(1, 5)), Error::<Test>::EvidenceSpent);
    });
}

#[test]
fn evidence_ahead_of_the_clock_is_refused() {
    run(|| {
        register(ALICE, 1, Role::Media);
        let latest = Watch::now() + MAX_CLOCK_LEAD_MS;
        let report = |ms: u64| Nodes::report_equivocation(signed(BOB), evidence(1, ms << 16));
        // Otherwise the node could report itself once, and no later evidence would count.
        assert_noop!(report((1 << 47) - 1), Error::<Test>::EvidenceAhead);
        assert_noop!(report(latest + 1), Error::<Test>::EvidenceAhead);
        assert_ok!(report(latest));
    });
}

#[test]
fn evidence_that_takes_nothing_is_not_free() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        Nodes::slash(&node, Perbill::one(), None);
        let reported = Nodes::report_equivocation(signed(BOB), evidence(1, 5)).unwrap();
        assert_eq!(reported.pays_fee, Pays::Yes);
        // Nor is it when the chain asks for nothing.
        let mild = NodeParameters { equivocation_slash: Perbill::zero(), ..parameters() };
        assert_ok!(Nodes::set_parameters(RuntimeOrigin::root(), mild));
        register(ALICE, 2, Role::Media);
        assert_eq!(Nodes::report_equivocation(signed(BOB), evidence(2, 5)).unwrap().pays_fee, Pays::Yes);
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
