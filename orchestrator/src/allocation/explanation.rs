//! Why a media node was chosen, and why the others were not.

use super::turn::Place;
use chroom_primitives::NodeId;
use serde::Serialize;

/// Why a node was passed over, or how it stood.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It was chosen.
    #[serde(rename_all = "camelCase")]
    Chosen {
        /// Its mark, 0 to 1.
        mark: f64,
    },
    /// It could have been chosen.
    #[serde(rename_all = "camelCase")]
    Eligible {
        /// Its mark, 0 to 1.
        mark: f64,
    },
    /// It cannot take the session.
    #[serde(rename_all = "camelCase")]
    PassedOver {
        /// Why not.
        reason: String,
    },
}

/// A node that was considered.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Considered {
    /// The node.
    pub node: NodeId,
    /// Distance in kilometres, if both places are known.
    pub km: Option<u32>,
    /// How it stands in the turn, if turns decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<Place>,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// All nodes that were considered, each with what came of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Explanation {
    /// The nodes, in the order of their ids.
    pub considered: Vec<Considered>,
}

impl Explanation {
    /// In one line, for logs and messages.
    pub fn summary(&self) -> String {
        if self.considered.is_empty() {
            return "no media node is known: is one registered, running, and connected to a registry?".to_owned();
        }
        let lines: Vec<String> = self
            .considered
            .iter()
            .take(20)
            .map(|c| {
                let turn = c.turn.map_or_else(String::new, |place| format!(", {}", place.as_str()));
                match &c.verdict {
                    Verdict::Chosen { mark } => format!("{}: chosen ({mark:.2}{turn})", c.node),
                    Verdict::Eligible { mark } => format!("{}: eligible ({mark:.2}{turn})", c.node),
                    Verdict::PassedOver { reason } => format!("{}: {reason}", c.node),
                }
            })
            .collect();
        lines.join("; ")
    }
}
