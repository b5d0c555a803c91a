//! When epochs begin, what is fixed then, and what is forgotten.

use crate::{AttestorSets, EpochParameters, Epochs, Event, mock::*};
use chroom_primitives::{QosEpoch, epoch::EpochPhase};
use frame_support::assert_ok;

#[test]
fn an_epoch_covers_the_blocks_that_its_number_says() {
    run(|| {
        for block in 1..=40u32 {
            run_to(block);
            let info = Qos::epoch_info();
            assert_eq!(info.current, QosEpoch((block - 1) / LENGTH), "block {block}");
            assert_eq!(info.started_at, info.current.0 * LENGTH + 1);
            assert_eq!((info.length, info.submit_window, info.committee_size), (LENGTH, WINDOW, 3));
        }
    });
}

#[test]
fn the_start_time_is_the_first_blocks() {
    run(|| {
        // The inherent hasn't run yet when the block begins.
        run_to(first(1));
        assert_eq!(Qos::epoch_start_ms(QosEpoch(1)), None);
        run_to(first(1) + 3);
        assert_eq!(Qos::epoch_start_ms(QosEpoch(1)), Some(time_of(first(1))));
        assert_eq!(Qos::epoch_start_ms(QosEpoch(0)), Some(time_of(1)));
        assert_eq!(Qos::epoch_start_ms(QosEpoch(2)), None);
        assert_eq!(Qos::epoch_info().started_ms, time_of(first(1)));
    });
}

#[test]
fn before_the_first_block_there_is_an_answer_too() {
    externalities(3, 1).execute_with(|| {
        let info = Qos::epoch_info();
        assert_eq!((info.current, info.started_at, info.started_ms), (QosEpoch(0), 1, 0));
        assert!(Qos::committee(QosEpoch(0), id(100)).is_empty());
        check();
    });
}

#[test]
fn a_beginning_epoch_is_announced_with_its_totals() {
    run(|| {
        assert_ok!(Nodes::drain(RuntimeOrigin::signed(OWNER), id(101)));
        run_to(first(1));
        System::assert_last_event(Event::EpochStarted { epoch: QosEpoch(1), attestors: 5, media_weight: 2 }.into());
        assert_eq!(Epochs::<Test>::get(QosEpoch(0)).unwrap().media_weight, 3);
        assert_eq!(Heard::get(), [(true, QosEpoch(0)), (true, QosEpoch(1))]);
    });
}

#[test]
fn the_ring_forgets_the_oldest() {
    run(|| {
        run_to(first(3));
        assert!(Epochs::<Test>::contains_key(QosEpoch(0)));
        run_to(first(4));
        assert!(!Epochs::<Test>::contains_key(QosEpoch(0)));
        assert!(Heard::get().contains(&(false, QosEpoch(0))));
        assert_eq!(Qos::epoch_start_ms(QosEpoch(0)), None);
        assert!(Qos::committee(QosEpoch(0), id(100)).is_empty());
        assert!(Qos::assignments(QosEpoch(0), id(1)).is_empty());
    });
}

#[test]
fn an_epoch_goes_through_its_phases() {
    externalities(5, 3).execute_with(|| {
        assert_eq!(Qos::epoch_phase(QosEpoch(0)), EpochPhase::Future);
        let phases: Vec<(u32, EpochPhase)> = (1..=first(6))
            .map(|block| {
                run_to(block);
                (block, Qos::epoch_phase(QosEpoch(1)))
            })
            .collect();
        let changes: Vec<(u32, EpochPhase)> = phases.windows(2).filter(|w| w[0].1 != w[1].1).map(|w| w[1]).collect();
        let expected = [
            (first(1), EpochPhase::Open),
            (first(2), EpochPhase::Submit),
            (first(2) + WINDOW, EpochPhase::Claim),
            (first(5), EpochPhase::Expired),
        ];
        assert_eq!(phases[0].1, EpochPhase::Future);
        assert_eq!(changes, expected);
        check();
    });
}

#[test]
fn a_set_of_attestors_is_stored_once_and_as_long_as_needed() {
    run(|| {
        let sets = || AttestorSets::<Test>::iter_keys().count();
        run_to(first(3));
        assert_eq!(sets(), 1);
        assert_ok!(Nodes::drain(RuntimeOrigin::signed(OWNER), id(2)));
        // The epoch that runs keeps its attestors.
        assert_eq!(Epochs::<Test>::get(QosEpoch(3)).unwrap().attestors, 5);
        run_to(first(4));
        assert_eq!(sets(), 2);
        assert_eq!(Epochs::<Test>::get(QosEpoch(4)).unwrap().attestors, 4);
        // Epochs 4 to 7 share the new set; the old one goes with epoch 3.
        run_to(first(7));
        assert_eq!(sets(), 1);
    });
}

#[test]
fn parameters_out_of_range_stop_genesis() {
    let valid = EpochParameters { length: 8, submit_window: 4, committee_size: 3 };
    assert!(valid.is_valid());
    assert!(!EpochParameters { length: 1, ..valid }.is_valid());
    assert!(!EpochParameters { submit_window: 0, ..valid }.is_valid());
    assert!(!EpochParameters { submit_window: 8, ..valid }.is_valid());
    assert!(!EpochParameters { committee_size: 0, ..valid }.is_valid());
    assert!(!EpochParameters { committee_size: 16, ..valid }.is_valid());
}
