//! A chain in memory, and registry nodes on loopback that share it.
#![allow(dead_code, missing_docs)]

use chroom_chain_client::{Membership, SentRoots};
use chroom_primitives::{
    AccountId, CapacityClass, H3Cell, Hash, NodeId, NodeStatus, QosEpoch, Role, Signed, UnixMs,
    epoch::EpochInfo,
    merkle::Root,
    record::{LoadReport, NodeRecord, Registration},
};
use chroom_registry::{
    chain::{Answer, Chain, ChainError, Head},
    clock::now_ms,
    node::{NodeConfig, RegistryNode},
    pubsub::swarm::PubsubConfig,
};
use chroom_rpc::{
    channel,
    registry::{QosClient, RegistryClient},
    tls::Identity,
    v1,
};
use chroom_wallet::Wallet;
use codec::Encode;
use futures::FutureExt;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tonic::transport::Channel;

pub const GENESIS: Hash = Hash::repeat_byte(0x42);
pub const BERLIN: H3Cell = H3Cell(0x0851_f1d4_bfff_ffff);

/// Quality and snapshot roots that came in, by epoch and sender.
type Received = BTreeMap<(QosEpoch, NodeId), Vec<(Root, Root)>>;

#[derive(Clone)]
pub struct MemoryChain {
    members: watch::Sender<Arc<Membership>>,
    roots: Arc<Mutex<Received>>,
}

impl MemoryChain {
    pub fn new() -> Self {
        let now = now_ms();
        let membership = Membership {
            block: 17,
            block_hash: Hash::repeat_byte(17),
            epoch: EpochInfo {
                current: QosEpoch(2),
                started_at: 17,
                started_ms: now,
                length: 8,
                submit_window: 4,
                committee_size: 3,
            },
            generation: 1,
            nodes: BTreeMap::new(),
        };
        Self { members: watch::channel(Arc::new(membership)).0, roots: Arc::default() }
    }

    fn change(&self, f: impl FnOnce(&mut Membership)) {
        self.members.send_modify(|members| {
            let mut next = Membership::clone(members);
            f(&mut next);
            *members = Arc::new(next);
        });
    }

    pub fn register(&self, node: NodeId, role: Role, status: NodeStatus) {
        self.change(|m| {
            m.generation += 1;
            m.nodes.insert(
                node,
                Registration {
                    node,
                    owner: AccountId::new([9; 32]),
                    role,
                    status,
                    cell: BERLIN,
                    class: CapacityClass::Small,
                    endpoint: "127.0.0.1:7400".parse().unwrap(),
                    bond: 1_000,
                    price_per_gib: 0,
                },
            );
        });
    }

    /// A new epoch begins: its first block has the time `started_ms`.
    pub fn next_epoch(&self, started_ms: UnixMs) {
        self.change(|m| {
            m.epoch.current = m.epoch.current.next();
            m.epoch.started_at += m.epoch.length;
            m.epoch.started_ms = started_ms;
            m.block = m.epoch.started_at;
        });
    }

    /// No more roots are taken for the epoch that ended last.
    pub fn close_window(&self) {
        self.change(|m| m.block = m.epoch.started_at + m.epoch.submit_window);
    }

    pub fn epoch(&self) -> EpochInfo {
        self.members.borrow().epoch.clone()
    }

    pub fn roots(&self, epoch: QosEpoch, node: NodeId) -> Vec<(Root, Root)> {
        self.roots.lock().get(&(epoch, node)).cloned().unwrap_or_default()
    }
}

fn ready<T: Send + 'static>(value: T) -> Answer<T> {
    async move { Ok::<T, ChainError>(value) }.boxed()
}

/// The chain as one node sees it.
struct SeenBy {
    chain: MemoryChain,
    node: NodeId,
}

impl Chain for SeenBy {
    fn genesis(&self) -> Hash {
        GENESIS
    }

    fn membership(&self) -> watch::Receiver<Arc<Membership>> {
        self.chain.members.subscribe()
    }

    fn head(&self) -> Answer<Head> {
        let members = self.chain.members.borrow();
        ready(Head { block: members.block, epoch: members.epoch.clone() })
    }

