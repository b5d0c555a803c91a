//! What the public sees, as JSON.

use crate::{
    datastore::{register::NodeView, register::region_of, snapshot::Snapshot},
    rpc::role_name,
};
use chroom_primitives::{Leaf, NodeId, NodeStatus, QosEpoch, Role, Score, SnapshotLeaf, merkle::Root};
use codec::Encode;
use serde::Serialize;
use std::collections::BTreeMap;

/// A node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeJson {
    /// Its id.
    pub node: NodeId,
    /// What it does.
    pub role: Role,
    /// Where the chain has it.
    pub status: NodeStatus,
    /// H3 cell, hex.
    pub cell: String,
    /// Middle of the cell: latitude and longitude in degrees.
    pub lat: Option<f64>,
    /// Longitude in degrees.
    pub lng: Option<f64>,
    /// Region: the base cell.
    pub region: String,
    /// gRPC interface.
    pub rpc: String,
    /// Public HTTP interface.
    pub public_url: String,
    /// Capacity class.
    pub class: chroom_primitives::CapacityClass,
    /// Software version.
    pub version: String,
    /// Bond in the smallest unit, decimal.
    pub stake: String,
    /// Sequence number of its record, decimal: it is beyond what JavaScript's numbers hold.
    pub seq: String,
    /// Hash of its record.
    pub record_hash: chroom_primitives::Hash,
    /// When the record expires, Unix time in milliseconds.
    pub expires_ms: u64,
    /// Quality score in points (0 to 100) of the last epoch that this registry attested, if any.
    pub score: Option<f64>,
    /// Load, if it was reported lately.
    pub load: Option<LoadJson>,
}

/// A media node's load.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadJson {
    /// Share of the CPU in use, 0 to 1.
    pub cpu: f64,
    /// Ingress in kb/s.
    pub ingress_kbps: u32,
    /// Egress in kb/s.
    pub egress_kbps: u32,
    /// Most egress in kb/s.
    pub egress_limit_kbps: u32,
    /// Live rooms.
    pub rooms: u32,
    /// Live sessions.
    pub sessions: u32,
    /// Share of packets lost towards receivers, 0 to 1, as the node measured.
    pub loss: f64,
    /// Mean round-trip time to receivers in milliseconds.
    pub rtt_ms: u32,
    /// Whether it takes new sessions.
    pub accepting: bool,
    /// Age of the report in milliseconds.
    pub age_ms: u64,
}

fn points(score: Score) -> f64 {
    f64::from(score.0) / 100.0
}

impl From<&NodeView> for NodeJson {
    fn from(view: &NodeView) -> Self {
        let record = &view.record.payload;
        let place = crate::datastore::place::checked(record.cell).map(h3o::LatLng::from);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            node: record.node,
            role: record.role,
            status: view.status,
            cell: format!("{:x}", record.cell.0),
            lat: place.map(|p| p.lat()),
            lng: place.map(|p| p.lng()),
            region: region_of(record.cell),
            rpc: record.rpc.to_string(),
            public_url: text(&record.public_url),
            class: record.class,
            version: text(&record.version),
            stake: view.bond.to_string(),
            seq: record.seq.to_string(),
            record_hash: record.hash(),
            expires_ms: record.expires_ms,
            score: view.score.map(points),
            load: view.load.as_ref().map(|(age, signed)| {
                let load = &signed.payload;
                LoadJson {
                    cpu: f64::from(load.cpu) / 10_000.0,
                    ingress_kbps: load.ingress_kbps,
                    egress_kbps: load.egress_kbps,
                    egress_limit_kbps: load.egress_limit_kbps,
                    rooms: load.rooms,
                    sessions: load.sessions,
                    loss: f64::from(load.loss) / 10_000.0,
                    rtt_ms: load.rtt_ms,
                    accepting: load.accepting,
                    age_ms: *age,
                }
            }),
        }
    }
}

/// Sums over nodes.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TotalsJson {
    /// Live media nodes.
    pub media: u32,
    /// Live orchestrators.
    pub orchestrators: u32,
    /// Live registry nodes.
    pub registries: u32,
    /// Media nodes that take new sessions.
    pub accepting: u32,
    /// Live rooms.
    pub rooms: u64,
    /// Live sessions.
    pub sessions: u64,
    /// Egress in kb/s.
    pub egress_kbps: u64,
    /// Most egress in kb/s.
    pub egress_limit_kbps: u64,
    /// Ingress in kb/s.
    pub ingress_kbps: u64,
    /// Mean CPU use of media nodes with fresh reports, 0 to 1.
    pub mean_cpu: Option<f64>,
    /// Mean score of scored media nodes, in points.
    pub mean_score: Option<f64>,
}

/// The network at a glance.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryJson {
    /// Everything.
    pub totals: TotalsJson,
    /// By region.
    pub regions: BTreeMap<String, TotalsJson>,
    /// Nodes registered on the chain, whether or not they have joined, by role.
    pub registered: BTreeMap<&'static str, u32>,
    /// Finalised block that this is as of.
    pub finalised_block: u32,
    /// Current QoS epoch.
    pub epoch: QosEpoch,
}

#[derive(Default)]
struct Sum {
    totals: TotalsJson,
    cpu: (u64, u64),
    score: (u64, u64),
}

