//! Chroom's registry node: keeps the register of nodes with its peers, and attests quality.
//!
//! - [`datastore`]: signed single-writer records, merged, indexed by place, on disk;
//! - [`pubsub`]: gossip and reconciliation among registry nodes;
//! - [`rpc`]: the gRPC interface for nodes;
//! - [`qos`]: receipts, probes, scores, one Merkle root per epoch;
//! - [`api`]: the public's read-only JSON-RPC.
//!
//! The chain is behind the port [`chain::Chain`], so that everything runs against a chain in memory in tests.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
pub mod chain;
pub mod clock;
pub mod datastore;
pub mod limits;
pub mod metrics;
pub mod node;
pub mod pubsub;
pub mod qos;
pub mod rpc;

#[cfg(test)]
pub(crate) mod testing;
