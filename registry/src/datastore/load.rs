//! Load reports: the churning tier, in memory only, and the liveness that follows from them.

use chroom_primitives::{NodeId, Signed, UnixMs, record::LoadReport, record::seq_time};
use codec::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// A report older than this says nothing any more, in milliseconds.
pub const FRESH_MS: u64 = 20_000;
/// How far a report's time may be off this clock, in milliseconds.
pub const MAX_SKEW_MS: u64 = 30_000;
/// A node reports at least this often, in milliseconds.
pub const INTERVAL_MS: u64 = 5_000;

/// What became of a load report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadVerdict {
    /// It is the newest.
    Accepted,
    /// There is a newer one, or the same.
    Older,
    /// Its time is too far from this clock.
    OutOfTime,
}

/// The newest report of each node.
#[derive(Debug, Default)]
pub struct Loads {
    newest: BTreeMap<NodeId, (UnixMs, Signed<LoadReport>)>,
}

impl Loads {
    /// Whether a report would be taken. Membership and signature are the caller's to check.
    pub fn judge(&self, report: &LoadReport, now: UnixMs) -> LoadVerdict {
        if seq_time(report.seq).abs_diff(now) > MAX_SKEW_MS {
            return LoadVerdict::OutOfTime;
        }
        match self.newest.get(&report.node) {
            Some((_, held)) if held.payload.seq >= report.seq => LoadVerdict::Older,
            _ => LoadVerdict::Accepted,
        }
    }

    /// Takes a report that was judged [`LoadVerdict::Accepted`].
    pub fn put(&mut self, report: Signed<LoadReport>, now: UnixMs) {
        self.newest.insert(report.payload.node, (now, report));
    }

    /// A node's fresh report with its age here in milliseconds.
    pub fn fresh(&self, node: &NodeId, now: UnixMs) -> Option<(u64, &Signed<LoadReport>)> {
        let (at, report) = self.newest.get(node)?;
        let age = now.saturating_sub(*at);
        (age <= FRESH_MS).then_some((age, report))
    }

    /// Drops all but the nodes that `keep` names.
    pub fn retain(&mut self, keep: impl Fn(&NodeId) -> bool) {
        self.newest.retain(|node, _| keep(node));
    }
}

/// When nodes were heard of: time in slots of [`INTERVAL_MS`], by the times in their own signed reports.
///
/// A report covers the slot of its time and the next one, so a node that reports on time covers all slots, wherever in them its
/// reports fall.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Liveness {
    slots: BTreeMap<NodeId, BTreeSet<u64>>,
}

impl Liveness {
    /// Most slots kept per node: two days.
    const MAX_SLOTS: usize = 2 * 24 * 720;

    /// A report of `node` made at `made`.
    pub fn heard(&mut self, node: NodeId, made: UnixMs) {
        let slots = self.slots.entry(node).or_default();
        slots.insert(made / INTERVAL_MS);
        slots.insert(made / INTERVAL_MS + 1);
        while slots.len() > Self::MAX_SLOTS {
            slots.pop_first();
        }
    }

    /// Share of the whole slots of `from..to` in which the node was alive, in parts per 10,000.
    pub fn uptime(&self, node: &NodeId, from: UnixMs, to: UnixMs) -> u16 {
        let first = from.div_ceil(INTERVAL_MS);
        let end = to / INTERVAL_MS;
        let Some(total) = end.checked_sub(first).filter(|n| *n > 0) else { return 0 };
        let covered = self.slots.get(node).map_or(0, |slots| slots.range(first..end).count() as u64);
        u16::try_from((covered * 10_000 / total).min(10_000)).unwrap_or(10_000)
    }

    /// Slots of one node, for keeping on disk.
    pub fn slots(&self, node: &NodeId) -> Option<&BTreeSet<u64>> {
        self.slots.get(node)
    }

    /// Puts back what was on disk.
    pub fn restore(&mut self, node: NodeId, slots: BTreeSet<u64>) {
        self.slots.entry(node).or_default().extend(slots);
    }

    /// Forgets what lies before `until`, and nodes with nothing left.
    pub fn forget(&mut self, until: UnixMs) {
        let until = until / INTERVAL_MS;
        self.slots.retain(|_, slots| {
            *slots = slots.split_off(&until);
            !slots.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_reports_on_time_is_always_up_and_a_gap_costs_its_share() {
        let node = NodeId([1; 20]);
        let mut live = Liveness::default();
        let start = 1_800_000_000_000;
        for n in 0..=20 {
            live.heard(node, start + 1_700 + n * INTERVAL_MS - 5_000);
        }
        assert_eq!(live.uptime(&node, start, start + 100_000), 10_000);
        let mut half = Liveness::default();
        for n in 0..10 {
            half.heard(node, start + n * INTERVAL_MS);
        }
        assert_eq!(half.uptime(&node, start, start + 110_000), 5_000);
        assert_eq!(live.uptime(&NodeId([2; 20]), start, start + 100_000), 0);
        live.forget(start + 50_000);
        assert_eq!(live.uptime(&node, start, start + 50_000), 0);
        assert_eq!(live.uptime(&node, start + 50_000, start + 100_000), 10_000);
    }
}
