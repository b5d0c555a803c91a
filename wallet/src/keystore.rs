//! Keystore files: Ethereum's Web3 Secret Storage, version 3
//! (<https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/>).
//!
//! Written with scrypt and AES-128-CTR, the form that every EVM wallet reads; read with scrypt or PBKDF2. A file comes from
//! outside, so its costs are bounded before any is paid.

use crate::Wallet;
use aes::cipher::{KeyIvInit, StreamCipher};
use chroom_primitives::NodeId;
use rand::TryRngCore;
use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

/// Largest keystore file in bytes.
const MAX_FILE: u64 = 64 * 1_024;
/// Most memory that scrypt may take, in bytes (128 × n × r): four times what geth's standard parameters need.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
/// Most work that scrypt may do (n × r × p): eight times geth's standard parameters.
const MAX_SCRYPT_WORK: u64 = 1 << 24;
/// Most PBKDF2 iterations.
const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;
/// Longest salt in bytes.
const MAX_SALT: usize = 256;

/// How much work one guess at the passphrase costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Strength {
    /// scrypt with n = 2¹⁷, r = 8, p = 1 (128 MiB): what OWASP's password storage cheat sheet asks for first.
    #[default]
    Standard,
    /// scrypt with n = 2¹², r = 8, p = 6 (4 MiB), geth's light parameters: for test networks and small machines.
    Light,
}

impl Strength {
    const fn log_n(self) -> u8 {
        match self {
            Strength::Standard => 17,
            Strength::Light => 12,
        }
    }

    const fn p(self) -> u32 {
        match self {
            Strength::Standard => 1,
            Strength::Light => 6,
        }
    }
}

/// A keystore cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("cannot read the keystore {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no keystore of version 3.
    #[error("{path} is no Ethereum keystore of version 3: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The passphrase does not fit.
    #[error("wrong passphrase for the keystore {path}")]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// The key inside is not the one that the file names.
    #[error("the keystore {path} names the address {named} but holds the key of {found}")]
    Address {
        /// The file.
        path: PathBuf,
        /// What it says.
        named: NodeId,
        /// What it holds.
        found: NodeId,
    },
}

/// A keystore cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// There is a file already: overwriting it could destroy a key.
    #[error("{path} exists already; choose another file, or move it away first")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write the keystore {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system has no randomness to give.
    #[error("the operating system gives no random bytes")]
    Randomness,
}

#[derive(Serialize, Deserialize)]
struct Keystore {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    id: uuid::Uuid,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    #[serde(with = "hex_text")]
    ciphertext: Vec<u8>,
    #[serde(flatten)]
    kdf: Kdf,
    #[serde(with = "hex_text")]
    mac: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    #[serde(with = "hex_text")]
    iv: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt {
        dklen: u32,
        n: u64,
        p: u32,
        r: u32,
        #[serde(with = "hex_text")]
        salt: Vec<u8>,
    },
    Pbkdf2 {
        c: u32,
        dklen: u32,
        prf: String,
        #[serde(with = "hex_text")]
        salt: Vec<u8>,
    },
}

/// Bytes as lower-case hex.
mod hex_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Kdf {
    /// The 32 bytes that encrypt and authenticate, or what is wrong with the parameters.
    fn derive(&self, passphrase: &[u8]) -> Result<Zeroizing<[u8; 32]>, String> {
        let mut key = Zeroizing::new([0u8; 32]);
        match self {
            Kdf::Scrypt { dklen, n, p, r, salt } => {
                check_lengths(*dklen, salt)?;
                if !n.is_power_of_two() || *n < 2 {
                    return Err(format!("scrypt's n must be a power of two above 1, not {n}"));
                }
                let memory = n.saturating_mul(u64::from(*r)).saturating_mul(128);
                let work = n.saturating_mul(u64::from(*r)).saturating_mul(u64::from(*p));
                if memory > MAX_SCRYPT_MEMORY || work > MAX_SCRYPT_WORK {
                    return Err(format!("scrypt's n = {n}, r = {r}, p = {p} cost more than is accepted"));
                }
                let log_n = n.trailing_zeros() as u8;
                let parameters = scrypt::Params::new(log_n, *r, *p, 32)
                    .map_err(|_| format!("RFC 7914 forbids scrypt with n = {n}, r = {r}, p = {p}"))?;
                scrypt::scrypt(passphrase, salt, &parameters, key.as_mut_slice())
                    .map_err(|_| "scrypt does not take the output length".to_owned())?;
            }
            Kdf::Pbkdf2 { c, dklen, prf, salt } => {
                check_lengths(*dklen, salt)?;
                if prf != "hmac-sha256" {
                    return Err(format!("the only known prf is hmac-sha256, not {prf:?}"));
                }
                if *c == 0 || *c > MAX_PBKDF2_ITERATIONS {
                    return Err(format!("PBKDF2 takes 1 to {MAX_PBKDF2_ITERATIONS} iterations, not {c}"));
                }
                pbkdf2::pbkdf2_hmac::<sha2::Sha256>(passphrase, salt, *c, key.as_mut_slice());
            }
        }
        Ok(key)
    }
}

