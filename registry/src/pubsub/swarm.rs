//! The shell: one task that owns the libp2p swarm.

use super::{
    exchange::{ExchangeCodec, PROTOCOL},
    message::{Gossip, MAX_MESSAGE, Topics, content_id},
    peers::PeerBook,
    reconcile::{self, Answer, Comparison, Request},
};
use crate::{
    clock::now_ms,
    datastore::{
        Register, Verdict,
        register::LoadOutcome,
        store::{Durability, StoreError},
    },
    limits::{Rate, RateLimiter},
    metrics::{Metrics, outcome},
};
use chroom_chain_client::Membership;
use chroom_primitives::{NodeId, Role, Signed, UnixMs, record::LoadReport, record::NodeRecord};
use chroom_wallet::{Wallet, node_id_of_peer_id};
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, connection_limits,
    core::ConnectedPoint,
    gossipsub, identify,
    kad::{self, store::MemoryStore},
    multiaddr::Protocol,
    noise, ping,
    request_response::{self, OutboundRequestId, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use rand::seq::IndexedRandom;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Regular work.
const TICK: Duration = Duration::from_millis(500);
/// Mean time between two comparisons that this node begins, in milliseconds.
const COMPARE_MS: u64 = 4_000;
/// Time between two looks into the register for registry nodes, in milliseconds.
const LEARN_MS: u64 = 2_000;
/// A comparison without progress for this long is given up, in milliseconds.
const COMPARE_TIMEOUT_MS: u64 = 20_000;
/// Time that an exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(8);
/// Gossip messages per peer.
const GOSSIP_RATE: Rate = Rate { burst: 10_000.0, per_second: 2_000.0 };
/// Reconciliation requests per peer.
const EXCHANGE_RATE: Rate = Rate { burst: 1_000.0, per_second: 100.0 };
/// Commands in the queue.
const QUEUE: usize = 1_024;

/// Where and whom to talk to.
#[derive(Clone, Debug)]
pub struct PubsubConfig {
    /// Address to listen on; port 0 lets the system choose.
    pub listen: Multiaddr,
    /// Addresses of any existing registry nodes; each ends in `/p2p/<peer id>` or is dialled without knowing who answers.
    pub bootstrap: Vec<Multiaddr>,
}

/// The network cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PubsubError {
    /// A part of libp2p could not be set up.
    #[error("cannot set up libp2p: {0}")]
    Setup(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// Why.
        reason: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connected registry node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectedPeer {
    /// Its libp2p name.
    pub peer: PeerId,
    /// The node.
    pub node: Option<NodeId>,
}

enum Command {
    Publish(Gossip),
    Peers(oneshot::Sender<Vec<ConnectedPeer>>),
    Dial(Multiaddr),
}

/// A handle on the network's task.
#[derive(Clone, Debug)]
pub struct Pubsub {
    commands: mpsc::Sender<Command>,
    address: Multiaddr,
    peer: PeerId,
}

impl Pubsub {
    /// Tells the other registries of a record. If the queue is full it is left to reconciliation.
    pub fn publish_record(&self, record: Signed<NodeRecord>) {
        self.publish(Gossip::Record(Box::new(record)));
    }

    /// Tells the other registries of a load report.
    pub fn publish_load(&self, report: Signed<LoadReport>) {
        self.publish(Gossip::Load(Box::new(report)));
    }

    fn publish(&self, gossip: Gossip) {
        if self.commands.try_send(Command::Publish(gossip)).is_err() {
            tracing::debug!("gossip queue is full");
        }
    }

    /// Connected registry nodes.
    pub async fn peers(&self) -> Vec<ConnectedPeer> {
        let (send, receive) = oneshot::channel();
        if self.commands.send(Command::Peers(send)).await.is_err() {
            return Vec::new();
        }
        receive.await.unwrap_or_default()
    }

    /// Dials an address.
    pub async fn dial(&self, address: Multiaddr) {
        // The task being gone means that the node is ending.
        let _ = self.commands.send(Command::Dial(address)).await;
    }

    /// The address that others dial, with this node's peer id.
    pub fn address(&self) -> &Multiaddr {
        &self.address
    }

    /// This node's libp2p name.
    pub fn peer(&self) -> PeerId {
        self.peer
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    gossip: gossipsub::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    discovery: kad::Behaviour<MemoryStore>,
    exchange: request_response::Behaviour<ExchangeCodec>,
}

fn behaviour(key: &libp2p::identity::Keypair, topics: &Topics) -> Result<Behaviour, String> {
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(64))
        .with_max_pending_outgoing(Some(64))
        .with_max_established(Some(512))
        .with_max_established_per_peer(Some(4));
    let config = gossipsub::ConfigBuilder::default()
        .heartbeat_interval(Duration::from_secs(1))
        .validate_messages()
        // What is gossiped carries its node's own signature; who passed it on is nobody's business.
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .message_id_fn(|message| content_id(&message.topic, &message.data))
        .max_transmit_size(MAX_MESSAGE)
        .duplicate_cache_time(Duration::from_secs(120))
        .build()
        .map_err(|e| e.to_string())?;
    let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config)?;
    for topic in [&topics.records, &topics.loads] {
        gossip.subscribe(topic).map_err(|e| e.to_string())?;
    }
    let peer = key.public().to_peer_id();
    let mut kad_config = kad::Config::new(libp2p::StreamProtocol::new("/chroom/registry/kad/1"));
    kad_config.set_record_filtering(kad::StoreInserts::FilterBoth);
    kad_config.set_periodic_bootstrap_interval(Some(Duration::from_secs(120)));
    let mut discovery = kad::Behaviour::with_config(peer, MemoryStore::new(peer), kad_config);
    discovery.set_mode(Some(kad::Mode::Server));
    let exchange = request_response::Behaviour::with_codec(
        ExchangeCodec,
        [(PROTOCOL, ProtocolSupport::Full)],
        request_response::Config::default().with_request_timeout(EXCHANGE_TIMEOUT).with_max_concurrent_streams(16),
    );
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        gossip,
        identify: identify::Behaviour::new(
            identify::Config::new("/chroom/registry/1".into(), key.public())
                .with_agent_version(concat!("chroom-registry/", env!("CARGO_PKG_VERSION")).into()),
        ),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(Duration::from_secs(15))),
        discovery,
        exchange,
    })
}

