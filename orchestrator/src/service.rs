//! The whole orchestrator.

use crate::{
    access::Apps,
    budgets,
    chain::{Chain, Outsider},
    ice::IceServers,
    index::Index,
    media_rpc,
    metrics::Metrics,
    receipts::{Queue, deliver},
    registry_rpc::{Peers, Publisher, follow},
    session::{Core, Limits, Shell, Tag},
    signalling::{self, ServerLimits, Service},
    store::{self, Store, StoreError},
    whip::Resources,
};
use chroom_primitives::{H3Cell, Role};
use chroom_rpc::{
    NodeAddress, telemetry,
    tls::{Identity, IdentityError},
};
use chroom_wallet::Wallet;
use prometheus_client::registry::Registry;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

/// How often the media nodes' last rewards are asked for.
const REWARDS: Duration = Duration::from_secs(20);
/// How long the tasks have to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Wishes that wait for the links.
const BACKLOG: usize = 8_192;

/// What an orchestrator is started with.
pub struct Setup {
    /// Its identity.
    pub wallet: Wallet,
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// Registry nodes to begin with.
    pub registries: Vec<NodeAddress>,
    /// The applications.
    pub apps: Apps,
    /// Where it keeps its data.
    pub data: PathBuf,
    /// Where it says it is, if it says so; compared with its registration.
    pub cell: Option<H3Cell>,
    /// The signalling URL that it publishes.
    pub public_url: String,
    /// STUN and TURN servers that clients are told of.
    pub ice: IceServers,
    /// Bounds of the server.
    pub limits: ServerLimits,
    /// Figures of the whole process.
    pub registry: Registry,
    /// A second place that serves them.
    pub metrics: Option<TcpListener>,
}

/// The orchestrator cannot start, or go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not registered.
    #[error(
        "this node, {node}, may not act as an orchestrator: {source}. Register it with a bond:\n  chroom node register \
         --role orchestrator --wallet <keystore.json> …   (chroom node register --help)\nand start again once the \
         registration is finalised."
    )]
    NotRegistered {
        /// This node.
        node: chroom_primitives::NodeId,
        /// What the chain says.
        source: Outsider,
    },
    /// No TLS identity can be made.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// The store cannot be opened.
    #[error("{0}")]
    Open(#[from] store::OpenError),
    /// The store cannot be read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The server ended.
    #[error("{0}")]
    Serve(#[from] signalling::ServeFailure),
}

/// Runs an orchestrator on `listener` until `stop`.
pub async fn run(setup: Setup, listener: TcpListener, stop: CancellationToken) -> Result<(), StartError> {
    let node = setup.wallet.node_id();
    let chain = setup.chain;
    let state = chain.state().borrow().clone();
    let registration =
        state.member(&node, Role::Orchestrator).map_err(|source| StartError::NotRegistered { node, source })?.clone();
    if let Some(cell) = setup.cell.filter(|cell| *cell != registration.cell) {
        warn!(
            given = %format!("{:x}", cell.0), registered = %format!("{:x}", registration.cell.0),
            "--cell differs from the registration, which counts; change it with `chroom node update`"
        );
    }
    info!(%node, status = ?registration.status, block = state.block, "registered as orchestrator");

    let metrics = Metrics::default();
    let mut figures = setup.registry;
    metrics.register(&mut figures);
    let identity = Identity::new(&setup.wallet)?;
    let store = Store::open(&setup.data.join("store"))?;
    let queue = Queue::open(store.clone(), setup.wallet.clone(), chain.genesis(), metrics.clone())?;
    let index = Arc::new(Index::new(chain.genesis(), state));
    let peers = Peers::new(identity.clone(), setup.registries, index.clone());

    let tasks = TaskTracker::new();
    // Signalling ends first; what it still needs ends after it.
    let inner = CancellationToken::new();
    let (links, wishes) = mpsc::channel(BACKLOG);
    let core = Core::new(Tag::of(&node), Limits::default(), setup.apps.rules());
    let (shell, sessions, inputs) = Shell::new(core, store, index.clone(), links, metrics.clone());
    tasks.spawn(follow_chain(chain.clone(), index.clone(), inner.clone()));
    let accounts: Vec<_> = setup.apps.accounts().collect();
    tasks.spawn(budgets::follow(chain.clone(), index.clone(), accounts, node, inner.clone()));
    tasks.spawn(follow(peers.clone(), index.clone(), inner.clone()));
    tasks.spawn(media_rpc::run(identity, index.clone(), wishes, inputs, inner.clone()));
    tasks.spawn(shell.run(inner.clone()));
    tasks.spawn(deliver(queue.clone(), chain.clone(), peers.clone(), inner.clone()));
    tasks.spawn(learn_rewards(chain.clone(), index.clone(), inner.clone()));
    let publisher =
        Publisher { wallet: setup.wallet, chain: chain.clone(), peers, public_url: setup.public_url.clone() };
    tasks.spawn(publisher.run(inner.clone()));

    let figures = Arc::new(figures);
    if let Some(listener) = setup.metrics {
        let (figures, inner) = (figures.clone(), inner.clone());
        tasks.spawn(async move {
            if let Err(error) = telemetry::serve_metrics(listener, figures, inner.cancelled_owned()).await {
                warn!(%error, "metrics are no longer served");
            }
        });
    }
    let resources = Resources::new(sessions.clone(), setup.limits.connections as usize);
    let service = Arc::new(Service {
        sessions,
        apps: setup.apps,
        index,
        chain,
        receipts: queue,
        metrics,
        ice: setup.ice,
        resources,
        limits: setup.limits,
    });
    info!(url = %setup.public_url, "ready for clients");
    let served = signalling::serve(listener, service, figures, stop).await;
    inner.cancel();
    tasks.close();
    if tokio::time::timeout(PATIENCE, tasks.wait()).await.is_err() {
        warn!("some tasks did not end in time");
    }
    Ok(served?)
}

async fn follow_chain(chain: Arc<dyn Chain>, index: Arc<Index>, stop: CancellationToken) {
    let mut state = chain.state();
    loop {
        tokio::select! {
            changed = state.changed() => {
                if changed.is_err() {
                    warn!("the chain is no longer followed");
                    return;
                }
                let newest = state.borrow_and_update().clone();
                index.follow_chain(newest);
            }
            () = stop.cancelled() => return,
        }
    }
}

/// Learns what media nodes were paid last, for clients and the explorer.
async fn learn_rewards(chain: Arc<dyn Chain>, index: Arc<Index>, stop: CancellationToken) {
    let all = async {
        loop {
            let nodes: Vec<_> =
                index.chain().nodes.values().filter(|r| r.role == Role::Media).map(|r| r.node).collect();
            for node in nodes {
                match chain.last_reward(node).await {
                    Ok(Some(reward)) => index.reward(node, reward),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(%error, "last rewards are not known");
                        break;
                    }
                }
            }
            tokio::time::sleep(REWARDS).await;
        }
    };
    tokio::select! {
        () = all => {}
        () = stop.cancelled() => {}
    }
}
