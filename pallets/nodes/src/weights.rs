//! What the calls cost.
//!
//! Estimated by hand, on the high side, from the database accesses of each call (a hold reads and writes the account and its
//! holds) and the time of one signature recovery; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the calls.
pub trait WeightInfo {
    /// Weight of `register`; `registries` is the number of registry nodes, whose list may be rewritten.
    fn register(registries: u32) -> Weight;
    /// Weight of `update`.
    fn update() -> Weight;
    /// Weight of `add_bond`.
    fn add_bond() -> Weight;
    /// Weight of a change of status.
    fn set_status(registries: u32) -> Weight;
    /// Weight of `withdraw`.
    fn withdraw(registries: u32) -> Weight;
    /// Weight of `report_equivocation`.
    fn report_equivocation(registries: u32) -> Weight;
    /// Weight of `set_parameters`.
    fn set_parameters() -> Weight;
    /// Weight of `register_authorized`.
    fn register_authorized(registries: u32) -> Weight;
    /// Weight of `reduce_bond`.
    fn reduce_bond() -> Weight;
    /// Weight of `withdraw_reduced`.
    fn withdraw_reduced() -> Weight;
    /// Weight of `rotate_key`; the list of registry nodes may be rewritten twice.
    fn rotate_key(registries: u32) -> Weight;
}

/// Picoseconds of one microsecond.
const MICRO: u64 = 1_000_000;

fn list(registries: u32) -> Weight {
    // Decoding and encoding 20 bytes each.
    Weight::from_parts(u64::from(registries) * MICRO / 5, u64::from(registries) * 20)
}

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        fn register(registries: u32) -> Weight {
            Weight::from_parts(360 * MICRO, 6_000)
                .saturating_add($db.reads_writes(13, 12))
                .saturating_add(list(registries))
        }
        fn update() -> Weight {
            Weight::from_parts(60 * MICRO, 5_000).saturating_add($db.reads_writes(7, 6))
        }
        fn add_bond() -> Weight {
            Weight::from_parts(90 * MICRO, 5_000).saturating_add($db.reads_writes(6, 5))
        }
        fn set_status(registries: u32) -> Weight {
            Weight::from_parts(60 * MICRO, 5_000)
                .saturating_add($db.reads_writes(9, 8))
                .saturating_add(list(registries))
        }
        fn withdraw(registries: u32) -> Weight {
            Weight::from_parts(150 * MICRO, 8_000)
                .saturating_add($db.reads_writes(19, 19))
                .saturating_add(list(registries))
        }
        fn report_equivocation(registries: u32) -> Weight {
            // The node, and its predecessor by key rotation, which is jailed with it.
            Weight::from_parts(750 * MICRO, 12_000)
                .saturating_add($db.reads_writes(24, 21))
                .saturating_add(list(registries))
        }
        fn set_parameters() -> Weight {
            Weight::from_parts(15 * MICRO, 0).saturating_add($db.writes(1))
        }
        fn register_authorized(registries: u32) -> Weight {
            Weight::from_parts(400 * MICRO, 6_000)
                .saturating_add($db.reads_writes(14, 13))
                .saturating_add(list(registries))
        }
        fn reduce_bond() -> Weight {
            Weight::from_parts(60 * MICRO, 5_000).saturating_add($db.reads_writes(7, 5))
        }
        fn withdraw_reduced() -> Weight {
            Weight::from_parts(90 * MICRO, 5_000).saturating_add($db.reads_writes(5, 4))
        }
        fn rotate_key(registries: u32) -> Weight {
            Weight::from_parts(450 * MICRO, 12_000)
                .saturating_add($db.reads_writes(20, 20))
                .saturating_add(list(registries.saturating_mul(2)))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
