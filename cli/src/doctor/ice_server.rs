//! ICE servers: their URLs (RFC 7064, RFC 7065), and the links by which an orchestrator hands them out (RFC 9725 §4.6).

use std::{fmt, str::FromStr};

/// How a server is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// DTLS, which isn't tried.
    Dtls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS over TCP",
            Transport::Dtls => "DTLS over UDP",
        })
    }
}

/// Where a STUN or TURN server is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerUrl {
    /// It relays, so it wants credentials.
    pub relays: bool,
    /// Its host, an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub transport: Transport,
    text: String,
}

/// A text is no URL of a STUN or TURN server.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{0:?} is no URL of a STUN or TURN server: turn:host[:port][?transport=udp|tcp], turns:host[:port], stun:host[:port]"
)]
pub struct ServerUrlError(String);

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ServerUrlError(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let (relays, secure) = match scheme.to_ascii_lowercase().as_str() {
            "stun" => (false, false),
            "stuns" => (false, true),
            "turn" => (true, false),
            "turns" => (true, true),
            _ => return Err(wrong()),
        };
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let transport = match (query, secure) {
            (None | Some("transport=udp"), false) => Transport::Udp,
            (Some("transport=tcp"), false) => Transport::Tcp,
            (None | Some("transport=tcp"), true) => Transport::Tls,
            (Some("transport=udp"), true) => Transport::Dtls,
            _ => return Err(wrong()),
        };
        let usual = if secure { 5_349 } else { 3_478 };
        let (host, port) = match place.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, "")) => (host, usual),
            Some((host, port)) => (host, port.strip_prefix(':').and_then(|p| p.parse().ok()).ok_or_else(wrong)?),
            None => match place.split_once(':') {
                Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
                None => (place, usual),
            },
        };
        if host.is_empty() || port == 0 || host.contains(['/', '@', ' ']) {
            return Err(wrong());
        }
        Ok(Self { relays, host: host.to_owned(), port, transport, text: text.to_owned() })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A user name and a password, which are nobody's business.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The ICE server that a Link header names, if it names one.
pub fn of_link(link: &str) -> Option<(ServerUrl, Option<Credentials>)> {
    let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let parameter = |name: &str| {
        parameters.split(';').find_map(|part| {
            let (key, value) = part.trim().split_once('=')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"').to_owned())
        })
    };
    if parameter("rel")? != "ice-server" {
        return None;
    }
    let credentials = parameter("username").zip(parameter("credential"));
    Some((url.parse().ok()?, credentials.map(|(username, password)| Credentials { username, password })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_their_ports_and_transports() {
        let read = |text: &str| {
            let url: ServerUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), text);
            (url.relays, url.host, url.port, url.transport)
        };
        assert_eq!(read("turn:t.example"), (true, "t.example".into(), 3_478, Transport::Udp));
        assert_eq!(read("turn:t.example:80?transport=tcp"), (true, "t.example".into(), 80, Transport::Tcp));
        assert_eq!(read("turns:t.example?transport=tcp"), (true, "t.example".into(), 5_349, Transport::Tls));
        assert_eq!(read("turns:t.example:443"), (true, "t.example".into(), 443, Transport::Tls));
        assert_eq!(read("stun:[2001:db8::1]:99"), (false, "2001:db8::1".into(), 99, Transport::Udp));
        assert_eq!(read("stun:[2001:db8::1]"), (false, "2001:db8::1".into(), 3_478, Transport::Udp));
        for wrong in
            ["", "turn", "turn:", "http://t", "turn://t/", "turn:t:0", "turn:t:x", "turn:t?transport=x", "turn:[::1]9"]
        {
            assert!(wrong.parse::<ServerUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_link_carries_the_credentials() {
        let link = r#"<turn:t.example:3478?transport=udp>; rel="ice-server"; username="1700000600:x"; credential="a+/=="; credential-type="password""#;
        let (url, credentials) = of_link(link).unwrap();
        let credentials = credentials.unwrap();
        assert_eq!(
            (url.port, credentials.username.as_str(), credentials.password.as_str()),
            (3_478, "1700000600:x", "a+/==")
        );
        assert!(!format!("{credentials:?}").contains("a+/"));
        assert_eq!(of_link(r#"<stun:s.example>; rel="ice-server""#).unwrap().1, None);
        assert!(of_link(r#"</style.css>; rel="preload""#).is_none());
    }
}
