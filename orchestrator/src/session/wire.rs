//! What clients are told, in the form of docs/signalling.md.

use super::{
    ids::{Generation, ParticipantId, SessionId, TrackId},
    member::{Rights, Session},
    track::{Kind, Source, Track},
};
use crate::{ice::IceServer, index::NodeView};
use chroom_primitives::NodeId;
use serde::Serialize;

/// How often clients sign receipts, in milliseconds.
pub const RECEIPT_INTERVAL_MS: u32 = 5_000;

/// `Track`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TrackInfo {
    /// Its id.
    pub id: TrackId,
    /// Sound or picture.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
    /// Whether its publisher muted it.
    pub muted: bool,
    /// Simulcast layers, lowest first.
    pub layers: Vec<String>,
}

impl TrackInfo {
    /// Describes a track.
    pub fn of(id: &TrackId, track: &Track) -> Self {
        Self {
            id: id.clone(),
            kind: track.source.kind(),
            source: track.source,
            muted: track.muted,
            layers: track.layers.clone(),
        }
    }
}

/// `Participant`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ParticipantInfo {
    /// Its id.
    pub id: ParticipantId,
    /// Who the application says it is.
    pub identity: String,
    /// Name to show.
    pub name: String,
    /// The tracks whose media flows.
    pub tracks: Vec<TrackInfo>,
}

impl ParticipantInfo {
    /// Describes a session's participant.
    pub fn of(session: &Session) -> Self {
        Self {
            id: session.participant.clone(),
            identity: session.identity.clone(),
            name: session.name.clone(),
            tracks: session
                .tracks
                .iter()
                .filter(|(_, track)| track.announced)
                .map(|(id, track)| TrackInfo::of(id, track))
                .collect(),
        }
    }
}

/// A node's load.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadInfo {
    /// Share of the CPU in use, 0 to 1.
    pub cpu: f64,
    /// Live sessions.
    pub sessions: u32,
    /// Live rooms.
    pub rooms: u32,
    /// Egress in kb/s.
    pub egress_kbps: u32,
}

impl LoadInfo {
    /// The load that a node reported, nothing if it reported none.
    pub fn of(view: &NodeView) -> Self {
        view.load.as_ref().map_or_else(Self::default, |load| Self {
            cpu: f64::from(load.report.cpu.min(10_000)) / 10_000.0,
            sessions: load.report.sessions,
            rooms: load.report.rooms,
            egress_kbps: load.report.egress_kbps,
        })
    }
}

/// What a node was paid last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RewardInfo {
    /// For which epoch.
    pub epoch: u32,
    /// How much, in the smallest unit, decimal.
    pub amount: String,
}

impl RewardInfo {
    /// The node's last reward.
    pub fn of(view: &NodeView) -> Option<Self> {
        view.last_reward.map(|(epoch, amount)| Self { epoch: epoch.0, amount: amount.to_string() })
    }
}

/// `NodeInfo`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    /// The node.
    pub id: NodeId,
    /// Its H3 cell in hex; empty while unknown.
    pub cell: String,
    /// Its region.
    pub region: String,
    /// Its running score, 0 to 100.
    pub score: Option<f64>,
    /// Its stake in the smallest unit, decimal.
    pub stake: String,
    /// What it was paid last.
    pub last_reward: Option<RewardInfo>,
    /// Its software version.
    pub version: String,
    /// Its load.
    pub load: LoadInfo,
    /// Its public URL.
    pub public_url: String,
}

impl NodeInfo {
    /// Describes a node.
    pub fn of(view: &NodeView) -> Self {
        Self {
            id: view.id(),
            cell: format!("{:x}", view.registration.cell.0),
            region: view.region(),
            score: points(view),
            stake: view.registration.bond.to_string(),
            last_reward: RewardInfo::of(view),
            version: view.version(),
            load: LoadInfo::of(view),
            public_url: view.public_url(),
        }
    }

    /// A node of which nothing but its id is known at the moment.
    pub fn unknown(id: NodeId) -> Self {
        Self {
            id,
            cell: String::new(),
            region: String::new(),
            score: None,
            stake: "0".to_owned(),
            last_reward: None,
            version: String::new(),
            load: LoadInfo::default(),
            public_url: String::new(),
        }
    }
}

/// A node's score in points, 0 to 100.
pub fn points(view: &NodeView) -> Option<f64> {
    view.score.map(|score| f64::from(score.0.min(10_000)) / 100.0)
}

/// `Session`.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// Its id.
    pub session: SessionId,
    /// What resumes it.
    pub secret: String,
    /// The client's participant.
    pub participant: ParticipantId,
    /// The room's name.
    pub room: String,
    /// What the client may do.
    pub grants: Rights,
    /// The media node that serves it.
    pub node: NodeInfo,
    /// All media nodes that the room is on at the moment.
    pub nodes: Vec<NodeId>,
    /// ICE servers. The core knows none: they are added on the way out, as their credentials are made of the time and a secret.
    pub ice_servers: Vec<IceServer>,
    /// The room's placement.
    pub generation: Generation,
    /// The others in the room.
    pub participants: Vec<ParticipantInfo>,
    /// How often to sign a receipt.
    pub receipt_interval_ms: u32,
    /// The room's host.
    pub host: Option<ParticipantId>,
}

/// What `session.event` says.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// Someone came.
    ParticipantJoined {
        /// Who.
        participant: ParticipantInfo,
    },
    /// Someone left.
    ParticipantLeft {
        /// Who.
        participant: ParticipantId,
        /// Why.
        reason: String,
    },
    /// A track's media flows.
    TrackPublished {
        /// Whose.
        participant: ParticipantId,
        /// Which.
        track: TrackInfo,
    },
    /// A track ended.
    TrackUnpublished {
        /// Whose.
        participant: ParticipantId,
        /// Which.
        track: TrackId,
    },
    /// A track was muted, or is no longer.
    TrackMuted {
        /// Whose.
        participant: ParticipantId,
        /// Which.
        track: TrackId,
        /// Whether it is muted.
        muted: bool,
    },
    /// What of an own video anyone watches: the rest need not be sent.
    LayersWanted {
        /// Which.
        track: TrackId,
        /// The wanted layers of simulcast, lowest first; empty without simulcast.
        layers: Vec<String>,
        /// Whether nobody watches at all.
        paused: bool,
    },
    /// The videos that the own line does not carry at present: all of them.
    VideosPaused {
        /// Which.
        tracks: Vec<TrackId>,
    },
    /// Who speaks, loudest first.
    ActiveSpeakers {
        /// Who.
        participants: Vec<ParticipantId>,
    },
    /// The room is on another media node.
    Moved {
        /// Which.
        node: NodeInfo,
        /// The room's placement.
        generation: Generation,
        /// Why.
        reason: String,
    },
    /// The session is over.
    Closed {
        /// Why.
        reason: String,
    },
}
