//! Everything that one client is sent over SRTP: its streams, their resends, and all reports.

use super::{
    keys::KeySlot,
    line::{Line, LineConfig},
    outgoing::{self, Outgoing},
    probing::Probing,
    rtcp::{self, Feedback},
    seal::Seal,
    srtp::Srtp,
};
use crate::sfu::{
    congestion::{Config, Controller, Feedback as Arrivals, Rate, Resends},
    engine::{Exit, PathReport},
    headroom::Reading,
    id::Mid,
    packet::Forward,
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

/// What became of a datagram of SRTCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// It isn't authentic, or came before there were keys.
    Unread,
    /// It is the client's, and the engine has to read it as well.
    Shared,
    /// It is the client's, and all of it was about what this side sends.
    Settled,
}

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
    header: Vec<u8>,
    payload: Vec<u8>,
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
            header: Vec::new(),
            payload: Vec::new(),
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

    fn ours(lines: &[Line], ssrc: u32) -> bool {
        lines.iter().any(|line| line.config.ssrc == ssrc || line.config.rtx == Some(ssrc))
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

    /// Takes in a datagram of SRTCP from the client.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Received {
        if !self.is_keyed() {
            return Received::Unread;
        }
        let mut received = Received::Unread;
        let mut compound = std::mem::take(&mut self.report);
        if let Some(srtp) = &mut self.srtp
            && srtp.open_rtcp(datagram, &mut compound).is_ok()
        {
            let middle = self.middle_of_ntp(now);
            let all = rtcp::read(&compound, |feedback| match feedback {
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
            });
            received = if all { Received::Settled } else { Received::Shared };
        }
        self.report = compound;
        received
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
        let Self { srtp: Some(srtp), lines, header, payload, ready, ends, transport_seq, controller, probing, .. } =
            self
        else {
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
                    let mut seal = Seal { srtp, header, payload, transport_seq, controller, probing, now, ntp };
                    seal.packet(&written, &ids, None, ready);
                    note(ready, ends);
                }
                _ => return,
            }
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
            srtp: Some(srtp),
            lines,
            header,
            payload,
            ready,
            ends,
            transport_seq,
            controller,
            probing,
            resends,
            ..
        } = self
        else {
            return;
        };
        let rate = controller.estimate().resends;
        let Some(line) = lines.iter_mut().find(|line| line.config.ssrc == ssrc) else { return };
        let ids = line.config.extensions;
        let named = line.is_new().then_some(line.config.mid);
        let mut seal = Seal { srtp, header, payload, transport_seq, controller, probing, now, ntp };
        for seq in rtcp::missing(pairs).take(MAX_ASKED) {
            if let Some(written) = line.repeat(now, seq, rtt, |size| resends.take(now, rate, size)) {
                seal.packet(&written, &ids, named, ready);
                note(ready, ends);
            }
        }
    }

    /// Seals the reports that the engine wrote anew, with one count for all.
    pub fn take_over(&mut self, datagram: &[u8]) {
        // They may be the first that leaves: a client that only sends is asked for a key frame before anything is sent to it.
        if !self.is_keyed() {
            return;
        }
        let Self { srtp: Some(srtp), lines, ready, ends, report, payload, .. } = self else { return };
        if let Err(error) = srtp.open_own_rtcp(datagram, payload) {
            tracing::warn!(%error, "reports of the engine's that cannot be read");
            return;
        }
        report.clear();
        rtcp::as_receiver(payload, |ssrc| Self::ours(lines, ssrc), report);
        if !report.is_empty() {
            seal_report(srtp, report, ready, ends);
        }
    }

    /// Lets time pass: sends reports that are due.
    pub fn tick(&mut self, now: Instant) {
        if self.wants && now >= self.next_look {
            self.controller.on_timeout(now);
            self.look(now);
        }
        self.pad(now);
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
        self.probing.map_or(look, |probing| look.min(probing.next_at()))
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
        PathReport { expected: self.expected, lost: self.lost, rtt: self.rtt, jitter }
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
        let Self { srtp: Some(srtp), lines, queue, header, payload, transport_seq, controller, probing, .. } = self
        else {
            return;
        };
        let mut seal = Seal { srtp, header, payload, transport_seq, controller, probing, now, ntp };
        for packet in queue.drain(..) {
            // Negotiation may have changed the lines since it was taken.
            let line = lines.get_mut(usize::from(packet.line)).filter(|line| line.config.ssrc == packet.ssrc);
            let Some(line) = line else { continue };
            let (ids, named) = (line.config.extensions, line.is_new().then_some(line.config.mid));
            let Some(written) = line.take(now, &packet) else { continue };
            seal.packet(&written, &ids, named, exit.begin(to));
            exit.end();
            line.keep(now, packet);
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
mod tests {
    use super::*;
    use crate::sfu::{egress::keys::Keys, packet::Kind};
    use str0m::{
        config::KeyingMaterial,
        crypto::{dtls::SrtpProfile, from_feature_flags},
    };

    fn keys() -> Keys {
        let profile = SrtpProfile::AEAD_AES_128_GCM;
        let material: Vec<u8> = (0..profile.keying_material_len()).map(|byte| byte as u8).collect();
        Keys { profile, material: KeyingMaterial::new(&material), active: false }
    }

    fn sender(now: Instant) -> (Sender, KeySlot) {
        let slot = KeySlot::default();
        (Sender::new(Arc::new(from_feature_flags()), slot.clone(), now, UNIX_EPOCH), slot)
    }

    #[derive(Default)]
    struct Drained(Vec<Vec<u8>>);

    impl Exit for Drained {
        fn begin(&mut self, _: SocketAddr) -> &mut Vec<u8> {
            self.0.push(Vec::new());
            self.0.last_mut().unwrap()
        }

        fn end(&mut self) {}
    }

    fn drained(sender: &mut Sender) -> Vec<Vec<u8>> {
        let mut exit = Drained::default();
        sender.drain(Instant::now(), Some("127.0.0.1:9".parse().unwrap()), &mut exit);
        exit.0
    }

    fn video() -> LineConfig {
        let extensions = crate::sfu::egress::ExtensionIds { transport_cc: Some(3), ..Default::default() };
        let mid = Mid::parse("v").unwrap();
        let resends = vec![(96, 97)];
        LineConfig { mid, kind: Kind::Video, ssrc: 5, rtx: Some(6), resends, extensions, cname: "c".into() }
    }

    #[test]
    fn who_only_sends_is_asked_for_key_frames_before_anything_was_sent_to_it() {
        let (mut sender, slot) = sender(Instant::now());
        slot.set(keys()).unwrap();
        let provider = from_feature_flags();
        // The engine asks for a key frame of stream 77.
        let request = [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 77];
        let mut sealed = Vec::new();
        Srtp::new(&provider, &keys()).unwrap().seal_rtcp(&request, &mut sealed).unwrap();
        sender.take_over(&sealed);
        let mut client = Srtp::new(&provider, &Keys { active: true, ..keys() }).unwrap();
        let mut opened = Vec::new();
        client.open_rtcp(&drained(&mut sender)[0], &mut opened).unwrap();
        assert_eq!(opened, request);
    }

    #[test]
    fn a_key_frame_is_wanted_once_and_only_of_a_stream_that_there_is() {
        let now = Instant::now();
        let (mut sender, slot) = sender(now);
        slot.set(keys()).unwrap();
        sender.learn(vec![video()]);
        let request = |ssrc| [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, ssrc];
        let compound = [request(5), request(6), request(5)].concat();
        let mut client = Srtp::new(&from_feature_flags(), &Keys { active: true, ..keys() }).unwrap();
        let mut sealed = Vec::new();
        client.seal_rtcp(&compound, &mut sealed).unwrap();
        assert_eq!(sender.receive(now, &sealed), Received::Settled);
        assert_eq!(sender.take_keyframe(), Mid::parse("v"));
        assert_eq!(sender.take_keyframe(), None);
    }

    #[test]
    fn a_probe_that_nothing_fills_is_given_up() {
        let now = Instant::now();
        for keyed in [false, true] {
            let (mut sender, slot) = sender(now);
            if keyed {
                slot.set(keys()).unwrap();
                assert!(sender.is_keyed());
            }
            sender.learn(vec![video()]);
            sender.want(5_000);
            sender.look(now);
            assert!(sender.probing.is_some(), "more is wanted than is known to pass");
            sender.tick(now);
            assert!(sender.probing.is_none());
            assert!(sender.next_at() > now, "no turn after turn without time passing");
        }
    }
}
