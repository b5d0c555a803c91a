//! What passes between the cascade and the rooms of this node.

use super::{control::LayerInfo, datagram::MediaHead, hub::Handle};
use crate::sfu::{
    id::{ParticipantId, RoomId, TrackId},
    packet::{Channel, Kind, Packet},
};
use bytes::Bytes;

/// A track that is published on this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalTrack {
    /// Its id.
    pub track: TrackId,
    /// Whose it is.
    pub participant: ParticipantId,
    /// What it shows.
    pub source: String,
    /// Sound or pictures.
    pub kind: Kind,
    /// Its layers, lowest first.
    pub layers: Vec<LayerInfo>,
    /// When it was published, as [`super::control::Announce::publication`].
    pub publication: u64,
}

/// What a room tells the cascade.
#[derive(Clone, Debug)]
pub enum FromRoom {
    /// A client publishes this, or its layers have changed.
    Published(RoomId, LocalTrack),
    /// It is over.
    Unpublished(RoomId, TrackId),
    /// Layers of a remote track that clients here watch: a bit each.
    Interest(Handle, u8),
    /// A client here needs a key frame of a remote track's layer.
    Keyframe(Handle, u8),
    /// A client here sent a data message.
    Message(RoomId, ParticipantId, Channel, Bytes),
    /// A packet of a layer that is tapped; the flag says whether a receiver can begin with it.
    Packet(Handle, u8, Packet, bool),
}

/// What the cascade tells a room.
#[derive(Clone, Debug)]
pub enum ToRoom {
    /// The room spans nodes from now on: tell what is published and wanted.
    Join(RoomId),
    /// It doesn't any more: forget all remote tracks.
    Leave(RoomId),
    /// A participant of another node publishes this.
    Track(RoomId, Handle, LocalTrack),
    /// A remote track's layers have changed.
    Layers(RoomId, Handle, Vec<LayerInfo>),
    /// A remote track is over.
    Withdraw(RoomId, Handle),
    /// Pass on the packets of these layers (a bit each) of a track that is published here, under this handle.
    Tap(RoomId, TrackId, Handle, u8),
    /// Ask the publisher for a key frame.
    Keyframe(RoomId, TrackId, u8),
    /// A participant of another node sent a data message.
    Message(RoomId, ParticipantId, Channel, Bytes),
}

impl ToRoom {
    /// The room that it is for.
    pub fn room(&self) -> &RoomId {
        match self {
            ToRoom::Join(room)
            | ToRoom::Leave(room)
            | ToRoom::Track(room, ..)
            | ToRoom::Layers(room, ..)
            | ToRoom::Withdraw(room, _)
            | ToRoom::Tap(room, ..)
            | ToRoom::Keyframe(room, ..)
            | ToRoom::Message(room, ..) => room,
        }
    }
}

/// A packet of a remote track for the receivers here.
#[derive(Clone, Debug)]
pub struct RemotePacket {
    /// The track.
    pub handle: Handle,
    /// Its layer.
    pub layer: u8,
    /// What it has besides the payload.
    pub head: MediaHead,
    /// The payload.
    pub payload: Bytes,
}
