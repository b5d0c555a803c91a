//! What the calls cost.
//!
//! Estimated by hand, on the high side, from the database accesses of each call (a hold reads and writes the account and its
//! holds), the time of one signature recovery, and what a node's pool costs with it; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the calls.
pub trait WeightInfo {
    /// Weight of `register` with `r` active registry nodes, the new one included.
    fn register(r: u32) -> Weight;
    /// Weight of `update`.
    fn update() -> Weight;
    /// Weight of `add_bond`.
    fn add_bond() -> Weight;
    /// Weight of `drain` with `r` active registry nodes before.
    fn drain(r: u32) -> Weight;
    /// Weight of `resume` with `r` active registry nodes afterwards.
    fn resume(r: u32) -> Weight;
    /// Weight of `unbond` with `r` active registry nodes before.
    fn unbond(r: u32) -> Weight;
    /// Weight of `withdraw`.
    fn withdraw() -> Weight;
    /// Weight of `report_equivocation` with `r` active registry nodes before.
    fn report_equivocation(r: u32) -> Weight;
    /// Weight of `set_parameters`.
    fn set_parameters() -> Weight;
    /// Weight of `register_authorized` with `r` active registry nodes, the new one included.
    fn register_authorized(r: u32) -> Weight;
    /// Weight of `reduce_bond`.
    fn reduce_bond() -> Weight;
    /// Weight of `withdraw_reduced`.
    fn withdraw_reduced() -> Weight;
    /// Weight of `rotate_key` with `r` active registry nodes, whose list may be rewritten twice.
    fn rotate_key(r: u32) -> Weight;
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
        fn register(r: u32) -> Weight {
            Weight::from_parts(360 * MICRO, 6_000).saturating_add($db.reads_writes(13, 12)).saturating_add(list(r))
        }
        fn update() -> Weight {
            Weight::from_parts(60 * MICRO, 5_000).saturating_add($db.reads_writes(7, 6))
        }
        fn add_bond() -> Weight {
            Weight::from_parts(90 * MICRO, 5_000).saturating_add($db.reads_writes(6, 5))
        }
        fn drain(r: u32) -> Weight {
            Weight::from_parts(60 * MICRO, 5_000).saturating_add($db.reads_writes(9, 8)).saturating_add(list(r))
        }
        fn resume(r: u32) -> Weight {
            Weight::from_parts(60 * MICRO, 5_000).saturating_add($db.reads_writes(9, 8)).saturating_add(list(r))
        }
        fn unbond(r: u32) -> Weight {
            Weight::from_parts(60 * MICRO, 5_000).saturating_add($db.reads_writes(9, 8)).saturating_add(list(r))
        }
        fn withdraw() -> Weight {
            // With a pool that is retired.
            Weight::from_parts(180 * MICRO, 12_000).saturating_add($db.reads_writes(21, 21))
        }
        fn report_equivocation(r: u32) -> Weight {
            // The node, its predecessor by key rotation, which is jailed with it, and what is delegated to it.
            Weight::from_parts(900 * MICRO, 21_000).saturating_add($db.reads_writes(31, 29)).saturating_add(list(r))
        }
        fn set_parameters() -> Weight {
            Weight::from_parts(15 * MICRO, 0).saturating_add($db.writes(1))
        }
        fn register_authorized(r: u32) -> Weight {
            Weight::from_parts(400 * MICRO, 6_000).saturating_add($db.reads_writes(14, 13)).saturating_add(list(r))
        }
        fn reduce_bond() -> Weight {
            Weight::from_parts(60 * MICRO, 5_000).saturating_add($db.reads_writes(7, 5))
        }
        fn withdraw_reduced() -> Weight {
            Weight::from_parts(90 * MICRO, 5_000).saturating_add($db.reads_writes(5, 4))
        }
        fn rotate_key(r: u32) -> Weight {
            Weight::from_parts(480 * MICRO, 16_000)
                .saturating_add($db.reads_writes(22, 22))
                .saturating_add(list(r.saturating_mul(2)))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
