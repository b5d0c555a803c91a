//! Bonds, and the way back.

use crate::{Candidates, Error, ExposureOf, Standing, Unbonding, mock::*};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::traits::Convert;

#[test]
fn unbonding_takes_its_time_and_leaves_the_minimum() {
    run(|| {
        assert_noop!(Validators::unbond(signed(1), 401), Error::<Test>::BondTooSmall);
        assert_noop!(Validators::unbond(signed(1), 501), Error::<Test>::BondTooSmall);
        assert_noop!(Validators::unbond(signed(4), 1), Error::<Test>::NotCandidate);
        assert_ok!(Validators::unbond(signed(1), 150));
        assert_ok!(Validators::unbond(signed(1), 50));
        let chunks = Unbonding::<Test>::get(1);
        assert_eq!(chunks.len(), 1, "parts of one era are merged");
        // Elected for era 0 at the latest, so slashable in eras 1 and 2 of the unbonding period, free from 3 on.
        assert_eq!((chunks[0].amount, chunks[0].free_from), (200, 3));
        assert_eq!(held(1), 500, "held until it is withdrawn");
        reach_session(5);
        assert_noop!(Validators::withdraw(signed(1)), Error::<Test>::NothingToWithdraw);
        reach_session(6);
        assert_ok!(Validators::withdraw(signed(1)));
        assert_eq!(held(1), 300);
        assert!(Unbonding::<Test>::get(1).is_empty());
        assert_eq!(ExposureOf::<Test>::convert(1), Some(300), "elected with what was left");
    });
}

#[test]
fn the_parts_that_unbond_at_a_time_are_bounded() {
    run(|| {
        assert_ok!(Validators::unbond(signed(1), 10));
        reach_session(2);
        assert_ok!(Validators::unbond(signed(1), 10));
        reach_session(4);
        assert_noop!(Validators::unbond(signed(1), 10), Error::<Test>::TooManyChunks);
        assert_noop!(Validators::leave(signed(1)), Error::<Test>::TooManyChunks);
        assert_eq!(Candidates::<Test>::get(1).unwrap().bond, 480);
    });
}

#[test]
fn who_leaves_serves_its_era_and_gets_everything_back() {
    run(|| {
        assert_noop!(Validators::leave(signed(4)), Error::<Test>::NotCandidate);
        assert_ok!(Validators::join(signed(4), 350));
        assert_ok!(Validators::leave(signed(1)));
        assert_eq!(Candidates::<Test>::get(1), None);
        reach_session(1);
        assert!(in_office().contains(&1));
        reach_session(2);
        assert_eq!(in_office(), vec![2, 4, 3]);
        assert_eq!(held(1), 500);
        reach_session(6);
        assert_ok!(Validators::withdraw(signed(1)));
        assert_eq!(held(1), 0);
        assert_eq!(Balances::free_balance(1), ENDOWMENT);
    });
}

#[test]
fn who_does_not_stand_may_leave_and_does_not_count_for_those_who_do() {
    run(|| {
        offend(&[(3, 300)], &[], 10, 0);
        assert_eq!(Standing::<Test>::get(), 2);
        // Three are listed, but only two stand, as many as an election needs.
        assert_noop!(Validators::leave(signed(2)), Error::<Test>::TooFewCandidates);
        assert_ok!(Validators::leave(signed(3)));
        assert_eq!(Standing::<Test>::get(), 2);
    });
}

#[test]
fn to_take_nothing_back_leaves_nothing_behind() {
    run(|| {
        // Otherwise two such calls would fill the places of parts, and the bond could never be had again.
        assert_noop!(Validators::unbond(signed(1), 0), Error::<Test>::NoAmount);
        assert!(Unbonding::<Test>::get(1).is_empty());
        assert_ok!(Validators::unbond(signed(1), 1));
    });
}
