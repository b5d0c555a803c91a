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
        sender.received_packets += 1;
        sender.received_bytes += size as u64;
        let Some((_, track_key)) = sender.up.iter().find(|(mid, _)| *mid == packet.mid) else { return };
        if !sender.uplink.take(now, u32::try_from(size).unwrap_or(u32::MAX)) {
            return;
        }
        let Some(track) = tracks.get_mut(track_key.0) else { return };
        let Some(index) = track.layers.iter().position(|layer| layer.rid == packet.rid) else { return };
        let Some(layer) = track.layers.get_mut(index) else { return };
        layer.meter.add(now, size);
        let description = match track.kind {
            Kind::Audio => {
                if let Some(level) = packet.audio_level {
                    track.level.update(now, level, packet.voice);
                }
                Description::default()
            }
            Kind::Video => codec::describe(packet.format.codec, &packet.payload),
        };
        if description.keyframe {
            layer.gate.satisfied();
        }
        layer.height = description.height.or(layer.height);
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
        let source = Source {
            seq: packet.seq,
            timestamp: packet.timestamp,
            arrival: packet.arrival,
            pictures: description.pictures,
        };
        let starts = track.kind == Kind::Audio || description.keyframe;
        track.tap(index, packet, starts, out);
        for (receiver, line) in &track.receivers {
            let Some(session) = sessions.get_mut(receiver.0) else { continue };
            if !session.ready {
                continue;
            }
            let Some(down) = session.down.get_mut(*line) else { continue };
            if down.current != Some(index) {
                if down.target != Some(index) || !starts {
                    continue;
                }
                down.current = Some(index);
                down.rewriter.switch(&source);
            }
            let payload_type = match down.payload_type {
                Some((format, payload_type)) if format == packet.format => payload_type,
                _ => {
                    let payload_type = out.payload_type(*receiver, down.mid, &packet.format);
                    down.payload_type = Some((packet.format, payload_type));
                    if payload_type.is_none() {
                        tracing::debug!(track = %track.id, mid = %down.mid, format = ?packet.format, "receiver lacks the codec");
                    }
                    payload_type
                }
            };
            let (Some(payload_type), Some(numbers)) = (payload_type, down.rewriter.rewrite(&source)) else { continue };
            session.sent_packets += 1;
            session.sent_bytes += size as u64;
            out.forward(*receiver, Forward { mid: down.mid, payload_type, numbers, packet });
        }
    }

    /// A client asks for a key frame.
    pub fn keyframe_wanted(&mut self, now: Instant, key: SessionKey, mid: Mid, out: &mut impl Outbox) {
        let Some(session) = self.sessions.get(key.0) else { return };
        let Some((_, down)) = session.down.iter().find(|(_, down)| down.mid == mid) else { return };
        let (Some(track), Some(layer)) = (down.track, down.current.or(down.target)) else { return };
        self.request_keyframe(now, track, layer, out);
    }

    pub(super) fn request_keyframe(&mut self, now: Instant, track: TrackKey, index: usize, out: &mut impl Outbox) {
        let Some(track) = self.tracks.get_mut(track.0) else { return };
        if let Some(layer) = track.layers.get_mut(index)
            && layer.gate.request(now)
        {
            track.ask(index, out);
        }
    }
}
