//! Scoring of one node in one epoch: a pure function of what is on disk, so that anyone with the same data gets the same leaves.

use super::{probe::Probe, receipt::StoredReceipt};
use chroom_primitives::{AccountId, Leaf, NodeId, QosEpoch, QosLeaf, Score, UsageLeaf, leaf::SourceClasses};
use std::collections::BTreeMap;

/// What is known of a session that receipts came for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionFacts {
    /// Owner of the orchestrator that vouched for it.
    pub operator: AccountId,
    /// Account that pays.
    pub application: AccountId,
    /// The orchestrator that vouched for it: the application says whom it lets spend.
    pub orchestrator: NodeId,
}

/// Everything that this attestor observed of a node in an epoch.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Receipts with their sessions.
    pub receipts: Vec<([u8; 16], StoredReceipt)>,
    /// The sessions.
    pub sessions: BTreeMap<[u8; 16], SessionFacts>,
    /// This attestor's probes.
    pub probes: Vec<Probe>,
    /// Share of the epoch in which the node reported, parts per 10,000.
    pub uptime: u16,
    /// The part of its class that the node offered, parts per 10,000; none: all of it ([`super::capacity`]).
    pub offered: Option<u16>,
    /// Number of the node's own reports, which check usage and never make a score.
    pub node_reports: u32,
}

/// Mean of the values without the lowest and the highest tenth (rounded down), in integers.
pub fn trimmed_mean(values: &mut [u64]) -> Option<u64> {
    values.sort_unstable();
    let trim = values.len() / 10;
    let kept = values.get(trim..values.len() - trim)?;
    kept.iter().sum::<u64>().checked_div(kept.len() as u64)
}

/// The leaves of `attestor` about a node.
///
/// Receipts are averaged over time within a session, trimmed over the sessions of an operator, and trimmed over operators: neither a long list
/// of sessions nor a few extreme callers decide. Probes speak only where no caller did. Who offered only a part of its class has no better
/// score than that part is worth.
pub fn leaves(epoch: QosEpoch, attestor: NodeId, node: NodeId, observed: &Observed) -> Vec<Leaf> {
    let mut sources = 0;
    let mut samples = 0usize;
    let from_receipts = receipts_score(observed);
    if from_receipts.is_some() {
        sources |= SourceClasses::RECEIPTS;
        samples += observed.receipts.len();
    }
    let mut score = from_receipts;
    if score.is_none() && !observed.probes.is_empty() {
        sources |= SourceClasses::PROBES;
        samples += observed.probes.len();
        let total: u64 = observed.probes.iter().map(|p| u64::from(p.score().0)).sum();
        score = total.checked_div(observed.probes.len() as u64);
    }
    if observed.node_reports > 0 {
        sources |= SourceClasses::NODE_REPORTS;
    }
    let score = Score::clamped(u16::try_from(score.unwrap_or(0)).unwrap_or(u16::MAX));
    let score = score.min(observed.offered.map_or(Score::MAX, Score::of_part));
    let mut leaves = vec![Leaf::Qos(QosLeaf {
        epoch,
        node,
        attestor,
        sources: SourceClasses(sources),
        score,
        uptime: observed.uptime.min(10_000),
        samples: u32::try_from(samples).unwrap_or(u32::MAX),
    })];
    let mut usage: BTreeMap<(&AccountId, &NodeId), u64> = BTreeMap::new();
    for (session, receipt) in &observed.receipts {
        if let Some(facts) = observed.sessions.get(session) {
            let bytes = usage.entry((&facts.application, &facts.orchestrator)).or_default();
            *bytes = bytes.saturating_add(receipt.bytes());
        }
    }
    leaves.extend(usage.into_iter().filter(|(_, bytes)| *bytes > 0).map(|((application, orchestrator), bytes)| {
        let (application, orchestrator) = (application.clone(), *orchestrator);
        Leaf::Usage(UsageLeaf { epoch, node, application, orchestrator, bytes })
    }));
    leaves
}

/// Whether callers claim clearly more bytes than the node itself reported for them: a tenth and a mebibyte are left to the edges of intervals.
/// It changes no leaf (the node's word may not lower what it is owed either), but someone should look at it.
pub fn claims_exceed_reports(claimed: u64, reported: u64) -> bool {
    claimed > reported.saturating_add(reported / 10).saturating_add(1 << 20)
}

