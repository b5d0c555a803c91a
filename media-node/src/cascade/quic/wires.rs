//! The hub's way out: connections and rooms.

use super::{Rooms, connection::Link};
use crate::{
    cascade::{
        hub::{Exits, PeerKey},
        link::{RemotePacket, ToRoom},
    },
    sfu::{
        event::{Event, Occurrence},
        id::RoomId,
    },
};
use bytes::Bytes;
use chroom_primitives::NodeId;
use quinn_proto::ConnectionHandle;
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
};

/// Connections by handle and peer, and what is to be done with them after the hub's turn.
pub struct Wires {
    /// All connections.
    pub links: HashMap<ConnectionHandle, Link>,
    /// The one that is each peer's pipe.
    pub by_peer: HashMap<PeerKey, ConnectionHandle>,
    /// To be dialled.
    pub dials: Vec<(PeerKey, NodeId, SocketAddr)>,
    /// To be closed.
    pub hang_ups: Vec<(ConnectionHandle, String)>,
    /// With something to send.
    pub dirty: Vec<ConnectionHandle>,
    /// The rooms.
    pub rooms: Box<dyn Rooms>,
    /// Orders that a busy thread couldn't take, in order.
    waiting: HashMap<usize, VecDeque<ToRoom>>,
}

impl Wires {
    /// Without connections.
    pub fn new(rooms: Box<dyn Rooms>) -> Self {
        Self {
            links: HashMap::new(),
            by_peer: HashMap::new(),
            dials: Vec::new(),
            hang_ups: Vec::new(),
            dirty: Vec::new(),
            rooms,
            waiting: HashMap::new(),
        }
    }

    /// Marks a connection that has to be driven.
    pub fn touch(&mut self, handle: ConnectionHandle) -> Option<&mut Link> {
        let link = self.links.get_mut(&handle)?;
        if !std::mem::replace(&mut link.dirty, true) {
            self.dirty.push(handle);
        }
        Some(link)
    }

    /// Datagrams that the queue of a peer's connection had no room for.
    pub fn dropped(&self, peer: PeerKey) -> u64 {
        self.by_peer.get(&peer).and_then(|handle| self.links.get(handle)).map_or(0, |link| link.dropped)
    }

    fn pipe(&mut self, peer: PeerKey) -> Option<&mut Link> {
        let handle = *self.by_peer.get(&peer)?;
        self.touch(handle)
    }

    /// Gives orders again that couldn't be taken. Whether any still waits.
    pub fn flush(&mut self) -> bool {
        let rooms = &self.rooms;
        self.waiting.retain(|place, orders| {
            while orders.front().is_some_and(|order| rooms.order(*place, order)) {
                orders.pop_front();
            }
            !orders.is_empty()
        });
        self.rooms.flush();
        !self.waiting.is_empty()
    }
}

impl Exits for Wires {
    fn dial(&mut self, peer: PeerKey, node: NodeId, address: SocketAddr) {
        self.dials.push((peer, node, address));
    }

    fn hang_up(&mut self, peer: PeerKey, reason: &str) {
        if let Some(handle) = self.by_peer.remove(&peer) {
            self.hang_ups.push((handle, reason.to_owned()));
        }
    }

    fn control(&mut self, peer: PeerKey, message: Bytes) {
        if let Some(link) = self.pipe(peer) {
            link.control(message);
        }
    }

    fn datagram(&mut self, peer: PeerKey, datagram: Bytes) {
        if let Some(link) = self.pipe(peer) {
            link.datagram(datagram);
        }
    }

    fn max_datagram(&self, peer: PeerKey) -> usize {
        self.by_peer.get(&peer).and_then(|handle| self.links.get(handle)).map_or(0, |link| link.max_datagram)
    }

    fn room(&mut self, order: ToRoom) {
        let place = self.rooms.place(order.room());
        match self.waiting.get_mut(&place) {
            Some(waiting) => waiting.push_back(order),
            None if self.rooms.order(place, &order) => {}
            None => drop(self.waiting.insert(place, VecDeque::from([order]))),
        }
    }

    fn parent_lost(&mut self, room: &RoomId, node: NodeId, standby: Option<NodeId>) {
        let occurrence = Occurrence::ParentLost(node, standby);
        self.rooms.event(Event { room: room.clone(), session: None, occurrence });
    }

    fn parent_poor(&mut self, room: &RoomId, node: NodeId) {
        self.rooms.event(Event { room: room.clone(), session: None, occurrence: Occurrence::ParentPoor(node) });
    }

    fn place(&self, room: &RoomId) -> usize {
        self.rooms.place(room)
    }

    fn packet(&mut self, place: usize, packet: RemotePacket) {
        self.rooms.packet(place, packet);
    }
}
