//! What the hooks cost. Estimated by hand, on the high side; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the hooks.
pub trait WeightInfo {
    /// Weight of clearing `votes` old entries; of looking whether there are any, if 0. What a block's votes may write besides their count
    /// (the first of an epoch, and the one that makes a snapshot final) is counted here too: it happens twice in an epoch, not per vote.
    fn clear_votes(votes: u32) -> Weight;
}

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        fn clear_votes(votes: u32) -> Weight {
            Weight::from_parts(25_000_000, 4_000).saturating_add($db.reads_writes(2, 4)).saturating_add(if votes == 0 {
                Weight::zero()
            } else {
                $db.reads_writes(u64::from(votes), u64::from(votes) + 1)
            })
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
