//! A probe on its way: packets that leave faster than the estimate, to find out what the line carries.

use crate::sfu::congestion::{Cluster, ClusterId};
use std::time::{Duration, Instant};

/// A probe that could not be filled by then is given up: its rate says nothing any more.
const PATIENCE: Duration = Duration::from_millis(500);

/// A cluster that is being sent.
#[derive(Clone, Copy, Debug)]
pub struct Probing {
    cluster: Cluster,
    began: Instant,
    packets: u32,
    bytes: u64,
}

impl Probing {
    /// Begins now.
    pub fn new(now: Instant, cluster: Cluster) -> Self {
        Self { cluster, began: now, packets: 0, bytes: 0 }
    }

    /// The cluster that packets which leave now belong to.
    pub fn id(&self) -> ClusterId {
        self.cluster.id
    }

    /// A packet of the cluster left, media or padding.
    pub fn sent(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Whether it is complete, or too late to be.
    pub fn is_over(&self, now: Instant) -> bool {
        let complete = self.packets >= self.cluster.packets && self.bytes >= u64::from(self.cluster.bytes);
        complete || now.saturating_duration_since(self.began) > PATIENCE
    }

    /// When the next packet is due: when what was sent would have taken so long at the cluster's rate.
    pub fn next_at(&self) -> Instant {
        self.began + self.cluster.target.time_for(self.bytes)
    }
}
