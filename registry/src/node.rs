//! A registry node, put together.

use crate::{
    api::{self, methods::Methods},
    chain::Chain,
    clock::now_ms,
    datastore::{
        Register, Verdict,
        store::{Durability, Store, StoreError},
    },
    metrics::Metrics,
    pubsub::swarm::{self, Pubsub, PubsubConfig, PubsubError},
    qos::{attestor::Attestor, intake::Intake, prober, proof::Proofs},
    rpc::{admission::Admission, qos::QosService, registry::RegistryService},
};
use chroom_primitives::{
    CapacityClass, Endpoint, H3Cell, NodeId, Role,
    record::{NodeRecord, next_seq},
};
use chroom_rpc::{
    registry::{QosServer, RegistryServer},
    server, telemetry,
    tls::{Identity, IdentityError},
};
use chroom_wallet::Wallet;
use libp2p::Multiaddr;
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long this node's own record is valid, in milliseconds.
const RECORD_LIFETIME_MS: u64 = 10 * 60 * 1_000;
/// When it is renewed, in milliseconds before it expires.
const RENEW_BEFORE_MS: u64 = 5 * 60 * 1_000;
/// Sweeps and looks at its own record.
const TICK: Duration = Duration::from_secs(1);

/// How a registry node is set up.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Folder for its data.
    pub data: PathBuf,
    /// gRPC listens here.
    pub rpc_listen: SocketAddr,
    /// HTTP listens here.
    pub http_listen: SocketAddr,
    /// libp2p.
    pub pubsub: PubsubConfig,
    /// Where the node is.
    pub cell: H3Cell,
    /// gRPC endpoint to publish, if it is another than the one listened on.
    pub public_rpc: Option<Endpoint>,
    /// URL to publish, if it is another than the one listened on.
    pub public_url: Option<String>,
    /// libp2p address to publish, if it is another than the one listened on.
    pub public_p2p: Option<Multiaddr>,
    /// Figures for Prometheus are served here too.
    pub metrics_listen: Option<SocketAddr>,
}

