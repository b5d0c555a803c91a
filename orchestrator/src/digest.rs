//! Hashes.

use sha2::{Digest, Sha256};

/// SHA-256 (FIPS 180-4).
pub fn sha256(input: &[u8]) -> [u8; 32] {
    Sha256::digest(input).into()
}
