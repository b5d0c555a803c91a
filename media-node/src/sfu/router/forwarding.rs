//! The way of a packet.

use super::*;

impl Router {
    /// A media packet from a client.
    pub fn packet(&mut self, now: Instant, from: SessionKey, packet: &Packet, out: &mut impl Outbox) {
        if self.sessions.get(from.0).is_some_and(|session| !session.ready) {
            self.ready(now, from, out);
        }
        let Self { sessions, tracks, rooms, .. } = self;
        let Some(sender) = sessions.get_mut(from.0) else { return };
        let size = packet.payload.len();
        sender.heard = now;
        sender.received_packets += 1;
        sender.received_bytes += size as u64;
        let Some((_, track_key)) = sender.up.iter().find(|(mid, _)| *mid == packet.mid).copied() else { return };
        if !sender.uplink.take(now, u32::try_from(size).unwrap_or(u32::MAX)) {
            return;
        }
        let Some(track) = tracks.get_mut(track_key.0) else { return };
        let Some(index) = track.layers.iter().position(|layer| layer.rid == packet.rid) else { return };
        if !track.started {
            track.started = true;
            if !sender.remote
                && let Some(room) = rooms.get(sender.room)
            {
                let occurrence = Occurrence::TrackStarted {
                    track: track.id.clone(),
                    kind: track.kind,
                    layers: track.layers.iter().filter_map(|layer| layer.rid).collect(),
                };
                out.event(Event { room: room.id.clone(), session: Some(sender.id), occurrence });
            }
        }
        let frame = match track.kind {
            Kind::Audio => None,
            Kind::Video => picture::read(now, sessions, track, index, packet, out),
        };
        if !track.shown {
            let flows = track.kind == Kind::Audio || frame.is_some_and(|frame| frame.keyframe);
            self.take_place(now, track_key, (index, flows), out);
        }
        let Self { sessions, tracks, rooms, empty, .. } = self;
        let Some(track) = tracks.get_mut(track_key.0) else { return };
        match track.kind {
            Kind::Audio => {
                if let Some(room) = sessions.get(from.0).and_then(|sender| rooms.get_mut(sender.room)) {
                    sound::forward(now, sessions, room, (track_key, track), packet, out);
                }
            }
            Kind::Video => picture::forward(now, sessions, track, index, (packet, frame), empty, out),
        }
    }

    /// A client asks for a key frame.
    pub fn keyframe_wanted(&mut self, now: Instant, key: SessionKey, mid: Mid, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get(key.0) else { return };
        let Some((_, down)) = session.down.iter().find(|(_, down)| down.mid == mid) else { return };
        let (Some(track), Some(layer)) = (down.track, down.current.or(down.target)) else { return };
        let need = if down.current.is_some() { Need::Repair } else { Need::Picture };
        self.request_keyframe(now, (track, layer), need, out);
    }

    pub(super) fn request_keyframe(
        &mut self,
        now: Instant,
        (track, index): (TrackKey, usize),
        need: Need,
        out: &mut impl Outbox,
    ) {
        let Some(track) = self.tracks.get_mut(track.0) else { return };
        if let Some(layer) = track.layers.get_mut(index)
            && layer.gate.request(now, need, self.strained)
        {
            track.ask(index, out);
        }
    }
}

pub(super) fn source(packet: &Packet, frame: Option<&Frame>) -> Source {
    Source {
        seq: packet.seq,
        timestamp: packet.timestamp,
        arrival: packet.arrival,
        pictures: frame.map(|frame| frame.pictures).unwrap_or_default(),
    }
}

/// How a packet's format goes to a receiver; `None` if its client can't take it.
pub(super) fn wire(
    to: SessionKey,
    down: &mut Down,
    track: &TrackId,
    packet: &Packet,
    out: &impl Outbox,
) -> Option<Wire> {
    if let Some((format, wire)) = down.wire
        && format == packet.format
    {
        return wire;
    }
    let format = packet.format;
    let direct = out.payload_type(to, down.mid, &format);
    let wire = if format.codec == Codec::Red {
        let sent = match format.blocks {
            Some(sent) => sent,
            None => red::primary(&packet.payload)?.payload_type,
        };
        let plain = out.payload_type(to, down.mid, &Format { codec: Codec::Opus, ..format });
        // The blocks inside name the codec by the publisher's number.
        match (direct, plain) {
            (Some(payload_type), Some(plain)) if plain == sent => Some(Wire { payload_type, primary: false }),
            (_, Some(payload_type)) => Some(Wire { payload_type, primary: true }),
            (_, None) => None,
        }
    } else {
        direct.map(|payload_type| Wire { payload_type, primary: false })
    };
    if wire.is_none() {
        tracing::debug!(%track, mid = %down.mid, ?format, "receiver lacks the codec");
    }
    down.wire = Some((format, wire));
    wire
}
