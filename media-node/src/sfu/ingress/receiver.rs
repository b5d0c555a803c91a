//! What one client sends over SRTP: its packets in, to be routed; reports about them out.

use super::{
    arrivals::Arrivals,
    config::{Config, Values},
    header::Header,
    source::{Place, Source, Sources},
};
use crate::sfu::{
    codec::dependency::RawDescriptor,
    id::{Mid, Rid},
    packet::{Kind, Packet},
    rtcp::{self, ReportBlock},
    stats::Uplink,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Between reports on how streams arrive.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Between reports on when packets arrived.
const ARRIVALS_INTERVAL: Duration = Duration::from_millis(50);
/// A compound packet of so many bytes takes nothing more: what is left goes into the next.
const FULL: usize = 600;
/// Report blocks of one receiver report: the count has five bits.
const MAX_BLOCKS: usize = 31;
/// Packets that one NACK asks for at most.
const MAX_ASKED: usize = 60;
/// Longest gap whose packets are asked for: beyond, a source began anew, and what was before is not needed.
const MAX_GAP: u64 = 3_000;
/// SSRC of packets that look for a line's rate, as libwebrtc and the engine have it.
const PROBE: u32 = 0;
/// The orientation's bits for quarter turns (3GPP TS 26.114 §7.4.5).
const ROTATION: u8 = 3;

/// A packet to be opened.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// All of it.
    pub packet: &'a [u8],
    /// Bytes of its header.
    pub header: usize,
    /// Its source.
    pub ssrc: u32,
    /// Its extended sequence number.
    pub index: u64,
}

/// The receiving side of one connection.
#[derive(Debug)]
pub struct Receiver {
    /// This side's SSRC in reports.
    ssrc: u32,
    config: Config,
    sources: Sources,
    arrivals: Arrivals,
    /// The source of the packet that came last.
    last: u32,
    next_report: Option<Instant>,
    next_arrivals: Option<Instant>,
    /// When something that is missing is to be asked for, or before.
    next_ask: Option<Instant>,
    /// Sources whose clients are to be asked for a key frame.
    keyframes: Vec<u32>,
    /// What the client may send, in bit/s, if it wasn't told yet.
    limit: Option<u64>,
    /// How all of it arrives, up to the last report.
    uplink: Uplink,
}

impl Receiver {
    /// Nothing is negotiated yet. `ssrc` is this side's in reports.
    pub fn new(now: Instant, ssrc: u32) -> Self {
        Self {
            ssrc,
            config: Config::default(),
            sources: Sources::new(now),
            arrivals: Arrivals::new(now),
            last: 0,
            next_report: None,
            next_arrivals: None,
            next_ask: None,
            keyframes: Vec::new(),
            limit: None,
            uplink: Uplink::default(),
        }
    }

    /// Takes over what was negotiated.
    pub fn learn(&mut self, config: Config) {
        self.config = config;
        let config = &self.config;
        self.sources.rest(|mid| config.line(mid).is_some());
    }

