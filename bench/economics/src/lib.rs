//! A simulation of the network's economics: what honest operators earn, and what attacks do.
//!
//! [`simulation::run`] lets networks that differ in one thing alone live side by side for many epochs. Each epoch every media node
//! serves the callers that orchestrators send it ([`turns`]) as its strategy says ([`market`], [`capacity`]), its committee is drawn as the chain draws it and says what it saw or pretends to have seen
//! ([`measurement`]), and the chain's rules pay ([`rules`]). Every token is followed ([`ledger`]). [`sweep`] moves one parameter until an
//! attack pays. Everything depends on the seed alone.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod capacity;
pub mod ledger;
pub mod market;
pub mod measurement;
pub mod outcome;
pub mod plot;
pub mod population;
pub mod random;
pub mod report;
pub mod rules;
pub mod scenario;
pub mod simulation;
pub mod sweep;
pub mod tally;
pub mod turns;
