//! What this orchestrator's own callers say of the media nodes, at once and not an epoch later.

use crate::allocation::turn::{FAILING_SCORE, Turn};
use chroom_primitives::{NodeId, Score, UnixMs};
use std::collections::BTreeMap;

/// How long what a caller says counts, in milliseconds.
const RECENT_MS: u64 = 30_000;
/// Fewest callers whose word counts: one alone may have a bad line.
const FEWEST: usize = 4;
/// Callers of a node that are listened to.
const MOST: usize = 1_024;

/// What the callers of each node say.
#[derive(Debug, Default)]
pub(super) struct Callers {
    nodes: BTreeMap<NodeId, Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// The newest word of each session.
    newest: BTreeMap<[u8; 16], (UnixMs, Score)>,
    failed_in: Option<Turn>,
}

impl Callers {
    /// A session's score for its last few seconds on a node.
    pub(super) fn hear(&mut self, node: NodeId, session: [u8; 16], score: Score, now: UnixMs) {
        let heard = self.nodes.entry(node).or_default();
        heard.newest.retain(|_, (at, _)| *at + RECENT_MS > now);
        if heard.newest.len() < MOST || heard.newest.contains_key(&session) {
            heard.newest.insert(session, (now, score));
        }
        let mut scores: Vec<Score> = heard.newest.values().map(|(_, score)| *score).collect();
        scores.sort_unstable();
        let median = scores.get(scores.len() / 2);
        if scores.len() >= FEWEST && median.is_some_and(|median| *median < FAILING_SCORE) {
            heard.failed_in = Some(Turn::at(now));
        }
    }

    /// The last turn in which a node failed most of its callers.
    pub(super) fn failed_in(&self, node: &NodeId) -> Option<Turn> {
        self.nodes.get(node)?.failed_in
    }

    /// Forgets a node.
    pub(super) fn forget(&mut self, node: &NodeId) {
        self.nodes.remove(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocation::turn::TURN_MS;

    const NODE: NodeId = NodeId([1; 20]);
    const NOW: UnixMs = 1_800_000_000_000;

    fn heard(scores: &[(u8, u16, u64)]) -> Option<Turn> {
        let mut callers = Callers::default();
        for (session, score, after) in scores {
            callers.hear(NODE, [*session; 16], Score(*score), NOW + after);
        }
        callers.failed_in(&NODE)
    }

    #[test]
    fn a_node_fails_when_most_of_its_callers_say_so_at_the_same_time() {
        let turn = Some(Turn::at(NOW));
        assert_eq!(heard(&[(1, 6_000, 0), (2, 6_000, 0), (3, 6_000, 0), (4, 9_000, 0)]), turn);
        assert_eq!(heard(&[(1, 6_000, 0), (2, 9_000, 0), (3, 9_000, 0), (4, 6_000, 0)]), None, "as many are content");
        assert_eq!(heard(&[(1, 0, 0), (2, 0, 0), (3, 0, 0)]), None, "too few to tell");
        assert_eq!(heard(&[(1, 0, 0), (1, 0, 1), (1, 0, 2), (1, 0, 3)]), None, "one caller again and again");
        assert_eq!(heard(&[(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, RECENT_MS)]), None, "not at the same time");
        assert_eq!(
            heard(&[(1, 0, 0), (2, 0, 0), (3, 0, 0), (1, 9_000, 1), (2, 9_000, 1), (4, 0, 2)]),
            None,
            "it mended"
        );
    }

    #[test]
    fn what_was_heard_in_a_turn_holds_for_it_and_is_bounded() {
        let mut callers = Callers::default();
        for session in 0..2_000u16 {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&session.to_le_bytes());
            callers.hear(NODE, id, Score(1_000), NOW);
        }
        assert_eq!(callers.nodes[&NODE].newest.len(), MOST);
        callers.hear(NODE, [9; 16], Score(9_900), NOW + TURN_MS);
        assert_eq!(callers.failed_in(&NODE), Some(Turn::at(NOW)));
        callers.forget(&NODE);
        assert_eq!(callers.failed_in(&NODE), None);
    }
}
