//! The arguments of `chroom up`.

use clap::Args;
use std::path::PathBuf;

/// What network to run.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct Options {
    /// Validators; those beyond the preset's authorities run as full nodes (1 to 8)
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub validators: u16,
    /// Registry nodes (1 to 8); three are needed for a full committee
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub registries: u16,
    /// Media nodes, each in another region (1 to 8)
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub media: u16,
    /// Orchestrators (1 to 8)
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub orchestrators: u16,
    /// Folder of the network's keys, databases and logs
    #[arg(long, default_value = ".chroom/local", value_name = "DIR")]
    pub data: PathBuf,
    /// First of the 98 ports that the network may use
    #[arg(long, default_value_t = 9_900, value_name = "PORT")]
    pub base_port: u16,
    /// Built web pages to serve (web/dist)
    #[arg(long, value_name = "DIR")]
    pub web: Option<PathBuf>,
    /// Chain specification to begin with, instead of the preset `local` (or `dev` with one validator) of this version's runtime
    #[arg(long, value_name = "FILE")]
    pub chain_spec: Option<PathBuf>,
    /// Remove the data of an earlier network first
    #[arg(long)]
    pub clean: bool,
    /// Further arguments for one process, for tests; may be repeated: --media-args media-2=--fault-egress-loss=0.1
    #[arg(long, value_name = "NAME=ARGS", allow_hyphen_values = true)]
    pub media_args: Vec<String>,
    /// Seconds that each step of the start may take before it is called failed
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub patience: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            validators: 2,
            registries: 3,
            media: 2,
            orchestrators: 1,
            data: PathBuf::from(".chroom/local"),
            base_port: 9_900,
            web: None,
            chain_spec: None,
            clean: false,
            media_args: Vec::new(),
            patience: 120,
        }
    }
}
