//! `chroom rewards`: what nodes earn.

use super::node::{refused, transaction};
use crate::{
    amount::Amount,
    chain::Chain,
    evidence,
    failure::{Context, Failure, chain_of},
    output::{Output, facts, table},
    owner::Owner,
    proofs::{Committee, Directory},
};
use chroom_chain_client::{ChainClient, SubmitError};
use chroom_primitives::{Balance, NodeId, QosEpoch, Score, runtime_api::Payout};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "Examples:
  chroom rewards show 0x8f3c…                              what each epoch would pay
  chroom rewards show 0x8f3c… --epoch 17 --json
  chroom rewards claim 0x8f3c… --all --owner cold.json     the node's owner signs
  chroom rewards claim 0x8f3c… --all --owner node.json     the node itself signs; the owner is paid
  chroom rewards claim 0x8f3c… --epoch 17 --dev charlie
  chroom rewards collect --owner cold.json                 what the owner's orchestrators earned
  chroom rewards collect --attestor 0x8f3c… --dev eve      what a registry node earned by attesting, for its owner

The node's pool is paid whoever signs. Until half of the time for claims is over only the owner and the node itself may; then
anybody may, with the proofs of all members that sent their roots.
Proofs come from the registry nodes of the epoch's committee; any registry (--registry-url) knows where they are. Each is checked against the
root that the chain has; a registry that signs for other roots gave evidence against itself, which is saved as a file for chroom evidence report.";

/// What nodes earn
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Foretell what claims would pay
    #[command(after_help = EXAMPLES)]
    Show(Show),
    /// Claim: fetch the committee's proofs and submit them
    #[command(after_help = EXAMPLES)]
    Claim(Claim),
    /// Collect what an owner's orchestrators earned, or what a registry node did by attesting
    #[command(after_help = EXAMPLES)]
    Collect(Collect),
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    source: Source,
    /// The epoch [default: all that can be claimed]
    #[arg(long)]
    epoch: Option<u32>,
}

/// Arguments of `claim`.
#[derive(Debug, Args)]
pub struct Claim {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    owner: Owner,
    /// The epoch
    #[arg(long, conflicts_with = "all", required_unless_present = "all")]
    epoch: Option<u32>,
    /// All epochs that can be claimed
    #[arg(long)]
    all: bool,
    /// Claim even if a registry that sent its root gives no proof: it counts as 0, and an epoch is claimed once
    #[arg(long)]
    incomplete: bool,
}

/// Arguments of `collect`.
#[derive(Debug, Args)]
pub struct Collect {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    owner: Owner,
    /// What this registry node earned in epochs that are beyond dispute (in the second half of the ring); paid to its owner, whoever signs
    #[arg(long, value_name = "NODE")]
    attestor: Option<NodeId>,
}

/// Which node, and where proofs come from.
#[derive(Debug, Args)]
pub struct Source {
    /// The media node
    node: NodeId,
    /// Public JSON-RPC of a registry, to find the others by; may be repeated [default: the local network's, else http://127.0.0.1:7300]
    #[arg(long, value_name = "URL", env = "CHROOM_REGISTRY_URL", value_delimiter = ',')]
    registry_url: Vec<String>,
    /// Where evidence against registries is saved, if their proofs give any
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    evidence_folder: PathBuf,
}

/// One epoch of a node.
struct Prospect {
    epoch: QosEpoch,
    committee: Committee,
    /// Files with the evidence that the proofs gave.
    evidence: Vec<PathBuf>,
    payout: Result<Payout, String>,
}

