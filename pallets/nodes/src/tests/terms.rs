//! Price and share of a node hold for whole epochs and never change afterwards.

use crate::{Error, TermsHistory, mock::*};
use chroom_primitives::{CHR, NodeId, QosEpoch, Role};
use frame_support::{assert_noop, assert_ok};

fn price(node: NodeId, price: u128) -> sp_runtime::DispatchResult {
    Nodes::update(signed(ALICE), node, None, None, None, Some(price))
}

fn terms(node: NodeId, epoch: u32) -> Option<(u32, u128)> {
    Nodes::terms(&node, QosEpoch(epoch)).map(|terms| (terms.weight, terms.price_per_gib))
}

#[test]
fn a_new_node_has_no_terms_before_the_next_epoch() {
    run(|| {
        Epoch::set(3);
        let node = register(ALICE, 1, Role::Media);
        // The committees of epoch 3 were drawn before the node's key was chosen, or it was chosen after them.
        assert_eq!(terms(node, 3), None);
        assert_eq!(terms(node, 4), Some((1, CHR)));
        assert_ok!(price(node, 9 * CHR));
        assert_eq!(terms(node, 3), None);
        assert_eq!(terms(node, 4), Some((1, 9 * CHR)));
        assert_eq!(TermsHistory::<Test>::get(node).len(), 1);
    });
}

#[test]
fn a_node_that_drains_within_an_epoch_keeps_its_terms_to_the_end_of_it() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        Epoch::set(5);
        System::set_block_number(55);
        assert_ok!(Nodes::drain(signed(ALICE), node));
        assert_eq!(terms(node, 5), Some((1, CHR)));
        // The next epoch begins without it, in its terms as in the total.
        assert_eq!(crate::ActiveMediaWeight::<Test>::get(), 0);
        assert_eq!(terms(node, 6), Some((0, CHR)));
        assert_eq!(terms(node, 7), Some((0, CHR)));
        // What it carries on in later epochs has its price still.
        Epoch::set(9);
        assert_eq!(terms(node, 9), Some((0, CHR)));
    });
}

#[test]
fn changes_hold_from_the_next_epoch_on() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        Epoch::set(5);
        assert_ok!(price(node, 2 * CHR));
        assert_ok!(Nodes::drain(signed(ALICE), node));
        assert_eq!(terms(node, 5), Some((1, CHR)));
        assert_eq!(terms(node, 6), Some((0, 2 * CHR)));
        assert_ok!(Nodes::resume(signed(ALICE), node));
        assert_eq!(terms(node, 6), Some((1, 2 * CHR)));
        assert_noop!(price(node, crate::types::MAX_PRICE_PER_GIB + 1), Error::<Test>::InvalidPrice);
    });
}

#[test]
fn the_history_is_bounded_and_reaches_back_over_the_ring() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        for epoch in 0..40u32 {
            Epoch::set(epoch);
            assert_ok!(price(node, u128::from(epoch)));
            let history = TermsHistory::<Test>::get(node);
            assert!(history.len() <= 6, "{history:?}");
            // The mock remembers 4 epochs.
            for old in epoch.saturating_sub(4).max(1)..=epoch {
                assert_eq!(terms(node, old), Some((1, u128::from(old - 1))), "{epoch}");
            }
        }
    });
}

#[test]
fn only_the_owner_updates() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let update = |who| Nodes::update(signed(who), node, None, None, None, Some(1));
        assert_noop!(update(BOB), Error::<Test>::NotOwner);
        assert_noop!(update(node.account()), Error::<Test>::NotOwner);
        let registry = register(ALICE, 2, Role::Registry);
        assert_noop!(price(registry, 1), Error::<Test>::InvalidPrice);
        assert_noop!(price(Key::new(9).id(), 1), Error::<Test>::NotRegistered);
    });
}
