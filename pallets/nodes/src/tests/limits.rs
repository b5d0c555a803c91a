//! Numbers that are used up: nothing begins anew, and nothing is done by halves.

use crate::{
    AuthorizationNonces, Error, KeyProofNonces, Nodes as NodesMap, Terms, TermsHistory, mock::*, types::MAX_EPOCH_RING,
};
use chroom_primitives::{CHR, NodeId, QosEpoch, Role};
use frame_support::{assert_noop, assert_ok};

#[test]
fn a_node_that_used_its_last_key_proof_is_not_registered_again() {
    run(|| {
        let node = Key::new(1).id();
        let other = register(ALICE, 2, Role::Media);
        KeyProofNonces::<Test>::insert(node, u32::MAX);
        assert_noop!(Form::new(ALICE, 1, Role::Media).send(), Error::<Test>::Overflow);
        assert_noop!(AuthorizedForm::new(COLD, 1, Role::Media).send(), Error::<Test>::Overflow);
        assert_noop!(rotate(ALICE, other, 1), Error::<Test>::Overflow);
        KeyProofNonces::<Test>::insert(node, u32::MAX - 1);
        assert_ok!(Form::new(ALICE, 1, Role::Media).send());
        assert_eq!(Nodes::key_proof_nonce(node), u32::MAX);
    });
}

#[test]
fn an_owner_that_gave_its_last_authorization_gives_no_other() {
    run(|| {
        let owner = Key::new(COLD).id();
        AuthorizationNonces::<Test>::insert(owner, u32::MAX);
        assert_noop!(AuthorizedForm::new(COLD, 1, Role::Media).send(), Error::<Test>::Overflow);
        AuthorizationNonces::<Test>::insert(owner, u32::MAX - 1);
        assert_ok!(AuthorizedForm::new(COLD, 1, Role::Media).send());
        assert_eq!(Nodes::authorization_nonce(owner), u32::MAX);
    });
}

#[test]
fn a_registrations_key_epochs_end() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let set = |key_epoch| NodesMap::<Test>::mutate(node, |info| info.as_mut().unwrap().key_epoch = key_epoch);
        set(u32::MAX);
        assert_noop!(rotate(ALICE, node, 2), Error::<Test>::Overflow);
        set(u32::MAX - 1);
        assert_ok!(rotate(ALICE, node, 2));
        assert_eq!(Nodes::node_info(Key::new(2).id()).unwrap().key_epoch, u32::MAX);
    });
}

/// Fills the history of a node's terms with epochs to come, which nothing forgets; the newest terms stay as they are.
fn fill_history(node: NodeId) {
    TermsHistory::<Test>::mutate(node, |history| {
        let newest = *history.last().unwrap();
        let full = (1..=MAX_EPOCH_RING + 2).map(|epoch| Terms { from: QosEpoch(epoch), ..newest });
        *history = full.collect::<Vec<_>>().try_into().unwrap();
    });
}

#[test]
fn a_change_whose_terms_find_no_place_is_no_change() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        // It cannot come to this by calls: an epoch adds one entry, and the ring forgets one.
        fill_history(node);
        let price = Nodes::update(signed(ALICE), node, None, None, None, Some(2 * CHR));
        assert_noop!(price, Error::<Test>::Overflow);
        assert_noop!(Nodes::drain(signed(ALICE), node), Error::<Test>::Overflow);
        assert_noop!(Nodes::unbond(signed(ALICE), node), Error::<Test>::Overflow);
        assert_noop!(rotate(ALICE, node, 2), Error::<Test>::Overflow);
        assert_ok!(Nodes::add_bond(signed(ALICE), node, CHR));
        let draining = register(ALICE, 3, Role::Media);
        assert_ok!(Nodes::drain(signed(ALICE), draining));
        fill_history(draining);
        assert_noop!(Nodes::resume(signed(ALICE), draining), Error::<Test>::Overflow);
        // As epochs go by there is place again.
        Epoch::set(2 * MAX_EPOCH_RING);
        assert_ok!(Nodes::drain(signed(ALICE), node));
        assert_ok!(Nodes::resume(signed(ALICE), draining));
    });
}
