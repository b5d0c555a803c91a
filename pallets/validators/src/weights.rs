//! What the calls and hooks cost.
//!
//! Storage accesses counted by hand, with a margin for computation; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{RuntimeDbWeight, Weight, constants::RocksDbWeight},
};

/// Weights of the calls and hooks.
pub trait WeightInfo {
    /// Weight of `join`.
    fn join() -> Weight;
    /// Weight of `unbond`.
    fn unbond() -> Weight;
    /// Weight of `leave`.
    fn leave() -> Weight;
    /// Weight of `withdraw`.
    fn withdraw() -> Weight;
    /// Weight of `set_parameters`.
    fn set_parameters() -> Weight;
    /// Weight of `set_payee`.
    fn set_payee() -> Weight;
    /// Weight of `payout`.
    fn payout() -> Weight;
    /// Weight of `cancel_slash` for `n` slashes.
    fn cancel_slash(n: u32) -> Weight;
    /// Weight of punishing one offender of `v` validators, with a slash that does not wait.
    fn offence(v: u32) -> Weight;
    /// Weight of looking whether slashes are due, and of applying `s` of them, each to the benefit of as many reporters as there may be.
    fn on_initialize(s: u32) -> Weight;
    /// Weight of noting a block's author.
    fn note_author() -> Weight;
}

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

fn of(db: RuntimeDbWeight, reads: u64, writes: u64) -> Weight {
    // 40 µs of computation and at most 8 kB of proof for each access, which is far above what any of them takes.
    Weight::from_parts(40_000_000, 8_192)
        .saturating_mul(reads.saturating_add(writes))
        .saturating_add(db.reads_writes(reads, writes))
}

macro_rules! weights {
    ($db:expr) => {
        fn join() -> Weight {
            of($db, 9, 7)
        }
        fn unbond() -> Weight {
            of($db, 4, 2)
        }
        fn leave() -> Weight {
            of($db, 7, 5)
        }
        fn withdraw() -> Weight {
            of($db, 7, 5)
        }
        fn set_parameters() -> Weight {
            of($db, 0, 1)
        }
        fn set_payee() -> Weight {
            of($db, 1, 1)
        }
        fn payout() -> Weight {
            of($db, 7, 5)
        }
        fn cancel_slash(n: u32) -> Weight {
            of($db, 5, 5).saturating_mul(n.into()).saturating_add(of($db, 1, 0))
        }
        fn offence(v: u32) -> Weight {
            // Decoding and comparing the validators in office.
            of($db, 29, 26).saturating_add(Weight::from_parts(300_000, 40).saturating_mul(v.into()))
        }
        fn on_initialize(s: u32) -> Weight {
            of($db, 15, 14).saturating_mul(s.into()).saturating_add(of($db, 3, 1))
        }
        fn note_author() -> Weight {
            of($db, 4, 3)
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
