//! Offences whose slash does not wait, and sentences.

use crate::{Candidates, Error, Event, Sentence, Sentences, Slashes, Unbonding, mock::*};
use crate::{EraParameters, slash::MAX_REPORTERS};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::Perbill;

#[test]
fn an_offence_costs_its_part_of_the_exposure_and_the_seat() {
    run_with(at_once(), || {
        let issuance = Balances::total_issuance();
        offend(&[(1, 500)], &[7], 20, 0);
        assert_eq!(held(1), 400);
        assert_eq!(Balances::free_balance(7), ENDOWMENT + 20, "a fifth of 100 to the reporter");
        assert_eq!(Balances::free_balance(TREASURY), ENDOWMENT + 30);
        assert_eq!(Balances::total_issuance(), issuance - 50, "the rest is burnt");
        System::assert_has_event(
            Event::Offended { who: 1, session: 0, fraction: Perbill::from_percent(20), jailed_until: 6 }.into(),
        );
        System::assert_has_event(Event::Slashed { who: 1, amount: 100, session: 0 }.into());
        let candidate = Candidates::<Test>::get(1).unwrap();
        assert_eq!((candidate.bond, candidate.active), (400, false));
        assert_noop!(Validators::join(signed(1), 0), Error::<Test>::Jailed);
        reach_session(2);
        assert_eq!(in_office(), vec![2, 3]);
        reach_session(5);
        assert_noop!(Validators::join(signed(1), 0), Error::<Test>::Jailed);
        reach_session(6);
        assert_ok!(Validators::join(signed(1), 0));
        assert_eq!(Sentences::<Test>::get(1), None);
        reach_session(8);
        assert_eq!(in_office(), vec![1, 2, 3]);
    });
}

#[test]
fn reporters_share_their_part_and_what_they_cannot_take_is_burnt() {
    run_with(at_once(), || {
        let issuance = Balances::total_issuance();
        // A fifth of 15 is too little for an account that does not exist.
        offend(&[(3, 300)], &[3_000], 5, 0);
        assert_eq!(Balances::free_balance(3_000), 0);
        assert_eq!(Balances::free_balance(TREASURY), ENDOWMENT + 4);
        assert_eq!(Balances::total_issuance(), issuance - 11);
        // A fifth of 400 among four; there are no more shares than that.
        offend(&[(2, 400)], &[5, 6, 7, 8, 9], 100, 0);
        for reporter in 5..5 + u64::from(MAX_REPORTERS) {
            assert_eq!(Balances::free_balance(reporter), ENDOWMENT + 20, "{reporter}");
        }
        assert_eq!(Balances::free_balance(9), ENDOWMENT);
    });
}

#[test]
fn an_offence_costs_at_least_the_floor_and_is_paid_once() {
    run_with(at_once(), || {
        offend(&[(1, 500)], &[], 1, 0);
        assert_eq!(held(1), 475, "five percent at least");
        offend(&[(1, 500)], &[], 1, 0);
        assert_eq!(held(1), 475, "the same offence again costs nothing more");
        // A second offender at the same time raises the price: the first pays the difference.
        offend(&[(1, 500), (2, 400)], &[], 10, 0);
        assert_eq!((held(1), held(2)), (450, 360));
        assert_eq!(Slashes::<Test>::get(0, 1).fraction, Perbill::from_percent(10));
    });
}

#[test]
fn what_unbonds_is_slashed_too() {
    run_with(at_once(), || {
        assert_ok!(Validators::unbond(signed(1), 400));
        offend(&[(1, 500)], &[], 50, 0);
        // The bond of 100 goes first, then 150 of the 400 on their way back.
        assert_eq!(held(1), 250);
        assert_eq!(Candidates::<Test>::get(1).unwrap().bond, 0);
        assert_eq!(Unbonding::<Test>::get(1)[0].amount, 250);
        offend(&[(1, 500)], &[], 100, 0);
        assert_eq!(held(1), 0);
        assert!(Unbonding::<Test>::get(1).is_empty());
        // It has nothing left to wait for.
        assert_ok!(Validators::leave(signed(1)));
        assert!(Unbonding::<Test>::get(1).is_empty());
    });
}

