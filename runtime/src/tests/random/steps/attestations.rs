//! Attestors send roots, some of them wrong ones, and are reported.

use crate::{Nodes, Qos, Runtime, tests::random::world::World};
use chroom_primitives::{
    NodeId, QosEpoch, Signable, Signed,
    epoch::EpochPhase,
    evidence::{RootEquivocation, RootStatement},
    merkle::Root,
};

type QosCall = pallet_chroom_qos::Call<Runtime>;

impl World {
    pub(super) fn attest(&mut self) {
        let Some(epoch) = Qos::epoch_info().current.previous() else { return };
        if Qos::epoch_phase(epoch) != EpochPhase::Submit && !self.dice.once_in(6) {
            return self.report_omission(epoch);
        }
        match self.dice.below(60) {
            0 => {
                // A second root, or a first one that nobody can prove anything with.
                let Some((attestor, root)) = self.attestor(epoch) else { return };
                let quality = Root { leaves: root.leaves + 1, ..root };
                self.send(attestor.account(), QosCall::submit_root { epoch, quality, snapshot: root });
            }
            1 => self.report_contradiction(epoch),
            2..=10 => self.attest_all(epoch),
            _ => {
                let Some((attestor, _)) = self.attestor(epoch) else { return };
                self.send_root(epoch, attestor);
            }
        }
    }

    /// An attestor of an epoch with its root.
    fn attestor(&mut self, epoch: QosEpoch) -> Option<(NodeId, Root)> {
        let round = self.rounds.get(&epoch)?;
        let attestors = round.attestors();
        let missing: Vec<NodeId> =
            attestors.iter().filter(|attestor| Qos::attestation(epoch, **attestor).is_none()).copied().collect();
        let choices = if missing.is_empty() || self.dice.once_in(8) { attestors } else { missing };
        let attestor = self.dice.pick(&choices)?;
        Some((attestor, self.rounds.get(&epoch)?.root(&attestor)))
    }

    fn send_root(&mut self, epoch: QosEpoch, attestor: NodeId) {
        let Some(round) = self.rounds.get(&epoch) else { return };
        let quality = round.root(&attestor);
        let snapshot = if self.dice.once_in(12) { Root::default() } else { round.snapshot() };
        self.send(attestor.account(), QosCall::submit_root { epoch, quality, snapshot });
    }

    /// All who haven't sent their roots.
    fn attest_all(&mut self, epoch: QosEpoch) {
        let attestors = self.rounds.get(&epoch).map(|round| round.attestors()).unwrap_or_default();
        for attestor in attestors {
            if Qos::attestation(epoch, attestor).is_none() {
                self.send_root(epoch, attestor);
            }
        }
    }

    fn report_contradiction(&mut self, epoch: QosEpoch) {
        let Some((attestor, root)) = self.attestor(epoch) else { return };
        let genesis = Nodes::genesis_hash();
        let stated = |snapshot: Root| {
            let payload = RootStatement { attestor, epoch, quality: root, snapshot };
            Signed { payload, signature: self.actors.key(&attestor).sign_hash(&payload.signing_hash(&genesis)) }
        };
        let second = stated(Root { leaves: 1, ..Root::default() });
        let against_chain = Qos::attestation(epoch, attestor).is_some();
        let evidence = if against_chain {
            RootEquivocation::AgainstChain(second)
        } else {
            RootEquivocation::Statements { first: stated(Root::default()), second }
        };
        let who = self.anyone();
        self.send(who, QosCall::report_equivocation { evidence: Box::new(evidence) });
    }

    fn report_omission(&mut self, epoch: QosEpoch) {
        let epoch = QosEpoch(epoch.0.saturating_sub(self.dice.below(20)));
        let Some(round) = self.rounds.get(&epoch) else { return };
        let Some((attestor, node)) = self.dice.pick(&round.omissions()) else { return };
        let Some(evidence) = round.omission(&attestor, &node) else { return };
        let who = self.anyone();
        self.send(who, QosCall::report_omission { epoch, attestor, node, evidence: Box::new(evidence) });
    }
}
