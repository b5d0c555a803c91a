//! Parts of a bond that are taken back.

use crate::{Discipline, Error, Event, HoldReason, NodeParameters, Unbonding, UnbondingChunk, mock::*};
use chroom_primitives::{Balance, CHR, CapacityClass, NodeId, NodeStatus, Role};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use sp_runtime::Perbill;

fn held() -> Balance {
    Balances::balance_on_hold(&HoldReason::Bond.into(), &ALICE)
}

fn bond(node: NodeId) -> Balance {
    Nodes::registration(node).unwrap().bond
}

fn reduce(node: NodeId, chr: Balance) -> sp_runtime::DispatchResult {
    Nodes::reduce_bond(signed(ALICE), node, chr * CHR)
}

/// A media node with 150 CHR, 50 more than it needs.
fn rich() -> NodeId {
    let node = register(ALICE, 1, Role::Media);
    Nodes::add_bond(signed(ALICE), node, 50 * CHR).unwrap();
    node
}

#[test]
fn what_role_and_class_dont_need_is_free_after_the_unbonding_period() {
    run(|| {
        let node = rich();
        assert_ok!(reduce(node, 20));
        System::assert_last_event(Event::BondReduced { node, amount: 20 * CHR, bond: 130 * CHR, until: 11 }.into());
        assert_eq!((bond(node), held()), (130 * CHR, 150 * CHR));
        assert_eq!(Nodes::registration(node).unwrap().status, NodeStatus::Active);
        assert_eq!(Nodes::unbonding(node), [UnbondingChunk { amount: 20 * CHR, until: 11 }]);
        System::set_block_number(10);
        assert_noop!(Nodes::withdraw_reduced(signed(ALICE), node), Error::<Test>::StillUnbonding);
        System::set_block_number(11);
        assert_noop!(Nodes::withdraw_reduced(signed(BOB), node), Error::<Test>::NotOwner);
        assert_ok!(Nodes::withdraw_reduced(signed(ALICE), node));
        System::assert_last_event(Event::ReducedWithdrawn { node, amount: 20 * CHR }.into());
        assert_eq!(held(), 130 * CHR);
        assert!(!Unbonding::<Test>::contains_key(node));
        assert_noop!(Nodes::withdraw_reduced(signed(ALICE), node), Error::<Test>::NothingUnbonding);
    });
}

#[test]
fn what_remains_covers_the_minimum() {
    run(|| {
        let node = rich();
        assert_noop!(reduce(node, 51), Error::<Test>::BondTooLow);
        assert_noop!(reduce(node, 151), Error::<Test>::BondTooLow);
        assert_noop!(reduce(node, 0), Error::<Test>::NoAmount);
        assert_ok!(reduce(node, 50));
        assert_noop!(Nodes::reduce_bond(signed(ALICE), node, 1), Error::<Test>::BondTooLow);
        // A smaller class needs less.
        assert_ok!(Nodes::add_bond(signed(ALICE), node, 300 * CHR));
        let class = |class| Nodes::update(signed(ALICE), node, Some(class), None, None, None);
        assert_ok!(class(CapacityClass::Medium));
        assert_noop!(reduce(node, 1), Error::<Test>::BondTooLow);
        assert_ok!(class(CapacityClass::Small));
        assert_ok!(reduce(node, 300));
    });
}

#[test]
fn only_the_owner_of_a_registered_node_that_stays_reduces() {
    run(|| {
        let node = rich();
        assert_noop!(Nodes::reduce_bond(signed(BOB), node, CHR), Error::<Test>::NotOwner);
        assert_noop!(Nodes::reduce_bond(signed(node.account()), node, CHR), Error::<Test>::NotOwner);
        let stranger = Key::new(9).id();
        assert_noop!(reduce(stranger, 1), Error::<Test>::NotRegistered);
        assert_noop!(Nodes::withdraw_reduced(signed(ALICE), stranger), Error::<Test>::NotRegistered);
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        assert_noop!(reduce(node, 1), Error::<Test>::WrongStatus);
    });
}

