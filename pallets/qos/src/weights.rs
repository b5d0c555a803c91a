//! What calls and hooks cost. Estimated by hand, on the high side; to be replaced by measured values.

use core::marker::PhantomData;
use frame_support::{
    traits::Get,
    weights::{Weight, constants::RocksDbWeight},
};

/// Weights of the calls and hooks.
pub trait WeightInfo {
    /// Weight of the hooks of a block that clears `r` old attestations.
    fn block(r: u32) -> Weight;
    /// Weight of beginning an epoch with `a` attestors, whose list may have to be copied, with what the rewards pallet does then.
    fn start_epoch(a: u32) -> Weight;
    /// Weight of `submit_root` in a set of `a` attestors, with the vote for the snapshot.
    fn submit_root(a: u32) -> Weight;
    /// Weight of `report_equivocation` in a set of `a` attestors: two signatures, and a slash.
    fn report_equivocation(a: u32) -> Weight;
    /// Weight of `report_omission` in a set of `a` attestors, with two proofs of the greatest length.
    fn report_omission(a: u32) -> Weight;
}

/// Picoseconds of one microsecond.
const MICRO: u64 = 1_000_000;

fn list(attestors: u32) -> Weight {
    // Decoding and encoding 20 bytes each.
    Weight::from_parts(u64::from(attestors) * MICRO / 5, u64::from(attestors) * 20)
}

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        fn block(r: u32) -> Weight {
            let clearing = if r == 0 { Weight::zero() } else { $db.reads_writes(u64::from(r), u64::from(r) + 1) };
            Weight::from_parts(10 * MICRO, 2_000).saturating_add($db.reads_writes(5, 1)).saturating_add(clearing)
        }
        fn start_epoch(a: u32) -> Weight {
            // The rewards pallet closes a ledger and opens one: two transfers back, three out, one burn.
            Weight::from_parts(400 * MICRO, 16_000).saturating_add($db.reads_writes(20, 16)).saturating_add(list(a))
        }
        fn submit_root(a: u32) -> Weight {
            // Reads: epoch, attestor set, own attestation, newest vote, votes. Writes: attestation, votes. What the first vote of an
            // epoch and the one that makes a snapshot final write besides is counted in the anchor's hook.
            Weight::from_parts(60 * MICRO, 8_000).saturating_add($db.reads_writes(5, 2)).saturating_add(list(a))
        }
        fn report_equivocation(a: u32) -> Weight {
            // With the attestor's successor by key rotation, and what is delegated to it.
            Weight::from_parts(900 * MICRO, 40_000)
                .saturating_add($db.reads_writes(30, 26))
                .saturating_add(list(a).saturating_mul(3))
        }
        fn report_omission(a: u32) -> Weight {
            Weight::from_parts(400 * MICRO, 20_000).saturating_add($db.reads_writes(6, 2)).saturating_add(list(a))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
