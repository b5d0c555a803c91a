//! `chroom validator`: candidates' bonds and session keys.

use super::node::{refused, transaction};
use crate::{
    amount::Amount,
    chain::Chain,
    failure::{Context, Failure},
    local,
    output::{Output, facts},
    owner::Owner,
};
use chroom_chain_client::{ChainClient, Signer, SubmitError, TxOutcome};
use chroom_primitives::{AccountId, Balance};
use clap::{Args, Subcommand};
use codec::{Compact, Decode, Encode};
use jsonrpsee::{
    core::client::ClientT,
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde::Deserialize;
use serde_json::json;
use sp_crypto_hashing::{blake2_128, twox_128};
use std::time::Duration;
use subxt::{tx::dynamic, utils::Static};

const EXAMPLES: &str = "Examples (keys: the validator's node runs on this machine with --rpc-methods unsafe):
  chroom validator keys --chain ws://127.0.0.1:9944 --owner stash.json    make and register session keys
  chroom validator bond 5000 --owner stash.json                   stand for election with this much more
  chroom validator status 5Grw…
  chroom validator unbond 1000 --owner stash.json                 take part of the bond back
  chroom validator unbond --all --owner stash.json                give up candidacy
  chroom validator withdraw --owner stash.json                    when the unbonding period is over";

/// Validators
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Stand for election with more bond
    #[command(after_help = EXAMPLES)]
    Bond(Bond),
    /// Show a candidate
    #[command(after_help = EXAMPLES)]
    Status(Status),
    /// Take back part of the bond, or all of it and leave
    #[command(after_help = EXAMPLES)]
    Unbond(Unbond),
    /// Free what has finished unbonding
    #[command(after_help = EXAMPLES)]
    Withdraw(Withdraw),
    /// Have the node make new session keys, and register them
    #[command(after_help = EXAMPLES)]
    Keys(Keys),
}

/// Arguments of `bond`.
#[derive(Debug, Args)]
pub struct Bond {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// CHR to add to the bond; 0 stands again with what is left
    amount: Amount,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// JSON-RPC of a node of the chain [default: the local network's, else ws://127.0.0.1:9944]
    #[arg(long = "chain", value_name = "WS_URL", env = "CHROOM_CHAIN", value_delimiter = ',')]
    urls: Vec<String>,
    /// The validator's account
    #[arg(value_parser = super::escrow::account)]
    validator: AccountId,
}

/// Arguments of `unbond`.
#[derive(Debug, Args)]
pub struct Unbond {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// CHR to take back; what remains must be the minimum
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    amount: Option<Amount>,
    /// Give up candidacy and take back everything
    #[arg(long)]
    all: bool,
}

/// Arguments of `withdraw`.
#[derive(Debug, Args)]
pub struct Withdraw {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
}

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct Keys {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// JSON-RPC of the validator itself, which makes the keys [default: the first --chain]
    #[arg(long, value_name = "WS_URL")]
    node: Option<String>,
}

/// Runs the command.
pub async fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Bond(bond) => {
            let (chain, signer) = open(&bond.chain, &bond.owner).await?;
            let call = dynamic("Validators", "join", (Static(Compact(bond.amount.0)),));
            done(chain.submit(&signer, &call).await, &signer, "bonded", output)
        }
        Command::Unbond(unbond) => {
            let (chain, signer) = open(&unbond.chain, &unbond.owner).await?;
            let result = match unbond.amount {
                Some(amount) => {
                    chain.submit(&signer, &dynamic("Validators", "unbond", (Static(Compact(amount.0)),))).await
                }
                None => chain.submit(&signer, &dynamic("Validators", "leave", ())).await,
            };
            done(result, &signer, "unbonding", output)
        }
        Command::Withdraw(withdraw) => {
            let (chain, signer) = open(&withdraw.chain, &withdraw.owner).await?;
            done(chain.submit(&signer, &dynamic("Validators", "withdraw", ())).await, &signer, "withdrawn", output)
        }
        Command::Keys(keys) => run_keys(keys, output).await,
        Command::Status(status) => run_status(status, output).await,
    }
}

async fn open(chain: &Chain, owner: &Owner) -> Result<(ChainClient, Signer), Failure> {
    let signer = owner.signer()?;
    Ok((chain.connect().await?, signer))
}

fn done(
    result: Result<TxOutcome, SubmitError>,
    signer: &Signer,
    state: &'static str,
    output: Output,
) -> Result<(), Failure> {
    let outcome = result.map_err(|error| {
        let failure = refused(&error);
        if error.is("Validators", "NoSessionKeys") {
            failure.hint("make session keys first: chroom validator keys")
        } else {
            failure
        }
    })?;
    let account = signer.account().to_string();
    output.show(&json!({ "validator": account, "state": state, "transaction": transaction(&outcome) }), |_| {
        format!("{account}: {state} as of block {}; fee {}", outcome.block_number, Amount(outcome.fee))
    });
    Ok(())
}

/// What a node answers to a request for new keys.
#[derive(Deserialize)]
struct Generated {
    keys: String,
    #[serde(default)]
    proof: Option<String>,
}

