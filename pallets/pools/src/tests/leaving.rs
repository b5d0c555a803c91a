//! Taking a delegation back.

use crate::{Delegations, Error, Event, Pool, mock::*};
use chroom_primitives::CHR;
use frame_support::{assert_noop, assert_ok};

#[test]
fn part_of_a_delegation_leaves() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, 10 * CHR);
        assert_noop!(Pools::withdraw_delegation(signed(ALICE), pool), Error::<Test>::NothingLeaving);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, 4 * CHR));
        let free_from = 1 + UNBONDING;
        System::assert_last_event(Event::Undelegated { pool, who: ALICE, amount: 4 * CHR, free_from }.into());
        let info = delegation(ALICE);
        assert_eq!((info.active, info.leaving, info.free_from), (6 * CHR, 4 * CHR, free_from));
        at(free_from - 1);
        assert_noop!(Pools::withdraw_delegation(signed(ALICE), pool), Error::<Test>::StillLeaving);
        at(free_from);
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
        System::assert_last_event(Event::Withdrawn { pool, who: ALICE, amount: 4 * CHR, rewards: 0 }.into());
        assert_eq!(free(ALICE), WEALTH - 6 * CHR);
        assert_noop!(Pools::withdraw_delegation(signed(ALICE), pool), Error::<Test>::NothingLeaving);
    });
}

#[test]
fn more_than_all_is_all() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, 10 * CHR);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, u128::MAX));
        assert_eq!(delegation(ALICE).active, 0);
        assert_noop!(Pools::undelegate(signed(ALICE), pool, CHR), Error::<Test>::NothingToUndelegate);
        at(1 + UNBONDING);
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
        assert_eq!(free(ALICE), WEALTH);
        assert_eq!(Delegations::<Test>::iter().count(), 0);
        assert_noop!(Pools::withdraw_delegation(signed(ALICE), pool), Error::<Test>::NoDelegation);
        assert_noop!(Pools::undelegate(signed(ALICE), pool, CHR), Error::<Test>::NoDelegation);
        // The pool goes on as if nobody had been there.
        let rules = Pools::rules(NODE);
        assert_eq!(Pools::pool(pool), Some(Pool::new(NODE, rules, None)));
        delegate(BOB, 3 * CHR);
        assert_eq!(delegation(BOB).active, 3 * CHR);
    });
}

#[test]
fn what_stays_is_worth_its_place() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, 2 * CHR);
        assert_noop!(Pools::undelegate(signed(ALICE), pool, 0), Error::<Test>::NothingToUndelegate);
        assert_noop!(Pools::undelegate(signed(ALICE), pool, CHR + 1), Error::<Test>::RestBelowMinimum);
        assert_noop!(Pools::undelegate(signed(ALICE), pool, 2 * CHR - 1), Error::<Test>::RestBelowMinimum);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, CHR));
        assert_ok!(Pools::undelegate(signed(ALICE), pool, CHR));
    });
}

#[test]
fn what_is_leaving_earns_nothing() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        delegate(BOB, BOND);
        pay(300 * CHR);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, u128::MAX));
        pay(300 * CHR);
        assert_eq!((delegation(ALICE).rewards, delegation(BOB).rewards), (100 * CHR, 250 * CHR));
        assert_ok!(Pools::undelegate(signed(BOB), pool, u128::MAX));
        let before = free(OWNER);
        pay(300 * CHR);
        assert_eq!(free(OWNER), before + 300 * CHR);
        // A withdrawal pays the rewards too.
        at(1 + UNBONDING);
        assert_ok!(Pools::withdraw_delegation(signed(BOB), pool));
        System::assert_last_event(Event::Withdrawn { pool, who: BOB, amount: BOND, rewards: 250 * CHR }.into());
        // They can be collected before.
        assert_ok!(Pools::collect(signed(ALICE), pool));
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
        assert_eq!((free(ALICE), free(BOB)), (WEALTH + 100 * CHR, WEALTH + 250 * CHR));
    });
}

#[test]
fn more_that_leaves_starts_the_clock_anew() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, 10 * CHR);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, CHR));
        at(1 + UNBONDING);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, 2 * CHR));
        assert_eq!((delegation(ALICE).leaving, delegation(ALICE).free_from), (3 * CHR, 1 + 2 * UNBONDING));
        assert_noop!(Pools::withdraw_delegation(signed(ALICE), pool), Error::<Test>::StillLeaving);
        at(1 + 2 * UNBONDING);
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
        assert_eq!(free(ALICE), WEALTH - 7 * CHR);
    });
}

#[test]
fn what_rounding_leaves_over_is_burnt_with_the_last_delegation() {
    run(|| {
        let pool = open(0);
        let issued = Balances::total_issuance();
        for who in [ALICE, BOB, CAROL] {
            delegate(who, CHR);
        }
        assert_ok!(Nodes::add_bond(signed(OWNER), NODE, 200 * CHR));
        // 101 × 3 / 303 = 1: a third of a unit each.
        pay(101);
        assert_eq!(Pools::pool(pool).unwrap().rewards, 1);
        for who in [ALICE, BOB, CAROL] {
            assert_eq!(delegation(who.clone()).rewards, 0);
            assert_ok!(Pools::undelegate(signed(who), pool, u128::MAX));
        }
        at(1 + UNBONDING);
        for who in [ALICE, BOB] {
            assert_ok!(Pools::withdraw_delegation(signed(who), pool));
        }
        assert_eq!(Balances::total_issuance(), issued);
        assert_ok!(Pools::withdraw_delegation(signed(CAROL), pool));
        assert_eq!(Balances::total_issuance(), issued - 1);
        assert_eq!(Pools::owed(), 0);
    });
}
