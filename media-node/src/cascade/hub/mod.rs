//! The cascade of one node: which rooms span which nodes, which tracks come and go over which pipes. A state machine without
//! I/O: commands, messages and datagrams come in with the time, and go out through [`Exits`].
//!
//! Tracks are offered with the path that they come by (a path vector, as in BGP), so a node never takes a track by way of
//! itself; packets pass a window of sequence numbers, so none goes round even while ways change.

mod edges;
mod media;
mod peers;
mod state;
mod subscriptions;
mod tracks;

#[cfg(test)]
mod tests;

use super::{
    control::{Control, LayerInfo},
    datagram::StreamId,
    limits,
    link::{FromRoom, RemotePacket, ToRoom},
    pipe::Pipe,
    quality::PipeFigures,
};
use crate::sfu::{
    id::{ParticipantId, RoomId, TrackId},
    packet::Kind,
};
use bytes::Bytes;
use chroom_primitives::NodeId;
use slab::Slab;
use state::{Edge, Feed, Layer, Link, Peer, Room, Track, Way};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A track's number on this node, used once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Handle(pub u64);

/// A peer's place on this node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerKey(pub usize);

/// Where results go.
pub trait Exits {
    /// Reach this node. [`Hub::peer`] and [`Hub::connected`], or [`Hub::lost`] follow.
    fn dial(&mut self, peer: PeerKey, node: NodeId, address: SocketAddr);
    /// Close the connection; nothing follows.
    fn hang_up(&mut self, peer: PeerKey, reason: &str);
    /// Send on the reliable stream.
    fn control(&mut self, peer: PeerKey, message: Bytes);
    /// Send a datagram.
    fn datagram(&mut self, peer: PeerKey, datagram: Bytes);
    /// Largest datagram that the path takes now.
    fn max_datagram(&self, peer: PeerKey) -> usize;
    /// Tell a room of this node.
    fn room(&mut self, order: ToRoom);
    /// A room's parent is dead; the standby takes its place, if there is one.
    fn parent_lost(&mut self, room: &RoomId, node: NodeId, standby: Option<NodeId>);
    /// The pipe to a room's parent has been bad for long: another one would be better, if there is one.
    fn parent_poor(&mut self, room: &RoomId, node: NodeId);
    /// Which of the node's threads has the room, for [`Exits::packet`].
    fn place(&self, room: &RoomId) -> usize;
    /// A packet for the receivers here.
    fn packet(&mut self, place: usize, packet: RemotePacket);
}

/// The other end of a pipe, as an orchestrator names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Who it must be.
    pub node: NodeId,
    /// Where.
    pub address: SocketAddr,
}

/// A node's place in a room's tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The room.
    pub room: RoomId,
    /// The fencing epoch of the command.
    pub fence: u64,
    /// The node above; `None` for the root.
    pub parent: Option<Neighbour>,
    /// The node that is joined when the parent is dead.
    pub standby: Option<Neighbour>,
    /// Nodes that may join here.
    pub children: Vec<NodeId>,
}

/// A route is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RouteError {
    /// By an older epoch than the last.
    #[error("fencing epoch {given} is behind {greatest}: another orchestrator has the room")]
    Fenced {
        /// The epoch that came.
        given: u64,
        /// The greatest that was seen.
        greatest: u64,
    },
    /// A node can't be its own neighbour, nor above and below at once.
    #[error("{0} is this node itself, or named twice")]
    Twice(NodeId),
    /// Too much of something.
    #[error("too many {0} on this node")]
    TooMany(&'static str),
}

/// A peer's figures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerFigures {
    /// The peer.
    pub node: NodeId,
    /// Whether its pipe is up.
    pub up: bool,
    /// Rooms that cross it.
    pub rooms: u32,
    /// Datagrams that the connection's queue had no room for.
    pub dropped: u64,
    /// The pipe's figures.
    pub pipe: PipeFigures,
}