impl Sum {
    fn add(&mut self, view: &NodeView) {
        let totals = &mut self.totals;
        match view.record.payload.role {
            Role::Media => totals.media += 1,
            Role::Orchestrator => totals.orchestrators += 1,
            Role::Registry => totals.registries += 1,
        }
        if view.record.payload.role != Role::Media {
            return;
        }
        if let Some((_, load)) = &view.load {
            let load = &load.payload;
            totals.accepting += u32::from(load.accepting);
            totals.rooms += u64::from(load.rooms);
            totals.sessions += u64::from(load.sessions);
            totals.egress_kbps += u64::from(load.egress_kbps);
            totals.egress_limit_kbps += u64::from(load.egress_limit_kbps);
            totals.ingress_kbps += u64::from(load.ingress_kbps);
            self.cpu = (self.cpu.0 + u64::from(load.cpu), self.cpu.1 + 1);
        }
        if let Some(score) = view.score {
            self.score = (self.score.0 + u64::from(score.0), self.score.1 + 1);
        }
    }

    fn done(mut self) -> TotalsJson {
        let mean = |(sum, n): (u64, u64), scale: f64| (n > 0).then(|| sum as f64 / n as f64 / scale);
        self.totals.mean_cpu = mean(self.cpu, 10_000.0);
        self.totals.mean_score = mean(self.score, 100.0);
        self.totals
    }
}

impl SummaryJson {
    /// Sums up the live nodes.
    pub fn of(views: &[NodeView], members: &chroom_chain_client::Membership) -> Self {
        let mut all = Sum::default();
        let mut regions: BTreeMap<String, Sum> = BTreeMap::new();
        for view in views {
            all.add(view);
            regions.entry(region_of(view.record.payload.cell)).or_default().add(view);
        }
        let mut registered: BTreeMap<&'static str, u32> = BTreeMap::new();
        for registration in members.nodes.values().filter(|r| r.status.is_member()) {
            *registered.entry(role_name(registration.role)).or_default() += 1;
        }
        Self {
            totals: all.done(),
            regions: regions.into_iter().map(|(name, sum)| (name, sum.done())).collect(),
            registered,
            finalised_block: members.block,
            epoch: members.epoch.current,
        }
    }
}

/// The QoS epoch.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochJson {
    /// The epoch being measured.
    pub current: QosEpoch,
    /// Its first block.
    pub started_at: u32,
    /// When it began, Unix time in milliseconds.
    pub started_ms: u64,
    /// Blocks in an epoch.
    pub length: u32,
    /// Blocks in which roots for the epoch before are taken.
    pub submit_window: u32,
    /// Members of a committee.
    pub committee_size: u32,
    /// Media nodes that this registry was drawn for.
    pub assigned: Vec<NodeId>,
    /// The epoch that this registry attested last.
    pub last_attested: Option<AttestedJson>,
}

/// What this registry attested.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestedJson {
    /// The epoch.
    pub epoch: QosEpoch,
    /// Root over the leaves.
    pub quality: Root,
    /// Root over the register.
    pub snapshot: Root,
    /// Whether the chain has them.
    pub submitted: bool,
    /// The leaves; none as long as the chain takes roots for the epoch.
    pub leaves: Vec<Leaf>,
}

/// A committee member's proof about a node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofJson {
    /// This registry.
    pub attestor: NodeId,
    /// SCALE `MemberProof`, hex with 0x: goes into a claim.
    pub member_proof: String,
    /// The leaf about the node's quality.
    pub leaf: chroom_primitives::QosLeaf,
    /// The leaves about its usage.
    pub usage: Vec<chroom_primitives::UsageLeaf>,
    /// The root that the proof fits.
    pub root: Root,
    /// This registry's word on its roots, SCALE `Signed<RootStatement>`, hex with 0x; null unless the finalised chain has these roots.
    pub signed_statement: Option<String>,
}

/// The register at an epoch's end, with all that is needed to compute the root again.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotJson {
    /// The epoch that ended.
    pub epoch: QosEpoch,
    /// First block of the next epoch: its time, Unix milliseconds.
    pub at_ms: u64,
    /// The root.
    pub root: Root,
    /// The leaves, ordered by node; `seq` as decimal text.
    pub leaves: Vec<SnapshotLeafJson>,
    /// SCALE `Signed<NodeRecord>` of each leaf, hex with 0x.
    pub records: Vec<String>,
}

/// A leaf of a snapshot.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotLeafJson {
    /// The node.
    pub node: NodeId,
    /// Sequence number, decimal.
    pub seq: String,
    /// Hash of the record.
    pub record_hash: chroom_primitives::Hash,
}

impl From<SnapshotLeaf> for SnapshotLeafJson {
    fn from(leaf: SnapshotLeaf) -> Self {
        Self { node: leaf.node, seq: leaf.seq.to_string(), record_hash: leaf.record_hash }
    }
}

impl From<&Snapshot> for SnapshotJson {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            epoch: snapshot.epoch,
            at_ms: snapshot.at_ms,
            root: snapshot.root(),
            leaves: snapshot.leaves().into_iter().map(Into::into).collect(),
            records: snapshot.records.iter().map(|r| format!("0x{}", hex::encode(r.encode()))).collect(),
        }
    }
}

/// A connected registry node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerJson {
    /// Its libp2p name.
    pub peer: String,
    /// The node.
    pub node: Option<NodeId>,
}

/// Whether this registry is of use.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthJson {
    /// `ok`, or what is missing.
    pub status: &'static str,
    /// This node.
    pub node: NodeId,
    /// Software version.
    pub version: &'static str,
    /// Network.
    pub genesis: chroom_primitives::Hash,
    /// Whether the chain has this node as a registry node in service.
    pub registered: bool,
    /// Finalised block that the membership is as of.
    pub finalised_block: u32,
    /// Registry nodes connected.
    pub peers: usize,
    /// Live nodes in the register.
    pub nodes: usize,
    /// libp2p address, for `--bootstrap`.
    pub p2p: String,
}
