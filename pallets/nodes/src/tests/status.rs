//! A node's life: active, draining, jailed, unbonding, gone.

use crate::{Discipline, Error, Event, mock::*};
use chroom_primitives::{NodeStatus, Role};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::Perbill;

fn status(node: chroom_primitives::NodeId) -> NodeStatus {
    Nodes::registration(node).unwrap().status
}

#[test]
fn owner_and_node_drain_and_resume() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        assert_ok!(Nodes::drain(signed(node.account()), node));
        assert_eq!(status(node), NodeStatus::Draining);
        assert_noop!(Nodes::drain(signed(ALICE), node), Error::<Test>::WrongStatus);
        assert_ok!(Nodes::resume(signed(ALICE), node));
        System::assert_last_event(Event::StatusChanged { node, status: NodeStatus::Active, until: 0 }.into());
        assert_noop!(Nodes::resume(signed(ALICE), node), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::drain(signed(BOB), node), Error::<Test>::NotOwnerOrNode);
        assert_noop!(Nodes::resume(signed(BOB), node), Error::<Test>::NotOwnerOrNode);
        let stranger = Key::new(9).id();
        assert_noop!(Nodes::drain(signed(ALICE), stranger), Error::<Test>::NotRegistered);
        assert_noop!(Nodes::resume(signed(ALICE), stranger), Error::<Test>::NotRegistered);
    });
}

#[test]
fn unbonding_takes_its_time_and_cannot_be_undone() {
    run(|| {
        let node = register(ALICE, 1, Role::Registry);
        assert_noop!(Nodes::withdraw(signed(ALICE), node), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::unbond(signed(node.account()), node), Error::<Test>::NotOwner);
        assert_noop!(Nodes::unbond(signed(ALICE), Key::new(9).id()), Error::<Test>::NotRegistered);
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        assert_noop!(Nodes::unbond(signed(ALICE), node), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::resume(signed(ALICE), node), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::drain(signed(ALICE), node), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::update(signed(ALICE), node, None, None, None, None), Error::<Test>::WrongStatus);
        System::set_block_number(10);
        assert_noop!(Nodes::withdraw(signed(ALICE), node), Error::<Test>::StillUnbonding);
        System::set_block_number(11);
        assert_noop!(Nodes::withdraw(signed(BOB), node), Error::<Test>::NotOwner);
        assert_ok!(Nodes::withdraw(signed(ALICE), node));
        assert_eq!(Nodes::registration(node), None);
        assert_eq!(Removed::get(), vec![node]);
        assert_noop!(Nodes::withdraw(signed(ALICE), node), Error::<Test>::NotRegistered);
    });
}

#[test]
fn a_jailed_node_resumes_after_its_time() {
    run(|| {
        let node = register(ALICE, 1, Role::Registry);
        assert!(Nodes::jail(&node, 5));
        assert_eq!(status(node), NodeStatus::Jailed);
        assert!(crate::ActiveRegistries::<Test>::get().is_empty());
        assert_noop!(Nodes::drain(signed(ALICE), node), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::resume(signed(ALICE), node), Error::<Test>::StillJailed);
        // Jailed again for less: the longer time counts.
        assert!(!Nodes::jail(&node, 1));
        System::set_block_number(5);
        assert_noop!(Nodes::resume(signed(ALICE), node), Error::<Test>::StillJailed);
        System::set_block_number(6);
        assert_ok!(Nodes::resume(signed(ALICE), node));
        assert_eq!(crate::ActiveRegistries::<Test>::get().to_vec(), vec![node]);
    });
}

#[test]
fn leaving_does_not_cut_a_jail_period_short() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        assert!(Nodes::jail(&node, 50));
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        System::set_block_number(50);
        assert_noop!(Nodes::withdraw(signed(ALICE), node), Error::<Test>::StillUnbonding);
        System::set_block_number(51);
        assert_ok!(Nodes::withdraw(signed(ALICE), node));
    });
}

#[test]
fn a_sentence_outlives_the_status() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let info = || Nodes::node_info(node).unwrap();
        assert!(!info().is_jailed(1));
        assert!(Nodes::jail(&node, 50));
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        // Unbonding now, but jailed all the same.
        assert_eq!((info().status, info().until), (NodeStatus::Unbonding, 51));
        assert!(info().is_jailed(50) && !info().is_jailed(51));
        System::assert_last_event(Event::StatusChanged { node, status: NodeStatus::Unbonding, until: 51 }.into());
    });
}

#[test]
fn who_left_is_jailed_too_and_withdraws_no_earlier() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        // A sentence within the unbonding period doesn't lengthen it.
        assert!(!Nodes::jail(&node, 5));
        assert_eq!(Nodes::node_info(node).unwrap().until, 11);
        assert!(Nodes::node_info(node).unwrap().is_jailed(5));
        assert!(!Nodes::jail(&node, 20));
        System::set_block_number(20);
        assert_noop!(Nodes::withdraw(signed(ALICE), node), Error::<Test>::StillUnbonding);
        System::set_block_number(21);
        assert_ok!(Nodes::withdraw(signed(ALICE), node));
    });
}

#[test]
fn who_is_not_registered_is_not_punished() {
    run(|| {
        assert!(!Nodes::jail(&Key::new(9).id(), 5));
        assert_eq!(Nodes::slash(&Key::new(9).id(), Perbill::one(), None), 0);
    });
}
