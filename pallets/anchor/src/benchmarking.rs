//! What is measured for the weights: the pallet has no calls, but others' votes and each block's clearing cost something.

// The macro writes public items that it gives no documentation.
#![allow(missing_docs)]

use crate::{ClearFrom, Config, Latest, Newest, Pallet, SnapshotVotes, Votes, impls::CLEAR_PER_BLOCK};
use chroom_primitives::{Hash, NodeId, QosEpoch, merkle::Root};
use frame_benchmarking::v2::*;

const OLD: QosEpoch = QosEpoch(1);
const NEW: QosEpoch = QosEpoch(2);

fn root(seed: u32) -> Root {
    let mut hash = Hash::zero();
    hash.0.split_at_mut(4).0.copy_from_slice(&seed.to_be_bytes());
    Root { hash, leaves: seed }
}

/// Lets the pallet begin with an epoch that was voted on.
fn begin<T: Config>() {
    ClearFrom::<T>::put(OLD);
    Newest::<T>::put(OLD);
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// `v` different roots of an epoch that is over.
    #[benchmark]
    fn clear_votes(v: Linear<0, CLEAR_PER_BLOCK>) {
        begin::<T>();
        Newest::<T>::put(NEW);
        for seed in 0..v {
            Votes::<T>::insert(OLD, root(seed), 1);
        }

        #[block]
        {
            Pallet::<T>::clear_votes();
        }

        assert_eq!(Votes::<T>::iter_prefix(OLD).count(), 0);
    }

    /// The vote that begins an epoch and, there being one attestor, makes its snapshot final.
    #[benchmark]
    fn vote() {
        begin::<T>();

        #[block]
        {
            Pallet::<T>::vote(NEW, NodeId([1; 20]), 1, root(1));
        }

        assert_eq!(Latest::<T>::get().map(|snapshot| snapshot.epoch), Some(NEW));
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::externalities(), crate::mock::Test);
}
