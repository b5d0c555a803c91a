//! Slashes that wait.

use crate::{
    ActiveEra, Candidates, EraParameters, Error, Event, PendingSlashes, Sentences, SlashCursor, UnappliedCount,
    UnappliedSlashes, Unbonding, mock::*,
};
use chroom_primitives::Balance;
use frame_support::{BoundedVec, assert_noop, assert_ok, traits::ConstU32};
use sp_runtime::{DispatchError, Perbill};

type Ids = BoundedVec<u32, ConstU32<{ crate::slash::MAX_CANCELLED }>>;

fn ids(ids: &[u32]) -> Ids {
    ids.to_vec().try_into().unwrap()
}

#[test]
fn a_slash_waits_for_whole_eras_while_the_offender_is_out_at_once() {
    run(|| {
        let issuance = Balances::total_issuance();
        offend(&[(1, 500)], &[7], 20, 0);
        System::assert_has_event(Event::SlashQueued { era: 2, id: 0, who: 1, amount: 100 }.into());
        let slash = UnappliedSlashes::<Test>::get(2, 0).unwrap();
        assert_eq!((slash.validator, slash.session, slash.exposure, slash.amount), (1, 0, 500, 100));
        assert_eq!((slash.fraction, slash.reporters.to_vec()), (Perbill::from_percent(20), vec![7]));
        assert_eq!((held(1), PendingSlashes::<Test>::get(1)), (500, 100));
        assert!(!Candidates::<Test>::get(1).unwrap().active);
        assert_noop!(Validators::join(signed(1), 0), Error::<Test>::Jailed);

        // Era 1 is the one that it waits for; era 2 begins in the block that ends session 3.
        reach_session(4);
        assert_eq!((ActiveEra::<Test>::get().index, held(1)), (2, 500));
        next_block(None);
        assert_eq!(held(1), 400);
        assert_eq!(Candidates::<Test>::get(1).unwrap().bond, 400);
        assert_eq!(Balances::free_balance(7), ENDOWMENT + 20);
        assert_eq!(Balances::free_balance(TREASURY), ENDOWMENT + 30);
        assert_eq!(Balances::total_issuance(), issuance - 50);
        assert_eq!((UnappliedCount::<Test>::get(), PendingSlashes::<Test>::contains_key(1)), (0, false));
        System::assert_has_event(Event::Slashed { who: 1, amount: 100, session: 0 }.into());
        assert_noop!(Validators::join(signed(1), 0), Error::<Test>::Jailed);
    });
}

#[test]
fn a_slash_can_be_cancelled_and_the_sentence_with_it() {
    run(|| {
        offend(&[(1, 500)], &[7], 20, 0);
        assert_noop!(Validators::cancel_slash(signed(1), 2, ids(&[0])), DispatchError::BadOrigin);
        assert_noop!(Validators::cancel_slash(signed(COUNCIL), 1, ids(&[0])), Error::<Test>::NoSuchSlash);
        assert_noop!(Validators::cancel_slash(signed(COUNCIL), 2, ids(&[1])), Error::<Test>::NoSuchSlash);
        assert_ok!(Validators::cancel_slash(signed(COUNCIL), 2, ids(&[0])));
        System::assert_has_event(Event::SlashCancelled { era: 2, id: 0, who: 1, amount: 100 }.into());
        assert_eq!((PendingSlashes::<Test>::contains_key(1), Sentences::<Test>::get(1)), (false, None));
        assert_ok!(Validators::join(signed(1), 0));
        reach_session(5);
        next_block(None);
        assert_eq!(held(1), 500);
        assert_eq!(Balances::free_balance(7), ENDOWMENT);
        assert!(in_office().contains(&1));
    });
}

#[test]
fn all_slashes_of_a_call_are_cancelled_or_none() {
    run(|| {
        offend(&[(1, 500), (2, 400)], &[], 20, 0);
        for wrong in [&[0, 2], &[1, 1]] {
            let cancelled =
                frame_support::storage::with_storage_layer(|| Validators::cancel_slash(signed(COUNCIL), 2, ids(wrong)));
            assert_eq!(cancelled, Err(Error::<Test>::NoSuchSlash.into()));
            assert_eq!(UnappliedCount::<Test>::get(), 2);
        }
        assert_ok!(Validators::cancel_slash(signed(COUNCIL), 2, ids(&[0, 1])));
        assert_eq!(UnappliedCount::<Test>::get(), 0);
    });
}

#[test]
fn a_sentence_ends_with_the_last_of_its_slashes_only() {
    run(|| {
        offend(&[(1, 500)], &[], 20, 0);
        reach_session(1);
        offend(&[(1, 500)], &[], 30, 1);
        assert_ok!(Validators::cancel_slash(signed(COUNCIL), 2, ids(&[0])));
        assert_noop!(Validators::join(signed(1), 0), Error::<Test>::Jailed);
        assert_ok!(Validators::cancel_slash(signed(COUNCIL), 2, ids(&[1])));
        assert_ok!(Validators::join(signed(1), 0));
    });
}

