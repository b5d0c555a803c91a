//! Packets and data messages on their way.

use super::*;
use crate::{
    cascade::{
        control::{self, Data},
        datagram::{self, MediaHead},
        pipe::{Received, Target},
    },
    sfu::{
        keyframe::Need,
        packet::{Channel, Packet},
    },
};

impl Hub {
    /// A datagram from a peer.
    pub fn datagram(&mut self, now: Instant, key: PeerKey, datagram: Bytes, out: &mut impl Exits) {
        let Some(pipe) = self.peers.get_mut(key.0).and_then(Peer::pipe) else { return };
        let max = out.max_datagram(key);
        match pipe.receive(now, datagram, max, |answer| out.datagram(key, answer)) {
            Received::Media(target, head, payload) => self.media(now, key, target, &head, payload, out),
            Received::Data(message) => {
                if let Ok(data) = control::read_lossy(&message) {
                    self.message(key, data, out);
                }
            }
            Received::Nothing => {}
        }
    }

    fn media(
        &mut self,
        now: Instant,
        key: PeerKey,
        target: Target,
        head: &MediaHead,
        payload: Bytes,
        out: &mut impl Exits,
    ) {
        let Self { tracks, peers, rooms, .. } = self;
        let Some(track) = tracks.get_mut(&target.track) else { return };
        let index = usize::from(target.layer);
        let Some(layer) = track.layers.get_mut(index) else { return };
        let mut fed = false;
        for feed in [&mut layer.feed, &mut layer.next].into_iter().flatten() {
            if feed.peer == key {
                let (first, highest) = feed.span.unwrap_or((head.seq, head.seq));
                feed.span = Some((first.min(head.seq), highest.max(head.seq)));
                fed = true;
            }
        }
        if !fed {
            return;
        }
        let fresh = layer.window.take(head.seq);
        let mut replaced = None;
        if let (Some(feed), Some(next)) = (layer.feed, layer.next)
            && let Some((first, _)) = next.span
        {
            // The new way has all that the old one brought, or begins with a key frame.
            let meets = feed.span.is_none_or(|(_, highest)| first <= highest + 1);
            if meets || (next.peer == key && head.starts) {
                replaced = layer.feed.take();
                layer.feed = layer.next.take();
            }
        }
        if fresh {
            if head.starts {
                layer.gate.satisfied();
            }
            for (peer, stream) in &layer.outs {
                if *peer != key
                    && let Some(pipe) = peers.get_mut(peer.0).and_then(Peer::pipe)
                {
                    let max = out.max_datagram(*peer);
                    pipe.send(now, *stream, head, &payload, max, |datagram| out.datagram(*peer, datagram));
                }
            }
            if track.interest & tracks::bit(index) != 0
                && let Some(room) = rooms.get(track.room)
            {
                let packet = RemotePacket { handle: target.track, layer: target.layer, head: head.clone(), payload };
                out.packet(room.place, packet);
            }
        }
        if let Some(old) = replaced {
            if let Some(pipe) = peers.get_mut(old.peer.0).and_then(Peer::pipe) {
                pipe.close_incoming(old.stream);
            }
            self.tell(old.peer, &Control::Unsubscribe(old.stream), out);
        }
    }

    /// A packet of a client here, of a layer that is tapped.
    pub(super) fn local_packet(
        &mut self,
        now: Instant,
        handle: Handle,
        layer: u8,
        packet: &Packet,
        starts: bool,
        out: &mut impl Exits,
    ) {
        let Self { tracks, peers, .. } = self;
        let Some(layer) = tracks.get_mut(&handle).and_then(|track| track.layers.get_mut(usize::from(layer))) else {
            return;
        };
        if starts {
            layer.gate.satisfied();
        }
        let head = MediaHead {
            seq: packet.seq & ((1 << 48) - 1),
            timestamp: packet.timestamp,
            marker: packet.marker,
            starts,
            format: packet.format,
            audio_level: packet.audio_level,
            voice: packet.voice,
            descriptor: packet.descriptor.clone(),
            quarter_turns: packet.quarter_turns,
        };
        for (peer, stream) in &layer.outs {
            if let Some(pipe) = peers.get_mut(peer.0).and_then(Peer::pipe) {
                let max = out.max_datagram(*peer);
                pipe.send(now, *stream, &head, &packet.payload, max, |datagram| out.datagram(*peer, datagram));
            }
        }
    }

    /// Someone behind or at this node needs a key frame.
    pub(super) fn want_keyframe(&mut self, now: Instant, handle: Handle, layer: u8, out: &mut impl Exits) {
        let Some(track) = self.tracks.get_mut(&handle).filter(|track| track.kind == Kind::Video) else { return };
        let index = usize::from(layer);
        if track.layers.get_mut(index).is_some_and(|layer| layer.gate.request(now, Need::Picture, false)) {
            self.ask_keyframe(handle, index, out);
        }
    }

    /// Asks one hop up.
    pub(super) fn ask_keyframe(&mut self, handle: Handle, index: usize, out: &mut impl Exits) {
        let Some(track) = self.tracks.get(&handle) else { return };
        let Some(layer) = track.layers.get(index) else { return };
        if track.local {
            if let (Some(room), Ok(place)) = (self.rooms.get(track.room), u8::try_from(index)) {
                out.room(ToRoom::Keyframe(room.id.clone(), track.id.clone(), place));
            }
            return;
        }
        // The way that will stay.
        if let Some(feed) = layer.next.or(layer.feed) {
            self.tell(feed.peer, &Control::Keyframe(feed.stream), out);
        }
    }

    /// A participant here sent a data message.
    pub(super) fn send_message(
        &mut self,
        room: &RoomId,
        participant: ParticipantId,
        channel: Channel,
        data: Bytes,
        out: &mut impl Exits,
    ) {
        let Some(index) = self.by_room.get(room).copied() else { return };
        let Some(known) = self.rooms.get_mut(index) else { return };
        known.number += 1;
        let message = Data { room: room.clone(), origin: self.me, number: known.number, participant, channel, data };
        self.spread(index, None, &message, out);
    }

    /// A data message from a neighbour: to everyone here, and on to the other neighbours.
    pub(super) fn message(&mut self, key: PeerKey, data: Data, out: &mut impl Exits) {
        let Some(index) = self.by_room.get(&data.room).copied() else { return };
        let Some(room) = self.rooms.get_mut(index) else { return };
        if !room.edges.get(&key).is_some_and(|edge| edge.exchanges()) || data.origin == self.me {
            return;
        }
        if !room.seen.contains_key(&data.origin) && room.seen.len() >= limits::MAX_PEERS {
            return;
        }
        if !room.seen.entry(data.origin).or_default().take(data.number) {
            return;
        }
        self.spread(index, Some(key), &data, out);
        out.room(ToRoom::Message(data.room, data.participant, data.channel, data.data));
    }

    fn spread(&mut self, index: usize, from: Option<PeerKey>, message: &Data, out: &mut impl Exits) {
        let Some(room) = self.rooms.get(index) else { return };
        let to: Vec<PeerKey> = room
            .edges
            .iter()
            .filter(|(peer, edge)| edge.exchanges() && Some(**peer) != from)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in to {
            if message.channel == Channel::Lossy {
                let datagram = datagram::data(&control::lossy(message));
                if datagram.len() <= out.max_datagram(peer) {
                    out.datagram(peer, datagram);
                    continue;
                }
            }
            self.tell(peer, &Control::Data(message.clone()), out);
        }
    }
}
