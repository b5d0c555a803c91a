//! Which registry nodes to dial, and when again.

use chroom_primitives::UnixMs;
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeMap, BTreeSet};

/// Most peers that are remembered.
pub const MAX_PEERS: usize = 512;
/// Most addresses per peer.
const MAX_ADDRESSES: usize = 4;
/// First wait after a failure, in milliseconds; it doubles up to [`MAX_WAIT_MS`].
const MIN_WAIT_MS: u64 = 1_000;
/// Longest wait between two attempts, in milliseconds.
const MAX_WAIT_MS: u64 = 15_000;
/// Strikes until a peer is shut out.
const MAX_STRIKES: u32 = 20;
/// How long a peer is shut out, in milliseconds.
const BAN_MS: u64 = 5 * 60 * 1_000;

#[derive(Clone, Debug, Default)]
struct Known {
    addresses: BTreeSet<Multiaddr>,
    failures: u32,
    next_ms: UnixMs,
    connected: bool,
    strikes: u32,
    banned_until: UnixMs,
}

/// The address book.
#[derive(Clone, Debug, Default)]
pub struct PeerBook {
    known: BTreeMap<PeerId, Known>,
}

impl PeerBook {
    /// Learns an address.
    pub fn learn(&mut self, peer: PeerId, address: Multiaddr) {
        if !self.known.contains_key(&peer) && self.known.len() >= MAX_PEERS {
            let worst =
                self.known.iter().filter(|(_, k)| !k.connected).max_by_key(|(_, k)| k.failures).map(|(p, _)| *p);
            match worst {
                Some(worst) => drop(self.known.remove(&worst)),
                None => return,
            }
        }
        let known = self.known.entry(peer).or_default();
        if known.addresses.len() >= MAX_ADDRESSES && !known.addresses.contains(&address) {
            known.addresses.pop_first();
        }
        known.addresses.insert(address);
    }

    /// Peers to dial now, with their addresses; each of them then waits longer.
    pub fn due(&mut self, now: UnixMs) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut due = Vec::new();
        for (peer, known) in &mut self.known {
            if !known.connected && known.next_ms <= now && known.banned_until <= now && !known.addresses.is_empty() {
                known.failures = known.failures.saturating_add(1);
                let wait = MIN_WAIT_MS.saturating_mul(1 << known.failures.min(5)).min(MAX_WAIT_MS);
                known.next_ms = now.saturating_add(wait);
                due.push((*peer, known.addresses.iter().cloned().collect()));
            }
        }
        due
    }

    /// A connection stands.
    pub fn connected(&mut self, peer: PeerId) {
        if self.known.len() < MAX_PEERS || self.known.contains_key(&peer) {
            let known = self.known.entry(peer).or_default();
            known.connected = true;
        }
    }

    /// The peer proved useful: the next attempt after a loss comes soon.
    pub fn proved(&mut self, peer: &PeerId) {
        if let Some(known) = self.known.get_mut(peer) {
            known.failures = 0;
        }
    }

    /// The last connection to a peer is gone.
    pub fn disconnected(&mut self, peer: &PeerId, now: UnixMs) {
        if let Some(known) = self.known.get_mut(peer) {
            known.connected = false;
            known.next_ms = known.next_ms.max(now.saturating_add(MIN_WAIT_MS));
        }
    }

    /// Membership changed: everyone is worth a new attempt.
    pub fn retry_all(&mut self) {
        for known in self.known.values_mut() {
            known.failures = 0;
            known.next_ms = 0;
        }
    }

    /// A peer sent what no honest peer sends. Says whether it is shut out from now on.
    pub fn strike(&mut self, peer: &PeerId, now: UnixMs) -> bool {
        let Some(known) = self.known.get_mut(peer) else { return false };
        known.strikes += 1;
        if known.strikes < MAX_STRIKES {
            return false;
        }
        known.strikes = 0;
        known.banned_until = now.saturating_add(BAN_MS);
        true
    }

    /// Whether a peer is shut out.
    pub fn banned(&self, peer: &PeerId, now: UnixMs) -> bool {
        self.known.get(peer).is_some_and(|known| known.banned_until > now)
    }

    /// Connected peers.
    pub fn connections(&self) -> Vec<PeerId> {
        self.known.iter().filter(|(_, k)| k.connected).map(|(peer, _)| *peer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_ever_more_seldom_until_the_peer_is_there() {
        let mut book = PeerBook::default();
        let peer = PeerId::random();
        book.learn(peer, "/ip4/127.0.0.1/tcp/1".parse().unwrap());
        let attempts: Vec<u64> = (0..60_000).step_by(500).filter(|now| !book.due(*now).is_empty()).collect();
        let gaps: Vec<u64> = attempts.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps.windows(2).all(|w| w[0] <= w[1]) && gaps.last() == Some(&MAX_WAIT_MS), "{gaps:?}");
        book.connected(peer);
        book.proved(&peer);
        assert!(book.due(1_000_000).is_empty());
        book.disconnected(&peer, 1_000_000);
        assert!(book.due(1_000_000).is_empty());
        assert_eq!(book.due(1_001_000).len(), 1);
    }

    #[test]
    fn a_peer_that_sends_forgeries_is_shut_out_for_a_while() {
        let mut book = PeerBook::default();
        let peer = PeerId::random();
        book.connected(peer);
        assert_eq!((0..MAX_STRIKES).filter(|_| book.strike(&peer, 10)).count(), 1);
        assert!(book.banned(&peer, 11) && !book.banned(&peer, 10 + BAN_MS));
    }
}
