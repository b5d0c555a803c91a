//! What accesses to the database, empty blocks and transactions weigh: measured (`make weights`), not estimated.

mod extensions;
mod overhead;
mod paritydb;
mod rocksdb;

use frame_support::{parameter_types, weights::RuntimeDbWeight};

pub use extensions::Extensions;
pub use overhead::{BLOCK, EXTRINSIC};

const fn slower(one: u64, other: u64) -> u64 {
    if one > other { one } else { other }
}

parameter_types! {
    /// An access at the price of the slower database, for reads and for writes: validators choose theirs, and all have to keep up.
    pub const DbWeight: RuntimeDbWeight = RuntimeDbWeight {
        read: slower(rocksdb::WEIGHT.read, paritydb::WEIGHT.read),
        write: slower(rocksdb::WEIGHT.write, paritydb::WEIGHT.write),
    };
}
