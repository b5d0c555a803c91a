//! `chroom-media-node`: see `--help`.

use chroom_media_node::{config::Config, node};
use chroom_rpc::telemetry;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let config = Config::parse();
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            eprintln!("chroom-media-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(config: Config) -> anyhow::Result<()> {
    telemetry::init(config.log_format, "info,str0m=warn,is=warn,dimpl=warn,sctp_proto=warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(node::run(config, telemetry::shutdown_signal()))?;
    Ok(())
}
