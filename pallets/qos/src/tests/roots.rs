//! Attestors' roots: when, by whom, once.

use crate::{Attestations, Epochs, Error, Event, mock::*};
use chroom_primitives::QosEpoch;
use frame_support::{assert_noop, assert_ok, dispatch::Pays, traits::Hooks};

#[test]
fn a_root_in_the_window_is_free_and_kept() {
    run(|| {
        run_to(first(1));
        assert_eq!(submit(1, 0, 7).unwrap().pays_fee, Pays::No);
        assert_eq!(Qos::attestation(QosEpoch(0), id(1)), Some(root(7)));
        assert_eq!(Qos::attestation(QosEpoch(0), id(2)), None);
        let event = Event::RootSubmitted { epoch: QosEpoch(0), attestor: id(1), quality: root(7), snapshot: root(200) };
        System::assert_last_event(event.into());
        // The snapshot goes on to the anchor with the number of attestors.
        assert_eq!(Votes::get(), [(QosEpoch(0), id(1), 5, root(200))]);
    });
}

#[test]
fn only_the_epoch_before_is_attested_and_only_in_the_window() {
    run(|| {
        assert_noop!(submit(1, 0, 7), Error::<Test>::WrongEpoch);
        run_to(first(1) + WINDOW - 1);
        assert_noop!(submit(1, 1, 7), Error::<Test>::WrongEpoch);
        assert_noop!(submit(1, 2, 7), Error::<Test>::WrongEpoch);
        assert!(!Qos::window_closed(QosEpoch(0)));
        assert_ok!(submit(1, 0, 7));
        run_to(first(1) + WINDOW);
        assert!(Qos::window_closed(QosEpoch(0)));
        assert!(!Qos::window_closed(QosEpoch(1)));
        assert_noop!(submit(2, 0, 7), Error::<Test>::WindowClosed);
        run_to(first(2));
        assert_noop!(submit(2, 0, 7), Error::<Test>::WrongEpoch);
        assert!(Qos::window_closed(QosEpoch(0)));
        assert!(!Qos::window_closed(QosEpoch(1)));
    });
}

#[test]
fn only_the_epochs_attestors_send_roots() {
    run(|| {
        assert_ok!(Nodes::drain(RuntimeOrigin::signed(OWNER), id(2)));
        run_to(first(1));
        let human = Qos::submit_root(RuntimeOrigin::signed(OWNER), QosEpoch(0), root(1), root(1));
        assert_noop!(human, Error::<Test>::NotANode);
        assert_noop!(submit(100, 0, 7), Error::<Test>::NotAttestor);
        assert_noop!(submit(77, 0, 7), Error::<Test>::NotAttestor);
        // Node 2 served in epoch 0 though it drains now; in epoch 1 it does not.
        assert_ok!(submit(2, 0, 7));
        run_to(first(2));
        assert_noop!(submit(2, 1, 7), Error::<Test>::NotAttestor);
        assert_ok!(submit(1, 1, 7));
    });
}

#[test]
fn a_root_is_sent_once() {
    run(|| {
        run_to(first(1));
        assert_ok!(submit(1, 0, 7));
        assert_noop!(submit(1, 0, 7), Error::<Test>::AlreadySubmitted);
        assert_eq!(Votes::get().len(), 1);
    });
}

#[test]
fn a_root_costs_what_it_takes_and_not_what_a_contradiction_would() {
    run(|| {
        run_to(first(1));
        let taken = submit(1, 0, 7).unwrap().actual_weight.unwrap();
        assert_eq!(taken, <() as crate::WeightInfo>::submit_root(5));
        assert!(taken.ref_time() < <() as crate::WeightInfo>::report_equivocation(5).ref_time());
    });
}

#[test]
fn roots_of_forgotten_epochs_are_cleared_a_few_per_block() {
    let mut ext = externalities(40, 1);
    ext.execute_with(|| {
        run_to(first(1));
        for seed in 1..=40 {
            assert_ok!(submit(seed, 0, 7));
        }
        run_to(first(4) - 1);
    });
    // Only what is in the database counts against the limit.
    ext.commit_all().unwrap();
    let mut left = Vec::new();
    for block in first(4)..first(5) {
        ext.execute_with(|| {
            Qos::on_finalize(System::block_number());
            System::set_block_number(block.into());
            Qos::on_initialize(block.into());
            left.push(Attestations::<Test>::iter_key_prefix(QosEpoch(0)).count());
            check();
        });
        ext.commit_all().unwrap();
    }
    assert!(left.windows(2).all(|w| w[0] - w[1] <= 6), "{left:?}");
    assert_eq!(left.last(), Some(&0));
    ext.execute_with(|| assert!(Epochs::<Test>::get(QosEpoch(0)).is_none()));
}
