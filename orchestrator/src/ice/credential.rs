//! Time-limited TURN credentials: draft-uberti-behave-turn-rest-00, section 2.2. The orchestrator and the TURN servers share a
//! secret; a user name that carries its own end, and a MAC over it as the password, need no store and no request between them.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Shortest secret in bytes.
pub const MIN_SECRET: usize = 16;
/// Longest secret in bytes: what is longer is some other file.
const MAX_SECRET: usize = 1_024;

/// The secret that TURN servers share with the orchestrator (coturn's `static-auth-secret`).
#[derive(Clone)]
pub struct TurnSecret(Zeroizing<Vec<u8>>);

/// A secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too short or too long.
    #[error("a TURN secret has {MIN_SECRET} to {MAX_SECRET} bytes, this one has {0}: openssl rand -hex 32")]
    Length(usize),
}

impl TurnSecret {
    /// Reads it from a file; white space at the end does not count.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let bytes = fs::read(path).map_err(|source| SecretError::File { path: path.to_owned(), source })?;
        let bytes = Zeroizing::new(bytes);
        Self::new(bytes.trim_ascii_end().to_vec())
    }

    /// A secret of these bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            MIN_SECRET..=MAX_SECRET => Ok(Self(bytes)),
            length => Err(SecretError::Length(length)),
        }
    }

    /// User name and password of `user`, good until `expires` in Unix seconds.
    pub fn credential(&self, user: &str, expires: u64) -> (String, String) {
        let username = format!("{expires}:{user}");
        let password = BASE64_STANDARD.encode(mac(&self.0, username.as_bytes()));
        (username, password)
    }
}

impl fmt::Debug for TurnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnSecret(…)")
    }
}

/// HMAC-SHA1 (RFC 2104), which is what TURN servers check.
fn mac(key: &[u8], text: &[u8]) -> [u8; 20] {
    // HMAC takes keys of any length, so this never fails.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return [0; 20] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_rfc_2202() {
        let cases: [(&[u8], &[u8], &str); 4] = [
            (&[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
            (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (&[0xaa; 20], &[0xdd; 50], "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
            (
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "aa4ae5e15272d00e95705637ce8a3b55ed402112",
            ),
        ];
        for (key, text, expected) in cases {
            assert_eq!(hex::encode(mac(key, text)), expected);
        }
    }

    #[test]
    fn a_credential_is_the_mac_of_a_name_that_carries_its_end() {
        let secret = TurnSecret::new(b"north-south-east-west".to_vec()).unwrap();
        let (name, password) = secret.credential("p0123", 1_433_895_918);
        assert_eq!(name, "1433895918:p0123");
        // As Python's `hmac` makes it; coturn 4.6 relays for a user with such a password.
        assert_eq!(password, "fG1JvDp1mAUCyR2sFLDTUXTHr64=");
        assert_ne!(secret.credential("p0123", 1_433_895_919).1, password);
        assert_ne!(secret.credential("p0124", 1_433_895_918).1, password);
    }

    #[test]
    fn secrets_come_from_files_and_stay_out_of_sight() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turn.secret");
        fs::write(&path, "0123456789abcdef\n").unwrap();
        let read = TurnSecret::read(&path).unwrap();
        assert_eq!(read.0.as_slice(), b"0123456789abcdef");
        assert!(!format!("{read:?}").contains("0123"));
        fs::write(&path, "short\n").unwrap();
        assert!(matches!(TurnSecret::read(&path), Err(SecretError::Length(5))));
        assert!(matches!(TurnSecret::read(&folder.path().join("none")), Err(SecretError::File { .. })));
        assert!(TurnSecret::new(vec![b'a'; 2_000]).is_err());
    }
}
