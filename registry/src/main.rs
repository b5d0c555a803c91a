//! `chroom-registry`: the registry node's command line.

use anyhow::Context;
use chroom_chain_client::{ChainClient, Signer};
use chroom_primitives::{Endpoint, H3Cell, QosEpoch};
use chroom_registry::{
    api::view::SnapshotJson,
    chain::live::LiveChain,
    datastore::{Store, place},
    node::{NodeConfig, RegistryNode},
    pubsub::swarm::PubsubConfig,
};
use chroom_rpc::telemetry::{self, LogFormat};
use chroom_wallet::{Wallet, passphrase};
use clap::{Args, Parser, Subcommand};
use libp2p::Multiaddr;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

const EXAMPLES: &str = "Examples:
  The first registry node of a network:
    chroom-registry --wallet reg.json --passphrase-file reg.pass --chain ws://127.0.0.1:9944 \\
      --data ./reg-data --cell 851f1d4bfffffff
  Another one, that knows any existing one:
    chroom-registry --wallet reg2.json --passphrase-file reg2.pass --chain ws://127.0.0.1:9944 \\
      --data ./reg2-data --cell 851f1d4bfffffff --rpc-listen 127.0.0.1:7101 \\
      --p2p-listen /ip4/127.0.0.1/tcp/7201 --http-listen 127.0.0.1:7301 \\
      --bootstrap /ip4/127.0.0.1/tcp/7200
  Recompute the registry root of epoch 12 from a database, running or not:
    chroom-registry snapshot --data ./reg-data --epoch 12 --json

Exit codes: 0 ended in order, 1 failed, 2 wrong usage.";

#[derive(Parser)]
#[command(
    version,
    about = "Keeps Chroom's register of nodes with its peers, and attests their quality.",
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Option<Run>,
}

#[derive(Subcommand)]
enum Command {
    /// Recompute the registry root of an epoch from the database.
    Snapshot {
        /// The node's data folder.
        #[arg(long)]
        data: PathBuf,
        /// The epoch; the newest one that is kept, if absent.
        #[arg(long)]
        epoch: Option<u32>,
        /// Print JSON with leaves and records.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Run {
    /// Keystore file (version 3) with the node's key.
    #[arg(long)]
    wallet: PathBuf,
    /// File with the keystore's passphrase; else the variable CHROOM_PASSPHRASE, else it is asked for.
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
    /// WebSocket URL of a chain node; may be given several times.
    #[arg(long, required = true)]
    chain: Vec<String>,
    /// Folder for the node's data.
    #[arg(long)]
    data: PathBuf,
    /// gRPC (mutual TLS) listens here.
    #[arg(long, default_value = "127.0.0.1:7100")]
    rpc_listen: SocketAddr,
    /// libp2p listens here.
    #[arg(long, default_value = "/ip4/127.0.0.1/tcp/7200")]
    p2p_listen: Multiaddr,
    /// Public JSON-RPC, /health and /metrics listen here.
    #[arg(long, default_value = "127.0.0.1:7300")]
    http_listen: SocketAddr,
    /// libp2p address of any existing registry node; may be given several times; none for the first.
    #[arg(long)]
    bootstrap: Vec<Multiaddr>,
    /// Where the node is: an H3 cell of resolution 0 to 7, hex.
    #[arg(long, value_parser = cell)]
    cell: H3Cell,
    /// gRPC endpoint (host:port) to publish; the one listened on, if absent.
    #[arg(long)]
    public_rpc: Option<Endpoint>,
    /// HTTP URL to publish; the one listened on, if absent.
    #[arg(long)]
    public_url: Option<String>,
    /// libp2p address to publish; the one listened on, if absent.
    #[arg(long)]
    public_p2p: Option<Multiaddr>,
    /// Also serve /metrics here.
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// Form of the logs on stderr: text or json.
    #[arg(long, default_value = "text")]
    log_format: LogFormat,
}

fn cell(text: &str) -> Result<H3Cell, String> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
        .ok()
        .map(H3Cell)
        .filter(|cell| place::checked(*cell).is_some())
        .ok_or_else(|| "not an H3 cell of resolution 0 to 7 in hex (look one up at https://h3geo.org)".into())
}

