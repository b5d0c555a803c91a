//! When to send faster than the estimate, to find out what the line carries (after libwebrtc's `ProbeController`; intervals and
//! limits are this project's).
//!
//! A probe is a cluster of packets, media first and padding for the rest, that leave at a given rate. It is worth its bytes only while the
//! receiver wants more than the estimate allows: then first at three and six times the start, then at twice what the last one found as
//! long as they succeed, later every two seconds, and at once when more is wanted than before.

use super::rate::Rate;
use std::time::{Duration, Instant};

/// The first probes, as multiples of the start rate (libwebrtc).
const FIRST: [f64; 2] = [3.0, 6.0];
/// A probe after a success, as a multiple of what was found; and a periodic one, as a multiple of the estimate (libwebrtc: 2).
const STEP: f64 = 2.0;
/// A probe succeeded, and a further one is worth while, when it found this share of its rate (libwebrtc).
const SUCCESS: f64 = 0.7;
/// What is looked for beyond what is wanted: layers are raised only while there is more room than they take.
const HEADROOM: f64 = 1.25;
/// Time between periodic probes while less is sent than may be, or the receiver wants more than the estimate. libwebrtc has 5 s; two leave
/// time for three steps within the 5 s in which a better line is to be used.
const INTERVAL: Duration = Duration::from_secs(2);
/// The same while the target is used up, and counted from the last decrease too: then the target grows by itself, and a probe would take
/// from those who share the line.
const BUSY_INTERVAL: Duration = Duration::from_secs(4);
/// A result is waited for so long, and a round trip more.
const PATIENCE: Duration = Duration::from_millis(500);
/// Loss that is made room for, at most.
const MOST_LOST: f64 = 0.4;
/// After a drop by more than a third, its old rate is tried again this much later. Whatever took the bandwidth may be gone.
const AFTER_DROP: Duration = Duration::from_secs(1);
const DROP: f64 = 0.66;
/// What of the old rate is tried.
const OLD_RATE: f64 = 0.85;
/// Shortest length of a cluster: bursts shorter than a frame fit into buffers that the line behind can't sustain.
const LENGTH: Duration = Duration::from_millis(25);
/// A jittery line needs so many times its jitter more, up to a limit; unless the target is used up, for then the jitter is the sender's own
/// queue.
const JITTERS: u32 = 5;
const LONGEST: Duration = Duration::from_millis(100);
/// Fewest packets of a cluster (libwebrtc).
const PACKETS: u32 = 5;
/// Largest cluster, in bytes: 20 Mb/s for its usual length.
const MOST_BYTES: u64 = 64_000;

/// A probe's number; it wraps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClusterId(u8);

impl ClusterId {
    pub(super) const FIRST: Self = Self(0);

    fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A probe to be sent: at least so many packets and bytes at this rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// Its number, which its packets are recorded with.
    pub id: ClusterId,
    /// The rate at which they leave.
    pub target: Rate,
    /// Fewest packets.
    pub packets: u32,
    /// Fewest bytes, all packets together.
    pub bytes: u32,
}

/// What the line looks like at present.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The target.
    pub estimate: Rate,
    /// Less is sent than may be.
    pub limited: bool,
    /// Neither the queue grows nor does loss speak against it.
    pub clear: bool,
    /// The share of packets that is lost; what replaces them needs room too.
    pub lost: f64,
    /// How much the delay differs from one packet group to the next.
    pub jitter: Duration,
    /// The round trip.
    pub rtt: Duration,
}

/// Decides when to probe.
#[derive(Clone, Debug)]
pub struct Prober {
    next_id: ClusterId,
    /// Rates to try next, in this order.
    pending: [Option<Rate>; 2],
    /// The probe whose result is awaited, and until when.
    waiting: Option<(Cluster, Instant)>,
    /// That probe is a repetition: the one before had no result.
    repeated: bool,
    lowered: Option<Instant>,
    last: Option<Instant>,
    dropped: Option<(Instant, Rate)>,
    desired: Option<Rate>,
    lost: f64,
    most: Rate,
}

impl Prober {
    /// Probes from `start` on, never beyond `most`.
    pub fn new(start: Rate, most: Rate) -> Self {
        Self {
            next_id: ClusterId::FIRST,
            pending: FIRST.map(|factor| Some(start.scaled(factor))),
            waiting: None,
            repeated: false,
            lowered: None,
            last: None,
            dropped: None,
            desired: None,
            lost: 0.0,
            most,
        }
    }

    /// What the receiver wants all in all.
    pub fn desire(&mut self, desired: Rate, estimate: Rate) {
        let before = self.desired.replace(desired);
        let more = before.is_none_or(|before| desired > before.scaled(1.1));
        let step = estimate.scaled(STEP);
        let planned = self.pending.iter().flatten().any(|rate| *rate >= step);
        if more && self.last.is_some() && !planned && self.wants(estimate) {
            self.pending = [Some(step), None];
        }
    }

    /// The highest rate that is of use.
    fn goal(&self) -> Rate {
        self.desired.map_or(self.most, |desired| desired.scaled(HEADROOM / (1.0 - self.lost)).min(self.most))
    }

    fn wants(&self, estimate: Rate) -> bool {
        // A little below the goal is enough.
        self.goal() > estimate.scaled(1.05)
    }

    /// The target fell.
    pub fn on_drop(&mut self, now: Instant, before: Rate, after: Rate) {
        self.pending = [None; 2];
        let old = self.dropped.map_or(before, |(_, old)| old.max(before));
        if after < old.scaled(DROP) {
            self.dropped = Some((now, old));
        }
    }

    /// The queue grew.
    pub fn on_overuse(&mut self, now: Instant) {
        self.lowered = Some(now);
    }

