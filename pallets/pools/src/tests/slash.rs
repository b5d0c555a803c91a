//! What is delegated bears the slashes of the node's bond.

use crate::{Error, Event, NextPool, PoolOf, mock::*};
use chroom_primitives::{
    CHR,
    pool::{NodePools, OnBondSlashed},
};
use frame_support::{assert_noop, assert_ok};
use pallet_chroom_nodes::Discipline;
use sp_runtime::Perbill;

#[test]
fn active_and_leaving_lose_the_same_share() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, 200 * CHR);
        delegate(BOB, 100 * CHR);
        assert_ok!(Pools::undelegate(signed(BOB), pool, u128::MAX));
        let issued = Balances::total_issuance();
        slash(10, Some(&REPORTER));
        assert_eq!((delegation(ALICE).active, delegation(BOB).leaving), (180 * CHR, 90 * CHR));
        // Of 30 CHR a fifth to the reporter, three tenths to the treasury, the rest burnt.
        assert_eq!((free(REPORTER), free(TREASURY)), (WEALTH + 6 * CHR, WEALTH + 9 * CHR));
        assert_eq!(Balances::total_issuance(), issued - 15 * CHR);
        let slashed = Event::Slashed { node: NODE, pool, amount: 30 * CHR, reporter: Some(REPORTER) };
        System::assert_last_event(slashed.into());
        at(1 + UNBONDING);
        assert_ok!(Pools::withdraw_delegation(signed(BOB), pool));
        assert_eq!(free(BOB), WEALTH - 10 * CHR);
    });
}

#[test]
fn a_reporters_part_is_burnt_when_there_is_none_or_it_cannot_be_credited() {
    run(|| {
        open(0);
        delegate(ALICE, CHR);
        let issued = Balances::total_issuance();
        slash(10, None);
        assert_eq!(free(TREASURY), WEALTH + 3 * CHR / 100);
        assert_eq!(Balances::total_issuance(), issued - 7 * CHR / 100);
        // A fifth of 9 thousandths is too little for an empty account.
        let issued = Balances::total_issuance();
        slash(1, Some(&EMPTY));
        assert_eq!(free(EMPTY), 0);
        assert_eq!(Balances::total_issuance(), issued - 63 * CHR / 10_000);
    });
}

#[test]
fn who_comes_after_a_slash_bears_the_next_one_only() {
    run(|| {
        open(0);
        delegate(ALICE, 100 * CHR);
        slash(50, None);
        delegate(BOB, 100 * CHR);
        assert_eq!((delegation(ALICE).active, delegation(BOB).active), (50 * CHR, 100 * CHR));
        slash(10, None);
        assert_eq!((delegation(ALICE).active, delegation(BOB).active), (45 * CHR, 90 * CHR));
        // What earns is what is at stake now: 100 CHR of bond, 45, and 90.
        pay(235 * CHR);
        let (alice, bob) = (delegation(ALICE).rewards, delegation(BOB).rewards);
        assert!(45 * CHR - alice <= 1 && 90 * CHR - bob <= 1, "{alice} {bob}");
    });
}

#[test]
fn neither_rewards_nor_what_was_withdrawn_are_slashed() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        delegate(BOB, BOND);
        pay(300 * CHR);
        assert_ok!(Pools::undelegate(signed(BOB), pool, u128::MAX));
        at(1 + UNBONDING);
        assert_ok!(Pools::withdraw_delegation(signed(BOB), pool));
        slash(50, None);
        assert_eq!(free(BOB), WEALTH + 100 * CHR);
        assert_eq!((delegation(ALICE).active, delegation(ALICE).rewards), (BOND / 2, 100 * CHR));
    });
}

#[test]
fn a_small_rest_after_a_slash_leaves_as_a_whole() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, CHR);
        slash(50, None);
        assert_noop!(Pools::undelegate(signed(ALICE), pool, CHR / 4), Error::<Test>::RestBelowMinimum);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, CHR / 2));
        assert_eq!((delegation(ALICE).active, delegation(ALICE).leaving), (0, CHR / 2));
    });
}

#[test]
fn after_a_slash_of_all_the_node_has_an_empty_pool_with_the_same_rules() {
    run(|| {
        let pool = open(20);
        delegate(ALICE, BOND);
        delegate(BOB, BOND);
        pay(750 * CHR);
        assert_ok!(Pools::undelegate(signed(BOB), pool, u128::MAX));
        set_rules(30, true);
        slash(100, Some(&REPORTER));
        System::assert_has_event(Event::Retired { node: NODE, pool }.into());
        assert_eq!(Pools::pool_of(NODE), Some(pool + 1));
        assert_eq!(Pools::rules(NODE), rules(20, &[], true));
        assert_eq!(Pools::announced_raise(NODE).unwrap().from, 1 + NOTICE);
        assert_eq!(Pools::pool(pool + 1).unwrap().shares, 0);
        check();

        // What was earned before is paid, without delay.
        let left = Pools::delegation(pool, ALICE).unwrap();
        assert_eq!((left.node, left.active, left.rewards), (None, 0, 200 * CHR));
        assert_ok!(Pools::collect(signed(ALICE), pool));
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
        assert_ok!(Pools::withdraw_delegation(signed(BOB), pool));
        let rest = WEALTH - BOND + 200 * CHR;
        assert_eq!((free(ALICE), free(BOB)), (rest, rest));
        assert_eq!(Pools::pool(pool), None);

        delegate(CAROL, BOND);
        assert_eq!(delegation(CAROL).active, BOND);
    });
}

