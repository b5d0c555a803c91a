//! What the SFU tells the orchestrator.

use super::{
    id::{ParticipantId, Rid, RoomId, SessionId, TrackId},
    packet::Kind,
};
use chroom_primitives::NodeId;
use std::fmt;

/// Why a session ended. The text goes to the orchestrator and on to the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// The orchestrator ended it, with its words.
    Requested(String),
    /// ICE or DTLS didn't come up in time.
    ConnectTimeout,
    /// The client's consent expired (RFC 7675).
    ConnectionLost,
    /// The client closed the connection.
    ClientClosed,
    /// The client didn't read its data channel.
    DataBacklog,
    /// The client offered another peer connection: the session has to be opened anew for it.
    TransportReplaced,
    /// The engine failed on it.
    EngineFault(String),
    /// The node is going out of service.
    Draining,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Requested(reason) => f.write_str(reason),
            CloseReason::ConnectTimeout => f.write_str("connect-timeout"),
            CloseReason::ConnectionLost => f.write_str("connection-lost"),
            CloseReason::ClientClosed => f.write_str("client-closed"),
            CloseReason::DataBacklog => f.write_str("data-backlog"),
            CloseReason::TransportReplaced => f.write_str("transport-replaced"),
            CloseReason::EngineFault(fault) => write!(f, "engine-fault: {fault}"),
            CloseReason::Draining => f.write_str("draining"),
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Occurrence {
    /// A session's ICE and DTLS are up.
    Connected,
    /// A session is over.
    Closed(CloseReason),
    /// The first packet of a published track came.
    TrackStarted {
        /// The track.
        track: TrackId,
        /// Audio or video.
        kind: Kind,
        /// Simulcast layers, lowest first; empty without simulcast.
        layers: Vec<Rid>,
    },
    /// A published track is over.
    TrackStopped(TrackId),
    /// What of a video anyone wants: its publisher need not encode the rest.
    LayersWanted {
        /// The track.
        track: TrackId,
        /// The layers of simulcast that are wanted, lowest first; empty without simulcast.
        layers: Vec<Rid>,
        /// Whether nobody watches at all.
        paused: bool,
    },
    /// The videos that the session wants and its line doesn't carry at present: all of them, whenever that changes.
    VideosPaused(Vec<TrackId>),
    /// Who speaks now, loudest first.
    Speakers(Vec<ParticipantId>),
    /// A recording ended by itself: its id, and why.
    RecordingEnded(String, String),
    /// The node above in the room's tree is dead, and the standby takes its place, if one was named.
    ParentLost(NodeId, Option<NodeId>),
    /// The pipe to the node above in the room's tree has been bad for long.
    ParentPoor(NodeId),
}

/// An occurrence in a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The room.
    pub room: RoomId,
    /// The session; `None` for what concerns the whole room.
    pub session: Option<SessionId>,
    /// What happened.
    pub occurrence: Occurrence,
}
