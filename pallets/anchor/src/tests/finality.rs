//! When a snapshot is final.

use crate::{Event, mock::*, quorum};
use chroom_primitives::{QosEpoch, anchor::FinalSnapshot};

#[test]
fn the_quorum_is_two_thirds_rounded_up() {
    let quorums: Vec<u32> = (0..=7).map(quorum).collect();
    assert_eq!(quorums, [1, 1, 2, 2, 3, 4, 4, 5]);
    assert_eq!(quorum(u32::MAX), 2_863_311_530);
}

#[test]
fn two_thirds_of_one_root_make_it_final() {
    run(|| {
        for attestor in 0..3 {
            vote(7, attestor, 5, 1);
        }
        vote(7, 3, 5, 2);
        assert_eq!(Anchor::latest_snapshot(), None);
        vote(7, 4, 5, 1);
        let snapshot = FinalSnapshot { epoch: QosEpoch(7), root: root(1), votes: 4 };
        assert_eq!(Anchor::latest_snapshot(), Some(snapshot));
        assert_eq!(Anchor::snapshot(QosEpoch(7)), Some(snapshot));
        System::assert_last_event(Event::SnapshotFinal { snapshot, attestors: 5 }.into());
    });
}

#[test]
fn votes_after_finality_are_counted_but_announce_nothing() {
    run(|| {
        for attestor in 0..3 {
            vote(0, attestor, 3, 1);
        }
        // The snapshot says how many had voted when it became final.
        assert_eq!(Anchor::latest_snapshot().map(|snapshot| snapshot.votes), Some(2));
        assert_eq!(crate::Votes::<Test>::get(QosEpoch(0), root(1)), 3);
        let announced = System::events()
            .iter()
            .filter(|record| matches!(record.event, RuntimeEvent::Anchor(Event::SnapshotFinal { .. })))
            .count();
        assert_eq!(announced, 1);
    });
}

#[test]
fn a_split_vote_finalises_nothing() {
    run(|| {
        for attestor in 0..6 {
            vote(0, attestor, 6, u16::from(attestor % 2));
        }
        assert_eq!(Anchor::latest_snapshot(), None);
        // Roots of one hash and different sizes are different roots.
        let sized = |leaves| chroom_primitives::merkle::Root { leaves, ..root(9) };
        for leaves in 0..3 {
            use crate::SnapshotVotes;
            Anchor::vote(QosEpoch(1), chroom_primitives::NodeId([leaves as u8; 20]), 3, sized(leaves));
        }
        assert_eq!(Anchor::latest_snapshot(), None);
    });
}

#[test]
fn the_ring_keeps_the_newest() {
    run(|| {
        for epoch in [0, 1, 2, 5, 6] {
            vote(epoch, 0, 1, epoch as u16);
        }
        let kept = |epoch| Anchor::snapshot(QosEpoch(epoch)).is_some();
        // Epochs 5 and 6 took the places of 1 and 2; 3 and 4 had no snapshot.
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(kept), [true, false, false, false, false, true, true]);
        assert_eq!(Anchor::latest_snapshot().unwrap().epoch, QosEpoch(6));
    });
}

#[test]
fn a_vote_for_an_older_epoch_is_late() {
    run(|| {
        vote(3, 0, 1, 1);
        vote(2, 0, 1, 2);
        assert_eq!(Anchor::snapshot(QosEpoch(2)), None);
        assert_eq!(Anchor::latest_snapshot().unwrap().epoch, QosEpoch(3));
    });
}
