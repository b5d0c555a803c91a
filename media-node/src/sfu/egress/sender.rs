//! Everything that one client is sent over SRTP: its streams, their resends, and all reports.

use super::{
    keys::KeySlot,
    line::{Line, LineConfig},
    outgoing::{self, Outgoing},
    probing::Probing,
    protection::Protection,
    seal::Seal,
    srtp::Srtp,
};
use crate::sfu::{
    congestion::{Config, Controller, Feedback as Arrivals, Rate, Resends},
    engine::{Exit, PathReport},
    headroom::Reading,
    id::Mid,
    ingress::Sealed,
    packet::Forward,
    rtcp::{self, Feedback},
};
use rand::Rng;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use str0m::crypto::CryptoProvider;

/// Between sender reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Seconds from the NTP era's beginning to the Unix epoch.
const NTP_UNIX: u64 = 2_208_988_800;
/// Most packets that one NACK packet may ask for; a client that lost more needs a key frame.
const MAX_ASKED: usize = 256;
/// Largest compound packet of this side, in bytes, before it is sealed.
const MAX_REPORT: usize = 1_100;

/// What a client's line is taken to carry before anything is known: sound and a few small pictures, and little enough not to flood a slow one.
const FIRST_ESTIMATE: Rate = Rate::kbps(1_500);
/// Padding that leaves in one turn: timers are coarser than packets at high rates.
const MAX_PADDING: usize = 32;

/// The sending side of one connection.
#[derive(Debug)]
pub struct Sender {
    provider: Arc<CryptoProvider>,
    keys: KeySlot,
    srtp: Option<Srtp>,
    lines: Vec<Line>,
    /// Mid and SSRC of each of those: they alone are looked through for each packet.
    places: Vec<(Mid, u32)>,
    transport_seq: u16,
    /// NTP time at `began`.
    ntp: u64,
    began: Instant,
    next_report: Instant,
    controller: Controller,
    probing: Option<Probing>,
    resends: Resends,
    protection: Protection,
    /// The controller is to be looked at.
    next_look: Instant,
    /// The client wants more than it gets, or may.
    wants: bool,
    /// What of the line was told last.
    told: Option<Reading>,
    /// M-lines of which the client needs a key frame.
    wanted: Vec<Mid>,
    rtt: Option<Duration>,
    expected: u64,
    lost: u64,
    /// Media that waits to be sealed.
    queue: Vec<Outgoing>,
    /// Reports, resends and padding: sealed datagrams that wait to be drained, one after another, and where each ends.
    ready: Vec<u8>,
    ends: Vec<usize>,
    /// Kept between packets, so that none allocates.
    report: Vec<u8>,
}

impl Sender {
    /// A sender whose keys will be in `keys`.
    pub fn new(provider: Arc<CryptoProvider>, keys: KeySlot, now: Instant, wall: SystemTime) -> Self {
        let unix = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let ntp = fixed_point(unix).wrapping_add(NTP_UNIX << 32);
        Self {
            provider,
            keys,
            srtp: None,
            lines: Vec::new(),
            places: Vec::new(),
            transport_seq: 0,
            ntp,
            began: now,
            next_report: now,
            controller: Controller::new(Config { start: FIRST_ESTIMATE, ..Config::default() }),
            probing: None,
            resends: Resends::new(),
            protection: Protection::default(),
            next_look: now,
            wants: false,
            told: None,
            wanted: Vec::new(),
            rtt: None,
            expected: 0,
            lost: 0,
            queue: Vec::new(),
            ready: Vec::new(),
            ends: Vec::new(),
            report: Vec::new(),
        }
    }

    /// Takes over what was negotiated. A stream of the same SSRC goes on where it is; one that is gone is forgotten.
    pub fn learn(&mut self, configs: Vec<LineConfig>) {
        let mut old = std::mem::take(&mut self.lines);
        for config in configs {
            let known = old.iter().position(|line| line.config.ssrc == config.ssrc);
            let line = match known {
                Some(at) => {
                    let mut line = old.swap_remove(at);
                    line.config = config;
                    line
                }
                None => Line::new(config, rand::rng().random()),
            };
            self.lines.push(line);
        }
        self.places = self.lines.iter().map(|line| (line.config.mid, line.config.ssrc)).collect();
    }

    /// The SSRC that the client receives on an m-line.
    pub fn ssrc(&self, mid: Mid) -> Option<u32> {
        self.places.iter().find(|(of, _)| *of == mid).map(|(_, ssrc)| *ssrc)
    }

