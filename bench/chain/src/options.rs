//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// A node's database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// RocksDB.
    Rocksdb,
    /// ParityDB.
    Paritydb,
}

impl Database {
    /// As `chroom-node --database` takes it.
    pub const fn flag(self) -> &'static str {
        match self {
            Database::Rocksdb => "rocksdb",
            Database::Paritydb => "paritydb",
        }
    }
}

/// How much load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::Args, serde::Serialize)]
pub struct Size {
    /// Transfers to send.
    #[arg(long, default_value_t = 5_000)]
    pub transfers: u32,
    /// Media nodes, each with one claim.
    #[arg(long, default_value_t = 3_000)]
    pub media: u32,
    /// Registry nodes, each with one root.
    #[arg(long, default_value_t = 3_000)]
    pub registries: u32,
    /// Registry nodes in the committee of each media node; the default is the live network's.
    #[arg(long, default_value_t = 7)]
    pub committee: u32,
}

/// Loads a real node of the chain and prints how much of each kind a block holds.
///
/// For each database a single validator is started on loopback with a chain of its own. Transfers, roots and claims are signed
/// beforehand and sent as fast as the node takes them; what is reported is read from the blocks. Then epochs with 10, 1,000 and
/// 100,000 calls are attested, and the size of the state is taken after each.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  chroom-bench-chain --node target/release/chroom-node\n  chroom-bench-chain --node target/release/chroom-node --database paritydb --json"
)]
pub struct Options {
    /// The chroom-node to load; build it with optimisation.
    #[arg(long)]
    pub node: PathBuf,
    /// Databases to measure; both by default.
    #[arg(long, value_enum, default_values_t = [Database::Rocksdb, Database::Paritydb])]
    pub database: Vec<Database>,
    /// Load.
    #[command(flatten)]
    pub size: Size,
    /// Print the machine-readable line only.
    #[arg(long)]
    pub json: bool,
    /// Where the chain's specification, the nodes' data and their logs go; a temporary folder by default, which is removed.
    #[arg(long)]
    pub logs: Option<PathBuf>,
}