#[test]
fn parts_of_one_block_are_one_and_their_number_is_bounded() {
    run(|| {
        let node = rich();
        assert_ok!(reduce(node, 1));
        assert_ok!(reduce(node, 2));
        assert_eq!(Nodes::unbonding(node), [UnbondingChunk { amount: 3 * CHR, until: 11 }]);
        for block in 2..=8 {
            System::set_block_number(block);
            assert_ok!(reduce(node, 1));
        }
        assert_eq!(Nodes::unbonding(node).len(), 8);
        System::set_block_number(9);
        assert_noop!(reduce(node, 1), Error::<Test>::TooManyChunks);
        // What is free makes room.
        System::set_block_number(13);
        assert_ok!(Nodes::withdraw_reduced(signed(ALICE), node));
        assert_eq!(held(), (150 - 3 - 1 - 1) * CHR);
        assert_ok!(reduce(node, 1));
    });
}

#[test]
fn a_slash_takes_the_bond_first_and_then_the_oldest_parts() {
    run(|| {
        let node = rich();
        assert_ok!(reduce(node, 20));
        System::set_block_number(2);
        assert_ok!(reduce(node, 30));
        // The share is of all that is on hold: 10 % of 150.
        assert_eq!(Nodes::slash(&node, Perbill::from_percent(10), None), 15 * CHR);
        assert_eq!(bond(node), 85 * CHR);
        assert_eq!(Nodes::unbonding(node).len(), 2);
        // 80 % of 135 are 108: the bond of 85, then 20 and 3 of the parts.
        assert_eq!(Nodes::slash(&node, Perbill::from_percent(80), None), 108 * CHR);
        assert_eq!(bond(node), 0);
        assert_eq!(Nodes::unbonding(node), [UnbondingChunk { amount: 27 * CHR, until: 12 }]);
        assert_eq!(Nodes::slash(&node, Perbill::one(), None), 27 * CHR);
        assert!(Nodes::unbonding(node).is_empty());
        assert_eq!(held(), 0);
        assert_eq!(Nodes::slash(&node, Perbill::one(), None), 0);
    });
}

#[test]
fn taking_a_part_back_does_not_save_it_from_a_slash() {
    run(|| {
        let node = rich();
        assert_ok!(reduce(node, 50));
        System::set_block_number(10);
        assert_eq!(Nodes::slash(&node, Perbill::one(), None), 150 * CHR);
        System::set_block_number(11);
        assert_noop!(Nodes::withdraw_reduced(signed(ALICE), node), Error::<Test>::NothingUnbonding);
    });
}

#[test]
fn leaving_waits_for_the_parts_and_gives_them_back_too() {
    run(|| {
        let node = rich();
        assert_ok!(reduce(node, 50));
        // A shorter period doesn't free what was taken back before.
        let shorter = NodeParameters { unbonding_period: 2, ..parameters() };
        assert_ok!(Nodes::set_parameters(RuntimeOrigin::root(), shorter));
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        assert_eq!(Nodes::node_info(node).unwrap().until, 11);
        System::set_block_number(10);
        assert_noop!(Nodes::withdraw(signed(ALICE), node), Error::<Test>::StillUnbonding);
        System::set_block_number(11);
        assert_ok!(Nodes::withdraw(signed(ALICE), node));
        System::assert_last_event(Event::Withdrawn { node, owner: ALICE, bond: 150 * CHR, deposit: DEPOSIT }.into());
        assert_eq!(Balances::balance(&ALICE), WEALTH);
        assert!(!Unbonding::<Test>::contains_key(node));
    });
}

#[test]
fn a_part_that_is_free_can_be_had_while_the_node_unbonds() {
    run(|| {
        let node = rich();
        assert_ok!(reduce(node, 50));
        System::set_block_number(11);
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        assert_ok!(Nodes::withdraw_reduced(signed(ALICE), node));
        assert_eq!(held(), 100 * CHR);
    });
}