/// Bytes that are SCALE already.
struct Encoded(Vec<u8>);

impl Encode for Encoded {
    fn encode_to<T: codec::Output + ?Sized>(&self, output: &mut T) {
        output.write(&self.0);
    }
}

async fn run_keys(keys: &Keys, output: Output) -> Result<(), Failure> {
    let (chain, signer) = open(&keys.chain, &keys.owner).await?;
    let url = keys.node.clone().or_else(|| keys.chain.urls().into_iter().next()).unwrap_or_default();
    let client = rpc(&url).await?;
    let owner = format!("0x{}", hex::encode(signer.account()));
    let generated: Generated =
        client.request("author_rotateKeysWithOwner", rpc_params![owner]).await.map_err(|error| {
            Failure::new(format_args!("the node at {url} made no keys: {error}"))
                .hint("start it with --rpc-methods unsafe, reachable from this machine only")
        })?;
    let bytes = |text: &str| {
        hex::decode(text.trim_start_matches("0x"))
            .map_err(|_| Failure::new(format_args!("the node at {url} answers what is no hex: {text:?}")))
    };
    let proof = bytes(generated.proof.as_deref().unwrap_or_default())?;
    let call = dynamic("Session", "set_keys", (Static(Encoded(bytes(&generated.keys)?)), Static(proof)));
    let outcome = chain.submit(&signer, &call).await.map_err(|error| refused(&error))?;
    let json = json!({
        "validator": signer.account().to_string(),
        "keys": generated.keys,
        "transaction": transaction(&outcome),
    });
    output.show(&json, |_| {
        facts(&[
            ("validator", signer.account().to_string()),
            ("session keys", generated.keys.clone()),
            ("block", outcome.block_number.to_string()),
        ])
    });
    Ok(())
}

/// As the validators pallet stores it.
#[derive(Decode)]
struct Candidate {
    bond: Balance,
    active: bool,
    jailed_until: u32,
}

#[derive(Decode)]
struct Chunk {
    amount: Balance,
    free_from: u32,
}

async fn rpc(url: &str) -> Result<WsClient, Failure> {
    WsClientBuilder::default()
        .connection_timeout(Duration::from_secs(10))
        .request_timeout(Duration::from_secs(15))
        .build(url)
        .await
        .context(format_args!("cannot reach the chain node at {url}"))
}

/// Reads a value of the chain's storage.
async fn read<T: Decode>(
    client: &WsClient,
    pallet: &str,
    entry: &str,
    of: Option<&AccountId>,
) -> Result<Option<T>, Failure> {
    let what = format!("cannot read {pallet}.{entry}");
    let mut key = [twox_128(pallet.as_bytes()), twox_128(entry.as_bytes())].concat();
    if let Some(account) = of {
        let account = account.encode();
        key.extend(blake2_128(&account));
        key.extend(account);
    }
    let value: Option<String> =
        client.request("state_getStorage", rpc_params![format!("0x{}", hex::encode(key))]).await.context(&what)?;
    value
        .map(|text| {
            let bytes = hex::decode(text.trim_start_matches("0x")).context(&what)?;
            T::decode(&mut bytes.as_slice()).context(&what)
        })
        .transpose()
}

async fn run_status(status: &Status, output: Output) -> Result<(), Failure> {
    let url = local::chain(&status.urls).into_iter().next().unwrap_or_default();
    let client = rpc(&url).await?;
    let who = &status.validator;
    let candidate: Option<Candidate> = read(&client, "Validators", "Candidates", Some(who)).await?;
    let unbonding: Vec<Chunk> = read(&client, "Validators", "Unbonding", Some(who)).await?.unwrap_or_default();
    let serving: Vec<AccountId> = read(&client, "Session", "Validators", None).await?.unwrap_or_default();
    let serves = serving.contains(who);
    if candidate.is_none() && unbonding.is_empty() && !serves {
        return Err(Failure::new(format_args!("{who} is no candidate"))
            .hint("stand for election with chroom validator keys and chroom validator bond"));
    }
    let bond = candidate.as_ref().map_or(0, |candidate| candidate.bond);
    let json = json!({
        "validator": who.to_string(),
        "bond": bond.to_string(),
        "standing": candidate.as_ref().is_some_and(|candidate| candidate.active),
        "serving": serves,
        "jailedUntilEra": candidate.as_ref().map_or(0, |candidate| candidate.jailed_until),
        "unbonding": unbonding
            .iter()
            .map(|chunk| json!({ "amount": chunk.amount.to_string(), "freeFromEra": chunk.free_from }))
            .collect::<Vec<_>>(),
    });
    output.show(&json, |_| {
        let mut lines = vec![
            ("validator", who.to_string()),
            ("bond", Amount(bond).to_string()),
            ("stands for election", yes(candidate.as_ref().is_some_and(|candidate| candidate.active))),
            ("serves now", yes(serves)),
        ];
        for chunk in &unbonding {
            lines.push(("unbonding", format!("{} free from era {}", Amount(chunk.amount), chunk.free_from)));
        }
        facts(&lines)
    });
    Ok(())
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}
