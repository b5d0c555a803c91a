//! What goes into the session core and what comes out.

use super::{
    error::Refusal,
    ids::{CallId, ConnectionId, Fence, OperationId, ParticipantId, RoomId, SessionId, TrackId},
    member::{Rights, Session},
    priority::Priority,
    room::Room,
    stay::Stays,
    track::Source,
    wire::{Event, NodeInfo, SessionInfo},
};
use crate::cascade::Route;
use chroom_primitives::{AccountId, H3Cell, NodeId, UnixMs};
use std::{collections::BTreeMap, net::SocketAddr};

/// A request to enter a room, its token already checked.
#[derive(Clone, Debug)]
pub struct Join {
    /// Key id of the application.
    pub application: String,
    /// The account whose escrow pays.
    pub account: AccountId,
    /// The room's name.
    pub room: String,
    /// Who the application says it is.
    pub identity: String,
    /// Name to show.
    pub name: String,
    /// What the token grants.
    pub rights: Rights,
    /// SEC1 compressed P-256 key that will sign receipts.
    pub receipt_key: [u8; 33],
    /// Where the client is.
    pub cell: Option<H3Cell>,
}

/// What a client publishes on an m-line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publish {
    /// The m-line.
    pub mid: String,
    /// The track, if it has an id already.
    pub track: Option<TrackId>,
    /// What it is.
    pub source: Source,
}

/// What a client receives on an m-line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// The m-line.
    pub mid: String,
    /// The track; none pauses the m-line.
    pub track: Option<TrackId>,
    /// Greatest height of the picture; 0: the best that fits.
    pub max_height: u32,
    /// Its place among the client's videos where the line is narrow.
    pub priority: Priority,
}

/// A client's request.
#[derive(Clone, Debug)]
pub enum Request {
    /// Enters a room.
    Join(Box<Join>),
    /// Goes on with a session on a new connection.
    Resume {
        /// The session.
        session: SessionId,
        /// Its secret.
        secret: String,
    },
    /// Hands over an offer.
    Negotiate {
        /// The offer.
        offer: String,
        /// What is published.
        publish: Vec<Publish>,
        /// What is received.
        subscribe: Vec<Subscription>,
    },
    /// Changes what is received.
    Subscribe(Vec<Subscription>),
    /// Mutes a track or unmutes it.
    Mute {
        /// The track.
        track: TrackId,
        /// Whether it is muted.
        muted: bool,
    },
    /// Ends a track.
    Unpublish(TrackId),
    /// Ends the session.
    Leave,
    /// Removes someone.
    Kick(ParticipantId),
    /// Asks about the media node.
    NodeInfo,
    /// Asks by what its receipts are checked.
    Ticket,
}

/// By what a session's receipts are checked, and what goes into their grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// The session.
    pub session: SessionId,
    /// The key that signs receipts.
    pub receipt_key: [u8; 33],
    /// The account whose escrow pays.
    pub account: AccountId,
    /// When the session was opened, Unix ms.
    pub started_ms: UnixMs,
    /// The media nodes that receipts may be about.
    pub stays: Stays,
}

/// The answer to a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// To join and resume.
    Session(Box<SessionInfo>),
    /// To negotiate: the answer and the ids of the published tracks by m-line.
    Negotiated {
        /// The SDP answer.
        sdp: String,
        /// Published tracks by m-line.
        publish: Vec<(String, TrackId)>,
    },
    /// To node info.
    Node(Box<NodeInfo>),
    /// To ticket.
    Ticket(Box<Ticket>),
    /// To everything else.
    Done,
}

/// A command to a media node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Opens a session.
    Open {
        /// The session.
        session: SessionId,
        /// Its room.
        room: RoomId,
        /// The room's fencing epoch.
        fence: Fence,
        /// Its participant.
        participant: ParticipantId,
        /// What it may do.
        rights: Rights,
        /// Whether the node may still have an older session of this id, which must end first.
        stale: bool,
    },
    /// Takes an offer.
    Negotiate {
        /// The session.
        session: SessionId,
        /// The room's fencing epoch.
        fence: Fence,
        /// The offer.
        offer: String,
        /// What is published, each with its track.
        publish: Vec<(String, TrackId, Source)>,
        /// What is received.
        subscribe: Vec<Subscription>,
    },
    /// Changes what is received.
    Subscribe {
        /// The session.
        session: SessionId,
        /// The room's fencing epoch.
        fence: Fence,
        /// What is received.
        subscribe: Vec<Subscription>,
    },
    /// Ends a session.
    CloseSession {
        /// The session.
        session: SessionId,
        /// The room's fencing epoch.
        fence: Fence,
        /// Why.
        reason: String,
    },
    /// Ends a room.
    CloseRoom {
        /// The room.
        room: RoomId,
        /// The room's fencing epoch.
        fence: Fence,
        /// Why.
        reason: String,
    },
    /// Sets the node's place in the room's tree.
    SetRoute {
        /// The room.
        room: RoomId,
        /// The room's fencing epoch.
        fence: Fence,
        /// Its neighbours.
        route: Route,
    },
    /// Ends the node's place in the room's tree; its sessions stay.
    ClearRoute {
        /// The room.
        room: RoomId,
        /// The room's fencing epoch.
        fence: Fence,
    },
}

