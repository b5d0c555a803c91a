//! Elections, and the turn of sessions and eras.

use crate::pay::HISTORY;
use crate::{
    ActiveEra, Candidates, Config, Era, EraParameters, Event, Exposures, OldestSession, Pallet, Parameters, PlannedEra,
    Slashes, Unbonding,
};
use alloc::vec::Vec;
use chroom_primitives::Balance;
use frame_support::traits::{Get, ValidatorRegistration};
use pallet_session::SessionInterface;
use sp_runtime::traits::Convert;
use sp_staking::SessionIndex;

/// Sessions whose offences are forgotten at once: more than one, so that a shortened unbonding period is caught up with.
const FORGOTTEN_AT_ONCE: u32 = 8;

impl<T: Config> Pallet<T> {
    /// Those who can be elected, with their bonds.
    pub(crate) fn eligible(parameters: &EraParameters) -> impl Iterator<Item = (T::AccountId, Balance)> {
        let minimum = parameters.minimum_bond;
        Candidates::<T>::iter()
            .filter(move |(who, candidate)| {
                candidate.active && candidate.bond >= minimum && T::Session::is_registered(who)
            })
            .map(|(who, candidate)| (who, candidate.bond))
    }

    /// Elects the validators of the era that begins with `first_session`, if there are enough candidates.
    fn elect(index: u32, first_session: SessionIndex) -> Option<Vec<(T::AccountId, Balance)>> {
        let parameters = Parameters::<T>::get();
        let mut eligible: Vec<(T::AccountId, Balance)> = Self::eligible(&parameters).collect();
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

    /// Lets the validators of the last era serve another one, with the bonds that they were elected with, so that eras, and
    /// with them pay and unbonding, go on without an election.
    fn retain(last: Era, first_session: SessionIndex) {
        let index = last.index.saturating_add(1);
        let free_from = Self::free_from(index);
        let validators: Vec<(T::AccountId, Balance)> = Exposures::<T>::iter_prefix(last.index).collect();
        for (who, exposure) in &validators {
            Exposures::<T>::insert(index, who, exposure);
            // What stands for the exposure and is on its way back stays slashable for as long as its owner serves.
            if Candidates::<T>::get(who).is_none_or(|candidate| candidate.bond < *exposure) {
                Unbonding::<T>::mutate_exists(who, |slot| {
                    for chunk in slot.iter_mut().flat_map(|chunks| chunks.iter_mut()) {
                        chunk.free_from = chunk.free_from.max(free_from);
                    }
                });
            }
        }
        PlannedEra::<T>::put(Era { index, first_session });
        Self::deposit_event(Event::Retained { era: index, validators: validators.len() as u32 });
    }

    /// The validators of session `session` if it begins with others than those in office.
    fn plan(session: SessionIndex) -> Option<Vec<(T::AccountId, Balance)>> {
        let Some(planned) = PlannedEra::<T>::get() else { return Self::elect(0, session) };
        let due = planned.first_session.saturating_add(Parameters::<T>::get().sessions_per_era);
        if session < due {
            return None;
        }
        let elected = Self::elect(planned.index.saturating_add(1), session);
        if elected.is_none() {
            Self::retain(planned, session);
        }
        elected
    }

    fn begin(session: SessionIndex) {
        if session == 0 {
            Self::check_founders();
        }
        if let Some(planned) = PlannedEra::<T>::get().filter(|planned| planned.first_session == session) {
            let ended = ActiveEra::<T>::get().index;
            ActiveEra::<T>::put(planned);
            Self::deposit_event(Event::EraStarted { era: planned.index });
            // What expired is shared out once more, so it goes first.
            Self::forget_eras(planned.index);
            if planned.index > ended {
                Self::reward_era(ended);
            }
        }
        Self::keep_disabled();
    }

    /// Refuses a genesis whose validators were not elected: pallet-session would let everybody with keys validate, without
    /// bond, era or slash.
    fn check_founders() {
        assert!(
            PlannedEra::<T>::exists()
                || (Candidates::<T>::count() == 0 && <T::Session as SessionInterface>::validators().is_empty()),
            "the genesis needs validators.minimumValidators in validators.validators, with keys in session.keys"
        );
    }

    fn end(session: SessionIndex) {
        Self::note_attendance(session);
        Self::forget_sessions(session);
    }

    /// Forgets sessions that nobody can be reported for any more.
    fn forget_sessions(session: SessionIndex) {
        let parameters = Parameters::<T>::get();
        let kept = parameters.unbonding_eras.saturating_add(HISTORY).saturating_mul(parameters.sessions_per_era);
        let Some(end) = session.checked_sub(kept) else { return };
        T::Session::prune_up_to(end);
        let mut oldest = OldestSession::<T>::get();
        for _ in 0..FORGOTTEN_AT_ONCE {
            if oldest >= end {
                break;
            }
            let _ = Slashes::<T>::clear_prefix(oldest, T::MaxCandidates::get(), None);
            oldest = oldest.saturating_add(1);
        }
        OldestSession::<T>::put(oldest);
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
        Self::end(end_index);
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
        Self::end(end_index);
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
