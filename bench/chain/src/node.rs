//! The node under load: a process, its JSON-RPC, its log.

use crate::options::Database;
use anyhow::{Context, Result, anyhow, bail};
use chroom_primitives::Hash;
use chroom_runtime::{Runtime, RuntimeEvent};
use codec::{Decode, DecodeAll};
use frame_support::{dispatch::PerDispatchClass, weights::Weight};
use frame_system::EventRecord;
use jsonrpsee::{
    core::{
        client::ClientT,
        params::{ArrayParams, BatchRequestBuilder},
    },
    rpc_params,
    ws_client::{WsClient, WsClientBuilder},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// Time that the node may take to answer first, with a genesis of thousands of nodes.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Time that the node may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Time without a new block after which the node is taken for stuck: ten slots.
const BLOCK_PATIENCE: Duration = Duration::from_secs(60);
/// Transactions in one request.
const BATCH: usize = 100;
/// Pause between two questions for the newest block.
const POLL: Duration = Duration::from_millis(250);

/// What a block was.
#[derive(Clone, Debug)]
pub struct BlockFacts {
    /// Its number.
    pub number: u32,
    /// Transactions besides the inherents that succeeded.
    pub succeeded: u32,
    /// Transactions that failed.
    pub failed: u32,
    /// Weight of the normal class: picoseconds and proof bytes.
    pub weight: Weight,
    /// Size of its transactions in bytes.
    pub bytes: u64,
}

/// A running node.
pub struct Node {
    process: Child,
    rpc: WsClient,
    log: PathBuf,
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn bytes_of(text: &str) -> Result<Vec<u8>> {
    Ok(hex::decode(text.trim_start_matches("0x"))?)
}

impl Node {
    /// Starts a validator on the chain of `spec`, with its data and log under `folder`.
    pub async fn start(program: &Path, spec: &Path, database: Database, folder: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = folder.join("node.log");
        let process = Command::new(program)
            .arg("--chain")
            .arg(spec)
            .arg("--base-path")
            .arg(folder.join("data"))
            .args(["--database", database.flag(), "--alice", "--force-authoring"])
            // A validator doesn't make its network key silently; this one is thrown away.
            .arg("--unsafe-force-node-key-generation")
            .args(["--rpc-port", &port.to_string(), "--rpc-methods", "unsafe"])
            .args(["--rpc-max-request-size", "64", "--rpc-max-response-size", "64"])
            .args(["--rpc-max-subscriptions-per-connection", "4096"])
            .args(["--pool-limit", "60000", "--pool-kbytes", "400000"])
            .args(["--listen-addr", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--no-prometheus", "--no-telemetry"])
            .args(["--log", "info,basic_authorship=info"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let url = format!("ws://127.0.0.1:{port}");
        let began = Instant::now();
        let rpc = loop {
            let client = WsClientBuilder::default()
                .max_request_size(64 << 20)
                .max_response_size(64 << 20)
                .request_timeout(Duration::from_secs(120))
                .build(&url)
                .await;
            match client {
                Ok(client) => break client,
                Err(error) if began.elapsed() > START_PATIENCE => {
                    bail!("the node does not answer at {url}: {error}; its log: {}", log.display())
                }
                Err(_) => sleep(POLL).await,
            }
        };
        Ok(Self { process, rpc, log })
    }

    /// Ends the node.
    pub async fn stop(mut self) -> Result<()> {
        self.process.start_kill().context("cannot end the node")?;
        timeout(STOP_PATIENCE, self.process.wait()).await.context("the node does not end")??;
        Ok(())
    }

    /// Hash of a block that exists.
    pub async fn block_hash(&self, number: u32) -> Result<Hash> {
        let hash: Option<Hash> = self.rpc.request("chain_getBlockHash", rpc_params![number]).await?;
        hash.ok_or_else(|| anyhow!("there is no block {number}"))
    }

    /// Number of the newest block.
    pub async fn height(&self) -> Result<u32> {
        let header: Value = self.rpc.request("chain_getHeader", rpc_params![]).await?;
        let text = header.get("number").and_then(Value::as_str).context("a header without a number")?;
        Ok(u32::from_str_radix(text.trim_start_matches("0x"), 16)?)
    }

    /// Waits for the block of this number, as long as there are new ones.
    pub async fn reach(&self, number: u32) -> Result<()> {
        let mut newest = self.height().await?;
        let mut since = Instant::now();
        while newest < number {
            sleep(POLL).await;
            let height = self.height().await?;
            if height > newest {
                (newest, since) = (height, Instant::now());
            } else if since.elapsed() > BLOCK_PATIENCE {
                bail!("no block came after {newest} for {BLOCK_PATIENCE:?}; the node's log: {}", self.log.display());
            }
        }
        Ok(())
    }

    /// A value in storage.
    pub async fn storage<T: Decode>(&self, key: &[u8], at: Option<Hash>) -> Result<Option<T>> {
        let value: Option<String> = self.rpc.request("state_getStorage", rpc_params![hex_of(key), at]).await?;
        value.map(|text| T::decode_all(&mut bytes_of(&text)?.as_slice()).context("a value does not decode")).transpose()
    }

    /// Number of entries of the whole state, and their values' size in bytes.
    pub async fn state_size(&self) -> Result<(u64, u64)> {
        let hash = self.block_hash(self.height().await?).await?;
        let mut entries = 0u64;
        let mut after: Option<String> = None;
        loop {
            let page: Vec<String> =
                self.rpc.request("state_getKeysPaged", rpc_params!["0x", 1_000, after.clone(), hash]).await?;
            entries += page.len() as u64;
            match page.last() {
                Some(last) if page.len() == 1_000 => after = Some(last.clone()),
                _ => break,
            }
        }
        let bytes: Option<u64> = self.rpc.request("state_getStorageSize", rpc_params!["0x", hash]).await?;
        Ok((entries, bytes.unwrap_or_default()))
    }

    /// Hands the transactions to the node's pool; gives how many it took.
    pub async fn send(&self, extrinsics: &[Vec<u8>]) -> Result<u32> {
        let mut taken = 0u32;
        for chunk in extrinsics.chunks(BATCH) {
            let mut batch = BatchRequestBuilder::new();
            for extrinsic in chunk {
                let mut params = ArrayParams::new();
                params.insert(hex_of(extrinsic))?;
                batch.insert("author_submitExtrinsic", params)?;
            }
            let answers = self.rpc.batch_request::<String>(batch).await?;
            for answer in answers.into_iter() {
                match answer {
                    Ok(_) => taken += 1,
                    Err(error) if taken == 0 => bail!("the node refuses the first transaction: {error}"),
                    Err(_) => {}
                }
            }
        }
        Ok(taken)
    }

    /// What block `number` holds.
    pub async fn block(&self, number: u32) -> Result<BlockFacts> {
        let hash = self.block_hash(number).await?;
        let block: Value = self.rpc.request("chain_getBlock", rpc_params![hash]).await?;
        let extrinsics =
            block.pointer("/block/extrinsics").and_then(Value::as_array).context("a block without transactions")?;
        let bytes = extrinsics.iter().map(|one| one.as_str().map_or(0, |text| (text.len() / 2) as u64)).sum();
        type Events = Vec<EventRecord<RuntimeEvent, Hash>>;
        let events: Events = self
            .storage(&frame_support::storage::storage_prefix(b"System", b"Events"), Some(hash))
            .await?
            .unwrap_or_default();
        let (mut succeeded, mut failed) = (0u32, 0u32);
        for event in events {
            match event.event {
                RuntimeEvent::System(frame_system::Event::ExtrinsicSuccess { .. }) => succeeded += 1,
                RuntimeEvent::System(frame_system::Event::ExtrinsicFailed { .. }) => failed += 1,
                _ => {}
            }
        }
        let weights: PerDispatchClass<Weight> = self
            .storage(&frame_system::BlockWeight::<Runtime>::hashed_key(), Some(hash))
            .await?
            .context("a block without a weight")?;
        Ok(BlockFacts {
            number,
            // The timestamp is the one inherent.
            succeeded: succeeded.saturating_sub(1),
            failed,
            weight: *weights.get(frame_support::dispatch::DispatchClass::Normal),
            bytes,
        })
    }

    /// Milliseconds that the author took to build each block, by number, as its log says.
    pub fn building_times(&self) -> Result<BTreeMap<u32, u64>> {
        let log = std::fs::read_to_string(&self.log)?;
        // "Prepared block for proposing at 12 (345 ms) hash: …"
        Ok(log
            .lines()
            .filter_map(|line| {
                let (_, rest) = line.split_once("block for proposing at ")?;
                let (number, rest) = rest.split_once(" (")?;
                let (millis, _) = rest.split_once(" ms)")?;
                Some((number.parse().ok()?, millis.parse().ok()?))
            })
            .collect())
    }
}
