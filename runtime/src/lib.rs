//! The Chroom chain's runtime: BABE and GRANDPA among bonded validators, accounts of Polkadot's and Ethereum's kind, and
//! the pallets that register nodes, take in their quality, pay them and anchor the registry.
//!
//! One Wasm serves every network. What differs between a developer's network and the live one (lengths of sessions and
//! QoS epochs, bonds, seats) is in storage and comes from the genesis preset: see [`presets`].
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]
// The runtime's macros recurse deeply over the pallets.
#![recursion_limit = "512"]

#[cfg(feature = "std")]
mod wasm {
    //! The Wasm, as the build script left it.
    #![allow(missing_docs, dead_code)]
    include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));
}

extern crate alloc;

pub mod apis;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarks;
pub mod call_filter;
pub mod consensus;
pub mod economy;
pub mod governance;
pub mod migrations;
pub mod network;
pub mod pallets;
pub mod parameters;
pub mod presets;
pub mod session_keys;
pub mod system;
pub mod transaction;
mod weights;

pub use apis::RuntimeApi;
pub use chroom_primitives::{AccountId, Balance, BlockNumber, ChroomSignature, Hash, Nonce};
pub use pallets::*;
pub use session_keys::SessionKeys;
pub use transaction::{Address, Block, Executive, Header, TxExtension, UncheckedExtrinsic};

use alloc::borrow::Cow;
use sp_version::RuntimeVersion;

/// Length of a slot in milliseconds; a block in each.
pub const SLOT_MS: u64 = 6_000;

/// The runtime's version. docs/governance.md says when which of the numbers is raised.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("chroom"),
    impl_name: Cow::Borrowed("chroom-node"),
    authoring_version: 1,
    spec_version: 101,
    impl_version: 1,
    apis: apis::RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

/// The Wasm that the node runs, if it was built.
#[cfg(feature = "std")]
pub fn wasm_binary() -> Option<&'static [u8]> {
    wasm::WASM_BINARY
}

/// Version of the metadata that the chain client is generated from.
#[cfg(feature = "std")]
pub const CLIENT_METADATA_VERSION: u32 = 16;

/// The metadata that the chain client is generated from, as of a chain without a genesis.
#[cfg(feature = "std")]
pub fn metadata_for_clients() -> Option<alloc::vec::Vec<u8>> {
    // Constants that the genesis decides are read from storage.
    sp_io::TestExternalities::default()
        .execute_with(|| Runtime::metadata_at_version(CLIENT_METADATA_VERSION))
        .map(|metadata| core::ops::Deref::deref(&metadata).clone())
}

#[cfg(test)]
mod tests;
