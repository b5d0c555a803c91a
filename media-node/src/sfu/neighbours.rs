//! Addresses whose sessions live on other shards.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Addresses that are remembered.
const MOST: usize = 65_536;
/// How long an address is remembered from which nothing comes. Clients in a session show their consent every few seconds.
const IDLE: Duration = Duration::from_secs(30);
/// How often the idle ones are looked for.
const SWEEP: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
struct Neighbour {
    shard: usize,
    seen: Instant,
    /// The shard's client was proven to be there.
    proven: bool,
}

/// The map. An address gets into it by the word of the shard that has its session, which saw the right password: strangers
/// cannot make it grow.
pub struct Neighbours {
    shards: HashMap<SocketAddr, Neighbour>,
    swept: Instant,
}

impl Neighbours {
    /// An empty map.
    pub fn new(now: Instant) -> Self {
        Self { shards: HashMap::new(), swept: now }
    }

    /// Notes that datagrams from `address` are for `shard`. The address of a client that was proven to be there goes to another shard only for one
    /// that is proven, too: checks can be sent with a forged source.
    pub fn learn(&mut self, now: Instant, address: SocketAddr, shard: usize, proven: bool) {
        if self.shards.get(&address).is_some_and(|known| known.proven && known.shard != shard && !proven) {
            return;
        }
        if self.shards.len() >= MOST && !self.shards.contains_key(&address) {
            self.forget_idle(now);
            if self.shards.len() >= MOST {
                return;
            }
        }
        self.shards.insert(address, Neighbour { shard, seen: now, proven });
    }

    /// The shard that datagrams from `address` are for.
    pub fn shard_of(&mut self, now: Instant, address: &SocketAddr) -> Option<usize> {
        let neighbour = self.shards.get_mut(address)?;
        neighbour.seen = now;
        Some(neighbour.shard)
    }

    /// Forgets what is idle, now and then.
    pub fn tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.forget_idle(now);
        }
    }

    fn forget_idle(&mut self, now: Instant) {
        self.swept = now;
        self.shards.retain(|_, neighbour| now.saturating_duration_since(neighbour.seen) < IDLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> SocketAddr {
        SocketAddr::new([10, (n >> 16) as u8, (n >> 8) as u8, n as u8].into(), 9)
    }

    #[test]
    fn who_is_heard_is_remembered_and_who_falls_silent_forgotten() {
        let start = Instant::now();
        let mut neighbours = Neighbours::new(start);
        assert_eq!(neighbours.shard_of(start, &address(1)), None);
        neighbours.learn(start, address(1), 3, true);
        neighbours.learn(start, address(2), 1, false);
        for second in 1..60 {
            let now = start + Duration::from_secs(second);
            assert_eq!(neighbours.shard_of(now, &address(1)), Some(3));
            neighbours.tick(now);
        }
        assert_eq!(neighbours.shards.len(), 1);
        // A session elsewhere from the same address: at once if it is proven, else when the other is gone.
        let at = |second| start + Duration::from_secs(second);
        neighbours.learn(at(60), address(1), 0, false);
        assert_eq!(neighbours.shard_of(at(60), &address(1)), Some(3));
        neighbours.learn(at(61), address(1), 0, true);
        assert_eq!(neighbours.shard_of(at(61), &address(1)), Some(0));
        neighbours.tick(at(100));
        neighbours.learn(at(100), address(1), 2, false);
        assert_eq!(neighbours.shard_of(at(100), &address(1)), Some(2));
    }

    #[test]
    fn it_is_bounded_and_newcomers_do_not_put_out_those_who_are_heard() {
        let start = Instant::now();
        let mut neighbours = Neighbours::new(start);
        for n in 0..MOST + 10 {
            neighbours.learn(start, address(n), 1, true);
        }
        assert_eq!(neighbours.shards.len(), MOST);
        assert_eq!(neighbours.shard_of(start, &address(0)), Some(1));
        let later = start + IDLE;
        assert_eq!(neighbours.shard_of(later, &address(0)), Some(1));
        neighbours.learn(later, address(MOST + 1), 2, false);
        assert_eq!(neighbours.shard_of(later, &address(MOST + 1)), Some(2));
        assert_eq!(neighbours.shards.len(), 2, "the idle ones made room");
    }
}
