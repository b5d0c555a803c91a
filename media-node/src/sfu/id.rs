//! Names that come from outside: bounded, cheap to copy, without an identity of a person in them.

use std::{fmt, str::FromStr, sync::Arc};

/// A name is empty, too long, or has characters that it must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must have 1 to {max} printable characters without spaces")]
pub struct NameError {
    /// What the name is of.
    pub what: &'static str,
    /// Its greatest length in bytes.
    pub max: usize,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Greatest length in bytes.
            pub const MAX: usize = $max;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let fits = !text.is_empty() && text.len() <= Self::MAX;
                if fits && !text.chars().any(|c| c.is_control() || c.is_whitespace()) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { what: $what, max: Self::MAX })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A room's id within its application, chosen by the orchestrator.
    RoomId, "a room id", 128
);
name!(
    /// A participant's id within its room. It travels before relayed data messages with one byte of length.
    ParticipantId, "a participant id", 64
);
name!(
    /// A track's id, unique in its room, chosen by the orchestrator.
    TrackId, "a track id", 64
);

impl TrackId {
    /// A name out of parts that are known to have only printable characters; what is beyond the length is left out.
    pub(crate) fn bounded(text: &str) -> Self {
        Self(text.get(..Self::MAX.min(text.len())).unwrap_or_default().into())
    }
}

/// A session's random 128-bit id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

/// Bytes are not a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session id has 16 bytes, not {0}")]
pub struct SessionIdError(pub usize);

impl TryFrom<&[u8]> for SessionId {
    type Error = SessionIdError;

    fn try_from(bytes: &[u8]) -> Result<Self, SessionIdError> {
        bytes.try_into().map(Self).map_err(|_| SessionIdError(bytes.len()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A short ASCII label of SDP, held inline since every packet carries one.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name([u8; $max]);

        impl $name {
            /// The label as text.
            pub fn as_str(&self) -> &str {
                let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
                self.0.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
            }

            /// Reads a label: 1 to
            #[doc = stringify!($max)]
            /// graphic ASCII characters.
            pub fn parse(text: &str) -> Option<Self> {
                if text.is_empty() || text.len() > $max || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return None;
                }
                let mut bytes = [0; $max];
                bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
                Some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

label!(
    /// Identifies an m-line (RFC 9143).
    Mid, 16
);
label!(
    /// Identifies a simulcast layer (RFC 8851).
    Rid, 8
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        assert!("room".parse::<RoomId>().is_ok());
        assert!("".parse::<RoomId>().is_err());
        assert!("a b".parse::<TrackId>().is_err());
        assert!("x".repeat(65).parse::<ParticipantId>().is_err());
        assert_eq!(Mid::parse("0").map(|m| m.as_str().to_owned()).as_deref(), Some("0"));
        assert!(Mid::parse(&"m".repeat(17)).is_none());
        assert_eq!(Rid::parse("12345678").map(|r| r.as_str().len()), Some(8));
    }
}