/// Starts the network's task; it ends with `shutdown`.
pub async fn start(
    wallet: &Wallet,
    config: PubsubConfig,
    register: Arc<Register>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> Result<(Pubsub, tokio::task::JoinHandle<()>), PubsubError> {
    let setup = |reason: String| PubsubError::Setup(reason);
    let topics = Topics::of(register.genesis());
    let key = wallet.libp2p_keypair();
    let peer = key.public().to_peer_id();
    let behaviour = behaviour(&key, &topics).map_err(setup)?;
    let mut swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|e| setup(e.to_string()))?
        .with_dns()
        .map_err(|e| setup(e.to_string()))?
        .with_behaviour(|_| behaviour)
        .map_err(|e| setup(e.to_string()))?
        .with_swarm_config(|c| c.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    let refused = |reason: String| PubsubError::Listen { address: config.listen.clone(), reason };
    swarm.listen_on(config.listen.clone()).map_err(|e| refused(e.to_string()))?;
    let listening = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => break Ok(address),
                SwarmEvent::ListenerClosed { reason, .. } => break Err(format!("{reason:?}")),
                SwarmEvent::ListenerError { error, .. } => break Err(error.to_string()),
                _ => {}
            }
        }
    };
    let address = tokio::time::timeout(Duration::from_secs(5), listening)
        .await
        .map_err(|_| refused("no answer from the system".into()))?
        .map_err(refused)?;
    swarm.add_external_address(address.clone());
    let address = address.with(Protocol::P2p(peer));
    let mut book = PeerBook::default();
    let mut nameless = Vec::new();
    for known in &config.bootstrap {
        match peer_of(known) {
            Some(who) if who != peer => book.learn(who, known.clone()),
            Some(_) => {}
            None => nameless.push(known.clone()),
        }
    }
    for (who, known) in register.store().peers()? {
        if let (Ok(who), Ok(known)) = (PeerId::from_bytes(&who), known.parse())
            && who != peer
        {
            book.learn(who, known);
        }
    }
    let (commands, queue) = mpsc::channel(QUEUE);
    let members = register.follow_members();
    let task = Task {
        swarm,
        register,
        metrics,
        topics,
        book,
        nameless,
        peer,
        members,
        comparisons: BTreeMap::new(),
        next_compare: 0,
        next_nameless: 0,
        next_learn: 0,
        gossip_rate: RateLimiter::new(GOSSIP_RATE),
        exchange_rate: RateLimiter::new(EXCHANGE_RATE),
    };
    let handle = tokio::spawn(task.run(queue, shutdown));
    tracing::info!(%address, "libp2p listens");
    Ok((Pubsub { commands, address, peer }, handle))
}

