//! How much a client wants a video before its others.

use serde::{Deserialize, Serialize};

/// The scale of W3C's `RTCPriorityType` (WebRTC Priority, section 4). Media nodes have the rule that it goes by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Behind everything else: the first to pause.
    VeryLow,
    /// Behind what was not ranked.
    Low,
    /// What was not ranked.
    #[default]
    Medium,
    /// Before what was not ranked: a pinned speaker, say.
    High,
}
