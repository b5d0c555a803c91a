//! Bounds on what one client, and all of them, can ask.

use chroom_primitives::UnixMs;

/// Bounds of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerLimits {
    /// Largest message in bytes, either way.
    pub message: u32,
    /// WebSocket connections.
    pub connections: u32,
    /// TCP connections, those for plain HTTP included.
    pub sockets: usize,
    /// TCP connections from one address (an IPv4 address, an IPv6 /64); 0: no limit of their own.
    pub sockets_per_address: usize,
    /// How long a connection may stay without a first request, in seconds.
    pub silent_s: u64,
    /// Requests per second of one connection, in the long run.
    pub requests_per_s: u32,
    /// Requests that one connection may save up.
    pub burst: u32,
    /// How long a connection may stay without a session, in seconds.
    pub idle_s: u64,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            message: 128 * 1024,
            connections: 10_000,
            sockets: 12_000,
            sockets_per_address: 256,
            silent_s: 10,
            requests_per_s: 20,
            burst: 100,
            idle_s: 60,
        }
    }
}

/// A token bucket. Time is an argument.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_s: u32,
    burst: u32,
    /// Thousandths of a request.
    saved: u64,
    at: UnixMs,
}

impl RateLimit {
    /// A full bucket.
    pub fn new(per_s: u32, burst: u32, now: UnixMs) -> Self {
        Self { per_s, burst, saved: u64::from(burst) * 1_000, at: now }
    }

    /// Takes one request out, if there is one.
    pub fn take(&mut self, now: UnixMs) -> bool {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        let gained = passed.saturating_mul(u64::from(self.per_s));
        self.saved = self.saved.saturating_add(gained).min(u64::from(self.burst) * 1_000);
        if self.saved < 1_000 {
            return false;
        }
        self.saved -= 1_000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut limit = RateLimit::new(10, 3, 1_000);
        assert!((0..3).all(|_| limit.take(1_000)));
        assert!(!limit.take(1_000));
        assert!(!limit.take(1_099));
        assert!(limit.take(1_100));
        assert!(!limit.take(1_100));
        // A clock that is set back does not fill it.
        assert!(!limit.take(0));
        assert!((0..3).all(|_| limit.take(60_000)));
        assert!(!limit.take(60_000));
    }
}
