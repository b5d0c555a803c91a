//! Who may be registered, and by which proof.

use crate::{Discipline, Error, Event, Nodes as NodesMap, mock::*, types::MAX_PRICE_PER_GIB};
use chroom_primitives::{
    CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeStatus, Role, Signable, record::KeyProof,
};
use codec::{Decode, Encode};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};

#[test]
fn registering_holds_the_bond_and_shows_the_node() {
    run(|| {
        let form = Form::new(ALICE, 1, Role::Media);
        let node = form.node;
        assert_ok!(form.send());
        let held = Balances::balance_on_hold(&crate::HoldReason::Bond.into(), &ALICE);
        assert_eq!(held, 100 * CHR);
        assert_eq!(Balances::balance(&ALICE), WEALTH - 100 * CHR - DEPOSIT);
        let seen = Nodes::registration(node).unwrap();
        assert_eq!((seen.owner, seen.role, seen.status), (ALICE, Role::Media, NodeStatus::Active));
        assert_eq!((seen.bond, seen.price_per_gib), (100 * CHR, CHR));
        System::assert_last_event(Event::Registered { node, owner: ALICE, role: Role::Media, bond: 100 * CHR }.into());
    });
}

#[test]
fn a_node_is_registered_once() {
    run(|| {
        register(ALICE, 1, Role::Media);
        assert_noop!(Form::new(ALICE, 1, Role::Media).send(), Error::<Test>::AlreadyRegistered);
        assert_noop!(Form::new(BOB, 1, Role::Registry).send(), Error::<Test>::AlreadyRegistered);
    });
}

#[test]
fn bond_price_cell_and_endpoint_are_checked() {
    run(|| {
        let form = || Form::new(ALICE, 1, Role::Media);
        assert_noop!(Form { bond: 100 * CHR - 1, ..form() }.send(), Error::<Test>::BondTooLow);
        // A large machine bonds sixteen times as much.
        let large = Form { class: CapacityClass::Large, ..form() };
        assert_noop!(Form { bond: 1_600 * CHR - 1, ..large.clone() }.send(), Error::<Test>::BondTooLow);
        assert_noop!(Form { price: MAX_PRICE_PER_GIB + 1, ..form() }.send(), Error::<Test>::InvalidPrice);
        assert_noop!(Form { price: 1, ..Form::new(ALICE, 2, Role::Registry) }.send(), Error::<Test>::InvalidPrice);
        assert_noop!(Form { cell: H3Cell(0), ..form() }.send(), Error::<Test>::InvalidCell);
        // Resolution 9 is finer than a node may say.
        assert_noop!(Form { cell: H3Cell(0x0891_f8df_ffff_ffff), ..form() }.send(), Error::<Test>::InvalidCell);
        // The codec lets any bytes through.
        let bytes = b"no port".to_vec().encode();
        let endpoint = Endpoint::decode(&mut &bytes[..]).unwrap();
        assert_noop!(Form { endpoint, ..form() }.send(), Error::<Test>::InvalidEndpoint);
        assert_ok!(Form { bond: 1_600 * CHR, ..large }.send());
    });
}

#[test]
fn an_update_is_checked_as_a_registration() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let cell = |cell| Nodes::update(signed(ALICE), node, None, Some(cell), None, None);
        let endpoint = |endpoint| Nodes::update(signed(ALICE), node, None, None, Some(endpoint), None);
        assert_noop!(cell(H3Cell(0)), Error::<Test>::InvalidCell);
        assert_noop!(cell(H3Cell(0x0891_f8df_ffff_ffff)), Error::<Test>::InvalidCell);
        assert_noop!(endpoint(Endpoint::default()), Error::<Test>::InvalidEndpoint);
        let elsewhere: Endpoint = "[::1]:7400".parse().unwrap();
        assert_ok!(endpoint(elsewhere.clone()));
        assert_eq!(Nodes::registration(node).unwrap().endpoint, elsewhere);
        // Nothing changes while the node is out of service.
        assert!(Nodes::jail(&node, 5));
        assert_noop!(endpoint(elsewhere), Error::<Test>::WrongStatus);
    });
}

#[test]
fn the_bond_must_be_there() {
    run(|| {
        assert_noop!(Form::new(PAUPER, 1, Role::Media).send(), sp_runtime::TokenError::FundsUnavailable);
    });
}

