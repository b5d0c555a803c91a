//! How much a receiver wants a video before its others.

/// The scale of W3C's `RTCPriorityType` (WebRTC Priority, section 4). An order, not a share: see [`super::layer`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
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