    /// Whether the handshake is over; takes its keys when it is.
    fn is_keyed(&mut self) -> bool {
        if self.srtp.is_none()
            && let Some(keys) = self.keys.get()
        {
            match Srtp::new(&self.provider, keys) {
                Ok(srtp) => self.srtp = Some(srtp),
                Err(error) => tracing::error!(%error, "nothing can be sent with what the handshake agreed on"),
            }
        }
        self.srtp.is_some()
    }

    /// Takes a media packet, to leave with the next [`Sender::drain`].
    pub fn forward(&mut self, forward: &Forward<'_>) {
        if self.queue.len() >= outgoing::MOST {
            tracing::debug!(mid = %forward.mid, "too much waits for one client: a packet is not sent");
            return;
        }
        let place = self.places.iter().position(|(mid, _)| *mid == forward.mid);
        if let Some(at) = place
            && let Some((_, ssrc)) = self.places.get(at)
            && let Ok(line) = u16::try_from(at)
        {
            self.queue.push(Outgoing::new(line, *ssrc, forward));
        }
    }

    /// Opens a packet that the client sealed; `None` if it did not, or there are no keys yet.
    pub fn open(&mut self, sealed: Sealed<'_>) -> Option<Arc<[u8]>> {
        if !self.is_keyed() {
            return None;
        }
        self.srtp.as_mut()?.open_rtp(sealed).ok()
    }

    /// Takes in a datagram of SRTCP. Whether it is the client's. `sent` is told of what it says as a sender: a source, and the middle of its NTP timestamp.
    pub fn receive(&mut self, now: Instant, datagram: &[u8], mut sent: impl FnMut(u32, u32)) -> bool {
        if !self.is_keyed() {
            return false;
        }
        let mut compound = std::mem::take(&mut self.report);
        let is_authentic = self.srtp.as_mut().is_some_and(|srtp| srtp.open_rtcp(datagram, &mut compound).is_ok());
        if is_authentic {
            let middle = self.middle_of_ntp(now);
            rtcp::read(&compound, |feedback| match feedback {
                Feedback::Report(block) => self.reported(now, &block, middle),
                Feedback::Nack { ssrc, pairs } => self.repeat(now, ssrc, pairs),
                Feedback::Arrivals(packet) => match Arrivals::parse(packet) {
                    Ok(arrivals) => {
                        self.controller.on_feedback(now, &arrivals);
                        self.look(now);
                    }
                    Err(error) => tracing::debug!(%error, "unreadable transport feedback"),
                },
                Feedback::Keyframe { ssrc } => self.keyframe(ssrc),
                Feedback::Estimate(rate) => self.controller.on_remb(now, Rate::bps(rate)),
                Feedback::Sent { ssrc, middle } => sent(ssrc, middle),
            });
        }
        self.report = compound;
        is_authentic
    }

    fn keyframe(&mut self, ssrc: u32) {
        let of = self.places.iter().find(|(_, own)| *own == ssrc);
        self.wanted.extend(of.map(|(mid, _)| *mid).filter(|mid| !self.wanted.contains(mid)));
    }

    /// An m-line of which the client needs a key frame; each once.
    pub fn take_keyframe(&mut self) -> Option<Mid> {
        self.wanted.pop()
    }

    /// The streams: m-line, SSRC, and SSRC of the resends.
    pub fn streams(&self) -> impl Iterator<Item = (Mid, u32, Option<u32>)> {
        self.lines.iter().map(|line| (line.config.mid, line.config.ssrc, line.config.rtx))
    }

    /// What is known of the line, if that changed since it was told last.
    pub fn take_estimate(&mut self) -> Option<Reading> {
        let estimate = self.controller.estimate();
        let reading = Reading { kbps: estimate.media.as_kbps(), clear: estimate.clear };
        (self.told.replace(reading) != Some(reading)).then_some(reading)
    }

    /// Begins a probe if one is worth while.
    fn look(&mut self, now: Instant) {
        self.next_look = self.controller.timeout(now);
        tracing::trace!(estimate = ?self.controller.estimate(), "the line");
        if self.wants && self.probing.is_none() {
            self.probing = self.controller.next_probe(now).map(|cluster| {
                tracing::trace!(?cluster, "probing");
                Probing::new(now, cluster)
            });
        }
    }

