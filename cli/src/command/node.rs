//! `chroom node`: a node's registration on the chain.

use super::{
    authorization::{self, Authorize},
    key_proof::{self, NodeKey, Prove, open_node},
};
use crate::{
    amount::Amount,
    chain::Chain,
    failure::{Context, Failure, chain_of},
    output::{Output, facts, table},
    owner::Owner,
    place,
};
use chroom_chain_client::{ChainClient, NewNode, NodeUpdate, Signer, SubmitError, TxOutcome, UnbondingPart};
use chroom_primitives::{
    Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeId, Role, record::Registration,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  chroom node register --owner cold.json --wallet media.json --role media --class medium --endpoint 203.0.113.7:7400 \\
      --cell 50.11,8.68 --price 0.5 --bond 400
  chroom node prove --wallet media.json --role media --owner-account 0x51ab… --json > proof.json
  chroom node register --owner cold.json --proof proof.json --role media --endpoint 203.0.113.7:7400 --cell 50.11,8.68
  chroom node authorize --owner cold.json --node 0x8f3c… --role media --bond 100 --json > word.json    (EIP-712)
  chroom node register --authorization word.json --wallet media.json --endpoint 203.0.113.7:7400 --cell 50.11,8.68
  chroom node status 0x8f3c…
  chroom node status                                      (all nodes)
  chroom node update 0x8f3c… --owner cold.json --price 0.4
  chroom node rotate-key 0x8f3c… --owner cold.json --wallet new.json       (its registration goes on under another key)
  chroom node reduce-bond 0x8f3c… --owner cold.json --amount 20            (free after the unbonding period)
  chroom node withdraw 0x8f3c… --owner cold.json --reduced
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
    /// Sign with the owner's EVM wallet that a node may register itself
    #[command(after_help = EXAMPLES)]
    Authorize(Authorize),
    /// Register a node and bond for it
    #[command(after_help = EXAMPLES)]
    Register(Register),
    /// Show one node, or all
    #[command(after_help = EXAMPLES)]
    Status(Status),
    /// Change a node's attributes
    #[command(after_help = EXAMPLES)]
    Update(Update),
    /// Give a registration another key; the old id stays until the unbonding period is over
    #[command(after_help = EXAMPLES)]
    RotateKey(RotateKey),
    /// Take back a part of a node's bond; it is free after the unbonding period
    #[command(after_help = EXAMPLES)]
    ReduceBond(ReduceBond),
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
    Withdraw(Withdraw),
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
    /// What `chroom node authorize` printed on the owner's machine: the node registers itself and pays the fee
    #[arg(long, value_name = "FILE", requires = "wallet", conflicts_with_all = ["signing", "proof", "class", "bond", "fund"])]
    authorization: Option<PathBuf>,
    /// The signature that the owner's wallet made of the authorisation's typedData
    #[arg(long, value_name = "0X…", value_parser = signature, requires = "authorization")]
    signature: Option<EthereumSignature>,
    /// File with the passphrase of the node's keystore
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// What the node does
    #[arg(long, required_unless_present = "authorization", conflicts_with = "authorization")]
    role: Option<RoleName>,
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

/// Arguments of `rotate-key`.
#[derive(Debug, Args)]
pub struct RotateKey {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// The node as it is registered now
    node: NodeId,
    /// The keystore of the new key
    #[arg(long, value_name = "KEYSTORE", required_unless_present = "proof", conflicts_with = "proof")]
    wallet: Option<PathBuf>,
    /// What `chroom node prove` printed for the new key on the node's machine, instead of --wallet
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// File with the passphrase of the new key's keystore
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Arguments of `reduce-bond`.
#[derive(Debug, Args)]
pub struct ReduceBond {
    #[command(flatten)]
    change: Change,
    /// CHR to take back; what remains must cover what role and class ask for
    #[arg(long, value_name = "CHR")]
    amount: Amount,
}

/// Arguments of `withdraw`.
#[derive(Debug, Args)]
pub struct Withdraw {
    #[command(flatten)]
    change: Change,
    /// Only the parts of the bond that were taken back with reduce-bond; the node stays
    #[arg(long)]
    reduced: bool,
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
        Command::Prove(prove) => key_proof::run(prove, output).await,
        Command::Authorize(authorize) => authorization::run(authorize, output).await,
        Command::Register(register) => run_register(register, output).await,
        Command::Status(status) => run_status(status, output).await,
        Command::Update(update) => run_update(update, output).await,
        Command::RotateKey(rotate) => run_rotate_key(rotate, output).await,
        Command::ReduceBond(ReduceBond { change, amount }) => {
            let (chain, signer) = change.open().await?;
            done(chain.reduce_bond(&signer, change.node, amount.0).await, change.node, "less bonded", output)
        }
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
        Command::Withdraw(Withdraw { change, reduced: true }) => {
            let (chain, signer) = change.open().await?;
            done(chain.withdraw_reduced(&signer, change.node).await, change.node, "less bonded", output)
        }
        Command::Withdraw(Withdraw { change, reduced: false }) => {
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
        "InvalidAuthorization" => failure.hint(
            "each authorisation works once, in the order of its nonce: make a new one with chroom node authorize",
        ),
        "PredecessorRemains" => failure
            .hint("withdraw the id that this one took the place of first: chroom node status lists it as unbonding"),
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

/// Reads a signature as wallets show it.
fn signature(text: &str) -> Result<EthereumSignature, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

async fn run_rotate_key(rotate: &RotateKey, output: Output) -> Result<(), Failure> {
    let RotateKey { node, wallet, proof, passphrase_file, .. } = rotate;
    let signer = rotate.owner.signer()?;
    let chain = rotate.chain.connect().await?;
    let registration = chain.registration(*node).await.context(format_args!("cannot look up {node}"))?;
    let role = registration.map(|registration| registration.role).ok_or_else(|| not_registered(node))?;
    let proof = NodeKey { wallet, proof, passphrase_file }.proof(&chain, &signer.account(), role).await?;
    let successor = proof.payload.node;
    let outcome = chain.rotate_key(&signer, *node, &proof).await.map_err(|error| refused(&error))?;
    let json = json!({ "node": node, "successor": successor, "transaction": transaction(&outcome) });
    output.show(&json, |_| {
        format!(
            "{node} goes on as {successor} as of block {}; fee {}. Start the service with the new key, claim for the old id, and \
             withdraw that when the unbonding period is over",
            outcome.block_number,
            Amount(outcome.fee)
        )
    });
    Ok(())
}

fn not_registered(node: &NodeId) -> Failure {
    Failure::new(format_args!("{node} is not registered"))
        .hint("chroom node status lists all; register with chroom node register")
}

/// The smallest bond by the default parameters.
pub(super) fn default_bond(role: Role, class: CapacityClass) -> Balance {
    match role {
        Role::Media => 100 * CHR * Balance::from(class.weight()),
        Role::Orchestrator => 100 * CHR,
        Role::Registry => 500 * CHR,
    }
}

async fn run_register(register: &Register, output: Output) -> Result<(), Failure> {
    if let (Some(file), Some(keystore)) = (&register.authorization, &register.wallet) {
        let wallet = open_node(keystore, register.passphrase_file.as_deref())?;
        let chain = register.chain.connect().await?;
        let Register { cell, endpoint, price, .. } = register;
        let place = authorization::Place { cell: *cell, endpoint: endpoint.clone(), price_per_gib: price.0 };
        return authorization::register(&chain, wallet, file, register.signature, place, output).await;
    }
    let role = register.role.map(Role::from).ok_or_else(|| Failure::usage("no --role was given"))?;
    let class = CapacityClass::from(register.class);
    if role != Role::Media && register.price.0 != 0 {
        return Err(Failure::usage("only media nodes have a price").hint("leave --price out"));
    }
    let signer = register.owner.signer()?;
    let chain = register.chain.connect().await?;
    let key = NodeKey { wallet: &register.wallet, proof: &register.proof, passphrase_file: &register.passphrase_file };
    let proof = key.proof(&chain, &signer.account(), role).await?;
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
    let registration = chain.registration(node).await.context(&what)?.ok_or_else(|| not_registered(&node))?;
    let unbonding = chain.unbonding(node).await.context(&what)?;
    let account = chain.balance(&node.account()).await.context(&what)?;
    let reward = chain.last_reward(node).await.context(&what)?;
    let mut json = registration_json(&registration);
    if let Some(fields) = json.as_object_mut() {
        let parts = unbonding.iter().map(|part| json!({ "amount": part.amount.to_string(), "until": part.until }));
        fields.insert("unbonding".into(), parts.collect());
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
            (
                "unbonding",
                if unbonding.is_empty() {
                    "nothing".to_owned()
                } else {
                    let part = |part: &UnbondingPart| format!("{} from block {} on", Amount(part.amount), part.until);
                    unbonding.iter().map(part).collect::<Vec<_>>().join(", ")
                },
            ),
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