    /// Takes in a datagram of SRTP. `open` authenticates and deciphers it. Returns the packet if it is media that did not come before.
    pub fn receive(
        &mut self,
        now: Instant,
        datagram: &[u8],
        open: impl FnOnce(Sealed<'_>) -> Option<Arc<[u8]>>,
    ) -> Option<Packet> {
        let header = Header::parse(datagram)?;
        let index = self.sources.index(header.ssrc, header.seq)?;
        let sealed = Sealed { packet: datagram, header: header.length, ssrc: header.ssrc, index };
        let payload = open(sealed)?;
        let values = self.config.values(&header);
        let source = self.sources.of(now, header.ssrc)?;
        let (next, bound) = (source.take(index), source.place);
        if let Some(seq) = values.transport_seq {
            self.last = header.ssrc;
            self.arrivals.arrived(now, seq);
            if self.arrivals.is_fresh() {
                self.next_arrivals.get_or_insert(now + ARRIVALS_INTERVAL);
            }
        }
        // Packets of no stream, by which senders look for a line's rate before they have media.
        if header.ssrc == PROBE {
            return None;
        }
        let place = self.place(&header, &values, bound)?;
        if place.repairs {
            let payload = if header.padding { unpadded(&payload)? } else { &payload };
            return self.repaired(now, &header, &values, place, payload);
        }
        // Before anything is said against the packet: its number has come.
        self.came(now, &header, place, next, index)?;
        let payload = if header.padding { unpadded(&payload)?.into() } else { payload };
        self.packet(now, &header, &values, (place, header.payload_type, index), payload)
    }

    /// The place of a packet's source, which may be another one from now on.
    fn place(&mut self, header: &Header<'_>, values: &Values<'_>, bound: Option<Place>) -> Option<Place> {
        if bound.is_some() && !values.has_mid() {
            return bound;
        }
        let found = place_of(&self.config, header, values);
        // Padding among resends may have the payload type of media.
        let found =
            found.filter(|found| found.rid.is_some() || bound.is_none_or(|bound| found.repairs == bound.repairs));
        match found.filter(|_| found != bound) {
            Some(place) => {
                self.sources.bind(header.ssrc, place);
                found
            }
            None => bound,
        }
    }

    /// Takes note of a packet as its source sent it. Those from `next` on didn't come before it.
    fn came(&mut self, now: Instant, header: &Header<'_>, place: Place, next: u64, index: u64) -> Option<()> {
        let kind = self.config.line(place.mid)?.kind;
        let source = self.sources.get(header.ssrc)?;
        if let Some(format) = self.config.format(header.payload_type) {
            source.reception.arrived(now, index, header.timestamp, format.clock_rate);
            self.next_report.get_or_insert(now + REPORT_INTERVAL);
        }
        note_gap(&mut self.next_ask, source, kind, now, next, index);
        Some(())
    }

    /// A packet that repeats one of another source (RFC 4588 §4): if that didn't come, it comes so.
    fn repaired(
        &mut self,
        now: Instant,
        header: &Header<'_>,
        values: &Values<'_>,
        place: Place,
        payload: &[u8],
    ) -> Option<Packet> {
        // Padding has nothing in it.
        let (original, payload) = payload.split_first_chunk::<2>()?;
        let payload_type = self.config.repaired(header.payload_type)?;
        let kind = self.config.line(place.mid)?.kind;
        let place = Place { repairs: false, ..place };
        let source = self.sources.at(place)?;
        let index = source.index(u16::from_be_bytes(*original))?;
        let next = source.take(index);
        note_gap(&mut self.next_ask, source, kind, now, next, index);
        self.packet(now, header, values, (place, payload_type, index), payload.into())
    }

    fn packet(
        &self,
        now: Instant,
        header: &Header<'_>,
        values: &Values<'_>,
        (place, payload_type, seq): (Place, u8, u64),
        payload: Arc<[u8]>,
    ) -> Option<Packet> {
        Some(Packet {
            mid: place.mid,
            rid: place.rid,
            format: self.config.format(payload_type)?,
            seq,
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
            audio_level: values.level.map(|level| level & 0x7F),
            voice: values.level.map(|level| level & 0x80 != 0),
            descriptor: values.descriptor.and_then(RawDescriptor::new).map(Arc::new),
            quarter_turns: values.orientation.map(|bits| bits & ROTATION),
            arrival: now,
        })
    }

    /// A source's sender report came: the middle 32 bits of its NTP timestamp.
    pub fn sender_report(&mut self, now: Instant, ssrc: u32, middle: u32) {
        if let Some(source) = self.sources.get(ssrc) {
            source.reception.sender_report(now, middle);
        }
    }

    /// How what the client sends arrives, up to the last report on it.
    pub fn uplink(&self) -> Uplink {
        self.uplink
    }

    /// Asks the client for a key frame of a layer; of one of which nothing came, nothing can be asked.
    pub fn request_keyframe(&mut self, mid: Mid, rid: Option<Rid>) {
        if self.config.line(mid).is_none() {
            return;
        }
        let source = self.sources.at(Place { mid, rid, repairs: false });
        if let Some(ssrc) = source.map(|source| source.ssrc)
            && !self.keyframes.contains(&ssrc)
        {
            self.keyframes.push(ssrc);
        }
    }

    /// Tells the client how much it may send in all.
    pub fn limit(&mut self, kbps: u32) {
        self.limit = Some(u64::from(kbps) * 1_000);
    }

    /// When [`Receiver::report`] has something to say; `None`: not before something comes.
    pub fn next_at(&self, now: Instant) -> Option<Instant> {
        let at_once = (!self.keyframes.is_empty() || self.limit.is_some()).then_some(now);
        [at_once, self.next_report, self.next_arrivals, self.next_ask].into_iter().flatten().min()
    }

    /// Appends a compound packet of what is due, if anything is. There may be more: [`Receiver::next_at`] says.
    pub fn report(&mut self, now: Instant, rtt: Option<Duration>, out: &mut Vec<u8>) {
        if self.next_at(now).is_none_or(|at| at > now) {
            return;
        }
        let start = out.len();
        // A compound packet begins with one, if it says something or not (RFC 3550 §6.1).
        let blocks = self.blocks(now);
        rtcp::write_receiver_report(self.ssrc, &blocks, out);
        let head = out.len();
        self.rest_of_report(now, rtt, out);
        if blocks.is_empty() && out.len() == head {
            out.truncate(start);
        }
    }

    fn rest_of_report(&mut self, now: Instant, rtt: Option<Duration>, out: &mut Vec<u8>) {
        if let Some(rate) = self.limit.take() {
            let sources: Vec<u32> = self.sources.media().map(|source| source.ssrc).take(MAX_BLOCKS).collect();
            rtcp::write_estimate(self.ssrc, rate, &sources, out);
        }
        while let Some(ssrc) = self.keyframes.pop() {
            rtcp::write_picture_loss(self.ssrc, ssrc, out);
            if out.len() > FULL {
                return;
            }
        }
        if self.next_ask.is_some_and(|at| at <= now) {
            self.ask(now, rtt, out);
        }
        if out.len() <= FULL && self.next_arrivals.is_some_and(|at| at <= now) {
            self.arrivals.write(self.ssrc, self.last, out);
            self.next_arrivals = self.arrivals.is_fresh().then_some(now);
        }
    }

    fn blocks(&mut self, now: Instant) -> Vec<ReportBlock> {
        if self.next_report.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let (mut blocks, mut jitter) = (Vec::new(), Duration::ZERO);
        let fresh = self.sources.media().filter(|source| source.reception.is_fresh());
        for source in fresh.take(MAX_BLOCKS) {
            let (expected, lost) = source.reception.since();
            self.uplink.expected += expected;
            self.uplink.lost += lost;
            jitter += source.reception.jitter();
            blocks.push(source.reception.report(now, source.ssrc));
        }
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        self.uplink.jitter = jitter.checked_div(count).or(self.uplink.jitter);
        // What pauses is told of no more, until it goes on.
        let next = if blocks.len() < MAX_BLOCKS { now + REPORT_INTERVAL } else { now };
        self.next_report = (!blocks.is_empty()).then_some(next);
        blocks
    }

    fn ask(&mut self, now: Instant, rtt: Option<Duration>, out: &mut Vec<u8>) {
        for source in self.sources.media().filter(|source| source.missing.due().is_some_and(|at| at <= now)) {
            if out.len() > FULL {
                break;
            }
            let asked = source.missing.ask(now, rtt, MAX_ASKED);
            if !asked.is_empty() {
                rtcp::write_nack(self.ssrc, source.ssrc, &asked, out);
            }
        }
        self.next_ask = self.sources.media().filter_map(|source| source.missing.due()).min();
    }
}

/// Notes what is missing before a packet that came, or that it is missing no more. Sound isn't repaired: it would come too late.
fn note_gap(next_ask: &mut Option<Instant>, source: &mut Source, kind: Kind, now: Instant, next: u64, index: u64) {
    if kind != Kind::Video {
        return;
    }
    if index < next {
        source.missing.came(now, index);
    } else if index - next > MAX_GAP {
        source.missing.clear();
    } else if index > next {
        source.missing.skipped(now, next, index);
        if let Some(due) = source.missing.due() {
            *next_ask = Some(next_ask.map_or(due, |at| at.min(due)));
        }
    }
}

/// The place of a source by what its packet and the negotiation say (RFC 9143 §9.2, RFC 8852 §3). The packet is authentic.
fn place_of(config: &Config, header: &Header<'_>, values: &Values<'_>) -> Option<Place> {
    let resends = config.repaired(header.payload_type).is_some();
    if !resends && config.format(header.payload_type).is_none() {
        return None;
    }
    let named = config.named(header.ssrc);
    let resends = resends || named.is_some_and(|(_, resends)| resends);
    if let Some(mid) = values.mid() {
        let place = match (values.repaired_rid(), values.rid()) {
            (Some(repaired), None) => Place { mid, rid: Some(repaired), repairs: true },
            (_, rid) => Place { mid, rid, repairs: resends },
        };
        return config.line(mid)?.has(place.rid).then_some(place);
    }
    named.map(|(line, repairs)| Place { mid: line.mid, rid: None, repairs })
}

/// A payload without the padding behind it (RFC 3550 §5.1); `None` if there is more of it than payload.
fn unpadded(payload: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(payload.last().copied().unwrap_or(0));
    payload.get(..payload.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests;
