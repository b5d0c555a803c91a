//! Load that was given to nodes and that their reports don't show yet.

use chroom_primitives::{NodeId, UnixMs};
use std::collections::{BTreeMap, VecDeque};

/// How long a placement counts on top of what a node reports: by then a report that contains it has come.
pub const RESERVED_MS: u64 = 10_000;
/// Egress that is reserved for one session: a meeting participant's few videos.
pub const SESSION_KBPS: u32 = 2_500;
/// Placements kept per node.
const MAX_PER_NODE: usize = 4_096;

/// Placements of the last seconds.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    placed: BTreeMap<NodeId, VecDeque<UnixMs>>,
}

impl Reservations {
    /// Notes that a session was placed.
    pub fn add(&mut self, node: NodeId, now: UnixMs) {
        let placed = self.placed.entry(node).or_default();
        if placed.len() == MAX_PER_NODE {
            placed.pop_front();
        }
        placed.push_back(now);
    }

    /// Sessions placed on `node` after its last report was made and within [`RESERVED_MS`].
    pub fn sessions(&self, node: &NodeId, report_made_ms: UnixMs, now: UnixMs) -> u32 {
        let Some(placed) = self.placed.get(node) else { return 0 };
        placed.iter().rev().take_while(|at| **at + RESERVED_MS > now && **at >= report_made_ms).count() as u32
    }

    /// Forgets what is too old to count.
    pub fn forget_before(&mut self, now: UnixMs) {
        self.placed.retain(|_, placed| {
            while placed.front().is_some_and(|at| at + RESERVED_MS <= now) {
                placed.pop_front();
            }
            !placed.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_counts_until_a_report_contains_it_or_time_passes() {
        let node = NodeId([1; 20]);
        let mut reservations = Reservations::default();
        reservations.add(node, 1_000);
        reservations.add(node, 2_000);
        assert_eq!(reservations.sessions(&node, 0, 2_500), 2);
        assert_eq!(reservations.sessions(&node, 1_500, 2_500), 1);
        assert_eq!(reservations.sessions(&node, 2_001, 2_500), 0);
        assert_eq!(reservations.sessions(&node, 0, 11_500), 1);
        reservations.forget_before(20_000);
        assert_eq!(reservations.sessions(&node, 0, 2_500), 0);
    }
}
