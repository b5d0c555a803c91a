//! What the orchestrator knows of one node.

use crate::allocation::{Budget, turn::Turn};
use chroom_primitives::{
    Balance, NodeId, QosEpoch, Score, UnixMs,
    record::{LoadReport, NodeRecord, Registration},
};

/// A media node's newest load report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Load {
    /// The report.
    pub report: LoadReport,
    /// When it was made, by this orchestrator's clock, Unix ms.
    pub made_ms: UnixMs,
}

/// A node that registry and chain agree on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// As the chain has it.
    pub registration: Registration,
    /// As it describes itself.
    pub record: NodeRecord,
    /// Its load, if it ever reported any.
    pub load: Option<Load>,
    /// Its running score, if the registry has one.
    pub score: Option<Score>,
    /// The last turn in which it failed most of this orchestrator's callers.
    pub failed_in: Option<Turn>,
    /// What it was paid last.
    pub last_reward: Option<(QosEpoch, Balance)>,
}

impl NodeView {
    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.registration.node
    }

    /// Its software version as it says.
    pub fn version(&self) -> String {
        String::from_utf8_lossy(&self.record.version).into_owned()
    }

    /// Its public URL as it says.
    pub fn public_url(&self) -> String {
        String::from_utf8_lossy(&self.record.public_url).into_owned()
    }

    /// Its region: the name of its H3 base cell.
    pub fn region(&self) -> String {
        format!("h3-{}", self.registration.cell.base_cell())
    }
}

/// Where cores look nodes up.
pub trait Directory {
    /// One node.
    fn node(&self, id: &NodeId) -> Option<NodeView>;
    /// All media nodes that registry and chain agree on.
    fn media_nodes(&self) -> Vec<NodeView>;
    /// What the application with this key id can pay.
    fn budget(&self, application: &str) -> Budget;
    /// Why rooms on the node should move away, if they should: it is draining, left, or no longer registered.
    fn leaving(&self, id: &NodeId) -> Option<String>;
}
