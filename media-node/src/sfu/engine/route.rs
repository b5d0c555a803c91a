//! Where a client's media goes, and how a new address is proven to be the client's.
//!
//! Whoever takes part in a call could name the address of somebody who doesn't, by a connectivity check with a forged source, and have the node flood
//! it (RFC 8445 §19.5.1). The first address is proven by the handshake, which nobody ends who doesn't get what is sent there. Each later one has to
//! answer a check of this side, which holds a random transaction id (RFC 7675 §5.1); until then, everything goes where it went before. All that an
//! address gets that isn't proven are answers to checks with the right password, [`TRIES`] checks, and while there is no proven one, the handshake.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A STUN transaction id.
pub type TransactionId = [u8; 12];

/// Checks that an address gets before it is given up; the client's next check from there begins anew.
pub const TRIES: u8 = 5;
/// Time to the second check; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
struct Challenge {
    to: SocketAddr,
    transaction: TransactionId,
    tries: u8,
    next: Instant,
}

/// Where media goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route {
    /// Where the handshake goes, until it is over.
    first: Option<SocketAddr>,
    proven: Option<SocketAddr>,
    challenge: Option<Challenge>,
}

impl Route {
    /// Where to send, if that is known.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.proven.or(self.first)
    }

    /// Whether `address` is the one that is proven.
    pub fn is_proven(&self, address: SocketAddr) -> bool {
        self.proven == Some(address)
    }

    /// The client's checks lead to `to` now; `random` makes the check of this side, if one is needed.
    pub fn lead(&mut self, now: Instant, to: SocketAddr, random: TransactionId) {
        if self.proven.is_none() {
            self.first = Some(to);
        } else if self.proven == Some(to) {
            self.challenge = None;
        } else if self.challenge.is_none_or(|challenge| challenge.to != to || challenge.tries >= TRIES) {
            self.challenge = Some(Challenge { to, transaction: random, tries: 0, next: now });
        }
    }

    /// The handshake is over: its address is the client's.
    pub fn establish(&mut self) {
        self.proven = self.proven.or(self.first);
    }

    /// The check that is due: where to, and its transaction.
    pub fn check(&mut self, now: Instant) -> Option<(SocketAddr, TransactionId)> {
        let challenge = self.challenge.as_mut().filter(|challenge| challenge.tries < TRIES && challenge.next <= now)?;
        challenge.next = now + FIRST_WAIT * (1 << challenge.tries);
        challenge.tries += 1;
        Some((challenge.to, challenge.transaction))
    }

    /// When [`Route::check`] has something.
    pub fn next_at(&self) -> Option<Instant> {
        self.challenge.filter(|challenge| challenge.tries < TRIES).map(|challenge| challenge.next)
    }

    /// Whether an answer would be one to a check of this side.
    pub fn awaits(&self, from: SocketAddr, transaction: TransactionId) -> bool {
        self.challenge.is_some_and(|challenge| {
            challenge.to == from && challenge.transaction == transaction && challenge.tries > 0
        })
    }

    /// An answer came; if it is one to a check of this side, its address is proven.
    pub fn answer(&mut self, from: SocketAddr, transaction: TransactionId) {
        if self.awaits(from, transaction) {
            self.proven = Some(from);
            self.challenge = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(number: u8) -> SocketAddr {
        ([192, 0, 2, number], 4_000).into()
    }

    #[test]
    fn the_first_address_is_the_handshakes() {
        let (mut route, now) = (Route::default(), Instant::now());
        assert_eq!(route.destination(), None);
        route.lead(now, address(1), [1; 12]);
        route.lead(now, address(2), [2; 12]);
        assert_eq!(route.destination(), Some(address(2)));
        assert_eq!(route.check(now), None, "the handshake shows whether it is there");
        assert!(!route.is_proven(address(2)));
        route.establish();
        assert_eq!(route.destination(), Some(address(2)));
        assert!(route.is_proven(address(2)) && !route.is_proven(address(1)));
    }

    #[test]
    fn another_address_gets_nothing_but_a_few_checks_until_it_answers() {
        let (mut route, start) = (Route::default(), Instant::now());
        route.lead(start, address(1), [1; 12]);
        route.establish();
        let mut checks = Vec::new();
        for ms in 0..20_000 {
            let now = start + Duration::from_millis(ms);
            if ms == 0 {
                route.lead(now, address(2), [2; 12]);
            }
            checks.extend(route.check(now).map(|(to, transaction)| (ms, to, transaction)));
            assert_eq!(route.destination(), Some(address(1)));
        }
        assert_eq!(checks.iter().map(|check| check.0).collect::<Vec<_>>(), [0, 100, 300, 700, 1_500]);
        assert!(checks.iter().all(|check| (check.1, check.2) == (address(2), [2; 12])));
        // The client's next check from there begins anew.
        route.lead(start, address(2), [3; 12]);
        assert_eq!(route.check(start), Some((address(2), [3; 12])));
        route.answer(address(2), [2; 12]);
        assert_eq!(route.destination(), Some(address(1)), "that was another check");
        route.answer(address(3), [3; 12]);
        assert_eq!(route.destination(), Some(address(1)), "that came from elsewhere");
        route.answer(address(2), [3; 12]);
        assert_eq!((route.destination(), route.next_at()), (Some(address(2)), None));
    }

    proptest! {
        /// Whatever an attacker sends who sees no check of this side: media never goes to an address that isn't the handshake's.
        #[test]
        fn guesses_move_nothing(steps in proptest::collection::vec((0u8..4, 0u8..6, any::<u64>()), 0..200)) {
            let (mut route, start) = (Route::default(), Instant::now());
            route.lead(start, address(0), [0; 12]);
            route.establish();
            for (at, (step, number, guess)) in steps.into_iter().enumerate() {
                let now = start + Duration::from_millis(37 * at as u64);
                let mut secret = [9; 12];
                secret[0] = at as u8;
                let mut guessed = [0; 12];
                guessed[..8].copy_from_slice(&guess.to_be_bytes());
                match step {
                    0 => route.lead(now, address(number), secret),
                    1 => route.answer(address(number), guessed),
                    2 => drop(route.check(now)),
                    _ => route.establish(),
                }
                prop_assert_eq!(route.destination(), Some(address(0)));
            }
        }
    }
}
