//! What a probe found: how fast its packets left, and how fast they arrived (libwebrtc's `ProbeBitrateEstimator`).

use super::{history::Sent, probe::Cluster, probe::ClusterId, rate::Rate};
use std::time::{Duration, Instant};

/// Share of a cluster's packets and bytes that must have arrived. libwebrtc has 0.8, which a line that loses a fifth seldom reaches.
const ENOUGH: f64 = 0.6;
/// Packets that arrive faster than they left by more than this were held up and let go at once: they measure nothing (libwebrtc).
const COMPRESSED: f64 = 2.0;
/// Packets that arrive at less than this share of what they left with found the line full (libwebrtc).
const FULL: f64 = 0.9;
/// What is kept of the arriving rate then, so that the queue drains (libwebrtc).
const DRAIN: f64 = 0.95;
/// A cluster that takes longer is none (libwebrtc).
const LONGEST: Duration = Duration::from_secs(1);
/// Clusters whose packets may be under way at once.
const CLUSTERS: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Arrivals {
    cluster: Cluster,
    packets: u32,
    bytes: u64,
    first_sent: (Instant, u16),
    last_sent: (Instant, u16),
    first_arrival: (i64, u16),
    last_arrival: i64,
}

/// The probes that are under way.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    issued: [Option<Cluster>; CLUSTERS],
    arrivals: [Option<Arrivals>; CLUSTERS],
    next: usize,
}

impl Measurements {
    /// A cluster is about to be sent; the oldest is forgotten.
    pub fn begin(&mut self, cluster: Cluster) {
        if let (Some(issued), Some(arrivals)) = (self.issued.get_mut(self.next), self.arrivals.get_mut(self.next)) {
            *issued = Some(cluster);
            *arrivals = None;
            self.next = (self.next + 1) % CLUSTERS;
        }
    }

    /// A packet of a probe arrived. Gives the probe's result as soon as enough of it has.
    pub fn on_arrival(&mut self, id: ClusterId, sent: &Sent, arrival_us: i64) -> Option<(Cluster, Rate)> {
        let index = self.issued.iter().position(|issued| issued.is_some_and(|cluster| cluster.id == id))?;
        let cluster = (*self.issued.get(index)?)?;
        let slot = self.arrivals.get_mut(index)?;
        let entry = slot.get_or_insert(Arrivals {
            cluster,
            packets: 0,
            bytes: 0,
            first_sent: (sent.at, sent.size),
            last_sent: (sent.at, sent.size),
            first_arrival: (arrival_us, sent.size),
            last_arrival: arrival_us,
        });
        entry.add(sent, arrival_us);
        let rate = entry.rate()?;
        if let Some(issued) = self.issued.get_mut(index) {
            *issued = None;
        }
        Some((cluster, rate))
    }
}

impl Arrivals {
    fn add(&mut self, sent: &Sent, arrival_us: i64) {
        self.packets += 1;
        self.bytes += u64::from(sent.size);
        if sent.at < self.first_sent.0 {
            self.first_sent = (sent.at, sent.size);
        }
        if sent.at >= self.last_sent.0 {
            self.last_sent = (sent.at, sent.size);
        }
        if arrival_us < self.first_arrival.0 {
            self.first_arrival = (arrival_us, sent.size);
        }
        self.last_arrival = self.last_arrival.max(arrival_us);
    }

    /// The rate that the probe found, if enough of it arrived.
    fn rate(&self) -> Option<Rate> {
        let enough = |arrived: f64, of: u32| arrived >= f64::from(of) * ENOUGH;
        if !enough(f64::from(self.packets), self.cluster.packets) || !enough(self.bytes as f64, self.cluster.bytes) {
            return None;
        }
        let left_in = self.last_sent.0.saturating_duration_since(self.first_sent.0);
        let arrived_in = Duration::from_micros(u64::try_from(self.last_arrival - self.first_arrival.0).ok()?);
        if left_in > LONGEST || arrived_in > LONGEST {
            return None;
        }
        // Between the first and the last packet's departure all but the last left; until the last one's arrival all but the first
        // arrived.
        let left = Rate::of(self.bytes.saturating_sub(u64::from(self.last_sent.1)), left_in)?;
        let arrived = Rate::of(self.bytes.saturating_sub(u64::from(self.first_arrival.1)), arrived_in)?;
        if arrived > left.scaled(COMPRESSED) {
            return None;
        }
        Some(if arrived < left.scaled(FULL) { arrived.scaled(DRAIN) } else { left.min(arrived) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: Cluster = Cluster { id: ClusterId::FIRST, target: Rate::kbps(1_000), packets: 5, bytes: 5_000 };

    /// Ten packets of 1,000 bytes, sent and arriving at these intervals in microseconds.
    fn probe(left_us: u64, arrived_us: i64) -> Option<Rate> {
        let start = Instant::now();
        let mut measurements = Measurements::default();
        measurements.begin(CLUSTER);
        (0..10u8)
            .find_map(|n| {
                let sent = Sent {
                    at: start + Duration::from_micros(left_us) * u32::from(n),
                    size: 1_000,
                    cluster: Some(CLUSTER.id),
                };
                measurements.on_arrival(CLUSTER.id, &sent, i64::from(n) * arrived_us)
            })
            .map(|(_, rate)| rate)
    }

    #[test]
    fn a_probe_that_passes_finds_its_own_rate() {
        assert_eq!(probe(8_000, 8_000), Some(Rate::kbps(1_000)));
        assert_eq!(probe(8_000, 7_000), Some(Rate::kbps(1_000)));
    }

    #[test]
    fn a_probe_that_is_held_back_finds_a_little_less_than_arrives() {
        assert_eq!(probe(8_000, 16_000), Some(Rate::kbps(475)));
    }

    #[test]
    fn packets_let_go_at_once_find_nothing() {
        assert_eq!(probe(8_000, 1_000), None);
    }

    #[test]
    fn strangers_find_nothing() {
        let mut measurements = Measurements::default();
        let sent = Sent { at: Instant::now(), size: 1, cluster: Some(CLUSTER.id) };
        assert_eq!(measurements.on_arrival(CLUSTER.id, &sent, 0), None);
    }
}
