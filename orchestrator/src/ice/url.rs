//! URIs of STUN (RFC 7064) and TURN servers (RFC 7065), as the command line gives them. They go into JSON and into HTTP headers,
//! so nothing but the characters that these RFCs allow gets through.

use std::{fmt, str::FromStr};

/// Longest URI in bytes: a host name has 253 at most.
const MAX: usize = 300;

/// A text is not such a URI.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlError {
    /// Another scheme.
    #[error("it begins with {0}")]
    Scheme(&'static str),
    /// No host, or one with characters that hosts don't have.
    #[error("after the scheme comes a host name or an address, and no //")]
    Host,
    /// Not a port.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// Something after the host that is not a transport.
    #[error("after the host may come ?transport=udp or ?transport=tcp, for TURN only")]
    Transport,
}

/// `stun:host[:port]` or `stuns:…` (RFC 7064, section 3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StunUrl(String);

/// `turn:host[:port][?transport=…]` or `turns:…` (RFC 7065, section 3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TurnUrl(String);

/// Checks `host[:port]`, where an IPv6 address is in brackets.
fn authority(text: &str) -> Result<(), UrlError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(UrlError::Host)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Host)?;
            (address, port.strip_prefix(':').or_else(|| port.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port).filter(|port| !port.is_empty())),
            None => (text, Some("")),
        },
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(UrlError::Host);
    }
    match port {
        Some("") => Ok(()),
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
        _ => Err(UrlError::Port),
    }
}

impl FromStr for StunUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("stun:").or_else(|| text.strip_prefix("stuns:"));
        let rest = rest.filter(|_| text.len() <= MAX).ok_or(UrlError::Scheme("stun: or stuns:"))?;
        if rest.contains('?') {
            return Err(UrlError::Transport);
        }
        authority(rest)?;
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for TurnUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("turn:").or_else(|| text.strip_prefix("turns:"));
        let rest = rest.filter(|_| text.len() <= MAX).ok_or(UrlError::Scheme("turn: or turns:"))?;
        match rest.split_once('?') {
            Some((host, "transport=udp" | "transport=tcp")) => authority(host)?,
            Some(_) => return Err(UrlError::Transport),
            None => authority(rest)?,
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for StunUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TurnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_both_kinds_are_read() {
        for good in ["stun:stun.example.org", "stuns:192.0.2.1:5349", "stun:[2001:db8::1]:3478", "stun:[::1]"] {
            assert_eq!(good.parse::<StunUrl>().unwrap().to_string(), good);
        }
        for good in ["turn:a.example", "turns:a.example:443?transport=tcp", "turn:[::1]:3478?transport=udp"] {
            assert_eq!(good.parse::<TurnUrl>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn nothing_else_gets_through() {
        let stun = |text: &str| text.parse::<StunUrl>().unwrap_err();
        let turn = |text: &str| text.parse::<TurnUrl>().unwrap_err();
        assert!(matches!(stun("https://a.example"), UrlError::Scheme(_)));
        assert!(matches!(turn("stun:a.example"), UrlError::Scheme(_)));
        assert_eq!(stun("stun://a.example"), UrlError::Host);
        assert_eq!(stun("stun:"), UrlError::Host);
        assert_eq!(stun("stun:a.example>; rel=\"x"), UrlError::Host);
        assert_eq!(stun("stun:a\r\nexample"), UrlError::Host);
        assert_eq!(stun("stun:[::1"), UrlError::Host);
        assert_eq!(stun("stun:[::1]x"), UrlError::Port);
        assert_eq!(stun("stun:a.example:0"), UrlError::Port);
        assert_eq!(turn("turn:a.example:65536"), UrlError::Port);
        assert_eq!(turn("turn:a.example:"), UrlError::Port);
        assert_eq!(stun("stun:a.example?transport=udp"), UrlError::Transport);
        assert_eq!(turn("turn:a.example?transport=sctp"), UrlError::Transport);
        assert!(matches!(turn(&format!("turn:{}", "a".repeat(400))), UrlError::Scheme(_)));
    }
}
