//! Typed client of the Chroom chain.
//!
//! Everything off-chain talks to the chain through this crate: it follows finalised blocks, keeps nonces, signs with a
//! node's EVM key or a Polkadot key, and gives the project's own types.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod account;
pub mod calls;
pub mod client;
pub mod config;
pub mod evidence;
mod follower;
mod link;
pub mod membership;
mod nonce;
pub mod query;
pub mod runtime;
mod settled;
pub mod signer;
pub mod transaction;
mod view;

pub use account::{AccountBalance, UnbondingPart};
pub use calls::{Authorization, NewNode, NodeUpdate};
pub use client::ChainClient;
pub use config::ChroomConfig;
pub use evidence::{Attestation, Report, SentRoots, Stake};
pub use link::ConnectError;
pub use membership::{Change, Membership};
pub use query::QueryError;
pub use signer::Signer;
pub use transaction::{EventSummary, SubmitError, TxOutcome};
