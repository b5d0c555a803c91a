//! The node's wallet and its standing on the chain.

pub mod standing;

use chroom_wallet::{OpenError, PassphraseError, Wallet, passphrase};
use std::path::Path;

/// The wallet can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// No passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The keystore is no good, or the passphrase wrong.
    #[error("cannot open the wallet {path}: {source}; `chroom wallet create --out <file>` makes one")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: OpenError,
    },
}

/// Opens the keystore at `path`.
pub fn open(path: &Path, passphrase_file: Option<&Path>) -> Result<Wallet, WalletError> {
    let passphrase = passphrase::read(passphrase_file)?;
    Wallet::open(path, &passphrase).map_err(|source| WalletError::Open { path: path.display().to_string(), source })
}
