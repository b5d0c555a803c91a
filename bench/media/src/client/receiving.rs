//! All that a client receives: packets told apart by their clear headers, a sample opened to see that it is the right content.

use super::{
    decoder::Part,
    feedback::Feedback,
    publication::HEAD,
    reception::{Arrival, Patience, Reception},
    vp8,
    watch::{Class, Watch},
    world::{Out, World},
};
use crate::{
    model::line::Line,
    wire::{
        be16,
        rtp::Header,
        sdp::{Kind, Line as MediaLine},
        srtp::Srtp,
        stamp::Stamp,
    },
};
use std::time::Duration;

/// Of so many packets of a stream one is opened. A power of two, so that it is told from a number's low bits.
const SAMPLE: u64 = 64;
/// Bandwidth is probed on this stream where no other can be padded.
const PROBE: u32 = 0;
/// Most streams of one client.
const MAX_STREAMS: usize = 256;

/// What a payload type stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Media(Kind),
    Resent,
}

/// The receiving half.
pub struct Receiving {
    uses: Vec<(u8, Use)>,
    transport_id: Option<u8>,
    /// Retransmission streams with the streams that they repair.
    repairs: Vec<(u32, u32)>,
    /// All media streams.
    pub streams: Vec<Reception>,
    resent: Vec<Reception>,
    downlink: Line,
    patience: Patience,
    /// Who notes what comes, if anyone does.
    pub watch: Option<Watch>,
    has_media: bool,
}

impl Receiving {
    /// For what the other side's description says that it sends.
    pub fn new(lines: &[MediaLine], downlink: Line, patience: Patience, watch: Option<Watch>) -> Self {
        let mut uses = Vec::new();
        for line in lines {
            uses.push((line.numbers.payload_type, Use::Media(line.kind)));
            if line.numbers.rtx > 0 {
                uses.push((line.numbers.rtx, Use::Resent));
            }
        }
        uses.sort_unstable_by_key(|(payload_type, _)| *payload_type);
        uses.dedup_by_key(|(payload_type, _)| *payload_type);
        let repairs = lines.iter().filter_map(|line| match line.ssrcs.as_slice() {
            [media, repair] => Some((*repair, *media)),
            _ => None,
        });
        Self {
            uses,
            transport_id: lines.iter().map(|line| line.numbers.transport).find(|id| *id > 0),
            repairs: repairs.collect(),
            streams: Vec::new(),
            resent: Vec::new(),
            downlink,
            patience,
            watch,
            has_media: false,
        }
    }

    /// Takes in an RTP packet. Whether it was the first of all.
    pub(super) fn packet<O: Out>(
        &mut self,
        packet: &mut [u8],
        arrived: u64,
        keys: &Srtp,
        feedback: &mut Feedback,
        world: &mut World<'_, O>,
    ) -> bool {
        world.counts.datagrams += 1;
        world.counts.bytes += packet.len() as u64;
        let read = Header::read(packet, self.transport_id);
        let Some(header) = read else {
            world.counts.unknown += 1;
            return false;
        };
        if self.downlink.loses(world.random) {
            world.counts.injected += 1;
            return false;
        }
        if let Some(seq) = header.transport_seq {
            feedback.arrived(seq, Duration::from_nanos(arrived), header.ssrc);
        }
        // The probing stream, and padding: they have no content.
        if header.ssrc == PROBE || header.padded {
            world.counts.padding += 1;
            self.padding(packet.len(), &header, world.at(arrived));
            return false;
        }
        match self.uses.iter().find(|(payload_type, _)| *payload_type == header.payload_type) {
            Some((_, Use::Media(kind))) => {
                let kind = *kind;
                self.media(packet, &header, kind, arrived, keys, world);
                !std::mem::replace(&mut self.has_media, true)
            }
            Some((_, Use::Resent)) => {
                self.repair(packet, &header, arrived, keys, world);
                false
            }
            None => {
                world.counts.unknown += 1;
                false
            }
        }
    }

