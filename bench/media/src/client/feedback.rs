//! What a receiver says: reports each second, arrival times ten times a second, and soon what is missing.

use super::{
    address::ClientId,
    receiving::Receiving,
    reception::{NEVER, Reception},
};
use crate::{
    counts::Counts,
    wire::{
        rtcp::{self, MAX_BLOCKS},
        sdp::{Kind, Line},
        srtp::Srtp,
    },
};
use rand::Rng;
use std::time::Duration;

/// Time between receiver reports.
const REPORT: Duration = Duration::from_secs(1);
/// Time between reports of arrival times.
const ARRIVALS: Duration = Duration::from_millis(100);
/// How soon something missing is asked for: packets may overtake each other.
const ASK: Duration = Duration::from_millis(10);

/// The feedback of one client.
pub struct Feedback {
    sender: u32,
    /// Whether arrival times were negotiated.
    wants_arrivals: bool,
    arrivals: Vec<(u16, Duration)>,
    media: u32,
    count: u8,
    next_report: Duration,
    next_arrivals: Duration,
    next_ask: Duration,
}

impl Feedback {
    /// For a client; `lines` are the other side's.
    pub fn new(id: ClientId, lines: &[Line]) -> Self {
        Self {
            sender: id.0 + 1,
            wants_arrivals: lines.iter().any(|line| line.numbers.transport > 0),
            arrivals: Vec::new(),
            media: 0,
            count: 0,
            next_report: NEVER,
            next_arrivals: NEVER,
            next_ask: Duration::ZERO,
        }
    }

    /// Begins; clients are spread over time, as those of the world are.
    pub fn start(&mut self, now: Duration, random: &mut impl Rng) {
        self.next_report = now + REPORT.mul_f64(random.random());
        if self.wants_arrivals {
            self.next_arrivals = now + ARRIVALS.mul_f64(random.random());
        }
    }

    /// When something is due.
    pub fn deadline(&self, receiving: &Receiving) -> Duration {
        let ask = receiving.streams.iter().filter(|stream| is_repaired(stream)).map(Reception::due).min();
        let ask = ask.map_or(NEVER, |due| due.max(self.next_ask));
        let look = receiving.watch.as_ref().map_or(NEVER, super::watch::Watch::due);
        self.next_report.min(self.next_arrivals).min(ask).min(look)
    }

    /// A packet with this transport-wide number arrived.
    pub fn arrived(&mut self, seq: u16, at: Duration, ssrc: u32) {
        self.arrivals.push((seq, at));
        self.media = ssrc;
    }

    /// Sends what is due.
    pub fn poll(
        &mut self,
        now: Duration,
        receiving: &mut Receiving,
        keys: &mut Srtp,
        packet: &mut Vec<u8>,
        counts: &mut Counts,
        send: &mut impl FnMut(&[u8]),
    ) {
        packet.clear();
        if now >= self.next_report {
            self.next_report = now + REPORT;
            for streams in receiving.streams.chunks_mut(MAX_BLOCKS) {
                let blocks: Vec<rtcp::Block> = streams.iter_mut().map(|stream| stream.block(now)).collect();
                rtcp::receiver_report(packet, self.sender, &blocks);
            }
        }
        if now >= self.next_arrivals {
            self.next_arrivals = now + ARRIVALS;
            let first = self.arrivals.first().map_or(0, |(seq, _)| *seq);
            self.arrivals.sort_unstable_by_key(|(seq, _)| seq.wrapping_sub(first) as i16);
            self.arrivals.dedup_by_key(|(seq, _)| *seq);
            rtcp::transport_feedback(packet, self.sender, self.media, self.count, &self.arrivals);
            self.count = self.count.wrapping_add(u8::from(!self.arrivals.is_empty()));
            self.arrivals.clear();
        }
        if now >= self.next_ask && receiving.streams.iter().any(|stream| is_repaired(stream) && now >= stream.due()) {
            self.next_ask = now + ASK;
            for stream in receiving.streams.iter_mut().filter(|stream| is_repaired(stream)) {
                let wanted = stream.ask(now);
                if !wanted.is_empty() {
                    counts.asked += wanted.len() as u64;
                    rtcp::nack(packet, self.sender, stream.ssrc, &wanted);
                }
            }
        }
        if let Some(watch) = receiving.watch.as_mut().filter(|watch| now >= watch.due()) {
            let videos = receiving.streams.iter_mut().filter(|stream| stream.kind == Kind::Video);
            let mut last = None;
            for stream in videos {
                watch.gave_up(stream.take_given_up());
                last = Some(stream.ssrc);
            }
            if watch.ask(now)
                && let Some(ssrc) = last
            {
                rtcp::pli(packet, self.sender, ssrc);
            }
        }
        if !packet.is_empty() && keys.protect_rtcp(packet).is_ok() {
            counts.feedback += 1;
            send(packet);
        }
    }
}

/// Only video is repaired, as was negotiated.
fn is_repaired(stream: &Reception) -> bool {
    stream.kind == Kind::Video
}
