//! What an offence costs, and for how long an offender may not stand.

use crate::{Candidates, Config, Event, Pallet, Parameters, Sentences, Slashes, UnappliedSlash, WeightInfo};
use chroom_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    BoundedVec,
    traits::{Get, ValidatorSet},
    weights::Weight,
};
use pallet_session::SessionInterface;
use scale_info::TypeInfo;
use sp_runtime::Perbill;
use sp_staking::{
    SessionIndex,
    offence::{OffenceDetails, OffenceSeverity, OnOffenceHandler},
};

/// For how long an offender may not stand for election. It belongs to the account, whether that is a candidate or not, and
/// counts sessions, which go on whatever becomes of elections.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Sentence {
    /// First session in which it may stand again.
    pub until: SessionIndex,
    /// Slashes that it is for and that were not cancelled.
    pub offences: u32,
    /// The greatest part of an exposure that one of its offences costs: what becomes known while the sentence runs costs no more.
    pub severity: Perbill,
}

impl<T: Config> Pallet<T> {
    /// The session in office.
    pub(crate) fn session() -> SessionIndex {
        <T::Session as ValidatorSet<T::AccountId>>::session_index()
    }

    /// The sentence of an account, unless it is over.
    pub(crate) fn running_sentence(who: &T::AccountId) -> Option<Sentence> {
        Sentences::<T>::get(who).filter(|sentence| sentence.until > Self::session())
    }

    /// Sentences an offender, for one more slash or for more of one; gives the session in which it may stand again.
    fn condemn(who: &T::AccountId, severity: Perbill, another: bool) -> SessionIndex {
        let known = Self::running_sentence(who).unwrap_or_default();
        let until = Self::session().saturating_add(Parameters::<T>::get().sentence_sessions()).max(known.until);
        let offences = known.offences.saturating_add(another.into());
        Sentences::<T>::insert(who, Sentence { until, offences, severity: known.severity.max(severity) });
        Candidates::<T>::mutate_exists(who, |slot| {
            if let Some(candidate) = slot {
                Self::set_standing(candidate, false);
            }
        });
        until
    }

    /// Takes one slash out of an account's sentence, which ends with the last of them.
    pub(crate) fn pardon(who: &T::AccountId) {
        Sentences::<T>::mutate_exists(who, |slot| {
            let Some(sentence) = slot else { return };
            sentence.offences = sentence.offences.saturating_sub(1);
            if sentence.offences == 0 {
                *slot = None;
            }
        });
    }

    /// Disables the sentenced among the validators in office. pallet-session enables everybody with each new set, but an
    /// offender may have been elected for it before it was found out.
    pub(crate) fn keep_disabled() {
        if Sentences::<T>::count() == 0 {
            return;
        }
        for who in <T::Session as SessionInterface>::validators() {
            if let Some(sentence) = Self::running_sentence(&who) {
                T::Session::report_offence(who, OffenceSeverity(sentence.severity));
            }
        }
    }
}

impl<T: Config> OnOffenceHandler<T::AccountId, (T::AccountId, Balance), Weight> for Pallet<T> {
    fn on_offence(
        offenders: &[OffenceDetails<T::AccountId, (T::AccountId, Balance)>],
        slash_fraction: &[Perbill],
        session: SessionIndex,
    ) -> Weight {
        let floor = T::SlashFloor::get();
        let each = <T as Config>::WeightInfo::offence(<T::Session as SessionInterface>::validators().len() as u32);
        let mut weight = Weight::zero();
        for (details, fraction) in offenders.iter().zip(slash_fraction) {
            weight.saturating_accrue(each);
            let (who, exposure) = &details.offender;
            let fraction = (*fraction).max(floor);
            // Offenders that were reported before are given again whenever another one offends at the same time, since
            // that raises the price: they pay the difference.
            let mut record = Slashes::<T>::get(session, who);
            if fraction <= record.fraction {
                continue;
            }
            // What becomes known while a sentence runs costs no more than its worst: a validator whose keys are used twice offends on, in
            // each session and by each vote, until a set without it is in office.
            let charged = Self::running_sentence(who).map_or(Perbill::zero(), |sentence| sentence.severity);
            let charged = charged.max(record.fraction);
            record.fraction = fraction;
            if fraction <= charged {
                let jailed_until = Self::condemn(who, fraction, false);
                T::Session::report_offence(who.clone(), OffenceSeverity(charged));
                Self::deposit_event(Event::Offended { who: who.clone(), session, fraction, jailed_until });
                Slashes::<T>::insert(session, who, record);
                continue;
            }
            let amount = (fraction * *exposure).saturating_sub(charged * *exposure);
            let raised = record.queued.is_some_and(|key| Self::raise(key, fraction, amount));
            let jailed_until = Self::condemn(who, fraction, !raised);
            T::Session::report_offence(who.clone(), OffenceSeverity(fraction));
            Self::deposit_event(Event::Offended { who: who.clone(), session, fraction, jailed_until });
            if !raised {
                record.queued = Self::queue(UnappliedSlash {
                    validator: who.clone(),
                    session,
                    fraction,
                    exposure: *exposure,
                    amount,
                    reporters: BoundedVec::truncate_from(details.reporters.clone()),
                });
            }
            Slashes::<T>::insert(session, who, record);
        }
        weight
    }
}
