//! chroom-node: validator and full node of the Chroom chain.

mod chain_spec;
mod cli;
mod command;
mod network_template;
mod rpc;
mod service;

fn main() -> sc_cli::Result<()> {
    command::run()
}
