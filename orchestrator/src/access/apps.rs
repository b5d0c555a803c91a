//! `apps.toml`: the applications that this orchestrator serves.
//!
//! ```toml
//! [[app]]
//! key = "demo"                     # key id: `kid` and `iss` of its tokens
//! secret_file = "demo.secret"      # at least 32 bytes; relative to this file
//! account = "5Grw…"                # or 0x… (32 bytes): whose escrow pays
//! profile = "meeting"              # optional
//! residency = [16, 31]             # optional: H3 base cells in which media may be processed
//! min_version = "0.1.0"            # optional: oldest media node that will do
//! max_participants = 100           # optional: of a meeting
//! ```

use crate::{
    allocation::Constraints,
    application::{Application, Meeting},
    session::Rules,
};
use chroom_primitives::AccountId;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Shortest secret in bytes: as long as the hash (RFC 7518 §3.2).
const MIN_SECRET: usize = 32;
/// Longest key id in bytes.
const MAX_KEY: usize = 64;

/// An application.
#[derive(Clone)]
pub struct App {
    /// Its key id.
    pub key: String,
    /// The account whose escrow pays.
    pub account: AccountId,
    /// Checks its tokens.
    pub decoding: DecodingKey,
    /// The rules of its rooms.
    pub rules: Rules,
}

/// The applications by key id.
#[derive(Clone, Default)]
pub struct Apps {
    apps: BTreeMap<String, App>,
}

/// The applications cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AppsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not as it should be.
    #[error("{path} is malformed: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: Box<toml::de::Error>,
    },
    /// An entry is not as it should be.
    #[error("application {key:?}: {fault}")]
    Entry {
        /// Its key id.
        key: String,
        /// What is wrong.
        fault: String,
    },
    /// There is none.
    #[error("no [[app]] in {0}: nobody could join")]
    Empty(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    app: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: String,
    secret_file: PathBuf,
    account: String,
    profile: Option<String>,
    residency: Option<Vec<u8>>,
    min_version: Option<String>,
    max_participants: Option<usize>,
}

impl Apps {
    /// Reads the file and the secrets that it names.
    pub fn read(path: &Path) -> Result<Self, AppsError> {
        let text = fs::read_to_string(path).map_err(|source| AppsError::File { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text)
            .map_err(|source| AppsError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut apps = BTreeMap::new();
        for entry in file.app {
            let key = entry.key.clone();
            let app = entry.read(folder)?;
            if apps.insert(key.clone(), app).is_some() {
                return Err(AppsError::Entry { key, fault: "its key is there twice".to_owned() });
            }
        }
        if apps.is_empty() {
            return Err(AppsError::Empty(path.to_owned()));
        }
        Ok(Self { apps })
    }

    /// One application without extras, for tests and embedding.
    pub fn single(key: &str, secret: &[u8], account: AccountId) -> Self {
        let app =
            App { key: key.to_owned(), account, decoding: DecodingKey::from_secret(secret), rules: Rules::default() };
        Self { apps: BTreeMap::from([(key.to_owned(), app)]) }
    }

    /// The application with this key id.
    pub fn get(&self, key: &str) -> Option<&App> {
        self.apps.get(key)
    }

    /// The accounts whose escrows pay, by key id.
    pub fn accounts(&self) -> impl Iterator<Item = (String, AccountId)> {
        self.apps.iter().map(|(key, app)| (key.clone(), app.account.clone()))
    }

    /// The rules by key id.
    pub fn rules(&self) -> BTreeMap<String, Rules> {
        self.apps.iter().map(|(key, app)| (key.clone(), app.rules.clone())).collect()
    }
}

impl Entry {
    fn read(self, folder: &Path) -> Result<App, AppsError> {
        let fault = |fault: String| AppsError::Entry { key: self.key.clone(), fault };
        if self.key.is_empty() || self.key.len() > MAX_KEY {
            return Err(fault(format!("a key has 1 to {MAX_KEY} bytes")));
        }
        let path = folder.join(&self.secret_file);
        let secret = fs::read(&path).map(Zeroizing::new).map_err(|source| AppsError::File { path, source })?;
        // An editor's newline is no part of the secret.
        let secret = secret.trim_ascii();
        if secret.len() < MIN_SECRET {
            return Err(fault(format!(
                "its secret is shorter than {MIN_SECRET} bytes: make one with `openssl rand -hex 32`"
            )));
        }
        let account = account(&self.account).map_err(&fault)?;
        let profile: Arc<dyn Application> = match self.profile.as_deref() {
            None | Some("meeting") => {
                let mut meeting = Meeting::default();
                meeting.max_participants = self.max_participants.unwrap_or(meeting.max_participants);
                Arc::new(meeting)
            }
            Some(other) => return Err(fault(format!("there is no profile {other:?}; there is: meeting"))),
        };
        let min_version = self
            .min_version
            .as_deref()
            .map(|text| semver::Version::parse(text).map_err(|e| fault(format!("min_version {text:?}: {e}"))))
            .transpose()?;
        let residency = self.residency.clone().map(|cells| cells.into_iter().collect());
        Ok(App {
            key: self.key.clone(),
            account,
            decoding: DecodingKey::from_secret(secret),
            rules: Rules { profile, constraints: Constraints { residency, min_version } },
        })
    }
}

fn account(text: &str) -> Result<AccountId, String> {
    match text.strip_prefix("0x") {
        Some(digits) => {
            let mut bytes = [0; 32];
            hex::decode_to_slice(digits, &mut bytes)
                .map_err(|_| format!("account {text:?} is not 0x and 64 hex digits"))?;
            Ok(AccountId::new(bytes))
        }
        None => ss58(text).map(AccountId::new),
    }
}

/// Reads an SS58 address of any network.
fn ss58(text: &str) -> Result<[u8; 32], String> {
    use chroom_primitives::AccountId as Account;
    text.parse::<Account>()
        .map(Into::into)
        .map_err(|e| format!("account {text:?} is neither an SS58 address nor 0x and 64 hex digits: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str, secret: &str) -> Result<Apps, AppsError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("demo.secret"), secret).unwrap();
        fs::write(folder.path().join("apps.toml"), toml).unwrap();
        Apps::read(&folder.path().join("apps.toml"))
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef\n";

    #[test]
    fn an_application_is_read() {
        for account in [
            "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d",
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
        ] {
            let apps = read(
                &format!("[[app]]\nkey = \"demo\"\nsecret_file = \"demo.secret\"\naccount = \"{account}\"\nresidency = [16]\n"),
                SECRET,
            )
            .unwrap();
            let app = apps.get("demo").unwrap();
            let bytes: &[u8; 32] = app.account.as_ref();
            assert_eq!(bytes[..2], [0xd4, 0x35]);
            assert_eq!(app.rules.constraints.residency, Some([16].into()));
        }
    }

    #[test]
    fn faults_are_named() {
        let good = "[[app]]\nkey = \"demo\"\nsecret_file = \"demo.secret\"\naccount = \"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\"\n";
        for (toml, secret, part) in [
            (good.to_owned(), "short", "shorter than 32"),
            (good.replace("5Grw", "5Grx"), SECRET, "neither an SS58"),
            (good.replace("demo.secret", "none.secret"), SECRET, "cannot read"),
            (format!("{good}profile = \"casino\"\n"), SECRET, "no profile"),
            (format!("{good}{good}"), SECRET, "twice"),
            (String::new(), SECRET, "nobody could join"),
            (format!("{good}colour = \"red\"\n"), SECRET, "malformed"),
        ] {
            let error = read(&toml, secret).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
