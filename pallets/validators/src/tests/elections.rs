//! Who is elected, and what happens when nobody can be.

use crate::{ActiveEra, EraParameters, Error, Event, ExposureOf, Points, TotalPoints, Unbonding, mock::*};
use codec::Encode;
use frame_support::{assert_noop, assert_ok, traits::KeyOwnerProofSystem};
use pallet_authorship::EventHandler;
use sp_runtime::{DispatchError, KeyTypeId, TokenError, key_types::DUMMY, testing::UintAuthorityId, traits::Convert};

#[test]
fn the_highest_bonds_take_the_seats_from_the_next_era_on() {
    run(|| {
        assert_ok!(Validators::join(signed(4), 450));
        assert_ok!(Validators::join(signed(5), 200));
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
            assert_ok!(Validators::join(signed(who), 600));
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
        assert_noop!(Validators::join(signed(10), 500), Error::<Test>::NoSessionKeys);
        assert_noop!(Validators::join(signed(4), 99), Error::<Test>::BondTooSmall);
        assert_noop!(Validators::join(signed(4), ENDOWMENT * 2), DispatchError::Token(TokenError::FundsUnavailable));
        for who in 4..=6 {
            assert_ok!(Validators::join(signed(who), 100));
        }
        assert_noop!(Validators::join(signed(7), 500), Error::<Test>::TooManyCandidates);
        // Those who are in may still add to their bond.
        assert_ok!(Validators::join(signed(6), 50));
        assert_eq!(held(6), 150);
    });
}

#[test]
fn with_too_few_candidates_those_in_office_serve_another_era() {
    run_with(EraParameters { minimum_validators: 3, ..parameters() }, || {
        assert_noop!(Validators::leave(signed(3)), Error::<Test>::TooFewCandidates);
        // An offender may not stand: two eligible candidates are left.
        offend(&[(3, 300)], &[], 10, 0);
        reach_session(2);
        assert_eq!(in_office(), vec![1, 2, 3]);
        System::assert_has_event(Event::ElectionFailed { candidates: 2 }.into());
        System::assert_has_event(Event::Retained { era: 1, validators: 3 }.into());
        assert_eq!(ActiveEra::<Test>::get().index, 1, "eras go on");
        assert_eq!(ExposureOf::<Test>::convert(3), Some(300));
        // There are enough again for the next era.
        assert_ok!(Validators::join(signed(4), 350));
        reach_session(4);
        assert_eq!(in_office(), vec![1, 2, 4]);
        assert_eq!(ActiveEra::<Test>::get().index, 2);
    });
}

#[test]
fn a_network_that_cannot_elect_heals_when_sentences_end_and_keeps_the_bonds_of_those_who_serve() {
    run(|| {
        assert_ok!(Validators::leave(signed(3)));
        assert_eq!(Unbonding::<Test>::get(3)[0].free_from, 3);
        offend(&[(2, 400)], &[], 10, 0);
        // One eligible candidate is left of the two that an election needs: three eras begin without one.
        reach_session(6);
        assert_eq!(ActiveEra::<Test>::get().index, 3);
        assert_eq!(in_office(), vec![1, 2, 3], "who left serves too");
        assert_eq!(Unbonding::<Test>::get(3)[0].free_from, 6, "so it can be slashed for as long as after any era");
        assert_noop!(Validators::withdraw(signed(3)), Error::<Test>::NothingToWithdraw);
        // The sentence counted sessions, and is over.
        assert_eq!(held(2), 360);
        assert_ok!(Validators::join(signed(2), 0));
        reach_session(8);
        assert_eq!(in_office(), vec![1, 2]);
        reach_session(11);
        assert_noop!(Validators::withdraw(signed(3)), Error::<Test>::NothingToWithdraw);
        reach_session(12);
        assert_ok!(Validators::withdraw(signed(3)));
    });
}

#[test]
fn a_bond_that_stands_for_nothing_any_more_is_not_kept_by_another_era() {
    run(|| {
        assert_ok!(Validators::unbond(signed(1), 100));
        reach_session(2);
        assert_eq!(ExposureOf::<Test>::convert(1), Some(400));
        // The era after this is elected already.
        reach_session(3);
        offend(&[(2, 400), (3, 300)], &[], 10, 3);
        reach_session(6);
        System::assert_has_event(Event::Retained { era: 3, validators: 3 }.into());
        assert_ok!(Validators::withdraw(signed(1)));
        assert_eq!(held(1), 400);
    });
}

#[test]
fn session_keys_are_proven_with_the_exposure_of_their_time() {
    run(|| {
        let key = (DUMMY, UintAuthorityId(2));
        let encoded = |key: &(KeyTypeId, UintAuthorityId)| (key.0, key.1.encode());
        let proof = Historical::prove(encoded(&key)).unwrap();
        assert_ok!(Validators::unbond(signed(2), 100));
        assert_ok!(Validators::join(signed(4), 1_000));
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
fn session_keys_are_proven_in_eras_without_an_election() {
    run(|| {
        offend(&[(2, 400), (3, 300)], &[], 10, 0);
        reach_session(4);
        assert_eq!(ActiveEra::<Test>::get().index, 2);
        let key = (DUMMY, UintAuthorityId(3).encode());
        let proof = Historical::prove(key.clone()).unwrap();
        assert_eq!(proof.session, 4);
        assert_eq!(Historical::check_proof(key.clone(), proof.clone()), Some((3, 300)), "in the same session");
        reach_session(5);
        assert_eq!(Historical::check_proof(key, proof), Some((3, 300)), "by its root");
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
