//! Starting a network of one's own: production values with the founders' accounts, keys and houses.

use crate::chain_spec;
use serde_json::Value;
use std::{fs, io::Write, path::PathBuf};

/// Largest genesis patch that is read.
const MAX_PATCH: u64 = 16 * 1024 * 1024;

/// Members that each house begins with at least. Two thirds of fewer are one member, or all of them: one key would decide,
/// or one lost key would end all decisions.
const MIN_MEMBERS: usize = 3;

/// Writes the specification of a new network: the runtime's `live` preset with your balances, session keys, validators,
/// council and technical committee.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  chroom-node new-network --genesis founders.json --name 'Chroom' --id chroom > chroom.json\n\n\
    founders.json has the genesis's form, for instance\n  \
    {\"balances\": {\"balances\": [[\"<account>\", 1000000000000000000]]},\n   \
    \"session\": {\"keys\": [[\"<account>\", \"<account>\", {\"babe\": \"…\", \"grandpa\": \"…\", \
    \"authority_discovery\": \"…\", \"beefy\": \"…\"}]]},\n   \
    \"validators\": {\"validators\": [[\"<account>\", 10000000000000000]]},\n   \
    \"council\": {\"members\": [\"<account>\", \"<account>\", \"<account>\"]},\n   \
    \"technicalCommittee\": {\"members\": [\"<account>\", \"<account>\", \"<account>\"]}}\n\n\
    The session keys come from `author_rotateKeysWithOwner` on each founder's node."
)]
pub struct NewNetworkCmd {
    /// JSON file that is merged into the `live` preset.
    #[arg(long, value_name = "FILE")]
    pub genesis: PathBuf,

    /// The network's name.
    #[arg(long)]
    pub name: String,

    /// The network's id: names its folders and protocols.
    #[arg(long, value_parser = parse_id)]
    pub id: String,

    /// Write the genesis as raw storage: the form to hand out, since it doesn't depend on the node's version.
    #[arg(long)]
    pub raw: bool,
}

/// Why no specification was written.
#[derive(Debug, thiserror::Error)]
pub enum NewNetworkError {
    /// The patch cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The patch is too large.
    #[error("{0} is larger than 16 MiB")]
    TooLarge(PathBuf),
    /// The patch is no JSON.
    #[error("{path} is not JSON: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// Nobody could author a block.
    #[error(
        "the genesis needs at least one entry in session.keys and the same account in validators.validators: \
             a chain without validators never makes a block"
    )]
    NoValidators,
    /// Nobody could ever change the network.
    #[error(
        "the genesis needs at least {MIN_MEMBERS} accounts in {0}.members: council and technical committee govern the \
             network, and there is no other way to change it"
    )]
    NoHouse(&'static str),
    /// One key would rule the network.
    #[error(
        "a live network has no sudo key: remove `sudo` from the genesis; council and technical committee govern it"
    )]
    SudoKey,
    /// The node has no runtime.
    #[error(transparent)]
    NoWasm(#[from] chain_spec::NoWasm),
    /// The runtime refused the genesis.
    #[error("the runtime refuses this genesis: {0}")]
    Refused(String),
    /// The output is closed.
    #[error("cannot write the specification: {0}")]
    Write(#[from] std::io::Error),
}

fn parse_id(text: &str) -> Result<String, String> {
    let fine = !text.is_empty()
        && text.len() <= 32
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    fine.then(|| text.to_string()).ok_or_else(|| "1 to 32 of a-z, 0-9, _ and -".into())
}

impl NewNetworkCmd {
    /// Reads the patch, lets the runtime build the genesis, writes the specification to stdout.
    pub fn run(&self) -> Result<(), NewNetworkError> {
        let path = &self.genesis;
        let read_error = |source| NewNetworkError::Read { path: path.clone(), source };
        if fs::metadata(path).map_err(read_error)?.len() > MAX_PATCH {
            return Err(NewNetworkError::TooLarge(path.clone()));
        }
        let bytes = fs::read(path).map_err(read_error)?;
        let patch: Value =
            serde_json::from_slice(&bytes).map_err(|source| NewNetworkError::Json { path: path.clone(), source })?;
        let entries = |pointer: &str| patch.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
        if entries("/session/keys") == 0 || entries("/validators/validators") == 0 {
            return Err(NewNetworkError::NoValidators);
        }
        for house in ["council", "technicalCommittee"] {
            if entries(&format!("/{house}/members")) < MIN_MEMBERS {
                return Err(NewNetworkError::NoHouse(house));
            }
        }
        if patch.get("sudo").is_some_and(|sudo| !sudo.is_null()) {
            return Err(NewNetworkError::SudoKey);
        }
        let spec = chain_spec::live(&self.name, &self.id, patch)?;
        // The raw form runs the genesis in the runtime, which is the check that it is sound; the plain form may follow.
        let raw = spec.as_json(true).map_err(NewNetworkError::Refused)?;
        let json = if self.raw { raw } else { spec.as_json(false).map_err(NewNetworkError::Refused)? };
        let mut out = std::io::stdout().lock();
        out.write_all(json.as_bytes())?;
        out.write_all(b"\n")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(patch: &str) -> Result<(), NewNetworkError> {
        let folder = tempfile::tempdir().unwrap();
        let genesis = folder.path().join("founders.json");
        fs::write(&genesis, patch).unwrap();
        NewNetworkCmd { genesis, name: "Test".into(), id: "test".into(), raw: false }.run()
    }

    #[test]
    fn a_genesis_without_validators_is_refused() {
        for patch in
            ["{}", r#"{"session": {"keys": []}, "validators": {"validators": []}}"#, r#"{"session": {"keys": [1]}}"#]
        {
            assert!(matches!(run(patch), Err(NewNetworkError::NoValidators)), "{patch}");
        }
    }

    #[test]
    fn a_genesis_without_a_house_is_refused() {
        let patch = |council: &str, committee: &str| {
            format!(
                r#"{{"session": {{"keys": [1]}}, "validators": {{"validators": [1]}},
                    "council": {{"members": {council}}}, "technicalCommittee": {{"members": {committee}}}}}"#
            )
        };
        for (council, committee, missing) in [
            ("[]", "[1, 2, 3]", "council"),
            ("[1, 2]", "[1, 2, 3]", "council"),
            ("[1, 2, 3]", "[1]", "technicalCommittee"),
        ] {
            let error = run(&patch(council, committee)).unwrap_err();
            assert!(matches!(error, NewNetworkError::NoHouse(house) if house == missing), "{error}");
        }
    }

    #[test]
    fn a_genesis_with_a_sudo_key_is_refused() {
        let patch = r#"{"session": {"keys": [1]}, "validators": {"validators": [1]}, "council": {"members": [1, 2, 3]},
            "technicalCommittee": {"members": [1, 2, 3]}, "sudo": {"key": "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"}}"#;
        assert!(matches!(run(patch), Err(NewNetworkError::SudoKey)));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let error = run("{").unwrap_err().to_string();
        assert!(error.contains("founders.json is not JSON") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let command = NewNetworkCmd { genesis: "/nonexistent".into(), name: "T".into(), id: "t".into(), raw: false };
        assert!(command.run().unwrap_err().to_string().contains("/nonexistent"));
    }

    #[test]
    fn ids_are_short_and_plain() {
        assert_eq!(parse_id("chroom_2-a"), Ok("chroom_2-a".into()));
        for id in ["", "Chroom", "a b", "../x", &"a".repeat(33)] {
            assert!(parse_id(id).is_err(), "{id}");
        }
    }
}
