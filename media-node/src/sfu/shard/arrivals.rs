//! What comes in: datagrams of clients, straight or by way of other shards, frames of TCP connections, packets of other nodes.

use super::{Shard, gathering::Gathering, handle::Relayed};
use crate::sfu::{
    binding,
    command::Command,
    engine::{self, Connection, Engine},
    event::CloseReason,
    limits,
    router::SessionKey,
    tcp,
};
use mio::Token;
use std::{net::SocketAddr, time::Instant};

/// Batches that are read before timers get their turn.
const BATCHES_PER_TURN: usize = 8;
/// Frames of TCP connections that are taken in before timers get their turn.
const FRAMES_PER_TURN: usize = 256;
/// Datagrams of other shards' sockets that are taken in before timers get their turn.
const RELAYED_PER_TURN: usize = 256;
/// Packets of other nodes that are taken in before timers get their turn.
const REMOTE_PER_TURN: usize = 1_024;

/// Which way a datagram came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Over this shard's socket.
    Udp,
    /// Over the socket of the shard with this number.
    Relayed(usize),
    /// Over a TCP connection.
    Tcp,
}

impl<E: Engine> Shard<E> {
    /// Reads what the socket has. Whether there may be more.
    pub(super) fn receive(&mut self) -> bool {
        let mut gathering = Gathering::default();
        for _ in 0..BATCHES_PER_TURN {
            match self.ways.udp.receive() {
                Ok(Some(received)) => {
                    let now = Instant::now();
                    for (source, datagram) in received.datagrams() {
                        if gathering.next(source, self.connections.forwarded) {
                            self.drain_dirty(now);
                            self.ways.flush();
                            self.wake_cascade();
                        }
                        self.ways.udp.traffic.received += 1;
                        self.ways.udp.traffic.received_bytes += datagram.len() as u64;
                        self.datagram(now, source, datagram, Way::Udp);
                    }
                    self.ways.udp.recycle(received);
                }
                Ok(None) => return false,
                Err(error) => {
                    tracing::warn!(shard = self.index, %error, "receiving failed");
                    return false;
                }
            }
        }
        true
    }

    /// Takes in what other shards received. Whether there may be more.
    pub(super) fn receive_relayed(&mut self) -> bool {
        for _ in 0..RELAYED_PER_TURN {
            match self.relayed.try_recv() {
                Ok(Relayed::Datagram { via, source, datagram }) => {
                    self.datagram(Instant::now(), source, &datagram, Way::Relayed(via));
                }
                Ok(Relayed::Line(accepted)) => self.ways.tcp.adopt(Instant::now(), accepted),
                Err(_) => return false,
            }
        }
        true
    }

    /// Takes in what came over TCP. Whether there may be more.
    pub(super) fn receive_frames(&mut self) -> bool {
        let mut frame = std::mem::take(&mut self.frame);
        let mut more = true;
        for _ in 0..FRAMES_PER_TURN {
            let Some(tcp::Frame { token, source, is_known }) = self.ways.tcp.read(&mut frame) else {
                more = false;
                break;
            };
            self.ways.udp.traffic.received += 1;
            self.ways.udp.traffic.received_bytes += frame.len() as u64;
            let now = Instant::now();
            if is_known {
                self.datagram(now, source, &frame, Way::Tcp);
            } else {
                self.introduce(now, token, source, &frame);
            }
        }
        self.ways.tcp.rotate();
        self.frame = frame;
        more
    }

    /// Takes in the first frame of a TCP connection: a check of a session, or nothing.
    pub(super) fn introduce(&mut self, now: Instant, token: Token, source: SocketAddr, frame: &[u8]) {
        let is_stun = frame.first().is_some_and(|byte| *byte < 4);
        let ufrag = engine::stun_ufrag(frame).filter(|_| is_stun);
        let key = ufrag.and_then(|ufrag| self.by_ufrag.get(ufrag)).copied();
        let owns =
            |key: &SessionKey| self.connections.get(*key).is_some_and(|slot| slot.connection.owns(source, frame));
        if let Some(shard) = ufrag.and_then(|ufrag| self.named(ufrag)).filter(|_| key.is_none()) {
            if let (Some(peer), Some(accepted)) = (self.peers.get(shard), self.ways.tcp.give(token, frame)) {
                peer.relay(Relayed::Line(accepted));
            }
            return;
        }
        // The same address may be another client's over UDP, behind one translator of addresses.
        let is_free = !self.by_address.contains_key(&source) || self.ways.tcp.has(&source);
        if key.filter(owns).is_some() && is_free && self.ways.tcp.know(token) {
            self.datagram(now, source, frame, Way::Tcp);
        } else {
            self.unknown += 1;
            self.ways.tcp.end(token);
        }
    }

