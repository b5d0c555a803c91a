//! What calls cost. Estimated by hand, on the high side; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the calls.
pub trait WeightInfo {
    /// Weight of `approve`, with which the call is scheduled.
    fn approve() -> Weight;
    /// Weight of `veto` of a scheduled call.
    fn veto() -> Weight;
    /// Weight of `set_delay`.
    fn set_delay() -> Weight;
}

/// Picoseconds of one microsecond.
const MICRO: u64 = 1_000_000;

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        // The preimage's status in both layouts, the approvals, the delay, the scheduler's name and agenda.
        fn approve() -> Weight {
            Weight::from_parts(80 * MICRO, 40_000).saturating_add($db.reads_writes(8, 5))
        }
        // The approvals, the scheduler's name and agenda, the retries, the preimage with its status.
        fn veto() -> Weight {
            Weight::from_parts(80 * MICRO, 40_000).saturating_add($db.reads_writes(7, 6))
        }
        fn set_delay() -> Weight {
            Weight::from_parts(10 * MICRO, 1_500).saturating_add($db.writes(1))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
