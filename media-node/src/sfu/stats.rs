//! Figures of sessions.

use super::id::{ParticipantId, RoomId, SessionId};
use std::time::Duration;

/// What the node counted and measured of one session since it began.
#[derive(Clone, PartialEq, Debug)]
pub struct SessionStats {
    /// The session.
    pub session: SessionId,
    /// Its room.
    pub room: RoomId,
    /// Its participant.
    pub participant: ParticipantId,
    /// Whether media can flow.
    pub connected: bool,
    /// RTP packets forwarded to the client, without retransmissions.
    pub sent_packets: u64,
    /// Payload bytes of those.
    pub sent_bytes: u64,
    /// RTP packets received from the client, repaired ones included.
    pub received_packets: u64,
    /// Payload bytes of those.
    pub received_bytes: u64,
    /// Packets that the client's receiver reports expected (RFC 3550 §6.4.1).
    pub expected: u64,
    /// Packets of those that were lost on the way, before repair.
    pub lost: u64,
    /// Fraction lost in the last seconds, parts per 10,000.
    pub loss: u16,
    /// Round-trip time, once a report came.
    pub rtt: Option<Duration>,
    /// Interarrival jitter at the client, once a report came.
    pub jitter: Option<Duration>,
    /// Estimated capacity towards the client, in kb/s; 0 if not known.
    pub estimate_kbps: u32,
    /// How what the client sends arrives here.
    pub uplink: Uplink,
    /// Fraction lost of that in the last seconds, parts per 10,000.
    pub uplink_loss: u16,
}

/// How what a client sends arrives at the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Uplink {
    /// Packets that its sources sent, by their numbers.
    pub expected: u64,
    /// Packets of those that were lost on the way, before repair.
    pub lost: u64,
    /// Interarrival jitter, mean over sources, once there was a report on one.
    pub jitter: Option<Duration>,
}

/// Fraction lost in parts per 10,000. Counts may be whatever a peer says.
pub fn loss(expected: u64, lost: u64) -> u16 {
    let share = (u128::from(lost.min(expected)) * 10_000).checked_div(expected.into()).unwrap_or(0);
    u16::try_from(share).unwrap_or(10_000)
}

/// What a node's shards carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Live rooms.
    pub rooms: u32,
    /// Live sessions.
    pub sessions: u32,
    /// Published tracks.
    pub tracks: u32,
}

#[cfg(test)]
mod tests {
    use super::loss;

    #[test]
    fn a_fraction_is_one_whatever_the_counts() {
        assert_eq!((loss(0, 5), loss(1_000, 25), loss(10, 20)), (0, 250, 10_000));
        assert_eq!((loss(u64::MAX, u64::MAX), loss(u64::MAX, u64::MAX / 2)), (10_000, 4_999));
    }
}
