//! `chroom node`: a node's registration on the chain.

use crate::{
    amount::Amount,
    chain::Chain,
    failure::{Context, Failure, chain_of},
    output::{Output, facts, table},
    owner::Owner,
    place,
};
use chroom_chain_client::{ChainClient, NewNode, NodeUpdate, Signer, SubmitError, TxOutcome};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeId, Role, Signed,
    record::{KeyProof, Registration},
};
use chroom_wallet::{Wallet, passphrase};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "Examples:
  chroom node register --owner cold.json --wallet media.json --role media --class medium --endpoint 203.0.113.7:7400 \\
      --cell 50.11,8.68 --price 0.5 --bond 400
  chroom node prove --wallet media.json --role media --owner-account 0x51ab… --json > proof.json
  chroom node register --owner cold.json --proof proof.json --role media --endpoint 203.0.113.7:7400 --cell 50.11,8.68
  chroom node status 0x8f3c…
  chroom node status                                      (all nodes)
  chroom node update 0x8f3c… --owner cold.json --price 0.4
  chroom node drain 0x8f3c… --owner cold.json             (no new calls; running ones go on)
  chroom node unbond 0x8f3c… --owner cold.json            (leave; the bond is free after the unbonding period)
  chroom node withdraw 0x8f3c… --owner cold.json

On a local network, --dev charlie signs as the development account //Charlie.";

/// Nodes on the chain
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Have a node's key sign that an owner may register it, where the owner's key is on another machine
    #[command(after_help = EXAMPLES)]
    Prove(Prove),
    /// Register a node and bond for it
    #[command(after_help = EXAMPLES)]
    Register(Register),
    /// Show one node, or all
    #[command(after_help = EXAMPLES)]
    Status(Status),
    /// Change a node's attributes
    #[command(after_help = EXAMPLES)]
    Update(Update),
    /// Take a node out of allocation; what it carries goes on
    #[command(after_help = EXAMPLES)]
    Drain(Change),
    /// Put a draining node, or one whose jail period is over, back into service
    #[command(after_help = EXAMPLES)]
    Resume(Change),
    /// Take a node out of service for good; its bond stays held until the unbonding period is over
    #[command(after_help = EXAMPLES)]
    Unbond(Change),
    /// Take back the bond of a node whose unbonding period is over
    #[command(after_help = EXAMPLES)]
    Withdraw(Change),
}

/// A role, as the command line names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum RoleName {
    /// A media node
    Media,
    /// An orchestrator
    Orchestrator,
    /// A registry node
    Registry,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Media => Role::Media,
            RoleName::Orchestrator => Role::Orchestrator,
            RoleName::Registry => Role::Registry,
        }
    }
}

/// A capacity class, as the command line names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ClassName {
    /// Up to 100 Mb/s
    Small,
    /// Up to 1 Gb/s
    Medium,
    /// Up to 10 Gb/s
    Large,
}

impl From<ClassName> for CapacityClass {
    fn from(name: ClassName) -> Self {
        match name {
            ClassName::Small => CapacityClass::Small,
            ClassName::Medium => CapacityClass::Medium,
            ClassName::Large => CapacityClass::Large,
        }
    }
}

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

/// Arguments of `register`.
#[derive(Debug, Args)]
pub struct Register {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// The node's keystore: its key proves that it agrees to be registered
    #[arg(long, value_name = "KEYSTORE", required_unless_present = "proof", conflicts_with = "proof")]
    wallet: Option<PathBuf>,
    /// What `chroom node prove` printed on the node's machine, instead of --wallet
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// File with the passphrase of the node's keystore
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// What the node does
    #[arg(long)]
    role: RoleName,
    /// Capacity class
    #[arg(long, default_value = "small")]
    class: ClassName,
    /// host:port of its gRPC interface (an orchestrator: of its signalling)
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Endpoint,
    /// Where it is: an H3 cell in hex, or latitude,longitude
    #[arg(long, value_name = "PLACE", value_parser = place::parse, allow_hyphen_values = true)]
    cell: H3Cell,
    /// Price of usage in CHR per GiB, for media nodes
    #[arg(long, value_name = "CHR", default_value = "0")]
    price: Amount,
    /// Bond in CHR [default: 100 for an orchestrator, 500 for a registry node, 100, 400 or 1,600 for a media node by class]
    #[arg(long, value_name = "CHR")]
    bond: Option<Amount>,
    /// CHR to send to the node's own account, for its transactions' fees
    #[arg(long, value_name = "CHR", default_value = "10")]
    fund: Amount,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    chain: Chain,
    /// The node; all if absent
    node: Option<NodeId>,
}

/// Arguments of `update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// The node
    node: NodeId,
    /// Capacity class, from the next epoch on
    #[arg(long)]
    class: Option<ClassName>,
    /// Where it is
    #[arg(long, value_name = "PLACE", value_parser = place::parse, allow_hyphen_values = true)]
    cell: Option<H3Cell>,
    /// host:port of its gRPC interface
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Option<Endpoint>,
    /// Price in CHR per GiB, from the next epoch on
    #[arg(long, value_name = "CHR")]
    price: Option<Amount>,
    /// CHR to add to the bond
    #[arg(long, value_name = "CHR")]
    add_bond: Option<Amount>,
}

