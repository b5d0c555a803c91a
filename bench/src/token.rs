//! Access tokens, as an application's back end makes them (docs/signalling.md).

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    nbf: u64,
    exp: u64,
    chroom: Grants<'a>,
}

#[derive(Serialize)]
struct Grants<'a> {
    room: &'a str,
    join: bool,
    publish: bool,
    subscribe: bool,
    admin: bool,
    name: &'a str,
}

/// The token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The clock stands before 1970.
    #[error("the system clock stands before 1970")]
    Clock,
    /// The claims could not be signed.
    #[error("the token could not be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Makes a token with which `identity` may join, publish and subscribe in `room` for an hour.
pub fn mint(key: &str, secret: &[u8], room: &str, identity: &str) -> Result<String, TokenError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| TokenError::Clock)?.as_secs();
    let grants = Grants { room, join: true, publish: true, subscribe: true, admin: false, name: identity };
    let claims = Claims { iss: key, sub: identity, nbf: now.saturating_sub(5), exp: now + 3_600, chroom: grants };
    let header = Header { kid: Some(key.to_owned()), ..Header::new(Algorithm::HS256) };
    Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret))?)
}
