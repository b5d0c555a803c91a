//! Access tokens, as an application's back end makes them (docs/signalling.md).

use crate::failure::{Context, Failure};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest identity in bytes.
pub const LONGEST_IDENTITY: usize = 64;
/// Longest room name in bytes.
pub const LONGEST_ROOM: usize = 128;
/// Longest life of a token in seconds.
pub const LONGEST_LIFE: u64 = 24 * 60 * 60;
/// Largest secret file in bytes.
const LARGEST_SECRET: usize = 4_096;

/// What a participant may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Grants {
    /// The room.
    pub room: String,
    /// May join it.
    pub join: bool,
    /// May publish tracks.
    pub publish: bool,
    /// May receive tracks.
    pub subscribe: bool,
    /// May remove others.
    pub admin: bool,
    /// Display name.
    pub name: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    nbf: u64,
    exp: u64,
    jti: String,
    chroom: &'a Grants,
}

/// Seconds that a token is valid before it was made, for clocks that run behind.
const CLOCK_ALLOWANCE: u64 = 5;

/// Signs a token of an application: `now` in seconds since the Unix epoch, `life` in seconds.
pub fn sign(key: &str, secret: &[u8], identity: &str, grants: &Grants, now: u64, life: u64) -> Result<String, Failure> {
    if identity.is_empty() || identity.len() > LONGEST_IDENTITY {
        return Err(Failure::usage(format_args!("an identity has 1 to {LONGEST_IDENTITY} bytes")));
    }
    if grants.room.is_empty() || grants.room.len() > LONGEST_ROOM {
        return Err(Failure::usage(format_args!("a room's name has 1 to {LONGEST_ROOM} bytes")));
    }
    if life == 0 || life > LONGEST_LIFE {
        return Err(Failure::usage("a token lives from 1 second to 24 hours").hint("give --ttl in seconds"));
    }
    let claims = Claims {
        iss: key,
        sub: identity,
        nbf: now.saturating_sub(CLOCK_ALLOWANCE),
        exp: now.saturating_add(life),
        jti: uuid::Uuid::new_v4().simple().to_string(),
        chroom: grants,
    };
    let header = Header { kid: Some(key.to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).context("the token could not be signed")
}

/// Reads an application's secret: the file's text without the line ending that editors add.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let text = Zeroizing::new(std::fs::read(path).context(format_args!("cannot read {}", path.display()))?);
    // As the orchestrator reads it: white space around it is the editor's.
    let secret = Zeroizing::new(text.trim_ascii().to_vec());
    if secret.is_empty() || secret.len() > LARGEST_SECRET {
        return Err(Failure::new(format_args!("{} holds no secret (1 to {LARGEST_SECRET} bytes)", path.display())));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    fn grants() -> Grants {
        Grants { room: "r".into(), join: true, publish: true, subscribe: true, admin: false, name: "Ann".into() }
    }

    #[test]
    fn a_token_says_what_the_protocol_asks_for() {
        let now = crate::up::process::unix_ms() / 1_000;
        let token = sign("demo", b"secret", "ann", &grants(), now, 60).unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&["demo"]);
        let read = jsonwebtoken::decode::<serde_json::Value>(&token, &DecodingKey::from_secret(b"secret"), &validation)
            .unwrap();
        assert_eq!(read.header.kid.as_deref(), Some("demo"));
        assert_eq!(read.claims["sub"], "ann");
        assert_eq!(read.claims["exp"], now + 60);
        assert_eq!(read.claims["nbf"], now - 5);
        assert_eq!(read.claims["chroom"]["room"], "r");
        assert_eq!(read.claims["chroom"]["admin"], false);
        assert!(
            jsonwebtoken::decode::<serde_json::Value>(&token, &DecodingKey::from_secret(b"other"), &validation)
                .is_err()
        );
    }

    #[test]
    fn what_the_orchestrator_would_refuse_is_not_signed() {
        assert!(sign("k", b"s", "", &grants(), 0, 60).unwrap_err().wrong_usage);
        assert!(sign("k", b"s", &"x".repeat(65), &grants(), 0, 60).unwrap_err().wrong_usage);
        assert!(sign("k", b"s", "ann", &grants(), 0, LONGEST_LIFE + 1).unwrap_err().wrong_usage);
        assert!(sign("k", b"s", "ann", &Grants { room: String::new(), ..grants() }, 0, 60).unwrap_err().wrong_usage);
    }

    #[test]
    fn the_line_ending_of_a_secret_file_is_not_part_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "abc\r\n").unwrap();
        assert_eq!(*read_secret(&file).unwrap(), b"abc");
        std::fs::write(&file, "\n").unwrap();
        assert!(read_secret(&file).is_err());
    }
}
