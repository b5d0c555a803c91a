//! Injected loss, for tests only: a deterministic share of the RTP packets that the engine sends is dropped.

/// Drops a share of packets by a seeded generator, so that a run can be repeated.
#[derive(Clone, Debug)]
pub struct EgressLoss {
    /// Packets are dropped when the generator's 32 bits lie below.
    below: u64,
    state: u64,
}

impl EgressLoss {
    /// Drops `share` (0 to 1) of the packets.
    pub fn new(share: f64, seed: u64) -> Self {
        Self { below: (share.clamp(0.0, 1.0) * (1u64 << 32) as f64) as u64, state: seed }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Whether to drop this datagram. Only RTP is dropped, never STUN, DTLS or RTCP (told apart as RFC 7983 and RFC 5761 say).
    pub fn drops(&mut self, datagram: &[u8]) -> bool {
        is_rtp(datagram) && self.next() >> 32 < self.below
    }
}

/// Whether a datagram is RTP, by RFC 7983 §7 and RFC 5761 §4.
pub fn is_rtp(datagram: &[u8]) -> bool {
    match datagram {
        [first, second, ..] => (128..192).contains(first) && !(64..96).contains(&(second & 0x7F)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_met_and_repeats_and_spares_the_rest() {
        let count = |seed| {
            let mut loss = EgressLoss::new(0.1, seed);
            (0..100_000).filter(|_| loss.drops(&[0x80, 111, 0])).count()
        };
        assert!((9_700..10_300).contains(&count(1)), "{}", count(1));
        assert_eq!(count(7), count(7));
        let mut all = EgressLoss::new(1.0, 1);
        assert!(
            all.drops(&[0x80, 111, 0]) && !all.drops(&[0x80, 200, 0]) && !all.drops(&[0, 1, 0]) && !all.drops(&[22, 0])
        );
        assert!((0..1_000).all(|_| !EgressLoss::new(0.0, 1).drops(&[0x80, 111])));
    }
}
