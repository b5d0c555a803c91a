//! Elections, bonds, offences.

use crate::{
    ActiveEra, Candidates, EraParameters, Error, Event, ExposureOf, HoldReason, PlannedEra, Points, Slashes,
    TotalPoints, Unbonding, mock::*,
};
use chroom_primitives::Balance;
use frame_support::{
    assert_noop, assert_ok,
    traits::{KeyOwnerProofSystem, fungible::InspectHold},
};
use pallet_authorship::EventHandler;
use sp_runtime::{DispatchError, KeyTypeId, Perbill, key_types::DUMMY, testing::UintAuthorityId, traits::Convert};
use sp_staking::offence::{OffenceDetails, OnOffenceHandler};

fn held(who: AccountId) -> Balance {
    Balances::balance_on_hold(&HoldReason::Bond.into(), &who)
}

fn origin(who: AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

fn offend(offenders: &[(AccountId, Balance)], reporters: &[AccountId], fraction: Perbill, session: u32) {
    let details: Vec<_> = offenders
        .iter()
        .map(|offender| OffenceDetails { offender: *offender, reporters: reporters.to_vec() })
        .collect();
    Validators::on_offence(&details, &vec![fraction; details.len()], session);
}

#[test]
fn the_genesis_validators_are_in_office_with_their_bonds_held() {
    run(|| {
        assert_eq!(in_office(), vec![1, 2, 3]);
        assert_eq!((held(1), held(2), held(3)), (500, 400, 300));
        assert_eq!(ExposureOf::<Test>::convert(2), Some(400));
        assert_eq!(ActiveEra::<Test>::get().index, 0);
    });
}

#[test]
fn the_highest_bonds_take_the_seats_from_the_next_era_on() {
    run(|| {
        assert_ok!(Validators::join(origin(4), 450));
        assert_ok!(Validators::join(origin(5), 200));
        // The era of sessions 0 and 1 is in office, and the one after it is elected at the end of session 0.
        reach_session(1);
        assert_eq!(in_office(), vec![1, 2, 3]);
        reach_session(2);
        assert_eq!(ActiveEra::<Test>::get().index, 1);
        assert_eq!(in_office(), vec![1, 4, 2], "ordered by bond; 300 and 200 found no seat");
        assert_eq!(ExposureOf::<Test>::convert(4), Some(450));
        assert_eq!(ExposureOf::<Test>::convert(3), None);
    });
}

#[test]
fn equal_bonds_are_ordered_by_account() {
    run(|| {
        for who in [6, 4, 5] {
            assert_ok!(Validators::join(origin(who), 600));
        }
        reach_session(2);
        assert_eq!(in_office(), vec![4, 5, 6]);
    });
}

#[test]
fn an_era_lasts_for_its_sessions() {
    run(|| {
        for (session, era) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3)] {
            reach_session(session);
            assert_eq!(ActiveEra::<Test>::get().index, era, "session {session}");
        }
    });
}

#[test]
fn candidates_need_keys_a_bond_and_a_place() {
    run(|| {
        assert_noop!(Validators::join(origin(10), 500), Error::<Test>::NoSessionKeys);
        assert_noop!(Validators::join(origin(4), 99), Error::<Test>::BondTooSmall);
        assert_noop!(
            Validators::join(origin(4), ENDOWMENT * 2),
            DispatchError::Token(sp_runtime::TokenError::FundsUnavailable)
        );
        for who in 4..=6 {
            assert_ok!(Validators::join(origin(who), 100));
        }
        assert_noop!(Validators::join(origin(7), 500), Error::<Test>::TooManyCandidates);
        // Those who are in may still add to their bond.
        assert_ok!(Validators::join(origin(6), 50));
        assert_eq!(held(6), 150);
    });
}

#[test]
fn too_few_candidates_leave_those_in_office() {
    run(|| {
        let strict = EraParameters { minimum_validators: 3, ..parameters() };
        assert_ok!(Validators::set_parameters(RuntimeOrigin::root(), strict));
        assert_noop!(Validators::leave(origin(3)), Error::<Test>::TooFewCandidates);
        // An offender may not stand: two eligible candidates are left.
        offend(&[(3, 300)], &[], Perbill::from_percent(10), 0);
        reach_session(2);
        assert_eq!(in_office(), vec![1, 2, 3], "no election was held");
        assert_eq!(ActiveEra::<Test>::get().index, 0);
        System::assert_has_event(Event::ElectionFailed { candidates: 2 }.into());
        // It is held as soon as there are enough: for the session after the next.
        assert_ok!(Validators::join(origin(4), 350));
        reach_session(4);
        assert_eq!(in_office(), vec![1, 2, 4]);
        assert_eq!(ActiveEra::<Test>::get().index, 1);
    });
}

