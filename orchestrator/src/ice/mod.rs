//! STUN and TURN servers that clients are told of.
//!
//! Media nodes have public addresses and run ICE-lite, so most clients need neither. A client behind a firewall that lets no
//! UDP out gets to them through a TURN server (RFC 8656). Its credentials are made here for each session, good for a limited
//! time: [`TurnSecret`].

mod credential;
mod url;

pub use credential::{MIN_SECRET, SecretError, TurnSecret};
pub use url::{StunUrl, TurnUrl, UrlError};

use serde::Serialize;

/// How long TURN credentials are good by default, in seconds: a day, as long as an access token at most.
pub const DEFAULT_LIFETIME_S: u64 = 24 * 60 * 60;

/// An ICE server in the form of `RTCIceServer` (W3C WebRTC, section 4.2.3).
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// Its URLs.
    pub urls: Vec<String>,
    /// The user name; TURN only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password; TURN only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the password: whoever has it may relay.
        f.debug_struct("IceServer").field("urls", &self.urls).field("username", &self.username).finish_non_exhaustive()
    }
}

/// TURN servers that share one secret.
#[derive(Clone, Debug)]
struct Turn {
    urls: Vec<TurnUrl>,
    secret: TurnSecret,
    lifetime_s: u64,
}

/// The servers that clients are told of.
#[derive(Clone, Debug, Default)]
pub struct IceServers {
    stun: Vec<StunUrl>,
    turn: Option<Turn>,
}

/// The options do not fit together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IceServersError {
    /// TURN servers without the secret that they share with the orchestrator.
    #[error("--turn-url needs --turn-secret-file: the secret that the TURN servers check credentials by")]
    NoSecret,
    /// A secret that is of no use.
    #[error("--turn-secret-file is of no use without --turn-url")]
    NoUrl,
}

impl IceServers {
    /// Such servers; credentials for TURN are good for `lifetime_s` seconds.
    pub fn new(
        stun: Vec<StunUrl>,
        turn: Vec<TurnUrl>,
        secret: Option<TurnSecret>,
        lifetime_s: u64,
    ) -> Result<Self, IceServersError> {
        let turn = match (turn.is_empty(), secret) {
            (true, None) => None,
            (false, Some(secret)) => Some(Turn { urls: turn, secret, lifetime_s }),
            (false, None) => return Err(IceServersError::NoSecret),
            (true, Some(_)) => return Err(IceServersError::NoUrl),
        };
        Ok(Self { stun, turn })
    }

    /// What a client is told. `user` names it towards the TURN servers, and must say nothing about the person; `now` is Unix
    /// seconds.
    pub fn for_client(&self, user: &str, now: u64) -> Vec<IceServer> {
        let stun = (!self.stun.is_empty()).then(|| IceServer {
            urls: self.stun.iter().map(ToString::to_string).collect(),
            username: None,
            credential: None,
        });
        let turn = self.turn.as_ref().map(|turn| {
            let (username, credential) = turn.secret.credential(user, now.saturating_add(turn.lifetime_s));
            IceServer {
                urls: turn.urls.iter().map(ToString::to_string).collect(),
                username: Some(username),
                credential: Some(credential),
            }
        });
        stun.into_iter().chain(turn).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TurnSecret {
        TurnSecret::new(b"north-south-east-west".to_vec()).unwrap()
    }

    #[test]
    fn servers_are_told_with_credentials_that_expire() {
        let stun = vec!["stun:stun.example.org".parse().unwrap()];
        let turn = vec![
            "turn:turn.example.org:3478?transport=udp".parse().unwrap(),
            "turns:turn.example.org?transport=tcp".parse().unwrap(),
        ];
        let servers = IceServers::new(stun, turn, Some(secret()), 600).unwrap().for_client("p1", 1_700_000_000);
        let json = serde_json::to_value(&servers).unwrap();
        assert_eq!(json[0], serde_json::json!({ "urls": ["stun:stun.example.org"] }));
        assert_eq!(json[1]["username"], "1700000600:p1");
        assert_eq!(json[1]["urls"][1], "turns:turn.example.org?transport=tcp");
        let password = servers[1].credential.clone().unwrap();
        assert_eq!(secret().credential("p1", 1_700_000_600).1, password);
        assert!(!format!("{servers:?}").contains(&password), "a password in what may be logged");
    }

    #[test]
    fn a_secret_and_the_servers_that_know_it_belong_together() {
        assert!(IceServers::default().for_client("p1", 0).is_empty());
        let turn = || vec!["turn:turn.example.org".parse().unwrap()];
        assert_eq!(IceServers::new(vec![], turn(), None, 1).unwrap_err(), IceServersError::NoSecret);
        assert_eq!(IceServers::new(vec![], vec![], Some(secret()), 1).unwrap_err(), IceServersError::NoUrl);
    }
}
