//! `chroom`: the command line of operators, validators and developers.
//!
//! Each command is a module of [`command`]; what several share (amounts, places, keys, tokens, the way to the chain and to the
//! registries) is a module of its own; [`up`] runs a whole network on loopback.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod amount;
pub mod chain;
pub mod command;
pub mod doctor;
pub mod evidence;
pub mod failure;
pub mod fetch;
pub mod local;
pub mod output;
pub mod owner;
pub mod place;
pub mod private_file;
pub mod proofs;
pub mod registry;
pub mod snapshot;
pub mod statement;
pub mod token;
pub mod up;
