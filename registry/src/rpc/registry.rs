//! Join, leave, load, discovery.

use super::{admission::Admission, entry, role_named, watch};
use crate::{
    clock::now_ms,
    datastore::{
        Register, Verdict,
        merge::MAX_AHEAD_MS,
        place,
        register::LoadOutcome,
        store::{Durability, StoreError},
    },
    metrics::{Metrics, outcome},
    pubsub::swarm::Pubsub,
};
use chroom_primitives::{
    H3Cell, NodeId, Role, Signed,
    record::{LoadReport, NodeRecord},
};
use chroom_rpc::{registry::Registry, v1};
use codec::DecodeAll;
use futures::stream::BoxStream;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Largest signed structure in bytes that is decoded at all.
const MAX_SIGNED: usize = 1_024;
/// Registry nodes named in the answer to a join.
const MAX_PEERS: usize = 16;

/// The service.
#[derive(Clone, Debug)]
pub struct RegistryService {
    node: NodeId,
    register: Arc<Register>,
    pubsub: Pubsub,
    admission: Admission,
    metrics: Arc<Metrics>,
}

impl RegistryService {
    /// Serves `register` as `node`.
    pub fn new(
        node: NodeId,
        register: Arc<Register>,
        pubsub: Pubsub,
        admission: Admission,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { node, register, pubsub, admission, metrics }
    }

    /// Merges a record that its own node brought, on disk when this returns.
    async fn take(&self, caller: NodeId, bytes: &[u8], farewell: bool) -> Result<u64, Status> {
        let record: Signed<NodeRecord> = decode(bytes, "signed_record")?;
        let payload = &record.payload;
        if payload.node != caller {
            return Err(Status::permission_denied(format!(
                "the record is of {}, the connection is {caller}'s: a node publishes its own record only",
                payload.node
            )));
        }
        if payload.left != farewell {
            return Err(Status::invalid_argument("Join takes records without `left`, Leave takes records with it"));
        }
        if now_ms() > payload.expires_ms {
            return Err(Status::invalid_argument("the record has expired: sign a new one and check the clock"));
        }
        let seq = payload.seq;
        let register = self.register.clone();
        let copy = record.clone();
        let merged = tokio::task::spawn_blocking(move || register.merge(copy, Durability::Synced)).await;
        let verdict = merged.map_err(|e| Status::internal(e.to_string()))?.map_err(store_failed)?;
        match verdict {
            Verdict::Accepted | Verdict::Left => {
                self.pubsub.publish_record(record);
                Ok(seq)
            }
            Verdict::Duplicate => {
                Err(Status::already_exists(format!("record {seq} is stored already: a renewal needs a greater seq")))
            }
            Verdict::Older { stored } => Err(Status::already_exists(format!(
                "record {seq} is older than the stored one, {stored}: sign with a greater seq"
            ))),
            Verdict::Expired => {
                Err(Status::invalid_argument("the record has expired: sign a new one and check the clock"))
            }
            Verdict::Equivocation(_) => Err(Status::already_exists(format!(
                "there is another record with seq {seq}: each seq may be used once; the evidence is kept"
            ))),
            Verdict::Forged => Err(Status::invalid_argument(
                "the signature is not by the record's node for this network: check the wallet and the genesis hash",
            )),
            Verdict::Malformed(flaw) => Err(Status::invalid_argument(flaw.to_string())),
            Verdict::TooFarAhead => Err(Status::invalid_argument(format!(
                "the time in seq is more than {} s ahead of this registry's clock: set the clock",
                MAX_AHEAD_MS / 1_000
            ))),
            Verdict::NotMember | Verdict::Revoked => Err(Status::permission_denied(
                "the node is not in service on the chain: register it with a stake first",
            )),
            Verdict::WrongRole { registered } => Err(Status::permission_denied(format!(
                "the node is registered as {}: the record must say the same",
                super::role_name(registered)
            ))),
        }
    }

    fn peers(&self) -> Vec<String> {
        self.register
            .views(Some(Role::Registry))
            .into_iter()
            .filter(|view| view.record.payload.node != self.node)
            .take(MAX_PEERS)
            .map(|view| format!("{}@{}", view.record.payload.node, view.record.payload.rpc))
            .collect()
    }
}

/// Decodes a signed structure strictly: nothing may follow it.
pub(super) fn decode<T: DecodeAll>(bytes: &[u8], field: &'static str) -> Result<T, Status> {
    if bytes.len() > MAX_SIGNED {
        return Err(Status::resource_exhausted(format!("{field} is longer than {MAX_SIGNED} bytes")));
    }
    T::decode_all(&mut &*bytes)
        .map_err(|e| Status::invalid_argument(format!("{field} is not the SCALE encoding that is expected: {e}")))
}

