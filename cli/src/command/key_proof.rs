//! A node's key, and its proof that an owner may register it.

use super::node::{RoleName, refused, word};
use crate::{
    chain::Chain,
    failure::{Context, Failure},
    output::Output,
};
use chroom_chain_client::ChainClient;
use chroom_primitives::{AccountId, EthereumSignature, NodeId, Role, Signed, record::KeyProof};
use chroom_wallet::{Wallet, passphrase};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct Prove {
    #[command(flatten)]
    chain: Chain,
    /// The node's keystore
    #[arg(long, value_name = "KEYSTORE")]
    wallet: PathBuf,
    /// File with the passphrase of the node's keystore
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The account that will register it (SS58, or an EVM address)
    #[arg(long, value_name = "ACCOUNT", value_parser = super::escrow::account)]
    owner_account: AccountId,
    /// What the node does
    #[arg(long)]
    role: RoleName,
}

/// Opens a node's keystore.
pub(super) fn open_node(keystore: &Path, passphrase_file: Option<&Path>) -> Result<Wallet, Failure> {
    let what = "cannot open the node's keystore";
    let passphrase = passphrase::read(passphrase_file).context(what)?;
    Wallet::open(keystore, &passphrase).context(what)
}

/// A key proof as it travels from the node's machine to the owner's: nothing in it is secret.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofFile {
    node: NodeId,
    owner: AccountId,
    role: Role,
    nonce: u32,
    expires_at: u32,
    signature: EthereumSignature,
}

/// Runs `prove`.
pub async fn run(prove: &Prove, output: Output) -> Result<(), Failure> {
    let wallet = open_node(&prove.wallet, prove.passphrase_file.as_deref())?;
    let chain = prove.chain.connect().await?;
    let Signed { payload, signature } = chain
        .key_proof(&wallet, prove.owner_account.clone(), prove.role.into())
        .await
        .map_err(|error| refused(&error))?;
    let KeyProof { node, owner, role, nonce, expires_at } = payload;
    let file = ProofFile { node, owner, role, nonce, expires_at, signature };
    let json = serde_json::to_value(&file).context("cannot write the proof")?;
    output.step(format_args!(
        "valid up to block {expires_at}, a few minutes from now: register with --proof on the owner's machine"
    ));
    output.show(&json, Value::to_string);
    Ok(())
}

fn read_proof(path: &Path, owner: &AccountId, role: Role) -> Result<Signed<KeyProof>, Failure> {
    let what = format!("cannot read the key proof in {}", path.display());
    let text = std::fs::read(path).context(&what)?;
    let file: ProofFile = serde_json::from_slice(&text).context(&what)?;
    if file.owner != *owner || file.role != role {
        return Err(Failure::new(format_args!(
            "the key proof is for the owner {} and the role {}, not for {owner} and {}",
            file.owner,
            word(&file.role),
            word(&role)
        ))
        .hint("make one for this owner and role with chroom node prove"));
    }
    let ProofFile { node, owner, role, nonce, expires_at, signature } = file;
    Ok(Signed { payload: KeyProof { node, owner, role, nonce, expires_at }, signature })
}

/// A node's key, or the proof that it made elsewhere.
pub(super) struct NodeKey<'a> {
    pub wallet: &'a Option<PathBuf>,
    pub proof: &'a Option<PathBuf>,
    pub passphrase_file: &'a Option<PathBuf>,
}

impl NodeKey<'_> {
    /// The proof that the key agrees to be registered by `owner`.
    pub async fn proof(&self, chain: &ChainClient, owner: &AccountId, role: Role) -> Result<Signed<KeyProof>, Failure> {
        match (self.wallet, self.proof) {
            (Some(keystore), _) => {
                let wallet = open_node(keystore, self.passphrase_file.as_deref())?;
                chain.key_proof(&wallet, owner.clone(), role).await.map_err(|error| refused(&error))
            }
            (None, Some(file)) => read_proof(file, owner, role),
            (None, None) => Err(Failure::usage("neither --wallet nor --proof was given")),
        }
    }
}
