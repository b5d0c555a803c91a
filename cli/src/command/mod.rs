//! The commands.

pub mod account;
pub mod authorization;
pub mod doctor;
pub mod escrow;
pub mod evidence;
pub mod key_proof;
pub mod network;
pub mod node;
pub mod registry;
pub mod rewards;
pub mod token;
pub mod validator;
pub mod wallet;

use crate::{failure::Failure, output::Output, up};
use clap::{Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf};

/// Operators', validators' and developers' command line of the Chroom network
#[derive(Debug, Parser)]
#[command(
    name = "chroom",
    version,
    propagate_version = true,
    term_width = 120,
    after_help = "Examples:
  chroom up --web web/dist                                   a whole network on this machine
  chroom wallet create --out media.json                      the key of a new node
  chroom node register --dev charlie --wallet media.json --role media --endpoint 203.0.113.7:7400 --cell 50.11,8.68
  chroom rewards show 0x8f3c…                                what a node could claim
  chroom rewards claim 0x8f3c… --all --dev charlie           claim it
  chroom registry near 1.35,103.82 --json                    media nodes around a place
  chroom doctor --node 203.0.113.7:7400                      what keeps a node from being reached

Exit codes: 0 done, 1 failed, 2 called wrongly. With --json, a result is one JSON document on stdout, a failure is one
on stderr: { \"error\", \"hint\" }. Amounts in JSON are decimal texts in the smallest unit (1 CHR = 10^12)."
)]
pub struct Cli {
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keystore files
    #[command(subcommand)]
    Wallet(wallet::Command),
    /// Nodes on the chain: register, change, leave
    #[command(subcommand)]
    Node(node::Command),
    /// Validators: bond, leave, session keys
    #[command(subcommand)]
    Validator(validator::Command),
    /// Accounts: what they own, and sending it
    #[command(subcommand)]
    Account(account::Command),
    /// What nodes earn
    #[command(subcommand)]
    Rewards(rewards::Command),
    /// What applications pay from
    #[command(subcommand)]
    Escrow(escrow::Command),
    /// Nodes that contradicted themselves: what is known, and reporting it
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// The register of nodes, as the registries have it
    #[command(subcommand)]
    Registry(registry::Command),
    /// Access tokens for participants
    #[command(subcommand)]
    Token(token::Command),
    /// The current QoS epoch
    #[command(after_help = "Example:\n  chroom epoch --chain ws://127.0.0.1:9944 --json")]
    Epoch(network::Epoch),
    /// The network at a glance
    #[command(after_help = "Example:\n  chroom network --chain ws://127.0.0.1:9944 --json")]
    Network(network::Network),
    /// Say what keeps a node from being reached: UDP, TCP, TURN, clock, NAT, port or certificate
    Doctor(doctor::Doctor),
    /// Run a whole network on this machine
    #[command(after_long_help = up::HELP, after_help = "chroom up --help lists ports, files and examples.")]
    Up(up::options::Options),
    /// Become another program that ends with the caller
    #[command(name = up::process::BOUND_CHILD, hide = true)]
    RunBound(RunBound),
}

/// Arguments of the hidden command that `chroom up` starts its children by.
#[derive(Debug, clap::Args)]
pub struct RunBound {
    /// The process whose end ends this one
    parent: u32,
    /// The program
    program: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs what was asked for.
pub async fn run(cli: &Cli, output: Output) -> Result<(), Failure> {
    match &cli.command {
        Command::Wallet(command) => wallet::run(command, output),
        Command::Node(command) => node::run(command, output).await,
        Command::Validator(command) => validator::run(command, output).await,
        Command::Account(command) => account::run(command, output).await,
        Command::Rewards(command) => rewards::run(command, output).await,
        Command::Escrow(command) => escrow::run(command, output).await,
        Command::Evidence(command) => evidence::run(command, output).await,
        Command::Registry(command) => registry::run(command, output).await,
        Command::Token(command) => token::run(command, output),
        Command::Epoch(epoch) => network::epoch(epoch, output).await,
        Command::Network(network) => network::network(network, output).await,
        Command::Doctor(doctor) => doctor::run(doctor, output).await,
        Command::Up(options) => up::run(options, output).await,
        Command::RunBound(bound) => {
            Err(up::process::become_bound_child(bound.parent, &bound.program, &bound.arguments))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_commands_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_for_one_process_may_begin_with_hyphens() {
        let cli =
            Cli::try_parse_from(["chroom", "up", "--media-args", "media-2=--fault-egress-loss=0.1", "--json"]).unwrap();
        let Command::Up(options) = cli.command else { panic!("not up") };
        assert_eq!(options.media_args, ["media-2=--fault-egress-loss=0.1"]);
        assert!(cli.json);
    }

    #[test]
    fn two_ways_of_signing_at_once_are_wrong_usage() {
        let both = [
            "chroom",
            "rewards",
            "claim",
            "0x0000000000000000000000000000000000000001",
            "--dev",
            "eve",
            "--owner",
            "x",
        ];
        assert_eq!(Cli::try_parse_from(both).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn an_authorization_says_what_is_registered_and_nothing_beside_it_does() {
        let base = "chroom node register --authorization word.json --endpoint 127.0.0.1:1 --cell 50.11,8.68";
        let parse = |more: &str| Cli::try_parse_from(base.split(' ').chain(more.split_whitespace()));
        let signature = format!("--wallet w.json --signature 0x{}", "07".repeat(65));
        for right in ["--wallet w.json", "--wallet w.json --price 0.5", &signature] {
            assert!(parse(right).is_ok(), "{right}");
        }
        let beside = ["--role media", "--class large", "--bond 5", "--fund 1", "--dev eve", "--signature 0x12"];
        for wrong in
            beside.map(|more| format!("--wallet w.json {more}")).iter().map(String::as_str).chain(["", "--proof p"])
        {
            assert_eq!(parse(wrong).err().map(|error| error.exit_code()), Some(2), "{wrong}");
        }
        let authorize = "chroom node authorize --node 0x0000000000000000000000000000000000000001 --role media";
        let address = "--owner-address 0x0000000000000000000000000000000000000002";
        let parse = |more: &str| Cli::try_parse_from(authorize.split(' ').chain(more.split_whitespace()));
        assert!(parse(address).is_ok());
        assert_eq!(parse(&format!("{address} --owner w.json")).err().map(|error| error.exit_code()), Some(2));
    }
}
