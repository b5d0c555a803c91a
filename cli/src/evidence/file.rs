//! Evidence in a file: an envelope in JSON that people can read, around the SCALE encoding that the chain takes.

use super::{Charge, Evidence};
use crate::{failure::Failure, private_file};
use chroom_primitives::{Hash, NodeId, QosEpoch};
use codec::{DecodeAll, Encode};
use serde::{Deserialize, Serialize};
use sp_crypto_hashing::keccak_256;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes: twenty times what evidence takes.
const LARGEST: u64 = 64 * 1_024;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    RecordEquivocation,
    RootEquivocation,
}

/// `offender`, `seq` and `epoch` are for people; what counts is the encoding.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    kind: Kind,
    /// Names the network.
    genesis: Hash,
    offender: NodeId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<QosEpoch>,
    /// SCALE, hex with 0x.
    evidence: String,
}

/// A file holds no evidence of this network.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is longer than evidence can be.
    #[error("{0} is longer than {LARGEST} bytes: it is no evidence")]
    TooLong(PathBuf),
    /// It is not what [`save`] writes.
    #[error("{0} holds no evidence: {1}")]
    Malformed(PathBuf, String),
    /// It is of another network.
    #[error("{path} holds evidence of another network (genesis {found:?}, this one has {expected:?})")]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// Its genesis hash.
        found: Hash,
        /// The network's.
        expected: Hash,
    },
}

/// Reads evidence of the network with this genesis hash; its signatures are not checked here.
pub fn read(path: &Path, genesis: &Hash) -> Result<Evidence, ReadError> {
    let file = |source| ReadError::File { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(file)?.len() > LARGEST {
        return Err(ReadError::TooLong(path.to_owned()));
    }
    let malformed = |reason: String| ReadError::Malformed(path.to_owned(), reason);
    let text = std::fs::read(path).map_err(file)?;
    let envelope: Envelope = serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    if envelope.genesis != *genesis {
        return Err(ReadError::OtherNetwork { path: path.to_owned(), found: envelope.genesis, expected: *genesis });
    }
    let digits = envelope.evidence.strip_prefix("0x").unwrap_or(&envelope.evidence);
    let bytes = hex::decode(digits).map_err(|error| malformed(error.to_string()))?;
    let decoded = match envelope.kind {
        Kind::RecordEquivocation => DecodeAll::decode_all(&mut bytes.as_slice()).map(Evidence::Records),
        Kind::RootEquivocation => DecodeAll::decode_all(&mut bytes.as_slice()).map(Evidence::Roots),
    };
    decoded.map_err(|error| malformed(error.to_string()))
}

/// Saves evidence in a folder, in a file of mode 0600 that bears its charge and its hash. Saving it again changes nothing.
pub fn save(evidence: &Evidence, genesis: &Hash, folder: &Path) -> Result<PathBuf, Failure> {
    let (kind, scale) = match evidence {
        Evidence::Records(pair) => (Kind::RecordEquivocation, pair.encode()),
        Evidence::Roots(roots) => (Kind::RootEquivocation, roots.encode()),
    };
    let (about, seq, epoch) = match evidence.charge() {
        Charge::Records { node, seq } => (format!("records-{node}-{seq}"), Some(seq.to_string()), None),
        Charge::Roots { node, epoch } => (format!("roots-{node}-{}", epoch.0), None, Some(epoch)),
    };
    // Of one charge there may be many pieces of evidence.
    let hash: String = hex::encode(keccak_256(&scale)).chars().take(8).collect();
    let path = folder.join(format!("evidence-{about}-{hash}.json"));
    let envelope = Envelope {
        kind,
        genesis: *genesis,
        offender: evidence.charge().node(),
        seq,
        epoch,
        evidence: format!("0x{}", hex::encode(scale)),
    };
    let mut text = serde_json::to_string_pretty(&envelope)
        .map_err(|error| Failure::new(format_args!("cannot write {}: {error}", path.display())))?;
    text.push('\n');
    private_file::write(&path, text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::{super::worth::tests::*, *};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn evidence_travels_in_a_file_of_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        for evidence in [records(1, 5), roots_against_chain(1, 2), two_statements(1, 2)] {
            let path = save(&evidence, &GENESIS, dir.path()).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(save(&evidence, &GENESIS, dir.path()).unwrap(), path);
            assert_eq!(read(&path, &GENESIS).unwrap(), evidence);
            assert!(matches!(read(&path, &Hash::zero()), Err(ReadError::OtherNetwork { .. })));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "no draft is left");
    }

    #[test]
    fn what_is_no_evidence_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = save(&records(1, 5), &GENESIS, dir.path()).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let longer = good.replace("\"evidence\": \"0x", "\"evidence\": \"0x00");
        let other_kind = good.replace("record-equivocation", "root-equivocation");
        let huge = format!("{good}{}", " ".repeat(LARGEST as usize));
        for (text, part) in [
            ("{}", "missing field"),
            ("no JSON", "holds no evidence"),
            (&longer, "holds no evidence"),
            (&other_kind, "holds no evidence"),
            (&good.replace("0x", "0y"), "holds no evidence"),
            (&huge, "longer than"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path, &GENESIS).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(matches!(read(&dir.path().join("none"), &GENESIS), Err(ReadError::File { .. })));
    }
}