    /// Fills the probe that is under way with packets that were sent already.
    fn pad(&mut self, now: Instant) {
        let ntp = self.ntp_at(now);
        let Self { srtp: Some(srtp), lines, ready, ends, transport_seq, controller, probing, .. } = self else {
            // There is nothing to fill it with yet.
            self.probing = None;
            return;
        };
        let line = lines.iter_mut().find(|line| line.config.extensions.transport_cc.is_some() && line.can_pad());
        let Some(line) = line else {
            *probing = None;
            return;
        };
        let ids = line.config.extensions;
        for _ in 0..MAX_PADDING {
            match probing {
                Some(probe) if probe.is_over(now) => *probing = None,
                Some(probe) if probe.next_at() <= now => {
                    let Some(written) = line.pad() else {
                        *probing = None;
                        return;
                    };
                    let mut seal = Seal { srtp, transport_seq, controller, probing, now, ntp };
                    seal.packet(&written, &ids, None, ready);
                    note(ready, ends);
                }
                _ => return,
            }
        }
    }

    /// Sends again what is due of what the line loses too much of.
    fn protect(&mut self, now: Instant) {
        let ntp = self.ntp_at(now);
        let Self { srtp: Some(srtp), lines, ready, ends, transport_seq, controller, probing, protection, .. } = self
        else {
            return;
        };
        while let Some(sent) = protection.next(now) {
            let Some(line) = lines.iter_mut().find(|line| line.config.ssrc == sent.ssrc) else { continue };
            let ids = line.config.extensions;
            let named = line.is_new().then_some(line.config.mid);
            let Some(written) = line.copy(sent.seq) else { continue };
            protection.on_sent(now, &controller.estimate(), sent.bytes);
            let mut seal = Seal { srtp, transport_seq, controller, probing, now, ntp };
            seal.packet(&written, &ids, named, ready);
            note(ready, ends);
        }
    }

    fn reported(&mut self, now: Instant, block: &rtcp::ReportBlock, middle: u32) {
        let Some(line) = self.lines.iter_mut().find(|line| line.config.ssrc == block.ssrc) else { return };
        if let Some((expected, lost)) = line.reported(block) {
            self.expected = self.expected.saturating_add(expected);
            self.lost = self.lost.saturating_add(lost);
        }
        if block.last_report != 0 {
            let trip = middle.wrapping_sub(block.last_report).wrapping_sub(block.delay);
            // Half of the range is the past: a client whose clock runs fast may come out below 0.
            let trip = if trip > u32::MAX / 2 { 0 } else { trip };
            self.rtt = Some(Duration::from_secs_f64(f64::from(trip) / 65_536.0));
        }
        self.controller.on_report(now, f64::from(block.fraction_lost) / 256.0, self.rtt);
    }

    fn repeat(&mut self, now: Instant, ssrc: u32, pairs: &[u8]) {
        let (rtt, ntp) = (self.rtt, self.ntp_at(now));
        let Self {
            srtp: Some(srtp), lines, ready, ends, transport_seq, controller, probing, resends, protection, ..
        } = self
        else {
            return;
        };
        let estimate = controller.estimate();
        let Some(line) = lines.iter_mut().find(|line| line.config.ssrc == ssrc) else { return };
        let ids = line.config.extensions;
        let named = line.is_new().then_some(line.config.mid);
        let mut seal = Seal { srtp, transport_seq, controller, probing, now, ntp };
        let mut gone = false;
        for seq in rtcp::missing(pairs).take(MAX_ASKED) {
            gone |= line.is_gone(now, seq);
            let Some(written) = line.repeat(now, seq, rtt, |size| resends.take(now, estimate.resends, size)) else {
                continue;
            };
            let bytes = written.payload.len();
            seal.packet(&written, &ids, named, ready);
            note(ready, ends);
            if Protection::is_needed(estimate.random_loss) {
                protection.on_sent(now, &estimate, bytes);
                if let Some(sent) = line.sent(seq) {
                    protection.protect(now, &estimate, sent);
                }
            }
        }
        if gone {
            // The client would wait for it, and ask for a key frame only seconds later.
            self.keyframe(ssrc);
        }
    }

    /// Seals what `write` appends: reports about what the client sends. Nothing leaves before there are keys.
    pub fn report(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let is_keyed = self.is_keyed();
        let Self { srtp, ready, ends, report, .. } = self;
        report.clear();
        write(report);
        if let Some(srtp) = srtp.as_mut().filter(|_| is_keyed && !report.is_empty()) {
            seal_report(srtp, report, ready, ends);
        }
    }