/// The node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The data folder is no good.
    #[error("cannot make the data folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// libp2p.
    #[error(transparent)]
    Pubsub(#[from] PubsubError),
    /// The TLS identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What is published would not be a valid record.
    #[error("cannot publish {0}")]
    Publish(&'static str),
}

/// A running registry node.
#[derive(Debug)]
pub struct RegistryNode {
    /// Its id.
    pub node: NodeId,
    /// gRPC listens here.
    pub rpc: SocketAddr,
    /// HTTP listens here.
    pub http: SocketAddr,
    /// The network.
    pub pubsub: Pubsub,
    /// Register and schedule.
    pub intake: Arc<Intake>,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl RegistryNode {
    /// Starts everything.
    pub async fn start(config: NodeConfig, wallet: Wallet, chain: Arc<dyn Chain>) -> Result<Self, StartError> {
        let folder = |source| StartError::Folder { path: config.data.clone(), source };
        std::fs::create_dir_all(&config.data).map_err(folder)?;
        let node = wallet.node_id();
        let metrics = Arc::new(Metrics::default());
        let mut prometheus = prometheus_client::registry::Registry::default();
        metrics.register(&mut prometheus);
        let genesis = chain.genesis();
        let store = Arc::new(Store::open(&config.data.join("db"), &genesis)?);
        let register = Arc::new(Register::open(genesis, store, chain.membership(), metrics.clone())?);
        register.start();
        let shutdown = CancellationToken::new();
        let mut tasks = Vec::new();

        let rpc_listener = bind(config.rpc_listen).await?;
        let http_listener = bind(config.http_listen).await?;
        let address_of = |listener: &TcpListener, address| {
            listener.local_addr().map_err(|source| StartError::Listen { address, source })
        };
        let rpc = address_of(&rpc_listener, config.rpc_listen)?;
        let http = address_of(&http_listener, config.http_listen)?;

        let (pubsub, swarm) =
            swarm::start(&wallet, config.pubsub.clone(), register.clone(), metrics.clone(), shutdown.clone()).await?;
        tasks.push(swarm);

        let identity = Identity::new(&wallet)?;
        let intake = Arc::new(Intake::new(register.clone(), metrics.clone()));
        let admission = Admission::new(register.clone(), metrics.clone());
        let registry_service =
            RegistryService::new(node, register.clone(), pubsub.clone(), admission.clone(), metrics.clone());
        let proofs = Proofs::new(wallet.clone(), intake.clone());
        let qos_service = QosService::new(proofs.clone(), intake.clone(), admission);
        let routes =
            tonic::service::Routes::new(RegistryServer::new(registry_service)).add_service(QosServer::new(qos_service));
        let (serving, stop) = (identity.clone(), shutdown.clone());
        tasks.push(tokio::spawn(async move {
            let stopped = stop.clone();
            if let Err(error) =
                server::serve(rpc_listener, &serving, routes, async move { stopped.cancelled().await }).await
            {
                tracing::error!(%error, "gRPC ended");
                stop.cancel();
            }
        }));

        let prometheus = Arc::new(prometheus);
        if let Some(address) = config.metrics_listen {
            let (listener, figures, stop) = (bind(address).await?, prometheus.clone(), shutdown.clone());
            tasks.push(tokio::spawn(async move {
                if let Err(error) = telemetry::serve_metrics(listener, figures, stop.cancelled_owned()).await {
                    tracing::error!(%error, "metrics ended");
                }
            }));
        }

        let methods = Methods { node, intake: intake.clone(), proofs, pubsub: pubsub.clone() };
        let stop = shutdown.clone();
        tasks.push(tokio::spawn(async move {
            if let Err(error) = api::server::serve(http_listener, methods, prometheus, stop.clone()).await {
                tracing::error!(%error, "HTTP ended");
                stop.cancel();
            }
        }));

        let attestor = Attestor::new(node, chain, intake.clone(), metrics.clone());
        tasks.push(tokio::spawn(attestor.run(shutdown.clone())));
        tasks.push(tokio::spawn(prober::run(intake.clone(), identity, metrics, shutdown.clone())));

        let own = OwnRecord::new(&config, wallet, rpc, http, &pubsub)?;
        tasks.push(tokio::spawn(keep(register, pubsub.clone(), own, shutdown.clone())));
        tracing::info!(%node, %rpc, %http, p2p = %pubsub.address(), "registry node is up");
        Ok(Self { node, rpc, http, pubsub, intake, shutdown, tasks })
    }

    /// The register.
    pub fn register(&self) -> &Arc<Register> {
        self.intake.register()
    }

    /// Completes when a part of the node failed.
    pub async fn failed(&self) {
        self.shutdown.cancelled().await;
    }

    /// Ends everything in order.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let all = futures::future::join_all(self.tasks);
        if tokio::time::timeout(Duration::from_secs(8), all).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

/// What this node publishes of itself.
struct OwnRecord {
    wallet: Wallet,
    draft: NodeRecord,
}

impl OwnRecord {
    fn new(
        config: &NodeConfig,
        wallet: Wallet,
        rpc: SocketAddr,
        http: SocketAddr,
        pubsub: &Pubsub,
    ) -> Result<Self, StartError> {
        let endpoint = match &config.public_rpc {
            Some(endpoint) => endpoint.clone(),
            None => rpc.to_string().parse().map_err(|_| StartError::Publish("the gRPC endpoint"))?,
        };
        let url = config.public_url.clone().unwrap_or_else(|| format!("http://{http}"));
        let p2p = config.public_p2p.clone().unwrap_or_else(|| pubsub.address().clone());
        let p2p = match p2p.with_p2p(pubsub.peer()) {
            Ok(address) => address.to_string(),
            Err(_) => return Err(StartError::Publish("a libp2p address of another peer")),
        };
        let short = |text: &str| text.as_bytes().to_vec().try_into();
        Ok(Self {
            draft: NodeRecord {
                node: wallet.node_id(),
                seq: 0,
                expires_ms: 0,
                role: Role::Registry,
                cell: config.cell,
                rpc: endpoint,
                public_url: short(&url).map_err(|_| StartError::Publish("a URL of more than 64 bytes"))?,
                p2p: p2p
                    .into_bytes()
                    .try_into()
                    .map_err(|_| StartError::Publish("a libp2p address of more than 96 bytes"))?,
                class: CapacityClass::Small,
                version: short(env!("CARGO_PKG_VERSION")).map_err(|_| StartError::Publish("the version"))?,
                left: false,
            },
            wallet,
        })
    }

    /// Publishes a new record when there is none that says the same and lasts.
    fn renew(&self, register: &Register, pubsub: &Pubsub) -> Result<(), StoreError> {
        let members = register.members();
        let Some(registration) =
            members.get(&self.draft.node).filter(|_| members.is_member(&self.draft.node, Role::Registry))
        else {
            return Ok(());
        };
        let now = now_ms();
        let stored = register.current(&self.draft.node);
        let mut record = NodeRecord { class: registration.class, ..self.draft.clone() };
        let previous = stored.as_ref().map_or(0, |s| s.payload.seq);
        if let Some(stored) = stored {
            record.seq = stored.payload.seq;
            record.expires_ms = stored.payload.expires_ms;
            if record == stored.payload && now.saturating_add(RENEW_BEFORE_MS) < record.expires_ms {
                return Ok(());
            }
        }
        record.seq = next_seq(previous, now);
        record.expires_ms = now.saturating_add(RECORD_LIFETIME_MS);
        let signed = self.wallet.sign(record, register.genesis());
        match register.merge(signed.clone(), Durability::Synced)? {
            Verdict::Accepted => {
                tracing::info!(seq = signed.payload.seq, "own record published");
                pubsub.publish_record(signed);
            }
            verdict => tracing::error!(?verdict, "own record is not valid"),
        }
        Ok(())
    }
}

/// Regular work on the register: membership, expiry, this node's own record.
async fn keep(register: Arc<Register>, pubsub: Pubsub, own: OwnRecord, shutdown: CancellationToken) {
    let mut members = register.follow_members();
    let mut before = members.borrow_and_update().clone();
    // What is on disk may be older than the chain's register.
    if let Err(error) = register.on_membership(&before, &before) {
        tracing::error!(%error, "cannot apply the chain's register");
    }
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut following = true;
    loop {
        let worked = tokio::select! {
            () = shutdown.cancelled() => return,
            changed = members.changed(), if following => {
                following = changed.is_ok();
                let after = members.borrow_and_update().clone();
                let moved = after.nodes != before.nodes;
                let released = if moved { register.on_membership(&before, &after) } else { Ok(Vec::new()) };
                before = after;
                released.map(|records| records.into_iter().for_each(|record| pubsub.publish_record(record)))
            }
            _ = tick.tick() => register.sweep().and_then(|()| own.renew(&register, &pubsub)),
        };
        if let Err(error) = worked {
            tracing::error!(%error, "the database failed");
        }
    }
}
