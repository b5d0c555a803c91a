//! What the hooks cost. Estimated by hand, on the high side; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the hooks.
pub trait WeightInfo {
    /// Weight of clearing `v` old votes.
    fn clear_votes(v: u32) -> Weight;
    /// Weight of a vote that is the first of its epoch and makes the snapshot final.
    fn vote() -> Weight;
}

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        fn clear_votes(v: u32) -> Weight {
            Weight::from_parts(20_000_000, 4_000)
                .saturating_add($db.reads_writes(2, 1))
                .saturating_add($db.reads_writes(1, 1).saturating_mul(v.into()))
        }
        fn vote() -> Weight {
            Weight::from_parts(25_000_000, 4_000).saturating_add($db.reads_writes(2, 4))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
