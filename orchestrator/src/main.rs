//! Starts the orchestrator.

use anyhow::Context;
use chroom_chain_client::ChainClient;
use chroom_orchestrator::{
    access::Apps,
    chain::LiveChain,
    ice::{IceServers, TurnSecret},
    options::Options,
    service::{Setup, run},
    signalling::ServerLimits,
};
use chroom_rpc::telemetry;
use chroom_wallet::{Wallet, passphrase};
use clap::Parser;
use prometheus_client::registry::Registry;
use std::{process::ExitCode, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let options = Options::parse();
    match start(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            // Without logging set up, this is all that is seen.
            eprintln!("chroom-orchestrator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(options: Options) -> anyhow::Result<()> {
    telemetry::init(options.log_format, "info")?;
    let apps = Apps::read(&options.apps)?;
    let secret = options.turn_secret_file.as_deref().map(TurnSecret::read).transpose()?;
    let ice = IceServers::new(options.stun_url, options.turn_url, secret, options.turn_lifetime)?;
    let passphrase = passphrase::read(options.passphrase_file.as_deref())?;
    let wallet = Wallet::open(&options.wallet, &passphrase)
        .with_context(|| format!("cannot open the wallet {}", options.wallet.display()))?;
    std::fs::create_dir_all(&options.data)
        .with_context(|| format!("cannot make the data folder {}", options.data.display()))?;
    let listener = TcpListener::bind(options.ws_listen)
        .await
        .with_context(|| format!("cannot listen on {} (--ws-listen)", options.ws_listen))?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            telemetry::shutdown_signal().await;
            stop.cancel();
        }
    });
    let client = tokio::select! {
        client = ChainClient::connect_when_up(&options.chain) => client.context("cannot connect to the chain (--chain)")?,
        () = stop.cancelled() => return Ok(()),
    };
    let metrics = match options.metrics {
        Some(address) => {
            Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} (--metrics)"))?)
        }
        None => None,
    };
    let setup = Setup {
        wallet,
        chain: Arc::new(LiveChain::new(client)),
        registries: options.registry,
        apps,
        data: options.data,
        cell: options.cell,
        public_url: options.public_url.unwrap_or_else(|| format!("ws://{}", options.ws_listen)),
        ice,
        limits: ServerLimits {
            connections: options.max_connections,
            sockets: options.max_connections as usize + 2_000,
            sockets_per_address: options.max_connections_per_address,
            requests_per_s: options.max_requests_per_second,
            ..Default::default()
        },
        registry: Registry::default(),
        metrics,
    };
    Ok(run(setup, listener, stop).await?)
}
