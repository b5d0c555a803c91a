//! Access tokens: JWT (RFC 7519), HS256 only.

use super::Apps;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};

/// How far `exp` may be ahead, in seconds.
pub const MAX_AHEAD_S: u64 = 24 * 60 * 60;
/// How far the application's clock may differ, in seconds.
const LEEWAY_S: u64 = 5;
/// Longest token in bytes.
const MAX_TOKEN: usize = 4_096;
/// Longest `sub` in bytes.
const MAX_IDENTITY: usize = 64;
/// Longest room name in bytes.
const MAX_ROOM: usize = 64;
/// Longest display name in bytes.
const MAX_NAME: usize = 128;

/// What a token grants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grants {
    /// The room that may be entered.
    pub room: String,
    /// May enter.
    #[serde(default)]
    pub join: bool,
    /// May publish tracks.
    #[serde(default)]
    pub publish: bool,
    /// May receive others' tracks.
    #[serde(default)]
    pub subscribe: bool,
    /// May remove participants.
    #[serde(default)]
    pub admin: bool,
    /// Name to show.
    #[serde(default)]
    pub name: String,
}

/// A token's claims.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Key id of the application.
    pub iss: String,
    /// Who the application says it is.
    pub sub: String,
    /// From when on it is good, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Until when it is good, Unix seconds.
    pub exp: u64,
    /// The token's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What it grants.
    pub chroom: Grants,
}

/// A good token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedToken {
    /// Key id of the application.
    pub application: String,
    /// Who the application says it is.
    pub identity: String,
    /// What it grants.
    pub grants: Grants,
}

/// A token is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// It is not valid.
    #[error("{0}")]
    Invalid(String),
    /// Its time has passed.
    #[error("it expired {seconds} s ago")]
    Expired {
        /// Since when.
        seconds: u64,
    },
    /// Its time has not come.
    #[error("it is good in {seconds} s only")]
    Early {
        /// In how long.
        seconds: u64,
    },
}

fn invalid<T>(why: impl Into<String>) -> Result<T, TokenError> {
    Err(TokenError::Invalid(why.into()))
}

