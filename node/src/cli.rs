//! The command line.

use crate::network_template::NewNetworkCmd;
use sc_cli::RunCmd;
use sc_storage_monitor::StorageMonitorParams;

/// Validator and full node of the Chroom chain.
#[derive(Debug, clap::Parser)]
#[command(after_help = "Examples:\n  \
    chroom-node --dev --tmp                               a chain of one's own, forgotten at the end\n  \
    chroom-node --chain local --alice --base-path a       first validator of a local network\n  \
    chroom-node --chain chroom.json --base-path /srv/chroom --validator --name atlas\n  \
    chroom-node export-chain-spec --chain local --raw --output local.json")]
pub struct Cli {
    /// What to do other than run the node.
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,

    /// How to run the node.
    #[command(flatten)]
    pub run: RunCmd,

    /// When to stop for want of disk space.
    #[command(flatten)]
    pub storage_monitor: StorageMonitorParams,
}

/// What the node's binary can do.
#[derive(Debug, clap::Subcommand)]
// One value of it exists in a process.
#[allow(clippy::large_enum_variant)]
pub enum Subcommand {
    /// Make and inspect keys.
    #[command(subcommand)]
    Key(sc_cli::KeySubcommand),

    /// Verify a signature.
    Verify(sc_cli::VerifyCmd),

    /// Make an address that contains a pattern.
    Vanity(sc_cli::VanityCmd),

    /// Sign a message.
    Sign(sc_cli::SignCmd),

    /// Write the specification of a new network from the founders' accounts and keys.
    NewNetwork(NewNetworkCmd),

    /// Write a network's specification.
    ExportChainSpec(sc_cli::ExportChainSpecCmd),

    /// The older form of export-chain-spec, which test tools still call.
    #[allow(deprecated)]
    BuildSpec(sc_cli::BuildSpecCmd),

    /// Validate blocks.
    CheckBlock(sc_cli::CheckBlockCmd),

    /// Export blocks.
    ExportBlocks(sc_cli::ExportBlocksCmd),

    /// Export a block's state as a specification.
    ExportState(sc_cli::ExportStateCmd),

    /// Import blocks.
    ImportBlocks(sc_cli::ImportBlocksCmd),

    /// Remove the whole chain.
    PurgeChain(sc_cli::PurgeChainCmd),

    /// Go back to an earlier block.
    Revert(sc_cli::RevertCmd),

    /// Show what the database holds.
    ChainInfo(sc_cli::ChainInfoCmd),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn networks_and_databases_are_chosen_by_flags() {
        let cli =
            Cli::try_parse_from(["chroom-node", "--chain", "local", "--alice", "--database", "paritydb"]).unwrap();
        assert_eq!(cli.run.shared_params.chain.as_deref(), Some("local"));
        assert!(cli.subcommand.is_none());
        let cli =
            Cli::try_parse_from(["chroom-node", "build-spec", "--chain", "dev", "--disable-default-bootnode"]).unwrap();
        assert!(matches!(cli.subcommand, Some(Subcommand::BuildSpec(_))));
        assert!(Cli::try_parse_from(["chroom-node", "new-network", "--name", "x"]).is_err());
    }
}
