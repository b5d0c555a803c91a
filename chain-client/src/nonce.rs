//! Which nonce the next transaction of an account gets.
//!
//! The node's own answer is not enough: the nonce at the finalised block ignores what is pending, and the pool of the
//! node that one is connected to may not have seen what was sent a moment ago. So the client keeps what it has in flight.

use std::collections::BTreeSet;

/// Nonces of one account's transactions that are on their way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Nonces {
    in_flight: BTreeSet<u64>,
    /// Everything below is in finalised blocks.
    used_below: u64,
}

impl Nonces {
    /// Takes the smallest nonce that neither the chain nor a transaction in flight has. `next_on_chain` is the node's answer,
    /// its pool included. A nonce whose transaction was lost is given again, so a gap never blocks what follows.
    pub(crate) fn take(&mut self, next_on_chain: u64) -> u64 {
        let mut nonce = next_on_chain.max(self.used_below);
        while self.in_flight.contains(&nonce) {
            nonce = nonce.saturating_add(1);
        }
        self.in_flight.insert(nonce);
        nonce
    }

    /// The transaction is in a finalised block.
    pub(crate) fn finalised(&mut self, nonce: u64) {
        self.in_flight.remove(&nonce);
        self.used_below = self.used_below.max(nonce.saturating_add(1));
    }

    /// The transaction will never be in a block, or nobody waits for it any more: the node's answer decides.
    pub(crate) fn lost(&mut self, nonce: u64) {
        self.in_flight.remove(&nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn transactions_in_a_row_get_nonces_in_a_row() {
        let mut nonces = Nonces::default();
        // The node has seen none of them yet.
        assert_eq!([nonces.take(5), nonces.take(5), nonces.take(6)], [5, 6, 7]);
    }

    #[test]
    fn a_lost_nonce_is_given_again() {
        let mut nonces = Nonces::default();
        assert_eq!([nonces.take(0), nonces.take(0), nonces.take(0)], [0, 1, 2]);
        nonces.lost(1);
        assert_eq!(nonces.take(0), 1);
        assert_eq!(nonces.take(0), 3);
    }

    #[test]
    fn another_client_with_the_same_key_is_not_overtaken() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.take(0), 0);
        // Someone else used 1 to 3.
        assert_eq!(nonces.take(4), 4);
    }

    #[test]
    fn a_node_that_lags_does_not_bring_used_nonces_back() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.take(7), 7);
        nonces.finalised(7);
        assert_eq!(nonces.take(6), 8);
    }

    proptest! {
        /// Against a chain that includes pending transactions in any order and loses some: no nonce is given twice while it is in
        /// flight, none that is used, and when nothing is in flight there is no gap.
        #[test]
        fn no_nonce_is_shared_and_no_gap_stays(steps in proptest::collection::vec((0u8..4, 0usize..8), 1..200)) {
            let mut nonces = Nonces::default();
            let mut next_on_chain = 0u64;
            let mut pending: BTreeSet<u64> = BTreeSet::new();
            for (kind, pick) in steps {
                match kind {
                    0 | 1 => {
                        let nonce = nonces.take(next_on_chain);
                        prop_assert!(nonce >= next_on_chain);
                        prop_assert!(pending.insert(nonce), "{nonce} was given twice");
                    }
                    2 => {
                        // The chain takes the next in order, if it is there.
                        if pending.remove(&next_on_chain) {
                            nonces.finalised(next_on_chain);
                            next_on_chain += 1;
                        }
                    }
                    _ => {
                        if let Some(nonce) = pending.iter().nth(pick).copied() {
                            pending.remove(&nonce);
                            nonces.lost(nonce);
                        }
                    }
                }
            }
            // Whatever was lost, filling up makes all that is pending includable.
            while !pending.contains(&next_on_chain) && !pending.is_empty() {
                let nonce = nonces.take(next_on_chain);
                prop_assert!(pending.insert(nonce));
            }
        }
    }
}
