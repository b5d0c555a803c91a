//! Chroom's orchestrator: it takes calls from clients, finds a media node for each room, and keeps the room alive.
//!
//! - [`signalling`]: JSON-RPC over WebSocket for clients, plain HTTP for the public; [`whip`]: WHIP and WHEP on the same port;
//!   [`ice`]: STUN and TURN servers that clients are told of;
//! - [`access`]: applications' keys and tokens; [`application`]: the rules of their rooms;
//! - [`session`]: the state machine of rooms and sessions; [`allocation`]: which media node takes a room, and whom of it;
//! - [`cascade`]: the tree of a room that spans media nodes;
//! - [`index`]: the network as registries and chain agree on it, fed by [`registry_rpc`], [`chain`] and [`budgets`];
//! - [`media_rpc`]: commands to media nodes, and noticing when they are lost;
//! - [`receipts`]: callers' receipts on their way to the committees;
//! - [`store`]: what survives a crash; [`service`]: all of it put together.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod access;
pub mod allocation;
pub mod application;
pub mod budgets;
pub mod cascade;
pub mod chain;
mod digest;
pub mod ice;
pub mod index;
pub mod media_rpc;
pub mod metrics;
pub mod options;
pub mod receipts;
pub mod registry_rpc;
pub mod service;
pub mod session;
pub mod signalling;
#[cfg(test)]
mod simulated;
pub mod store;
pub mod time;
pub mod whip;
