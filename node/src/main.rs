//! chroom-node: validator and full node of the Chroom chain.

// The errors of Substrate's own interfaces, which this code passes on, are large.
#![allow(clippy::result_large_err)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod chain_spec;
mod cli;
mod command;
mod network_template;
mod rpc;
mod service;

fn main() -> sc_cli::Result<()> {
    command::run()
}
