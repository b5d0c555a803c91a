//! `chroom-media-node`: see `--help`.

use chroom_media_node::{config::Config, node};
use chroom_rpc::telemetry;
use clap::Parser;
use std::process::ExitCode;

/// What is logged unless `RUST_LOG` says otherwise; the engine's crates speak of clients' addresses at lower levels.
const FILTER: &str = "info,str0m=warn,is=warn,dimpl=warn,sctp_proto=warn";

/// Packets' payloads come and go in the order of a ring, from which glibc's allocator gives pages back to the system and takes them again all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    if let Err(error) = telemetry::init(config.log_format, FILTER) {
        eprintln!("chroom-media-node: {error}");
        return ExitCode::FAILURE;
    }
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Messages name their causes, so the chain below would only repeat them.
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(node::run(config, telemetry::shutdown_signal()))?;
    Ok(())
}
