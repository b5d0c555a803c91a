//! Rate limits per peer.

use chroom_primitives::UnixMs;
use std::collections::BTreeMap;

/// Most peers that are remembered; the one that was silent longest gives way.
const MAX_PEERS: usize = 8_192;

/// A rate: so many at once, so many per second in the long run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// Most at once.
    pub burst: f64,
    /// How many come back per second.
    pub per_second: f64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: UnixMs,
}

/// Token buckets, one per peer.
#[derive(Debug)]
pub struct RateLimiter<K> {
    rate: Rate,
    buckets: BTreeMap<K, Bucket>,
}

impl<K: Ord + Copy> RateLimiter<K> {
    /// All peers have the same rate.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: BTreeMap::new() }
    }

    /// Takes `cost` from the peer's bucket, if it holds as much.
    pub fn admit(&mut self, peer: K, cost: f64, now: UnixMs) -> bool {
        if self.buckets.len() >= MAX_PEERS && !self.buckets.contains_key(&peer) {
            let stale = self.buckets.iter().min_by_key(|(_, b)| b.at).map(|(peer, _)| *peer);
            if let Some(stale) = stale {
                self.buckets.remove(&stale);
            }
        }
        let rate = self.rate;
        let bucket = self.buckets.entry(peer).or_insert(Bucket { tokens: rate.burst, at: now });
        let seconds = now.saturating_sub(bucket.at) as f64 / 1_000.0;
        bucket.tokens = (bucket.tokens + seconds * rate.per_second).min(rate.burst);
        bucket.at = bucket.at.max(now);
        if bucket.tokens < cost {
            return false;
        }
        bucket.tokens -= cost;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_then_the_rate() {
        let mut limiter = RateLimiter::new(Rate { burst: 3.0, per_second: 2.0 });
        assert_eq!((0..5).filter(|_| limiter.admit(1, 1.0, 1_000)).count(), 3);
        assert!(limiter.admit(2, 3.0, 1_000), "another peer has its own bucket");
        assert_eq!((0..5).filter(|_| limiter.admit(1, 1.0, 2_000)).count(), 2);
        // A clock that steps back gives nothing.
        assert!(!limiter.admit(1, 1.0, 500));
        for peer in 10..MAX_PEERS + 100 {
            limiter.admit(peer, 1.0, 3_000);
        }
        assert!(limiter.buckets.len() <= MAX_PEERS);
    }
}