fn check_lengths(dklen: u32, salt: &[u8]) -> Result<(), String> {
    if dklen != 32 {
        return Err(format!("the derived key must have 32 bytes, not {dklen}"));
    }
    if salt.len() > MAX_SALT {
        return Err(format!("a salt has at most {MAX_SALT} bytes"));
    }
    Ok(())
}

/// keccak-256 of the second half of the derived key and the ciphertext.
fn mac(key: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    let (_, second) = key.split_at(16);
    Keccak256::new().chain_update(second).chain_update(ciphertext).finalize().into()
}

/// Encrypts or decrypts in place with the first half of the derived key.
fn apply_cipher(key: &[u8; 32], iv: &[u8; 16], data: &mut [u8; 32]) {
    let mut half = Zeroizing::new([0u8; 16]);
    half.copy_from_slice(key.split_at(16).0);
    Aes128Ctr::new((&*half).into(), iv.into()).apply_keystream(data);
}

enum DecryptError {
    Malformed(String),
    Passphrase,
    Address { named: NodeId, found: NodeId },
}

fn encrypt(wallet: &Wallet, passphrase: &str, strength: Strength) -> Result<Keystore, SaveError> {
    let mut salt = [0u8; 32];
    let mut iv = [0u8; 16];
    for bytes in [&mut salt[..], &mut iv[..]] {
        rand::rngs::OsRng.try_fill_bytes(bytes).map_err(|_| SaveError::Randomness)?;
    }
    let kdf = Kdf::Scrypt { dklen: 32, n: 1 << strength.log_n(), p: strength.p(), r: 8, salt: salt.to_vec() };
    // Both strengths lie within scrypt's bounds, so deriving cannot fail for them.
    let key = kdf.derive(passphrase.as_bytes()).map_err(|_| SaveError::Randomness)?;
    let mut ciphertext = wallet.secret();
    apply_cipher(&key, &iv, &mut ciphertext);
    Ok(Keystore {
        address: Some(hex::encode(wallet.node_id().0)),
        crypto: Crypto {
            cipher: "aes-128-ctr".into(),
            cipherparams: CipherParams { iv: iv.to_vec() },
            ciphertext: ciphertext.to_vec(),
            mac: mac(&key, ciphertext.as_slice()).to_vec(),
            kdf,
        },
        id: uuid::Uuid::new_v4(),
        version: 3,
    })
}

fn decrypt(text: &[u8], passphrase: &str) -> Result<Wallet, DecryptError> {
    let bad = |reason: &str| DecryptError::Malformed(reason.to_owned());
    let keystore: Keystore = serde_json::from_slice(text).map_err(|e| DecryptError::Malformed(e.to_string()))?;
    if keystore.version != 3 {
        return Err(DecryptError::Malformed(format!("its version is {}", keystore.version)));
    }
    let crypto = keystore.crypto;
    if crypto.cipher != "aes-128-ctr" {
        return Err(bad("the only known cipher is aes-128-ctr"));
    }
    let iv: [u8; 16] = crypto.cipherparams.iv.as_slice().try_into().map_err(|_| bad("an iv has 16 bytes"))?;
    let named = keystore.address.map(|a| a.parse::<NodeId>()).transpose().map_err(|_| bad("its address is none"))?;
    let mut secret: Zeroizing<[u8; 32]> =
        Zeroizing::new(crypto.ciphertext.as_slice().try_into().map_err(|_| bad("the ciphertext has 32 bytes"))?);
    let key = crypto.kdf.derive(passphrase.as_bytes()).map_err(DecryptError::Malformed)?;
    if !bool::from(mac(&key, &crypto.ciphertext).ct_eq(&crypto.mac)) {
        return Err(DecryptError::Passphrase);
    }
    apply_cipher(&key, &iv, &mut secret);
    let wallet = Wallet::from_secret(&secret).map_err(|_| bad("what it holds is no secp256k1 key"))?;
    match named {
        Some(named) if named != wallet.node_id() => Err(DecryptError::Address { named, found: wallet.node_id() }),
        _ => Ok(wallet),
    }
}

