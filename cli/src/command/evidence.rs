//! `chroom evidence`: nodes that contradicted themselves, and reporting them.

use super::node::{refused, transaction};
use crate::{
    amount::Amount,
    chain::Chain,
    evidence::{self, Charge, Evidence, Facts, Worthless},
    failure::{Failure, chain_of},
    local,
    output::{Output, facts, table},
    owner::Owner,
    registry::Registry,
    up::process::unix_ms,
};
use chroom_chain_client::{ChainClient, Report, Signer};
use chroom_primitives::NodeId;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::PathBuf};

const EXAMPLES: &str = "Examples:
  chroom evidence list                                          what the registries keep, and whether a report is worth it
  chroom evidence list --registry http://127.0.0.1:7300 --json
  chroom evidence report --registry http://127.0.0.1:7300 --owner cold.json
  chroom evidence report --file evidence-roots-0x8f3c….json --dev charlie

Who signs two records with one number, or has two roots for an epoch, is slashed on anybody's report: half is burnt, a fifth is the reporter's.
All is checked against the chain first: what would fail, or slash nothing, is named with the reason and costs no fee; a
report that slashes costs none either. chroom rewards show and claim save what they find in attestors' proofs as files.";

/// Nodes that contradicted themselves
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Show evidence, and what it is worth
    #[command(after_help = EXAMPLES)]
    List(List),
    /// Report what is worth it
    #[command(after_help = EXAMPLES)]
    Report(Reporting),
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    source: Source,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Reporting {
    #[command(flatten)]
    chain: Chain,
    #[command(flatten)]
    source: Source,
    /// The reporter, who gets the share and pays fees if there is nothing to slash any more.
    #[command(flatten)]
    owner: Owner,
}

