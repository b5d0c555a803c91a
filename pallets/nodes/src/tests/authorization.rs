//! Registration by an EVM wallet's signature on typed data.

use crate::{Error, Event, mock::*};
use chroom_primitives::{CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, Role, typed_data::NodeRegistration};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use sp_runtime::TokenError;

#[test]
fn the_node_registers_itself_and_the_wallet_bonds() {
    run(|| {
        let owner = Key::new(COLD).id();
        let form = AuthorizedForm::new(COLD, 1, Role::Media);
        let node = form.signed.node;
        assert_ok!(form.send());
        let seen = Nodes::registration(node).unwrap();
        assert_eq!((seen.owner, seen.bond), (owner.account(), 100 * CHR));
        let held = |reason: crate::HoldReason| Balances::balance_on_hold(&reason.into(), &owner.account());
        assert_eq!(held(crate::HoldReason::Bond), 100 * CHR);
        assert_eq!(held(crate::HoldReason::Deposit), DEPOSIT);
        // The node has nothing, and needs nothing but the fee.
        assert_eq!(Balances::balance(&node.account()), 0);
        let event = Event::Registered { node, owner: owner.account(), role: Role::Media, bond: 100 * CHR };
        System::assert_last_event(event.into());
        // The wallet is an owner as any other.
        assert_ok!(Nodes::add_bond(signed(owner.account()), node, CHR));
        assert_noop!(Nodes::unbond(signed(node.account()), node), Error::<Test>::NotOwner);
        assert_ok!(Nodes::unbond(signed(owner.account()), node));
    });
}

#[test]
fn an_authorization_works_once() {
    run(|| {
        let form = AuthorizedForm::new(COLD, 1, Role::Media);
        let (owner, node) = (form.owner, form.signed.node);
        assert_ok!(form.clone().send());
        assert_eq!((Nodes::authorization_nonce(owner), Nodes::key_proof_nonce(node)), (1, 1));
        assert_noop!(form.clone().send(), Error::<Test>::AlreadyRegistered);
        // Nor when the node is gone, though it has not expired.
        assert_ok!(Nodes::unbond(signed(owner.account()), node));
        System::set_block_number(11);
        assert_ok!(Nodes::withdraw(signed(owner.account()), node));
        assert_eq!(form.signed.expires_at, 11);
        assert_noop!(form.send(), Error::<Test>::InvalidAuthorization);
    });
}

#[test]
fn authorizations_are_used_in_the_order_of_their_nonces() {
    run(|| {
        let first = AuthorizedForm::new(COLD, 1, Role::Media);
        let later = NodeRegistration { nonce: 1, ..AuthorizedForm::new(COLD, 2, Role::Registry).signed };
        let authorization = Key::new(COLD).authorize(&later);
        let second =
            AuthorizedForm { signed: later, authorization, price: 0, ..AuthorizedForm::new(COLD, 2, Role::Registry) };
        assert_noop!(second.clone().send(), Error::<Test>::InvalidAuthorization);
        assert_ok!(first.send());
        assert_ok!(second.send());
        // Another owner counts for itself.
        assert_eq!(Nodes::authorization_nonce(Key::new(3).id()), 0);
    });
}

#[test]
fn an_authorization_is_good_for_what_it_says_only() {
    run(|| {
        let form = || AuthorizedForm::new(COLD, 1, Role::Media);
        let refuse = |form: AuthorizedForm| {
            assert_noop!(form.send(), Error::<Test>::InvalidAuthorization);
        };
        let with = |change: fn(&mut NodeRegistration)| {
            let mut form = form();
            change(&mut form.signed);
            form
        };
        refuse(with(|signed| signed.role = Role::Orchestrator));
        refuse(with(|signed| signed.class = CapacityClass::Medium));
        refuse(with(|signed| signed.bond += 1));
        refuse(with(|signed| signed.expires_at += 1));
        // Another node cannot use it, nor can it bind another owner.
        refuse(AuthorizedForm { sender: Key::new(2).id().account(), ..form() });
        refuse(AuthorizedForm { owner: Key::new(2).id(), ..form() });
        // Another wallet's signature, and none.
        refuse(AuthorizedForm { authorization: Key::new(2).authorize(&form().signed), ..form() });
        refuse(AuthorizedForm { authorization: EthereumSignature([0; 65]), ..form() });
        // The same words on another chain.
        let elsewhere = form();
        frame_system::BlockHash::<Test>::insert(0, chroom_primitives::Hash::repeat_byte(9));
        refuse(elsewhere);
        assert_ok!(form().send());
    });
}

#[test]
fn an_authorization_has_a_bounded_life() {
    run(|| {
        let form = |expires_at| {
            let form = AuthorizedForm::new(COLD, 1, Role::Media);
            let signed = NodeRegistration { expires_at, ..form.signed };
            AuthorizedForm { signed, authorization: Key::new(COLD).authorize(&signed), ..form }
        };
        System::set_block_number(10);
        assert_noop!(form(9).send(), Error::<Test>::AuthorizationExpired);
        assert_noop!(form(10 + 101).send(), Error::<Test>::AuthorizationTooLong);
        assert_ok!(form(10).send());
    });
}

#[test]
fn only_an_evm_keys_account_can_be_a_node() {
    run(|| {
        let form = AuthorizedForm { sender: ALICE, ..AuthorizedForm::new(COLD, 1, Role::Media) };
        assert_noop!(form.send(), Error::<Test>::NotNodeAccount);
    });
}

#[test]
fn attributes_and_means_are_checked_as_for_any_registration() {
    run(|| {
        let form = || AuthorizedForm::new(COLD, 1, Role::Media);
        assert_noop!(AuthorizedForm { price: u128::MAX, ..form() }.send(), Error::<Test>::InvalidPrice);
        assert_noop!(AuthorizedForm::new(2, 1, Role::Media).send(), TokenError::FundsUnavailable);
        let short = NodeRegistration { bond: 99 * CHR, ..form().signed };
        let short = AuthorizedForm { signed: short, authorization: Key::new(COLD).authorize(&short), ..form() };
        assert_noop!(short.send(), Error::<Test>::BondTooLow);
        assert_noop!(AuthorizedForm { cell: H3Cell(0), ..form() }.send(), Error::<Test>::InvalidCell);
        let nowhere = AuthorizedForm { endpoint: Endpoint::default(), ..form() };
        assert_noop!(nowhere.send(), Error::<Test>::InvalidEndpoint);
        for seed in 3..=6 {
            register(ALICE, seed, Role::Registry);
        }
        let late = AuthorizedForm::new(COLD, 7, Role::Registry);
        assert_noop!(late.clone().send(), Error::<Test>::TooManyRegistries);
        // A refusal spends neither nonce.
        assert_eq!((Nodes::authorization_nonce(late.owner), Nodes::key_proof_nonce(late.signed.node)), (0, 0));
        assert_ok!(form().send());
    });
}
