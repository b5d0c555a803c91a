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
    /// Choosing who is paid.
    fn set_payee() -> Weight;
    /// Paying a validator for an era.
    fn payout() -> Weight;
    /// Cancelling `n` slashes.
    fn cancel_slash(n: u32) -> Weight;
    /// Punishing one offender, with a slash that does not wait.
    fn offence() -> Weight;
    /// Looking whether a slash is due.
    fn on_initialize() -> Weight;
    /// Applying one slash, to the benefit of as many reporters as there may be.
    fn apply_slash() -> Weight;
    /// Noting a block's author.
    fn note_author() -> Weight;
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
        Self::of(9, 7)
    }
    fn unbond() -> Weight {
        Self::of(4, 2)
    }
    fn leave() -> Weight {
        Self::of(7, 5)
    }
    fn withdraw() -> Weight {
        Self::of(7, 5)
    }
    fn set_parameters() -> Weight {
        Self::of(0, 1)
    }
    fn set_payee() -> Weight {
        Self::of(1, 1)
    }
    fn payout() -> Weight {
        Self::of(7, 5)
    }
    fn cancel_slash(n: u32) -> Weight {
        Self::of(5, 5).saturating_mul(n.into()).saturating_add(Self::of(1, 0))
    }
    fn offence() -> Weight {
        Self::of(14, 12).saturating_add(Self::apply_slash())
    }
    fn on_initialize() -> Weight {
        Self::of(3, 1)
    }
    fn apply_slash() -> Weight {
        Self::of(15, 14)
    }
    fn note_author() -> Weight {
        Self::of(4, 3)
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
    fn set_payee() -> Weight {
        Weight::zero()
    }
    fn payout() -> Weight {
        Weight::zero()
    }
    fn cancel_slash(_: u32) -> Weight {
        Weight::zero()
    }
    fn offence() -> Weight {
        Weight::zero()
    }
    fn on_initialize() -> Weight {
        Weight::zero()
    }
    fn apply_slash() -> Weight {
        Weight::zero()
    }
    fn note_author() -> Weight {
        Weight::zero()
    }
}
