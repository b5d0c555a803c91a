//! Someone else's download: a window that grows by a packet per round trip and is halved by loss (RFC 5681), always with more to send.

/// The first window in packets (RFC 6928).
const FIRST_WINDOW: f64 = 10.0;
/// Bytes of each packet.
pub const PACKET: u16 = 1_200;

/// Both ends of the download.
#[derive(Clone, Copy, Debug)]
pub struct Reno {
    /// When it begins and ends, in milliseconds.
    pub active: (u64, u64),
    window: f64,
    threshold: f64,
    in_flight: u64,
    next: u64,
    /// Losses among packets before this one belong to a halving that has been made.
    recover: u64,
    expected: u64,
}

impl Reno {
    /// A download in this time.
    pub fn new(from_ms: u64, to_ms: u64) -> Self {
        let (window, threshold) = (FIRST_WINDOW, f64::MAX);
        Self { active: (from_ms, to_ms), window, threshold, in_flight: 0, next: 0, recover: 0, expected: 0 }
    }

    /// The next packet's number, if one may be sent.
    pub fn send(&mut self, now_ms: u64) -> Option<u64> {
        let active = (self.active.0..self.active.1).contains(&now_ms);
        if !active || self.in_flight as f64 >= self.window {
            return None;
        }
        self.in_flight += 1;
        self.next += 1;
        Some(self.next - 1)
    }

    /// A packet arrives at the other end; says how many before it didn't, for the acknowledgement.
    pub fn arrives(&mut self, number: u64) -> u64 {
        let lost = number.saturating_sub(self.expected);
        self.expected = number + 1;
        lost
    }

    /// Its acknowledgement comes back.
    pub fn acknowledged(&mut self, number: u64, lost: u64) {
        self.in_flight = self.in_flight.saturating_sub(1 + lost);
        if lost > 0 && number >= self.recover {
            self.threshold = (self.window / 2.0).max(2.0);
            self.window = self.threshold;
            self.recover = self.next;
        } else if self.window < self.threshold {
            self.window += 1.0;
        } else {
            self.window += 1.0 / self.window;
        }
    }

    /// Everything under way got lost: begins anew.
    pub fn times_out(&mut self) {
        (self.window, self.threshold, self.in_flight) = (2.0, (self.window / 2.0).max(2.0), 0);
    }
}
