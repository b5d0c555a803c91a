//! `chroom epoch` and `chroom network`: where the network stands.

use crate::{
    amount::Amount,
    chain::Chain,
    failure::{Context, Failure},
    output::{Output, facts},
};
use chroom_chain_client::ChainClient;
use chroom_primitives::{NodeStatus, Role, epoch::EpochInfo};
use clap::Args;
use serde_json::{Value, json};

/// The current QoS epoch
#[derive(Debug, Args)]
pub struct Epoch {
    #[command(flatten)]
    chain: Chain,
}

/// The network at a glance
#[derive(Debug, Args)]
pub struct Network {
    #[command(flatten)]
    chain: Chain,
}

fn epoch_json(info: &EpochInfo, block: u32) -> Value {
    json!({
        "current": info.current,
        "startedAt": info.started_at,
        "startedMs": info.started_ms,
        "length": info.length,
        "submitWindow": info.submit_window,
        "committeeSize": info.committee_size,
        "finalisedBlock": block,
        "blocksLeft": blocks_left(info, block),
    })
}

/// Blocks until the next epoch begins.
fn blocks_left(info: &EpochInfo, block: u32) -> u32 {
    info.started_at.saturating_add(info.length).saturating_sub(block)
}

fn epoch_facts(info: &EpochInfo, block: u32) -> Vec<(&'static str, String)> {
    vec![
        ("epoch", info.current.0.to_string()),
        ("blocks", format!("{} to {}", info.started_at, info.started_at.saturating_add(info.length).saturating_sub(1))),
        ("finalised block", format!("{block}, {} to the next epoch", blocks_left(info, block))),
        ("roots", format!("of the epoch before, within the first {} blocks", info.submit_window)),
        ("committee", format!("{} registry nodes for each media node", info.committee_size)),
    ]
}

fn block(chain: &ChainClient) -> u32 {
    chain.membership().borrow().block
}

/// Runs `chroom epoch`.
pub async fn epoch(epoch: &Epoch, output: Output) -> Result<(), Failure> {
    let chain = epoch.chain.connect().await?;
    let info = chain.epoch_info().await.context("cannot read the epoch")?;
    let block = block(&chain);
    output.show(&epoch_json(&info, block), |_| facts(&epoch_facts(&info, block)));
    Ok(())
}

/// Runs `chroom network`.
pub async fn network(network: &Network, output: Output) -> Result<(), Failure> {
    let chain = network.chain.connect().await?;
    let what = "cannot read the network's state";
    let info = chain.epoch_info().await.context(what)?;
    let anchor = chain.latest_snapshot().await.context(what)?;
    let nodes = chain.registrations().await.context(what)?;
    let block = block(&chain);
    let roles: Vec<(Role, usize, usize, u128)> = Role::ALL
        .into_iter()
        .map(|role| {
            let of_role = || nodes.values().filter(move |node| node.role == role);
            let active = of_role().filter(|node| node.status == NodeStatus::Active).count();
            (role, of_role().count(), active, of_role().map(|node| node.bond).sum())
        })
        .collect();
    let json = json!({
        "genesis": chain.genesis_hash(),
        "epoch": epoch_json(&info, block),
        "anchor": anchor.map(|anchor| json!({ "epoch": anchor.epoch, "root": anchor.root, "votes": anchor.votes })),
        "nodes": roles
            .iter()
            .map(|(role, all, active, bond)| json!({ "role": role, "registered": all, "active": active, "bond": bond.to_string() }))
            .collect::<Vec<_>>(),
    });
    output.show(&json, |_| {
        let mut lines = vec![("genesis", format!("{:?}", chain.genesis_hash()))];
        lines.extend(epoch_facts(&info, block));
        lines.push((
            "anchored registry",
            anchor.map_or_else(
                || "none yet".to_owned(),
                |anchor| {
                    format!(
                        "{:?} over {} nodes at the end of epoch {}, sent by {} registry nodes",
                        anchor.root.hash, anchor.root.leaves, anchor.epoch.0, anchor.votes
                    )
                },
            ),
        ));
        for (role, all, active, bond) in &roles {
            let name = match role {
                Role::Media => "media nodes",
                Role::Orchestrator => "orchestrators",
                Role::Registry => "registry nodes",
            };
            lines.push((name, format!("{active} active of {all}, {} bonded", Amount(*bond))));
        }
        facts(&lines)
    });
    Ok(())
}
