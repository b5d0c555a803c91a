//! The chain that is loaded: the `dev` preset with more nodes, and with epochs that fit a benchmark.

use crate::{actors, actors::Attestor, options::Size};
use anyhow::{Context, Result, bail};
use chroom_primitives::{AccountId, Balance, CHR, CapacityClass, Endpoint, H3Cell, NodeId, Role};
use pallet_chroom_nodes::GenesisNode;
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// Blocks in an epoch.
pub const EPOCH_LENGTH: u32 = 10;
/// Blocks of an epoch in which roots for the one before are taken.
pub const SUBMIT_WINDOW: u32 = 8;
/// Price of a media node in the smallest unit per GiB.
const PRICE_PER_GIB: Balance = CHR / 1_000;
/// What each of the benchmark's accounts has.
const WEALTH: Balance = 5_000_000 * CHR;
/// What an attestor has: enough to vouch for the fees of its calls.
const ATTESTOR_WEALTH: Balance = 10 * CHR;

fn node(id: NodeId, role: Role, owner: AccountId) -> Result<GenesisNode> {
    Ok(GenesisNode {
        node: id,
        owner,
        role,
        class: CapacityClass::Small,
        cell: H3Cell(0x0831_f8df_ffff_ffff),
        endpoint: "127.0.0.1:7100".parse::<Endpoint>().context("the benchmark's endpoint")?,
        price_per_gib: if role == Role::Media { PRICE_PER_GIB } else { 0 },
    })
}

/// Writes the chain's specification to `file`.
pub fn write(program: &Path, size: &Size, attestors: &[Attestor], file: &Path) -> Result<()> {
    let output = Command::new(program)
        .args(["export-chain-spec", "--chain", "dev"])
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        bail!("{} export-chain-spec: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    }
    let mut spec: Value = serde_json::from_slice(&output.stdout).context("the chain specification is no JSON")?;
    let patch =
        spec.pointer_mut("/genesis/runtimeGenesis/patch").context("the chain specification has no genesis patch")?;

    let owner = actors::account_of(&actors::operator());
    let mut nodes = vec![node(actors::orchestrator(), Role::Orchestrator, owner.clone())?];
    for number in 0..size.media {
        nodes.push(node(actors::media(number), Role::Media, owner.clone())?);
    }
    for attestor in attestors {
        nodes.push(node(attestor.id, Role::Registry, owner.clone())?);
    }
    let mut balances: Vec<(AccountId, Balance)> = [actors::operator(), actors::payer(), actors::application()]
        .iter()
        .map(|pair| (actors::account_of(pair), WEALTH))
        .collect();
    balances.extend(attestors.iter().map(|attestor| (attestor.id.account(), ATTESTOR_WEALTH)));
    if let Some(Value::Array(known)) = patch.pointer_mut("/balances/balances") {
        known.extend(balances.iter().map(|balance| json!(balance)));
    } else {
        bail!("the preset has no balances");
    }
    let parameters = patch.pointer_mut("/nodes").context("the preset has no nodes")?;
    parameters["nodes"] = json!(nodes);
    patch["qos"] = json!({
        "parameters": { "length": EPOCH_LENGTH, "submit_window": SUBMIT_WINDOW, "committee_size": size.committee },
    });
    std::fs::write(file, serde_json::to_vec(&spec)?).with_context(|| format!("cannot write {}", file.display()))
}
