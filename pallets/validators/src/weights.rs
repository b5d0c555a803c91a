//! Weights of the calls: storage accesses counted by hand, with a margin for computation.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

/// What the calls cost.
pub trait WeightInfo {
    /// Standing as a candidate.
    fn join() -> Weight;
    /// Unbonding a part.
    fn unbond() -> Weight;
    /// Giving up candidacy.
    fn leave() -> Weight;
    /// Taking back what has unbonded.
    fn withdraw() -> Weight;
    /// Changing the rules.
    fn set_parameters() -> Weight;
    /// Punishing one offender.
    fn offence() -> Weight;
}

/// Counted storage accesses at the runtime's database weights.
pub struct CountedWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> CountedWeight<T> {
    fn of(reads: u64, writes: u64) -> Weight {
        // 40 µs of computation and at most 8 kB of proof for each access, which is far above what any of them takes.
        Weight::from_parts(40_000_000, 8_192)
            .saturating_mul(reads.saturating_add(writes))
            .saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}

impl<T: frame_system::Config> WeightInfo for CountedWeight<T> {
    fn join() -> Weight {
        Self::of(7, 4)
    }
    fn unbond() -> Weight {
        Self::of(4, 2)
    }
    fn leave() -> Weight {
        Self::of(6, 3)
    }
    fn withdraw() -> Weight {
        Self::of(5, 4)
    }
    fn set_parameters() -> Weight {
        Self::of(0, 1)
    }
    fn offence() -> Weight {
        Self::of(9, 8)
    }
}

impl WeightInfo for () {
    fn join() -> Weight {
        Weight::zero()
    }
    fn unbond() -> Weight {
        Weight::zero()
    }
    fn leave() -> Weight {
        Weight::zero()
    }
    fn withdraw() -> Weight {
        Weight::zero()
    }
    fn set_parameters() -> Weight {
        Weight::zero()
    }
    fn offence() -> Weight {
        Weight::zero()
    }
}
