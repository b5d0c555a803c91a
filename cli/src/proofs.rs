//! Collects a committee's proofs about a node from the committee's own registries, and checks them.

use crate::{
    evidence::Evidence,
    failure::{Context, Failure},
    local,
    registry::Registry,
    statement::{Question, Shown, Word},
};
use chroom_chain_client::ChainClient;
use chroom_primitives::{NodeId, QosEpoch, runtime_api::MemberProof};
use codec::Decode;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Where registries can be asked.
#[derive(Debug)]
pub struct Directory {
    /// Those that were named.
    named: Vec<Registry>,
    /// Those whose records say where their public interface is.
    by_node: BTreeMap<NodeId, Registry>,
}

/// A committee's proofs about a node in an epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committee {
    /// The members in the order of the draw.
    pub members: Vec<NodeId>,
    /// The proofs that could be had, each in the root that the chain has of the member.
    pub proofs: Vec<MemberProof>,
    /// Members without one, with the reason.
    pub missing: Vec<(NodeId, String)>,
    /// Whether one of those sent its root: its proof exists, and may be had later.
    pub withheld: bool,
    /// What there is to say of members' signed words.
    pub remarks: Vec<(NodeId, &'static str)>,
    /// Members' words that contradict the chain.
    pub evidence: Vec<Evidence>,
}

impl Directory {
    /// Learns from the named registries (or those of the local network) where the others are.
    pub async fn discover(urls: &[String]) -> Result<Self, Failure> {
        let named = local::registries(urls).iter().map(|url| Registry::at(url)).collect::<Result<Vec<_>, _>>()?;
        let mut by_node = BTreeMap::new();
        let mut failure = None;
        for registry in &named {
            match registry.registries().await {
                Ok(entries) => {
                    for entry in entries {
                        // A record with a useless URL is its node's own fault, and no reason to fail for the others.
                        if let Ok(found) = Registry::at(&entry.public_url) {
                            by_node.insert(entry.node, found);
                        }
                    }
                    return Ok(Self { named, by_node });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::usage("no registry was named")))
    }

    /// Fetches the proofs of `node`'s committee in `epoch`.
    pub async fn committee(&self, chain: &ChainClient, epoch: QosEpoch, node: NodeId) -> Result<Committee, Failure> {
        let what = format!("cannot read the committee of epoch {}", epoch.0);
        let members = chain.committee(epoch, node).await.context(what)?;
        let fetched = futures::future::join_all(members.iter().map(|member| self.shown(*member, epoch, node))).await;
        let known = futures::future::join_all(members.iter().map(|member| chain.attestation_of(epoch, *member))).await;
        let mut committee = Committee {
            members: members.clone(),
            proofs: Vec::new(),
            missing: Vec::new(),
            withheld: false,
            remarks: Vec::new(),
            evidence: Vec::new(),
        };
        for ((member, shown), known) in members.into_iter().zip(fetched).zip(known) {
            let what = format!("cannot read the roots of {member} for epoch {}", epoch.0);
            let sent = known.context(what)?.roots;
            let question = Question { member, epoch, node, sent };
            let usable = shown.and_then(|shown| {
                match question.word(&shown, &chain.genesis_hash()) {
                    Word::Kept => {}
                    Word::Useless(remark) => committee.remarks.push((member, remark)),
                    Word::Broken(evidence) => committee.evidence.push(Evidence::Roots(*evidence)),
                }
                question.usable(&shown.proof).map(|()| shown.proof).map_err(|useless| useless.to_string())
            });
            match usable {
                Ok(proof) => committee.proofs.push(proof),
                Err(reason) => {
                    committee.withheld |= sent.is_some();
                    committee.missing.push((member, reason));
                }
            }
        }
        Ok(committee)
    }

    async fn shown(&self, member: NodeId, epoch: QosEpoch, node: NodeId) -> Result<Shown, String> {
        let own = self.by_node.get(&member);
        let mut reason = match own {
            Some(_) => "another registry answers where it should be".to_owned(),
            None => "no registry says where it is".to_owned(),
        };
        // A member whose record is gone may still be among those that were named.
        let candidates: Vec<&Registry> = match own {
            Some(registry) => vec![registry],
            None => self.named.iter().collect(),
        };
        for registry in candidates {
            match registry.proof(epoch, node).await {
                Ok(shown) if shown.proof.attestor == member => return Ok(shown),
                Ok(_) => {}
                Err(failure) => reason = failure.message,
            }
        }
        Err(reason)
    }
}

/// What this program reads of a registry's entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    node: NodeId,
    public_url: String,
}

/// What this program reads of a registry's proof.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    member_proof: String,
    /// Registries of older versions send none.
    #[serde(default)]
    signed_statement: Option<String>,
}

impl Registry {
    /// The registries that it knows.
    async fn registries(&self) -> Result<Vec<Entry>, Failure> {
        self.call("registry_nodes", &[("role", json!("registry"))]).await
    }

    /// What it shows about a node in an epoch, as an attestor.
    pub async fn proof(&self, epoch: QosEpoch, node: NodeId) -> Result<Shown, Failure> {
        let answer: Proof = self.call("registry_proof", &[("epoch", json!(epoch)), ("node", json!(node))]).await?;
        let what = format!("the registry at {} answers what is no proof", self.url);
        let bytes = |text: &str| hex::decode(text.trim_start_matches("0x")).context(&what);
        let proof = MemberProof::decode(&mut bytes(&answer.member_proof)?.as_slice()).context(&what)?;
        let statement = answer.signed_statement.as_deref().map(bytes).transpose()?;
        Ok(Shown { proof, statement })
    }
}
