//! Takes receipts and node reports in: checked, then on disk, then acknowledged.

use super::{
    epoch::EpochTimes,
    receipt::{ReceiptRefusal, StoredReceipt, judge},
    session::Session,
};
use crate::{
    clock::now_ms,
    datastore::{Register, store::StoreError},
    metrics::{Metrics, outcome},
};
use chroom_primitives::{
    NodeId, QosEpoch, Role, Signed, UnixMs,
    record::{NodeQosReport, SessionGrant},
};
use chroom_rpc::receipt::{MAX_INTERVAL_MS, Receipt};
use codec::DecodeAll;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Longest life of a session, in milliseconds.
const MAX_SESSION_MS: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Epochs whose assignments are remembered.
const REMEMBER: usize = 8;

/// Nothing of a call is taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The grant is not what it should be.
    #[error("{0}")]
    Grant(String),
    /// The caller may not.
    #[error("{0}")]
    NotPermitted(String),
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the attestor knows of time and of its own assignments.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Beginnings of epochs.
    pub times: EpochTimes,
    /// Nodes that this attestor was drawn for, by epoch.
    assignments: BTreeMap<QosEpoch, BTreeSet<NodeId>>,
}

impl Schedule {
    /// Notes the assignments of an epoch.
    pub fn assign(&mut self, epoch: QosEpoch, nodes: impl IntoIterator<Item = NodeId>) {
        self.assignments.insert(epoch, nodes.into_iter().collect());
        while self.assignments.len() > REMEMBER {
            self.assignments.pop_first();
        }
    }

    /// The assignments of an epoch, if they are known.
    pub fn assigned(&self, epoch: QosEpoch) -> Option<&BTreeSet<NodeId>> {
        self.assignments.get(&epoch)
    }

    /// Whether an interval about `node` that ended at `to` is this attestor's; near an epoch's end it may be the next one's, whose
    /// beginning is not known yet.
    fn concerns(&self, node: NodeId, to: UnixMs) -> Result<(), ReceiptRefusal> {
        let Some(epoch) = self.times.epoch_of(to) else { return Ok(()) };
        let current = self.times.current().map(|info| info.current);
        let open_ended = current == Some(epoch) && self.times.may_be_next(to);
        match self.assignments.get(&epoch) {
            Some(nodes) if !nodes.contains(&node) && !open_ended => Err(ReceiptRefusal::NotInCommittee { node, epoch }),
            _ => Ok(()),
        }
    }
}

/// The intake.
#[derive(Debug)]
pub struct Intake {
    register: Arc<Register>,
    schedule: Mutex<Schedule>,
    /// Held over check and write, so that of two calls with one receipt one is a repetition.
    writing: Mutex<()>,
    metrics: Arc<Metrics>,
}

impl Intake {
    /// Keeps what it takes in the register's store.
    pub fn new(register: Arc<Register>, metrics: Arc<Metrics>) -> Self {
        Self { register, schedule: Mutex::new(Schedule::default()), writing: Mutex::new(()), metrics }
    }

    /// The register.
    pub fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// Reads or changes the schedule.
    pub fn with_schedule<R>(&self, f: impl FnOnce(&mut Schedule) -> R) -> R {
        f(&mut self.schedule.lock())
    }

    /// Runs `f` while nothing is taken in: closing an epoch reads a consistent state.
    pub fn paused<R>(&self, f: impl FnOnce() -> R) -> R {
        let _writing = self.writing.lock();
        f()
    }

