//! What the calls cost, and what other pallets' calls cost more because of pools.
//!
//! Estimated by hand, on the high side, from the database accesses of each call (a transfer reads and writes two accounts); to be
//! replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the calls.
pub trait WeightInfo {
    /// Weight of `set_rules` with so many `beneficiaries`.
    fn set_rules(beneficiaries: u32) -> Weight;
    /// Weight of `delegate`.
    fn delegate() -> Weight;
    /// Weight of `undelegate`.
    fn undelegate() -> Weight;
    /// Weight of `withdraw_delegation`.
    fn withdraw_delegation() -> Weight;
    /// Weight of `collect`.
    fn collect() -> Weight;
    /// Weight of splitting one pay by the rules of a pool with delegators and so many `beneficiaries`.
    fn pay(beneficiaries: u32) -> Weight;
    /// Weight of slashing what is delegated to a node, when so little remains that the pool is retired.
    fn bond_slashed() -> Weight;
    /// Weight of retiring the pool of a node that is withdrawn.
    fn node_removed() -> Weight;
    /// Weight of handing a pool over to the node's successor.
    fn hand_over() -> Weight;
}

/// Picoseconds of one microsecond.
const MICRO: u64 = 1_000_000;

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        fn set_rules(beneficiaries: u32) -> Weight {
            Weight::from_parts(40 * MICRO, 5_000)
                .saturating_add($db.reads_writes(4, 3))
                .saturating_add(Weight::from_parts(u64::from(beneficiaries) * 2 * MICRO, 0))
        }
        fn delegate() -> Weight {
            Weight::from_parts(120 * MICRO, 8_000).saturating_add($db.reads_writes(6, 4))
        }
        fn undelegate() -> Weight {
            Weight::from_parts(50 * MICRO, 6_000).saturating_add($db.reads_writes(4, 2))
        }
        fn withdraw_delegation() -> Weight {
            Weight::from_parts(130 * MICRO, 7_000).saturating_add($db.reads_writes(5, 5))
        }
        fn collect() -> Weight {
            Weight::from_parts(110 * MICRO, 6_000).saturating_add($db.reads_writes(4, 4))
        }
        fn pay(beneficiaries: u32) -> Weight {
            let beneficiaries = u64::from(beneficiaries);
            Weight::from_parts(180 * MICRO, 10_000)
                .saturating_add($db.reads_writes(6, 4))
                .saturating_add(Weight::from_parts(beneficiaries * 70 * MICRO, beneficiaries * 2_600))
                .saturating_add($db.reads_writes(beneficiaries, beneficiaries))
        }
        fn bond_slashed() -> Weight {
            Weight::from_parts(160 * MICRO, 9_000).saturating_add($db.reads_writes(7, 8))
        }
        fn node_removed() -> Weight {
            Weight::from_parts(30 * MICRO, 4_000).saturating_add($db.reads_writes(2, 2))
        }
        fn hand_over() -> Weight {
            Weight::from_parts(30 * MICRO, 4_000).saturating_add($db.reads_writes(2, 2))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
