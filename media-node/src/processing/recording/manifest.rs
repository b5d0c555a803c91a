//! What a recording's files are: `recording.json`, written anew whenever a file begins or ends.

use super::storage::Storage;
use serde::Serialize;
use std::io;

/// Its name in the recording's folder.
pub const NAME: &str = "recording.json";

/// A recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Its id.
    pub recording: String,
    /// Its room.
    pub room: String,
    /// When it began, in milliseconds of Unix time.
    pub started_unix_ms: u64,
    /// Why it ended; absent while it goes on, and after a crash.
    pub ended: Option<String>,
    /// The files.
    pub files: Vec<FileEntry>,
}

/// Writes it.
pub fn write(storage: &mut dyn Storage, manifest: &Manifest) -> io::Result<()> {
    storage.replace(NAME, &serde_json::to_vec_pretty(manifest).map_err(io::Error::other)?)
}

/// A file of a recording.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Whose track it has; empty in a file that has everyone.
    pub participant: String,
    /// The track; empty in a file that has all.
    pub track: String,
    /// What the track shows.
    pub source: String,
    /// The codecs, as RTP names them.
    pub codecs: Vec<String>,
    /// When the file begins, in milliseconds since the recording's beginning: by the arrival of its first frame.
    pub offset_ms: u64,
    /// Its length; 0 while it is being written.
    pub duration_ms: u64,
    /// Its size; 0 while it is being written.
    pub bytes: u64,
}