/// Checks a token: algorithm, key, signature, form, times; `now` is Unix seconds.
pub fn verify(apps: &Apps, token: &str, now: u64) -> Result<CheckedToken, TokenError> {
    if token.len() > MAX_TOKEN {
        return invalid(format!("it is longer than {MAX_TOKEN} bytes"));
    }
    let Ok(header) = decode_header(token) else { return invalid("it is not a JWT") };
    // The algorithm is the server's choice, never the token's (RFC 8725 §3.1).
    if header.alg != Algorithm::HS256 {
        return invalid("it must be signed with HS256");
    }
    let Some(kid) = header.kid else { return invalid("its header has no `kid`, the application's key id") };
    let Some(app) = apps.get(&kid) else { return invalid("its key id (`kid`) is not known here") };
    let mut validation = Validation::new(Algorithm::HS256);
    // Times are checked below, by the clock that is given.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = match decode::<Claims>(token, &app.decoding, &validation) {
        Ok(data) => data.claims,
        Err(error) => {
            return invalid(match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => {
                    "its signature is not made with the application's secret".to_owned()
                }
                jsonwebtoken::errors::ErrorKind::Json(fault) => format!("its claims are malformed: {fault}"),
                _ => "it is malformed".to_owned(),
            });
        }
    };
    if claims.iss != kid {
        return invalid("`iss` and `kid` differ");
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_IDENTITY {
        return invalid(format!("`sub` has 1 to {MAX_IDENTITY} bytes"));
    }
    if claims.chroom.room.is_empty() || claims.chroom.room.len() > MAX_ROOM {
        return invalid(format!("`chroom.room` has 1 to {MAX_ROOM} bytes"));
    }
    if claims.chroom.name.len() > MAX_NAME {
        return invalid(format!("`chroom.name` has at most {MAX_NAME} bytes"));
    }
    if claims.exp.saturating_add(LEEWAY_S) <= now {
        return Err(TokenError::Expired { seconds: now - claims.exp });
    }
    if let Some(nbf) = claims.nbf
        && nbf > now.saturating_add(LEEWAY_S)
    {
        return Err(TokenError::Early { seconds: nbf - now });
    }
    if claims.exp > now.saturating_add(MAX_AHEAD_S + LEEWAY_S) {
        return invalid("`exp` is more than 24 hours ahead");
    }
    Ok(CheckedToken { application: kid, identity: claims.sub, grants: claims.chroom })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::AccountId;
    use jsonwebtoken::{EncodingKey, Header, encode};

    const NOW: u64 = 1_800_000_000;
    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn apps() -> Apps {
        Apps::single("demo", SECRET, AccountId::new([1; 32]))
    }

    fn claims() -> Claims {
        Claims {
            iss: "demo".into(),
            sub: "ada".into(),
            nbf: Some(NOW - 10),
            exp: NOW + 600,
            jti: None,
            chroom: Grants {
                room: "hall".into(),
                join: true,
                publish: true,
                subscribe: true,
                admin: false,
                name: "Ada".into(),
            },
        }
    }

    fn token(claims: &Claims) -> String {
        let header = Header { kid: Some("demo".into()), ..Header::new(Algorithm::HS256) };
        encode(&header, claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn refusal(token: &str) -> String {
        verify(&apps(), token, NOW).unwrap_err().to_string()
    }

    #[test]
    fn a_good_token_gives_its_grants() {
        let checked = verify(&apps(), &token(&claims()), NOW).unwrap();
        assert_eq!((checked.identity.as_str(), checked.grants.room.as_str()), ("ada", "hall"));
    }

    #[test]
    fn times_are_checked_with_little_leeway() {
        let at = |exp| verify(&apps(), &token(&Claims { exp, ..claims() }), NOW);
        assert!(at(NOW - 4).is_ok());
        assert_eq!(at(NOW - 5), Err(TokenError::Expired { seconds: 5 }));
        assert!(at(NOW + MAX_AHEAD_S).is_ok());
        assert!(matches!(at(NOW + MAX_AHEAD_S + 60), Err(TokenError::Invalid(_))));
        let early = Claims { nbf: Some(NOW + 60), ..claims() };
        assert_eq!(verify(&apps(), &token(&early), NOW), Err(TokenError::Early { seconds: 60 }));
    }

    #[test]
    fn forged_tokens_are_refused() {
        let header = |alg, kid: Option<&str>| Header { kid: kid.map(Into::into), ..Header::new(alg) };
        let with =
            |header: &Header, secret: &[u8]| encode(header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
        assert!(refusal(&with(&header(Algorithm::HS256, Some("demo")), b"another")).contains("signature"));
        assert!(refusal(&with(&header(Algorithm::HS512, Some("demo")), SECRET)).contains("HS256"));
        assert!(refusal(&with(&header(Algorithm::HS256, Some("who")), SECRET)).contains("not known"));
        assert!(refusal(&with(&header(Algorithm::HS256, None), SECRET)).contains("kid"));
        assert!(refusal("nonsense").contains("JWT"));
        assert!(refusal(&"x".repeat(5_000)).contains("longer"));
        let good = token(&claims());
        let body = good.split('.').collect::<Vec<_>>();
        // {"alg":"none","kid":"demo"}
        assert!(verify(&apps(), &format!("eyJhbGciOiJub25lIiwia2lkIjoiZGVtbyJ9.{}.", body[1]), NOW).is_err());
        assert!(refusal(&token(&Claims { iss: "other".into(), ..claims() })).contains("differ"));
        assert!(refusal(&token(&Claims { sub: "x".repeat(65), ..claims() })).contains("sub"));
    }
}
