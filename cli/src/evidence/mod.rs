//! Evidence that a node contradicted itself: what it shows, the file that it travels in, and whether it is worth a report.

mod file;
mod worth;

pub use file::{ReadError, read, save};
pub use worth::{Facts, Worthless};

use chroom_primitives::{
    Hash, NodeId, QosEpoch,
    evidence::{RecordEquivocation, RootEquivocation},
};
use std::fmt;

/// A piece of evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// Two records of a node with one sequence number.
    Records(RecordEquivocation),
    /// Two roots of an attestor for one epoch.
    Roots(RootEquivocation),
}

/// What a node is accused of. A node is punished once for each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Charge {
    /// It signed two records with this sequence number.
    Records {
        /// The node.
        node: NodeId,
        /// The sequence number.
        seq: u64,
    },
    /// It has two roots for this epoch.
    Roots {
        /// The node.
        node: NodeId,
        /// The epoch.
        epoch: QosEpoch,
    },
}

impl Charge {
    /// The accused.
    pub fn node(&self) -> NodeId {
        match self {
            Charge::Records { node, .. } | Charge::Roots { node, .. } => *node,
        }
    }
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Charge::Records { node, seq } => write!(f, "two records of {node} with the number {seq}"),
            Charge::Roots { node, epoch } => write!(f, "two roots of {node} for epoch {}", epoch.0),
        }
    }
}

impl Evidence {
    /// What it says, without looking whether it is true.
    pub fn charge(&self) -> Charge {
        match self {
            Evidence::Records(pair) => Charge::Records { node: pair.first.payload.node, seq: pair.first.payload.seq },
            Evidence::Roots(RootEquivocation::Statements { first: statement, .. })
            | Evidence::Roots(RootEquivocation::AgainstChain(statement)) => {
                Charge::Roots { node: statement.payload.attestor, epoch: statement.payload.epoch }
            }
        }
    }

    /// Whether the accused signed it all on the network with this genesis hash, and what it signed is a contradiction. A single statement
    /// about roots is one if the chain has others.
    pub fn is_sound(&self, genesis: &Hash) -> bool {
        match self {
            Evidence::Records(pair) => pair.offender(genesis).is_some(),
            Evidence::Roots(roots) => roots.statement(genesis).is_some(),
        }
    }
}
