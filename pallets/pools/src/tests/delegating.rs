//! Delegating to a node, and the rewards.

use crate::{DelegationInfo, Error, Event, mock::*};
use chroom_primitives::{CHR, NodeId};
use frame_support::{assert_noop, assert_ok};
use pallet_chroom_nodes::Discipline;
use sp_runtime::{Perbill, TokenError};

fn any() -> Perbill {
    Perbill::one()
}

#[test]
fn a_delegation_moves_tokens_to_the_pool() {
    run(|| {
        let pool = open(10);
        assert_ok!(Pools::delegate(signed(ALICE), NODE, 5 * CHR, Perbill::from_percent(10)));
        System::assert_last_event(Event::Delegated { node: NODE, pool, who: ALICE, amount: 5 * CHR }.into());
        assert_eq!(free(ALICE), WEALTH - 5 * CHR);
        delegate(ALICE, 2 * CHR);
        let info = DelegationInfo { pool, node: Some(NODE), active: 7 * CHR, leaving: 0, free_from: 0, rewards: 0 };
        assert_eq!(Pools::delegation(pool, ALICE), Some(info.clone()));
        assert_eq!(Pools::delegations_of(ALICE, None, 10), [info]);
        assert_eq!(Pools::delegation(pool, BOB), None);
        let state = Pools::pool(pool).unwrap();
        assert_eq!((state.stake, state.delegators), (7 * CHR, 1));
        // The bond is the owner's alone.
        assert_eq!(Nodes::registration(NODE).unwrap().bond, BOND);
    });
}

#[test]
fn a_node_must_take_delegations() {
    run(|| {
        let attempt = |node| Pools::delegate(signed(ALICE), node, CHR, any());
        assert_noop!(attempt(NodeId([99; 20])), Error::<Test>::NotRegistered);
        assert_noop!(attempt(NODE), Error::<Test>::Closed);
        set_rules(0, false);
        assert_noop!(attempt(NODE), Error::<Test>::Closed);
        set_rules(0, true);
        assert_ok!(attempt(NODE));
        // Closing holds at once, and leaves the delegation alone.
        set_rules(0, false);
        assert_noop!(attempt(NODE), Error::<Test>::Closed);
        pay(202 * CHR);
        assert_eq!(delegation(ALICE).rewards, 2 * CHR);
    });
}

#[test]
fn a_node_must_be_in_service() {
    run(|| {
        open(0);
        let attempt = || Pools::delegate(signed(ALICE), NODE, CHR, any());
        assert_ok!(Nodes::drain(signed(OWNER), NODE));
        assert_ok!(attempt());
        assert!(Nodes::jail(&NODE, 5));
        assert_noop!(attempt(), Error::<Test>::NotInService);
        at(6);
        assert_ok!(Nodes::resume(signed(OWNER), NODE));
        assert_ok!(attempt());
        assert_ok!(Nodes::unbond(signed(OWNER), NODE));
        assert_noop!(attempt(), Error::<Test>::NotInService);
    });
}

#[test]
fn a_delegation_is_worth_its_place() {
    run(|| {
        open(0);
        let attempt = |amount| Pools::delegate(signed(ALICE), NODE, amount, any());
        assert_noop!(attempt(0), Error::<Test>::BelowMinimum);
        assert_noop!(attempt(CHR - 1), Error::<Test>::BelowMinimum);
        assert_ok!(attempt(CHR));
        // An addition too: it costs as much work.
        assert_noop!(attempt(CHR - 1), Error::<Test>::BelowMinimum);
        assert_noop!(attempt(WEALTH), TokenError::FundsUnavailable);
        // The account stays alive.
        assert_noop!(attempt(WEALTH - CHR), TokenError::NotExpendable);
        assert_noop!(attempt(u128::MAX), Error::<Test>::Overflow);
    });
}

#[test]
fn a_delegator_agrees_to_a_commission() {
    run(|| {
        open(10);
        let attempt = |percent| Pools::delegate(signed(ALICE), NODE, CHR, Perbill::from_percent(percent));
        assert_noop!(attempt(9), Error::<Test>::CommissionTooHigh);
        assert_ok!(attempt(10));
        // What was announced counts: it will hold soon.
        set_rules(12, true);
        assert_noop!(attempt(11), Error::<Test>::CommissionTooHigh);
        assert_ok!(attempt(12));
        at(1 + NOTICE);
        assert_noop!(attempt(11), Error::<Test>::CommissionTooHigh);
        assert_ok!(attempt(12));
    });
}

#[test]
fn rewards_are_collected_once() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        assert_noop!(Pools::collect(signed(ALICE), pool), Error::<Test>::NothingToCollect);
        assert_noop!(Pools::collect(signed(BOB), pool), Error::<Test>::NoDelegation);
        assert_noop!(Pools::collect(signed(ALICE), pool + 1), Error::<Test>::NoDelegation);
        pay(100 * CHR);
        assert_ok!(Pools::collect(signed(ALICE), pool));
        System::assert_last_event(Event::Collected { pool, who: ALICE, amount: 50 * CHR }.into());
        assert_eq!(free(ALICE), WEALTH - BOND + 50 * CHR);
        assert_noop!(Pools::collect(signed(ALICE), pool), Error::<Test>::NothingToCollect);
        assert_eq!(delegation(ALICE).active, BOND);
    });
}

#[test]
fn delegations_are_listed_by_pages() {
    run(|| {
        open(0);
        assert_ok!(Pools::set_rules(signed(OWNER), OTHER, rules(0, &[], true)));
        for node in [NODE, OTHER] {
            assert_ok!(Pools::delegate(signed(ALICE), node, CHR, any()));
        }
        let all = Pools::delegations_of(ALICE, None, u32::MAX);
        assert_eq!(all.len(), 2);
        assert_eq!(Pools::delegations_of(ALICE, None, 1), all[..1]);
        assert_eq!(Pools::delegations_of(ALICE, Some(all[0].pool), 9), all[1..]);
        assert_eq!(Pools::delegations_of(BOB, None, 9), []);
    });
}

#[test]
fn tokens_sent_to_the_account_make_no_share_dearer() {
    externalities().execute_with(|| {
        // The classic theft: one share is bought, made dear by a gift, and the next delegation buys none.
        let pool = open(0);
        delegate(ALICE, CHR);
        assert_ok!(Balances::transfer_keep_alive(signed(ALICE), Pools::account(), 5_000 * CHR));
        delegate(BOB, 2 * CHR);
        assert_eq!((delegation(ALICE).active, delegation(BOB).active), (CHR, 2 * CHR));
        assert_ok!(Pools::undelegate(signed(BOB), pool, u128::MAX));
        at(1 + UNBONDING);
        assert_ok!(Pools::withdraw_delegation(signed(BOB), pool));
        assert_eq!(free(BOB), WEALTH);
        Pools::do_try_state().unwrap();
    });
}
