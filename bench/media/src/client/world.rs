//! What is around a client: time, randomness, counts, and the way out.

use super::{address::ClientId, source::Sources};
use crate::counts::Counts;
use rand::rngs::StdRng;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// What clients share while they take their turns.
pub struct World<'a, O> {
    /// Now.
    pub now: Instant,
    /// Now, since the load began.
    pub since: Duration,
    /// Now, in nanoseconds of the system's clock.
    pub wall: u64,
    /// Randomness.
    pub random: &'a mut StdRng,
    /// All sources.
    pub sources: &'a mut Sources,
    /// What is counted.
    pub counts: &'a mut Counts,
    /// Where datagrams go.
    pub out: &'a mut O,
    /// A buffer.
    pub packet: &'a mut Vec<u8>,
}

impl<O> World<'_, O> {
    /// When something came, of which the system's clock is known: since the load began.
    pub fn at(&self, wall: u64) -> Duration {
        self.since.saturating_sub(Duration::from_nanos(self.wall.saturating_sub(wall)))
    }
}

/// Takes datagrams of clients.
pub trait Out {
    /// Sends one.
    fn send(&mut self, from: ClientId, to: SocketAddr, datagram: &[u8]);

    /// Sends one of a burst; it may wait for the others until [`Out::flush`].
    fn burst(&mut self, from: ClientId, to: SocketAddr, datagram: &[u8]);

    /// Sends what waits.
    fn flush(&mut self);
}

/// The system's clock, in nanoseconds: the one that the kernel stamps datagrams with.
pub fn wall() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
