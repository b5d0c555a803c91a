//! Load on a real node of the Chroom chain.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod actors;
mod extrinsic;
mod genesis;
mod load;
mod node;
mod options;
mod report;
mod round;

use actors::Attestor;
use anyhow::{Context, Result};
use chroom_primitives::{CHR, NodeId, QosEpoch, committee::draw};
use chroom_runtime::{Runtime, RuntimeCall};
use clap::Parser;
use extrinsic::Signing;
use load::Measured;
use node::Node;
use options::{Database, Options};
use pallet_chroom_qos::EpochState;
use report::{Growth, Run, Setting};
use round::Round;
use std::{collections::BTreeMap, path::Path};

/// Numbers of calls in an epoch for which the state's growth is taken.
const CALLS: [u64; 3] = [10, 1_000, 100_000];
/// Calls in the epoch whose claims are measured.
const MEASURED_CALLS: u64 = 3_000;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let node = options.node.canonicalize().with_context(|| format!("there is no {}", options.node.display()))?;
    let temporary = tempfile::tempdir()?;
    let folder = options.logs.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let version = std::process::Command::new(&node).arg("--version").output()?;
    let setting = Setting {
        processor: report::processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        node: String::from_utf8_lossy(&version.stdout).trim().to_owned(),
        size: options.size,
    };
    let attestors: Vec<Attestor> = (0..options.size.registries).filter_map(Attestor::new).collect();
    let spec = folder.join("chain.json");
    genesis::write(&node, &options.size, &attestors, &spec)?;

    let mut runs = Vec::new();
    for database in &options.database {
        let logs = folder.join(database.flag());
        std::fs::create_dir_all(&logs)?;
        eprintln!("{}: starting a node", database.flag());
        runs.push(measure(&options, *database, &node, &spec, &logs, &attestors).await?);
    }
    if !options.json {
        println!("{}", report::table(&setting, &runs));
    }
    println!("{}", serde_json::json!({ "bench": "chain", "setting": setting, "runs": runs }));
    Ok(())
}

/// The benchmark's network on one running node.
struct Bench<'a> {
    node: Node,
    signing: Signing,
    attestors: &'a [Attestor],
    ids: Vec<NodeId>,
    media: Vec<NodeId>,
    /// Nonces of the operator's and of the attestors' next transactions.
    operator_nonce: u32,
    root_nonce: u32,
}

async fn measure(
    options: &Options,
    database: Database,
    program: &Path,
    spec: &Path,
    folder: &Path,
    attestors: &[Attestor],
) -> Result<Run> {
    let node = Node::start(program, spec, database, folder).await?;
    let signing = Signing { genesis: node.block_hash(0).await? };
    let mut bench = Bench {
        node,
        signing,
        attestors,
        ids: attestors.iter().map(|attestor| attestor.id).collect(),
        media: (0..options.size.media).map(actors::media).collect(),
        operator_nonce: 0,
        root_nonce: 0,
    };
    bench.node.reach(1).await?;
    bench.fill_escrow().await?;

    let note = |what: &str| eprintln!("{}: {what}", database.flag());
    note("transfers");
    let mut loads = vec![bench.transfers(options.size.transfers).await?];
    note("roots and claims");
    let (roots, claims, _) = bench.epoch(MEASURED_CALLS).await?;
    loads.extend([roots, claims]);
    let mut growth = Vec::new();
    for calls in CALLS {
        note(&format!("an epoch with {calls} calls"));
        growth.push(bench.epoch(calls).await?.2);
    }
    bench.node.stop().await?;
    Ok(Run { database, loads, growth })
}

impl Bench<'_> {
    async fn fill_escrow(&self) -> Result<()> {
        let application = actors::application();
        let deposit = RuntimeCall::Rewards(pallet_chroom_rewards::Call::deposit {
            application: actors::account_of(&application),
            amount: 1_000_000 * CHR,
        });
        let orchestrator = actors::orchestrator();
        let authorize =
            RuntimeCall::Rewards(pallet_chroom_rewards::Call::authorize { orchestrator, max_price_per_gib: Some(CHR) });
        let transactions =
            [self.signing.by_account(&application, deposit, 0), self.signing.by_account(&application, authorize, 1)];
        load::run(&self.node, "escrow", &transactions).await.map(|_| ())
    }

    async fn transfers(&self, count: u32) -> Result<Measured> {
        let payer = actors::payer();
        let to = actors::account_of(&actors::operator());
        let transactions: Vec<Vec<u8>> = (0..count)
            .map(|nonce| {
                let call = RuntimeCall::Balances(pallet_balances::Call::transfer_keep_alive {
                    dest: to.clone().into(),
                    value: CHR,
                });
                self.signing.by_account(&payer, call, nonce)
            })
            .collect();
        load::run(&self.node, "transfers", &transactions).await
    }

    /// Sees the current epoch out, attests it with so many calls, and claims it for every node.
    async fn epoch(&mut self, calls: u64) -> Result<(Measured, Measured, Growth)> {
        let height = self.node.height().await?;
        let epoch = QosEpoch(height.saturating_sub(1) / genesis::EPOCH_LENGTH);
        let next = (epoch.0 + 1) * genesis::EPOCH_LENGTH + 1;
        self.node.reach(next + 1).await?;
        let (entries_before, bytes_before) = self.node.state_size().await?;
        let round = Round::new(epoch, self.committees(epoch).await?, &self.ids, calls);
        let mut roots = Vec::with_capacity(self.attestors.len());
        for attestor in self.attestors {
            let call = RuntimeCall::Qos(pallet_chroom_qos::Call::submit_root {
                epoch,
                quality: round.root(&attestor.id).context("an attestor without a tree")?,
                snapshot: round.root(&attestor.id).unwrap_or_default(),
            });
            roots.push(self.signing.by_attestor(attestor, call, self.root_nonce));
        }
        self.root_nonce += 1;
        let roots = load::run(&self.node, "roots", &roots).await?;

        let operator = actors::operator();
        let mut claims = Vec::with_capacity(self.media.len());
        for node in &self.media {
            let proofs = round.proofs(node)?.try_into().ok().context("a committee is too large")?;
            let call = RuntimeCall::Rewards(pallet_chroom_rewards::Call::claim { epoch, node: *node, proofs });
            claims.push(self.signing.by_account(&operator, call, self.operator_nonce));
            self.operator_nonce += 1;
        }
        let claims = load::run(&self.node, "claims", &claims).await?;
        // The last claims' events are state until the next block.
        self.node.reach(self.node.height().await? + 1).await?;
        let (entries_after, bytes_after) = self.node.state_size().await?;
        let growth = Growth {
            calls,
            entries_before,
            entries_after,
            bytes_before,
            bytes_after,
            block_bytes: roots.bytes + claims.bytes,
        };
        Ok((roots, claims, growth))
    }

    /// Each media node's committee, drawn as the chain draws it.
    async fn committees(&self, epoch: QosEpoch) -> Result<BTreeMap<NodeId, Vec<NodeId>>> {
        let key = pallet_chroom_qos::Epochs::<Runtime>::hashed_key_for(epoch);
        let state: EpochState = self.node.storage(&key, None).await?.context("the epoch is not remembered")?;
        let mut attestors = self.ids.clone();
        attestors.sort_unstable();
        Ok(self
            .media
            .iter()
            .map(|node| {
                let drawn = draw(&state.seed, node, state.attestors, state.committee_size);
                (*node, drawn.into_iter().filter_map(|index| attestors.get(index as usize).copied()).collect())
            })
            .collect())
    }
}
