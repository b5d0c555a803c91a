//! What validators are paid.

use crate::{EraParameters, EraReward, EraRewards, Error, Event, OldestEra, Owed, Paid, Payees, mock::*};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::TokenError;

#[test]
fn an_era_pays_its_authors_by_their_blocks() {
    run(|| {
        let issuance = Balances::total_issuance();
        income(1_000);
        author(&[1, 2], 1);
        author(&[1], 1);
        reach_session(2);
        System::assert_has_event(Event::EraRewarded { era: 0, total: 1_000, points: 3 }.into());
        assert_eq!(Owed::<Test>::get(), 1_000);
        // What comes now is the next era's.
        income(100);
        assert_ok!(Validators::payout(signed(10), 0, 1));
        assert_ok!(Validators::payout(signed(2), 0, 2));
        System::assert_has_event(Event::PaidOut { era: 0, validator: 1, payee: 1, amount: 666 }.into());
        assert_eq!(Balances::free_balance(1), ENDOWMENT - 500 + 666);
        assert_eq!(Balances::free_balance(2), ENDOWMENT - 400 + 333);
        assert_eq!(EraRewards::<Test>::get(0), Some(EraReward { total: 1_000, points: 3, paid: 999 }));
        assert_eq!(Owed::<Test>::get(), 1, "what rounding leaves");
        assert_eq!(Balances::free_balance(Validators::pot_account()), ED + 101);
        assert_eq!(Balances::total_issuance(), issuance + 1_100);
    });
}

#[test]
fn who_earned_nothing_or_was_paid_gets_nothing() {
    run(|| {
        income(1_000);
        author(&[1], 1);
        assert_noop!(Validators::payout(signed(1), 0, 1), Error::<Test>::NoReward);
        reach_session(2);
        assert_noop!(Validators::payout(signed(1), 5, 1), Error::<Test>::NoReward);
        assert_noop!(Validators::payout(signed(1), 0, 2), Error::<Test>::NothingToPay);
        assert_noop!(Validators::payout(RuntimeOrigin::none(), 0, 1), sp_runtime::DispatchError::BadOrigin);
        assert_ok!(Validators::payout(signed(1), 0, 1));
        assert_noop!(Validators::payout(signed(1), 0, 1), Error::<Test>::AlreadyPaid);
    });
}

#[test]
fn an_era_without_blocks_or_income_leaves_the_pot_to_the_next() {
    run(|| {
        income(70);
        reach_session(2);
        assert_eq!(EraRewards::<Test>::get(0), None);
        income(30);
        author(&[3], 1);
        reach_session(4);
        assert_eq!(EraRewards::<Test>::get(1), Some(EraReward { total: 100, points: 1, paid: 0 }));
        author(&[3], 1);
        reach_session(6);
        assert_eq!(EraRewards::<Test>::get(2), None, "nothing came in");
    });
}

#[test]
fn a_validator_chooses_who_is_paid() {
    run(|| {
        assert_noop!(Validators::set_payee(signed(10), 1), Error::<Test>::NotCandidate);
        income(100);
        author(&[1, 2], 1);
        reach_session(2);
        assert_ok!(Validators::set_payee(signed(1), 7));
        System::assert_has_event(Event::PayeeSet { who: 1, payee: 7 }.into());
        assert_ok!(Validators::payout(signed(1), 0, 1));
        assert_eq!(Balances::free_balance(7), ENDOWMENT + 50);
        assert_ok!(Validators::set_payee(signed(1), 1));
        assert_eq!(Payees::<Test>::get(1), None);
        // Who takes its candidacy and its bond away is forgotten with its payee.
        assert_ok!(Validators::set_payee(signed(2), 7));
        assert_ok!(Validators::leave(signed(2)));
        assert_ok!(Validators::payout(signed(1), 0, 2));
        assert_eq!(Balances::free_balance(7), ENDOWMENT + 100);
        reach_session(8);
        assert_ok!(Validators::withdraw(signed(2)));
        assert_eq!(Payees::<Test>::get(2), None);
    });
}

#[test]
fn what_a_payee_cannot_take_stays_owed() {
    run(|| {
        income(ED - 1);
        author(&[1], 1);
        reach_session(2);
        assert_ok!(Validators::set_payee(signed(1), 3_001));
        assert_noop!(Validators::payout(signed(1), 0, 1), TokenError::BelowMinimum);
        assert_ok!(Validators::set_payee(signed(1), 7));
        assert_ok!(Validators::payout(signed(1), 0, 1));
    });
}

#[test]
fn a_pot_that_is_its_own_payee_keeps_its_sums() {
    run(|| {
        income(100);
        author(&[1], 1);
        reach_session(2);
        assert_ok!(Validators::set_payee(signed(1), Validators::pot_account()));
        assert_ok!(Validators::payout(signed(1), 0, 1));
        author(&[1], 1);
        reach_session(4);
        assert_eq!(EraRewards::<Test>::get(1).unwrap().total, 100);
    });
}

#[test]
fn what_nobody_asks_for_is_the_pots_again() {
    run(|| {
        income(900);
        author(&[1, 2, 3], 1);
        reach_session(2);
        assert_ok!(Validators::payout(signed(1), 0, 1));
        reach_session(7);
        author(&[1], 1);
        assert_eq!(Owed::<Test>::get(), 600);
        reach_session(8);
        System::assert_has_event(Event::EraExpired { era: 0, unclaimed: 600 }.into());
        assert_noop!(Validators::payout(signed(1), 0, 2), Error::<Test>::NoReward);
        assert_eq!(Paid::<Test>::iter_prefix(0).count(), 0);
        assert_eq!(EraRewards::<Test>::get(3), Some(EraReward { total: 600, points: 1, paid: 0 }));
    });
}

#[test]
fn eras_are_forgotten_also_when_the_rules_change() {
    run_with(at_once(), || {
        for session in 1..=10 {
            income(30);
            author(&[1, 2, 3], 1);
            reach_session(session);
        }
        assert_eq!(OldestEra::<Test>::get(), 2);
        let short = EraParameters { unbonding_eras: 0, ..at_once() };
        assert_ok!(Validators::set_parameters(RuntimeOrigin::root(), short));
        reach_session(12);
        assert_eq!(OldestEra::<Test>::get(), 4, "two at once");
        reach_session(14);
        assert_eq!(OldestEra::<Test>::get(), 6);
        // Nobody authored since, and nobody asked for what was earned before.
        assert_eq!((EraRewards::<Test>::iter().count(), Owed::<Test>::get()), (0, 0));
        assert_eq!(Validators::era_info().accrued, 300);
    });
}

#[test]
fn shares_of_the_largest_amounts_do_not_overflow() {
    let reward = EraReward { total: u128::MAX, points: u32::MAX, paid: 0 };
    assert_eq!(reward.share(u32::MAX), u128::MAX);
    assert_eq!(reward.share(0), 0);
    assert!(reward.share(u32::MAX - 1) < u128::MAX);
    assert_eq!(EraReward::default().share(0), 0, "nothing of nothing");
}
