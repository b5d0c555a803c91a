//! One stream towards a client: an m-line that it receives on.

use super::{
    header::Header,
    outgoing::Outgoing,
    protection::Sent,
    resend::{History, Kept},
};
use crate::sfu::{
    codec::Rewritten,
    id::Mid,
    once::Once,
    packet::Kind,
    rtcp::{ReportBlock, SenderInfo},
};
use std::time::{Duration, Instant};

/// Packets that name their m-line: a client that demultiplexes by it (RFC 9143) has learnt the SSRC by then.
const NAMED_PACKETS: u32 = 100;

/// Ids of the header extensions that the client takes on an m-line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtensionIds {
    /// Transport-wide sequence number.
    pub transport_cc: Option<u8>,
    /// Audio level (RFC 6464).
    pub audio_level: Option<u8>,
    /// Video orientation (3GPP TS 26.114).
    pub orientation: Option<u8>,
    /// Absolute send time.
    pub send_time: Option<u8>,
    /// The m-line's id (RFC 9143).
    pub mid: Option<u8>,
    /// Dependency descriptor.
    pub descriptor: Option<u8>,
}

/// What was negotiated for an m-line that the client receives on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineConfig {
    /// The m-line.
    pub mid: Mid,
    /// Sound or pictures.
    pub kind: Kind,
    /// SSRC of the stream.
    pub ssrc: u32,
    /// SSRC of its resends (RFC 4588).
    pub rtx: Option<u32>,
    /// Payload types with those of their resends.
    pub resends: Vec<(u8, u8)>,
    /// The header extensions.
    pub extensions: ExtensionIds,
    /// Canonical name of the source.
    pub cname: String,
}

/// Where the stream's clock stood when.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    timestamp: u32,
    clock_rate: u32,
}

/// A stream towards a client.
#[derive(Debug)]
pub struct Line {
    /// What was negotiated.
    pub config: LineConfig,
    once: Once,
    /// Packets that can be asked for again; of video only.
    history: History,
    rtx_seq: u64,
    mark: Option<Mark>,
    packets: u32,
    octets: u32,
    first: Option<u64>,
    highest: u64,
    lost: i64,
    jitter: Option<Duration>,
}

/// A packet's bytes as they are to be sealed.
pub struct Written<'a> {
    /// The stream that seals it.
    pub ssrc: u32,
    /// Its extended sequence number.
    pub index: u64,
    /// The header's fixed part.
    pub header: Header,
    /// The payload before what is changed in it.
    pub payload: &'a [u8],
    /// What is changed.
    pub pictures: Rewritten,
    /// The sequence number of the packet that this one repeats (RFC 4588 §4).
    pub original: Option<u16>,
    /// Audio level with the voice bit (RFC 6464).
    pub level: Option<u8>,
    /// How the picture is to be turned, in quarter turns clockwise.
    pub turns: Option<u8>,
    /// The dependency descriptor.
    pub descriptor: Option<&'a [u8]>,
}

impl Line {
    /// A stream that nothing was sent on. `random` begins the numbers of its resends.
    pub fn new(config: LineConfig, random: u16) -> Self {
        Self {
            config,
            once: Once::default(),
            history: History::default(),
            rtx_seq: u64::from(random & 0x7FFF),
            mark: None,
            packets: 0,
            octets: 0,
            first: None,
            highest: 0,
            lost: 0,
            jitter: None,
        }
    }

    /// Whether packets still name their m-line.
    pub fn is_new(&self) -> bool {
        self.packets < NAMED_PACKETS
    }

