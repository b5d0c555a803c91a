//! The methods of the JSON-RPC interface.

use super::view::{AttestedJson, EpochJson, HealthJson, NodeJson, PeerJson, ProofJson, SnapshotJson, SummaryJson};
use crate::{
    datastore::{
        place,
        store::{EvidencePlace, MalformedPlace, StoreError},
    },
    pubsub::swarm::Pubsub,
    qos::{
        intake::Intake,
        proof::{ProofRefusal, Proofs},
    },
    rpc::role_named,
};
use chroom_primitives::{H3Cell, NodeId, QosEpoch, Role};
use codec::Encode;
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
    types::ErrorObjectOwned,
};
use std::sync::Arc;

/// Most nodes in one answer.
const MAX_NODES: usize = 5_000;
/// Pieces of evidence in one answer, unless the caller says otherwise.
const EVIDENCE_PAGE: u32 = 100;
/// Most pieces of evidence in one answer: 320 kB of text.
const MAX_EVIDENCE_PAGE: u32 = 200;

/// The methods.
#[rpc(server)]
pub trait PublicApi {
    /// Live nodes, of one role if given (`media`, `orchestrator`, `registry`).
    #[method(name = "registry_nodes")]
    fn nodes(&self, role: Option<String>) -> RpcResult<Vec<NodeJson>>;

    /// One node.
    #[method(name = "registry_node")]
    fn node(&self, id: NodeId) -> RpcResult<Option<NodeJson>>;

    /// Live nodes near an H3 cell (hex), nearest first; 20 media nodes unless said otherwise.
    #[method(name = "registry_near")]
    fn near(&self, cell: String, role: Option<String>, limit: Option<u32>) -> RpcResult<Vec<NodeJson>>;

    /// The network at a glance.
    #[method(name = "registry_summary")]
    fn summary(&self) -> RpcResult<SummaryJson>;

    /// The QoS epoch, and what this registry attested last.
    #[method(name = "registry_epoch")]
    fn epoch(&self) -> RpcResult<EpochJson>;

    /// This registry's proof about a node, for a claim.
    #[method(name = "registry_proof")]
    fn proof(&self, epoch: u32, node: NodeId) -> RpcResult<ProofJson>;

    /// The register at the end of an epoch; the newest if none is given.
    #[method(name = "registry_snapshot")]
    fn snapshot(&self, epoch: Option<u32>) -> RpcResult<SnapshotJson>;

    /// Pairs of contradicting records that nodes signed, by node and sequence number: SCALE `RecordEquivocation`, hex with 0x. Of one node, if
    /// it is named. `after` goes on where an answer ended: the node and the sequence number (big-endian) of its last pair, hex.
    #[method(name = "registry_evidence")]
    fn evidence(&self, node: Option<NodeId>, after: Option<String>, limit: Option<u32>) -> RpcResult<Vec<String>>;

    /// Registry nodes that this one is connected to.
    #[method(name = "registry_peers")]
    async fn peers(&self) -> RpcResult<Vec<PeerJson>>;

    /// Whether this registry is of use.
    #[method(name = "registry_health")]
    async fn health(&self) -> RpcResult<HealthJson>;
}

/// Answers the methods.
#[derive(Clone, Debug)]
pub struct Methods {
    /// This node.
    pub node: NodeId,
    /// Register and schedule.
    pub intake: Arc<Intake>,
    /// What it attested.
    pub proofs: Proofs,
    /// The peers.
    pub pubsub: Pubsub,
}

fn error(code: i32, message: impl Into<String>, hint: &str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message.into(), Some(serde_json::json!({ "hint": hint })))
}

fn invalid(message: impl Into<String>) -> ErrorObjectOwned {
    error(-32602, message, "docs/registry.md lists methods and parameters")
}

fn not_found(message: impl Into<String>) -> ErrorObjectOwned {
    error(-32004, message, "registry_epoch tells the epoch that was attested last; another registry may have it")
}

fn failed(error: StoreError) -> ErrorObjectOwned {
    tracing::error!(%error, "the database failed");
    self::error(-32603, "this registry's disk failed", "ask another registry")
}

fn scale_hex(value: &impl Encode) -> String {
    format!("0x{}", hex::encode(value.encode()))
}

fn role(name: Option<String>) -> RpcResult<Option<Role>> {
    name.filter(|name| !name.is_empty())
        .map(|name| role_named(&name).ok_or_else(|| invalid("role is media, orchestrator or registry")))
        .transpose()
}

impl Methods {
    /// Whether this registry is of use.
    pub async fn health(&self) -> HealthJson {
        let register = self.intake.register();
        let members = register.members();
        let registered = members.is_member(&self.node, Role::Registry);
        let status = match (members.nodes.is_empty(), registered) {
            (true, _) => "following-chain",
            (_, false) => "not-registered",
            _ => "ok",
        };
        HealthJson {
            status,
            node: self.node,
            version: env!("CARGO_PKG_VERSION"),
            genesis: *register.genesis(),
            registered,
            finalised_block: members.block,
            peers: self.pubsub.peers().await.len(),
            nodes: register.views(None).len(),
            p2p: self.pubsub.address().to_string(),
        }
    }
}

