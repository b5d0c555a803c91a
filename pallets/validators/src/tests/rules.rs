//! The rules of elections.

use crate::{EraParameters, Error, PlannedEra, mock::*};
use frame_support::{assert_noop, assert_ok, traits::Hooks};
use sp_runtime::DispatchError;

#[test]
fn only_the_manager_sets_sound_rules() {
    run(|| {
        assert_noop!(Validators::set_parameters(signed(1), parameters()), DispatchError::BadOrigin);
        for unsound in [
            EraParameters { validators: 0, ..parameters() },
            EraParameters { validators: 1_001, ..parameters() },
            EraParameters { minimum_validators: 4, ..parameters() },
            EraParameters { minimum_validators: 0, ..parameters() },
            EraParameters { sessions_per_era: 0, ..parameters() },
            EraParameters { sessions_per_era: 10_001, ..parameters() },
            EraParameters { unbonding_eras: 1_001, ..parameters() },
            EraParameters { minimum_bond: 0, ..parameters() },
            EraParameters { slash_defer_eras: 2, ..parameters() },
            EraParameters { unbonding_eras: 0, ..parameters() },
            EraParameters { minimum_expected_blocks: 0, ..parameters() },
            EraParameters { absences_until_chill: 0, ..parameters() },
            EraParameters { absences_until_chill: 1_001, ..parameters() },
        ] {
            assert_noop!(Validators::set_parameters(RuntimeOrigin::root(), unsound), Error::<Test>::UnsoundParameters);
        }
        let more = EraParameters { validators: 4, ..parameters() };
        assert_ok!(Validators::set_parameters(RuntimeOrigin::root(), more));
        assert_ok!(Validators::join(signed(4), 100));
        reach_session(2);
        assert_eq!(in_office(), vec![1, 2, 3, 4]);
        assert_eq!(PlannedEra::<Test>::get().unwrap().index, 1);
    });
}

#[test]
fn slashes_that_do_not_wait_need_no_unbonding() {
    assert!(EraParameters { unbonding_eras: 0, slash_defer_eras: 0, ..parameters() }.is_sound());
    assert!(EraParameters::default().is_sound());
}

#[test]
fn the_runtimes_constants_agree() {
    Validators::integrity_test();
}