/// Arguments of commands that change a node's status.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// The node
    node: NodeId,
}

/// Runs the command.
pub async fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Prove(prove) => run_prove(prove, output).await,
        Command::Register(register) => run_register(register, output).await,
        Command::Status(status) => run_status(status, output).await,
        Command::Update(update) => run_update(update, output).await,
        Command::Drain(change) => {
            let (chain, signer) = change.open().await?;
            done(chain.drain(&signer, change.node).await, change.node, "draining", output)
        }
        Command::Resume(change) => {
            let (chain, signer) = change.open().await?;
            done(chain.resume(&signer, change.node).await, change.node, "active", output)
        }
        Command::Unbond(change) => {
            let (chain, signer) = change.open().await?;
            done(chain.unbond(&signer, change.node).await, change.node, "unbonding", output)
        }
        Command::Withdraw(change) => {
            let (chain, signer) = change.open().await?;
            done(chain.withdraw(&signer, change.node).await, change.node, "withdrawn", output)
        }
    }
}

impl Change {
    async fn open(&self) -> Result<(ChainClient, Signer), Failure> {
        let signer = self.owner.signer()?;
        Ok((self.chain.connect().await?, signer))
    }
}

fn done(
    result: Result<TxOutcome, SubmitError>,
    node: NodeId,
    state: &'static str,
    output: Output,
) -> Result<(), Failure> {
    let outcome = result.map_err(|error| refused(&error))?;
    output.show(&json!({ "node": node, "state": state, "transaction": transaction(&outcome) }), |_| {
        format!("{node} is {state} as of block {}; fee {}", outcome.block_number, Amount(outcome.fee))
    });
    Ok(())
}

/// A failed transaction, with what the owner can do about it.
pub fn refused(error: &SubmitError) -> Failure {
    let failure = Failure::new(chain_of(error));
    let SubmitError::Dispatch { name, .. } = error else { return failure };
    match name.as_str() {
        "NotOwner" | "NotOwnerOrNode" => {
            failure.hint("sign with the account that registered the node: chroom node status names it")
        }
        "AlreadyRegistered" => failure.hint("change it with chroom node update, or look at it with chroom node status"),
        "NotRegistered" => failure.hint("chroom node status lists what is registered"),
        "BondTooLow" => {
            failure.hint("raise --bond: the minimum depends on the role and, for media nodes, on the class")
        }
        "InvalidKeyProof" => failure.hint("is --wallet the keystore of the node that is to be registered?"),
        "StillUnbonding" => failure.hint("wait until the unbonding period is over, then withdraw"),
        "FundsUnavailable" | "InsufficientBalance" | "Token" => {
            failure.hint("the signing account has not enough free CHR")
        }
        _ => failure,
    }
}

/// A transaction in JSON.
pub fn transaction(outcome: &TxOutcome) -> Value {
    json!({
        "hash": outcome.extrinsic_hash,
        "block": outcome.block_number,
        "blockHash": outcome.block_hash,
        "fee": outcome.fee.to_string(),
    })
}