#[async_trait]
impl PublicApiServer for Methods {
    fn nodes(&self, name: Option<String>) -> RpcResult<Vec<NodeJson>> {
        let views = self.intake.register().views(role(name)?);
        Ok(views.iter().take(MAX_NODES).map(NodeJson::from).collect())
    }

    fn node(&self, id: NodeId) -> RpcResult<Option<NodeJson>> {
        Ok(self.intake.register().view(&id).as_ref().map(NodeJson::from))
    }

    fn near(&self, cell: String, name: Option<String>, limit: Option<u32>) -> RpcResult<Vec<NodeJson>> {
        let cell = u64::from_str_radix(cell.trim_start_matches("0x"), 16)
            .ok()
            .and_then(|raw| place::checked(H3Cell(raw)))
            .ok_or_else(|| invalid("cell is an H3 cell of resolution 0 to 7, in hex"))?;
        let role = role(name)?.unwrap_or(Role::Media);
        let limit = limit.unwrap_or(20).clamp(1, 200) as usize;
        let views = self.intake.register().near(cell, role, limit).map_err(failed)?;
        Ok(views.iter().map(NodeJson::from).collect())
    }

    fn summary(&self) -> RpcResult<SummaryJson> {
        let register = self.intake.register();
        Ok(SummaryJson::of(&register.views(None), &register.members()))
    }

    fn epoch(&self) -> RpcResult<EpochJson> {
        let register = self.intake.register();
        let (info, assigned) = self.intake.with_schedule(|s| {
            let info = s.times.current().cloned().unwrap_or_else(|| register.members().epoch.clone());
            let assigned = s.assigned(info.current).map(|nodes| nodes.iter().copied().collect()).unwrap_or_default();
            (info, assigned)
        });
        let last = register.store().last_attestation().map_err(failed)?;
        let shown = |epoch| self.intake.with_schedule(|s| s.times.roots_are_in(epoch));
        Ok(EpochJson {
            current: info.current,
            started_at: info.started_at,
            started_ms: info.started_ms,
            length: info.length,
            submit_window: info.submit_window,
            committee_size: info.committee_size,
            assigned,
            last_attested: last.map(|attestation| AttestedJson {
                epoch: attestation.epoch,
                quality: attestation.quality(),
                snapshot: attestation.snapshot,
                submitted: attestation.submitted,
                leaves: if shown(attestation.epoch) { attestation.leaves } else { Vec::new() },
            }),
        })
    }

    fn proof(&self, epoch: u32, node: NodeId) -> RpcResult<ProofJson> {
        let shown = self.proofs.show(QosEpoch(epoch), node).map_err(|refusal| match refusal {
            ProofRefusal::Store(error) => failed(error),
            refusal => not_found(refusal.to_string()),
        })?;
        Ok(ProofJson {
            attestor: self.node,
            member_proof: scale_hex(&shown.proof),
            leaf: shown.proof.quality.0,
            usage: shown.proof.usage.into_iter().map(|(leaf, _)| leaf).collect(),
            root: shown.root,
            signed_statement: shown.statement.as_ref().map(scale_hex),
        })
    }

    fn snapshot(&self, epoch: Option<u32>) -> RpcResult<SnapshotJson> {
        let store = self.intake.register().store();
        let epoch = match epoch {
            Some(epoch) => QosEpoch(epoch),
            None => store
                .snapshot_epochs()
                .map_err(failed)?
                .last()
                .copied()
                .ok_or_else(|| not_found("no epoch has ended since this registry is here"))?,
        };
        let snapshot = store.snapshot(epoch).map_err(failed)?;
        let snapshot = snapshot
            .ok_or_else(|| not_found(format!("no snapshot of epoch {} here: the last 64 are kept", epoch.0)))?;
        Ok(SnapshotJson::from(&snapshot))
    }

    fn evidence(&self, node: Option<NodeId>, after: Option<String>, limit: Option<u32>) -> RpcResult<Vec<String>> {
        let after = after.map(|text| text.parse::<EvidencePlace>()).transpose();
        let after = after.map_err(|error: MalformedPlace| invalid(format!("after: {error}")))?;
        let limit = limit.unwrap_or(EVIDENCE_PAGE).clamp(1, MAX_EVIDENCE_PAGE) as usize;
        let evidence = self.intake.register().store().evidence(node.as_ref(), after, limit).map_err(failed)?;
        Ok(evidence.iter().map(scale_hex).collect())
    }

    async fn peers(&self) -> RpcResult<Vec<PeerJson>> {
        let peers = self.pubsub.peers().await;
        Ok(peers.into_iter().map(|p| PeerJson { peer: p.peer.to_string(), node: p.node }).collect())
    }

    async fn health(&self) -> RpcResult<HealthJson> {
        Ok(Methods::health(self).await)
    }
}
