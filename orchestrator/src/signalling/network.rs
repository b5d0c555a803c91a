//! `GET /v1/network`: the network at a glance, for the explorer. Public data only.

use crate::{
    allocation::{FRESH_MS, distance::centre},
    chain::Chain,
    index::Index,
    session::{LoadInfo, RewardInfo, points},
    time::now_ms,
};
use chroom_primitives::{NodeId, NodeStatus, Role, anchor::FinalSnapshot};
use serde::Serialize;

/// A node.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkNode {
    /// The node.
    pub id: NodeId,
    /// What it does.
    pub role: Role,
    /// Its H3 cell in hex.
    pub cell: String,
    /// Latitude of the cell's centre in degrees.
    pub lat: Option<f64>,
    /// Longitude of the cell's centre in degrees.
    pub lon: Option<f64>,
    /// Its region: the H3 base cell.
    pub region: String,
    /// Where its registration stands.
    pub status: NodeStatus,
    /// Whether it is in the register, and if it is a media node, reported its load lately.
    pub online: bool,
    /// Its load; media nodes only.
    pub load: Option<LoadInfo>,
    /// Its running score, 0 to 100.
    pub score: Option<f64>,
    /// Its stake in the smallest unit, decimal.
    pub stake: String,
    /// What it was paid last.
    pub last_reward: Option<RewardInfo>,
    /// Its software version.
    pub version: String,
    /// Its public URL.
    pub public_url: String,
}

/// The QoS epoch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochView {
    /// Its number.
    pub current: u32,
    /// Its first block.
    pub started_at: u32,
    /// When it began, Unix ms.
    pub started_ms: u64,
    /// Its length in blocks.
    pub length: u32,
}

/// A registry snapshot that the chain has as final.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotView {
    /// The epoch at whose end it was cut.
    pub epoch: u32,
    /// Its root, hex.
    pub root: String,
    /// Nodes in it.
    pub leaves: u32,
    /// Registry nodes that sent it.
    pub votes: u32,
}

/// The network.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkView {
    /// The finalised block that this is of.
    pub block: u32,
    /// The genesis hash.
    pub genesis: String,
    /// The current epoch.
    pub epoch: EpochView,
    /// The newest final snapshot.
    pub snapshot: Option<SnapshotView>,
    /// The nodes.
    pub nodes: Vec<NetworkNode>,
    /// When this was made, Unix ms.
    pub now: u64,
}

/// The network as it is known here.
pub async fn network(index: &Index, chain: &dyn Chain) -> NetworkView {
    let state = index.chain();
    let snapshot = chain.latest_snapshot().await.ok().flatten().map(|snapshot: FinalSnapshot| SnapshotView {
        epoch: snapshot.epoch.0,
        root: format!("{:?}", snapshot.root.hash),
        leaves: snapshot.root.leaves,
        votes: snapshot.votes,
    });
    let now = now_ms();
    let nodes = index
        .all()
        .into_iter()
        .map(|(registration, view)| {
            let place = centre(registration.cell);
            let load = view.as_ref().and_then(|view| view.load.as_ref());
            let fresh = load.is_some_and(|load| load.made_ms + FRESH_MS >= now);
            NetworkNode {
                id: registration.node,
                role: registration.role,
                cell: format!("{:x}", registration.cell.0),
                lat: place.map(h3o::LatLng::lat),
                lon: place.map(h3o::LatLng::lng),
                region: format!("h3-{}", registration.cell.base_cell()),
                status: registration.status,
                online: view.is_some() && (registration.role != Role::Media || fresh),
                load: view.as_ref().filter(|_| fresh).map(LoadInfo::of),
                score: view.as_ref().and_then(points),
                stake: registration.bond.to_string(),
                last_reward: view.as_ref().and_then(RewardInfo::of),
                version: view.as_ref().map(|view| view.version()).unwrap_or_default(),
                public_url: view.as_ref().map(|view| view.public_url()).unwrap_or_default(),
            }
        })
        .collect();
    NetworkView {
        block: state.block,
        genesis: format!("{:?}", chain.genesis()),
        epoch: EpochView {
            current: state.epoch.current.0,
            started_at: state.epoch.started_at,
            started_ms: state.epoch.started_ms,
            length: state.epoch.length,
        },
        snapshot,
        nodes,
        now,
    }
}
