//! The way of a packet of video.

use super::{
    forwarding::{source, wire},
    *,
};

/// Takes in a packet's frame, and gives the packet to pipes.
pub(super) fn read(
    now: Instant,
    sessions: &mut Slab<Session>,
    track: &mut Track,
    index: usize,
    packet: &Packet,
    out: &mut impl Outbox,
) -> Option<Frame> {
    let Track { layers, receivers, tap, .. } = track;
    let layer = layers.get_mut(index)?;
    // A stream that comes up again, or shows more layers, is to be chosen from at once.
    let (version, was_alive) = (layer.stream.version(), layer.stream.alive(now));
    // Padding has no frame; nor has, for now, what builds on a structure that is still missing.
    let frame = if packet.payload.is_empty() { None } else { layer.stream.read(now, packet) };
    remote::tap(*tap, index, packet, frame.is_some_and(|frame| frame.keyframe), out);
    if !was_alive || layer.stream.version() != version {
        for (receiver, _) in receivers.iter() {
            if let Some(session) = sessions.get_mut(receiver.0) {
                session.stale_choice = true;
            }
        }
    }
    frame
}

/// Gives a packet, with what [`read`] found in it, to the receivers here.
pub(super) fn forward(
    now: Instant,
    sessions: &mut Slab<Session>,
    track: &mut Track,
    index: usize,
    (packet, frame): (&Packet, Option<Frame>),
    empty: &Arc<[u8]>,
    out: &mut impl Outbox,
) {
    let Track { layers, receivers, id, .. } = track;
    let Some(layer) = layers.get_mut(index) else { return };
    let mut delivery = Delivery { sessions, receivers, id, index, began: None, empty };
    delivery.hand_out(&layer.stream, packet, frame.as_ref(), out);
    if !frame.is_some_and(|frame| frame.keyframe) {
        if layer.gate.is_open() {
            layer.waiting.push(packet.clone());
        }
        return;
    }
    layer.gate.satisfied();
    // The beginning of a key frame may come last, repaired: then the rest of it is here already, for those who begin with it.
    delivery.began = Some(packet.seq);
    for later in layer.waiting.after(packet.seq) {
        let frame = if later.payload.is_empty() { None } else { layer.stream.read(now, &later) };
        delivery.hand_out(&layer.stream, &later, frame.as_ref(), out);
    }
}

/// What a packet's way to each receiver depends on.
struct Delivery<'a> {
    sessions: &'a mut Slab<Session>,
    receivers: &'a [(SessionKey, usize)],
    id: &'a TrackId,
    index: usize,
    /// Only for those who began the stream with this packet.
    began: Option<u64>,
    empty: &'a Arc<[u8]>,
}

impl Delivery<'_> {
    fn hand_out(&mut self, stream: &Stream, packet: &Packet, frame: Option<&Frame>, out: &mut impl Outbox) {
        let source = source(packet, frame);
        for (receiver, line) in self.receivers {
            let Some(session) = self.sessions.get_mut(receiver.0).filter(|session| session.ready) else { continue };
            let Some(down) = session.down.get_mut(*line) else { continue };
            if self.began.is_some() && (down.began != self.began || down.current != Some(self.index)) {
                continue;
            }
            if down.current != Some(self.index) {
                let Some(first) = frame.filter(|frame| frame.keyframe && down.target == Some(self.index)) else {
                    continue;
                };
                down.current = Some(self.index);
                down.began = Some(packet.seq);
                down.rewriter.switch(&source);
                down.selector.begin(down.quality);
                if let Some(number) = &first.number {
                    down.numbering.switch(number);
                }
            }
            if down.rewriter.is_restart(&source) {
                down.selector.restart();
                if let Some(number) = frame.and_then(|frame| frame.number.as_ref()) {
                    down.numbering.switch(number);
                }
            }
            let Some(Wire { payload_type, .. }) = wire(*receiver, down, self.id, packet, out) else { continue };
            let verdict = frame
                .map_or(Verdict::LeaveOut, |frame| down.selector.judge(stream, frame, packet.timestamp, packet.marker));
            let mid = down.mid;
            let Verdict::Forward { marker, active } = verdict else {
                let closing = packet.format.codec == Codec::Vp8;
                if let Some(numbers) = down.rewriter.leave_out(&source, closing) {
                    session.sent_packets += 1;
                    let (payload, marker, keyframe, descriptor) = (self.empty, false, false, None);
                    let forward = Forward { mid, payload_type, numbers, marker, payload, descriptor, keyframe, packet };
                    out.forward(*receiver, forward);
                }
                continue;
            };
            let Some(numbers) = down.rewriter.rewrite(&source) else { continue };
            let number = frame.and_then(|frame| frame.number);
            let changed = match (&packet.descriptor, number) {
                (Some(raw), Some(number)) => {
                    let told = active.and_then(|active| stream.with_active(raw, active));
                    let renumbered = down.numbering.rewrite(told.as_ref().unwrap_or(raw), &number);
                    renumbered.or(told).map(Arc::new)
                }
                _ => None,
            };
            session.sent_packets += 1;
            session.sent_bytes += packet.payload.len() as u64;
            let descriptor = changed.as_ref().or(packet.descriptor.as_ref());
            let (payload, keyframe) = (&packet.payload, frame.is_some_and(|frame| frame.keyframe));
            out.forward(
                *receiver,
                Forward { mid, payload_type, numbers, marker, payload, descriptor, keyframe, packet },
            );
        }
    }
}