fn open_node(keystore: &Path, passphrase_file: Option<&Path>) -> Result<Wallet, Failure> {
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

async fn run_prove(prove: &Prove, output: Output) -> Result<(), Failure> {
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

fn default_bond(role: Role, class: CapacityClass) -> Balance {
    match role {
        Role::Media => 100 * CHR * Balance::from(class.weight()),
        Role::Orchestrator => 100 * CHR,
        Role::Registry => 500 * CHR,
    }
}

async fn run_register(register: &Register, output: Output) -> Result<(), Failure> {
    let (role, class) = (Role::from(register.role), CapacityClass::from(register.class));
    if role != Role::Media && register.price.0 != 0 {
        return Err(Failure::usage("only media nodes have a price").hint("leave --price out"));
    }
    let signer = register.owner.signer()?;
    let chain = register.chain.connect().await?;
    let proof = match (&register.wallet, &register.proof) {
        (Some(keystore), _) => {
            let wallet = open_node(keystore, register.passphrase_file.as_deref())?;
            chain.key_proof(&wallet, signer.account(), role).await.map_err(|error| refused(&error))?
        }
        (None, Some(file)) => read_proof(file, &signer.account(), role)?,
        (None, None) => return Err(Failure::usage("neither --wallet nor --proof was given")),
    };
    let node = proof.payload.node;
    let bond = register.bond.map_or_else(|| default_bond(role, class), |bond| bond.0);
    let new = NewNode {
        role,
        class,
        cell: register.cell,
        endpoint: register.endpoint.clone(),
        price_per_gib: register.price.0,
        bond,
    };
    output.step(format_args!("registering {node}, a bond of {} goes on hold", Amount(bond)));
    let registered = chain.register_with_proof(&signer, new, &proof).await.map_err(|error| refused(&error))?;
    let funded = if register.fund.0 == 0 {
        None
    } else {
        let sent = chain.transfer(&signer, &node.account(), register.fund.0).await.map_err(|error| {
            Failure::new(format_args!(
                "{node} is registered, but its account could not be funded: {}",
                chain_of(&error)
            ))
            .hint("send it some CHR (chroom account send): without, it cannot pay for its transactions")
        })?;
        Some(sent)
    };
    let fee = registered.fee + funded.as_ref().map_or(0, |outcome| outcome.fee);
    let result = json!({
        "node": node,
        "account": node.account().to_string(),
        "owner": signer.account().to_string(),
        "bond": bond.to_string(),
        "funded": funded.as_ref().map_or(0, |_| register.fund.0).to_string(),
        "fee": fee.to_string(),
        "transaction": transaction(&registered),
    });
    output.show(&result, |_| {
        facts(&[
            ("node", node.to_string()),
            ("owner", signer.account().to_string()),
            ("bond", Amount(bond).to_string()),
            ("float", Amount(funded.as_ref().map_or(0, |_| register.fund.0)).to_string()),
            ("block", registered.block_number.to_string()),
            ("fees", Amount(fee).to_string()),
        ])
    });
    Ok(())
}

/// A registration in JSON.
pub fn registration_json(registration: &Registration) -> Value {
    json!({
        "node": registration.node,
        "owner": registration.owner.to_string(),
        "role": registration.role,
        "status": registration.status,
        "class": registration.class,
        "cell": place::hex(registration.cell),
        "endpoint": registration.endpoint,
        "bond": registration.bond.to_string(),
        "pricePerGib": registration.price_per_gib.to_string(),
    })
}

/// A word of a value that serialises as one.
pub fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

async fn run_status(status: &Status, output: Output) -> Result<(), Failure> {
    let chain = status.chain.connect().await?;
    let Some(node) = status.node else {
        let nodes = chain.registrations().await.context("cannot list the nodes")?;
        let list: Vec<Value> = nodes.values().map(registration_json).collect();
        output.show(&Value::Array(list), |_| {
            let rows: Vec<Vec<String>> = nodes
                .values()
                .map(|node| {
                    vec![
                        node.node.to_string(),
                        word(&node.role),
                        word(&node.status),
                        node.endpoint.to_string(),
                        Amount(node.bond).to_string(),
                    ]
                })
                .collect();
            table(&["node", "role", "status", "endpoint", "bond"], &rows)
        });
        return Ok(());
    };
    let what = format!("cannot look up {node}");
    let registration = chain.registration(node).await.context(&what)?.ok_or_else(|| {
        Failure::new(format_args!("{node} is not registered"))
            .hint("chroom node status lists all; register with chroom node register")
    })?;
    let account = chain.balance(&node.account()).await.context(&what)?;
    let reward = chain.last_reward(node).await.context(&what)?;
    let mut json = registration_json(&registration);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("free".into(), account.free.to_string().into());
        let last = reward.map(|(epoch, amount)| json!({ "epoch": epoch, "amount": amount.to_string() }));
        fields.insert("lastReward".into(), last.unwrap_or_default());
    }
    output.show(&json, |_| {
        facts(&[
            ("node", node.to_string()),
            ("role", word(&registration.role)),
            ("status", word(&registration.status)),
            ("class", word(&registration.class)),
            ("cell", place::hex(registration.cell)),
            ("endpoint", registration.endpoint.to_string()),
            ("owner", registration.owner.to_string()),
            ("bond", Amount(registration.bond).to_string()),
            ("price", format!("{} per GiB", Amount(registration.price_per_gib))),
            ("own account", Amount(account.free).to_string()),
            (
                "last reward",
                reward.map_or_else(
                    || "none yet".to_owned(),
                    |(epoch, amount)| format!("{} for epoch {}", Amount(amount), epoch.0),
                ),
            ),
        ])
    });
    Ok(())
}

async fn run_update(update: &Update, output: Output) -> Result<(), Failure> {
    let change = NodeUpdate {
        class: update.class.map(CapacityClass::from),
        cell: update.cell,
        endpoint: update.endpoint.clone(),
        price_per_gib: update.price.map(|price| price.0),
    };
    let changes_something = change != NodeUpdate::default();
    if !changes_something && update.add_bond.is_none() {
        return Err(Failure::usage("nothing to change").hint("give --class, --cell, --endpoint, --price or --add-bond"));
    }
    let signer = update.owner.signer()?;
    let chain = update.chain.connect().await?;
    let mut outcome = None;
    // More bond first: a greater class may need it.
    if let Some(amount) = update.add_bond {
        outcome = Some(chain.add_bond(&signer, update.node, amount.0).await.map_err(|error| refused(&error))?);
    }
    if changes_something {
        outcome = Some(chain.update(&signer, update.node, change).await.map_err(|error| refused(&error))?);
    }
    match outcome {
        Some(outcome) => done(Ok(outcome), update.node, "updated", output),
        None => Ok(()),
    }
}