/// The address that a keystore names, read without its passphrase; none if it names none.
pub fn address(path: &Path) -> Result<Option<NodeId>, OpenError> {
    let malformed = |reason: String| OpenError::Malformed { path: path.to_owned(), reason };
    let keystore: Keystore = serde_json::from_slice(&read_bounded(path)?).map_err(|e| malformed(e.to_string()))?;
    keystore.address.map(|a| a.parse()).transpose().map_err(|_| malformed("its address is none".into()))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, OpenError> {
    let fault = |source| OpenError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(fault)?;
    warn_if_exposed(&file, path);
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(fault)?;
    if text.len() as u64 > MAX_FILE {
        let reason = format!("it is larger than {MAX_FILE} bytes");
        return Err(OpenError::Malformed { path: path.to_owned(), reason });
    }
    Ok(text)
}

/// A keystore that others can read is one guess at its passphrase away from theft.
#[cfg(unix)]
fn warn_if_exposed(file: &File, path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(metadata) = file.metadata()
        && metadata.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(path = %path.display(), "other users may read this keystore: run chmod 600 on it");
    }
}

#[cfg(not(unix))]
fn warn_if_exposed(_file: &File, _path: &Path) {}

impl Wallet {
    /// Opens a keystore file. Takes the time and memory that the file's key derivation asks for (128 MiB for
    /// [`Strength::Standard`]).
    pub fn open(path: impl AsRef<Path>, passphrase: &str) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let text = read_bounded(path)?;
        decrypt(&text, passphrase).map_err(|error| match error {
            DecryptError::Malformed(reason) => OpenError::Malformed { path: path.to_owned(), reason },
            DecryptError::Passphrase => OpenError::Passphrase { path: path.to_owned() },
            DecryptError::Address { named, found } => OpenError::Address { path: path.to_owned(), named, found },
        })
    }

    /// Writes a keystore file of [`Strength::Standard`]: see [`Wallet::save_with`].
    pub fn save(&self, path: impl AsRef<Path>, passphrase: &str) -> Result<(), SaveError> {
        self.save_with(path, passphrase, Strength::default())
    }

    /// Writes a keystore file that only its owner may read (mode 0600). It appears whole or not at all, is on disk when
    /// this returns, and never replaces a file.
    pub fn save_with(&self, path: impl AsRef<Path>, passphrase: &str, strength: Strength) -> Result<(), SaveError> {
        let path = path.as_ref();
        if path.exists() {
            return Err(SaveError::Exists { path: path.to_owned() });
        }
        let keystore = encrypt(self, passphrase, strength)?;
        let fault = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => SaveError::Exists { path: path.to_owned() },
            _ => SaveError::Write { path: path.to_owned(), source },
        };
        let text = serde_json::to_vec_pretty(&keystore).map_err(|e| fault(io::Error::other(e)))?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let draft = parent.join(format!(".{}.draft", keystore.id));
        let written = write_draft(&draft, &text)
            // A link, unlike a rename, fails where a file is already.
            .and_then(|()| std::fs::hard_link(&draft, path));
        let removed = std::fs::remove_file(&draft);
        written.map_err(fault)?;
        removed.map_err(fault)?;
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(fault)
    }
}

