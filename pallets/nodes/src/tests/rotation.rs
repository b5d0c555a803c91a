//! A registration that goes on under another key.

use crate::{Discipline, Error, Event, HoldReason, RegistrySet, Successors, mock::*};
use chroom_primitives::{
    Balance, CHR, EthereumSignature, NodeId, NodeStatus, QosEpoch, Role, Signed,
    evidence::RecordEquivocation,
    record::{KeyProof, NodeRecord},
};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use sp_runtime::Perbill;

fn info(node: NodeId) -> crate::NodeInfo {
    Nodes::node_info(node).unwrap()
}

fn held(reason: HoldReason) -> Balance {
    Balances::balance_on_hold(&reason.into(), &ALICE)
}

fn evidence(seed: u8) -> Box<RecordEquivocation> {
    let by = |payload: NodeRecord| Signed { signature: Key::new(seed).sign(&payload), payload };
    let (one, other) = (record(seed, 5), NodeRecord { left: true, ..record(seed, 5) });
    Box::new(RecordEquivocation { first: by(one), second: by(other) })
}

#[test]
fn the_new_key_takes_over_and_the_old_one_retires() {
    run(|| {
        let old = register(ALICE, 1, Role::Media);
        assert_ok!(Nodes::add_bond(signed(ALICE), old, 50 * CHR));
        assert_ok!(Nodes::reduce_bond(signed(ALICE), old, 20 * CHR));
        System::set_block_number(3);
        assert_ok!(rotate(ALICE, old, 2));
        let new = Key::new(2).id();
        System::assert_last_event(Event::KeyRotated { node: old, successor: new, key_epoch: 1, until: 13 }.into());
        let (before, after) = (info(old), info(new));
        assert_eq!((before.status, before.bond, before.until), (NodeStatus::Unbonding, 0, 13));
        assert_eq!((after.status, after.bond, after.until), (NodeStatus::Active, 130 * CHR, 0));
        assert_eq!((after.key_epoch, after.predecessor, after.registered_at), (1, Some(old), 3));
        assert_eq!((&after.endpoint, after.cell, after.class), (&before.endpoint, before.cell, before.class));
        assert!(Nodes::unbonding(old).is_empty());
        assert_eq!(Nodes::unbonding(new).len(), 1);
        // One bond, but two entries to pay for.
        assert_eq!((held(HoldReason::Bond), held(HoldReason::Deposit)), (150 * CHR, 2 * DEPOSIT));
        assert_eq!(Rotated::get(), [(old, new)]);
        assert_eq!(Nodes::successor(old), Some(new));
        // The old key does nothing any more, and its id comes to no bond.
        assert_noop!(Nodes::resume(signed(old.account()), old), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::add_bond(signed(ALICE), old, CHR), Error::<Test>::WrongStatus);
        assert_noop!(Nodes::drain(signed(old.account()), new), Error::<Test>::NotOwnerOrNode);
        assert_ok!(Nodes::drain(signed(new.account()), new));
    });
}

#[test]
fn the_old_id_has_the_current_epoch_and_the_new_one_those_to_come() {
    run(|| {
        let old = register(ALICE, 1, Role::Media);
        Epoch::set(5);
        assert_ok!(rotate(ALICE, old, 2));
        let new = Key::new(2).id();
        let weight = |node: NodeId, epoch| Nodes::terms(&node, QosEpoch(epoch)).map(|terms| terms.weight);
        assert_eq!((weight(old, 5), weight(new, 5)), (Some(1), None));
        assert_eq!((weight(old, 6), weight(new, 6)), (Some(0), Some(1)));
        assert_eq!(crate::ActiveMediaWeight::<Test>::get(), 1);
    });
}

#[test]
fn what_the_old_key_signed_costs_its_successor() {
    run(|| {
        let old = register(ALICE, 1, Role::Media);
        assert_ok!(rotate(ALICE, old, 2));
        let new = Key::new(2).id();
        assert_ok!(Nodes::report_equivocation(signed(BOB), evidence(1)));
        System::assert_has_event(
            Event::Slashed { node: new, amount: 10 * CHR, burnt: 5 * CHR, reporter: Some(BOB) }.into(),
        );
        assert_eq!(info(new).bond, 90 * CHR);
        // Both are jailed: the new one is out of service, the old one cannot claim.
        assert_eq!((info(new).status, info(old).status), (NodeStatus::Jailed, NodeStatus::Unbonding));
        assert!(info(new).is_jailed(5) && info(old).is_jailed(5));
        let share = Perbill::from_percent(10);
        assert_eq!(Slashes::get(), [(new, share, Some(BOB)), (old, share, Some(BOB))]);
        // It is spent for the old key; the new one answers for itself.
        assert_noop!(Nodes::report_equivocation(signed(BOB), evidence(1)), Error::<Test>::EvidenceSpent);
        assert_ok!(Nodes::report_equivocation(signed(BOB), evidence(2)));
        assert_eq!(info(new).bond, 81 * CHR);
    });
}

#[test]
fn the_new_keys_sentence_is_the_old_ids_too() {
    run(|| {
        let old = register(ALICE, 1, Role::Media);
        assert_ok!(rotate(ALICE, old, 2));
        assert!(Nodes::jail(&Key::new(2).id(), 40));
        assert!(info(old).is_jailed(40) && !info(old).is_jailed(41));
        assert_eq!(info(old).until, 41);
        // Jailed by the old name: nobody was in service.
        assert!(!Nodes::jail(&old, 50));
        assert_eq!(info(Key::new(2).id()).jailed_until, 51);
    });
}

