//! The node as a whole: brings its parts up in order, and down again.

use crate::{
    api::{self, ApiState},
    cascade::{
        gate,
        metrics::PipeMetrics,
        quic::{self, Cascade, CascadeConfig},
    },
    config::Config,
    health::{EGRESS_LIMIT_PERCENT, Health, Registered},
    metrics::Metrics,
    place::Place,
    processing::{metrics as studio_metrics, studio::Studio},
    qos::{
        load::{Line, LoadMeter},
        publisher::{Known, Presence, Publisher},
        record::{Author, Profile},
        reporter::{ReportCounts, Reporter},
        scores::Scores,
    },
    rpc::{Admission, MediaService},
    sfu::{Sfu, SfuConfig, StartError, event::CloseReason},
    wallet::{
        self, WalletError,
        standing::{self, Declared, Standing, StandingError},
    },
};
use chroom_chain_client::{ChainClient, ConnectError, Membership, QueryError};
use chroom_primitives::{NodeId, endpoint::EndpointError, record::ShortText};
use chroom_rpc::{
    server::{self, ServeError},
    telemetry,
    tls::{Identity, IdentityError},
};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Pause between measurements of the load.
const MEASURE: Duration = Duration::from_secs(1);
/// Longest time that stopping may take after draining.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The node can't run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The wallet.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The chain can't be reached.
    #[error("cannot follow the chain: {0}")]
    Chain(#[from] ConnectError),
    /// The chain doesn't answer.
    #[error("cannot read the chain: {0}")]
    Query(#[from] QueryError),
    /// The chain doesn't have the node as it declares itself.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// TLS.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The SFU.
    #[error(transparent)]
    Sfu(#[from] StartError),
    /// The pipes to other nodes.
    #[error(transparent)]
    Pipes(#[from] quic::StartError),
    /// Processing.
    #[error("can't start a processing thread: {0}")]
    Processing(io::Error),
    /// A port.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// What for.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The endpoint.
    #[error("--rpc-listen: {0}")]
    Endpoint(EndpointError),
    /// The URL.
    #[error("--public-url has more than 64 bytes")]
    PublicUrl,
    /// gRPC failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// HTTP failed.
    #[error("the HTTP interface failed: {0}")]
    Http(io::Error),
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).await.map_err(|source| NodeError::Listen { what, address, source })
}

/// Waits until the chain has the node as declared, as long as that may still come with finality.
async fn standing(chain: &ChainClient, declared: &Declared, patience: Duration) -> Result<Standing, NodeError> {
    let deadline = Instant::now() + patience;
    let mut told = false;
    loop {
        let registration = chain.registration(declared.node).await?;
        match standing::judge(registration.as_ref(), declared) {
            Ok(standing) => return Ok(standing),
            Err(StandingError::Unregistered(_)) if Instant::now() < deadline => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(node = %declared.node, "not registered yet as of the last finalised block; waiting");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs the node until `shutdown`.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), NodeError> {
    let wallet = wallet::open(&config.wallet, config.passphrase_file.as_deref())?;
    let node = wallet.node_id();
    let class = config.class.into();
    let rpc = config.rpc_endpoint().map_err(NodeError::Endpoint)?;
    let public_url: ShortText = config.public_url().into_bytes().try_into().map_err(|_| NodeError::PublicUrl)?;
    let version: ShortText = env!("CARGO_PKG_VERSION").as_bytes().to_vec().try_into().unwrap_or_default();
    tracing::info!(%node, endpoint = %rpc, cell = format_args!("{:x}", config.cell.0), "starting");

    let mut shutdown = Box::pin(shutdown);
    let chain = tokio::select! {
        chain = ChainClient::connect_when_up(&config.chain) => chain?,
        () = &mut shutdown => return Ok(()),
    };
    let declared =
        Declared { node, cell: config.cell, class, endpoint: rpc.clone(), wallet: config.wallet.display().to_string() };
    let registered = if config.fault_skip_registration {
        tracing::warn!("TESTING ONLY: the registration isn't checked");
        Registered::Active
    } else {
        let patience = Duration::from_secs(config.registration_wait);
        let standing = tokio::select! {
            standing = standing(&chain, &declared, patience) => standing?,
            () = &mut shutdown => return Ok(()),
        };
        match standing {
            Standing::Active => Registered::Active,
            Standing::Draining => Registered::Draining,
        }
    };
    let membership = chain.membership();

    if let Some(share) = config.fault_egress_loss {
        tracing::warn!(share, "TESTING ONLY: outgoing RTP packets are dropped on purpose");
    }
    let rpc_listener = listen("gRPC", config.rpc_listen).await?;
    let http_listener = listen("HTTP", config.http_listen).await?;
    let metrics_listener = match config.metrics {
        Some(address) => Some(listen("metrics", address).await?),
        None => None,
    };
    let identity = Identity::new(&wallet)?;
    let pipes =
        CascadeConfig { listen: config.pipe_listen(), advertise: config.pipe_advertise.or(config.media_advertise) };
    let prepared = Cascade::prepare(&pipes, &identity, gate::of(membership.clone()))?;
    let sfu_config = SfuConfig {
        listen: config.media_listen,
        tcp: true,
        advertise: config.media_advertise,
        shards: config.media_threads.into(),
        egress_loss: config.fault_egress_loss,
    };
    let sfu = Arc::new(Sfu::start_with(&sfu_config, Some(prepared.room_end()))?);
    let cascade = Arc::new(prepared.start(sfu.rooms())?);
    let studio = Arc::new(Studio::start(sfu.clone(), config.studio()).map_err(NodeError::Processing)?);
    let egress_limit = config.egress_limit.unwrap_or(class.egress_kbps());
    if u64::from(egress_limit) * EGRESS_LIMIT_PERCENT < u64::from(class.committed_kbps()) * 100 {
        tracing::warn!(
            class = class.name(),
            committed_kbps = class.committed_kbps(),
            egress_limit_kbps = egress_limit,
            "new rooms are taken up to nine tenths of --egress-limit, and that is below what the class commits the node to: it is paid \
             for less of its class, and for nothing at two thirds"
        );
    }
    let health = Arc::new(Health::new(registered, egress_limit, config.max_sessions));
    let profile = Profile { cell: config.cell, class, rpc: rpc.clone(), public_url, version };
    let author = Arc::new(Mutex::new(Author::new(wallet, chain.genesis_hash(), profile)));
    let presence = Arc::new(Mutex::new(Presence::default()));

    // Ends in this order: the servers and streams last, so that orchestrators learn what happens.
    let (leaving, ending) = (CancellationToken::new(), CancellationToken::new());
    let mut registry = Registry::default();
    let counts = ReportCounts::default();
    let metrics = Metrics::new(&mut registry, &counts);
    let pipe_metrics = PipeMetrics::new(&mut registry);
    studio_metrics::register(&mut registry, &studio);
    let registry = Arc::new(registry);

    let mut background = JoinSet::new();
    background.spawn(studio.clone().bridge(leaving.clone()));
    background.spawn(measure(sfu.clone(), cascade.clone(), health.clone(), metrics, pipe_metrics, ending.clone()));
    if !config.fault_skip_registration {
        background.spawn(follow(declared, membership.clone(), health.clone(), ending.clone()));
    }
    let scores = Arc::new(Mutex::new(Scores::default()));
    let reporter = Reporter {
        node,
        identity: identity.clone(),
        author: author.clone(),
        sfu: sfu.clone(),
        chain: chain.clone(),
        membership: membership.clone(),
        counts,
        scores: scores.clone(),
    };
    background.spawn(reporter.run(leaving.clone()));
    let publisher = Publisher {
        identity: identity.clone(),
        author,
        known: Known::new(config.registry.clone()),
        membership: membership.clone(),
        health: health.clone(),
        presence: presence.clone(),
    };
    let publishing = tokio::spawn(publisher.run(leaving.clone()));

    let service = MediaService::new(sfu.clone(), health.clone(), Admission::new(membership.clone()), ending.clone())
        .with_cascade(cascade.clone())
        .with_studio(studio.clone());
    let routes = service.routes();
    let mut servers: JoinSet<Result<(), NodeError>> = JoinSet::new();
    let stop = ending.clone();
    servers.spawn(async move {
        server::serve(rpc_listener, &identity, routes, async move { stop.cancelled().await }).await?;
        Ok(())
    });
    let state = ApiState {
        node,
        place: Place::of(config.cell),
        class,
        rpc: rpc.to_string(),
        media: sfu.candidate(),
        pipes: cascade.address(),
        health: health.clone(),
        presence,
        membership,
        scores,
    };
    let router = api::router(state, registry.clone());
    let stop = ending.clone();
    servers.spawn(async move {
        let served = axum::serve(http_listener, router).with_graceful_shutdown(async move { stop.cancelled().await });
        served.await.map_err(NodeError::Http)
    });
    if let Some(listener) = metrics_listener {
        let stop = ending.clone();
        servers.spawn(async move {
            let stopped = async move { stop.cancelled().await };
            telemetry::serve_metrics(listener, registry, stopped).await.map_err(NodeError::Http)
        });
    }
    tracing::info!(%node, media = %sfu.candidate(), rpc = %config.rpc_listen, http = %config.http_listen, "serving");

    let failed = tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = servers.join_next() => ended.unwrap_or(Ok(())),
    };

    health.stop();
    if failed.is_ok() {
        // Heartbeats and load reports say it now; orchestrators move the rooms.
        let sessions = sfu.stats(None).await.map_or(0, |(totals, _)| totals.sessions);
        if sessions > 0 {
            tracing::info!(sessions, seconds = config.drain, "draining");
            drained(&sfu, Duration::from_secs(config.drain)).await;
        }
    }
    let stopping = async {
        leaving.cancel();
        cascade.stop().await;
        // While the rooms are still there, so that recordings end with what is in them.
        studio.stop().await;
        sfu.stop(CloseReason::Draining).await;
        // The events of the closed sessions get out before their streams end.
        let _ = publishing.await;
        ending.cancel();
        while servers.join_next().await.is_some() {}
        while background.join_next().await.is_some() {}
    };
    if tokio::time::timeout(STOP_LIMIT, stopping).await.is_err() {
        tracing::warn!("stopping took too long; ending anyway");
    }
    failed
}

/// Waits until all sessions are gone, at most for `limit`.
async fn drained(sfu: &Sfu, limit: Duration) {
    let empty = async {
        while sfu.stats(None).await.is_ok_and(|(totals, _)| totals.sessions > 0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let _ = tokio::time::timeout(limit, empty).await;
}

async fn measure(
    sfu: Arc<Sfu>,
    cascade: Arc<Cascade>,
    health: Arc<Health>,
    mut metrics: Metrics,
    mut pipe_metrics: PipeMetrics,
    stop: CancellationToken,
) {
    let mut meter = LoadMeter::default();
    let mut tick = tokio::time::interval(MEASURE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        let Ok((totals, sessions)) = sfu.stats(None).await else { continue };
        let traffic = sfu.traffic();
        let pipes = cascade.figures().await.unwrap_or_default();
        let over_pipes = Line { sent_bytes: pipes.sent_bytes, received_bytes: pipes.received_bytes };
        let load = meter.measure(Instant::now(), &traffic, over_pipes, totals, &sessions);
        pipe_metrics.update(&pipes);
        health.set_load(load);
        metrics.update(&load, &traffic, health.closed().is_none());
    }
}

/// Follows the node's own registration.
async fn follow(
    declared: Declared,
    mut membership: watch::Receiver<Arc<Membership>>,
    health: Arc<Health>,
    stop: CancellationToken,
) {
    let node: NodeId = declared.node;
    loop {
        let judged = standing::judge(membership.borrow_and_update().get(&node), &declared);
        let registered = match &judged {
            Ok(Standing::Active) => Registered::Active,
            Ok(Standing::Draining) => Registered::Draining,
            Err(_) => Registered::OutOfService,
        };
        if registered != health.registered() {
            match judged {
                Ok(_) => tracing::info!(?registered, "the registration changed"),
                Err(error) => tracing::error!(%error, "the registration changed; no new sessions are taken"),
            }
            health.set_registered(registered);
        }
        tokio::select! {
            changed = membership.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}
