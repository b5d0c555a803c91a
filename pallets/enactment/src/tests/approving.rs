//! Two houses, one call, its run as root.

use crate::{Approval, Error, Event, House, mock::*};
use frame_support::{assert_noop, assert_ok, traits::QueryPreimage};
use sp_runtime::{
    DispatchError::{BadOrigin, Exhausted},
    traits::{BlakeTwo256, Hash as _},
};

fn approve(house: u64, hash: Hash) -> sp_runtime::DispatchResult {
    Enactment::approve(RuntimeOrigin::signed(house), hash)
}

#[test]
fn a_call_runs_as_root_once_both_houses_approved_it_and_the_delay_is_over() {
    for (first, second) in [(COUNCIL, COMMITTEE), (COMMITTEE, COUNCIL)] {
        run(|| {
            let hash = note(&root_call(7));
            assert_ok!(approve(first, hash));
            assert_eq!(Enactment::enacted_at(hash), None);
            go_to(3);
            assert_ok!(approve(second, hash));
            assert_eq!(Enactment::enacted_at(hash), Some(3 + MIN_DELAY));
            assert_eq!(Enactment::approvals(), vec![]);
            System::assert_last_event(Event::<Test>::Scheduled { hash, at: 3 + MIN_DELAY }.into());
            go_to(3 + MIN_DELAY - 1);
            assert!(!has_run(7));
            go_to(3 + MIN_DELAY);
            assert!(has_run(7));
            assert_eq!(Enactment::enacted_at(hash), None);
        });
    }
}

#[test]
fn one_house_alone_enacts_nothing() {
    run(|| {
        let hash = note(&root_call(1));
        assert_ok!(approve(COUNCIL, hash));
        let until = 1 + LIFETIME;
        System::assert_last_event(Event::<Test>::Approved { hash, house: House::Council, until }.into());
        assert_eq!(Enactment::approvals(), vec![Approval { hash, house: House::Council, until }]);
        assert_noop!(approve(COUNCIL, hash), Error::<Test>::AlreadyApproved);
        go_to(MAX_DELAY + LIFETIME + 2);
        assert!(!has_run(1));
    });
}

#[test]
fn nobody_else_approves() {
    run(|| {
        let hash = note(&root_call(1));
        for origin in
            [RuntimeOrigin::signed(STRANGER), RuntimeOrigin::signed(VETO), RuntimeOrigin::none(), RuntimeOrigin::root()]
        {
            assert_noop!(Enactment::approve(origin, hash), BadOrigin);
        }
    });
}

#[test]
fn exactly_the_approved_call_runs() {
    run(|| {
        let (ours, other) = (note(&root_call(1)), note(&root_call(2)));
        assert_ok!(approve(COUNCIL, ours));
        assert_ok!(approve(COMMITTEE, other));
        go_to(MAX_DELAY);
        assert!(!has_run(1) && !has_run(2), "each has one approval, and no call has two");
    });
}

#[test]
fn a_call_that_nobody_can_read_cannot_be_approved() {
    run(|| {
        let hash = hash_of(&root_call(1));
        assert_noop!(approve(COUNCIL, hash), Error::<Test>::NoPreimage);
        note(&root_call(1));
        assert_ok!(approve(COUNCIL, hash));
        // Its author may take it away until both have approved it; then it is in the chain's hands.
        assert_ok!(Preimage::unnote_preimage(RuntimeOrigin::signed(STRANGER), hash));
        assert_noop!(approve(COMMITTEE, hash), Error::<Test>::NoPreimage);
        note(&root_call(1));
        assert_ok!(approve(COMMITTEE, hash));
        assert_ok!(Preimage::unnote_preimage(RuntimeOrigin::signed(STRANGER), hash));
        assert!(<Preimage as QueryPreimage>::len(&hash).is_some());
        go_to(1 + MIN_DELAY);
        assert!(has_run(1));
        assert_eq!(<Preimage as QueryPreimage>::len(&hash), None, "nothing is left behind");
    });
}

#[test]
fn an_approval_lapses_if_the_other_house_does_not_follow() {
    run(|| {
        let hash = note(&root_call(1));
        assert_ok!(approve(COUNCIL, hash));
        go_to(1 + LIFETIME);
        assert_eq!(Enactment::approvals().len(), 1, "the last block counts");
        go_to(2 + LIFETIME);
        assert_eq!(Enactment::approvals(), vec![]);
        // The committee's is the first again, and the council has to approve anew.
        assert_ok!(approve(COMMITTEE, hash));
        assert_eq!(Enactment::enacted_at(hash), None);
        assert_ok!(approve(COUNCIL, hash));
        assert_eq!(Enactment::enacted_at(hash), Some(2 + LIFETIME + MIN_DELAY));
    });
}

#[test]
fn a_scheduled_call_is_not_approved_again_but_a_call_that_has_run_may_be() {
    run(|| {
        let hash = note(&root_call(1));
        assert_ok!(approve(COUNCIL, hash));
        assert_ok!(approve(COMMITTEE, hash));
        assert_noop!(approve(COUNCIL, hash), Error::<Test>::AlreadyScheduled);
        go_to(1 + MIN_DELAY);
        assert!(has_run(1));
        assert_ok!(approve(COUNCIL, hash));
        assert_eq!(Enactment::enacted_at(hash), None);
    });
}

#[test]
fn what_waits_is_bounded_and_makes_room_when_it_lapses() {
    run(|| {
        let hashes: Vec<Hash> = (0..=MAX_APPROVALS as u8).map(|number| note(&root_call(number))).collect();
        let (last, others) = hashes.split_last().unwrap();
        for hash in others {
            assert_ok!(approve(COUNCIL, *hash));
        }
        assert_noop!(approve(COUNCIL, *last), Error::<Test>::TooManyApprovals);
        // The other house is not hindered by that.
        assert_ok!(approve(COMMITTEE, others[0]));
        assert_ok!(approve(COUNCIL, *last));
        go_to(2 + LIFETIME);
        assert_ok!(approve(COUNCIL, others[1]));
        assert_eq!(Enactment::approvals().len(), 1);
    });
}

#[test]
fn a_full_agenda_refuses_the_second_approval_and_keeps_the_first() {
    run(|| {
        for number in 0..4 {
            let hash = note(&root_call(number));
            assert_ok!(approve(COUNCIL, hash));
            assert_ok!(approve(COMMITTEE, hash));
        }
        let hash = note(&root_call(4));
        assert_ok!(approve(COUNCIL, hash));
        assert_noop!(approve(COMMITTEE, hash), Exhausted);
        go_to(2);
        assert_ok!(approve(COMMITTEE, hash));
        go_to(2 + MIN_DELAY);
        assert!((0..5).all(has_run));
    });
}

#[test]
fn bytes_that_are_no_call_do_no_harm() {
    run(|| {
        let bytes = vec![0xff; 40];
        let hash = BlakeTwo256::hash(&bytes);
        Preimage::note_preimage(RuntimeOrigin::signed(STRANGER), bytes).unwrap();
        assert_ok!(approve(COUNCIL, hash));
        assert_ok!(approve(COMMITTEE, hash));
        go_to(1 + MIN_DELAY);
        assert_eq!(Enactment::enacted_at(hash), None);
    });
}