/// The peer that an address names at its end.
fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    address.iter().find_map(|part| if let Protocol::P2p(peer) = part { Some(peer) } else { None })
}

struct Running {
    comparison: Comparison,
    request: OutboundRequestId,
    since: UnixMs,
    merged: usize,
}

struct Task {
    swarm: Swarm<Behaviour>,
    register: Arc<Register>,
    metrics: Arc<Metrics>,
    topics: Topics,
    book: PeerBook,
    /// Bootstrap addresses that name no peer.
    nameless: Vec<Multiaddr>,
    peer: PeerId,
    members: watch::Receiver<Arc<Membership>>,
    comparisons: BTreeMap<PeerId, Running>,
    next_compare: UnixMs,
    next_nameless: UnixMs,
    next_learn: UnixMs,
    gossip_rate: RateLimiter<PeerId>,
    exchange_rate: RateLimiter<PeerId>,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut following = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = queue.recv() => self.on_command(command),
                changed = self.members.changed(), if following => {
                    following = changed.is_ok();
                    self.on_membership();
                }
                _ = tick.tick() => self.on_tick(now_ms()),
            }
        }
        for peer in self.swarm.connected_peers().copied().collect::<Vec<_>>() {
            // Whether it was still connected makes no difference.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish(gossip) => {
                let topic = match gossip {
                    Gossip::Record(_) => self.topics.records.clone(),
                    Gossip::Load(_) => self.topics.loads.clone(),
                };
                let result = match self.swarm.behaviour_mut().gossip.publish(topic, gossip.encode()) {
                    Ok(_) => "published",
                    Err(error) => {
                        tracing::debug!(%error, "not gossiped");
                        "unpublished"
                    }
                };
                self.metrics.gossip.get_or_create(&outcome(result)).inc();
            }
            Command::Peers(reply) => {
                let peers = self
                    .book
                    .connections()
                    .into_iter()
                    .map(|peer| ConnectedPeer { peer, node: node_id_of_peer_id(&peer) })
                    .collect();
                // Who asked may have gone.
                let _ = reply.send(peers);
            }
            Command::Dial(address) => self.dial_address(address),
        }
    }

    fn dial_address(&mut self, address: Multiaddr) {
        if let Err(error) = self.swarm.dial(address.clone()) {
            tracing::debug!(%address, %error, "cannot dial");
        }
    }

    /// Whether a peer may stay: a registry node that the chain has in service; before the chain is followed, anyone for now.
    fn admitted(&self, peer: &PeerId) -> bool {
        let members = self.members.borrow();
        members.nodes.is_empty()
            || node_id_of_peer_id(peer).is_some_and(|node| members.is_member(&node, Role::Registry))
    }

    fn on_membership(&mut self) {
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            if !self.admitted(&peer) {
                self.turn_away(&peer);
            }
        }
    }

    fn turn_away(&mut self, peer: &PeerId) {
        let node = node_id_of_peer_id(peer).map(|n| n.to_hex());
        tracing::info!(%peer, ?node, "disconnecting: not a registry node in service on the chain");
        // It may be gone by now.
        let _ = self.swarm.disconnect_peer_id(*peer);
    }

    fn on_tick(&mut self, now: UnixMs) {
        if now >= self.next_learn {
            self.next_learn = now.saturating_add(LEARN_MS);
            self.learn_from_register();
        }
        for (peer, addresses) in self.book.due(now) {
            if self.swarm.is_connected(&peer) {
                continue;
            }
            let dial = DialOpts::peer_id(peer).addresses(addresses).build();
            if let Err(error) = self.swarm.dial(dial) {
                tracing::debug!(%peer, %error, "cannot dial");
            }
        }
        if now >= self.next_nameless && self.book.connections().is_empty() {
            self.next_nameless = now.saturating_add(5_000);
            for address in self.nameless.clone() {
                self.dial_address(address);
            }
        }
        self.comparisons.retain(|_, running| now.saturating_sub(running.since) < COMPARE_TIMEOUT_MS);
        if now >= self.next_compare {
            let jitter = rand::random_range(COMPARE_MS / 2..COMPARE_MS * 3 / 2);
            self.next_compare = now.saturating_add(jitter);
            if let Some(peer) = self.book.connections().choose(&mut rand::rng()).copied() {
                self.compare(peer, now);
            }
        }
        self.metrics.peers.set(self.book.connections().len() as i64);
    }

    /// The register itself says where registry nodes are.
    fn learn_from_register(&mut self) {
        for view in self.register.views(Some(Role::Registry)) {
            let address = std::str::from_utf8(&view.record.payload.p2p).ok().and_then(|t| t.parse::<Multiaddr>().ok());
            if let Some(address) = address
                && let Some(peer) = peer_of(&address)
                && peer != self.peer
                && node_id_of_peer_id(&peer) == Some(view.record.payload.node)
            {
                self.book.learn(peer, address);
            }
        }
    }

    fn compare(&mut self, peer: PeerId, now: UnixMs) {
        if self.comparisons.contains_key(&peer) {
            return;
        }
        let started = self.register.record_set().map_err(reconcile::ReconcileError::from).and_then(Comparison::start);
        match started {
            Ok((comparison, request)) => {
                let request = self.swarm.behaviour_mut().exchange.send_request(&peer, request);
                self.comparisons.insert(peer, Running { comparison, request, since: now, merged: 0 });
            }
            Err(error) => tracing::warn!(%error, "cannot begin a comparison"),
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => self.on_connected(peer_id, endpoint),
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "disconnected");
                self.book.disconnected(&peer_id, now_ms());
                self.comparisons.remove(&peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                tracing::debug!(?peer_id, %error, "dialling failed");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => self.on_gossip(propagation_source, message_id, message),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }))
                if self.admitted(&peer_id) =>
            {
                for address in info.listen_addrs.into_iter().take(4) {
                    self.swarm.behaviour_mut().discovery.add_address(&peer_id, address.clone());
                    self.book.learn(peer_id, address);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Discovery(kad::Event::RoutingUpdated {
                peer, addresses, ..
            })) => {
                for address in addresses.iter() {
                    self.book.learn(peer, address.clone());
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Exchange(event)) => self.on_exchange(event),
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, endpoint: ConnectedPoint) {
        let now = now_ms();
        if !self.admitted(&peer) || self.book.banned(&peer, now) {
            self.turn_away(&peer);
            return;
        }
        self.book.connected(peer);
        if let ConnectedPoint::Dialer { address, .. } = endpoint {
            self.book.learn(peer, address.clone());
            if let Err(error) = self.register.store().put_peer(&peer.to_bytes(), &address.to_string()) {
                tracing::warn!(%error, "cannot note a peer");
            }
            self.swarm.behaviour_mut().discovery.add_address(&peer, address);
        }
        tracing::info!(%peer, node = ?node_id_of_peer_id(&peer), "registry node connected");
        self.metrics.peers.set(self.book.connections().len() as i64);
        self.compare(peer, now);
    }

    fn on_gossip(&mut self, source: PeerId, id: gossipsub::MessageId, message: gossipsub::Message) {
        let now = now_ms();
        let (verdict, name) = if !self.gossip_rate.admit(source, 1.0, now) {
            (gossipsub::MessageAcceptance::Ignore, "rate")
        } else {
            match self.topics.decode(&message.topic, &message.data) {
                Some(Gossip::Record(record)) => self.judge_record(*record),
                Some(Gossip::Load(report)) => match self.register.report_load(*report) {
                    LoadOutcome::Accepted => (gossipsub::MessageAcceptance::Accept, "accepted"),
                    LoadOutcome::Forged | LoadOutcome::Malformed => (gossipsub::MessageAcceptance::Reject, "rejected"),
                    LoadOutcome::Older | LoadOutcome::OutOfTime | LoadOutcome::NotMember => {
                        (gossipsub::MessageAcceptance::Ignore, "ignored")
                    }
                },
                None => (gossipsub::MessageAcceptance::Reject, "malformed"),
            }
        };
        self.metrics.gossip.get_or_create(&outcome(name)).inc();
        if matches!(verdict, gossipsub::MessageAcceptance::Reject) {
            tracing::warn!(peer = %source, name, "gossip refused");
            self.strike(&source, now);
        }
        self.swarm.behaviour_mut().gossip.report_message_validation_result(&id, &source, verdict);
    }

    fn judge_record(&self, record: Signed<NodeRecord>) -> (gossipsub::MessageAcceptance, &'static str) {
        let node = record.payload.node;
        match self.register.merge(record, Durability::Buffered) {
            Ok(Verdict::Accepted | Verdict::Left | Verdict::Equivocation(_)) => {
                (gossipsub::MessageAcceptance::Accept, "accepted")
            }
            Ok(verdict) if verdict.blames_sender() => {
                tracing::warn!(%node, verdict = verdict.name(), "record refused");
                (gossipsub::MessageAcceptance::Reject, "rejected")
            }
            Ok(_) => (gossipsub::MessageAcceptance::Ignore, "ignored"),
            Err(error) => {
                tracing::error!(%error, "cannot keep a record");
                (gossipsub::MessageAcceptance::Ignore, "failed")
            }
        }
    }

    fn strike(&mut self, peer: &PeerId, now: UnixMs) {
        if self.book.strike(peer, now) {
            tracing::warn!(%peer, "shut out: too many forged or malformed messages");
            // It may be gone by now.
            let _ = self.swarm.disconnect_peer_id(*peer);
        }
    }

    /// Merges what a comparison brought; says how much of it was new.
    fn merge_all(&mut self, peer: &PeerId, records: Vec<Signed<NodeRecord>>) -> usize {
        let mut taken = 0;
        // Newest first, as the other side sends them, would make the older ones mere history; the order makes no difference.
        for record in records {
            match self.register.merge(record, Durability::Buffered) {
                Ok(Verdict::Accepted | Verdict::Left) => taken += 1,
                Ok(verdict) if verdict.blames_sender() => self.strike(peer, now_ms()),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot keep a record");
                    break;
                }
            }
        }
        taken
    }

    fn on_exchange(&mut self, event: request_response::Event<Request, Answer>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                request_response::Message::Request { request, channel, .. } => {
                    let answer = self.answer(&peer, request);
                    // The peer may have gone; it will ask again.
                    let _ = self.swarm.behaviour_mut().exchange.send_response(channel, answer);
                }
                request_response::Message::Response { request_id, response } => {
                    self.on_answer(peer, request_id, response);
                }
            },
            request_response::Event::OutboundFailure { peer, request_id, error, .. }
                if self.comparisons.get(&peer).is_some_and(|r| r.request == request_id) =>
            {
                tracing::debug!(%peer, %error, "comparison failed");
                self.comparisons.remove(&peer);
                self.metrics.reconciliations.get_or_create(&outcome("failed")).inc();
            }
            _ => {}
        }
    }

    fn answer(&mut self, peer: &PeerId, request: Request) -> Answer {
        let now = now_ms();
        if !self.admitted(peer) || !self.exchange_rate.admit(*peer, 1.0, now) {
            return Answer::Busy;
        }
        let answered = self
            .register
            .record_set()
            .map_err(reconcile::ReconcileError::from)
            .and_then(|set| reconcile::answer(&set, request, |node| self.register.versions(node)));
        match answered {
            Ok((answer, merge)) => {
                self.merge_all(peer, merge);
                answer
            }
            Err(error) => {
                tracing::warn!(%peer, %error, "malformed reconciliation request");
                self.strike(peer, now);
                Answer::Busy
            }
        }
    }

    fn on_answer(&mut self, peer: PeerId, request: OutboundRequestId, answer: Answer) {
        let Some(mut running) = self.comparisons.remove(&peer) else { return };
        if running.request != request {
            self.comparisons.insert(peer, running);
            return;
        }
        match running.comparison.on_answer(answer, |node| self.register.versions(node)) {
            Ok(turn) => {
                running.merged += self.merge_all(&peer, turn.merge);
                if let Some(ask) = turn.ask {
                    running.request = self.swarm.behaviour_mut().exchange.send_request(&peer, ask);
                    running.since = now_ms();
                    self.comparisons.insert(peer, running);
                } else {
                    let summary = running.comparison.summary();
                    if summary.needed + summary.offered > 0 {
                        tracing::debug!(%peer, ?summary, merged = running.merged, "reconciled");
                    }
                    self.book.proved(&peer);
                    self.metrics.reconciliations.get_or_create(&outcome("done")).inc();
                }
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "comparison ended");
                self.metrics.reconciliations.get_or_create(&outcome("failed")).inc();
                if error != reconcile::ReconcileError::Busy {
                    self.strike(&peer, now_ms());
                }
            }
        }
    }
}
