//! Where a keystore's passphrase comes from: a file, the environment or the terminal, never the command line.

use core::fmt;
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Environment variable that services read a passphrase from.
pub const VARIABLE: &str = "CHROOM_PASSPHRASE";

/// Longest passphrase in bytes.
pub const MAX_LEN: usize = 1_024;

/// A passphrase; wiped when dropped, hidden from `Debug`. It dereferences to `&str`.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Wraps a text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl core::ops::Deref for Passphrase {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// No passphrase could be had.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// The file cannot be read.
    #[error("cannot read the passphrase file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was found is not UTF-8, too long, or has more than one line.
    #[error("{origin}: a passphrase is one line of UTF-8 text, at most {MAX_LEN} bytes")]
    Malformed {
        /// Where it came from.
        origin: String,
    },
    /// Neither file nor variable nor terminal.
    #[error("no passphrase: give --passphrase-file <file>, set {VARIABLE}, or run this in a terminal")]
    None,
    /// The terminal failed.
    #[error("cannot read the passphrase from the terminal: {0}")]
    Terminal(#[source] io::Error),
    /// The two entries of a new passphrase differ.
    #[error("the two passphrases differ")]
    Differ,
}

/// Reads a passphrase: from `file` if given, else from [`VARIABLE`], else from the terminal without echo.
pub fn read(file: Option<&Path>) -> Result<Passphrase, PassphraseError> {
    match stored(file)? {
        Some(passphrase) => Ok(passphrase),
        None => ask("Passphrase: "),
    }
}

/// As [`read`], for a new keystore: the terminal asks twice.
pub fn read_new(file: Option<&Path>) -> Result<Passphrase, PassphraseError> {
    if let Some(passphrase) = stored(file)? {
        return Ok(passphrase);
    }
    let first = ask("New passphrase: ")?;
    let second = ask("Once more: ")?;
    if *first == *second { Ok(first) } else { Err(PassphraseError::Differ) }
}

fn stored(file: Option<&Path>) -> Result<Option<Passphrase>, PassphraseError> {
    if let Some(path) = file {
        return from_file(path).map(Some);
    }
    match std::env::var(VARIABLE) {
        Ok(text) => one_line(Zeroizing::new(text), VARIABLE).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(PassphraseError::Malformed { origin: VARIABLE.into() }),
    }
}

fn from_file(path: &Path) -> Result<Passphrase, PassphraseError> {
    let fault = |source| PassphraseError::File { path: path.to_owned(), source };
    let malformed = || PassphraseError::Malformed { origin: path.display().to_string() };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 3));
    File::open(path).map_err(fault)?.take(MAX_LEN as u64 + 3).read_to_end(&mut bytes).map_err(fault)?;
    let text = core::str::from_utf8(&bytes).map_err(|_| malformed())?;
    one_line(Zeroizing::new(text.to_owned()), &path.display().to_string())
}

/// Cuts one line ending off, since editors add it, and refuses what is longer or has more lines.
fn one_line(text: Zeroizing<String>, origin: &str) -> Result<Passphrase, PassphraseError> {
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.len() > MAX_LEN || line.contains(['\n', '\r']) {
        return Err(PassphraseError::Malformed { origin: origin.to_owned() });
    }
    Ok(Passphrase::new(line.to_owned()))
}

fn ask(prompt: &str) -> Result<Passphrase, PassphraseError> {
    if !io::stdin().is_terminal() {
        return Err(PassphraseError::None);
    }
    let text = rpassword::prompt_password(prompt).map_err(PassphraseError::Terminal)?;
    one_line(Zeroizing::new(text), "the terminal")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<Passphrase, PassphraseError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        std::fs::write(&path, bytes).unwrap();
        read(Some(&path))
    }

    #[test]
    fn one_line_ending_is_cut_off() {
        assert_eq!(&*read_bytes(b"correct horse \n").unwrap(), "correct horse ");
        assert_eq!(&*read_bytes(b"correct horse\r\n").unwrap(), "correct horse");
        assert_eq!(&*read_bytes(b"").unwrap(), "");
    }

    #[test]
    fn what_is_no_passphrase_is_refused() {
        for bad in [&b"two\nlines"[..], b"\xff\xfe", &[b'a'; MAX_LEN + 1], &[b'a'; 2 * MAX_LEN]] {
            assert!(matches!(read_bytes(bad), Err(PassphraseError::Malformed { .. })), "{bad:?}");
        }
        assert!(matches!(read(Some(Path::new("/nonexistent/file"))), Err(PassphraseError::File { .. })));
    }

    #[test]
    fn debug_hides_the_text() {
        assert_eq!(format!("{:?}", Passphrase::new("secret".into())), "Passphrase(…)");
    }
}
