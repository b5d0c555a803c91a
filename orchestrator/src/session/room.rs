//! A room: the participants that see each other, on one media node or several.

use super::ids::{Fence, Generation, ParticipantId, RoomId, SessionId};
use crate::cascade::Tree;
use chroom_primitives::{H3Cell, NodeId, UnixMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A room and where it is placed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Key id of the application that it belongs to.
    pub application: String,
    /// Its name within the application.
    pub name: String,
    /// The media nodes that serve it; none while it looks for one.
    #[serde(default)]
    pub tree: Tree,
    /// The greatest fencing epoch that it was given. Each of its nodes has the one with which it came.
    pub fence: Fence,
    /// Counts its placements: how often it came to a node without having another one.
    pub generation: Generation,
    /// Where its first participant is: what its place is chosen by.
    pub cell: Option<H3Cell>,
    /// Its sessions in the order in which they came.
    pub sessions: Vec<SessionId>,
    /// Its host, as the application's profile chose.
    pub host: Option<ParticipantId>,
    /// Why it moved last.
    #[serde(default)]
    pub moved_because: String,
    /// Since when it has no media node, Unix ms.
    #[serde(skip)]
    pub homeless_since: Option<UnixMs>,
    /// When to look for a place again, Unix ms.
    #[serde(skip)]
    pub retry_at: UnixMs,
    /// Nodes that failed in the current search for a place, each with how.
    #[serde(skip)]
    pub tried: BTreeMap<NodeId, String>,
    /// Nodes that it can't span, each with why.
    #[serde(skip)]
    pub unfit: BTreeMap<NodeId, String>,
}

impl Room {
    /// The fencing epoch of commands to a node.
    pub fn fence_on(&self, node: NodeId) -> Fence {
        self.tree.seat(node).map_or(self.fence, |seat| seat.fence)
    }
}
