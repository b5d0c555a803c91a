//! When packets leave: a state machine that spreads bursts, orders what waits and shapes probes. It decides when, not what: `T` is whatever
//! the caller finds the packet by (an index), and nothing here looks into it. Every call takes constant time.
//!
//! A token bucket fills at two and a half times the target and holds what may leave at once. Sound never waits. What waits leaves in the
//! order of [`Priority`]. A queue that wouldn't be empty within a quarter of a second raises the rate. While a probe is under way its
//! own rate rules.

use super::{probe::Cluster, probe::ClusterId, rate::Rate};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The bucket's rate as a multiple of the target (libwebrtc's pacing factor): the estimate limits what is sent, the pacer only its bursts.
const FACTOR: f64 = 2.5;
/// The same while packets get lost.
const SMOOTH_FACTOR: f64 = 1.5;
/// What may leave at once, as time at the bucket's rate.
const BURST: Duration = Duration::from_millis(5);
/// The same while less than half of the target is sent, as time at the target: a whole picture may leave in one batch.
const LIGHT_BURST: Duration = Duration::from_millis(40);
/// What counts as less: the share of the target, …
const LIGHT: f64 = 0.5;
/// … measured over about this time.
const MEMORY: Duration = Duration::from_millis(500);
/// Nothing waits longer than this if it can be helped.
pub const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// The time that is left for a queue that has waited too long already.
const SHORTEST_DRAIN: Duration = Duration::from_millis(20);
/// The bucket never fills more slowly: a packet every 100 ms even if the estimate has collapsed.
const LEAST: Rate = Rate::kbps(100);
/// Largest packet of padding, in bytes; it passes every path.
const PADDING: u32 = 1_200;
/// A probe that isn't through by then is given up.
const PROBE_LONGEST: Duration = Duration::from_millis(500);

/// What goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Priority {
    /// Sound; it isn't held back.
    Audio,
    /// Repairs of what was lost.
    Resend,
    /// Pictures.
    Video,
}

const CLASSES: usize = 3;

/// What leaves now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release<T> {
    /// A packet that was queued, and the probe that it belongs to.
    Media(T, Option<ClusterId>),
    /// Padding of about so many bytes for a probe. [`Pacer::on_padding`] has to tell what was really sent before the next poll, or the
    /// probe ends.
    Padding(u32, ClusterId),
}

#[derive(Clone, Copy, Debug)]
struct Waiting<T> {
    item: T,
    size: u16,
    since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    cluster: Cluster,
    began: Option<Instant>,
    packets: u32,
    bytes: u64,
    /// Padding was asked for, and nothing said of it since.
    asked: bool,
}

impl Probe {
    fn done(&self) -> bool {
        self.packets >= self.cluster.packets && self.bytes >= u64::from(self.cluster.bytes)
    }

    /// When the next packet is to leave, so that all of them keep the rate.
    fn due(&self) -> Option<Instant> {
        self.began.map(|began| began + self.cluster.target.time_for(self.bytes))
    }

    /// An even share of what is left, so that the last packet isn't a sliver.
    fn padding(&self) -> u32 {
        let bytes = u64::from(self.cluster.bytes).saturating_sub(self.bytes) as u32;
        let packets = self.cluster.packets.saturating_sub(self.packets);
        let packets = packets.max(bytes.div_ceil(PADDING)).max(1);
        bytes.div_ceil(packets).clamp(1, PADDING)
    }
}

/// The pacer of one transport.
#[derive(Clone, Debug)]
pub struct Pacer<T> {
    queues: [VecDeque<Waiting<T>>; CLASSES],
    queued: u64,
    target: Rate,
    factor: f64,
    /// In bytes; below zero nothing but sound leaves.
    level: f64,
    filled: Instant,
    /// Bytes sent of late, fading; its level over [`MEMORY`] is the rate.
    recent: f64,
    probe: Option<Probe>,
}

impl<T> Pacer<T> {
    /// A pacer with a full bucket.
    pub fn new(now: Instant, target: Rate) -> Self {
        let queues = std::array::from_fn(|_| VecDeque::new());
        let mut pacer =
            Self { queues, queued: 0, target, factor: FACTOR, level: 0.0, filled: now, recent: 0.0, probe: None };
        pacer.level = pacer.burst();
        pacer
    }

    /// The rate that media may have in the long run: the controller's target.
    pub fn set_target(&mut self, now: Instant, target: Rate) {
        self.fill(now);
        self.target = target;
    }

    /// Whether packets get lost: then bursts are kept small, in case it is they that overrun a short queue.
    pub fn set_lossy(&mut self, now: Instant, lossy: bool) {
        self.fill(now);
        self.factor = if lossy { SMOOTH_FACTOR } else { FACTOR };
    }

    /// Queues a packet.
    pub fn push(&mut self, now: Instant, priority: Priority, size: u16, item: T) {
        if let Some(queue) = self.queues.get_mut(priority as usize) {
            queue.push_back(Waiting { item, size, since: now });
            self.queued += u64::from(size);
        }
    }

    /// Begins a probe; one that is under way is given up.
    pub fn probe(&mut self, cluster: Cluster) {
        self.probe = Some(Probe { cluster, began: None, packets: 0, bytes: 0, asked: false });
    }

