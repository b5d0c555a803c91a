//! The time between approval and enactment.

use crate::{Delay, Error, Event, mock::*};
use frame_support::{assert_noop, assert_ok, traits::Hooks};
use sp_runtime::DispatchError::BadOrigin;

#[test]
fn the_genesis_sets_it() {
    genesis(None).execute_with(|| assert_eq!(Enactment::delay(), MIN_DELAY));
    genesis(Some(7)).execute_with(|| assert_eq!(Enactment::delay(), 7));
}

#[test]
#[should_panic(expected = "out of range")]
fn a_genesis_with_an_impossible_delay_is_refused() {
    genesis(Some(MAX_DELAY + 1));
}

#[test]
fn only_root_changes_it_within_its_range() {
    run(|| {
        for origin in [RuntimeOrigin::signed(COUNCIL), RuntimeOrigin::signed(COMMITTEE), RuntimeOrigin::none()] {
            assert_noop!(Enactment::set_delay(origin, 5), BadOrigin);
        }
        for delay in [0, MIN_DELAY - 1, MAX_DELAY + 1, u64::MAX] {
            assert_noop!(Enactment::set_delay(RuntimeOrigin::root(), delay), Error::<Test>::DelayOutOfRange);
        }
        for delay in [MIN_DELAY, MAX_DELAY] {
            assert_ok!(Enactment::set_delay(RuntimeOrigin::root(), delay));
            System::assert_last_event(Event::<Test>::DelaySet { delay }.into());
            assert_eq!(Enactment::delay(), delay);
        }
    });
}

#[test]
fn a_change_by_governance_itself_waits_for_the_present_delay() {
    genesis(Some(10)).execute_with(|| {
        System::set_block_number(1);
        let hash = note(&RuntimeCall::Enactment(crate::Call::set_delay { delay: MIN_DELAY }));
        for house in [COUNCIL, COMMITTEE] {
            assert_ok!(Enactment::approve(RuntimeOrigin::signed(house), hash));
        }
        go_to(10);
        assert_eq!(Enactment::delay(), 10);
        go_to(11);
        assert_eq!(Enactment::delay(), MIN_DELAY);
    });
}

#[test]
fn a_change_leaves_what_is_scheduled_alone() {
    run(|| {
        let hash = note(&root_call(1));
        for house in [COUNCIL, COMMITTEE] {
            assert_ok!(Enactment::approve(RuntimeOrigin::signed(house), hash));
        }
        assert_ok!(Enactment::set_delay(RuntimeOrigin::root(), MAX_DELAY));
        assert_eq!(Enactment::enacted_at(hash), Some(1 + MIN_DELAY));
    });
}

#[test]
fn a_delay_from_a_wider_range_is_brought_into_this_one() {
    genesis(None).execute_with(|| {
        Delay::<Test>::put(MAX_DELAY + 100);
        assert_eq!(Enactment::delay(), MAX_DELAY);
        Delay::<Test>::put(0);
        assert_eq!(Enactment::delay(), MIN_DELAY);
    });
}

#[test]
fn the_configuration_is_sound() {
    Enactment::integrity_test();
}
