//! What attestors are punished for.

use crate::{
    Attestation, Attestations, Config, Epochs, Error, Event, OnEpoch, Pallet, SentRoots, Standing, types::EpochState,
};
use chroom_primitives::{
    AccountId, Balance, NodeId, QosEpoch, Role,
    evidence::{LeafOmission, RootEquivocation},
};
use frame_support::{
    dispatch::{DispatchResultWithPostInfo, Pays},
    ensure,
};
use pallet_chroom_nodes::{Discipline, Nodes};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_report_equivocation(
        reporter: AccountId,
        evidence: &RootEquivocation,
    ) -> DispatchResultWithPostInfo {
        let genesis = pallet_chroom_nodes::Pallet::<T>::genesis_hash();
        let statement = evidence.statement(&genesis).ok_or(Error::<T>::InvalidEvidence)?;
        let (epoch, attestor) = (statement.epoch, statement.attestor);
        let state = Epochs::<T>::get(epoch).ok_or(Error::<T>::UnknownEpoch)?;
        let place = Self::place(&state, &attestor).ok_or(Error::<T>::NotAttestor)?;
        let attestation = Attestations::<T>::get(epoch, attestor).unwrap_or_default();
        if matches!(evidence, RootEquivocation::AgainstChain(_)) {
            let sent = attestation.roots.ok_or(Error::<T>::NoRoot)?;
            let stated = SentRoots { quality: statement.quality, snapshot: statement.snapshot };
            ensure!(sent != stated, Error::<T>::InvalidEvidence);
        }
        Self::ensure_unpunished(&attestation)?;
        let slashed = Self::punish(epoch, place, attestor, attestation, Some(reporter));
        // Who shows what costs nobody anything pays for the space.
        let pays = if slashed > 0 { Pays::No } else { Pays::Yes };
        Ok(pays.into())
    }

    pub(crate) fn do_report_omission(
        reporter: AccountId,
        epoch: QosEpoch,
        attestor: NodeId,
        node: NodeId,
        evidence: &LeafOmission,
    ) -> DispatchResultWithPostInfo {
        let state = Epochs::<T>::get(epoch).ok_or(Error::<T>::UnknownEpoch)?;
        ensure!(Self::was_measured(epoch, &state, &node), Error::<T>::NotMeasured);
        let seat = Self::seats(&state, &node).into_iter().find(|seat| seat.attestor == attestor);
        let place = seat.ok_or(Error::<T>::NotDrawn)?.place;
        let attestation = Attestations::<T>::get(epoch, attestor).unwrap_or_default();
        let roots = attestation.roots.ok_or(Error::<T>::NoRoot)?;
        ensure!(attestation.standing == Standing::Good, Error::<T>::EvidenceSpent);
        ensure!(evidence.holds(&roots.quality, epoch, &attestor, &node), Error::<T>::InvalidEvidence);
        Attestations::<T>::insert(epoch, attestor, Attestation { standing: Standing::Forfeited, ..attestation });
        T::OnEpoch::forfeited(epoch, place, &attestor);
        Self::deposit_event(Event::NodeOmitted { epoch, attestor, node, reporter });
        Ok(Pays::No.into())
    }

    /// Whether attestors could know, when the epoch began, that they had to attest `node`.
    fn was_measured(epoch: QosEpoch, state: &EpochState, node: &NodeId) -> bool {
        let registered =
            Nodes::<T>::get(node).is_some_and(|info| info.role == Role::Media && info.registered_at < state.started_at);
        registered && pallet_chroom_nodes::Pallet::<T>::terms(node, epoch).is_some()
    }

    pub(crate) fn ensure_unpunished(attestation: &Attestation) -> Result<(), Error<T>> {
        ensure!(attestation.standing < Standing::Equivocated, Error::<T>::EvidenceSpent);
        Ok(())
    }

    /// Slashes an attestor for having more than one root, and takes its earnings of the epoch. Returns what its bond lost.
    pub(crate) fn punish(
        epoch: QosEpoch,
        place: u32,
        attestor: NodeId,
        attestation: Attestation,
        reporter: Option<AccountId>,
    ) -> Balance {
        Attestations::<T>::insert(epoch, attestor, Attestation { standing: Standing::Equivocated, ..attestation });
        if attestation.standing == Standing::Good {
            T::OnEpoch::forfeited(epoch, place, &attestor);
        }
        let share = pallet_chroom_nodes::Parameters::<T>::get().equivocation_slash;
        let slashed = <pallet_chroom_nodes::Pallet<T> as Discipline>::slash(&attestor, share, reporter.as_ref());
        Self::deposit_event(Event::RootEquivocated { epoch, attestor, slashed, reporter });
        slashed
    }
}
