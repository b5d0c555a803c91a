//! Types that the Chroom chain and its off-chain software share.
//!
//! Everything that two of the components must agree on byte by byte lives here: identities, the unified signature, the
//! records that nodes sign, the leaves that attestors hash, the Merkle tree over them, the committee draw and the score.
//! The crate is `no_std`, has no I/O and takes time and randomness as arguments.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod account;
pub mod anchor;
pub mod capacity;
pub mod cell;
pub mod committee;
pub mod endpoint;
pub mod epoch;
pub mod evidence;
pub mod leaf;
pub mod merkle;
pub mod node_id;
pub mod pool;
pub mod record;
pub mod role;
pub mod runtime_api;
pub mod score;
pub mod signed;
pub mod typed_data;

pub use account::{AccountId, ChroomSignature, ChroomSigner};
pub use capacity::CapacityClass;
pub use cell::H3Cell;
pub use endpoint::Endpoint;
pub use epoch::QosEpoch;
pub use leaf::{Leaf, QosLeaf, SnapshotLeaf, UsageLeaf};
pub use node_id::NodeId;
pub use role::{NodeStatus, Role};
pub use score::Score;
pub use signed::{EthereumSignature, Signable, Signed};

/// Balance of the native token in its smallest unit (1 CHR = 10^12 units).
pub type Balance = u128;
/// Number of a block.
pub type BlockNumber = u32;
/// Index (nonce) of an account's next transaction.
pub type Nonce = u32;
/// 32-byte hash.
pub type Hash = sp_core::H256;
/// Milliseconds since the Unix epoch.
pub type UnixMs = u64;

/// One CHR in the smallest unit.
pub const CHR: Balance = 1_000_000_000_000;