fn write_draft(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The two test vectors of the specification: one key, passphrase "testpassword". The scrypt one uses r = 1 with
    /// n = 2¹⁸, which RFC 7914 §2 forbids (n must be below 2^(16·r)), so no conforming implementation opens it.
    const PBKDF2_VECTOR: &str = r#"{
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262144, "dklen": 32, "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3
    }"#;
    const SCRYPT_VECTOR: &str = r#"{
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "83dbcc02d8ccb40e466191a123791e0e" },
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32, "n": 262144, "p": 8, "r": 1,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"
            },
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3
    }"#;
    const VECTOR_SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    fn decrypted(text: &str, passphrase: &str) -> Result<Wallet, String> {
        decrypt(text.as_bytes(), passphrase).map_err(|error| match error {
            DecryptError::Malformed(reason) => reason,
            DecryptError::Passphrase => "passphrase".into(),
            DecryptError::Address { .. } => "address".into(),
        })
    }

    #[test]
    fn the_specifications_vector_opens() {
        let wallet = decrypted(PBKDF2_VECTOR, "testpassword").unwrap();
        assert_eq!(hex::encode(*wallet.secret()), VECTOR_SECRET);
        assert_eq!(decrypted(PBKDF2_VECTOR, "testpasswore").unwrap_err(), "passphrase");
        assert!(decrypted(SCRYPT_VECTOR, "testpassword").unwrap_err().contains("RFC 7914"));
    }

    #[test]
    fn another_implementation_opens_what_we_write_and_we_what_it_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ours.json");
        let wallet = Wallet::generate();
        wallet.save_with(&path, "pass ✓", Strength::Light).unwrap();
        assert_eq!(eth_keystore::decrypt_key(&path, "pass ✓").unwrap(), wallet.secret().to_vec());
        assert!(eth_keystore::decrypt_key(&path, "pass").is_err());
        // What the other one writes: scrypt with its own parameters, no address.
        let text = std::fs::read_to_string(&path).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value.as_object_mut().unwrap().remove("address");
        assert_eq!(decrypted(&value.to_string(), "pass ✓").unwrap().node_id(), wallet.node_id());
    }

    #[test]
    fn a_saved_wallet_opens_with_its_passphrase_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let wallet = Wallet::generate();
        wallet.save(&path, "right").unwrap();
        assert_eq!(Wallet::open(&path, "right").unwrap().node_id(), wallet.node_id());
        assert!(matches!(Wallet::open(&path, "wrong"), Err(OpenError::Passphrase { .. })));
        assert_eq!(address(&path).unwrap(), Some(wallet.node_id()));
    }

    #[test]
    fn a_file_is_private_whole_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let wallet = Wallet::generate();
        wallet.save_with(&path, "p", Strength::Light).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Wallet::generate().save_with(&path, "p", Strength::Light), Err(SaveError::Exists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_key_under_another_address_is_refused() {
        let mut keystore = encrypt(&Wallet::generate(), "p", Strength::Light).unwrap();
        keystore.address = Some(Wallet::generate().node_id().to_hex());
        assert_eq!(decrypted(&serde_json::to_string(&keystore).unwrap(), "p").unwrap_err(), "address");
    }

    #[test]
    fn costly_or_malformed_files_are_refused_before_the_work() {
        let vector = |from: &str, to: &str| SCRYPT_VECTOR.replace(from, to);
        let cases = [
            (vector("262144", "1073741824"), "cost more"),
            (vector("262144", "0"), "power of two"),
            (vector("262144", "262143"), "power of two"),
            (vector("\"p\": 8", "\"p\": 4000000000"), "cost more"),
            (vector("\"dklen\": 32", "\"dklen\": 16"), "32 bytes"),
            (vector("83dbcc02d8ccb40e466191a123791e0e", "83db"), "iv"),
            (vector("\"version\": 3", "\"version\": 1"), "version"),
            (vector("aes-128-ctr", "aes-128-cbc"), "cipher"),
            (vector("\"r\": 1", "\"r\": 0"), "RFC 7914"),
            (PBKDF2_VECTOR.replace("262144", "0"), "iterations"),
            (PBKDF2_VECTOR.replace("262144", "4000000000"), "iterations"),
            ("{}".into(), "missing field"),
        ];
        for (text, reason) in cases {
            let error = decrypted(&text, "testpassword").unwrap_err();
            assert!(error.contains(reason), "{error} should name {reason}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            prop_assert!(decrypted(&text, "p").is_err());
        }
    }
}
