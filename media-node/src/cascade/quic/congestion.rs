//! How much of a pipe may be in flight.
//!
//! What crosses a pipe can't be slowed down, only left out: its rate is that of the layers that are watched. So the window is no brake for a
//! line that loses by chance, which repair mends; it gives way when the line is full, which shows as a heavy loss or a growing queue.
//! Then datagrams are dropped here, in order of age, and [`crate::cascade::ceiling`] takes layers out.

use quinn_proto::{
    RttEstimator,
    congestion::{Controller, ControllerFactory},
};
use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

/// Window to begin with, in bytes: 40 ms of 100 Mb/s.
const INITIAL: u64 = 512 * 1024;
/// Smallest window.
const LEAST: u64 = 64 * 1024;
/// Largest window: 130 ms of 1 Gb/s.
const MOST: u64 = 16 * 1024 * 1024;
/// Loss from which a line counts as full, in percent.
const FULL_PERCENT: u64 = 12;
/// Bytes over which a loss is judged at least: fewer say little.
const SAMPLE: u64 = 48 * 1024;
/// A queue of this and the shortest round-trip time again is too long.
const QUEUE: Duration = Duration::from_millis(60);
/// Shortest round.
const ROUND: Duration = Duration::from_millis(20);

/// The window of one connection.
#[derive(Clone, Debug)]
pub struct Window {
    bytes: u64,
    acked: u64,
    lost: u64,
    /// Whether the window was in the way in this round.
    limited: bool,
    round_ends: Instant,
}

impl Window {
    /// A connection's window at its start.
    pub fn new(now: Instant) -> Self {
        Self { bytes: INITIAL, acked: 0, lost: 0, limited: false, round_ends: now + ROUND }
    }

    /// Bytes that may be in flight.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes arrived; the flag says whether more would have been sent.
    pub fn acked(&mut self, bytes: u64, limited: bool) {
        self.acked += bytes;
        self.limited |= limited;
    }

    /// Bytes were lost, maybe all over a long time.
    pub fn lost(&mut self, bytes: u64, all: bool) {
        self.lost += bytes;
        if all {
            self.bytes = LEAST;
        }
    }

    /// Time passes.
    pub fn pass(&mut self, now: Instant, smoothed: Duration, shortest: Duration) {
        if now < self.round_ends {
            return;
        }
        self.round_ends = now + smoothed.max(ROUND);
        let sum = self.acked + self.lost;
        let judged = sum >= SAMPLE;
        let full = judged && self.lost * 100 > sum * FULL_PERCENT;
        if full || smoothed > shortest * 2 + QUEUE {
            self.bytes = (self.bytes * 85 / 100).max(LEAST);
        } else if self.limited {
            self.bytes = (self.bytes + self.acked / 2).min(MOST);
        }
        self.limited = false;
        if judged {
            (self.acked, self.lost) = (0, 0);
        }
    }
}

/// Makes windows for connections.
#[derive(Debug, Default)]
pub struct MediaWindows;

impl ControllerFactory for MediaWindows {
    fn build(self: Arc<Self>, now: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(MediaController { window: Window::new(now), rtt: None })
    }
}

#[derive(Clone)]
struct MediaController {
    window: Window,
    /// Smoothed and shortest, of the latest acknowledgement.
    rtt: Option<(Duration, Duration)>,
}

impl Controller for MediaController {
    fn on_ack(&mut self, _: Instant, _: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.window.acked(bytes, !app_limited);
        self.rtt = Some((rtt.get(), rtt.min()));
    }

    fn on_end_acks(&mut self, now: Instant, _: u64, _: bool, _: Option<u64>) {
        if let Some((smoothed, shortest)) = self.rtt {
            self.window.pass(now, smoothed, shortest);
        }
    }

    fn on_congestion_event(&mut self, _: Instant, _: Instant, is_persistent_congestion: bool, lost_bytes: u64) {
        self.window.lost(lost_bytes, is_persistent_congestion);
    }

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        self.window.bytes()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        INITIAL
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(60);

    /// Lets a connection that always has more to send run over a line of `rate` bytes a second that loses `percent` by chance and has room for
    /// 100 ms: gives bytes that arrived per second in the last of `seconds`, and the queue at the end.
    fn run(rate: u64, percent: u64, seconds: u64) -> (u64, Duration) {
        let mut now = Instant::now();
        let mut window = Window::new(now);
        let (mut queue, mut arrived) = (0u64, 0u64);
        let rounds = seconds * 1_000 / RTT.as_millis() as u64;
        for round in 0..rounds {
            let per_round = rate * RTT.as_millis() as u64 / 1_000;
            let sent = window.bytes();
            let room = per_round + rate / 10;
            let (taken, dropped) = ((queue + sent).min(room), (queue + sent).saturating_sub(room));
            let through = taken.min(per_round);
            queue = taken - through;
            let chance = through * percent / 100;
            window.lost(dropped + chance, false);
            window.acked(through - chance, true);
            let waiting = Duration::from_millis(queue * 1_000 / rate);
            now += RTT + waiting;
            window.pass(now, RTT + waiting, RTT);
            if round + 1_000 / RTT.as_millis() as u64 >= rounds {
                arrived += through - chance;
            }
        }
        (arrived, Duration::from_millis(queue * 1_000 / rate))
    }

    #[test]
    fn losses_by_chance_leave_the_line_filled() {
        for percent in [0, 1, 3, 5, 8] {
            let (arrived, queue) = run(10_000_000, percent, 20);
            assert!(arrived > 8_000_000, "{percent} %: {arrived}");
            assert!(queue <= Duration::from_millis(101), "{percent} %: {queue:?}");
        }
    }

    #[test]
    fn a_full_line_is_given_way_to() {
        let now = Instant::now();
        let mut window = Window::new(now);
        for round in 1..=20 {
            window.acked(400_000, true);
            window.lost(200_000, false);
            window.pass(now + RTT * round, RTT, RTT);
        }
        assert_eq!(window.bytes(), LEAST);
        let mut window = Window::new(now);
        for round in 1..=20 {
            window.acked(400_000, true);
            window.pass(now + RTT * round * 4, RTT * 4, RTT);
        }
        assert_eq!(window.bytes(), LEAST, "a growing queue");
    }

    #[test]
    fn what_sends_little_keeps_its_window() {
        let now = Instant::now();
        let mut window = Window::new(now);
        for round in 1..=1_000 {
            window.acked(3_000, false);
            window.lost(if round % 20 == 0 { 1_000 } else { 0 }, false);
            window.pass(now + RTT * round, RTT, RTT);
        }
        assert_eq!(window.bytes(), INITIAL);
    }
}
