//! Measures what calls and hooks of the runtime cost (`pallet`), what a block and a transaction cost without a call (`overhead`), and what an
//! access to a database with a real state costs (`storage`): Substrate's own benchmarking commands, without the node around them.
//!
//! `scripts/weights.sh` says with which arguments.
#![forbid(unsafe_code)]

use clap::Parser;
use frame_benchmarking_cli::{BenchmarkCmd, OpaqueBlock};
use sc_chain_spec::{ChainSpec, GenericChainSpec};
use sc_cli::SubstrateCli;
use sc_executor::WasmExecutor;
use sc_service::{Configuration, TFullBackend, TFullClient};
use sp_runtime::traits::BlakeTwo256;
use std::{path::PathBuf, sync::Arc};

/// What FRAME's benchmarks call besides a node's own functions.
type Recorded = (cumulus_primitives_proof_size_hostfunction::storage_proof_size::HostFunctions,);
type Block = chroom_runtime::Block;
type Client = TFullClient<Block, chroom_runtime::RuntimeApi, WasmExecutor<sp_io::SubstrateHostFunctions>>;

/// Measures the runtime's weights and a database's.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    benchmark: BenchmarkCmd,
}

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "chroom-weights".into()
    }

    fn impl_version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn description() -> String {
        env!("CARGO_PKG_DESCRIPTION").into()
    }

    fn author() -> String {
        "The Chroom authors".into()
    }

    fn support_url() -> String {
        "https://github.com/chroom/chroom/issues".into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    fn load_spec(&self, id: &str) -> Result<Box<dyn ChainSpec>, String> {
        Ok(Box::new(GenericChainSpec::<()>::from_json_file(PathBuf::from(id))?))
    }
}

fn main() -> sc_cli::Result<()> {
    let cli = Cli::parse();
    match &cli.benchmark {
        BenchmarkCmd::Pallet(command) => command.run_with_spec::<BlakeTwo256, Recorded>(None),
        BenchmarkCmd::Overhead(command) => command.run_with_default_builder_and_spec::<OpaqueBlock, Recorded>(None),
        BenchmarkCmd::Storage(command) => cli.create_runner(command)?.sync_run(|config| {
            let (client, backend) = open(&config)?;
            let (database, storage, cache) =
                (backend.expose_db(), backend.expose_storage(), backend.expose_shared_trie_cache());
            command.run(config, client, database, storage, cache)
        }),
        _ => Err("this measures pallet, overhead and storage only".into()),
    }
}

fn open(config: &Configuration) -> sc_cli::Result<(Arc<Client>, Arc<TFullBackend<Block>>)> {
    let executor = sc_service::new_wasm_executor::<sp_io::SubstrateHostFunctions>(&config.executor);
    let (client, backend, _, _) =
        sc_service::new_full_parts::<Block, chroom_runtime::RuntimeApi, _>(config, None, executor, Vec::new())?;
    Ok((Arc::new(client), backend))
}
