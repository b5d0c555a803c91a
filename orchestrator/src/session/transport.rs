//! Which peer connection of its client a session's offers are of.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The DTLS identity in an offer: a hash over its fingerprints. A peer connection keeps its certificate for life, ICE
/// restarts included, so another one means another peer connection (RFC 8842, section 4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transport(String);

impl Transport {
    /// The identity in an offer, if it has one.
    pub fn of(offer: &str) -> Option<Self> {
        let fingerprints: BTreeSet<String> = offer
            .lines()
            .filter_map(|line| line.trim_end().strip_prefix("a=fingerprint:"))
            .map(str::to_ascii_lowercase)
            .collect();
        if fingerprints.is_empty() {
            return None;
        }
        let all = fingerprints.into_iter().collect::<Vec<_>>().join("\n");
        Some(Self(hex::encode(crate::digest::sha256(all.as_bytes()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_tells_peer_connections_apart() {
        let offer = |ufrag: &str, print: &str| {
            format!(
                "v=0\r\na=ice-ufrag:{ufrag}\r\nm=audio 9 x 0\r\na=fingerprint:sha-256 {print}\r\nm=video 9 x 0\r\na=fingerprint:sha-256 {print}\r\n"
            )
        };
        let first = Transport::of(&offer("a", "AB:CD"));
        assert!(first.is_some());
        assert_eq!(first, Transport::of(&offer("restarted", "ab:cd")), "an ICE restart is the same connection");
        assert_ne!(first, Transport::of(&offer("a", "AB:CE")));
        assert_eq!(Transport::of("v=0\r\n"), None);
    }
}
