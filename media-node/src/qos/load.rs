//! Measuring the load.

use super::cpu::Cpu;
use crate::{
    health::Load,
    sfu::{
        Traffic,
        stats::{self, SessionStats, Totals},
    },
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Bytes on the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Line {
    /// Sent.
    pub sent_bytes: u64,
    /// Received.
    pub received_bytes: u64,
}

/// Turns counts into rates between calls.
#[derive(Debug, Default)]
pub struct LoadMeter {
    cpu: Cpu,
    last: Option<(Instant, Line, Line)>,
    reports: HashMap<[u8; 16], (u64, u64)>,
}

impl LoadMeter {
    /// The load since the last call: `traffic` to and from callers, and what went over pipes to other media nodes, which fills the line as well.
    pub fn measure(
        &mut self,
        now: Instant,
        traffic: &Traffic,
        pipes: Line,
        totals: Totals,
        sessions: &[SessionStats],
    ) -> Load {
        // A media thread can be at its end while other cores idle: the node can do no more then.
        let cpu = self.cpu.measure(now).max(traffic.busy);
        let callers = Line { sent_bytes: traffic.sent_bytes, received_bytes: traffic.received_bytes };
        let (to_callers, to_pipes) = self.last.map_or_else(Default::default, |(then, callers_before, pipes_before)| {
            let passed = now.saturating_duration_since(then);
            (rates(callers, callers_before, passed), rates(pipes, pipes_before, passed))
        });
        self.last = Some((now, callers, pipes));
        let (mut expected, mut lost) = (0, 0);
        let mut reports = HashMap::with_capacity(sessions.len());
        for session in sessions {
            let before = self.reports.get(&session.session.0).copied().unwrap_or_default();
            expected += session.expected.saturating_sub(before.0);
            lost += session.lost.saturating_sub(before.1);
            reports.insert(session.session.0, (session.expected, session.lost));
        }
        self.reports = reports;
        let rtts: Vec<Duration> = sessions.iter().filter_map(|session| session.rtt).collect();
        let rtt = rtts.iter().sum::<Duration>() / u32::try_from(rtts.len().max(1)).unwrap_or(1);
        Load {
            cpu,
            relief: traffic.relief,
            ingress_kbps: to_callers.0.saturating_add(to_pipes.0),
            egress_kbps: to_callers.1.saturating_add(to_pipes.1),
            pipe_egress_kbps: to_pipes.1,
            totals,
            loss: stats::loss(expected, lost),
            rtt_ms: u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX),
        }
    }
}

/// Ingress and egress in kb/s.
fn rates(now: Line, before: Line, passed: Duration) -> (u32, u32) {
    (
        kbps(now.received_bytes.saturating_sub(before.received_bytes), passed),
        kbps(now.sent_bytes.saturating_sub(before.sent_bytes), passed),
    )
}

fn kbps(bytes: u64, passed: Duration) -> u32 {
    let milliseconds = passed.as_millis().max(1);
    u32::try_from(u128::from(bytes) * 8 / milliseconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sfu::id::SessionId;

    fn session(expected: u64, lost: u64, rtt_ms: u64) -> SessionStats {
        SessionStats {
            session: SessionId([1; 16]),
            room: "r".parse().unwrap(),
            participant: "p".parse().unwrap(),
            connected: true,
            sent_packets: 0,
            sent_bytes: 0,
            received_packets: 0,
            received_bytes: 0,
            expected,
            lost,
            loss: 0,
            rtt: Some(Duration::from_millis(rtt_ms)),
            jitter: None,
            estimate_kbps: 0,
            uplink: Default::default(),
            uplink_loss: 0,
        }
    }

    #[test]
    fn rates_and_loss_are_of_the_interval() {
        let start = Instant::now();
        let mut meter = LoadMeter::default();
        let traffic = Traffic { sent_bytes: 1_000, received_bytes: 500, ..Traffic::default() };
        let pipes = Line { sent_bytes: 7, received_bytes: 9 };
        meter.measure(start, &traffic, pipes, Totals::default(), &[session(100, 0, 10)]);
        let later = Traffic { sent_bytes: 251_000, received_bytes: 125_500, ..traffic };
        let pipes = Line { sent_bytes: 50_007, received_bytes: 25_009 };
        let load =
            meter.measure(start + Duration::from_secs(2), &later, pipes, Totals::default(), &[session(300, 20, 30)]);
        assert_eq!((load.egress_kbps, load.ingress_kbps, load.loss, load.rtt_ms), (1_200, 600, 1_000, 30));
        assert_eq!((load.pipe_egress_kbps, load.caller_egress_kbps()), (200, 1_000));
    }
}