#[test]
fn a_pool_of_which_hardly_anything_is_left_is_retired() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, CHR);
        (0..6).for_each(|_| slash(90, None));
        assert_eq!((Pools::pool_of(NODE), delegation(ALICE).active), (Some(pool), 1_000_000));
        // Whoever joins now is treated fairly all the same.
        delegate(BOB, CHR);
        assert_eq!((delegation(ALICE).active, delegation(BOB).active), (1_000_000, CHR));
        check();
        slash(1, None);
        let slashed = Event::Slashed { node: NODE, pool, amount: (CHR + 1_000_000) / 100, reporter: None };
        System::assert_has_event(slashed.into());
        assert_eq!(Pools::pool_of(NODE), Some(pool + 1));
        // What the slashes left is its delegators' still, and free.
        for who in [ALICE, BOB] {
            assert_ok!(Pools::withdraw_delegation(signed(who), pool));
        }
        assert_eq!((free(ALICE), free(BOB)), (WEALTH - CHR + 990_000, WEALTH - CHR / 100));
    });
}

#[test]
fn when_the_numbers_are_used_up_a_spent_pool_has_no_successor() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, CHR);
        NextPool::<Test>::put(u32::MAX);
        slash(100, None);
        assert_eq!(Pools::pool_of(NODE), None);
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
    });
}

#[test]
fn without_delegations_a_slash_takes_nothing() {
    run(|| {
        let issued = Balances::total_issuance();
        slash(100, Some(&REPORTER));
        let pool = open(0);
        slash(100, Some(&REPORTER));
        delegate(ALICE, CHR);
        slash(0, Some(&REPORTER));
        assert_eq!(Balances::total_issuance(), issued);
        assert_eq!((Pools::pool_of(NODE), free(REPORTER)), (Some(pool), WEALTH));
    });
}

#[test]
fn a_pool_follows_its_node_to_a_new_key() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        Pools::hand_over(&NODE, OTHER);
        System::assert_last_event(Event::HandedOver { node: NODE, successor: OTHER, pool }.into());
        assert_eq!((Pools::pool_of(NODE), Pools::pool_of(OTHER)), (Some(pool), Some(pool)));
        assert_eq!(Pools::delegation(pool, ALICE).unwrap().node, Some(OTHER));
        // Pay for either id reaches the same delegators. A slash does once, with the bond, whichever key it is for.
        for node in [NODE, OTHER] {
            assert_ok!(Pools::pay(&node, &OWNER, &SOURCE, 50 * CHR));
            Pools::bond_slashed(&node, Perbill::from_percent(50), None);
            check();
        }
        let info = Pools::delegation(pool, ALICE).unwrap();
        assert_eq!((info.active, info.rewards), (BOND / 2, 50 * CHR));

        // The old id goes, and the pool stays.
        assert_ok!(Nodes::unbond(signed(OWNER), NODE));
        at(1 + UNBONDING);
        assert_ok!(Nodes::withdraw(signed(OWNER), NODE));
        assert_eq!((PoolOf::<Test>::get(NODE), Pools::pool_of(OTHER)), (None, Some(pool)));
        // A node without a pool has nothing to hand over.
        Pools::hand_over(&NODE, OTHER);
        assert_eq!(Pools::pool_of(OTHER), Some(pool));
    });
}

#[test]
fn a_slash_takes_the_same_share_of_bond_and_delegations_whichever_key_offended() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, 2 * BOND);
        Nodes::slash(&NODE, Perbill::from_percent(10), Some(&REPORTER));
        assert_eq!(Nodes::registration(NODE).unwrap().bond, BOND / 10 * 9);
        assert_eq!(delegation(ALICE).active, BOND / 10 * 18);
        at(6);
        let successor = rotate(NODE, 9);
        assert_eq!(Pools::pool_of(successor), Some(pool));
        for node in [NODE, successor] {
            Nodes::slash(&node, Perbill::from_percent(50), None);
            check();
        }
        assert_eq!(Nodes::registration(successor).unwrap().bond, BOND / 40 * 9);
        assert_eq!(Pools::delegation(pool, ALICE).unwrap().active, BOND / 40 * 18);
    });
}

#[test]
fn an_old_key_doesnt_outlive_its_successors_pool() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        Pools::hand_over(&NODE, OTHER);
        assert_ok!(Nodes::unbond(signed(OWNER), OTHER));
        at(1 + UNBONDING);
        assert_ok!(Nodes::withdraw(signed(OWNER), OTHER));
        assert_eq!(Pools::pool_of(NODE), None);
        let before = free(OWNER);
        pay(CHR);
        assert_eq!(free(OWNER), before + CHR);
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
        check();
        assert_eq!(open(0), pool + 1);
    });
}