    /// The round-trip time to the client, if it reported on anything.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Lets time pass: sends reports that are due.
    pub fn tick(&mut self, now: Instant) {
        if self.wants && now >= self.next_look {
            self.controller.on_timeout(now);
            self.look(now);
        }
        self.pad(now);
        self.protect(now);
        if now < self.next_report {
            return;
        }
        if !self.wants {
            self.controller.on_timeout(now);
        }
        self.next_report = now + REPORT_INTERVAL;
        let ntp = self.ntp_at(now);
        let Self { srtp: Some(srtp), lines, ready, ends, report, .. } = self else { return };
        report.clear();
        for line in lines.iter() {
            let Some(info) = line.report(now, ntp) else { continue };
            rtcp::write_report(&info, &line.config.cname, report);
            if report.len() > MAX_REPORT {
                seal_report(srtp, report, ready, ends);
                report.clear();
            }
        }
        if !report.is_empty() {
            seal_report(srtp, report, ready, ends);
        }
    }

    /// When [`Sender::tick`] has something to do.
    pub fn next_at(&self) -> Instant {
        let look = if self.wants { self.next_look.min(self.next_report) } else { self.next_report };
        let probe = self.probing.map(|probing| probing.next_at());
        [probe, self.protection.next_at()].into_iter().flatten().fold(look, Instant::min)
    }

    /// What media would take if the path carried it, in kb/s.
    pub fn want(&mut self, kbps: u32) {
        self.controller.set_desired(Rate::kbps(kbps.into()));
        self.wants = kbps > 0;
    }

    /// How the path does.
    pub fn path(&self) -> PathReport {
        let jitters: Vec<Duration> = self.lines.iter().filter_map(Line::jitter).collect();
        let count = u32::try_from(jitters.len()).unwrap_or(u32::MAX);
        let jitter = (count > 0).then(|| jitters.iter().sum::<Duration>() / count);
        PathReport { expected: self.expected, lost: self.lost, rtt: self.rtt, jitter, ..PathReport::default() }
    }

    /// Hands out all that waits, in order: reports and resends, then media, which is sealed on the way. Without a destination media is lost: it
    /// would be late when there is one.
    pub fn drain(&mut self, now: Instant, to: Option<SocketAddr>, exit: &mut dyn Exit) {
        let Some(to) = to.filter(|_| self.is_keyed()) else {
            self.queue.clear();
            return;
        };
        let mut start = 0;
        for end in self.ends.drain(..) {
            if let Some(datagram) = self.ready.get(start..end) {
                exit.begin(to).extend_from_slice(datagram);
                exit.end();
            }
            start = end;
        }
        self.ready.clear();
        let ntp = self.ntp_at(now);
        let Self { srtp: Some(srtp), lines, queue, transport_seq, controller, probing, protection, .. } = self else {
            return;
        };
        let protected = Protection::is_needed(controller.random_loss()).then(|| controller.estimate());
        let mut seal = Seal { srtp, transport_seq, controller, probing, now, ntp };
        for packet in queue.drain(..) {
            // Negotiation may have changed the lines since it was taken.
            let line = lines.get_mut(usize::from(packet.line)).filter(|line| line.config.ssrc == packet.ssrc);
            let Some(line) = line else { continue };
            let (ids, named) = (line.config.extensions, line.is_new().then_some(line.config.mid));
            let Some(written) = line.take(now, &packet) else { continue };
            seal.packet(&written, &ids, named, exit.begin(to));
            exit.end();
            let bytes = packet.payload.len();
            let kept = line.keep(now, packet);
            if let Some(estimate) = &protected {
                protection.on_sent(now, estimate, bytes);
                if let Some(sent) = kept {
                    protection.protect(now, estimate, sent);
                }
            }
        }
    }

    fn ntp_at(&self, now: Instant) -> u64 {
        self.ntp.wrapping_add(fixed_point(now.saturating_duration_since(self.began)))
    }

    fn middle_of_ntp(&self, now: Instant) -> u32 {
        (self.ntp_at(now) >> 16) as u32
    }
}

/// Seconds with 32 bits behind the point, as NTP has them (RFC 5905 §6).
fn fixed_point(time: Duration) -> u64 {
    let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
    time.as_secs().wrapping_shl(32).wrapping_add(fraction)
}

/// Notes where a datagram ends, if there is a new one.
fn note(ready: &[u8], ends: &mut Vec<usize>) {
    if ends.last().copied().unwrap_or(0) < ready.len() {
        ends.push(ready.len());
    }
}

fn seal_report(srtp: &mut Srtp, report: &[u8], ready: &mut Vec<u8>, ends: &mut Vec<usize>) {
    match srtp.seal_rtcp(report, ready) {
        Ok(()) => ends.push(ready.len()),
        Err(error) => tracing::debug!(%error, "a report is not sent"),
    }
}

#[cfg(test)]
mod tests;
