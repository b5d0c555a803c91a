//! `chroom wallet`: keystore files.

use crate::{
    failure::{Context, Failure},
    output::{Output, facts},
};
use chroom_primitives::NodeId;
use chroom_wallet::{Strength, Wallet, keystore, passphrase};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const EXAMPLES: &str = "Examples:
  chroom wallet create --out node.json
  chroom wallet create --out node.json --passphrase-file pass.txt --json
  chroom wallet import --secret-file key.hex --out node.json
  chroom wallet show node.json

The passphrase comes from --passphrase-file, from the variable CHROOM_PASSPHRASE or from the terminal, never from the
command line.";

/// Keystore files (Ethereum's version 3, which any EVM wallet opens)
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Make a new key
    #[command(after_help = EXAMPLES)]
    Create(Create),
    /// Take over an existing secp256k1 key
    #[command(after_help = EXAMPLES)]
    Import(Import),
    /// Open a keystore and show whose it is
    #[command(after_help = EXAMPLES)]
    Show(Show),
    /// Show a keystore's address without opening it
    #[command(after_help = EXAMPLES)]
    ExportAddress(ExportAddress),
}

/// How to write the file.
#[derive(Debug, Args)]
pub struct Target {
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// File with the passphrase (one line)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Cheaper key derivation, for test networks and small machines
    #[arg(long)]
    light: bool,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    target: Target,
}

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    target: Target,
    /// File with the secret key: 64 hex digits
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The keystore
    keystore: PathBuf,
    /// File with the passphrase (one line)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Arguments of `export-address`.
#[derive(Debug, Args)]
pub struct ExportAddress {
    /// The keystore
    keystore: PathBuf,
}

/// Runs the command.
pub fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Create(create) => save(&Wallet::generate(), &create.target, output),
        Command::Import(import) => save(&read_key(&import.secret_file)?, &import.target, output),
        Command::Show(show) => {
            let passphrase = passphrase::read(show.passphrase_file.as_deref()).context("cannot open the keystore")?;
            let wallet = Wallet::open(&show.keystore, &passphrase).context("cannot open the keystore")?;
            output.show(&described(wallet.node_id(), &show.keystore), text);
            Ok(())
        }
        Command::ExportAddress(export) => {
            let node = keystore::address(&export.keystore).context("cannot read the keystore")?.ok_or_else(|| {
                Failure::new("the keystore names no address")
                    .hint("open it with `chroom wallet show`, which works the address out from the key")
            })?;
            output.show(&described(node, &export.keystore), |_| node.to_string());
            Ok(())
        }
    }
}

fn save(wallet: &Wallet, target: &Target, output: Output) -> Result<(), Failure> {
    let passphrase = passphrase::read_new(target.passphrase_file.as_deref()).context("cannot make the keystore")?;
    if passphrase.is_empty() {
        return Err(Failure::usage("the passphrase is empty").hint("a keystore without a passphrase protects nothing"));
    }
    let strength = if target.light { Strength::Light } else { Strength::Standard };
    wallet.save_with(&target.out, &passphrase, strength).context("cannot make the keystore")?;
    output.show(&described(wallet.node_id(), &target.out), text);
    Ok(())
}

fn read_key(path: &Path) -> Result<Wallet, Failure> {
    let what = format!("cannot read the secret key from {}", path.display());
    let text = Zeroizing::new(std::fs::read_to_string(path).context(&what)?);
    let digits = text.trim();
    let mut secret = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), secret.as_mut_slice())
        .map_err(|_| Failure::new(format_args!("{what}: it is not 64 hex digits")))?;
    Wallet::from_secret(&secret).context(what)
}

fn described(node: NodeId, path: &Path) -> Value {
    json!({
        "node": node,
        "account": node.account().to_string(),
        "keystore": path,
    })
}

fn text(value: &Value) -> String {
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    facts(&[("node", field("node")), ("account", field("account")), ("keystore", field("keystore"))])
}