impl Prospect {
    fn json(&self) -> Value {
        let mut json = json!({
            "epoch": self.epoch,
            "committee": self.committee.members,
            "proofs": self.committee.proofs.len(),
            "missing": self.committee.missing.iter().map(|(node, reason)| json!({ "node": node, "reason": reason })).collect::<Vec<_>>(),
            "remarks": self.committee.remarks.iter().map(|(node, remark)| json!({ "node": node, "remark": remark })).collect::<Vec<_>>(),
            "evidence": self.evidence,
            "members": self.committee.proofs.iter().map(|proof| json!({
                "attestor": proof.attestor,
                "score": proof.quality.0.score,
                "samples": proof.quality.0.samples,
                "uptime": proof.quality.0.uptime,
                "bytes": proof.usage.iter().map(|(usage, _)| usage.bytes).sum::<u64>(),
            })).collect::<Vec<_>>(),
        });
        if let Some(fields) = json.as_object_mut() {
            match &self.payout {
                Ok(payout) => fields.extend(payout_fields(payout)),
                Err(reason) => {
                    fields.insert("error".into(), reason.clone().into());
                }
            }
        }
        json
    }

    fn row(&self) -> Vec<String> {
        let proofs = format!("{} of {}", self.committee.proofs.len(), self.committee.members.len());
        let mut row = vec![self.epoch.0.to_string(), proofs];
        match &self.payout {
            Ok(payout) => row.extend([
                points(payout.score),
                Amount(payout.fees).to_string(),
                Amount(payout.subsidy).to_string(),
                Amount(total(payout)).to_string(),
            ]),
            Err(reason) => row.extend(["-".into(), "-".into(), "-".into(), reason.clone()]),
        }
        row
    }
}

fn total(payout: &Payout) -> Balance {
    payout.fees.saturating_add(payout.subsidy)
}

fn payout_fields(payout: &Payout) -> Vec<(String, Value)> {
    vec![
        ("score".into(), json!(payout.score)),
        ("fees".into(), payout.fees.to_string().into()),
        ("subsidy".into(), payout.subsidy.to_string().into()),
        ("total".into(), total(payout).to_string().into()),
    ]
}

/// A score as points with two decimals.
fn points(score: Score) -> String {
    format!("{}.{:02}", score.0 / 100, score.0 % 100)
}

async fn prospect(
    chain: &ChainClient,
    directory: &Directory,
    epoch: QosEpoch,
    node: NodeId,
    incomplete: bool,
) -> Result<Prospect, Failure> {
    let committee = directory.committee(chain, epoch, node).await?;
    let payout = if committee.members.is_empty() {
        Err("the chain knows no committee for this epoch".to_owned())
    } else if committee.withheld && !incomplete {
        // What is absent counts as 0, and a claim cannot be sent twice: leaves are shown a little after the roots.
        Err("not all proofs are there yet".to_owned())
    } else {
        chain.preview_claim(epoch, node, committee.proofs.clone()).await.map_err(|error| chain_of(&error))
    };
    Ok(Prospect { epoch, committee, evidence: Vec::new(), payout })
}

/// Says what registries' signed words are worth, and saves those that are evidence.
fn examine(prospect: &mut Prospect, chain: &ChainClient, folder: &Path, output: Output) -> Result<(), Failure> {
    let epoch = prospect.epoch.0;
    for (member, remark) in &prospect.committee.remarks {
        output.step(format_args!("warning: epoch {epoch}: {member} {remark}"));
    }
    for evidence in &prospect.committee.evidence {
        let file = evidence::save(evidence, &chain.genesis_hash(), folder)?;
        let shown = file.display();
        output.step(format_args!(
            "evidence: {} signs for other roots of epoch {epoch} than the chain has of it. Report it: chroom evidence report --file {shown}",
            evidence.charge().node()
        ));
        prospect.evidence.push(file);
    }
    Ok(())
}

async fn prospects(
    chain: &ChainClient,
    source: &Source,
    epoch: Option<u32>,
    incomplete: bool,
    output: Output,
) -> Result<Vec<Prospect>, Failure> {
    let directory = Directory::discover(&source.registry_url).await?;
    let epochs = match epoch {
        Some(epoch) => vec![QosEpoch(epoch)],
        None => chain.claimable_epochs(source.node).await.context("cannot read the epochs to claim")?,
    };
    let mut list = Vec::new();
    for epoch in epochs {
        let mut found = prospect(chain, &directory, epoch, source.node, incomplete).await?;
        examine(&mut found, chain, &source.evidence_folder, output)?;
        list.push(found);
    }
    Ok(list)
}