    /// Takes the receipts of one session. Returns the refused ones with reasons; the others are on disk, now or since an earlier call.
    pub fn take_receipts(
        &self,
        caller: NodeId,
        signed: Signed<SessionGrant>,
        receipts: Vec<Receipt>,
    ) -> Result<Vec<(usize, String)>, IntakeError> {
        let grant = &signed.payload;
        let members = self.register.members();
        if grant.orchestrator != caller {
            return Err(IntakeError::NotPermitted(
                "the grant is another orchestrator's: hand over your own sessions only".into(),
            ));
        }
        if signed.signer(self.register.genesis()) != Some(caller) {
            return Err(IntakeError::Grant(
                "the grant's signature is not by the calling orchestrator for this network".into(),
            ));
        }
        if grant.expires_ms <= grant.started_ms || grant.expires_ms - grant.started_ms > MAX_SESSION_MS {
            return Err(IntakeError::Grant("the grant must last from 1 ms to 7 days".into()));
        }
        let Some(orchestrator) = members.get(&caller) else {
            return Err(IntakeError::NotPermitted(format!("orchestrator {caller} is not registered on the chain")));
        };
        if !members.is_member(&grant.node, Role::Media) {
            return Err(IntakeError::Grant(format!("{} is not a media node in service on the chain", grant.node)));
        }
        // Signatures are checked before the lock is taken: they cost the most.
        let bodies: Vec<_> = receipts.iter().map(|receipt| receipt.verify(&grant.receipt_key)).collect();
        let now = now_ms();
        let store = self.register.store();
        let _writing = self.writing.lock();
        let mut session = match store.session(&grant.session, &grant.node)? {
            Some(known) if same_session(&known.grant.payload, grant) => Session { grant: signed.clone(), ..known },
            Some(_) => {
                return Err(IntakeError::Grant(
                    "another grant is known for this session id; ids are random and used once".into(),
                ));
            }
            None => Session::new(signed.clone(), orchestrator.owner.clone()),
        };
        let mut taken: Vec<StoredReceipt> = Vec::new();
        let mut refused = Vec::new();
        let schedule = self.schedule.lock();
        for (index, (receipt, body)) in receipts.iter().zip(bodies).enumerate() {
            let body = match body {
                Ok(body) => body,
                Err(error) => {
                    refused.push((index, error.to_string()));
                    continue;
                }
            };
            // Handed over again because the acknowledgement was lost: it is here.
            let known = taken.iter().find(|t| t.seq == body.seq).cloned();
            let known = match known {
                Some(known) => Some(known),
                None if body.seq <= session.last_seq => {
                    store.receipt(&grant.node, body.to, &grant.session, body.seq)?
                }
                None => None,
            };
            if known.is_some_and(|known| known.payload == receipt.payload) {
                continue;
            }
            let judged = judge(&session, &body, &receipt.payload, &receipt.signature, &schedule.times, now)
                .and_then(|stored| schedule.concerns(grant.node, stored.to_ms).map(|()| stored));
            match judged {
                Ok(stored) => {
                    session.last_seq = stored.seq;
                    session.last_to_ms = stored.to_ms;
                    taken.push(stored);
                }
                Err(reason) => refused.push((index, reason.to_string())),
            }
        }
        drop(schedule);
        if !taken.is_empty() {
            store.put_receipts(&session, &taken)?;
        }
        self.metrics.receipts.get_or_create(&outcome("accepted")).inc_by(taken.len() as u64);
        self.metrics.receipts.get_or_create(&outcome("refused")).inc_by(refused.len() as u64);
        if let Some((index, reason)) = refused.first() {
            tracing::warn!(%caller, node = %grant.node, refused = refused.len(), index, reason, "receipts refused");
        }
        Ok(refused)
    }

    /// Takes a media node's own reports. Returns the refused ones with reasons; the others are on disk.
    pub fn take_reports(&self, caller: NodeId, encoded: &[Vec<u8>]) -> Result<Vec<(usize, String)>, IntakeError> {
        let now = now_ms();
        let mut taken = Vec::new();
        let mut refused = Vec::new();
        for (index, bytes) in encoded.iter().enumerate() {
            match self.judge_report(caller, bytes, now) {
                Ok(report) => taken.push(report),
                Err(reason) => refused.push((index, reason)),
            }
        }
        if !taken.is_empty() {
            let _writing = self.writing.lock();
            self.register.store().put_reports(&taken)?;
        }
        if let Some((index, reason)) = refused.first() {
            tracing::warn!(%caller, refused = refused.len(), index, reason, "node reports refused");
        }
        Ok(refused)
    }

    fn judge_report(&self, caller: NodeId, bytes: &[u8], now: UnixMs) -> Result<Signed<NodeQosReport>, String> {
        let signed = Signed::<NodeQosReport>::decode_all(&mut &*bytes).map_err(|e| format!("malformed: {e}"))?;
        let report = &signed.payload;
        if report.node != caller {
            return Err("a node reports of itself only".into());
        }
        let length = report.to_ms.checked_sub(report.from_ms);
        if length.is_none_or(|ms| ms == 0 || ms > MAX_INTERVAL_MS) {
            return Err("the interval must last from 1 ms to 60 s".into());
        }
        if report.to_ms > now.saturating_add(5_000) {
            return Err("the interval ends in the future: set the clock".into());
        }
        if report.loss > 10_000 {
            return Err("loss is in parts per 10,000".into());
        }
        self.schedule.lock().times.admits(report.to_ms, now).map_err(|e| e.to_string())?;
        if signed.signer(self.register.genesis()) != Some(caller) {
            return Err("the signature is not by the node's key for this network".into());
        }
        Ok(signed)
    }
}

/// Whether two grants speak of one session; a later grant may last longer.
fn same_session(known: &SessionGrant, grant: &SessionGrant) -> bool {
    known.orchestrator == grant.orchestrator
        && known.node == grant.node
        && known.application == grant.application
        && known.receipt_key == grant.receipt_key
}