    /// Takes a packet to be sent; `None` if its number was used before.
    pub fn take<'a>(&mut self, now: Instant, packet: &'a Outgoing) -> Option<Written<'a>> {
        if !self.once.take(packet.seq) {
            return None;
        }
        self.first.get_or_insert(packet.seq);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        self.mark = Some(Mark { at: now, timestamp: packet.timestamp, clock_rate: packet.clock_rate });
        let header = Header {
            payload_type: packet.payload_type,
            marker: packet.marker,
            padding: false,
            seq: packet.seq as u16,
            timestamp: packet.timestamp,
            ssrc: self.config.ssrc,
        };
        Some(Written {
            ssrc: self.config.ssrc,
            index: packet.seq,
            header,
            payload: &packet.payload,
            pictures: packet.pictures,
            original: None,
            level: packet.level,
            turns: packet.turns,
            descriptor: packet.descriptor.as_ref().map(|raw| raw.as_bytes()),
        })
    }

    /// Keeps a packet that was sent, if the client may ask for it. Says which one can be sent again unasked.
    pub fn keep(&mut self, now: Instant, packet: Outgoing) -> Option<Sent> {
        if self.config.kind != Kind::Video || self.config.rtx.is_none() {
            return None;
        }
        let (seq, timestamp, bytes) = (packet.seq, packet.timestamp, packet.payload.len());
        let is_beginning = packet.keyframe;
        self.history.keep(now, packet.kept);
        if is_beginning {
            self.history.begin(seq, timestamp);
        }
        Some(Sent { ssrc: self.config.ssrc, seq, bytes, key: self.history.is_key(timestamp) })
    }

    /// Whether a packet that is asked for can't be repaired any more, so that only a key frame helps.
    pub fn is_gone(&mut self, now: Instant, seq: u16) -> bool {
        self.config.rtx.is_some() && self.history.is_gone(now, seq)
    }

    /// The kept packet of this number.
    pub fn sent(&self, seq: u16) -> Option<Sent> {
        let kept = self.history.find(self.history.extended(seq)?)?;
        let key = self.history.is_key(kept.timestamp);
        Some(Sent { ssrc: self.config.ssrc, seq: kept.seq, bytes: kept.payload.len(), key })
    }

    /// A packet once more that nobody asked for.
    pub fn copy(&mut self, seq: u64) -> Option<Written<'_>> {
        let rtx = self.config.rtx?;
        let kept = self.history.find(seq)?;
        Self::resend(&self.config, &mut self.rtx_seq, rtx, kept)
    }

    /// The packet that a client asks for again, on the stream of resends, if the line is allowed its bytes.
    pub fn repeat(
        &mut self,
        now: Instant,
        seq: u16,
        rtt: Option<Duration>,
        allow: impl FnOnce(u16) -> bool,
    ) -> Option<Written<'_>> {
        let rtx = self.config.rtx?;
        let kept = self.history.ask(now, seq, rtt, allow)?;
        Self::resend(&self.config, &mut self.rtx_seq, rtx, kept)
    }

    /// Whether there is a packet to pad with.
    pub fn can_pad(&self) -> bool {
        self.config.rtx.is_some() && self.history.newest().is_some()
    }

    /// The newest packet once more: padding that repairs as well if it was lost.
    pub fn pad(&mut self) -> Option<Written<'_>> {
        let rtx = self.config.rtx?;
        let kept = self.history.newest()?;
        Self::resend(&self.config, &mut self.rtx_seq, rtx, kept)
    }

    fn resend<'a>(config: &LineConfig, rtx_seq: &mut u64, rtx: u32, kept: &'a Kept) -> Option<Written<'a>> {
        let (_, payload_type) = config.resends.iter().find(|(sent, _)| *sent == kept.payload_type)?;
        let index = *rtx_seq;
        *rtx_seq += 1;
        let header = Header {
            payload_type: *payload_type,
            marker: kept.marker,
            padding: false,
            seq: index as u16,
            timestamp: kept.timestamp,
            ssrc: rtx,
        };
        Some(Written {
            ssrc: rtx,
            index,
            header,
            payload: &kept.payload,
            pictures: kept.pictures,
            original: Some(kept.seq as u16),
            level: None,
            turns: kept.turns,
            descriptor: kept.descriptor.as_ref().map(|raw| raw.as_bytes()),
        })
    }

    /// What a sender report says now; nothing before the first packet.
    pub fn report(&self, now: Instant, ntp: u64) -> Option<SenderInfo> {
        let mark = self.mark?;
        let passed = now.saturating_duration_since(mark.at).as_secs_f64() * f64::from(mark.clock_rate);
        Some(SenderInfo {
            ssrc: self.config.ssrc,
            ntp,
            timestamp: mark.timestamp.wrapping_add(passed as u64 as u32),
            packets: self.packets,
            octets: self.octets,
        })
    }

    /// Takes in how the stream arrives: packets that the client expected and that it lost since its report before.
    pub fn reported(&mut self, block: &ReportBlock) -> Option<(u64, u64)> {
        let first = self.first?;
        if let Some(mark) = self.mark {
            self.jitter = Some(Duration::from_secs_f64(f64::from(block.jitter) / f64::from(mark.clock_rate.max(1))));
        }
        if self.highest == 0 {
            self.highest = first.saturating_sub(1);
        }
        // The client counts cycles from its own beginning, as this side does: numbers begin below 2^15.
        let highest = u64::from(block.highest);
        let expected = highest.saturating_sub(self.highest);
        self.highest = self.highest.max(highest);
        let lost = u64::try_from(i64::from(block.lost) - self.lost).unwrap_or(0).min(expected);
        self.lost = self.lost.max(block.lost.into());
        Some((expected, lost))
    }

    /// Interarrival jitter as the client said last.
    pub fn jitter(&self) -> Option<Duration> {
        self.jitter
    }
}
