//! Old votes go, a bounded number per block.

use crate::{Votes, mock::*};
use chroom_primitives::QosEpoch;
use frame_support::traits::Hooks;
use proptest::prelude::*;

fn votes(epoch: u32) -> usize {
    Votes::<Test>::iter_key_prefix(QosEpoch(epoch)).count()
}

#[test]
fn an_epochs_votes_stay_until_the_next_is_voted_on() {
    run(|| {
        for (attestor, seed) in [(0, 1), (1, 2), (2, 3)] {
            vote(4, attestor, 9, seed);
        }
        Anchor::on_initialize(2);
        assert_eq!(votes(4), 3);
        vote(5, 0, 9, 1);
        Anchor::on_initialize(3);
        assert_eq!((votes(4), votes(5)), (0, 1));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn invariants_hold(steps in proptest::collection::vec((0u32..3, any::<u8>(), 1u32..9, 0u16..4, any::<bool>()), 200)) {
        run(|| {
            let mut epoch = 0;
            for (ahead, attestor, attestors, seed, block) in steps {
                epoch += ahead / 2;
                vote(epoch.saturating_sub(u32::from(attestor == 0)), attestor, attestors, seed);
                if block {
                    Anchor::on_initialize(1);
                }
                Anchor::do_try_state().unwrap();
            }
        });
    }
}

#[test]
fn many_different_roots_are_cleared_over_blocks() {
    let mut ext: sp_io::TestExternalities = Default::default();
    ext.execute_with(|| {
        for seed in 0..300 {
            vote(0, 0, 1_000, seed);
        }
    });
    // Only what is in the database counts against the limit.
    ext.commit_all().unwrap();
    let mut left = vec![];
    for block in 0..8u64 {
        ext.execute_with(|| {
            if block == 0 {
                vote(1, 0, 1_000, 0);
            }
            Anchor::on_initialize(block);
            left.push(votes(0));
        });
        ext.commit_all().unwrap();
    }
    assert!(left.windows(2).all(|w| w[0] - w[1] <= 64), "{left:?}");
    assert_eq!(left.last(), Some(&0));
}
