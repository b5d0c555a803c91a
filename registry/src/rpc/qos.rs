//! Receipts and reports in, proofs out.

use super::{
    admission::Admission,
    registry::{node_id, store_failed},
};
use crate::qos::{
    intake::{Intake, IntakeError},
    proof::{ProofRefusal, Proofs},
};
use chroom_primitives::{QosEpoch, Role};
use chroom_rpc::{registry::Qos, v1};
use codec::Encode;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Most receipts per call.
const MAX_RECEIPTS: usize = 64;
/// Most node reports per call.
const MAX_REPORTS: usize = 256;

/// The service.
#[derive(Clone, Debug)]
pub struct QosService {
    proofs: Proofs,
    intake: Arc<Intake>,
    admission: Admission,
}

impl QosService {
    /// Takes in what comes, and shows `proofs`.
    pub fn new(proofs: Proofs, intake: Arc<Intake>, admission: Admission) -> Self {
        Self { proofs, intake, admission }
    }
}

fn refusals(refused: Vec<(usize, String)>) -> Vec<v1::Refusal> {
    refused
        .into_iter()
        .map(|(index, reason)| v1::Refusal { index: u32::try_from(index).unwrap_or(u32::MAX), reason })
        .collect()
}

fn status(error: IntakeError) -> Status {
    match error {
        IntakeError::Grant(reason) => Status::invalid_argument(reason),
        IntakeError::NotPermitted(reason) => Status::permission_denied(reason),
        IntakeError::Store(error) => store_failed(error),
    }
}

#[tonic::async_trait]
impl Qos for QosService {
    async fn submit_receipts(
        &self,
        request: Request<v1::SubmitReceiptsRequest>,
    ) -> Result<Response<v1::SubmitReceiptsResponse>, Status> {
        let caller = self.admission.admit(&request, "SubmitReceipts", &[Role::Orchestrator])?;
        let refuse = |status| self.admission.refuse(caller, "SubmitReceipts", status);
        let request = request.into_inner();
        if request.receipts.len() > MAX_RECEIPTS {
            return Err(refuse(Status::resource_exhausted(format!("at most {MAX_RECEIPTS} receipts per call"))));
        }
        let grant = super::registry::decode(&request.signed_grant, "signed_grant").map_err(refuse)?;
        let intake = self.intake.clone();
        let receipts = request.receipts.into_iter().map(Into::into).collect();
        let taken = tokio::task::spawn_blocking(move || intake.take_receipts(caller, grant, receipts)).await;
        let refused = taken.map_err(|e| Status::internal(e.to_string()))?.map_err(|e| refuse(status(e)))?;
        Ok(Response::new(v1::SubmitReceiptsResponse { refused: refusals(refused) }))
    }

    async fn submit_node_reports(
        &self,
        request: Request<v1::SubmitNodeReportsRequest>,
    ) -> Result<Response<v1::SubmitNodeReportsResponse>, Status> {
        let caller = self.admission.admit(&request, "SubmitNodeReports", &[Role::Media])?;
        let refuse = |status| self.admission.refuse(caller, "SubmitNodeReports", status);
        let request = request.into_inner();
        if request.signed_reports.len() > MAX_REPORTS {
            return Err(refuse(Status::resource_exhausted(format!("at most {MAX_REPORTS} reports per call"))));
        }
        let intake = self.intake.clone();
        let taken = tokio::task::spawn_blocking(move || intake.take_reports(caller, &request.signed_reports)).await;
        let refused = taken.map_err(|e| Status::internal(e.to_string()))?.map_err(|e| refuse(status(e)))?;
        Ok(Response::new(v1::SubmitNodeReportsResponse { refused: refusals(refused) }))
    }

    async fn get_proof(&self, request: Request<v1::GetProofRequest>) -> Result<Response<v1::GetProofResponse>, Status> {
        // Proofs are public: any node may carry them to the chain.
        self.admission.admit(&request, "GetProof", &[])?;
        let node = node_id(&request.get_ref().node)?;
        let epoch = QosEpoch(request.get_ref().epoch);
        let shown = self.proofs.show(epoch, node).map_err(|refusal| match refusal {
            ProofRefusal::NotYet(_) => Status::failed_precondition(refusal.to_string()),
            ProofRefusal::NoLeaves(_) | ProofRefusal::NotInCommittee { .. } => Status::not_found(refusal.to_string()),
            ProofRefusal::Store(error) => store_failed(error),
        })?;
        Ok(Response::new(v1::GetProofResponse {
            member_proof: shown.proof.encode(),
            signed_statement: shown.statement.map(|statement| statement.encode()).unwrap_or_default(),
        }))
    }
}
