//! Who sets a pool's rules, and when they hold.

use crate::{CommissionRaise, Error, Event, NextPool, Rules, mock::*};
use chroom_primitives::{CHR, NodeId};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::Perbill;

#[test]
fn by_default_a_pool_is_closed_and_all_is_the_owners() {
    run(|| {
        assert_eq!(Pools::pool_of(NODE), None);
        assert_eq!(Pools::rules(NODE), Rules::default());
        assert_eq!(Pools::announced_raise(NODE), None);
        assert!(!Rules::default().open && Rules::default().commission.is_zero());
    });
}

#[test]
fn only_the_owner_sets_rules() {
    run(|| {
        let set = |who, node| Pools::set_rules(signed(who), node, rules(10, &[(BOB, 50)], true));
        assert_noop!(set(ALICE, NODE), Error::<Test>::NotOwner);
        assert_noop!(set(NODE.account(), NODE), Error::<Test>::NotOwner);
        assert_noop!(set(OWNER, NodeId([99; 20])), Error::<Test>::NotRegistered);
        assert_ok!(set(OWNER, NODE));
        let rules = rules(10, &[(BOB, 50)], true);
        System::assert_last_event(Event::RulesSet { node: NODE, pool: 0, rules: rules.clone(), raise: None }.into());
        assert_eq!(Pools::rules(NODE), rules);
        // Another node has another pool.
        assert_ok!(set(OWNER, OTHER));
        assert_eq!((Pools::pool_of(NODE), Pools::pool_of(OTHER)), (Some(0), Some(1)));
    });
}

#[test]
fn unsound_rules_are_refused() {
    run(|| {
        let set = |beneficiaries: &[_]| Pools::set_rules(signed(OWNER), NODE, rules(0, beneficiaries, false));
        assert_noop!(set(&[(ALICE, 60), (BOB, 41)]), Error::<Test>::TooMuchShared);
        assert_noop!(set(&[(ALICE, 60), (BOB, 0)]), Error::<Test>::EmptyShare);
        assert_noop!(set(&[(ALICE, 10), (BOB, 10), (ALICE, 10)]), Error::<Test>::DuplicateBeneficiary);
        assert_ok!(set(&[(ALICE, 60), (BOB, 40)]));
        assert_ok!(set(&[]));
    });
}

#[test]
fn pools_are_numbered_up_to_a_bound() {
    run(|| {
        NextPool::<Test>::put(u32::MAX);
        assert_noop!(Pools::set_rules(signed(OWNER), NODE, rules(0, &[], true)), Error::<Test>::Overflow);
    });
}

#[test]
fn a_higher_commission_holds_after_the_notice_period() {
    run(|| {
        open(10);
        at(5);
        set_rules(30, true);
        let raise = CommissionRaise { commission: Perbill::from_percent(30), from: 5 + NOTICE };
        assert_eq!(Pools::announced_raise(NODE), Some(raise));
        assert_eq!(commission(), Perbill::from_percent(10));
        at(4 + NOTICE);
        assert_eq!(commission(), Perbill::from_percent(10));
        at(5 + NOTICE);
        assert_eq!(commission(), Perbill::from_percent(30));
        assert_eq!(Pools::announced_raise(NODE), None);
        // What holds already needs no notice.
        set_rules(30, true);
        assert_eq!(commission(), Perbill::from_percent(30));
        assert_eq!(Pools::pool(0).unwrap().raise, None);
    });
}

#[test]
fn a_lower_commission_holds_at_once_and_takes_an_announcement_back() {
    run(|| {
        open(10);
        set_rules(30, true);
        set_rules(5, true);
        assert_eq!(commission(), Perbill::from_percent(5));
        at(1 + NOTICE);
        assert_eq!(commission(), Perbill::from_percent(5));
    });
}

#[test]
fn a_notice_covers_lower_raises_and_no_higher_ones() {
    run(|| {
        open(10);
        delegate(ALICE, BOND);
        set_rules(30, true);
        at(5);
        // Other rules may change meanwhile.
        set_rules(30, false);
        set_rules(20, false);
        assert_eq!(Pools::announced_raise(NODE).unwrap().from, 1 + NOTICE);
        set_rules(25, false);
        let raise = CommissionRaise { commission: Perbill::from_percent(25), from: 5 + NOTICE };
        assert_eq!(Pools::announced_raise(NODE), Some(raise));
        at(5 + NOTICE);
        assert_eq!(commission(), Perbill::from_percent(25));
        // A raise that holds covers nothing any more.
        set_rules(26, true);
        assert_eq!(Pools::announced_raise(NODE).unwrap().from, 5 + 2 * NOTICE);
    });
}

#[test]
fn with_nobody_to_warn_a_higher_commission_holds_at_once() {
    run(|| {
        set_rules(10, false);
        set_rules(20, true);
        assert_eq!(commission(), Perbill::from_percent(20));
        // Somebody may be about to delegate.
        set_rules(30, false);
        assert_eq!(commission(), Perbill::from_percent(20));
        set_rules(30, false);
        assert_eq!(commission(), Perbill::from_percent(30));
        // A closed pool may have delegators.
        set_rules(30, true);
        delegate(ALICE, BOND);
        set_rules(30, false);
        set_rules(40, false);
        assert_eq!(commission(), Perbill::from_percent(30));
    });
}

#[test]
fn a_raise_reaches_the_pay() {
    run(|| {
        open(0);
        delegate(ALICE, BOND);
        set_rules(50, true);
        pay(100 * CHR);
        assert_eq!(delegation(ALICE).rewards, 50 * CHR);
        at(1 + NOTICE);
        pay(100 * CHR);
        assert_eq!(delegation(ALICE).rewards, 75 * CHR);
    });
}