/// A command's good outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The SDP answer to an offer.
    Answer(String),
    /// The place was taken: where the node's pipes are reached.
    Routed(SocketAddr),
    /// Done.
    Done,
}

/// A command's bad outcome.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The node was not reached or did not answer in time.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// The node refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// The reason that links give when they end an older session of an id to open it anew; its echo says nothing new.
pub const OPENED_ANEW: &str = "opened anew";
/// The reason that media nodes give when they go out of service.
pub const DRAINING: &str = "draining";

/// What a media node says of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MediaEvent {
    /// ICE and DTLS are up.
    Connected,
    /// The session is over on the node.
    Closed(String),
    /// A track's first packet came.
    TrackStarted {
        /// The track.
        track: TrackId,
        /// Simulcast layers, lowest first.
        layers: Vec<String>,
    },
    /// A track ended.
    TrackStopped(TrackId),
    /// All videos that the session's line does not carry at present.
    VideosPaused(Vec<TrackId>),
    /// What of a video anyone watches.
    LayersWanted {
        /// The track.
        track: TrackId,
        /// The wanted simulcast layers, lowest first.
        layers: Vec<String>,
        /// Whether nobody watches at all.
        paused: bool,
    },
}

/// What goes into the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client asks.
    Request {
        /// Its connection.
        connection: ConnectionId,
        /// The call that waits for the reply.
        call: CallId,
        /// What it asks.
        request: Request,
    },
    /// A client connected.
    Connected(ConnectionId),
    /// A client's connection ended. Requests of it may still come, for each is handed over by a task of its own; they
    /// are refused.
    Disconnected(ConnectionId),
    /// A media node says something of a session.
    Media {
        /// The node.
        node: NodeId,
        /// The session.
        session: SessionId,
        /// What.
        event: MediaEvent,
    },
    /// A media node says who speaks.
    Speakers {
        /// The node.
        node: NodeId,
        /// The room.
        room: RoomId,
        /// Who, loudest first.
        participants: Vec<ParticipantId>,
    },
    /// A media node lost contact with the one above it in a room's tree.
    ParentLost {
        /// The node.
        node: NodeId,
        /// The room.
        room: RoomId,
        /// The one above.
        lost: NodeId,
    },
    /// A media node's pipe to the one above it in a room's tree has been bad for long.
    ParentPoor {
        /// The node.
        node: NodeId,
        /// The room.
        room: RoomId,
        /// The one above.
        parent: NodeId,
    },
    /// A media node answered a command.
    Completed {
        /// The command.
        operation: OperationId,
        /// What came of it.
        result: Result<Outcome, Failure>,
    },
    /// Contact with a media node is lost.
    NodeLost {
        /// The node.
        node: NodeId,
        /// How it was noticed.
        reason: String,
    },
    /// Contact with a media node is there, for the first time or again; these sessions are on it.
    NodeReached {
        /// The node.
        node: NodeId,
        /// Its sessions with their rooms.
        sessions: BTreeMap<SessionId, RoomId>,
    },
    /// Time passes; once a second.
    Tick,
}

/// What comes out of the core.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Keeps what a restart must find. It comes first among the effects of an input.
    Store {
        /// Rooms that changed; none: removed.
        rooms: Vec<(RoomId, Option<Box<Room>>)>,
        /// Sessions that changed; none: removed.
        sessions: Vec<(SessionId, Option<Box<Session>>)>,
    },
    /// Answers a client.
    Reply {
        /// The call.
        call: CallId,
        /// The answer.
        result: Box<Result<Reply, Refusal>>,
    },
    /// Tells a client something.
    Notify {
        /// Its connection.
        connection: ConnectionId,
        /// What.
        event: Box<Event>,
    },
    /// Commands a media node.
    Command {
        /// The node.
        node: NodeId,
        /// The operation by which the outcome comes back.
        operation: OperationId,
        /// What.
        command: Command,
    },
    /// Keeps an eye on a media node.
    Watch(NodeId),
    /// No longer needs to.
    Unwatch(NodeId),
}
