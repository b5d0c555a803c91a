//! Taking back what was approved.

use crate::{Error, Event, mock::*};
use frame_support::{assert_noop, assert_ok};
use sp_runtime::DispatchError::BadOrigin;

fn veto(hash: Hash) -> sp_runtime::DispatchResult {
    Enactment::veto(RuntimeOrigin::signed(VETO), hash)
}

fn approve_by(houses: &[u64], number: u8) -> Hash {
    let hash = note(&root_call(number));
    for house in houses {
        assert_ok!(Enactment::approve(RuntimeOrigin::signed(*house), hash));
    }
    hash
}

#[test]
fn a_scheduled_call_is_taken_back_until_it_has_run() {
    run(|| {
        let hash = approve_by(&[COUNCIL, COMMITTEE], 1);
        go_to(MIN_DELAY);
        assert_ok!(veto(hash));
        System::assert_last_event(Event::<Test>::Vetoed { hash }.into());
        go_to(MAX_DELAY);
        assert!(!has_run(1));
        assert_noop!(veto(hash), Error::<Test>::NotApproved);
    });
}

#[test]
fn a_single_approval_is_taken_back() {
    run(|| {
        let hash = approve_by(&[COUNCIL], 1);
        assert_ok!(veto(hash));
        assert_eq!(Enactment::approvals(), vec![]);
        // The house may think again.
        assert_ok!(Enactment::approve(RuntimeOrigin::signed(COUNCIL), hash));
    });
}

#[test]
fn what_has_run_or_lapsed_or_was_never_approved_is_not_taken_back() {
    run(|| {
        assert_noop!(veto(hash_of(&root_call(0))), Error::<Test>::NotApproved);
        let run = approve_by(&[COUNCIL, COMMITTEE], 1);
        let lapsed = approve_by(&[COMMITTEE], 2);
        go_to(2 + LIFETIME);
        assert!(has_run(1));
        assert_noop!(veto(run), Error::<Test>::NotApproved);
        assert_noop!(veto(lapsed), Error::<Test>::NotApproved);
    });
}

#[test]
fn only_the_veto_origin_takes_back() {
    run(|| {
        let hash = approve_by(&[COUNCIL, COMMITTEE], 1);
        for origin in [RuntimeOrigin::signed(STRANGER), RuntimeOrigin::none(), RuntimeOrigin::root()] {
            assert_noop!(Enactment::veto(origin, hash), BadOrigin);
        }
    });
}

#[test]
fn one_call_is_taken_back_and_the_others_stay() {
    run(|| {
        let (bad, good) = (approve_by(&[COUNCIL, COMMITTEE], 1), approve_by(&[COUNCIL, COMMITTEE], 2));
        let waiting = approve_by(&[COUNCIL], 3);
        assert_ok!(veto(bad));
        assert_eq!(Enactment::enacted_at(good), Some(1 + MIN_DELAY));
        assert_eq!(Enactment::approvals().iter().map(|approval| approval.hash).collect::<Vec<_>>(), vec![waiting]);
        go_to(1 + MIN_DELAY);
        assert!(!has_run(1) && has_run(2));
    });
}