fn receipts_score(observed: &Observed) -> Option<u64> {
    // Per session: score × milliseconds, and milliseconds.
    let mut sessions: BTreeMap<&[u8; 16], (u64, u64)> = BTreeMap::new();
    for (session, receipt) in &observed.receipts {
        let (weighted, time) = sessions.entry(session).or_default();
        *weighted = weighted.saturating_add(u64::from(receipt.score().0).saturating_mul(receipt.duration_ms()));
        *time = time.saturating_add(receipt.duration_ms());
    }
    let mut operators: BTreeMap<&AccountId, Vec<u64>> = BTreeMap::new();
    for (session, (weighted, time)) in sessions {
        if let (Some(facts), Some(mean)) = (observed.sessions.get(session), weighted.checked_div(time)) {
            operators.entry(&facts.operator).or_default().push(mean);
        }
    }
    let mut means: Vec<u64> = operators.into_values().filter_map(|mut scores| trimmed_mean(&mut scores)).collect();
    trimmed_mean(&mut means)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EPOCH: QosEpoch = QosEpoch(3);
    const NODE: NodeId = NodeId([7; 20]);
    const ATTESTOR: NodeId = NodeId([8; 20]);

    fn receipt(seq: u64, lost: u64) -> StoredReceipt {
        StoredReceipt {
            seq,
            from_ms: seq * 5_000,
            to_ms: seq * 5_000 + 5_000,
            rx_packets: 1_000 - lost,
            rx_lost: lost,
            rx_bytes: 1_000_000,
            tx_bytes: 500_000,
            rtt_ms: 20,
            jitter_ms: 2,
            wanted_kbps: 0,
            delivered_kbps: 0,
            payload: String::new(),
            signature: Vec::new(),
        }
    }

    fn observed(sessions: &[(u8, u8, u64)]) -> Observed {
        let mut all = Observed { uptime: 10_000, ..Default::default() };
        for (id, operator, lost) in sessions {
            let facts = SessionFacts {
                operator: AccountId::new([*operator; 32]),
                application: AccountId::new([id % 2; 32]),
                orchestrator: NodeId([*operator; 20]),
            };
            all.sessions.insert([*id; 16], facts);
            all.receipts.extend((1..4).map(|seq| ([*id; 16], receipt(seq, *lost))));
        }
        all
    }

    fn score_of(leaves: &[Leaf]) -> (u16, u8, u32) {
        let Some(Leaf::Qos(leaf)) = leaves.first() else { panic!("no quality leaf") };
        (leaf.score.0, leaf.sources.0, leaf.samples)
    }

    #[test]
    fn a_lossy_node_scores_lower_than_its_twin() {
        let good = score_of(&leaves(EPOCH, ATTESTOR, NODE, &observed(&[(1, 1, 0), (2, 1, 2)])));
        let bad = score_of(&leaves(EPOCH, ATTESTOR, NODE, &observed(&[(1, 1, 100), (2, 1, 100)])));
        assert!(good.0 > 9_000 && bad.0 < 6_000, "{good:?} {bad:?}");
        assert_eq!((good.1, good.2), (SourceClasses::RECEIPTS, 6));
    }

    #[test]
    fn an_operator_with_many_sessions_counts_once() {
        let mut sessions: Vec<(u8, u8, u64)> = (10..60).map(|id| (id, 1, 300)).collect();
        sessions.extend([(1, 2, 0), (2, 3, 0)]);
        let crowd = score_of(&leaves(EPOCH, ATTESTOR, NODE, &observed(&sessions))).0;
        let fair = score_of(&leaves(EPOCH, ATTESTOR, NODE, &observed(&[(10, 1, 300), (1, 2, 0), (2, 3, 0)]))).0;
        assert_eq!(crowd, fair);
    }

    #[test]
    fn usage_is_summed_per_application_and_orchestrator() {
        let all = leaves(EPOCH, ATTESTOR, NODE, &observed(&[(1, 1, 0), (2, 1, 0), (3, 1, 0), (5, 2, 0)]));
        let usage: Vec<(u8, u8, u64)> = all
            .iter()
            .filter_map(|leaf| match leaf {
                Leaf::Usage(u) => {
                    Some((u.application.as_ref() as &[u8])[0]).map(|app| (app, u.orchestrator.0[0], u.bytes))
                }
                Leaf::Qos(_) => None,
            })
            .collect();
        assert_eq!(usage, [(0, 1, 3 * 1_500_000), (1, 1, 6 * 1_500_000), (1, 2, 3 * 1_500_000)]);
        assert!(matches!(&all[0], Leaf::Qos(leaf) if leaf.attestor == ATTESTOR));
    }

    #[test]
    fn only_clear_excess_is_noted() {
        assert!(!claims_exceed_reports(11 << 20, 10 << 20));
        assert!(claims_exceed_reports(20 << 20, 10 << 20));
        assert!(!claims_exceed_reports(0, u64::MAX));
    }

    #[test]
    fn probes_speak_where_no_caller_did_and_the_node_never() {
        let probe = |rtt_ms| Probe { at_ms: 1, rtt_ms };
        let mut seen = Observed {
            probes: vec![probe(Some(10)), probe(None)],
            uptime: 5_000,
            node_reports: 4,
            ..Default::default()
        };
        let (score, sources, samples) = score_of(&leaves(EPOCH, ATTESTOR, NODE, &seen));
        assert!((4_900..=5_000).contains(&score), "{score}");
        assert_eq!((sources, samples), (SourceClasses::PROBES | SourceClasses::NODE_REPORTS, 2));
        seen.probes.clear();
        assert_eq!(score_of(&leaves(EPOCH, ATTESTOR, NODE, &seen)), (0, SourceClasses::NODE_REPORTS, 0));
    }

    #[test]
    fn a_part_of_a_class_bounds_the_score_of_callers_and_of_probes() {
        let mut seen = observed(&[(1, 1, 0), (2, 1, 2)]);
        let whole = score_of(&leaves(EPOCH, ATTESTOR, NODE, &seen)).0;
        for (part, expected) in [(10_000, whole), (9_000, 6_800), (5_000, 2_000)] {
            seen.offered = Some(part);
            assert_eq!(score_of(&leaves(EPOCH, ATTESTOR, NODE, &seen)).0, expected);
        }
        let probes = vec![Probe { at_ms: 1, rtt_ms: Some(10) }];
        let idle = Observed { probes, offered: Some(5_000), ..Default::default() };
        assert_eq!(score_of(&leaves(EPOCH, ATTESTOR, NODE, &idle)).0, 2_000);
    }

    proptest! {
        #[test]
        fn a_tenth_of_extreme_sessions_cannot_move_the_mean_far(
            honest in prop::collection::vec(8_000u64..9_000, 19),
            liars in prop::collection::vec(prop_oneof![Just(0u64), Just(10_000)], 2),
        ) {
            let mut all = honest;
            all.extend(liars);
            let mean = trimmed_mean(&mut all).unwrap();
            prop_assert!((8_000..9_000).contains(&mean));
        }
    }
}