#[test]
fn a_jailed_nodes_new_key_is_jailed() {
    run(|| {
        let old = register(ALICE, 1, Role::Registry);
        assert!(Nodes::jail(&old, 40));
        assert_ok!(rotate(ALICE, old, 2));
        let new = Key::new(2).id();
        assert_eq!(info(new).status, NodeStatus::Jailed);
        assert_noop!(Nodes::resume(signed(ALICE), new), Error::<Test>::StillJailed);
        // Nor is the old id withdrawn earlier.
        assert_eq!(info(old).until, 41);
    });
}

#[test]
fn one_rotation_per_unbonding_period() {
    run(|| {
        let first = register(ALICE, 1, Role::Media);
        assert_ok!(rotate(ALICE, first, 2));
        let second = Key::new(2).id();
        assert_noop!(rotate(ALICE, second, 3), Error::<Test>::PredecessorRemains);
        assert_noop!(rotate(ALICE, first, 3), Error::<Test>::WrongStatus);
        System::set_block_number(10);
        assert_noop!(Nodes::withdraw(signed(ALICE), first), Error::<Test>::StillUnbonding);
        System::set_block_number(11);
        assert_noop!(rotate(ALICE, second, 3), Error::<Test>::PredecessorRemains);
        assert_ok!(Nodes::withdraw(signed(ALICE), first));
        assert_eq!((info(second).predecessor, Nodes::successor(first)), (None, None));
        assert_eq!(held(HoldReason::Deposit), DEPOSIT);
        assert_ok!(rotate(ALICE, second, 3));
        assert_eq!(info(Key::new(3).id()).key_epoch, 2);
        // The first key is nobody's any more.
        assert_noop!(Nodes::report_equivocation(signed(BOB), evidence(1)), Error::<Test>::NotRegistered);
    });
}

#[test]
fn a_rotated_registration_leaves_after_its_predecessor() {
    run(|| {
        let old = register(ALICE, 1, Role::Media);
        assert_ok!(rotate(ALICE, old, 2));
        let new = Key::new(2).id();
        assert_ok!(Nodes::unbond(signed(ALICE), new));
        System::set_block_number(11);
        // The bond answers for the old key as long as that is registered.
        assert_noop!(Nodes::withdraw(signed(ALICE), new), Error::<Test>::PredecessorRemains);
        assert_ok!(Nodes::withdraw(signed(ALICE), old));
        assert_ok!(Nodes::withdraw(signed(ALICE), new));
        assert_eq!(Removed::get(), [old, new]);
        assert_eq!(Balances::balance(&ALICE), WEALTH);
        assert_eq!(Successors::<Test>::iter().count(), 0);
    });
}

#[test]
fn only_the_owner_with_the_new_keys_proof_rotates() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        assert_noop!(rotate(BOB, node, 2), Error::<Test>::NotOwner);
        assert_noop!(rotate(ALICE, Key::new(9).id(), 2), Error::<Test>::NotRegistered);
        register(BOB, 3, Role::Media);
        assert_noop!(rotate(ALICE, node, 3), Error::<Test>::AlreadyRegistered);
        assert_noop!(rotate(ALICE, node, 1), Error::<Test>::AlreadyRegistered);
        let new_node = Key::new(2).id();
        let with = |expires_at, signature| Nodes::rotate_key(signed(ALICE), node, new_node, expires_at, signature);
        let proof = |expires_at, role| {
            let proof = KeyProof { node: new_node, owner: ALICE, role, nonce: 0, expires_at };
            Key::new(2).sign(&proof)
        };
        assert_noop!(with(9, EthereumSignature([0; 65])), Error::<Test>::InvalidKeyProof);
        assert_noop!(with(9, proof(9, Role::Registry)), Error::<Test>::InvalidKeyProof);
        assert_noop!(with(0, proof(0, Role::Media)), Error::<Test>::KeyProofExpired);
        assert_noop!(with(102, proof(102, Role::Media)), Error::<Test>::KeyProofTooLong);
        assert_ok!(with(9, proof(9, Role::Media)));
        assert_eq!(Nodes::key_proof_nonce(new_node), 1);
        assert_ok!(Nodes::unbond(signed(ALICE), new_node));
        assert_noop!(rotate(ALICE, new_node, 4), Error::<Test>::WrongStatus);
    });
}

#[test]
fn a_registry_nodes_successor_takes_its_place_in_a_full_list() {
    run(|| {
        for seed in 1..=4 {
            register(ALICE, seed, Role::Registry);
        }
        let set = RegistrySet::<Test>::get();
        assert_ok!(rotate(ALICE, Key::new(1).id(), 5));
        let mut expected: Vec<NodeId> = (2..=5).map(|seed| Key::new(seed).id()).collect();
        expected.sort();
        assert_eq!(crate::ActiveRegistries::<Test>::get().to_vec(), expected);
        assert_eq!(RegistrySet::<Test>::get(), set + 2);
    });
}

#[test]
fn a_rotation_needs_the_deposit() {
    run(|| {
        let form = Form::new(ALICE, 1, Role::Media);
        let node = form.node;
        assert_ok!(Form { bond: WEALTH - DEPOSIT - ExistentialDeposit::get(), ..form }.send());
        assert_noop!(rotate(ALICE, node, 2), sp_runtime::TokenError::FundsUnavailable);
    });
}