    fn media<O: Out>(
        &mut self,
        packet: &mut [u8],
        header: &Header,
        kind: Kind,
        arrived: u64,
        keys: &Srtp,
        world: &mut World<'_, O>,
    ) {
        let (at, bytes) = (world.at(arrived), packet.len());
        let Some(stream) = stream(&mut self.streams, header, kind, self.patience) else { return };
        let index = stream.extend(header.seq);
        let arrival = stream.take(index, world.since);
        if let Some(watch) = &mut self.watch {
            watch.bytes(at, bytes, arrival.class());
        }
        match arrival {
            Arrival::New => world.counts.received += 1,
            Arrival::Late => world.counts.late += 1,
            Arrival::Duplicate => {
                world.counts.duplicates += 1;
                return;
            }
        }
        stream.time(Duration::from_nanos(arrived), header.timestamp);
        let unbound = stream.is_to_be_bound(world.since);
        if self.watch.is_some() || unbound || index % SAMPLE == 0 {
            let payload = keys.open_rtp(packet, header.len, header.ssrc, index).ok();
            match payload.as_deref().and_then(|payload| Some((Stamp::read(payload, HEAD)?, payload))) {
                Some((stamp, payload)) => {
                    world.counts.opened += 1;
                    stream.bound = Some((stamp.source, stamp.number.wrapping_sub(index as u32)));
                    if let Some(watch) = &mut self.watch {
                        show(watch, stream, at, index, (header, stamp, payload));
                    }
                }
                None => world.counts.corrupt += 1,
            }
        }
        let sent =
            stream.bound.and_then(|(source, shift)| world.sources.sent_at(source, shift.wrapping_add(index as u32)));
        match sent {
            Some(sent) => world.counts.delays.add(Duration::from_nanos(arrived.saturating_sub(sent))),
            None => world.counts.untimed += 1,
        }
    }

    fn repair<O: Out>(
        &mut self,
        packet: &mut [u8],
        header: &Header,
        arrived: u64,
        keys: &Srtp,
        world: &mut World<'_, O>,
    ) {
        let (at, bytes) = (world.at(arrived), packet.len());
        let class = self.repaired(packet, header, at, keys, world);
        if let Some(watch) = &mut self.watch {
            watch.bytes(at, bytes, class);
        }
    }

    fn repaired<O: Out>(
        &mut self,
        packet: &mut [u8],
        header: &Header,
        at: Duration,
        keys: &Srtp,
        world: &mut World<'_, O>,
    ) -> Class {
        let Some(resent) = stream(&mut self.resent, header, Kind::Video, self.patience) else { return Class::Padding };
        let index = resent.extend(header.seq);
        if resent.take(index, world.since) == Arrival::Duplicate {
            world.counts.duplicates += 1;
            return Class::Padding;
        }
        let Ok(payload) = keys.open_rtp(packet, header.len, header.ssrc, index) else {
            world.counts.corrupt += 1;
            return Class::Padding;
        };
        let media = self.repairs.iter().find(|(repair, _)| *repair == header.ssrc).map(|(_, media)| *media);
        let stream = self.streams.iter_mut().find(|stream| Some(stream.ssrc) == media);
        let original = be16(payload, 0).zip(payload.get(2..).filter(|payload| !payload.is_empty()));
        if let (Some((original, payload)), Some(stream)) = (original, stream) {
            let index = stream.extend(original);
            if stream.repair(index, world.since) {
                world.counts.late += 1;
                if let (Some(watch), Some(stamp)) = (&mut self.watch, Stamp::read(payload, HEAD)) {
                    show(watch, stream, at, index, (header, stamp, payload));
                }
                return Class::Repair;
            }
        }
        world.counts.padding += 1;
        Class::Padding
    }

    /// Padding in a media stream has a number there.
    fn padding(&mut self, bytes: usize, header: &Header, at: Duration) {
        let Some(watch) = &mut self.watch else { return };
        watch.bytes(at, bytes, Class::Padding);
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == header.ssrc) {
            let index = stream.extend(header.seq);
            if stream.take(index, at) != Arrival::Duplicate {
                watch.empty(at, index);
            }
        }
    }

    /// Notes a sender report.
    pub(super) fn reported(&mut self, ssrc: u32, time: u32, now: Duration) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) {
            stream.reported(time, now);
        }
    }
}

impl Arrival {
    fn class(self) -> Class {
        match self {
            Arrival::New => Class::Media,
            Arrival::Late => Class::Repair,
            Arrival::Duplicate => Class::Padding,
        }
    }
}

/// Gives a packet of video to the watch.
fn show(watch: &mut Watch, stream: &mut Reception, at: Duration, index: u64, packet: (&Header, Stamp, &[u8])) {
    let (header, stamp, payload) = packet;
    let Some((begins, key)) = vp8::read(payload).filter(|_| stream.kind == Kind::Video) else { return };
    let part = Part { begins, ends: header.marker, key, timestamp: header.timestamp, layer: 0 };
    if let Some(next) = watch.part(at, index, stamp.source, part) {
        stream.forget_before(next);
    }
}

fn stream<'a>(
    streams: &'a mut Vec<Reception>,
    header: &Header,
    kind: Kind,
    patience: Patience,
) -> Option<&'a mut Reception> {
    let at = match streams.iter().position(|stream| stream.ssrc == header.ssrc) {
        Some(at) => at,
        None if streams.len() < MAX_STREAMS => {
            streams.push(Reception::new(header.ssrc, kind, header.seq, patience));
            streams.len() - 1
        }
        None => return None,
    };
    streams.get_mut(at)
}
