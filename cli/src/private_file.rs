//! Files that only their owner may read.

use crate::failure::{Context, Failure};
use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// Writes a file of mode 0600, whole or not at all.
pub fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let what = format!("cannot write {}", path.display());
    // A half must never be taken for the whole: it gets its name once it is on disk.
    let draft = path.with_extension("draft");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).context(&what)?;
    file.write_all(text).and_then(|()| file.sync_all()).context(&what)?;
    std::fs::rename(&draft, path).context(&what)
}