/// The cascade of one node.
pub struct Hub {
    me: NodeId,
    peers: Slab<Peer>,
    by_node: HashMap<NodeId, PeerKey>,
    rooms: Slab<Room>,
    by_room: HashMap<RoomId, usize>,
    tracks: HashMap<Handle, Track>,
    /// Streams that peers subscribed to.
    served: HashMap<(PeerKey, StreamId), (Handle, u8)>,
    /// Unix time in microseconds when this began: data messages are numbered from there, so that what a node numbers after a restart is new.
    epoch: u64,
    begun: Instant,
    handles: u64,
    order: u64,
    slow: Instant,
    judged: Instant,
    /// Times that a standby took a dead parent's place.
    pub failovers: u64,
}

/// How often what isn't urgent is looked at.
const SLOW: Duration = Duration::from_millis(50);
/// How often pipes are looked at for being too narrow.
const JUDGE: Duration = Duration::from_millis(500);

impl Hub {
    /// The cascade of node `me`, without rooms, at `unix_us` microseconds of Unix time.
    pub fn new(me: NodeId, now: Instant, unix_us: u64) -> Self {
        Self {
            me,
            peers: Slab::new(),
            by_node: HashMap::new(),
            rooms: Slab::new(),
            by_room: HashMap::new(),
            tracks: HashMap::new(),
            served: HashMap::new(),
            epoch: unix_us,
            begun: now,
            handles: 0,
            order: 0,
            slow: now,
            judged: now,
            failovers: 0,
        }
    }

    /// Whether there is anything that needs [`limits::TICK`].
    pub fn is_idle(&self) -> bool {
        self.peers.is_empty() && self.rooms.is_empty()
    }

    /// What a room of this node says.
    pub fn from_room(&mut self, now: Instant, told: FromRoom, out: &mut impl Exits) {
        match told {
            FromRoom::Published(room, track) => self.published(&room, track, out),
            FromRoom::Unpublished(room, track) => self.unpublished(now, &room, &track, out),
            FromRoom::Interest(handle, layers) => {
                if let Some(track) = self.tracks.get_mut(&handle) {
                    track.interest = layers;
                    self.refresh(handle, out);
                }
            }
            FromRoom::Keyframe(handle, layer) => self.want_keyframe(now, handle, layer, out),
            FromRoom::Message(room, participant, channel, data) => {
                self.send_message(&room, participant, channel, data, out);
            }
            FromRoom::Packet(handle, layer, packet, starts) => {
                self.local_packet(now, handle, layer, &packet, starts, out);
            }
        }
    }

    /// Lets time pass; to be called each [`limits::TICK`].
    pub fn tick(&mut self, now: Instant, out: &mut impl Exits) {
        self.tick_pipes(now, out);
        if now < self.slow {
            return;
        }
        self.slow = now + SLOW;
        self.tick_links(now, out);
        self.tick_edges(now, out);
        self.tick_tracks(now, out);
        if now >= self.judged {
            self.judged = now + JUDGE;
            self.judge_pipes(now, out);
        }
    }

    fn tell(&mut self, peer: PeerKey, message: &Control, out: &mut impl Exits) {
        if self.peers.get(peer.0).is_some_and(|peer| matches!(peer.link, Link::Up(_))) {
            out.control(peer, super::control::encode(message));
        }
    }

    /// Figures of all peers.
    pub fn figures(&mut self, now: Instant, dropped: impl Fn(PeerKey) -> u64) -> Vec<PeerFigures> {
        let rooms = &self.rooms;
        self.peers
            .iter_mut()
            .map(|(key, peer)| {
                let crossing = rooms.iter().filter(|(_, room)| room.edges.contains_key(&PeerKey(key))).count();
                PeerFigures {
                    node: peer.node,
                    up: matches!(peer.link, Link::Up(_)),
                    rooms: u32::try_from(crossing).unwrap_or(u32::MAX),
                    dropped: dropped(PeerKey(key)),
                    pipe: peer.pipe().map(|pipe| pipe.figures(now)).unwrap_or_default(),
                }
            })
            .collect()
    }
}
