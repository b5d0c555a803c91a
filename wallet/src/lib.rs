//! The EVM wallet that is a node's identity.
//!
//! One secp256k1 key names a node everywhere: its EVM address is the [`NodeId`](chroom_primitives::NodeId), the same key
//! is the libp2p peer, vouches for the TLS certificate, and signs records, reports and extrinsics as any wallet's
//! `personal_sign` does. It rests in an encrypted Ethereum keystore (version 3) that other EVM wallets open too.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod keystore;
pub mod passphrase;
mod peer;
mod typed_data;
mod wallet;

pub use keystore::{OpenError, SaveError, Strength};
pub use passphrase::{Passphrase, PassphraseError};
pub use peer::{node_id_of_peer, node_id_of_peer_id};
pub use typed_data::registration_request;
pub use wallet::{SecretError, Wallet};
