//! Where a session is, and was a moment ago: what its receipts may be about.

use chroom_primitives::{NodeId, UnixMs};
use serde::{Deserialize, Serialize};

/// How far a client's clock may be behind, in milliseconds.
const CLOCK_MS: u64 = 60_000;
/// How long after the session left a node intervals may still end there, in milliseconds: a node that drains serves its clients
/// for 20 s more, and a client that is offline hears of the move later.
const GRACE_MS: u64 = 30_000;
/// Stays that are remembered. Receipts are taken for two minutes, in which a session hardly moves as often.
const MOST: usize = 8;

/// A session's stay on a media node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stay {
    /// The media node.
    pub node: NodeId,
    /// When the node opened the session, Unix ms.
    pub began_ms: UnixMs,
    /// When another node opened it, Unix ms.
    pub ended_ms: Option<UnixMs>,
}

impl Stay {
    /// Whether an interval that ended at `to` may be of this stay.
    fn covers(&self, to: UnixMs) -> bool {
        self.began_ms <= to.saturating_add(CLOCK_MS)
            && self.ended_ms.is_none_or(|ended| to <= ended.saturating_add(GRACE_MS))
    }
}

/// The newest stays of a session, oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stays(Vec<Stay>);

impl Stays {
    /// Notes that a node opened the session. On the same node again, the stay goes on.
    pub fn arrive(&mut self, node: NodeId, now: UnixMs) {
        if let Some(last) = self.0.last_mut() {
            if last.node == node {
                return;
            }
            last.ended_ms = Some(now);
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Stay { node, began_ms: now, ended_ms: None });
    }

    /// Whether `node` served the session when an interval ended at `to`.
    pub fn served(&self, node: &NodeId, to: UnixMs) -> bool {
        self.0.iter().any(|stay| stay.node == *node && stay.covers(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixMs = 1_800_000_000_000;

    fn node(n: u8) -> NodeId {
        NodeId([n; 20])
    }

    #[test]
    fn a_node_counts_while_it_serves_and_a_moment_longer() {
        let mut stays = Stays::default();
        assert!(!stays.served(&node(1), T0));
        stays.arrive(node(1), T0);
        stays.arrive(node(1), T0 + 50_000);
        assert!(stays.served(&node(1), T0) && stays.served(&node(1), T0 + 86_400_000));
        assert!(stays.served(&node(1), T0 - CLOCK_MS) && !stays.served(&node(1), T0 - CLOCK_MS - 1));
        stays.arrive(node(2), T0 + 100_000);
        assert!(stays.served(&node(1), T0 + 100_000 + GRACE_MS));
        assert!(!stays.served(&node(1), T0 + 100_000 + GRACE_MS + 1));
        assert!(stays.served(&node(2), T0 + 200_000) && !stays.served(&node(3), T0 + 200_000));
        // Back where it was.
        stays.arrive(node(1), T0 + 300_000);
        assert!(stays.served(&node(1), T0 + 300_000) && !stays.served(&node(1), T0 + 200_000));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut stays = Stays::default();
        for n in 0..100 {
            stays.arrive(node(n), T0 + u64::from(n));
        }
        assert_eq!(stays.0.len(), MOST);
        assert!(stays.served(&node(99), T0 + 100));
    }
}