/// Where evidence comes from.
#[derive(Debug, Args)]
pub struct Source {
    /// A file with evidence; may be repeated. Registries are asked only if there is none
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Public JSON-RPC of a registry; may be repeated, all are asked [default: the local network's, else http://127.0.0.1:7300]
    #[arg(long, visible_alias = "registry", value_name = "URL", env = "CHROOM_REGISTRY_URL", value_delimiter = ',')]
    registry_url: Vec<String>,
    /// Only what accuses this node
    #[arg(long, value_name = "NODE")]
    node: Option<NodeId>,
}

impl Source {
    /// The evidence by charge.
    async fn collect(&self, chain: &ChainClient, output: Output) -> Result<Collected, Failure> {
        let genesis = chain.genesis_hash();
        let mut found = Collected::new();
        let mut take = |evidence: Evidence| {
            let charge = evidence.charge();
            if self.node.is_none_or(|node| node == charge.node()) {
                found.entry(charge).or_default().push(evidence);
            }
        };
        if !self.files.is_empty() {
            for file in &self.files {
                take(evidence::read(file, &genesis).map_err(|error| Failure::new(chain_of(&error)))?);
            }
            return Ok(found);
        }
        let (mut answered, mut failure) = (false, None);
        for url in local::registries(&self.registry_url) {
            match Registry::at(&url)?.evidence(self.node).await {
                Ok(pairs) => {
                    answered = true;
                    let all = pairs.len();
                    let sound: Vec<Evidence> =
                        pairs.into_iter().map(Evidence::Records).filter(|pair| pair.is_sound(&genesis)).collect();
                    if sound.len() < all {
                        let unsound = all - sound.len();
                        output.step(format_args!(
                            "warning: {unsound} of {all} pieces of evidence from {url} show nothing"
                        ));
                    }
                    sound.into_iter().for_each(&mut take);
                }
                Err(error) => {
                    output.step(format_args!("left out: {}", error.message));
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(failure) if !answered => Err(failure),
            _ => Ok(found),
        }
    }
}

/// Evidence by what it accuses of. Several pieces may say the same; one that holds will do.
type Collected = BTreeMap<Charge, Vec<Evidence>>;

/// Runs the command.
pub async fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::List(list) => run_list(list, output).await,
        Command::Report(report) => run_report(report, output).await,
    }
}

/// What the chain knows of a charge, and the first piece of evidence that holds, or why none does.
async fn weigh(
    chain: &ChainClient,
    charge: &Charge,
    pieces: Vec<Evidence>,
) -> Result<(Facts, Result<Evidence, Worthless>), Failure> {
    let facts = Facts::ask(chain, charge).await?;
    let (genesis, now) = (chain.genesis_hash(), unix_ms());
    let mut verdict = Err(Worthless::Unsound(charge.node()));
    for evidence in pieces {
        match evidence.weigh(&genesis, &facts, now) {
            Ok(()) => return Ok((facts, Ok(evidence))),
            Err(reason) => verdict = Err(reason),
        }
    }
    Ok((facts, verdict))
}

fn charge_fields(charge: &Charge) -> Map<String, Value> {
    let mut fields = Map::new();
    match charge {
        Charge::Records { node, seq } => {
            fields.insert("kind".into(), "record-equivocation".into());
            fields.insert("offender".into(), json!(node));
            fields.insert("seq".into(), seq.to_string().into());
        }
        Charge::Roots { node, epoch } => {
            fields.insert("kind".into(), "root-equivocation".into());
            fields.insert("offender".into(), json!(node));
            fields.insert("epoch".into(), json!(epoch));
        }
    }
    fields
}

async fn run_list(list: &List, output: Output) -> Result<(), Failure> {
    let chain = list.chain.connect().await?;
    let found = list.source.collect(&chain, output).await?;
    let (mut entries, mut rows) = (Vec::new(), Vec::new());
    for (charge, pieces) in found {
        let (facts, verdict) = weigh(&chain, &charge, pieces).await?;
        let stake = facts.stake.map(|stake| stake.amount);
        let mut entry = charge_fields(&charge);
        entry.insert("stake".into(), stake.map_or(Value::Null, |stake| stake.to_string().into()));
        entry.insert("worthReporting".into(), verdict.is_ok().into());
        if let Err(reason) = &verdict {
            entry.insert("reason".into(), reason.to_string().into());
        }
        entries.push(Value::Object(entry));
        rows.push(vec![
            charge.to_string(),
            stake.map_or("-".to_owned(), |stake| Amount(stake).to_string()),
            verdict.map_or_else(|reason| reason.to_string(), |_| "worth a report".to_owned()),
        ]);
    }
    output.show(&json!({ "evidence": entries }), |_| match rows.as_slice() {
        [] => "no evidence".to_owned(),
        rows => table(&["evidence", "stake", "verdict"], rows),
    });
    Ok(())
}

async fn report(chain: &ChainClient, signer: &Signer, evidence: Evidence) -> Result<Report, Failure> {
    let sent = match evidence {
        Evidence::Records(pair) => chain.report_records(signer, pair).await,
        Evidence::Roots(roots) => chain.report_roots(signer, roots).await,
    };
    sent.map_err(|error| {
        let failure = refused(&error);
        if error.is("Nodes", "EvidenceSpent") || error.is("Qos", "EvidenceSpent") {
            failure.hint("somebody else was faster: each contradiction is punished once")
        } else {
            failure
        }
    })
}

async fn run_report(command: &Reporting, output: Output) -> Result<(), Failure> {
    let signer = command.owner.signer()?;
    let chain = command.chain.connect().await?;
    let found = command.source.collect(&chain, output).await?;
    let (mut reported, mut left_out, mut text) = (Vec::new(), Vec::new(), String::new());
    let mut failure = None;
    // In order of the sequence number: the chain takes no smaller one than it punished for last.
    for (charge, pieces) in found {
        let evidence = match weigh(&chain, &charge, pieces).await? {
            (_, Ok(evidence)) => evidence,
            (_, Err(reason)) => {
                text.push_str(&format!("left out: {charge}: {reason}\n"));
                let mut entry = charge_fields(&charge);
                entry.insert("reason".into(), reason.to_string().into());
                left_out.push(Value::Object(entry));
                continue;
            }
        };
        output.step(format_args!("reporting {charge}"));
        let report = match report(&chain, &signer, evidence).await {
            Ok(report) => report,
            Err(failed) => {
                failure = Some(failed);
                break;
            }
        };
        let mut entry = charge_fields(&charge);
        entry.insert("slashed".into(), report.slashed.to_string().into());
        entry.insert("reward".into(), report.reward.to_string().into());
        entry.insert("feePaid".into(), report.outcome.fee.to_string().into());
        entry.insert("transaction".into(), transaction(&report.outcome));
        reported.push(Value::Object(entry));
        text.push_str(&facts(&[
            ("reported", charge.to_string()),
            ("slashed", Amount(report.slashed).to_string()),
            ("your share", Amount(report.reward).to_string()),
            ("fee", Amount(report.outcome.fee).to_string()),
            ("block", report.outcome.block_number.to_string()),
        ]));
    }
    if reported.is_empty() {
        if let Some(failure) = failure {
            return Err(failure);
        }
        if !command.source.files.is_empty() {
            // Who names a file means that one.
            return Err(Failure::new(text.trim_end()).hint("nothing was sent, and no fee was paid"));
        }
    }
    if reported.is_empty() && left_out.is_empty() {
        text.push_str("no evidence\n");
    }
    let json = json!({ "reporter": signer.account().to_string(), "reported": reported, "leftOut": left_out });
    output.show(&json, |_| text);
    // What was reported before something failed is shown all the same.
    failure.map_or(Ok(()), Err)
}
