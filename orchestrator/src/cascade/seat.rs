//! A node's seat in a room's tree.

use super::order::Place;
use crate::session::Fence;
use chroom_primitives::{H3Cell, NodeId, UnixMs};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};

/// A node that a room uses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seat {
    /// The node.
    pub node: NodeId,
    /// The fencing epoch that it came with, and that all commands on the room bear there. It is the seat's age, too.
    pub fence: Fence,
    /// Where the node is.
    pub cell: Option<H3Cell>,
    /// The node above; none for the oldest seat.
    pub parent: Option<NodeId>,
    /// When to close the room there, Unix ms: nobody is on the node any more. Until then it stays connected, but takes no children.
    pub leaving: Option<UnixMs>,
    /// Whether the node may have a place in the room's tree that it would have to be told is over.
    pub told: bool,
    #[serde(skip)]
    pub(super) telling: Telling,
    /// Nodes that may still have it as a child, until when they must let it in, Unix ms; none: until it has acknowledged its parent. A root drops
    /// whom it isn't told of at once, and a new parent has to be joined first.
    #[serde(skip)]
    pub(super) formers: BTreeMap<NodeId, Option<UnixMs>>,
    /// Nodes that it lost contact with, until when they don't come into question above it.
    #[serde(skip)]
    pub(super) shunned: BTreeMap<NodeId, UnixMs>,
}

/// What a node was told, as far as this run knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Telling {
    /// Where its pipes are reached.
    pub(super) address: Option<SocketAddr>,
    /// What it acknowledged last.
    pub(super) acknowledged: Option<Place>,
    /// What it is being told.
    pub(super) asked: Option<Place>,
    /// Whether it may have forgotten meanwhile what it is being told.
    pub(super) in_doubt: bool,
    /// Orders in a row that failed.
    pub(super) failures: u32,
    /// Orders in a row that it refused.
    pub(super) refusals: u32,
    /// When to tell it again, Unix ms.
    pub(super) again: UnixMs,
}

impl Seat {
    pub(super) fn new(node: NodeId, fence: Fence, cell: Option<H3Cell>) -> Self {
        Self {
            node,
            fence,
            cell,
            parent: None,
            leaving: None,
            told: false,
            telling: Telling::default(),
            formers: BTreeMap::new(),
            shunned: BTreeMap::new(),
        }
    }

    pub(super) fn set_parent(&mut self, parent: Option<NodeId>) {
        if let Some(former) = self.parent.filter(|_| self.parent != parent) {
            self.formers.insert(former, None);
        }
        if let Some(parent) = parent {
            self.formers.remove(&parent);
        }
        self.parent = parent;
    }

    pub(super) fn shuns(&self, node: NodeId) -> bool {
        self.shunned.contains_key(&node)
    }
}
