//! What the node reports of one session in one interval.

use crate::sfu::{id::SessionId, stats, stats::SessionStats};
use chroom_primitives::{NodeId, QosEpoch, UnixMs, record::NodeQosReport};
use std::{collections::HashMap, time::Duration};

/// A session's figures in an interval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interval {
    /// The session.
    pub session: SessionId,
    /// Its start, Unix ms.
    pub from_ms: UnixMs,
    /// Its end, Unix ms.
    pub to_ms: UnixMs,
    /// Payload bytes sent.
    pub sent_bytes: u64,
    /// Payload bytes received.
    pub received_bytes: u64,
    /// Packets that the client's receiver reports expected; 0: it reported nothing, so loss says nothing.
    pub expected: u64,
    /// Fraction lost towards the client, parts per 10,000.
    pub loss: u16,
    /// Round-trip time in milliseconds.
    pub rtt_ms: u32,
    /// Jitter in milliseconds.
    pub jitter_ms: u32,
}

impl Interval {
    /// The report, to be signed.
    pub fn report(&self, node: NodeId, epoch: QosEpoch, seq: u64) -> NodeQosReport {
        NodeQosReport {
            node,
            epoch,
            seq,
            session: self.session.0,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            sent_bytes: self.sent_bytes,
            received_bytes: self.received_bytes,
            loss: self.loss,
            rtt_ms: self.rtt_ms,
            jitter_ms: self.jitter_ms,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Before {
    at: UnixMs,
    sent: u64,
    received: u64,
    expected: u64,
    lost: u64,
}

/// Cuts sessions' running counts into intervals.
#[derive(Debug, Default)]
pub struct Intervals {
    before: HashMap<SessionId, Before>,
}

impl Intervals {
    /// The intervals that end now, one per session that was seen before and through which something went.
    pub fn cut(&mut self, now: UnixMs, sessions: &[SessionStats]) -> Vec<Interval> {
        let mut next = HashMap::with_capacity(sessions.len());
        let mut intervals = Vec::new();
        for session in sessions.iter().filter(|session| session.connected) {
            let counts = Before {
                at: now,
                sent: session.sent_bytes,
                received: session.received_bytes,
                expected: session.expected,
                lost: session.lost,
            };
            next.insert(session.session, counts);
            let Some(before) = self.before.get(&session.session).filter(|before| before.at < now) else { continue };
            let milliseconds = |duration: Option<Duration>| {
                duration.map_or(0, |duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX))
            };
            let expected = counts.expected.saturating_sub(before.expected);
            let interval = Interval {
                session: session.session,
                from_ms: before.at,
                to_ms: now,
                sent_bytes: counts.sent.saturating_sub(before.sent),
                received_bytes: counts.received.saturating_sub(before.received),
                expected,
                loss: stats::loss(expected, counts.lost.saturating_sub(before.lost)),
                rtt_ms: milliseconds(session.rtt),
                jitter_ms: milliseconds(session.jitter),
            };
            if interval.sent_bytes + interval.received_bytes > 0 {
                intervals.push(interval);
            }
        }
        self.before = next;
        intervals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_differences() {
        let mut stats = SessionStats {
            session: SessionId([1; 16]),
            room: "r".parse().unwrap(),
            participant: "p".parse().unwrap(),
            connected: true,
            sent_packets: 0,
            sent_bytes: 1_000,
            received_packets: 0,
            received_bytes: 10,
            expected: 100,
            lost: 10,
            loss: 0,
            rtt: Some(Duration::from_millis(7)),
            jitter: None,
            estimate_kbps: 0,
            uplink: Default::default(),
            uplink_loss: 0,
        };
        let mut intervals = Intervals::default();
        assert!(intervals.cut(1_000, std::slice::from_ref(&stats)).is_empty(), "nothing to compare with");
        (stats.sent_bytes, stats.expected, stats.lost) = (5_000, 200, 15);
        let cut = intervals.cut(6_000, std::slice::from_ref(&stats));
        assert_eq!(cut.len(), 1);
        assert_eq!((cut[0].from_ms, cut[0].to_ms, cut[0].sent_bytes, cut[0].loss), (1_000, 6_000, 4_000, 500));
        assert!(intervals.cut(11_000, std::slice::from_ref(&stats)).is_empty(), "nothing went through");
        assert!(intervals.cut(16_000, &[]).is_empty());
    }
}