pub(super) fn node_id(bytes: &[u8]) -> Result<NodeId, Status> {
    bytes.try_into().map(NodeId).map_err(|_| Status::invalid_argument("a node id is 20 bytes"))
}

pub(super) fn store_failed(error: StoreError) -> Status {
    tracing::error!(%error, "the database failed");
    Status::unavailable("this registry cannot write to its disk: use another one")
}

#[tonic::async_trait]
impl Registry for RegistryService {
    async fn join(&self, request: Request<v1::JoinRequest>) -> Result<Response<v1::JoinResponse>, Status> {
        let caller = self.admission.admit(&request, "Join", &[])?;
        let seq = self
            .take(caller, &request.get_ref().signed_record, false)
            .await
            .map_err(|status| self.admission.refuse(caller, "Join", status))?;
        tracing::info!(node = %caller, seq, "joined");
        Ok(Response::new(v1::JoinResponse { seq, peers: self.peers() }))
    }

    async fn leave(&self, request: Request<v1::LeaveRequest>) -> Result<Response<v1::LeaveResponse>, Status> {
        let caller = self.admission.admit(&request, "Leave", &[])?;
        self.take(caller, &request.get_ref().signed_record, true)
            .await
            .map_err(|status| self.admission.refuse(caller, "Leave", status))?;
        tracing::info!(node = %caller, "left");
        Ok(Response::new(v1::LeaveResponse {}))
    }

    async fn report_load(
        &self,
        request: Request<v1::ReportLoadRequest>,
    ) -> Result<Response<v1::ReportLoadResponse>, Status> {
        let caller = self.admission.admit(&request, "ReportLoad", &[Role::Media])?;
        let refuse = |status| self.admission.refuse(caller, "ReportLoad", status);
        let report: Signed<LoadReport> = decode(&request.get_ref().signed_report, "signed_report").map_err(refuse)?;
        if report.payload.node != caller {
            return Err(refuse(Status::permission_denied("a node reports its own load only")));
        }
        let judged = self.register.report_load(report.clone());
        let (name, status) = match judged {
            LoadOutcome::Accepted => ("accepted", None),
            LoadOutcome::Older => {
                ("older", Some(Status::already_exists("there is a report with this seq or a greater one")))
            }
            LoadOutcome::OutOfTime => (
                "out_of_time",
                Some(Status::invalid_argument("the time in seq is off by more than 30 s: set the clock")),
            ),
            LoadOutcome::NotMember => {
                ("not_member", Some(Status::permission_denied("only media nodes in service report load")))
            }
            LoadOutcome::Forged => ("forged", Some(Status::invalid_argument("the signature is not by the node's key"))),
            LoadOutcome::Malformed => {
                ("malformed", Some(Status::invalid_argument("cpu and loss are parts per 10,000")))
            }
        };
        self.metrics.loads.get_or_create(&outcome(name)).inc();
        match status {
            Some(status) => Err(refuse(status)),
            None => {
                self.pubsub.publish_load(report);
                Ok(Response::new(v1::ReportLoadResponse {}))
            }
        }
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::Entry>, Status> {
        self.admission.admit(&request, "Get", &[])?;
        let node = node_id(&request.get_ref().node)?;
        match self.register.view(&node) {
            Some(view) => Ok(Response::new(entry(&view))),
            None => Err(Status::not_found(format!(
                "{node} has no live record: it has not joined, left, or is not in service"
            ))),
        }
    }

    async fn query_near(
        &self,
        request: Request<v1::QueryNearRequest>,
    ) -> Result<Response<v1::QueryNearResponse>, Status> {
        self.admission.admit(&request, "QueryNear", &[])?;
        let query = request.into_inner();
        let cell = place::checked(H3Cell(query.cell))
            .ok_or_else(|| Status::invalid_argument("cell is not an H3 cell of resolution 0 to 7"))?;
        let role = match query.role.as_str() {
            "" => Role::Media,
            name => role_named(name)
                .ok_or_else(|| Status::invalid_argument("role is media, orchestrator, registry or empty"))?,
        };
        let limit = match query.limit {
            0 => 20,
            limit => limit.min(200),
        };
        let views = self.register.near(cell, role, limit as usize).map_err(store_failed)?;
        Ok(Response::new(v1::QueryNearResponse { entries: views.iter().map(entry).collect() }))
    }

    type WatchStream = BoxStream<'static, Result<v1::WatchEvent, Status>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let caller = self.admission.admit(&request, "Watch", &[])?;
        let names = &request.get_ref().roles;
        let mut roles = Vec::new();
        for name in names.iter().take(8) {
            let role = role_named(name)
                .ok_or_else(|| Status::invalid_argument("roles are media, orchestrator and registry"))?;
            roles.push(role);
        }
        tracing::debug!(%caller, ?roles, "watches");
        Ok(Response::new(watch::stream(self.register.clone(), roles, self.metrics.clone())))
    }
}
