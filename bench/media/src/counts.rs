//! What the generator counts, from its beginning on.

use crate::{model::delay::Delays, wire::srtp::Profile};

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Packets that publishers sent.
    pub published: u64,
    /// Packets that subscribers should therefore get: each published packet as often as it has subscribers.
    pub due: u64,
    /// RTP datagrams that came, of any kind.
    pub datagrams: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Media packets that came in the first place.
    pub received: u64,
    /// Media packets that were missing and came later: repaired or overtaken.
    pub late: u64,
    /// Packets that came once too often.
    pub duplicates: u64,
    /// Probes and padding.
    pub padding: u64,
    /// Packets dropped by the modelled line.
    pub injected: u64,
    /// Packets opened and found to be what was sent.
    pub opened: u64,
    /// Packets that couldn't be opened or had another content.
    pub corrupt: u64,
    /// Datagrams that nobody knows what to do with.
    pub unknown: u64,
    /// Media packets whose sending time isn't known.
    pub untimed: u64,
    /// Numbers asked for by NACK.
    pub asked: u64,
    /// Packets that publishers sent again because they were asked.
    pub resent: u64,
    /// Key frames that publishers were asked for.
    pub keyframes_asked: u64,
    /// RTCP packets sent.
    pub feedback: u64,
    /// Consent checks sent.
    pub checks: u64,
    /// Datagrams that the kernel didn't take.
    pub refused: u64,
    /// From a packet's sending to its arrival at the receiver's socket, since the counts were last taken.
    pub delays: Delays,
    /// What media is protected with.
    pub profile: Option<Profile>,
}
