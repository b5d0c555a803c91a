//! Load of one kind, and what the blocks held of it.

use crate::node::{BlockFacts, Node};
use anyhow::{Result, ensure};
use std::collections::BTreeMap;

/// Blocks without any of the load after which nothing more is expected.
const PATIENCE_BLOCKS: u32 = 4;

/// What the blocks held.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Measured {
    /// Kind of load.
    pub kind: &'static str,
    /// Transactions that the pool took.
    pub sent: u32,
    /// Those that are in blocks and succeeded.
    pub succeeded: u32,
    /// Those that failed.
    pub failed: u32,
    /// Most in one block.
    pub most_per_block: u32,
    /// Picoseconds of weight of that block.
    pub weight_of_fullest: u64,
    /// Bytes of that block.
    pub bytes_of_fullest: u64,
    /// Bytes of all blocks with the load.
    pub bytes: u64,
    /// Milliseconds in which its author built that block.
    pub building_ms_of_fullest: Option<u64>,
    /// Weight in picoseconds of one transaction, from the fullest block.
    pub weight_each: u64,
    /// How many would fit into a block by weight.
    pub fit_by_weight: u64,
}

/// Weight that a block has for normal transactions.
fn room() -> u64 {
    let weights = chroom_runtime::system::RuntimeBlockWeights::get();
    let normal = weights.get(frame_support::dispatch::DispatchClass::Normal);
    normal.max_total.unwrap_or(weights.max_block).ref_time()
}

/// What a block without transactions weighs, which comes off, so that the rest is the load's: the newest that there is up to `height`.
async fn empty_weight(node: &Node, height: u32) -> Result<u64> {
    for number in (1..=height).rev() {
        let block = node.block(number).await?;
        if block.succeeded + block.failed == 0 {
            return Ok(block.weight.ref_time());
        }
    }
    Ok(0)
}

/// Sends the transactions and watches the blocks until all are in, or no more come.
pub async fn run(node: &Node, kind: &'static str, extrinsics: &[Vec<u8>]) -> Result<Measured> {
    let mut next = node.height().await? + 1;
    let empty = empty_weight(node, next - 1).await?;
    let sent = node.send(extrinsics).await?;
    let mut blocks: Vec<BlockFacts> = Vec::new();
    let mut idle = 0;
    let mut seen = 0u32;
    while seen < sent && idle < PATIENCE_BLOCKS {
        node.reach(next).await?;
        let block = node.block(next).await?;
        next += 1;
        let load = block.succeeded + block.failed;
        seen += load;
        idle = if load == 0 { idle + 1 } else { 0 };
        blocks.push(block);
    }
    let succeeded: u32 = blocks.iter().map(|block| block.succeeded).sum();
    ensure!(succeeded > 0, "no transaction of {kind} succeeded");
    let building: BTreeMap<u32, u64> = node.building_times()?;
    let fullest = blocks.iter().max_by_key(|block| block.succeeded);
    let (most, weight, bytes, number) =
        fullest.map_or((1, 0, 0, 0), |b| (b.succeeded.max(1), b.weight.ref_time(), b.bytes, b.number));
    let weight_each = weight.saturating_sub(empty) / u64::from(most);
    Ok(Measured {
        kind,
        sent,
        succeeded,
        failed: blocks.iter().map(|block| block.failed).sum(),
        most_per_block: most,
        weight_of_fullest: weight,
        bytes_of_fullest: bytes,
        bytes: blocks.iter().map(|block| block.bytes).sum(),
        building_ms_of_fullest: building.get(&number).copied(),
        weight_each,
        fit_by_weight: room().saturating_sub(empty).checked_div(weight_each).unwrap_or_default(),
    })
}
