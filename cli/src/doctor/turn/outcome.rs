//! What becomes of asking a TURN server for a relay.

use crate::doctor::stun::StunError;
use std::net::SocketAddr;

/// What a server gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relay {
    /// The relay's address.
    pub relayed: SocketAddr,
    /// Whether the peer answered through it; `None`: no peer was asked.
    pub peer: Option<Peer>,
}

/// What became of the question to the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// It answered.
    Answered,
    /// It did not.
    Silent,
    /// The server may not relay to it: code and reason.
    Forbidden(u16, String),
}

/// The server does not relay.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TurnError {
    /// It refuses.
    #[error("{code} {reason}")]
    Refused {
        /// Code (RFC 8489 §14.8, RFC 8656 §19).
        code: u16,
        /// The server's words.
        reason: String,
    },
    /// It answers without what an answer must have.
    #[error("the answer has no {0}")]
    Incomplete(&'static str),
    /// Its answer is not made with the password.
    #[error("the answer is not by who knows the password")]
    Forged,
    /// No message can be written.
    #[error(transparent)]
    Stun(#[from] StunError),
}