#[test]
fn unbonding_takes_its_time_and_leaves_the_minimum() {
    run(|| {
        assert_noop!(Validators::unbond(origin(1), 401), Error::<Test>::BondTooSmall);
        assert_noop!(Validators::unbond(origin(4), 1), Error::<Test>::NotCandidate);
        assert_ok!(Validators::unbond(origin(1), 150));
        assert_ok!(Validators::unbond(origin(1), 50));
        let chunks = Unbonding::<Test>::get(1);
        assert_eq!(chunks.len(), 1, "parts of one era are merged");
        // Elected for era 0 at the latest, so slashable in eras 1 and 2 of the unbonding period, free from 3 on.
        assert_eq!((chunks[0].amount, chunks[0].free_from), (200, 3));
        assert_eq!(held(1), 500, "held until it is withdrawn");
        reach_session(5);
        assert_noop!(Validators::withdraw(origin(1)), Error::<Test>::NothingToWithdraw);
        reach_session(6);
        assert_ok!(Validators::withdraw(origin(1)));
        assert_eq!(held(1), 300);
        assert!(Unbonding::<Test>::get(1).is_empty());
        assert_eq!(ExposureOf::<Test>::convert(1), Some(300), "elected with what was left");
    });
}

#[test]
fn the_parts_that_unbond_at_a_time_are_bounded() {
    run(|| {
        assert_ok!(Validators::unbond(origin(1), 10));
        reach_session(2);
        assert_ok!(Validators::unbond(origin(1), 10));
        reach_session(4);
        assert_noop!(Validators::unbond(origin(1), 10), Error::<Test>::TooManyChunks);
        assert_eq!(Candidates::<Test>::get(1).unwrap().bond, 480);
    });
}

#[test]
fn who_leaves_serves_its_era_and_gets_everything_back() {
    run(|| {
        assert_ok!(Validators::join(origin(4), 350));
        assert_ok!(Validators::leave(origin(1)));
        assert_eq!(Candidates::<Test>::get(1), None);
        reach_session(1);
        assert!(in_office().contains(&1));
        reach_session(2);
        assert_eq!(in_office(), vec![2, 4, 3]);
        assert_eq!(held(1), 500);
        reach_session(6);
        assert_ok!(Validators::withdraw(origin(1)));
        assert_eq!(held(1), 0);
        assert_eq!(Balances::free_balance(1), ENDOWMENT);
    });
}

#[test]
fn an_offence_costs_its_part_of_the_exposure_and_the_seat() {
    run(|| {
        let issuance = Balances::total_issuance();
        offend(&[(1, 500)], &[7], Perbill::from_percent(20), 0);
        assert_eq!(held(1), 400);
        assert_eq!(Balances::free_balance(7), ENDOWMENT + 10, "a tenth of 100 to the reporter");
        assert_eq!(Balances::free_balance(TREASURY), ENDOWMENT + 45);
        assert_eq!(Balances::total_issuance(), issuance - 45, "the rest is burnt");
        let candidate = Candidates::<Test>::get(1).unwrap();
        assert_eq!((candidate.bond, candidate.active, candidate.jailed_until), (400, false, 3));
        assert_noop!(Validators::join(origin(1), 0), Error::<Test>::Jailed);
        assert_noop!(Validators::leave(origin(1)), Error::<Test>::Jailed);
        reach_session(2);
        assert_eq!(in_office(), vec![2, 3]);
        reach_session(6);
        assert_ok!(Validators::join(origin(1), 0));
        reach_session(8);
        assert_eq!(in_office(), vec![1, 2, 3]);
    });
}

#[test]
fn an_offence_costs_at_least_the_floor_and_is_paid_once() {
    run(|| {
        offend(&[(1, 500)], &[], Perbill::from_percent(1), 0);
        assert_eq!(held(1), 475, "five percent at least");
        offend(&[(1, 500)], &[], Perbill::from_percent(1), 0);
        assert_eq!(held(1), 475, "the same offence again costs nothing more");
        // A second offender at the same time raises the price: the first pays the difference.
        offend(&[(1, 500), (2, 400)], &[], Perbill::from_percent(10), 0);
        assert_eq!((held(1), held(2)), (450, 360));
        assert_eq!(Slashes::<Test>::get(0, 1), Perbill::from_percent(10));
    });
}

