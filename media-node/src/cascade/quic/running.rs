//! Connections come, are driven, and go.

use super::{Figures, Gate, connection::Link, settings, wires::Wires};
use crate::{
    cascade::hub::{Hub, PeerKey},
    sfu::socket::BatchSocket,
};
use bytes::BytesMut;
use chroom_primitives::NodeId;
use chroom_rpc::tls::{Identity, node_of_certificates};
use quinn_proto::{Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, Event, Side, StreamEvent, VarInt};
use rustls::pki_types::CertificateDer;
use std::{net::SocketAddr, time::Instant};

/// Batches that are read before timers get their turn.
const BATCHES_PER_TURN: usize = 8;
/// Datagrams in one hand-over to the kernel.
const SEGMENTS: usize = 16;
/// Handshakes at once from which on addresses must be proven, and beyond which none begins.
const FREE_HANDSHAKES: usize = 16;
const MOST_HANDSHAKES: usize = 128;
/// Application error codes of closing (RFC 9000 §19.19).
const CLOSED: VarInt = VarInt::from_u32(0);
const REFUSED: VarInt = VarInt::from_u32(1);

/// The thread's state while it runs.
pub struct Running {
    pub socket: BatchSocket,
    pub identity: Identity,
    pub gate: Gate,
    pub endpoint: Endpoint,
    pub hub: Hub,
    pub wires: Wires,
    pub scratch: Vec<u8>,
    pub refused: u64,
    pub dropped: u64,
}

impl Running {
    /// Reads what the socket has. Whether there may be more.
    pub fn receive(&mut self) -> bool {
        for _ in 0..BATCHES_PER_TURN {
            match self.socket.receive() {
                Ok(Some(received)) => {
                    let now = Instant::now();
                    for (source, datagram) in received.datagrams() {
                        self.socket.traffic.received += 1;
                        self.socket.traffic.received_bytes += datagram.len() as u64;
                        self.datagram(now, source, datagram);
                    }
                    self.socket.recycle(received);
                    self.drive_dirty(now);
                    self.socket.flush();
                    self.wires.rooms.flush();
                }
                Ok(None) => return false,
                Err(error) => {
                    tracing::warn!(%error, "receiving for pipes failed");
                    return false;
                }
            }
        }
        true
    }