#[test]
fn a_key_proof_is_good_for_one_node_owner_role_nonce_and_time_only() {
    run(|| {
        let form = Form::new(ALICE, 1, Role::Media);
        let proof = |change: fn(&mut KeyProof)| {
            let mut proof =
                KeyProof { node: form.node, owner: ALICE, role: Role::Media, nonce: 0, expires_at: form.expires_at };
            change(&mut proof);
            Form { proof: Key::new(1).sign(&proof), ..form.clone() }
        };
        assert_noop!(proof(|p| p.owner = BOB).send(), Error::<Test>::InvalidKeyProof);
        assert_noop!(proof(|p| p.role = Role::Registry).send(), Error::<Test>::InvalidKeyProof);
        assert_noop!(proof(|p| p.nonce = 1).send(), Error::<Test>::InvalidKeyProof);
        assert_noop!(proof(|p| p.expires_at += 1).send(), Error::<Test>::InvalidKeyProof);
        assert_noop!(proof(|p| p.node = Key::new(2).id()).send(), Error::<Test>::InvalidKeyProof);
        // Another key, another chain, no signature at all.
        let claimed =
            KeyProof { node: form.node, owner: ALICE, role: Role::Media, nonce: 0, expires_at: form.expires_at };
        let forged = Form { proof: Key::new(2).sign(&claimed), ..form.clone() };
        assert_noop!(forged.send(), Error::<Test>::InvalidKeyProof);
        assert_ne!(claimed.digest(&Nodes::genesis_hash()), claimed.digest(&Default::default()));
        let empty = Form { proof: EthereumSignature([0; 65]), ..form.clone() };
        assert_noop!(empty.send(), Error::<Test>::InvalidKeyProof);
        // Somebody else cannot use the proof that he saw in the pool.
        assert_noop!(Form { owner: BOB, ..form.clone() }.send(), Error::<Test>::InvalidKeyProof);
        assert_ok!(proof(|_| ()).send());
    });
}

#[test]
fn a_key_proof_of_another_chain_is_refused() {
    run(|| {
        let form = Form::new(ALICE, 1, Role::Media);
        frame_system::BlockHash::<Test>::insert(0, chroom_primitives::Hash::repeat_byte(9));
        assert_noop!(form.send(), Error::<Test>::InvalidKeyProof);
    });
}

#[test]
fn a_key_proof_has_a_bounded_life() {
    run(|| {
        let form = Form::new(ALICE, 1, Role::Media);
        System::set_block_number(u64::from(form.expires_at) + 1);
        assert_noop!(form.clone().send(), Error::<Test>::KeyProofExpired);
        System::set_block_number(1);
        let far = Form { expires_at: 1 + 101, ..form.clone() };
        assert_noop!(far.send(), Error::<Test>::KeyProofTooLong);
        System::set_block_number(u64::from(form.expires_at));
        assert_ok!(form.send());
    });
}

#[test]
fn a_key_proof_works_once_even_after_withdrawal() {
    run(|| {
        let mut form = Form::new(ALICE, 1, Role::Media);
        form.expires_at = 90;
        form.proof =
            Key::new(1).sign(&KeyProof { node: form.node, owner: ALICE, role: Role::Media, nonce: 0, expires_at: 90 });
        assert_ok!(form.clone().send());
        assert_ok!(Nodes::unbond(signed(ALICE), form.node));
        System::set_block_number(11);
        assert_ok!(Nodes::withdraw(signed(ALICE), form.node));
        assert!(!NodesMap::<Test>::contains_key(form.node));
        assert_noop!(form.clone().send(), Error::<Test>::InvalidKeyProof);
        assert_eq!(Nodes::key_proof_nonce(form.node), 1);
        // A fresh proof does, for another owner too.
        register(BOB, 1, Role::Orchestrator);
    });
}

#[test]
fn registry_nodes_are_bounded() {
    run(|| {
        for seed in 1..=4 {
            register(ALICE, seed, Role::Registry);
        }
        assert_noop!(Form::new(ALICE, 5, Role::Registry).send(), Error::<Test>::TooManyRegistries);
        let first = Key::new(1).id();
        assert_ok!(Nodes::drain(signed(ALICE), first));
        register(ALICE, 5, Role::Registry);
        assert_noop!(Nodes::resume(signed(ALICE), first), Error::<Test>::TooManyRegistries);
    });
}
