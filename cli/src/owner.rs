//! Who signs a transaction: an owner's keystore, a Polkadot secret in a file, or a development account.

use crate::failure::{Context, Failure};
use chroom_chain_client::Signer;
use chroom_wallet::{Wallet, passphrase};
use clap::Args;
use std::{path::PathBuf, str::FromStr};
use subxt_signer::{SecretUri, sr25519::Keypair};
use zeroize::Zeroizing;

/// Environment variable with the passphrase of the owner's keystore, where it differs from the node's.
pub const PASSPHRASE: &str = "CHROOM_OWNER_PASSPHRASE";

/// The account that signs.
#[derive(Clone, Debug, Args)]
#[group(id = "signing", multiple = false)]
pub struct Who {
    /// Keystore file of the signing account (an EVM wallet)
    #[arg(long, value_name = "KEYSTORE", group = "signing")]
    owner: Option<PathBuf>,
    /// File with a Polkadot secret: a mnemonic or 0x seed, with derivations (//…)
    #[arg(long, value_name = "FILE", group = "signing")]
    suri_file: Option<PathBuf>,
    /// A development account: alice, bob, charlie, dave, eve, ferdie
    #[arg(long, value_name = "NAME", group = "signing")]
    dev: Option<String>,
}

/// The passphrase of the signing account's keystore.
#[derive(Clone, Debug, Args)]
pub struct OwnerPassphrase {
    /// File with the passphrase of --owner's keystore; else the variable CHROOM_OWNER_PASSPHRASE, else as for --wallet
    #[arg(long, value_name = "FILE")]
    owner_passphrase_file: Option<PathBuf>,
}

/// Who signs, with where the passphrase comes from.
#[derive(Clone, Debug, Args)]
pub struct Owner {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    passphrase: OwnerPassphrase,
}

impl Owner {
    /// Opens the key, if one was named.
    pub fn signer_if_any(&self) -> Result<Option<Signer>, Failure> {
        let who = &self.who;
        if let Some(name) = &who.dev {
            return dev(name).map(Some);
        }
        if let Some(path) = &who.suri_file {
            let what = format!("cannot read the secret in {}", path.display());
            let text = Zeroizing::new(std::fs::read_to_string(path).context(&what)?);
            return from_suri(text.trim()).map(Some).map_err(|failure| Failure::new(format_args!("{what}: {failure}")));
        }
        let Some(path) = &who.owner else { return Ok(None) };
        let what = format!("cannot open the owner's keystore {}", path.display());
        let passphrase = match (&self.passphrase.owner_passphrase_file, std::env::var(PASSPHRASE)) {
            (None, Ok(text)) => chroom_wallet::Passphrase::new(text),
            (file, _) => passphrase::read(file.as_deref()).context(&what)?,
        };
        Ok(Some(Signer::Wallet(Wallet::open(path, &passphrase).context(&what)?)))
    }

    /// Opens the key.
    pub fn signer(&self) -> Result<Signer, Failure> {
        self.signer_if_any()?.ok_or_else(|| {
            Failure::usage("nobody was named to sign")
                .hint("give --owner <keystore>, --suri-file <file> or, on a local network, --dev charlie")
        })
    }
}

/// A well-known development account, such as `alice` or `Alice//stash`.
pub fn dev(name: &str) -> Result<Signer, Failure> {
    let name = name.trim_start_matches('/');
    let mut letters = name.chars();
    let capitalised: String =
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    from_suri(&format!("//{capitalised}"))
}

fn from_suri(text: &str) -> Result<Signer, Failure> {
    let malformed = || {
        Failure::usage("it is no secret").hint("a secret is a mnemonic or a 0x seed, with derivations such as //Alice")
    };
    let uri = SecretUri::from_str(text).map_err(|_| malformed())?;
    Keypair::from_uri(&uri).map(Signer::Sr25519).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_accounts_are_the_well_known_ones() {
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        assert_eq!(dev("alice").unwrap().account().to_string(), alice);
        assert_eq!(dev("//Alice").unwrap().account().to_string(), alice);
        assert_ne!(dev("bob").unwrap().account().to_string(), alice);
    }
}