    fn members_at(&self, _: u32) -> Answer<BTreeSet<NodeId>> {
        let members = self.chain.members.borrow();
        ready(members.nodes.values().filter(|r| r.status.is_member()).map(|r| r.node).collect())
    }

    fn epoch_start_ms(&self, epoch: QosEpoch) -> Answer<Option<UnixMs>> {
        let current = self.chain.epoch();
        let behind = u64::from(current.current.0.saturating_sub(epoch.0));
        ready(Some(current.started_ms - behind * 48_000))
    }

    fn assignments(&self, _: QosEpoch, _: NodeId) -> Answer<Vec<NodeId>> {
        // Three registries at most are asked in these tests: each is in every committee.
        ready(self.chain.members.borrow().active(Role::Media).map(|r| r.node).collect())
    }

    fn attestation(&self, epoch: QosEpoch, attestor: NodeId) -> Answer<Option<SentRoots>> {
        let sent = self.chain.roots(epoch, attestor);
        ready(sent.first().map(|(quality, snapshot)| SentRoots { quality: *quality, snapshot: *snapshot }))
    }

    fn submit_root(&self, epoch: QosEpoch, quality: Root, snapshot: Root) -> Answer<()> {
        self.chain.roots.lock().entry((epoch, self.node)).or_default().push((quality, snapshot));
        ready(())
    }
}

pub fn wallet(n: u8) -> Wallet {
    Wallet::from_secret(&[n; 32]).unwrap()
}

pub async fn start(chain: &MemoryChain, wallet: &Wallet, data: &Path, bootstrap: &[&RegistryNode]) -> RegistryNode {
    let any = "127.0.0.1:0".parse().unwrap();
    let config = NodeConfig {
        data: data.to_path_buf(),
        rpc_listen: any,
        http_listen: any,
        pubsub: PubsubConfig {
            listen: "/ip4/127.0.0.1/tcp/0".parse().unwrap(),
            bootstrap: bootstrap.iter().map(|node| node.pubsub.address().clone()).collect(),
        },
        cell: BERLIN,
        public_rpc: None,
        public_url: None,
        public_p2p: None,
        metrics_listen: None,
    };
    let seen = SeenBy { chain: chain.clone(), node: wallet.node_id() };
    RegistryNode::start(config, wallet.clone(), Arc::new(seen)).await.unwrap()
}

pub fn channel(node: &RegistryNode, caller: &Wallet) -> Channel {
    let identity = Identity::new(caller).unwrap();
    channel::connect(&identity, &node.rpc.to_string().parse().unwrap(), Some(node.node)).unwrap()
}

pub fn registry(node: &RegistryNode, caller: &Wallet) -> RegistryClient<Channel> {
    RegistryClient::new(channel(node, caller))
}

pub fn qos(node: &RegistryNode, caller: &Wallet) -> QosClient<Channel> {
    QosClient::new(channel(node, caller))
}

pub fn record(wallet: &Wallet, role: Role, made: UnixMs) -> NodeRecord {
    NodeRecord {
        node: wallet.node_id(),
        seq: made << 16,
        expires_ms: made + 600_000,
        role,
        cell: BERLIN,
        rpc: "127.0.0.1:7400".parse().unwrap(),
        public_url: b"http://127.0.0.1:7600".to_vec().try_into().unwrap(),
        p2p: Default::default(),
        class: CapacityClass::Small,
        version: b"0.1.0".to_vec().try_into().unwrap(),
        left: false,
    }
}

pub fn join_request(wallet: &Wallet, record: NodeRecord) -> v1::JoinRequest {
    v1::JoinRequest { signed_record: wallet.sign(record, &GENESIS).encode() }
}

pub fn load(wallet: &Wallet, made: UnixMs) -> Signed<LoadReport> {
    let report = LoadReport {
        node: wallet.node_id(),
        seq: made << 16,
        cpu: 1_000,
        ingress_kbps: 10,
        egress_kbps: 20,
        egress_limit_kbps: 100_000,
        rooms: 1,
        sessions: 2,
        loss: 0,
        rtt_ms: 5,
        accepting: true,
    };
    wallet.sign(report, &GENESIS)
}

/// Waits for a condition; the limit only ends a test that has failed anyway.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited for too long: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