#[test]
fn more_offenders_at_once_raise_a_slash_that_waits() {
    run(|| {
        offend(&[(1, 500)], &[], 10, 0);
        offend(&[(1, 500), (2, 400)], &[], 20, 0);
        assert_eq!(UnappliedCount::<Test>::get(), 2, "one for each");
        assert_eq!(UnappliedSlashes::<Test>::get(2, 0).unwrap().amount, 100);
        assert_eq!(UnappliedSlashes::<Test>::get(2, 1).unwrap().amount, 80);
        assert_eq!((PendingSlashes::<Test>::get(1), PendingSlashes::<Test>::get(2)), (100, 80));
        assert_eq!(Sentences::<Test>::get(1).unwrap().offences, 1);
    });
}

#[test]
fn what_was_cancelled_or_taken_is_not_asked_for_again() {
    run(|| {
        offend(&[(1, 500)], &[], 10, 0);
        assert_ok!(Validators::cancel_slash(signed(COUNCIL), 2, ids(&[0])));
        offend(&[(1, 500), (2, 400)], &[], 20, 0);
        assert_eq!((PendingSlashes::<Test>::get(1), PendingSlashes::<Test>::get(2)), (50, 80));
        reach_session(4);
        next_block(None);
        assert_eq!((held(1), held(2)), (450, 320));
        // Evidence of a third one comes when the first slashes are taken: what is more waits anew.
        offend(&[(1, 500), (2, 400), (3, 300)], &[], 30, 0);
        assert_eq!([1, 2, 3].map(PendingSlashes::<Test>::get), [50, 40, 90]);
    });
}

#[test]
fn what_slashes_may_take_is_kept_back() {
    run(|| {
        assert_ok!(Validators::unbond(signed(1), 400));
        reach_session(4);
        // In session 1 the whole bond still stood for it.
        offend(&[(1, 500)], &[], 80, 1);
        reach_session(6);
        assert_ok!(Validators::withdraw(signed(1)));
        assert_eq!(held(1), 400, "the bond of 100 and 300 of what was free");
        assert_eq!(Unbonding::<Test>::get(1)[0].amount, 300);
        assert_noop!(Validators::withdraw(signed(1)), Error::<Test>::SlashPending);
        // Leaving sets nothing free either.
        assert_ok!(Validators::leave(signed(1)));
        assert_noop!(Validators::withdraw(signed(1)), Error::<Test>::SlashPending);
        reach_session(8);
        next_block(None);
        assert_eq!((held(1), Unbonding::<Test>::contains_key(1)), (0, false));
        assert_eq!(Balances::free_balance(1), ENDOWMENT - 400);
    });
}

#[test]
fn a_slash_takes_no_more_than_there_is() {
    run(|| {
        offend(&[(3, 600)], &[], 50, 0);
        offend(&[(3, 600)], &[], 100, 1);
        assert_eq!(PendingSlashes::<Test>::get(3), 600);
        reach_session(4);
        next_block(None);
        assert_eq!((held(3), PendingSlashes::<Test>::contains_key(3)), (0, false));
        let taken = |wanted: Balance| {
            System::events().iter().any(|record| {
                matches!(record.event, RuntimeEvent::Validators(Event::Slashed { who: 3, amount, .. }) if amount == wanted)
            })
        };
        assert!(taken(300) && taken(0));
    });
}

#[test]
fn many_slashes_take_several_blocks() {
    run(|| {
        offend(&[(1, 500), (2, 400), (3, 300)], &[], 20, 0);
        assert_eq!(UnappliedCount::<Test>::get(), 3);
        reach_session(4);
        next_block(None);
        assert_eq!(UnappliedCount::<Test>::get(), 1, "two in a block");
        next_block(None);
        assert_eq!(UnappliedCount::<Test>::get(), 0);
        assert_eq!((held(1), held(2), held(3)), (400, 320, 240));
    });
}

#[test]
fn a_full_queue_lets_no_offence_go() {
    run(|| {
        offend(&[(1, 500), (2, 400), (3, 300)], &[], 20, 0);
        offend(&[(1, 500)], &[], 30, 1);
        assert_eq!(UnappliedCount::<Test>::get(), 3);
        assert_eq!(held(1), 450, "taken at once");
    });
}

#[test]
fn shortened_waiting_passes_no_slash_over() {
    let slow = EraParameters { unbonding_eras: 3, slash_defer_eras: 2, ..parameters() };
    run_with(slow.clone(), || {
        offend(&[(3, 300)], &[], 20, 0);
        assert_eq!(SlashCursor::<Test>::get(), 3);
        let fast = EraParameters { slash_defer_eras: 1, ..slow };
        assert_ok!(Validators::set_parameters(RuntimeOrigin::root(), fast));
        offend(&[(2, 400)], &[], 20, 0);
        assert_eq!(SlashCursor::<Test>::get(), 2);
        reach_session(4);
        next_block(None);
        assert_eq!((held(2), held(3)), (320, 300));
        reach_session(6);
        next_block(None);
        assert_eq!((held(2), held(3)), (320, 240));
    });
}
