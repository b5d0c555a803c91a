//! The leaves that this attestor shows, when, and what it signs for them.

use super::intake::Intake;
use crate::datastore::store::StoreError;
use chroom_primitives::{NodeId, QosEpoch, Signed, evidence::RootStatement, merkle::Root, runtime_api::MemberProof};
use chroom_wallet::Wallet;
use std::sync::Arc;

/// No proof can be had.
#[derive(Debug, thiserror::Error)]
pub enum ProofRefusal {
    /// Others could still send what the leaves say as their own.
    #[error("leaves of epoch {} are shown when no more roots are taken for it: ask again after the submit window", .0.0)]
    NotYet(QosEpoch),
    /// There are no leaves.
    #[error("this registry has no leaves of epoch {}: not closed yet, or dropped", .0.0)]
    NoLeaves(QosEpoch),
    /// Not this attestor's node.
    #[error("this registry was not in the committee of {node} for epoch {}", epoch.0)]
    NotInCommittee {
        /// The node.
        node: NodeId,
        /// The epoch.
        epoch: QosEpoch,
    },
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is shown about a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The leaves with their proofs, as a claim needs them.
    pub proof: MemberProof,
    /// The root that they fit.
    pub root: Root,
    /// This attestor's signed word on its roots; none unless the finalised chain has these very roots.
    pub statement: Option<Signed<RootStatement>>,
}

/// Shows what this attestor says of closed epochs.
#[derive(Clone, Debug)]
pub struct Proofs {
    wallet: Wallet,
    intake: Arc<Intake>,
}

impl Proofs {
    /// Shows the attestations in the intake's store, and signs for them as the attestor with this wallet.
    pub fn new(wallet: Wallet, intake: Arc<Intake>) -> Self {
        Self { wallet, intake }
    }

    /// The attestor.
    pub fn attestor(&self) -> NodeId {
        self.wallet.node_id()
    }

    /// This attestor's leaves about a node.
    ///
    /// It signs for nothing but what the chain has of it already. So an attestor that lost its data, or whose key is used by two
    /// processes, may show leaves that fit no claim, but never gives anyone evidence against itself.
    pub fn show(&self, epoch: QosEpoch, node: NodeId) -> Result<Shown, ProofRefusal> {
        let register = self.intake.register();
        let attestation = register.store().attestation(epoch)?.ok_or(ProofRefusal::NoLeaves(epoch))?;
        if !self.intake.with_schedule(|schedule| schedule.times.roots_are_in(epoch)) {
            return Err(ProofRefusal::NotYet(epoch));
        }
        let attestor = self.attestor();
        let (proof, root) = attestation.prove(attestor, &node).ok_or(ProofRefusal::NotInCommittee { node, epoch })?;
        let statement = attestation.submitted.then(|| {
            let statement = RootStatement { attestor, epoch, quality: root, snapshot: attestation.snapshot };
            self.wallet.sign(statement, register.genesis())
        });
        Ok(Shown { proof, root, statement })
    }
}