    /// Takes in packets of other nodes. Whether there may be more.
    pub(super) fn receive_remote(&mut self) -> bool {
        let now = Instant::now();
        for _ in 0..REMOTE_PER_TURN {
            let Ok(packet) = self.remote.try_recv() else { return false };
            self.router.remote_packet(now, &packet, &mut self.connections);
        }
        true
    }

    /// Takes in a datagram.
    pub(super) fn datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8], way: Way) {
        if way != Way::Tcp && self.ways.tcp.has(&source) {
            self.unknown += 1;
            return;
        }
        let is_stun = datagram.first().is_some_and(|byte| *byte < 4);
        let known = self.by_address.get(&source).copied();
        let key = if is_stun {
            // An address may have gone over to another session: the user name decides.
            let by_name = engine::stun_ufrag(datagram).and_then(|ufrag| self.by_ufrag.get(ufrag)).copied().or(known);
            by_name.filter(|key| self.connections.get(*key).is_some_and(|slot| slot.connection.owns(source, datagram)))
        } else {
            known
        };
        let Some(key) = key else {
            if way == Way::Udp && self.peers.len() > 1 {
                self.relay(now, source, datagram, is_stun);
            } else {
                self.stranger(now, source, datagram);
            }
            return;
        };
        // Who takes part in one session could take another's address by checks with a forged source: the handshake was at stake there, and a check is not.
        let is_held =
            known.and_then(|other| self.connections.get(other)).is_some_and(|slot| slot.connection.holds(source));
        if is_stun && known != Some(key) && !is_held {
            self.remember(source, key);
        }
        if is_stun
            && let Way::Relayed(via) = way
            && let Some(peer) = self.peers.get(via)
        {
            // Before anything is answered, so that what follows the answer is brought here at once.
            let proven = self.connections.get(key).is_some_and(|slot| slot.connection.holds(source));
            let _ = peer.send(Command::Neighbour(source, self.index, proven));
        }
        let is_up = self.connections.get(key).is_some_and(|slot| slot.up);
        if !is_up && self.connections.forwarded > 0 {
            // A step of a handshake takes as long as sending hundreds of packets.
            self.drain_dirty(now);
            self.ways.flush();
        }
        let joining = (!is_up).then(Instant::now);
        let Some(slot) = self.connections.get_mut(key) else { return };
        match slot.connection.receive(now, source, datagram) {
            Ok(()) => self.drain(now, key),
            Err(fault) => self.close(now, key, CloseReason::EngineFault(fault.0)),
        }
        if let Some(begun) = joining {
            self.joined_for(key, begun.elapsed());
        }
    }

    pub(super) fn remember(&mut self, source: SocketAddr, key: SessionKey) {
        if let Some(old) = self.by_address.insert(source, key)
            && let Some(slot) = self.connections.get_mut(old)
        {
            slot.addresses.retain(|address| *address != source);
        }
        let Some(slot) = self.connections.get_mut(key) else { return };
        slot.addresses.push(source);
        if slot.addresses.len() > limits::MAX_ADDRESSES {
            let oldest = slot.addresses.remove(0);
            self.by_address.remove(&oldest);
            self.ways.tcp.forget(&oldest);
        }
    }

    /// Hands a datagram to the shard of its session: by the prefix of its user name, or by the address once that shard has
    /// vouched for it. (The kernel spreads datagrams over the shards' sockets by address, rooms are spread by name.)
    pub(super) fn relay(&mut self, now: Instant, source: SocketAddr, datagram: &[u8], is_stun: bool) {
        let named = engine::stun_ufrag(datagram).filter(|_| is_stun).and_then(|ufrag| self.named(ufrag));
        // Answers to this side's checks carry no user name.
        let to = named.or_else(|| self.neighbours.shard_of(now, &source));
        match to.and_then(|to| self.peers.get(to)) {
            Some(peer) => {
                peer.relay(Relayed::Datagram { via: self.index, source, datagram: datagram.to_vec() });
            }
            None => self.stranger(now, source, datagram),
        }
    }

    /// A datagram that belongs to no session.
    fn stranger(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        self.unknown += 1;
        // Over TCP the connection itself tells as much.
        if !self.ways.tcp.has(&source)
            && let Some(answer) = binding::answer(source, datagram)
            && self.allowance.take(now)
        {
            self.ways.udp.send(source, answer.as_bytes());
        }
    }

    /// The number of the other shard that a user name belongs to.
    pub(super) fn named(&self, ufrag: &str) -> Option<usize> {
        let index = usize::from_str_radix(ufrag.get(..2)?, 16).ok()?;
        (index != self.index && index < self.peers.len()).then_some(index)
    }
}