#[test]
fn who_left_first_is_slashed_and_sentenced_all_the_same() {
    run_with(at_once(), || {
        assert_ok!(Validators::leave(signed(1)));
        offend(&[(1, 500)], &[], 40, 0);
        assert_eq!(held(1), 300);
        assert_eq!(Candidates::<Test>::get(1), None, "an offence does not bring a candidate back");
        assert_noop!(Validators::join(signed(1), 500), Error::<Test>::Jailed);
        reach_session(5);
        assert_noop!(Validators::join(signed(1), 500), Error::<Test>::Jailed);
        reach_session(6);
        assert_ok!(Validators::join(signed(1), 500));
    });
}

#[test]
fn leaving_does_not_shorten_a_sentence() {
    run(|| {
        offend(&[(1, 500)], &[], 40, 0);
        assert_ok!(Validators::leave(signed(1)));
        assert_noop!(Validators::join(signed(1), 500), Error::<Test>::Jailed);
        reach_session(5);
        assert_noop!(Validators::join(signed(1), 500), Error::<Test>::Jailed);
        reach_session(6);
        assert_ok!(Validators::join(signed(1), 500));
    });
}

#[test]
fn another_offence_prolongs_a_sentence_and_one_that_is_over_begins_anew() {
    run_with(at_once(), || {
        offend(&[(1, 500)], &[], 40, 0);
        reach_session(2);
        offend(&[(1, 500)], &[], 5, 1);
        let sentence = Sentence { until: 8, offences: 1, severity: Perbill::from_percent(40) };
        assert_eq!(Sentences::<Test>::get(1), Some(sentence));
        reach_session(8);
        offend(&[(1, 500)], &[], 5, 2);
        let sentence = Sentence { until: 14, offences: 1, severity: Perbill::from_percent(5) };
        assert_eq!(Sentences::<Test>::get(1), Some(sentence));
    });
}

#[test]
fn offences_of_one_sentence_cost_no_more_than_the_worst_of_them() {
    run_with(at_once(), || {
        offend(&[(1, 500)], &[7], 20, 0);
        reach_session(1);
        // It goes on until a set without it is in office.
        offend(&[(1, 500)], &[7], 20, 1);
        offend(&[(1, 500)], &[7], 15, 2);
        assert_eq!((held(1), Balances::free_balance(7)), (400, ENDOWMENT + 20));
        assert_eq!(Sentences::<Test>::get(1).map(|sentence| (sentence.until, sentence.offences)), Some((7, 1)));
        System::assert_has_event(
            Event::Offended { who: 1, session: 2, fraction: Perbill::from_percent(15), jailed_until: 7 }.into(),
        );
        // A worse one costs the difference, in whichever session it was.
        offend(&[(1, 500)], &[], 30, 1);
        assert_eq!(held(1), 350);
        // Once it has sat out, all begins anew.
        reach_session(8);
        offend(&[(1, 350)], &[], 20, 8);
        assert_eq!(held(1), 280);
    });
}

#[test]
fn an_offender_that_was_elected_already_stays_disabled() {
    run_with(EraParameters { validators: 4, ..parameters() }, || {
        assert_ok!(Validators::join(signed(4), 200));
        reach_session(3);
        assert_eq!(in_office(), vec![1, 2, 3, 4]);
        // The era that begins with session 4 is elected, with the offender in it.
        offend(&[(4, 200)], &[], 10, 3);
        assert_eq!(Session::disabled_validators(), vec![3]);
        reach_session(4);
        assert_eq!(in_office(), vec![1, 2, 3, 4]);
        assert_eq!(Session::disabled_validators(), vec![3]);
        reach_session(6);
        assert_eq!(in_office(), vec![1, 2, 3]);
        assert!(Session::disabled_validators().is_empty());
    });
}

#[test]
fn old_offences_are_forgotten_also_when_the_rules_change() {
    run_with(at_once(), || {
        offend(&[(1, 500)], &[], 10, 0);
        // Sessions 0 to 8 have ended: four eras of two sessions are remembered before that.
        reach_session(9);
        assert_eq!(Slashes::<Test>::iter().count(), 1);
        for session in 2..9 {
            offend(&[(3, 300)], &[], 10, session);
        }
        reach_session(10);
        assert_eq!(Slashes::<Test>::iter_prefix(0).count(), 0);
        // Two eras only, from now on; the sessions in between are caught up with.
        let short = EraParameters { unbonding_eras: 0, ..at_once() };
        assert_ok!(Validators::set_parameters(RuntimeOrigin::root(), short));
        reach_session(12);
        let remembered: Vec<u32> = Slashes::<Test>::iter_keys().map(|(session, _)| session).collect();
        assert!(remembered.iter().all(|session| *session >= 7), "{remembered:?}");
        assert_eq!(remembered.len(), 2);
    });
}
