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
    /// Weight of `claim` with the proofs of `m` members, `l` usage leaves in all that come to nothing, and `p` pairs of application and
    /// orchestrator that pay, with the leaves of just more than half of the members about each; without the siblings of the proofs, and paid
    /// to the owner.
    fn claim(m: u32, l: u32, p: u32) -> Weight;
    /// Weight of `h` siblings in proofs.
    fn siblings(h: u32) -> Weight;
    /// Weight of `collect`.
    fn collect() -> Weight;
    /// Weight of `set_parameters`.
    fn set_parameters() -> Weight;
    /// Weight of `authorize`.
    fn authorize() -> Weight;
    /// Weight of `collect_attestor` over `e` epochs.
    fn collect_attestor(e: u32) -> Weight;
}

/// Picoseconds of one microsecond.
const MICRO: u64 = 1_000_000;

/// Weights for a runtime `T`, by its database weights.
pub struct ChroomWeight<T>(PhantomData<T>);

macro_rules! weights {
    ($db:expr) => {
        fn deposit() -> Weight {
            Weight::from_parts(120 * MICRO, 6_000).saturating_add($db.reads_writes(3, 3))
        }
        fn request_withdraw() -> Weight {
            Weight::from_parts(40 * MICRO, 3_000).saturating_add($db.reads_writes(3, 1))
        }
        fn withdraw() -> Weight {
            Weight::from_parts(120 * MICRO, 6_000).saturating_add($db.reads_writes(4, 3))
        }
        fn claim(m: u32, l: u32, p: u32) -> Weight {
            let (members, leaves, pairs) = (u64::from(m), u64::from(l), u64::from(p));
            // Reads: node, terms, epoch, attestor set, claims, ledger, pot and owner. Writes: claims, ledger, pot and owner. The draw and a
            // payment; per member its attestation and a hash; per usage leaf a hash; per pair that pays its leaves, an
            // escrow, an orchestrator and what its owner has earned, and once the escrows' account.
            Weight::from_parts(200 * MICRO, 16_000)
                .saturating_add($db.reads_writes(8, 4))
                .saturating_add(Weight::from_parts(members * 10 * MICRO, members * 500))
                .saturating_add($db.reads(members))
                .saturating_add(Weight::from_parts(leaves * 5 * MICRO, 0))
                .saturating_add(Weight::from_parts(pairs * 70 * MICRO, pairs * 3_000))
                .saturating_add($db.reads_writes(pairs * 3 + pairs.min(1), pairs * 2 + pairs.min(1)))
        }
        fn siblings(h: u32) -> Weight {
            // A hash of 65 bytes in Wasm.
            Weight::from_parts(u64::from(h) * 2 * MICRO, 0)
        }
        fn collect() -> Weight {
            Weight::from_parts(120 * MICRO, 6_000).saturating_add($db.reads_writes(4, 4))
        }
        fn set_parameters() -> Weight {
            Weight::from_parts(15 * MICRO, 0).saturating_add($db.writes(1))
        }
        fn authorize() -> Weight {
            Weight::from_parts(50 * MICRO, 3_000).saturating_add($db.reads_writes(2, 1))
        }
        fn collect_attestor(e: u32) -> Weight {
            let epochs = u64::from(e);
            // Per epoch: its state, its set of attestors, its ledger, the last written too.
            Weight::from_parts(120 * MICRO, 6_000)
                .saturating_add($db.reads_writes(4, 2))
                .saturating_add(Weight::from_parts(epochs * 50 * MICRO, epochs * 12_000))
                .saturating_add($db.reads_writes(epochs * 3, epochs))
        }
    };
}

impl<T: frame_system::Config> WeightInfo for ChroomWeight<T> {
    weights!(T::DbWeight::get());
}

impl WeightInfo for () {
    weights!(RocksDbWeight::get());
}
