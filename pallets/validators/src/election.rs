//! Elections, eras, and what validators did in them.

use crate::{
    ActiveEra, Candidates, Config, Era, Event, Exposures, Pallet, Parameters, PlannedEra, Points, Slashes, TotalPoints,
};
use alloc::vec::Vec;
use chroom_primitives::Balance;
use frame_support::traits::{Get, ValidatorRegistration};
use frame_system::pallet_prelude::BlockNumberFor;
use pallet_session::SessionInterface;
use sp_runtime::traits::Convert;
use sp_staking::SessionIndex;

/// Eras that remain readable after the one in office, beyond the unbonding period.
const HISTORY: u32 = 2;

impl<T: Config> Pallet<T> {
    /// Elects the validators of the era that begins with `first_session`, if there are enough candidates.
    fn elect(index: u32, first_session: SessionIndex) -> Option<Vec<(T::AccountId, Balance)>> {
        let parameters = Parameters::<T>::get();
        let mut eligible: Vec<(T::AccountId, Balance)> = Candidates::<T>::iter()
            .filter(|(who, candidate)| {
                candidate.active && candidate.bond >= parameters.minimum_bond && T::Session::is_registered(who)
            })
            .map(|(who, candidate)| (who, candidate.bond))
            .collect();
        let candidates = eligible.len() as u32;
        if candidates < parameters.minimum_validators.max(1) {
            Self::deposit_event(Event::ElectionFailed { candidates });
            return None;
        }
        // The highest bonds first; of equal ones the lower account, so that every node finds the same order.
        eligible.sort_by(|(who_a, bond_a), (who_b, bond_b)| bond_b.cmp(bond_a).then_with(|| who_a.cmp(who_b)));
        eligible.truncate(parameters.validators as usize);
        for (who, bond) in &eligible {
            Exposures::<T>::insert(index, who, bond);
        }
        PlannedEra::<T>::put(Era { index, first_session });
        Self::deposit_event(Event::Elected { era: index, validators: eligible.len() as u32 });
        Some(eligible)
    }

    /// The validators of session `session` if an era begins with it, otherwise nothing: those in office stay.
    fn plan(session: SessionIndex) -> Option<Vec<(T::AccountId, Balance)>> {
        match PlannedEra::<T>::get() {
            None => Self::elect(0, session),
            Some(planned) => {
                let due = planned.first_session.saturating_add(Parameters::<T>::get().sessions_per_era);
                if session >= due { Self::elect(planned.index.saturating_add(1), session) } else { None }
            }
        }
    }

    fn begin(session: SessionIndex) {
        let Some(planned) = PlannedEra::<T>::get().filter(|planned| planned.first_session == session) else { return };
        ActiveEra::<T>::put(planned);
        Self::deposit_event(Event::EraStarted { era: planned.index });
        let kept = Parameters::<T>::get().unbonding_eras.saturating_add(HISTORY);
        if let Some(old) = planned.index.checked_sub(kept) {
            // Each era has at most the elected validators' entries.
            let limit = crate::EraParameters::MAX_VALIDATORS;
            let _ = Exposures::<T>::clear_prefix(old, limit, None);
            let _ = Points::<T>::clear_prefix(old, limit, None);
            TotalPoints::<T>::remove(old);
        }
    }

    /// Forgets the session that nobody can be reported for any more.
    fn forget(session: SessionIndex) {
        let parameters = Parameters::<T>::get();
        let kept = parameters.unbonding_eras.saturating_add(HISTORY).saturating_mul(parameters.sessions_per_era);
        if let Some(old) = session.checked_sub(kept) {
            T::Session::prune_up_to(old);
            let _ = Slashes::<T>::clear_prefix(old, T::MaxCandidates::get(), None);
        }
    }

    /// Sessions within which an offence can be reported.
    pub fn reporting_sessions() -> SessionIndex {
        let parameters = Parameters::<T>::get();
        parameters.unbonding_eras.max(1).saturating_mul(parameters.sessions_per_era)
    }
}

impl<T: Config> pallet_session::SessionManager<T::AccountId> for Pallet<T> {
    fn new_session(new_index: SessionIndex) -> Option<Vec<T::AccountId>> {
        Self::plan(new_index).map(|elected| elected.into_iter().map(|(who, _)| who).collect())
    }

    fn start_session(start_index: SessionIndex) {
        Self::begin(start_index);
    }

    fn end_session(end_index: SessionIndex) {
        Self::forget(end_index);
    }
}

impl<T: Config> pallet_session::historical::SessionManager<T::AccountId, Balance> for Pallet<T> {
    fn new_session(new_index: SessionIndex) -> Option<Vec<(T::AccountId, Balance)>> {
        Self::plan(new_index)
    }

    fn start_session(start_index: SessionIndex) {
        Self::begin(start_index);
    }

    fn end_session(end_index: SessionIndex) {
        Self::forget(end_index);
    }
}

impl<T: Config> pallet_authorship::EventHandler<T::AccountId, BlockNumberFor<T>> for Pallet<T> {
    fn note_author(author: T::AccountId) {
        let era = ActiveEra::<T>::get().index;
        Points::<T>::mutate(era, &author, |points| *points = points.saturating_add(1));
        TotalPoints::<T>::mutate(era, |points| *points = points.saturating_add(1));
    }
}

/// The bond with which an account was elected into the era in office: what identifies a validator besides its account.
///
/// It does not move within an era, as the historical session roots require.
pub struct ExposureOf<T>(core::marker::PhantomData<T>);

impl<T: Config> Convert<T::AccountId, Option<Balance>> for ExposureOf<T> {
    fn convert(who: T::AccountId) -> Option<Balance> {
        Exposures::<T>::get(ActiveEra::<T>::get().index, who)
    }
}
