//! Chroom's media node: an SFU for browsers with a wallet, a control interface for orchestrators, and reports on its own
//! quality.
//!
//! [`node::run`] brings it up: the wallet is opened, the registration on the chain is checked, the node joins the register,
//! and serves until it is asked to stop.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
pub mod cascade;
pub mod config;
pub mod health;
pub mod metrics;
pub mod node;
pub mod place;
pub mod processing;
pub mod qos;
pub mod rpc;
pub mod sfu;
pub mod wallet;
