//! Identifiers of rooms, sessions and what is in them.

use chroom_primitives::NodeId;
use rand::RngCore;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, str::FromStr};

/// A session's random 128-bit id. It identifies nobody; media nodes, receipts and grants name the session by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

/// Marks the sessions of one orchestrator: the first bytes of their ids. By it an orchestrator that lost its memory knows
/// its own sessions on a media node from others'. It says nothing of callers, and the other 96 bits are random.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tag(pub [u8; 4]);

impl Tag {
    /// The mark of an orchestrator.
    pub fn of(orchestrator: &NodeId) -> Self {
        let [a, b, c, d, ..] = crate::digest::sha256(&orchestrator.0);
        Self([a, b, c, d])
    }
}

impl SessionId {
    /// A new id.
    pub fn random(tag: Tag, rng: &mut dyn RngCore) -> Self {
        let mut bytes = [0; 16];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&tag.0);
        rng.fill_bytes(tail);
        Self(bytes)
    }

    /// Whether the session is of the orchestrator with this mark.
    pub fn is_of(&self, tag: Tag) -> bool {
        self.0.starts_with(&tag.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a session id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a session id is 32 hex digits")]
pub struct SessionIdError;

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SessionIdError)?;
        Ok(Self(bytes))
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The name that media nodes know a room by: a hash of the application's key id and the room's name, so that neither
/// leaves the orchestrator.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomId(String);

impl RoomId {
    /// The id of an application's room.
    pub fn of(application: &str, name: &str) -> Self {
        let mut input = Vec::with_capacity(application.len() + name.len() + 1);
        input.extend_from_slice(application.as_bytes());
        input.push(0);
        input.extend_from_slice(name.as_bytes());
        let hash = crate::digest::sha256(&input);
        Self(hex::encode(hash.split_at(16).0))
    }

    /// The id as media nodes send it back.
    pub fn from_wire(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// A new random id.
            pub fn random(rng: &mut dyn RngCore) -> Self {
                let mut bytes = [0; 6];
                rng.fill_bytes(&mut bytes);
                Self(format!("{}{}", $prefix, hex::encode(bytes)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A participant within a room; random, new with each session.
    ParticipantId,
    "p"
);
text_id!(
    /// A published track; unique in its room, kept when the room moves.
    TrackId,
    "t"
);

/// Stands for the mix of a room. No published track is named so.
const MIX: &str = "~mix";

impl TrackId {
    /// All voices of a room in one, without the receiver's own; media nodes make it.
    pub fn mix() -> Self {
        Self(MIX.to_owned())
    }

    /// Whether it is the mix.
    pub fn is_mix(&self) -> bool {
        self.0 == MIX
    }
}

/// A client's WebSocket connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// A client's request that waits for its reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// A command to a media node that waits for its outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperationId(pub u64);

/// A room's fencing epoch: media nodes refuse whoever comes with a smaller one than they saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// Counts a room's placements: 1 on the first media node, one more with each move.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_of_different_applications_do_not_meet() {
        assert_ne!(RoomId::of("a", "room"), RoomId::of("b", "room"));
        assert_ne!(RoomId::of("ab", "c"), RoomId::of("a", "bc"));
        assert_eq!(RoomId::of("a", "room"), RoomId::of("a", "room"));
    }

    #[test]
    fn session_ids_survive_their_text() {
        let id = SessionId([0xAB; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("xyz".parse::<SessionId>(), Err(SessionIdError));
    }
}