    fn datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        let mut answer = std::mem::take(&mut self.scratch);
        answer.clear();
        let event = self.endpoint.handle(now, source, None, None, BytesMut::from(datagram), &mut answer);
        match event {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(link) = self.wires.touch(handle) {
                    link.quic.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                // Unproven addresses get no more than three times what they sent (RFC 9000 §8.1), which the endpoint sees to. While many
                // handshakes are under way, an address has to be proven first.
                let open = self.wires.links.values().filter(|link| link.quic.is_handshaking()).count();
                if open >= MOST_HANDSHAKES {
                    self.endpoint.ignore(incoming);
                } else if open >= FREE_HANDSHAKES && !incoming.remote_address_validated() {
                    if let Ok(retry) = self.endpoint.retry(incoming, &mut answer) {
                        self.socket.send(retry.destination, answer.get(..retry.size).unwrap_or_default());
                    }
                } else {
                    match self.endpoint.accept(incoming, now, &mut answer, None) {
                        Ok((handle, quic)) => self.add(handle, quic, None),
                        Err(error) => {
                            tracing::debug!(%source, error = %error.cause, "a connection can't be accepted");
                            if let Some(response) = error.response {
                                self.socket.send(response.destination, answer.get(..response.size).unwrap_or_default());
                            }
                        }
                    }
                }
            }
            Some(DatagramEvent::Response(response)) => {
                self.socket.send(response.destination, answer.get(..response.size).unwrap_or_default());
            }
            None => {}
        }
        self.scratch = answer;
    }

    fn add(&mut self, handle: ConnectionHandle, quic: Connection, dialled: Option<PeerKey>) {
        self.wires.links.insert(handle, Link::new(quic, dialled));
        self.wires.dirty.push(handle);
    }

    pub fn dial(&mut self, now: Instant) {
        while let Some((peer, node, address)) = self.wires.dials.pop() {
            let made = settings::client(&self.identity, node).map_err(|error| error.to_string()).and_then(|config| {
                // The name is neither sent nor checked: the certificate names the node.
                self.endpoint.connect(now, config, address, "node.chroom").map_err(|error| error.to_string())
            });
            match made {
                Ok((handle, quic)) => self.add(handle, quic, Some(peer)),
                Err(error) => {
                    tracing::warn!(%node, %address, error, "can't dial a node");
                    self.hub.lost(now, peer, &mut self.wires);
                }
            }
        }
    }

    pub fn expire(&mut self, now: Instant) {
        let due: Vec<ConnectionHandle> = self
            .wires
            .links
            .iter()
            .filter(|(_, link)| link.timeout.is_some_and(|at| at <= now))
            .map(|(handle, _)| *handle)
            .collect();
        for handle in due {
            if let Some(link) = self.wires.touch(handle) {
                link.timeout = None;
                link.quic.handle_timeout(now);
            }
        }
    }

    /// Closes pipes to nodes that may not have one any more.
    pub fn judge(&mut self, now: Instant) {
        let known = self.wires.links.iter().filter_map(|(handle, link)| Some((*handle, link.node?)));
        let out: Vec<(ConnectionHandle, &'static str)> =
            known.filter_map(|(handle, node)| Some((handle, (self.gate)(&node)?))).collect();
        out.into_iter().for_each(|(handle, reason)| self.refuse(now, handle, reason));
    }

    fn refuse(&mut self, now: Instant, handle: ConnectionHandle, reason: &'static str) {
        self.refused += 1;
        let Some(link) = self.wires.touch(handle) else { return };
        link.quic.close(now, REFUSED, reason.as_bytes().into());
        self.over(now, handle);
    }

    pub fn drive_dirty(&mut self, now: Instant) {
        loop {
            for (handle, reason) in std::mem::take(&mut self.wires.hang_ups) {
                if let Some(link) = self.wires.touch(handle) {
                    (link.peer, link.dialled, link.node) = (None, None, None);
                    link.quic.close(now, CLOSED, reason.into());
                }
            }
            let Some(handle) = self.wires.dirty.pop() else { return };
            self.drive(now, handle);
        }
    }

    fn drive(&mut self, now: Instant, handle: ConnectionHandle) {
        loop {
            let Some(link) = self.wires.links.get_mut(&handle) else { return };
            link.dirty = false;
            while let Some(event) = link.quic.poll_endpoint_events() {
                if let Some(answer) = self.endpoint.handle_event(handle, event) {
                    link.quic.handle_event(answer);
                }
            }
            let Some(event) = link.quic.poll() else { break };
            self.happened(now, handle, event);
        }
        let Some(link) = self.wires.links.get_mut(&handle) else { return };
        let written = link.write();
        let (mut buffer, segments) = (std::mem::take(&mut self.scratch), SEGMENTS);
        loop {
            buffer.clear();
            let Some(transmit) = link.quic.poll_transmit(now, segments, &mut buffer) else { break };
            let sent = buffer.get(..transmit.size).unwrap_or_default();
            let segment = transmit.segment_size.unwrap_or(transmit.size).max(1);
            sent.chunks(segment).for_each(|datagram| self.socket.send(transmit.destination, datagram));
        }
        self.scratch = buffer;
        while let Some(event) = link.quic.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(handle, event) {
                link.quic.handle_event(answer);
            }
        }
        link.timeout = link.quic.poll_timeout();
        if let Some(max) = link.quic.datagrams().max_size() {
            link.max_datagram = max;
        }
        if link.quic.is_drained() {
            self.dropped += link.dropped;
            self.wires.links.remove(&handle);
        } else if let Err(error) = written {
            self.fail(now, handle, &error.to_string());
        }
    }

    fn fail(&mut self, now: Instant, handle: ConnectionHandle, reason: &str) {
        let Some(link) = self.wires.touch(handle) else { return };
        if !link.quic.is_closed() {
            tracing::info!(peer = ?link.node, reason, "pipe closed");
            link.quic.close(now, CLOSED, reason.as_bytes().to_vec().into());
        }
        self.over(now, handle);
    }

    /// The connection is no pipe any more.
    fn over(&mut self, now: Instant, handle: ConnectionHandle) {
        let Some(link) = self.wires.links.get_mut(&handle) else { return };
        // Once: what QUIC says of it later is no news.
        let (peer, dialled) = (link.peer.take(), link.dialled.take());
        link.node = None;
        let Some(peer) = peer.or(dialled) else { return };
        match self.wires.by_peer.get(&peer) {
            Some(current) if *current == handle => drop(self.wires.by_peer.remove(&peer)),
            // Another connection is the pipe to this peer.
            Some(_) => return,
            None if dialled.is_none() => return,
            None => {}
        }
        self.hub.lost(now, peer, &mut self.wires);
    }

    fn happened(&mut self, now: Instant, handle: ConnectionHandle, event: Event) {
        match event {
            Event::Connected => self.connected(now, handle),
            Event::ConnectionLost { reason } => {
                if let Some(link) = self.wires.links.get(&handle) {
                    tracing::info!(peer = ?link.node, address = %link.quic.remote_address(), %reason, "connection ended");
                }
                self.over(now, handle);
            }
            Event::DatagramReceived => {
                while let Some(link) = self.wires.links.get_mut(&handle)
                    && let Some(datagram) = link.quic.datagrams().recv()
                {
                    if let Some(peer) = link.peer {
                        self.hub.datagram(now, peer, datagram, &mut self.wires);
                    }
                }
            }
            Event::Stream(StreamEvent::Opened { dir: Dir::Bi }) => {
                if let Some(link) = self.wires.links.get_mut(&handle) {
                    link.accept_stream();
                }
                self.read(now, handle);
            }
            Event::Stream(StreamEvent::Readable { .. }) => self.read(now, handle),
            Event::Stream(_) | Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
        }
    }

    fn read(&mut self, now: Instant, handle: ConnectionHandle) {
        let Some(link) = self.wires.links.get_mut(&handle) else { return };
        match link.read() {
            Ok(messages) => {
                for message in messages {
                    let Some(link) = self.wires.links.get(&handle) else { return };
                    let Some(peer) = link.peer.filter(|peer| self.wires.by_peer.get(peer) == Some(&handle)) else {
                        return;
                    };
                    self.hub.control(now, peer, message, &mut self.wires);
                }
            }
            Err(error) => self.fail(now, handle, &error.to_string()),
        }
    }

    fn connected(&mut self, now: Instant, handle: ConnectionHandle) {
        let Some(link) = self.wires.links.get_mut(&handle) else { return };
        let certificates = link
            .quic
            .crypto_session()
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
        let Some(node) = node_of_certificates(certificates.as_deref().map(Vec::as_slice)) else {
            return self.fail(now, handle, "the certificate names no node");
        };
        link.node = Some(node);
        let (side, address) = (link.quic.side(), link.quic.remote_address());
        if let Some(reason) = (self.gate)(&node) {
            tracing::warn!(%node, %address, reason, "pipe refused");
            return self.refuse(now, handle, reason);
        }
        if self.has_better(node, side) {
            return self.fail(now, handle, "there is another connection");
        }
        if side.is_client()
            && let Some(link) = self.wires.links.get_mut(&handle)
        {
            link.open_stream();
        }
        let peer = match self.hub.peer(now, node) {
            Ok(peer) => peer,
            Err(error) => return self.fail(now, handle, &error.to_string()),
        };
        if let Some(link) = self.wires.links.get_mut(&handle) {
            link.peer = Some(peer);
        }
        let old = self.wires.by_peer.insert(peer, handle);
        if let Some(old) = old.filter(|old| *old != handle)
            && let Some(link) = self.wires.touch(old)
        {
            link.peer = None;
            link.dialled = None;
            link.quic.close(now, CLOSED, b"there is another connection".as_slice().into());
        }
        self.hub.connected(now, peer, &mut self.wires);
    }

    /// When both ends dial at once, the connection of the smaller node id stays; both ends see it alike.
    fn has_better(&self, node: NodeId, side: Side) -> bool {
        let me = self.identity.node_id();
        let maker = |side: Side| if side.is_client() { me } else { node };
        let other = self.wires.by_peer.values().filter_map(|handle| self.wires.links.get(handle));
        let other = other.into_iter().find(|link| link.node == Some(node));
        other.is_some_and(|link| {
            let (old, new) = (maker(link.quic.side()), maker(side));
            // The same maker made it anew: it has lost the old one.
            old != new && old < new
        })
    }

    pub fn figures(&mut self, now: Instant) -> Figures {
        Figures {
            peers: self.hub.figures(now, |peer| self.wires.dropped(peer)),
            sent_bytes: self.socket.traffic.sent_bytes,
            received_bytes: self.socket.traffic.received_bytes,
            dropped: self.dropped + self.wires.links.values().map(|link| link.dropped).sum::<u64>(),
            refused: self.refused,
            failovers: self.hub.failovers,
        }
    }

    /// Tells all peers that this is the end.
    pub fn good_bye(&mut self, now: Instant) {
        let all: Vec<ConnectionHandle> = self.wires.links.keys().copied().collect();
        for handle in all {
            if let Some(link) = self.wires.touch(handle) {
                link.quic.close(now, CLOSED, b"the node is stopping".as_slice().into());
            }
        }
        self.drive_dirty(now);
        self.socket.flush();
    }
}
