//! The way of a packet of sound.

use super::{
    forwarding::{source, wire},
    *,
};

/// Whether a voice is among those that are heard. All are, where there are few; and who doesn't tell how loud it is can't be chosen from.
fn is_heard(now: Instant, room: &mut Room, key: TrackKey, track: &mut Track, packet: &Packet) -> bool {
    let Some(loudness) = packet.audio_level else { return true };
    track.level.update(now, loudness, packet.voice);
    if room.voices <= room.audible.places() || !track.is_voice() {
        return true;
    }
    track.place = room.audible.offer(now, key, track.level.speaking(now), track.place);
    track.place.is_some()
}

pub(super) fn forward(
    now: Instant,
    sessions: &mut Slab<Session>,
    room: &mut Room,
    (key, track): (TrackKey, &mut Track),
    packet: &Packet,
    out: &mut impl Outbox,
) {
    // Other nodes choose by themselves whom they hear.
    remote::tap(track.tap, 0, packet, true, out);
    let heard = is_heard(now, room, key, track, packet);
    // Numbers go on where they were, the timestamp by the time that passed.
    let was_heard = std::mem::replace(&mut track.heard, heard);
    if !heard {
        return;
    }
    let resumed = !was_heard;
    let Track { layers, receivers, id, .. } = track;
    if let Some(layer) = layers.first_mut() {
        layer.stream.count(now, packet.payload.len());
    }
    let source = source(packet, None);
    // Without the frames of before, for those who don't know redundant audio; made once, for the first of them.
    let mut primary: Option<Arc<[u8]>> = None;
    for (receiver, line) in receivers.iter() {
        let Some(session) = sessions.get_mut(receiver.0).filter(|session| session.ready) else { continue };
        let Some(down) = session.down.get_mut(*line) else { continue };
        if resumed || down.current != Some(0) {
            down.current = Some(0);
            down.rewriter.switch(&source);
        }
        let Some(Wire { payload_type, primary: alone }) = wire(*receiver, down, id, packet, out) else { continue };
        let payload = if !alone {
            &packet.payload
        } else if let Some(found) = red::primary(&packet.payload)
            && packet.format.blocks.is_none_or(|blocks| blocks == found.payload_type)
        {
            primary.get_or_insert_with(|| packet.payload.get(found.range).unwrap_or_default().into())
        } else {
            continue;
        };
        let Some(numbers) = down.rewriter.rewrite(&source) else { continue };
        session.sent_packets += 1;
        session.sent_bytes += payload.len() as u64;
        // Who is heard again begins to speak (RFC 7587, section 4.1).
        let (mid, marker) = (down.mid, packet.marker || resumed);
        let (descriptor, keyframe) = (None, false);
        out.forward(*receiver, Forward { mid, payload_type, numbers, marker, payload, descriptor, keyframe, packet });
    }
}
