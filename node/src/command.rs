//! Runs what the command line asks for.

use crate::{
    chain_spec,
    cli::{Cli, Subcommand},
    service,
};
use sc_cli::SubstrateCli;
use sc_network::{Litep2pNetworkBackend, NetworkWorker, config::NetworkBackendType};
use sc_service::ChainSpec;

use chroom_primitives::Hash;
use service::Block;

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "chroom-node".into()
    }

    fn impl_version() -> String {
        env!("SUBSTRATE_CLI_IMPL_VERSION").into()
    }

    fn description() -> String {
        env!("CARGO_PKG_DESCRIPTION").into()
    }

    fn author() -> String {
        env!("CARGO_PKG_AUTHORS").into()
    }

    fn support_url() -> String {
        concat!(env!("CARGO_PKG_REPOSITORY"), "/issues").into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> Result<Box<dyn ChainSpec>, String> {
        let spec = match id {
            "dev" => chain_spec::dev(),
            "local" => chain_spec::local(),
            "live" => {
                return Err("the live preset has no validators of its own: write a network's specification with \
                            `chroom-node new-network` and give --chain that file"
                    .into());
            }
            "" => {
                return Err("which network? Give --chain dev, --chain local or --chain <specification file>".into());
            }
            path => return Ok(Box::new(chain_spec::ChainSpec::from_json_file(path.into())?)),
        };
        spec.map(|spec| Box::new(spec) as Box<dyn ChainSpec>).map_err(|error| error.to_string())
    }
}

/// Parses the arguments and runs the command.
pub fn run() -> sc_cli::Result<()> {
    let cli = Cli::from_args();
    match &cli.subcommand {
        Some(Subcommand::Key(cmd)) => cmd.run(&cli),
        Some(Subcommand::Sign(cmd)) => cmd.run(),
        Some(Subcommand::Verify(cmd)) => cmd.run(),
        Some(Subcommand::Vanity(cmd)) => cmd.run(),
        Some(Subcommand::NewNetwork(cmd)) => cmd.run().map_err(|error| sc_cli::Error::Input(error.to_string())),
        Some(Subcommand::ExportChainSpec(cmd)) => cmd.run(cli.load_spec(&cmd.chain)?),
        #[allow(deprecated)]
        Some(Subcommand::BuildSpec(cmd)) => {
            cli.create_runner(cmd)?.sync_run(|config| cmd.run(config.chain_spec, config.network))
        }
        Some(Subcommand::CheckBlock(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, parts.import_queue), parts.task_manager))
        }),
        Some(Subcommand::ExportBlocks(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, config.database), parts.task_manager))
        }),
        Some(Subcommand::ExportState(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, config.chain_spec), parts.task_manager))
        }),
        Some(Subcommand::ImportBlocks(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            Ok((cmd.run(parts.client, parts.import_queue), parts.task_manager))
        }),
        Some(Subcommand::PurgeChain(cmd)) => cli.create_runner(cmd)?.sync_run(|config| cmd.run(config.database)),
        Some(Subcommand::Revert(cmd)) => cli.create_runner(cmd)?.async_run(|config| {
            let parts = service::new_partial(&config)?;
            let consensus_data = Box::new(|client: std::sync::Arc<service::FullClient>, backend, blocks| {
                sc_consensus_babe::revert(client.clone(), backend, blocks)?;
                sc_consensus_grandpa::revert(client, blocks)?;
                Ok(())
            });
            Ok((cmd.run(parts.client, parts.backend, Some(consensus_data)), parts.task_manager))
        }),
        Some(Subcommand::ChainInfo(cmd)) => cli.create_runner(cmd)?.sync_run(|config| cmd.run::<Block>(&config)),
        None => cli.create_runner(&cli.run)?.run_node_until_exit(|config| async move {
            let storage_monitor = cli.storage_monitor;
            match config.network.network_backend {
                NetworkBackendType::Litep2p => {
                    service::new_full::<Litep2pNetworkBackend>(config, storage_monitor).await
                }
                NetworkBackendType::Libp2p => {
                    service::new_full::<NetworkWorker<Block, Hash>>(config, storage_monitor).await
                }
            }
            .map_err(sc_cli::Error::Service)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_network_that_has_no_specification_is_explained() {
        let cli = Cli::try_parse_from(["chroom-node"]).unwrap();
        for (id, hint) in [("live", "new-network"), ("", "--chain"), ("/nonexistent.json", "nonexistent")] {
            let error = cli.load_spec(id).err().unwrap();
            assert!(error.contains(hint), "{id}: {error}");
        }
    }
}