#[test]
fn what_unbonds_is_slashed_too() {
    run(|| {
        assert_ok!(Validators::unbond(origin(1), 400));
        offend(&[(1, 500)], &[], Perbill::from_percent(50), 0);
        // The bond of 100 goes first, then 150 of the 400 on their way back.
        assert_eq!(held(1), 250);
        assert_eq!(Candidates::<Test>::get(1).unwrap().bond, 0);
        assert_eq!(Unbonding::<Test>::get(1)[0].amount, 250);
        offend(&[(1, 500)], &[], Perbill::from_percent(100), 0);
        assert_eq!(held(1), 0);
        assert!(Unbonding::<Test>::get(1).is_empty());
    });
}

#[test]
fn an_offender_that_left_is_slashed() {
    run(|| {
        assert_ok!(Validators::leave(origin(1)));
        offend(&[(1, 500)], &[], Perbill::from_percent(100), 0);
        assert_eq!(held(1), 0);
        assert_eq!(Candidates::<Test>::get(1), None, "an offence does not bring a candidate back");
    });
}

#[test]
fn session_keys_are_proven_with_the_exposure_of_their_time() {
    run(|| {
        let key = (DUMMY, UintAuthorityId(2));
        let encoded = |key: &(KeyTypeId, UintAuthorityId)| (key.0, codec::Encode::encode(&key.1));
        let proof = Historical::prove(encoded(&key)).unwrap();
        assert_ok!(Validators::unbond(origin(2), 100));
        assert_ok!(Validators::join(origin(4), 1_000));
        assert_eq!(Historical::check_proof(encoded(&key), proof.clone()), Some((2, 400)), "in the same session");
        reach_session(5);
        assert_eq!(ExposureOf::<Test>::convert(2), Some(300));
        assert_eq!(Historical::check_proof(encoded(&key), proof.clone()), Some((2, 400)), "two eras later");
        assert_eq!(
            Historical::check_proof(encoded(&(DUMMY, UintAuthorityId(9))), proof.clone()),
            None,
            "another's key"
        );
        // Bonds of session 0 are free by now, so nobody can be reported for it any more.
        reach_session(10);
        assert_eq!(Historical::check_proof(encoded(&key), proof), None);
    });
}

#[test]
fn authors_earn_points_in_their_era() {
    run(|| {
        for author in [1, 2, 1] {
            Validators::note_author(author);
        }
        reach_session(2);
        Validators::note_author(1);
        assert_eq!((Points::<Test>::get(0, 1), Points::<Test>::get(0, 2), TotalPoints::<Test>::get(0)), (2, 1, 3));
        assert_eq!((Points::<Test>::get(1, 1), TotalPoints::<Test>::get(1)), (1, 1));
        // Four eras are readable, the one in office among them.
        reach_session(6);
        assert_eq!(TotalPoints::<Test>::get(0), 3);
        reach_session(8);
        assert_eq!((Points::<Test>::get(0, 1), TotalPoints::<Test>::get(0)), (0, 0));
    });
}

#[test]
fn only_the_manager_sets_sound_rules() {
    run(|| {
        assert_noop!(Validators::set_parameters(origin(1), parameters()), DispatchError::BadOrigin);
        for unsound in [
            EraParameters { validators: 0, ..parameters() },
            EraParameters { minimum_validators: 4, ..parameters() },
            EraParameters { minimum_validators: 0, ..parameters() },
            EraParameters { sessions_per_era: 0, ..parameters() },
            EraParameters { minimum_bond: 0, ..parameters() },
        ] {
            assert_noop!(Validators::set_parameters(RuntimeOrigin::root(), unsound), Error::<Test>::UnsoundParameters);
        }
        let more = EraParameters { validators: 4, ..parameters() };
        assert_ok!(Validators::set_parameters(RuntimeOrigin::root(), more));
        assert_ok!(Validators::join(origin(4), 100));
        reach_session(2);
        assert_eq!(in_office(), vec![1, 2, 3, 4]);
        assert_eq!(PlannedEra::<Test>::get().unwrap().index, 1);
    });
}
