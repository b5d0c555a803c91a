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
fn a_new_node_has_a_price_at_once_and_a_share_from_the_next_epoch_on() {
    run(|| {
        Epoch::set(3);
        let node = register(ALICE, 1, Role::Media);
        assert_eq!(terms(node, 2), None);
        assert_eq!(terms(node, 3), Some((0, CHR)));
        assert_eq!(terms(node, 4), Some((1, CHR)));
        // Raising the price within the first epoch doesn't reach what was used in it.
        assert_ok!(price(node, 9 * CHR));
        assert_eq!(terms(node, 3), Some((0, CHR)));
        assert_eq!(terms(node, 4), Some((1, 9 * CHR)));
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
