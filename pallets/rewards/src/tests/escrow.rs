//! Filling and emptying escrows.

use crate::{Error, EscrowStatus, Event, mock::*};
use chroom_primitives::{AccountId, Balance, CHR, QosEpoch};
use frame_support::{assert_noop, assert_ok};

fn free(who: AccountId) -> Balance {
    Balances::free_balance(who)
}

#[test]
fn anybody_fills_an_applications_escrow() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(STRANGER), APP, 5 * CHR));
        assert_ok!(Rewards::deposit(signed(APP), APP, 2 * CHR));
        assert_eq!(Rewards::escrow(APP), 7 * CHR);
        assert_eq!(Rewards::escrow(STRANGER), 0);
        assert_eq!(Balances::free_balance(STRANGER), WEALTH - 5 * CHR);
        let event = Event::Deposited { application: APP, from: APP, amount: 2 * CHR, balance: 7 * CHR };
        System::assert_last_event(event.into());
        assert_noop!(Rewards::deposit(signed(APP), APP, 0), Error::<Test>::NoAmount);
        assert_noop!(Rewards::deposit(signed(APP), APP, WEALTH), sp_runtime::TokenError::FundsUnavailable);
    });
}

#[test]
fn an_escrow_is_worth_its_place() {
    run(|| {
        let least = ExistentialDeposit::get();
        assert_noop!(Rewards::deposit(signed(STRANGER), APP, least - 1), Error::<Test>::DepositTooSmall);
        assert_ok!(Rewards::deposit(signed(STRANGER), APP, least));
        // What is there already counts.
        assert_ok!(Rewards::deposit(signed(STRANGER), APP, 1));
        assert_noop!(Rewards::deposit(signed(STRANGER), APP, Balance::MAX), Error::<Test>::Overflow);
    });
}

#[test]
fn a_withdrawal_waits_until_claims_had_their_chance() {
    run(|| {
        assert_noop!(Rewards::request_withdraw(signed(APP), CHR), Error::<Test>::NoEscrow);
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::NoEscrow);
        let before = free(APP);
        assert_ok!(Rewards::deposit(signed(APP), APP, 10 * CHR));
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::NoWithdrawal);
        assert_noop!(Rewards::request_withdraw(signed(APP), 11 * CHR), Error::<Test>::EscrowTooLow);
        assert_ok!(Rewards::request_withdraw(signed(APP), 4 * CHR));
        let (from, until) = (QosEpoch(2), QosEpoch(4));
        let event = Event::WithdrawalRequested { application: APP, amount: 4 * CHR, from, until };
        System::assert_last_event(event.into());
        run_to(first(2) - 1);
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::WithdrawalTooEarly);
        run_to(first(2));
        assert_ok!(Rewards::withdraw(signed(APP)));
        assert_eq!(Rewards::escrow(APP), 6 * CHR);
        assert_eq!(free(APP), before - 6 * CHR);
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::NoWithdrawal);
    });
}

#[test]
fn a_request_can_be_taken_back_and_replaced() {
    run(|| {
        let before = free(APP);
        assert_ok!(Rewards::deposit(signed(APP), APP, 10 * CHR));
        assert_ok!(Rewards::request_withdraw(signed(APP), 4 * CHR));
        assert_ok!(Rewards::request_withdraw(signed(APP), 0));
        run_to(first(2));
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::NoWithdrawal);
        assert_ok!(Rewards::request_withdraw(signed(APP), 10 * CHR));
        // The new request has its own delay.
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::WithdrawalTooEarly);
        run_to(first(4));
        assert_ok!(Rewards::withdraw(signed(APP)));
        assert_eq!(crate::Escrows::<Test>::iter().count(), 0);
        assert_eq!(free(APP), before);
    });
}

#[test]
fn fees_come_before_a_withdrawal() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(APP), APP, 10 * CHR));
        assert_ok!(Rewards::request_withdraw(signed(APP), 10 * CHR));
        let round = attested(|_, _| View { usage: vec![used(APP, 7 << 30)], ..View::score(1_000) });
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
        run_to(first(2));
        assert_ok!(Rewards::withdraw(signed(APP)));
        System::assert_last_event(Event::Withdrawn { application: APP, amount: 3 * CHR }.into());
    });
}

#[test]
fn a_ripe_request_lapses() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(APP), APP, 10 * CHR));
        assert_ok!(Rewards::request_withdraw(signed(APP), 4 * CHR));
        let status = |requested| EscrowStatus { balance: 10 * CHR, requested, available: 10 * CHR - requested };
        assert_eq!(Rewards::escrow_status(APP), status(4 * CHR));
        // Ripe in epochs 2 and 3, and not shown as spendable before it is over.
        run_to(first(4) - 1);
        assert_eq!(Rewards::escrow_status(APP), status(4 * CHR));
        run_to(first(4));
        assert_eq!(Rewards::escrow_status(APP), status(0));
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::WithdrawalLapsed);
        assert_ok!(Rewards::request_withdraw(signed(APP), 4 * CHR));
        assert_eq!(Rewards::escrow_status(APP), status(4 * CHR));
        run_to(first(6));
        assert_ok!(Rewards::withdraw(signed(APP)));
        assert_eq!(Rewards::escrow_status(APP), EscrowStatus { balance: 6 * CHR, requested: 0, available: 6 * CHR });
        assert_eq!(Rewards::escrow_status(STRANGER), EscrowStatus::default());
    });
}

#[test]
fn an_escrow_that_runs_dry_has_nothing_to_withdraw() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(APP), APP, 4 * CHR));
        assert_ok!(Rewards::request_withdraw(signed(APP), 4 * CHR));
        let round = attested(|_, _| View { usage: vec![used(APP, 7 << 30)], ..View::score(1_000) });
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!(Rewards::escrow_status(APP), EscrowStatus::default());
        assert_noop!(Rewards::withdraw(signed(APP)), Error::<Test>::NoEscrow);
    });
}
