//! `chroom registry`: the register, as a registry's public JSON-RPC shows it.

use crate::{
    chain::Chain,
    failure::{Context, Failure},
    local,
    output::{Output, facts, table},
    place,
    registry::Registry,
    snapshot::Snapshot,
};
use chroom_primitives::{H3Cell, NodeId, QosEpoch};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const EXAMPLES: &str = "Examples:
  chroom registry ls
  chroom registry ls --role media --registry-url http://127.0.0.1:7300 --json
  chroom registry get 0x8f3c…
  chroom registry near 1.35,103.82 --limit 5
  chroom registry summary
  chroom registry snapshot --epoch 17 --verify        (recompute the root and compare it with the chain's anchor)";

/// The register of nodes
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// List entries
    #[command(after_help = EXAMPLES)]
    Ls(List),
    /// Show one node's entry
    #[command(after_help = EXAMPLES)]
    Get(Get),
    /// Entries around a place, the nearest first
    #[command(after_help = EXAMPLES)]
    Near(Near),
    /// Figures by region
    #[command(after_help = EXAMPLES)]
    Summary(Summary),
    /// The register as it was cut at an epoch's end
    #[command(after_help = EXAMPLES)]
    Snapshot(Cut),
}

/// Which registry to ask.
#[derive(Debug, Args)]
pub struct Source {
    /// Public JSON-RPC of a registry; the first that answers serves [default: the local network's, else http://127.0.0.1:7300]
    #[arg(long, value_name = "URL", env = "CHROOM_REGISTRY_URL", value_delimiter = ',')]
    registry_url: Vec<String>,
}

impl Source {
    async fn call(&self, method: &str, params: &[(&str, Value)]) -> Result<(Value, String), Failure> {
        let mut failure = Failure::usage("no registry was named").hint("give --registry-url http://host:port");
        for url in local::registries(&self.registry_url) {
            match Registry::at(&url)?.call(method, params).await {
                Ok(value) => return Ok((value, url)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// Arguments of `ls`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    source: Source,
    /// media, orchestrator or registry [default: all]
    #[arg(long)]
    role: Option<super::node::RoleName>,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    source: Source,
    /// The node
    node: NodeId,
}

/// Arguments of `near`.
#[derive(Debug, Args)]
pub struct Near {
    #[command(flatten)]
    source: Source,
    /// An H3 cell in hex, or latitude,longitude
    #[arg(value_parser = place::parse, allow_hyphen_values = true)]
    place: H3Cell,
    /// media, orchestrator or registry
    #[arg(long, default_value = "media")]
    role: super::node::RoleName,
    /// Most entries
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

/// Arguments of `summary`.
#[derive(Debug, Args)]
pub struct Summary {
    #[command(flatten)]
    source: Source,
}

/// Arguments of `snapshot`.
#[derive(Debug, Args)]
pub struct Cut {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    chain: Chain,
    /// The epoch at whose end the register was cut
    #[arg(long)]
    epoch: u32,
    /// Recompute the root from the records and compare it with the chain's
    #[arg(long)]
    verify: bool,
}

/// Runs the command.
pub async fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Ls(list) => {
            let role: Vec<(&str, Value)> =
                list.role.map(|role| ("role", json!(chroom_primitives::Role::from(role)))).into_iter().collect();
            let (entries, _) = list.source.call("registry_nodes", &role).await?;
            output.show(&entries, entries_text);
        }
        Command::Get(get) => {
            let (entry, _) = get.source.call("registry_node", &[("id", json!(get.node))]).await?;
            if entry.is_null() {
                return Err(Failure::new(format_args!("no registry entry of {}", get.node)).hint(
                    "chroom node status tells whether it is registered; a running node joins the registry by itself",
                ));
            }
            output.show(&entry, entry_text);
        }
        Command::Near(near) => {
            let params = [
                ("cell", json!(place::hex(near.place))),
                ("role", json!(chroom_primitives::Role::from(near.role))),
                ("limit", json!(near.limit)),
            ];
            let (entries, _) = near.source.call("registry_near", &params).await?;
            output.show(&entries, entries_text);
        }
        Command::Summary(summary) => {
            let (value, _) = summary.source.call("registry_summary", &[]).await?;
            output.show(&value, entry_text);
        }
        Command::Snapshot(cut) => run_snapshot(cut, output).await?,
    }
    Ok(())
}

async fn run_snapshot(command: &Cut, output: Output) -> Result<(), Failure> {
    let epoch = QosEpoch(command.epoch);
    let (value, url) = command.source.call("registry_snapshot", &[("epoch", json!(epoch))]).await?;
    if !command.verify {
        output.show(&value, entry_text);
        return Ok(());
    }
    let chain = command.chain.connect().await?;
    let unsound = format!("the snapshot of {url} is not sound");
    let snapshot: Snapshot = serde_json::from_value(value).context(&unsound)?;
    let recomputed =
        snapshot.recompute(&chain.genesis_hash()).map_err(|error| Failure::new(format_args!("{unsound}: {error}")))?;
    let anchored = chain.snapshot(epoch).await.context("cannot read the chain's anchor")?.ok_or_else(|| {
        Failure::new(format_args!("the chain has no final registry root for epoch {}", epoch.0)).hint(
            "a root is final when two thirds of the registry nodes sent the same; chroom network shows the newest",
        )
    })?;
    let matches = anchored.root == recomputed;
    let json = json!({
        "epoch": epoch,
        "registry": url,
        "records": recomputed.leaves,

        "recomputed": recomputed,
        "anchored": { "root": anchored.root, "votes": anchored.votes },
        "matches": matches,
    });
    if !matches {
        return Err(Failure::new(format_args!(
            "the root differs: {:?} over {} records from {url}, {:?} over {} on the chain",
            recomputed.hash, recomputed.leaves, anchored.root.hash, anchored.root.leaves
        ))
        .hint("ask another registry with --registry-url: two thirds of them agreed on the chain's root"));
    }
    output.show(&json, |_| {
        facts(&[
            ("epoch", epoch.0.to_string()),
            ("records", format!("{}, each signed by its node", recomputed.leaves)),
            ("recomputed", format!("{:?}", recomputed.hash)),
            ("on the chain", format!("{:?}, sent by {} registry nodes", anchored.root.hash, anchored.votes)),
            ("result", "they are the same".to_owned()),
        ])
    });
    Ok(())
}

/// A field of an entry, wherever the entry has it: on top, in its record or in its load.
fn field(entry: &Value, name: &str) -> String {
    let found = [Some(entry), entry.get("record"), entry.get("load")]
        .into_iter()
        .flatten()
        .find_map(|value| value.get(name).filter(|found| !found.is_null()));
    match found {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "-".to_owned(),
    }
}

fn entries_text(value: &Value) -> String {
    let list = value.as_array().or_else(|| value.get("entries").and_then(Value::as_array));
    let Some(list) = list else { return entry_text(value) };
    if list.is_empty() {
        return "no entries".to_owned();
    }
    let names = ["node", "role", "status", "cell", "score", "sessions", "publicUrl"];
    let rows: Vec<Vec<String>> =
        list.iter().map(|entry| names.iter().map(|name| field(entry, name)).collect()).collect();
    table(&["node", "role", "status", "cell", "score", "sessions", "url"], &rows)
}

fn entry_text(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