fn main() -> ExitCode {
    // Wrong usage ends here with exit code 2.
    let cli = Cli::parse();
    let result = match (cli.command, cli.run) {
        (Some(Command::Snapshot { data, epoch, json }), _) => snapshot(&data, epoch, json),
        (None, Some(run)) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")
            .and_then(|runtime| runtime.block_on(serve(run))),
        (None, None) => {
            eprintln!("chroom-registry: say what to do; see chroom-registry --help");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chroom-registry: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(run: Run) -> anyhow::Result<()> {
    telemetry::init(run.log_format, "info,libp2p=warn,libp2p_gossipsub=error,libp2p_kad=error")?;
    let signal = telemetry::shutdown_signal();
    tokio::pin!(signal);
    let secret = passphrase::read(run.passphrase_file.as_deref())?;
    let wallet = Wallet::open(&run.wallet, &secret)?;
    drop(secret);
    tracing::info!(node = %wallet.node_id(), "wallet is open");
    let client = tokio::select! {
        client = ChainClient::connect_when_up(&run.chain) => client?,
        () = &mut signal => return Ok(()),
    };
    let chain = LiveChain::new(client, Signer::Wallet(wallet.clone()), &run.chain);
    let config = NodeConfig {
        data: run.data,
        rpc_listen: run.rpc_listen,
        http_listen: run.http_listen,
        pubsub: PubsubConfig { listen: run.p2p_listen, bootstrap: run.bootstrap },
        cell: run.cell,
        public_rpc: run.public_rpc,
        public_url: run.public_url,
        public_p2p: run.public_p2p,
        metrics_listen: run.metrics,
    };
    let node = RegistryNode::start(config, wallet, Arc::new(chain)).await?;
    let failed = tokio::select! {
        () = &mut signal => false,
        () = node.failed() => true,
    };
    tracing::info!("ending");
    node.stop().await;
    anyhow::ensure!(!failed, "a part of the node failed; see the log");
    Ok(())
}

fn snapshot(data: &std::path::Path, epoch: Option<u32>, json: bool) -> anyhow::Result<()> {
    let store = Store::open_read_only(&data.join("db"))
        .with_context(|| format!("cannot read the database in {}", data.display()))?;
    let epoch = match epoch {
        Some(epoch) => QosEpoch(epoch),
        None => *store.snapshot_epochs()?.last().context("no epoch has ended since this node is here")?,
    };
    let kept = || -> anyhow::Result<String> {
        let epochs: Vec<u32> = store.snapshot_epochs()?.into_iter().map(|e| e.0).collect();
        Ok(match (epochs.first(), epochs.last()) {
            (Some(first), Some(last)) => format!("{first} to {last} are kept"),
            _ => "none is kept".into(),
        })
    };
    let Some(snapshot) = store.snapshot(epoch)? else {
        anyhow::bail!("no snapshot of epoch {}: {}", epoch.0, kept()?);
    };
    let genesis = store.genesis()?.context("the database names no network")?;
    let forged = snapshot.forged(&genesis);
    anyhow::ensure!(forged.is_empty(), "records of these nodes do not carry their signatures: {forged:?}");
    let view = SnapshotJson::from(&snapshot);
    if json {
        println!("{}", serde_json::to_string_pretty(&view)?);
    } else {
        println!("epoch   {}", epoch.0);
        println!("cut at  {} (Unix ms)", view.at_ms);
        println!("root    {:?}", view.root.hash);
        println!("leaves  {}", view.root.leaves);
        for leaf in &view.leaves {
            println!("  {}  seq {}  {:?}", leaf.node, leaf.seq, leaf.record_hash);
        }
    }
    Ok(())
}
