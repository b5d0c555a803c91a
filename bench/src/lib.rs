//! A native participant: it joins a room through an orchestrator as any app would, publishes synthetic media with sequence
//! numbers and times in it, receives others', signs receipts, and reports what it measured.
//!
//! It stands on the `webrtc` crate, which shares no code with the media node's engine, so that two independent stacks
//! check each other. See `docs/participant.md`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod connection;
pub mod feedback;
pub mod intake;
pub mod ledger;
pub mod numbers;
pub mod participant;
pub mod reception;
pub mod report;
pub mod signalling;
pub mod source;
pub mod stamp;
pub mod token;
