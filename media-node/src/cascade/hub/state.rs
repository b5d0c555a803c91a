//! What a hub remembers of its peers, rooms and tracks.

use super::{Handle, PeerKey};
use crate::{
    cascade::{
        ceiling::Ceiling,
        control::{Announce, LayerInfo},
        datagram::StreamId,
        grievance::Grievance,
        limits,
        pipe::Pipe,
        window::Window,
    },
    sfu::{
        id::{ParticipantId, RoomId, TrackId},
        keyframe,
        packet::Kind,
    },
};
use chroom_primitives::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What there is of a pipe.
pub(super) enum Link {
    /// To be dialled then, if a room needs it; after another failure, after twice the pause.
    Down {
        again: Instant,
        pause: Duration,
    },
    Dialling {
        pause: Duration,
    },
    Greeting {
        since: Instant,
        pause: Duration,
    },
    Up(Box<Pipe>),
}

pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) address: Option<SocketAddr>,
    pub(super) link: Link,
    pub(super) idle: Instant,
    pub(super) ceiling: Ceiling,
    pub(super) grievance: Grievance,
}

impl Peer {
    pub(super) fn pipe(&mut self) -> Option<&mut Pipe> {
        match &mut self.link {
            Link::Up(pipe) => Some(pipe),
            _ => None,
        }
    }
}

/// A neighbour in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    /// Asked to be taken as a child; to be asked again then.
    Asked(Instant),
    /// Tracks are exchanged.
    Joined,
    /// To be left once nothing depends on it.
    Going(Instant),
}

impl Edge {
    pub(super) fn exchanges(self) -> bool {
        !matches!(self, Edge::Asked(_))
    }
}

pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) place: usize,
    pub(super) fence: u64,
    pub(super) parent: Option<PeerKey>,
    pub(super) standby: Option<PeerKey>,
    /// Whether the standby has taken the dead parent's place.
    pub(super) on_standby: bool,
    pub(super) children: BTreeSet<PeerKey>,
    pub(super) edges: BTreeMap<PeerKey, Edge>,
    pub(super) tracks: HashMap<TrackId, Handle>,
    /// Other publications of names that are in use, which come to light when those end: what a client publishes here is taken from it by
    /// nobody, and of two nodes that say they have a track, the one with the later publication is believed.
    pub(super) shadowed: HashMap<TrackId, Vec<(PeerKey, Announce)>>,
    /// Data messages sent from here.
    pub(super) number: u64,
    /// Data messages seen from each node.
    pub(super) seen: HashMap<NodeId, Window>,
}

impl Room {
    /// Keeps an offer for later, one per neighbour.
    pub(super) fn shadow(&mut self, from: PeerKey, offer: Announce) {
        self.unshadow(from, &offer.track);
        if self.shadowed.len() < limits::MAX_TRACKS {
            self.shadowed.entry(offer.track.clone()).or_default().push((from, offer));
        }
    }

    /// Forgets a neighbour's offer.
    pub(super) fn unshadow(&mut self, from: PeerKey, track: &TrackId) {
        if let Some(offers) = self.shadowed.get_mut(track) {
            offers.retain(|(peer, _)| *peer != from);
            if offers.is_empty() {
                self.shadowed.remove(track);
            }
        }
    }

    /// The node above as things are.
    pub(super) fn upper(&self) -> Option<PeerKey> {
        if self.on_standby { self.standby } else { self.parent }
    }
}

/// A way by which a track can be had.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) from: PeerKey,
    pub(super) path: Vec<NodeId>,
    /// Whether the neighbour said that it ends soon.
    pub(super) going: bool,
    /// Whether this node is about to leave the neighbour.
    pub(super) leaving: bool,
    pub(super) order: u64,
}

/// A subscription upwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feed {
    pub(super) peer: PeerKey,
    pub(super) stream: StreamId,
    /// The first sequence number that came, and the highest.
    pub(super) span: Option<(u64, u64)>,
}

#[derive(Default)]
pub(super) struct Layer {
    pub(super) feed: Option<Feed>,
    /// The feed that shall take its place.
    pub(super) next: Option<Feed>,
    pub(super) outs: Vec<(PeerKey, StreamId)>,
    pub(super) gate: keyframe::Gate,
    pub(super) window: Window,
}

pub(super) struct Track {
    pub(super) room: usize,
    pub(super) id: TrackId,
    pub(super) publication: u64,
    /// The publication as this node's room gave it; greater numbers of other nodes are passed over.
    pub(super) given: u64,
    pub(super) participant: ParticipantId,
    pub(super) source: String,
    pub(super) kind: Kind,
    pub(super) infos: Vec<LayerInfo>,
    /// Published on this node.
    pub(super) local: bool,
    pub(super) ways: Vec<Way>,
    pub(super) layers: Vec<Layer>,
    /// Layers that clients here watch.
    pub(super) interest: u8,
    /// Layers that this node's router was told to pass on.
    pub(super) tapped: u8,
    /// What neighbours were told: the path, and whether it ends soon.
    pub(super) told: BTreeMap<PeerKey, (Vec<NodeId>, bool)>,
    /// Since when no way is left.
    pub(super) orphaned: Option<Instant>,
}
