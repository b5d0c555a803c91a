//! Who attests whom.

use crate::mock::*;
use chroom_primitives::QosEpoch;
use frame_support::assert_ok;
use std::collections::BTreeSet;

#[test]
fn a_committee_is_three_distinct_attestors() {
    run(|| {
        let attestors: BTreeSet<_> = (1..=5).map(id).collect();
        for media in 100..103 {
            let committee = Qos::committee(QosEpoch(0), id(media));
            let members: BTreeSet<_> = committee.iter().copied().collect();
            assert_eq!((committee.len(), members.len()), (3, 3));
            assert!(members.is_subset(&attestors));
        }
    });
}

#[test]
fn committees_change_with_the_epoch_though_the_beacon_does_not() {
    run(|| {
        run_to(first(3));
        let draws: BTreeSet<_> = (0..4).map(|epoch| Qos::committee(QosEpoch(epoch), id(100))).collect();
        assert!(draws.len() > 1);
    });
}

#[test]
fn assignments_are_the_committees_seen_from_the_other_side() {
    run(|| {
        for attestor in (1..=5).map(id) {
            let expected: Vec<_> =
                (100..103).map(id).filter(|node| Qos::committee(QosEpoch(0), *node).contains(&attestor)).collect();
            assert_eq!(Qos::assignments(QosEpoch(0), attestor), expected);
        }
        assert!(Qos::assignments(QosEpoch(0), id(99)).is_empty());
        assert!(Qos::assignments(QosEpoch(9), id(1)).is_empty());
    });
}

#[test]
fn a_drawn_committee_outlives_its_members_leaving() {
    run(|| {
        let committee = Qos::committee(QosEpoch(0), id(100));
        for member in &committee {
            assert_ok!(Nodes::unbond(RuntimeOrigin::signed(OWNER), *member));
        }
        assert_eq!(Qos::committee(QosEpoch(0), id(100)), committee);
        run_to(first(1));
        // Two are left: both serve.
        assert_eq!(Qos::committee(QosEpoch(1), id(100)).len(), 2);
    });
}

#[test]
fn without_registry_nodes_there_is_no_committee() {
    externalities(0, 1).execute_with(|| {
        run_to(1);
        assert!(Qos::committee(QosEpoch(0), id(100)).is_empty());
        check();
    });
}
