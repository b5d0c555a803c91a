//! Typed client of the Chroom chain.
//!
//! Everything off-chain talks to the chain through this crate: it follows finalised blocks, keeps nonces, signs with a
//! node's EVM key or a Polkadot key, and gives the project's own types.

pub mod membership;
