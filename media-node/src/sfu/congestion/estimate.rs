//! What the controller is told, and what it knows.

use super::{rate::Rate, trend::Usage};
use std::time::Duration;

/// Bounds of a transport's rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// The rate before anything is known.
    pub start: Rate,
    /// The lowest target.
    pub least: Rate,
    /// The highest target.
    pub most: Rate,
}

impl Default for Config {
    fn default() -> Self {
        Self { start: Rate::kbps(500), least: Rate::kbps(50), most: Rate::kbps(20_000) }
    }
}

/// What is known of the line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// What may be sent, all in all.
    pub target: Rate,
    /// What of it media may have: the rest is for resends of what gets lost.
    pub media: Rate,
    /// What resends may have: what media leaves, and a little.
    pub resends: Rate,
    /// What arrives; not known before half a second of packets has.
    pub arriving: Option<Rate>,
    /// The smoothed round trip, the receiver's wait before its feedback included.
    pub rtt: Duration,
    /// The share of packets lost in the last window.
    pub loss: f64,
    /// Whether packets get lost at all of late; the pacer keeps its bursts small then.
    pub lossy: bool,
    /// The share that is lost whatever is sent.
    pub random_loss: f64,
    /// What the queue does.
    pub usage: Usage,
    /// How long packets wait in it.
    pub queue: Duration,
    /// Nothing waits, and no loss speaks against what is sent: the line carries it, whatever the target is.
    pub clear: bool,
    /// Less is sent than may be, so that the target is a lower bound of what the line carries.
    pub limited: bool,
}