/// Runs the command.
pub async fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Show(show) => run_show(show, output).await,
        Command::Claim(claim) => run_claim(claim, output).await,
        Command::Collect(collect) => run_collect(collect, output).await,
    }
}

async fn owner_of(chain: &ChainClient, node: NodeId) -> Result<chroom_primitives::AccountId, Failure> {
    let registration = chain.registration(node).await.context(format_args!("cannot look up {node}"))?;
    registration.map(|registration| registration.owner).ok_or_else(|| {
        Failure::new(format_args!("{node} is not registered")).hint("chroom node status lists what is registered")
    })
}

async fn run_show(show: &Show, output: Output) -> Result<(), Failure> {
    let chain = show.chain.connect().await?;
    let node = show.source.node;
    let owner = owner_of(&chain, node).await?;
    let list = prospects(&chain, &show.source, show.epoch, false, output).await?;
    let sum: Balance = list.iter().filter_map(|prospect| prospect.payout.as_ref().ok()).map(total).sum();
    let json = json!({
        "node": node,
        "owner": owner.to_string(),
        "epochs": list.iter().map(Prospect::json).collect::<Vec<_>>(),
        "total": sum.to_string(),
    });
    output.show(&json, |_| {
        if list.is_empty() {
            return format!("{node} has nothing to claim now");
        }
        let rows: Vec<Vec<String>> = list.iter().map(Prospect::row).collect();
        let mut text = table(&["epoch", "proofs", "score", "fees", "subsidy", "total"], &rows);
        for prospect in &list {
            for (member, reason) in &prospect.committee.missing {
                text.push_str(&format!("epoch {}: no proof from {member}: {reason}\n", prospect.epoch.0));
            }
        }
        text.push_str(&format!("in all {} for {owner}\n", Amount(sum)));
        text
    });
    Ok(())
}

async fn run_claim(claim: &Claim, output: Output) -> Result<(), Failure> {
    let signer = claim.owner.signer()?;
    let chain = claim.chain.connect().await?;
    let node = claim.source.node;
    let owner = owner_of(&chain, node).await?;
    let what = "cannot read the owner's balance";
    let mut claims = Vec::new();
    let mut skipped = Vec::new();
    let mut rows = Vec::new();
    for prospect in prospects(&chain, &claim.source, claim.epoch, claim.incomplete, output).await? {
        let epoch = prospect.epoch;
        let payout = match &prospect.payout {
            Ok(payout) if claim.all && total(payout) == 0 => {
                skipped.push((epoch, "it pays nothing".to_owned()));
                continue;
            }
            Ok(payout) => payout,
            Err(reason) if claim.all => {
                skipped.push((epoch, reason.clone()));
                continue;
            }
            Err(reason) => return Err(claim_failure(&prospect, reason)),
        };
        let before = chain.balance(&owner).await.context(what)?.free;
        let outcome = chain
            .claim(&signer, epoch, node, prospect.committee.proofs.clone())
            .await
            .map_err(|error| claim_refused(&error))?;
        let after = chain.balance(&owner).await.context(what)?.free;
        let mut json = json!({
            "epoch": epoch,
            "proofs": prospect.committee.proofs.len(),
            "feePaid": outcome.fee.to_string(),
            "balanceBefore": before.to_string(),
            "balanceAfter": after.to_string(),
            "transaction": transaction(&outcome),
        });
        if let Some(fields) = json.as_object_mut() {
            fields.extend(payout_fields(payout));
        }
        claims.push(json);
        rows.push(vec![
            epoch.0.to_string(),
            points(payout.score),
            Amount(payout.fees).to_string(),
            Amount(payout.subsidy).to_string(),
            Amount(outcome.fee).to_string(),
            Amount(before).to_string(),
            Amount(after).to_string(),
        ]);
    }
    let json = json!({
        "node": node,
        "owner": owner.to_string(),
        "signer": signer.account().to_string(),
        "claims": claims,
        "skipped": skipped.iter().map(|(epoch, reason)| json!({ "epoch": epoch, "reason": reason })).collect::<Vec<_>>(),
    });
    output.show(&json, |_| {
        let mut text = if rows.is_empty() {
            format!("{node} has nothing to claim now\n")
        } else {
            table(&["epoch", "score", "fees", "subsidy", "fee paid", "owner before", "owner after"], &rows)
        };
        for (epoch, reason) in &skipped {
            text.push_str(&format!("epoch {} was left out: {reason}\n", epoch.0));
        }
        text
    });
    Ok(())
}

