//! How a node's pay is split.

use crate::{Event, mock::*};
use chroom_primitives::{CHR, pool::NodePools};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::TokenError;

fn set_beneficiaries(commission: u32, beneficiaries: &[(chroom_primitives::AccountId, u32)]) {
    assert_ok!(Pools::set_rules(signed(OWNER), NODE, rules(commission, beneficiaries, true)));
}

#[test]
fn without_rules_the_owner_has_all() {
    run(|| {
        let before = free(OWNER);
        pay(7 * CHR);
        pay(0);
        assert_eq!(free(OWNER), before + 7 * CHR);
        set_rules(50, true);
        pay(7 * CHR);
        assert_eq!(free(OWNER), before + 14 * CHR);
        let paid = Event::Paid { node: NODE, pool: 0, delegators: 0, beneficiaries: 0, owner: 7 * CHR };
        System::assert_last_event(paid.into());
    });
}

#[test]
fn beneficiaries_have_their_shares_and_the_owner_the_rest() {
    run(|| {
        set_beneficiaries(0, &[(BOB, 30), (CAROL, 25)]);
        let before = free(OWNER);
        pay(1_001);
        // 300.3 and 250.25.
        assert_eq!((free(BOB), free(CAROL)), (WEALTH + 300, WEALTH + 250));
        assert_eq!(free(OWNER), before + 451);
    });
}

#[test]
fn a_beneficiary_that_cannot_be_credited_leaves_its_part_to_the_owner() {
    run(|| {
        set_beneficiaries(0, &[(EMPTY, 50), (BOB, 50)]);
        let before = free(OWNER);
        pay(2 * (EXISTENCE - 1));
        assert_eq!((free(EMPTY), free(BOB)), (0, WEALTH + EXISTENCE - 1));
        assert_eq!(free(OWNER), before + EXISTENCE - 1);
        pay(2 * EXISTENCE);
        assert_eq!(free(EMPTY), EXISTENCE);
        assert_eq!(free(OWNER), before + EXISTENCE - 1);
    });
}

#[test]
fn delegators_share_what_the_commission_leaves_by_what_is_at_stake() {
    run(|| {
        set_beneficiaries(20, &[(CAROL, 10)]);
        delegate(ALICE, 2 * BOND);
        delegate(BOB, BOND);
        let before = free(OWNER);
        pay(1_000 * CHR);
        // 800 after the commission: a quarter to the bond, a half to Alice, a quarter to Bob; Carol a tenth of the owner's 400.
        assert_eq!((delegation(ALICE).rewards, delegation(BOB).rewards), (400 * CHR, 200 * CHR));
        assert_eq!(free(CAROL), WEALTH + 40 * CHR);
        assert_eq!(free(OWNER), before + 360 * CHR);
        let (delegators, beneficiaries, owner) = (600 * CHR, 40 * CHR, 360 * CHR);
        let paid = Event::Paid { node: NODE, pool: 0, delegators, beneficiaries, owner };
        System::assert_last_event(paid.into());
        // One and a half of two are the delegators': the owner has the half.
        pay(2);
        System::assert_last_event(
            Event::Paid { node: NODE, pool: 0, delegators: 1, beneficiaries: 0, owner: 1 }.into(),
        );
    });
}

#[test]
fn a_greater_bond_has_a_greater_part() {
    run(|| {
        open(0);
        delegate(ALICE, BOND);
        pay(100 * CHR);
        assert_eq!(delegation(ALICE).rewards, 50 * CHR);
        assert_ok!(Nodes::add_bond(signed(OWNER), NODE, 2 * BOND));
        pay(100 * CHR);
        assert_eq!(delegation(ALICE).rewards, 75 * CHR);
    });
}

#[test]
fn who_comes_later_has_no_part_of_earlier_pay() {
    run(|| {
        open(0);
        delegate(ALICE, BOND);
        pay(100 * CHR);
        delegate(BOB, 2 * BOND);
        assert_eq!((delegation(ALICE).rewards, delegation(BOB).rewards), (50 * CHR, 0));
        pay(100 * CHR);
        assert_eq!((delegation(ALICE).rewards, delegation(BOB).rewards), (75 * CHR, 50 * CHR));
        // More of it changes nothing about what it earned.
        delegate(ALICE, 2 * BOND);
        assert_eq!((delegation(ALICE).rewards, delegation(BOB).rewards), (75 * CHR, 50 * CHR));
    });
}

#[test]
fn a_commission_of_all_leaves_delegators_nothing() {
    run(|| {
        open(100);
        delegate(ALICE, BOND);
        let before = free(OWNER);
        pay(1_000);
        assert_eq!(delegation(ALICE).rewards, 0);
        assert_eq!(free(OWNER), before + 1_000);
    });
}

#[test]
fn a_pay_is_made_in_full_or_not_at_all() {
    run(|| {
        set_beneficiaries(0, &[(BOB, 50)]);
        delegate(ALICE, BOND);
        // The delegators' and the beneficiary's parts could still be paid.
        let short = || Pools::pay(&NODE, &OWNER, &SOURCE, WEALTH);
        assert_noop!(short(), TokenError::NotExpendable);
        pay(WEALTH - EXISTENCE);
        // The owner's account cannot take so little.
        assert_noop!(Pools::pay(&NODE, &EMPTY, &TREASURY, 4), TokenError::BelowMinimum);
    });
}

#[test]
fn each_nodes_pool_has_its_own_rewards() {
    run(|| {
        open(0);
        delegate(ALICE, BOND);
        assert_ok!(Pools::set_rules(signed(OWNER), OTHER, rules(0, &[], true)));
        assert_ok!(Pools::delegate(signed(BOB), OTHER, BOND, sp_runtime::Perbill::one()));
        pay(100 * CHR);
        assert_ok!(Pools::pay(&OTHER, &OWNER, &SOURCE, 50 * CHR));
        assert_eq!(delegation(ALICE).rewards, 50 * CHR);
        assert_eq!(Pools::delegation(1, BOB).unwrap().rewards, 25 * CHR);
    });
}
