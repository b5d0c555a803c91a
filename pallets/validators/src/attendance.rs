//! Who is there: blocks authored in a session, and what it costs to author none.

use crate::{
    ActiveEra, Candidate, Candidates, Config, Event, Pallet, Parameters, Points, Sentences, SessionPoints, TotalPoints,
    WeightInfo,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use frame_support::dispatch::DispatchClass;
use frame_system::pallet_prelude::BlockNumberFor;
use pallet_session::SessionInterface;
use sp_staking::SessionIndex;

impl<T: Config> Pallet<T> {
    /// Notes who authored nothing in a session that ended; who did so too often in a row does not stand for election any
    /// more.
    ///
    /// The measure is the session's blocks per validator, not its slots: slots that passed while the whole network stood
    /// still are nobody's fault. Nor is it anyone's when more than a third is away at once, which looks the same from
    /// here as a split network; then no absence counts.
    pub(crate) fn note_attendance(session: SessionIndex) {
        let parameters = Parameters::<T>::get();
        let authored: BTreeMap<T::AccountId, u32> = SessionPoints::<T>::drain().collect();
        let blocks = authored.values().fold(0u32, |sum, points| sum.saturating_add(*points));
        let validators = <T::Session as SessionInterface>::validators();
        let expected = blocks.checked_div(validators.len() as u32).unwrap_or_default();
        // Offenders are kept from authoring, and have lost their seats anyway.
        let serving: Vec<T::AccountId> =
            validators.into_iter().filter(|who| !Sentences::<T>::contains_key(who)).collect();
        let (present, absent): (Vec<&T::AccountId>, Vec<&T::AccountId>) =
            serving.iter().partition(|who| authored.contains_key(*who));
        for who in present {
            if let Some(candidate) = Candidates::<T>::get(who).filter(|candidate| candidate.absences > 0) {
                Candidates::<T>::insert(who, Candidate { absences: 0, ..candidate });
            }
        }
        if absent.is_empty()
            || expected < parameters.minimum_expected_blocks
            || absent.len().saturating_mul(3) > serving.len()
        {
            return;
        }

        let mut eligible: BTreeSet<T::AccountId> = Self::eligible(&parameters).map(|(who, _)| who).collect();
        for who in absent {
            let Some(mut candidate) = Candidates::<T>::get(who).filter(|candidate| candidate.active) else { continue };
            candidate.absences = candidate.absences.saturating_add(1);
            let absences = candidate.absences;
            Self::deposit_event(Event::Absent { who: who.clone(), session, absences });
            let spare = eligible.len() as u32 > parameters.minimum_validators || !eligible.contains(who);
            if absences >= parameters.absences_until_chill && spare {
                eligible.remove(who);
                Self::set_standing(&mut candidate, false);
                Self::deposit_event(Event::Chilled { who: who.clone(), session });
            }
            Candidates::<T>::insert(who, candidate);
        }
    }
}

impl<T: Config> pallet_authorship::EventHandler<T::AccountId, BlockNumberFor<T>> for Pallet<T> {
    fn note_author(author: T::AccountId) {
        let era = ActiveEra::<T>::get().index;
        Points::<T>::mutate(era, &author, |points| *points = points.saturating_add(1));
        TotalPoints::<T>::mutate(era, |points| *points = points.saturating_add(1));
        SessionPoints::<T>::mutate(&author, |points| *points = points.saturating_add(1));
        // pallet-authorship says that its hook weighs nothing.
        frame_system::Pallet::<T>::register_extra_weight_unchecked(
            <T as Config>::WeightInfo::note_author(),
            DispatchClass::Mandatory,
        );
    }
}
