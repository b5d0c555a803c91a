//! Probes: this attestor's own look at a media node.

use chroom_primitives::{Score, UnixMs, score::Observation, score::score};
use codec::{Decode, Encode};

/// One probe's result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Probe {
    /// When it was made, Unix time in milliseconds.
    pub at_ms: UnixMs,
    /// Round-trip time of a call over the mutually authenticated connection, in milliseconds; none if the node could not be reached or was another.
    pub rtt_ms: Option<u32>,
}

impl Probe {
    /// The score of what was seen: that of the round-trip time, 0 if there was no answer.
    pub fn score(&self) -> Score {
        match self.rtt_ms {
            Some(rtt_ms) => score(&Observation { rtt_ms, ..Default::default() }),
            None => Score(0),
        }
    }
}
