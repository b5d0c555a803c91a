//! What media nodes offer, minute by minute, by their own signed load reports. In memory only: what was not heard is held against nobody.

use chroom_primitives::{
    NodeId, UnixMs,
    record::{LoadReport, seq_time},
};
use std::collections::BTreeMap;

/// Length of a minute in milliseconds.
pub const MINUTE_MS: u64 = 60_000;
/// Egress that a session counts as, at least, in kb/s: calls without pictures are many packets of few bytes, and fill a machine all the same.
pub const SESSION_KBPS: u32 = 500;
/// CPU share from which on a node is full whatever else it says, in parts per 10,000. Media nodes close there.
const FULL_CPU: u16 = 9_000;
/// Number of a minute: Unix time by [`MINUTE_MS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Minute(pub u64);

/// What a node offered in a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Least egress in kb/s that it could give: its limit, or what it carried while it took no more.
    pub offered_kbps: u32,
    /// Least load in kb/s that it said it had.
    pub load_kbps: u32,
}

impl Offer {
    fn of(report: &LoadReport) -> Self {
        let load_kbps = load_kbps(report.egress_kbps, report.sessions);
        let is_full = !report.accepting || report.cpu >= FULL_CPU;
        // What a node keeps for the rooms that it has comes on top of what it takes calls for.
        let offered_kbps = if is_full { report.egress_limit_kbps.min(load_kbps) } else { report.egress_limit_kbps };
        Self { offered_kbps, load_kbps }
    }
}

/// The load that an egress in kb/s and so many sessions are, in kb/s.
pub fn load_kbps(egress_kbps: u32, sessions: u32) -> u32 {
    egress_kbps.max(sessions.saturating_mul(SESSION_KBPS))
}

/// What each node offered.
#[derive(Debug, Default)]
pub struct Offers {
    nodes: BTreeMap<NodeId, BTreeMap<Minute, Offer>>,
}

impl Offers {
    /// Most minutes kept per node: two days.
    const MAX_MINUTES: usize = 2 * 24 * 60;

    /// A report of a node in service.
    pub fn heard(&mut self, report: &LoadReport) {
        let offer = Offer::of(report);
        let minutes = self.nodes.entry(report.node).or_default();
        minutes
            .entry(Minute(seq_time(report.seq) / MINUTE_MS))
            .and_modify(|least| {
                least.offered_kbps = least.offered_kbps.min(offer.offered_kbps);
                least.load_kbps = least.load_kbps.min(offer.load_kbps);
            })
            .or_insert(offer);
        while minutes.len() > Self::MAX_MINUTES {
            minutes.pop_first();
        }
    }

    /// What a node offered in the minutes that lie wholly in `from..to`, as far as it was heard.
    pub fn between(&self, node: &NodeId, from: UnixMs, to: UnixMs) -> BTreeMap<Minute, Offer> {
        let (first, end) = (Minute(from.div_ceil(MINUTE_MS)), Minute(to / MINUTE_MS));
        if first >= end {
            return BTreeMap::new();
        }
        let minutes = self.nodes.get(node).into_iter().flat_map(|minutes| minutes.range(first..end));
        minutes.map(|(minute, offer)| (*minute, *offer)).collect()
    }

    /// Forgets what lies before `until`, and nodes with nothing left.
    pub fn forget(&mut self, until: UnixMs) {
        let until = Minute(until / MINUTE_MS);
        self.nodes.retain(|_, minutes| {
            *minutes = minutes.split_off(&until);
            !minutes.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::record::next_seq;

    const START: UnixMs = 1_800_000_000_000;
    const NODE: NodeId = NodeId([1; 20]);

    fn report(at: UnixMs) -> LoadReport {
        LoadReport {
            node: NODE,
            seq: next_seq(0, at),
            cpu: 1_000,
            ingress_kbps: 0,
            egress_kbps: 20_000,
            egress_limit_kbps: 100_000,
            rooms: 1,
            sessions: 8,
            loss: 0,
            rtt_ms: 20,
            accepting: true,
        }
    }

    #[test]
    fn a_node_that_takes_calls_offers_its_limit_and_a_full_one_what_it_carries() {
        let offered = |report: LoadReport| Offer::of(&report).offered_kbps;
        let open = report(START);
        assert_eq!(offered(open.clone()), 100_000);
        assert_eq!(offered(LoadReport { accepting: false, ..open.clone() }), 20_000);
        assert_eq!(offered(LoadReport { cpu: 9_500, ..open.clone() }), 20_000);
        assert_eq!(offered(LoadReport { accepting: false, egress_kbps: 90_000, ..open.clone() }), 90_000);
        assert_eq!(offered(LoadReport { accepting: false, egress_kbps: 110_000, ..open.clone() }), 100_000);
        assert_eq!(offered(LoadReport { accepting: false, sessions: 160, ..open.clone() }), 80_000, "of voices alone");
        assert_eq!(offered(LoadReport { egress_limit_kbps: 10_000, ..open }), 10_000);
    }

    #[test]
    fn a_minute_has_its_least_and_only_whole_minutes_of_an_epoch_count() {
        let mut offers = Offers::default();
        for n in 0..36 {
            let accepting = n != 13;
            offers.heard(&LoadReport { accepting, ..report(START + n * 5_000) });
        }
        let first = START / MINUTE_MS;
        let of = |offers: &Offers, from, to| {
            let between = offers.between(&NODE, from, to);
            between.into_iter().map(|(minute, offer)| (minute.0 - first, offer.offered_kbps)).collect::<Vec<_>>()
        };
        assert_eq!(of(&offers, START, START + 180_000), [(0, 100_000), (1, 20_000), (2, 100_000)]);
        assert_eq!(of(&offers, START + 1, START + 179_999), [(1, 20_000)]);
        assert!(of(&offers, START + 1, START + 119_999).is_empty());
        assert!(of(&offers, START + 180_000, START).is_empty());
        offers.forget(START + 120_000);
        assert_eq!(of(&offers, START, START + 180_000), [(2, 100_000)]);
        offers.forget(START + 180_000);
        assert!(offers.nodes.is_empty());
    }
}
