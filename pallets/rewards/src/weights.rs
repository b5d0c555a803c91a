//! What the calls cost. Estimated by hand, on the high side; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the calls.
pub trait WeightInfo {
    /// Weight of `deposit`.
    fn deposit() -> Weight;
    /// Weight of `request_withdraw`.
    fn request_withdraw() -> Weight;
    /// Weight of `withdraw`.
    fn withdraw() -> Weight;
    /// Weight of `claim` with the proofs of `members` that hold `leaves` usage leaves and `hashes` siblings in all.
    fn claim(members: u32, leaves: u32, hashes: u32) -> Weight;
    /// Weight of `collect`.
    fn collect() -> Weight;
    /// Weight of `set_parameters`.
    fn set_parameters() -> Weight;
}

/// Picoseconds of one microsecond.
const MICRO: u64 = 1_000_000;

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        fn deposit() -> Weight {
            Weight::from_parts(120 * MICRO, 6_000).saturating_add($db.reads_writes(4, 4))
        }
        fn request_withdraw() -> Weight {
            Weight::from_parts(30 * MICRO, 3_000).saturating_add($db.reads_writes(3, 1))
        }
        fn withdraw() -> Weight {
            Weight::from_parts(120 * MICRO, 6_000).saturating_add($db.reads_writes(5, 4))
        }
        fn claim(members: u32, leaves: u32, hashes: u32) -> Weight {
            let (members, leaves, hashes) = (u64::from(members), u64::from(leaves), u64::from(hashes));
            // The draw and the payments; per member a hash, its root and its owner's share; per usage leaf a hash and an
            // application's escrow; per sibling a hash of 65 bytes in Wasm.
            Weight::from_parts(500 * MICRO, 12_000)
                .saturating_add($db.reads_writes(20, 12))
                .saturating_add(Weight::from_parts(members * 25 * MICRO, members * 2_000))
                .saturating_add($db.reads_writes(members * 3, members))
                .saturating_add(Weight::from_parts(leaves * 15 * MICRO, leaves * 2_000))
                .saturating_add($db.reads_writes(leaves, leaves))
                .saturating_add(Weight::from_parts(hashes * 4 * MICRO, 0))
        }
        fn collect() -> Weight {
            Weight::from_parts(120 * MICRO, 6_000).saturating_add($db.reads_writes(4, 4))
        }
        fn set_parameters() -> Weight {
            Weight::from_parts(15 * MICRO, 0).saturating_add($db.writes(1))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
