//! Load on media servers: thousands of synthetic publishers and subscribers, against Chroom's SFU and Janus in the same scenarios.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

pub mod bare;
pub mod churn;
pub mod client;
pub mod counts;
pub mod generator;
pub mod impair;
pub mod lab;
pub mod machine;
pub mod model;
pub mod namespace;
pub mod netem;
pub mod options;
pub mod path;
pub mod processing;
pub mod profile;
pub mod report;
pub mod rising;
pub mod run;
pub mod rush;
pub mod scenario;
pub mod search;
pub mod sfu;
pub mod sockets;
mod turns;
pub mod window;
pub mod wire;
