//! Validators that author nothing.

use crate::{Candidates, EraParameters, Error, Event, SessionPoints, mock::*};
use frame_support::{assert_noop, assert_ok};

fn absences(who: AccountId) -> u32 {
    Candidates::<Test>::get(who).unwrap().absences
}

fn stands(who: AccountId) -> bool {
    Candidates::<Test>::get(who).unwrap().active
}

/// Ends sessions in which `authors` authored enough for others to be missed.
fn sessions(authors: &[AccountId], count: u32) {
    for _ in 0..count {
        author(authors, 8);
        next_session();
    }
}

#[test]
fn absences_cost_the_seat_until_the_validator_joins_again() {
    run(|| {
        sessions(&[1, 2], 1);
        System::assert_has_event(Event::Absent { who: 3, session: 0, absences: 1 }.into());
        assert!(stands(3));
        sessions(&[1, 2], 1);
        System::assert_has_event(Event::Absent { who: 3, session: 1, absences: 2 }.into());
        System::assert_has_event(Event::Chilled { who: 3, session: 1 }.into());
        assert!(!stands(3));
        assert_eq!(held(3), 300, "it costs nothing of the bond");
        assert_eq!(SessionPoints::<Test>::iter().count(), 0);
        // Era 1 was elected before; it is missed no more in it, as it does not stand.
        sessions(&[1, 2], 2);
        assert_eq!(in_office(), vec![1, 2]);
        assert_eq!(absences(3), 0);
        assert_ok!(Validators::join(signed(3), 0));
        sessions(&[1, 2], 2);
        assert_eq!(in_office(), vec![1, 2, 3]);
    });
}

#[test]
fn a_block_makes_up_for_absences() {
    run(|| {
        sessions(&[1, 2], 1);
        assert_eq!(absences(3), 1);
        sessions(&[1, 2, 3], 1);
        assert_eq!(absences(3), 0);
        sessions(&[1, 2], 1);
        assert_eq!(absences(3), 1);
        assert!(stands(3));
        // Standing already, it gets no clean slate by joining.
        assert_ok!(Validators::join(signed(3), 1));
        assert_eq!(absences(3), 1);
    });
}

#[test]
fn who_could_expect_too_few_blocks_is_not_missed() {
    run(|| {
        for _ in 0..4 {
            // Five blocks among three validators.
            author(&[1], 3);
            author(&[2], 2);
            next_session();
        }
        assert_eq!(absences(3), 0);
        // A single block of the missing one counts all the same.
        sessions(&[1, 2], 1);
        author(&[3], 1);
        next_session();
        assert_eq!(absences(3), 0);
    });
}

#[test]
fn it_is_the_network_when_more_than_a_third_is_missing() {
    run(|| {
        sessions(&[1], 4);
        assert_eq!((absences(2), absences(3)), (0, 0));
        assert!(stands(2) && stands(3));
        // What was counted before stays.
        sessions(&[1, 2], 1);
        sessions(&[1], 1);
        assert_eq!(absences(3), 1);
    });
}

#[test]
fn an_election_needs_whom_it_would_be_too_few_without() {
    run_with(EraParameters { minimum_validators: 3, ..parameters() }, || {
        sessions(&[1, 2], 3);
        assert!(stands(3));
        assert_eq!(absences(3), 3);
        assert_ok!(Validators::join(signed(4), 100));
        sessions(&[1, 2], 1);
        assert!(!stands(3), "there is another one now");
    });
}

#[test]
fn who_cannot_be_elected_anyway_does_not_hold_the_others_up() {
    run(|| {
        // Two are eligible, as many as an election needs; the third has no keys.
        assert_ok!(Session::purge_keys(signed(3)));
        sessions(&[1, 2], 2);
        assert!(!stands(3));
    });
}

#[test]
fn who_left_or_sits_out_is_not_missed() {
    run_with(EraParameters { validators: 4, minimum_validators: 1, ..parameters() }, || {
        assert_ok!(Validators::join(signed(4), 200));
        reach_session(2);
        assert_eq!(in_office(), vec![1, 2, 3, 4]);
        offend(&[(4, 200)], &[], 10, 2);
        // Of the three that are not kept from authoring one is missing: a third. With the offender it would be a half.
        sessions(&[1, 2], 1);
        assert_eq!((absences(3), absences(4)), (1, 0));
        assert_ok!(Validators::leave(signed(3)));
        sessions(&[1, 2], 1);
        assert_noop!(Validators::leave(signed(3)), Error::<Test>::NotCandidate);
        assert!(!System::events().iter().any(|record| matches!(
            record.event,
            RuntimeEvent::Validators(Event::Absent { who: 4, .. } | Event::Absent { who: 3, session: 3, .. })
        )));
    });
}