async fn run_collect(collect: &Collect, output: Output) -> Result<(), Failure> {
    let signer = collect.owner.signer()?;
    let chain = collect.chain.connect().await?;
    let owner = match collect.attestor {
        Some(attestor) => owner_of(&chain, attestor).await?,
        None => signer.account(),
    };
    let what = "cannot read the owner's balance";
    let before = chain.balance(&owner).await.context(what)?.free;
    let (sent, hint) = match collect.attestor {
        Some(attestor) => (
            chain.collect_attestor(&signer, attestor).await,
            "an attestor earns with each claim of a node on whose score it agreed, and has it half a ring of epochs later",
        ),
        None => (
            chain.collect(&signer).await,
            "orchestrators earn with each claim for sessions that they granted; sign with the account that owns them",
        ),
    };
    let outcome = sent.map_err(|error| {
        let failure = refused(&error);
        if error.is("Rewards", "NothingAccrued") { failure.hint(hint) } else { failure }
    })?;
    let after = chain.balance(&owner).await.context(what)?.free;
    let fee = if owner == signer.account() { outcome.fee } else { 0 };
    let collected = after.saturating_add(fee).saturating_sub(before);
    let json = json!({
        "owner": owner.to_string(),
        "collected": collected.to_string(),
        "feePaid": outcome.fee.to_string(),
        "balanceBefore": before.to_string(),
        "balanceAfter": after.to_string(),
        "transaction": transaction(&outcome),
    });
    output.show(&json, |_| {
        facts(&[
            ("owner", owner.to_string()),
            ("collected", Amount(collected).to_string()),
            ("fee", Amount(outcome.fee).to_string()),
            ("balance", Amount(after).to_string()),
        ])
    });
    Ok(())
}

fn claim_refused(error: &SubmitError) -> Failure {
    let failure = refused(error);
    if error.is("Rewards", "ReservedForOwner") {
        failure.hint("sign with the owner's account, or with the node's own keystore (--owner node.json)")
    } else if error.is("Rewards", "ProofsMissing") {
        failure.hint("others than owner and node need the proofs of all members that sent their roots, and before the window is closed everybody does; chroom rewards show names those that are missing")
    } else {
        failure
    }
}

fn claim_failure(prospect: &Prospect, reason: &str) -> Failure {
    let failure = Failure::new(format_args!("epoch {} cannot be claimed: {reason}", prospect.epoch.0));
    match prospect.committee.missing.as_slice() {
        [] => failure.hint("chroom rewards show lists the epochs that can be claimed"),
        missing => {
            let reasons: Vec<String> = missing.iter().map(|(node, reason)| format!("{node}: {reason}")).collect();
            failure.hint(format_args!(
                "proofs are missing: {}; try again later, or claim without them by --incomplete",
                reasons.join("; ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_show_as_points() {
        assert_eq!(points(Score(9_876)), "98.76");
        assert_eq!(points(Score(5)), "0.05");
    }
}