    /// What spoke against a higher rate proved wrong.
    pub fn retry(&mut self, estimate: Rate) {
        self.pending = [Some(estimate.scaled(STEP)), None];
    }

    /// A probe found `rate`.
    pub fn on_result(&mut self, cluster: Cluster, rate: Rate) {
        if self.waiting.is_some_and(|(awaited, _)| awaited.id == cluster.id) {
            (self.waiting, self.repeated) = (None, false);
        }
        let goes_on = rate >= cluster.target.scaled(SUCCESS) && self.wants(rate);
        if goes_on && self.pending == [None; 2] {
            self.pending = [Some(rate.scaled(STEP)), None];
        }
    }

    /// The probe to send now.
    pub fn next(&mut self, now: Instant, view: View) -> Option<Cluster> {
        self.lost = view.lost.clamp(0.0, MOST_LOST);
        if let Some((cluster, until)) = self.waiting {
            if now < until {
                return None;
            }
            self.waiting = None;
            // Its packets or their feedback got lost: once more, and then no sooner than usual.
            if !std::mem::replace(&mut self.repeated, true) && self.pending == [None; 2] {
                self.pending = [Some(cluster.target), None];
            }
        }
        if !view.clear || !self.wants(view.estimate) {
            return None;
        }
        let rate = self.pick(now, view)?.min(self.goal());
        let cluster = self.cluster(rate, if view.limited { view.jitter } else { Duration::ZERO });
        self.last = Some(now);
        // The two first ones follow each other; else one is waited for.
        if self.pending == [None; 2] {
            self.waiting = Some((cluster, now + PATIENCE + view.rtt));
        }
        Some(cluster)
    }

    fn pick(&mut self, now: Instant, view: View) -> Option<Rate> {
        let [first, second] = self.pending;
        if let Some(rate) = first {
            self.pending = [second, None];
            return Some(rate);
        }
        if let Some((at, old)) = self.dropped
            && now.saturating_duration_since(at) >= AFTER_DROP
        {
            self.dropped = None;
            return Some(old.scaled(OLD_RATE).min(view.estimate.scaled(STEP)));
        }
        let since = |at: Option<Instant>| at.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let due = if view.limited {
            since(self.last) >= INTERVAL
        } else {
            since(self.last).min(since(self.lowered)) >= BUSY_INTERVAL
        };
        due.then(|| view.estimate.scaled(STEP))
    }

    fn cluster(&mut self, target: Rate, jitter: Duration) -> Cluster {
        let id = self.next_id;
        self.next_id = id.next();
        let bytes = target.bytes_in((LENGTH + jitter * JITTERS).min(LONGEST)).min(MOST_BYTES) as u32;
        Cluster { id, target, packets: PACKETS, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Rate = Rate::kbps(300);
    const MOST: Rate = Rate::kbps(10_000);

    fn view(kbps: u64) -> View {
        View {
            estimate: Rate::kbps(kbps),
            limited: true,
            clear: true,
            lost: 0.0,
            jitter: Duration::ZERO,
            rtt: Duration::from_millis(100),
        }
    }

    fn target(cluster: Option<Cluster>) -> Option<u32> {
        cluster.map(|cluster| cluster.target.as_kbps())
    }

    #[test]
    fn it_begins_with_three_and_six_times_and_doubles_on_success() {
        let now = Instant::now();
        let mut prober = Prober::new(START, MOST);
        assert_eq!(target(prober.next(now, view(300))), Some(900));
        let second = prober.next(now, view(300)).unwrap();
        assert_eq!((second.target, second.packets, second.bytes), (Rate::kbps(1_800), 5, 5_625));
        assert_eq!(prober.next(now, view(300)), None);
        prober.on_result(second, Rate::kbps(1_700));
        assert_eq!(target(prober.next(now, view(1_700))), Some(3_400));
    }

    #[test]
    fn a_failed_probe_is_repeated_after_the_interval() {
        let start = Instant::now();
        let mut prober = Prober::new(START, MOST);
        prober.next(start, view(300));
        let probe = prober.next(start, view(300)).unwrap();
        prober.on_result(probe, Rate::kbps(500));
        assert_eq!(prober.next(start + INTERVAL - Duration::from_millis(1), view(500)), None);
        assert_eq!(target(prober.next(start + INTERVAL, view(500))), Some(1_000));
    }

    #[test]
    fn nothing_is_probed_beyond_what_is_wanted_or_against_the_signs() {
        let start = Instant::now();
        let mut prober = Prober::new(START, MOST);
        prober.desire(Rate::kbps(1_000), START);
        assert_eq!(target(prober.next(start, view(300))), Some(900));
        assert_eq!(target(prober.next(start, view(300))), Some(1_250));
        let later = start + Duration::from_secs(10);
        assert_eq!(prober.next(later, view(1_200)), None);
        assert_eq!(prober.next(later, View { clear: false, ..view(300) }), None);
        prober.desire(Rate::kbps(2_000), Rate::kbps(1_200));
        assert_eq!(target(prober.next(later, view(1_200))), Some(2_400));
    }

    #[test]
    fn a_probe_without_result_is_repeated_once_and_then_as_usual() {
        let start = Instant::now();
        let mut prober = Prober::new(START, MOST);
        prober.next(start, view(300));
        let lost = prober.next(start, view(300));
        let later = start + PATIENCE + Duration::from_millis(100);
        assert_eq!(target(prober.next(later, view(300))), target(lost));
        assert_eq!(prober.next(later + Duration::from_secs(1), view(300)), None);
        assert_eq!(target(prober.next(later + INTERVAL, view(300))), Some(600));
    }
}