    /// Whether a probe is under way.
    pub fn probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Bytes that wait.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// How long the oldest packet has waited.
    pub fn waited(&self, now: Instant) -> Duration {
        self.oldest().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// What leaves now; to be called until it gives nothing.
    pub fn poll(&mut self, now: Instant) -> Option<Release<T>> {
        self.fill(now);
        if self
            .probe
            .is_some_and(|probe| probe.began.is_some_and(|began| now.saturating_duration_since(began) > PROBE_LONGEST))
        {
            self.probe = None;
        }
        if let Some(waiting) = self.take(Priority::Audio) {
            // Not the probe's: it would leave apart from the probe's own times.
            self.spend(waiting.size);
            return Some(Release::Media(waiting.item, None));
        }
        if let Some(probe) = self.probe {
            if probe.due().is_some_and(|due| now < due) {
                return None;
            }
            if let Some(waiting) = self.take_paced() {
                self.spend(waiting.size);
                self.count_probe(now, waiting.size);
                return Some(Release::Media(waiting.item, Some(probe.cluster.id)));
            }
            if probe.asked {
                // Nobody can pad, or nobody says so: without this, the caller would be asked for ever.
                self.probe = None;
                return self.poll(now);
            }
            self.probe = Some(Probe { asked: true, ..probe });
            return Some(Release::Padding(probe.padding(), probe.cluster.id));
        }
        if self.level <= 0.0 && self.latest().is_none_or(|latest| now < latest) {
            return None;
        }
        let waiting = self.take_paced()?;
        self.spend(waiting.size);
        Some(Release::Media(waiting.item, None))
    }

    /// Padding of so many bytes was sent; none can be when it is 0, which ends the probe.
    pub fn on_padding(&mut self, now: Instant, size: u16) {
        if size == 0 {
            self.probe = None;
            return;
        }
        self.spend(size);
        self.count_probe(now, size);
    }

    /// When to poll next. `None`: when something is queued.
    pub fn timeout(&self) -> Option<Instant> {
        if self.queues.first().is_some_and(|audio| !audio.is_empty()) {
            return Some(self.filled);
        }
        if let Some(probe) = &self.probe {
            return Some(probe.due().unwrap_or(self.filled));
        }
        if self.queued == 0 {
            return None;
        }
        if self.level > 0.0 {
            return Some(self.filled);
        }
        let latest = self.latest().unwrap_or(self.filled);
        // Not at the first byte of budget but with a burst's worth, so that one wake-up sends a batch.
        let missing = (self.burst() - self.level).max(0.0) as u64;
        Some((self.filled + self.rate(self.filled).time_for(missing).max(Duration::from_micros(250))).min(latest))
    }

    /// When the oldest packet leaves, whatever the budget: the drain slows down as it pays off what sound took in advance.
    fn latest(&self) -> Option<Instant> {
        self.oldest().map(|since| since + LONGEST_WAIT + SHORTEST_DRAIN)
    }

    /// The bucket's rate.
    fn rate(&self, now: Instant) -> Rate {
        let left = LONGEST_WAIT.saturating_sub(self.waited(now)).max(SHORTEST_DRAIN);
        // What sound has taken in advance is waited for too.
        let debt = if self.queued > 0 { (-self.level).max(0.0) as u64 } else { 0 };
        let drain = Rate::of(self.queued + debt, left).unwrap_or(Rate::ZERO);
        self.target.scaled(self.factor).max(LEAST).max(drain)
    }

    /// What the bucket holds, in bytes.
    fn burst(&self) -> f64 {
        let light = self.factor == FACTOR && self.recent < self.target.fill(MEMORY) * LIGHT;
        if light { self.target.fill(LIGHT_BURST) } else { self.target.scaled(self.factor).fill(BURST) }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        if passed.is_zero() {
            return;
        }
        let refill = self.rate(now).fill(passed.min(MEMORY));
        // A burst for a queue that has to be drained may be larger than usual.
        self.level = (self.level + refill).min(self.burst().max(if self.queued > 0 { refill } else { 0.0 }));
        self.recent *= (1.0 - passed.as_secs_f64() / MEMORY.as_secs_f64()).max(0.0);
        self.filled = now;
    }

    fn spend(&mut self, size: u16) {
        // The debt is bounded: sound that never waits mustn't hold pictures back for long.
        self.level = (self.level - f64::from(size)).max(-self.target.max(LEAST).fill(MEMORY));
        self.recent += f64::from(size);
    }

    fn count_probe(&mut self, now: Instant, size: u16) {
        let Some(probe) = &mut self.probe else { return };
        probe.began.get_or_insert(now);
        probe.asked = false;
        probe.packets += 1;
        probe.bytes += u64::from(size);
        if probe.done() {
            self.probe = None;
            // What the probe sent beyond the bucket's rate isn't held against the media.
            self.level = self.level.max(0.0);
        }
    }

    fn take(&mut self, priority: Priority) -> Option<Waiting<T>> {
        let waiting = self.queues.get_mut(priority as usize)?.pop_front()?;
        self.queued = self.queued.saturating_sub(u64::from(waiting.size));
        Some(waiting)
    }

    fn take_paced(&mut self) -> Option<Waiting<T>> {
        self.take(Priority::Resend).or_else(|| self.take(Priority::Video))
    }

    fn oldest(&self) -> Option<Instant> {
        self.queues.iter().filter_map(|queue| queue.front()).map(|waiting| waiting.since).min()
    }
}

#[cfg(test)]
mod tests;
