//! What an epoch emits, takes in and pays.

use crate::{ClaimTerms, Config, Event, Ledgers, Pallet, Parameters, impls::CurrencyOf};
use chroom_primitives::{AccountId, Balance, NodeId, QosEpoch};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
    BoundedVec,
    traits::{
        ConstU32, Get,
        fungible::{Inspect, Mutate},
        tokens::{Fortitude, Precision, Preservation},
    },
};
use pallet_chroom_qos::{EpochState, OnEpoch};
use scale_info::TypeInfo;
use sp_arithmetic::{Rounding, helpers_128bit::multiply_by_rational_with_rounding};

/// Most attestors that an epoch may have.
pub const MAX_ATTESTORS: u32 = 4_096;

/// The books of one epoch: one item, since each claim reads and writes them.
///
/// When the ring drops the epoch, `burn` is burnt and the rest of `left` goes back to the reserve: what was not earned, not claimed, not collected
/// or forfeited, the reserve's share of the fees, and what divisions left over.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct EpochLedger {
    /// Emission for media nodes' availability.
    pub media: Balance,
    /// Emission for attestors.
    pub attestors: Balance,
    /// The epoch's tokens in the pot: emission and fees, less what was paid.
    pub left: Balance,
    /// Part of `left` that will be burnt.
    pub burn: Balance,
    /// The terms of claims.
    pub terms: ClaimTerms,
    /// By place in the epoch's set of attestors: weight of the media nodes on whose median an attestor agreed and for which it was not
    /// paid yet. Places behind the end have 0.
    pub agreed: BoundedVec<u64, ConstU32<MAX_ATTESTORS>>,
}

impl EpochLedger {
    /// Notes that the attestor at `place` agreed on a node of this weight. `None` if there is no such place.
    pub fn agree(&mut self, place: u32, weight: u64) -> Option<()> {
        let place = place as usize;
        while self.agreed.len() <= place {
            self.agreed.try_push(0).ok()?;
        }
        let sum = self.agreed.get_mut(place)?;
        *sum = sum.checked_add(weight)?;
        Some(())
    }

    /// What the attestor at `place` has earned and not been paid: the attestors' part of the emission by the weight of the nodes that it
    /// agreed on, of all seats of all nodes.
    pub fn earned(&self, state: &EpochState, place: u32) -> Balance {
        let agreed = self.agreed.get(place as usize).copied().unwrap_or_default();
        let seats = Balance::from(state.media_weight).saturating_mul(state.seats().into());
        multiply_by_rational_with_rounding(self.attestors, agreed.into(), seats, Rounding::Down).unwrap_or_default()
    }

    /// Takes `amount` out of what is left. `None` if that is less, or would touch what is to be burnt.
    pub fn spend(&mut self, amount: Balance) -> Option<()> {
        self.left = self.left.checked_sub(amount).filter(|left| *left >= self.burn)?;
        Some(())
    }

    /// Forgets what the attestor at `place` agreed on.
    pub fn clear(&mut self, place: u32) {
        if let Some(agreed) = self.agreed.get_mut(place as usize) {
            *agreed = 0;
        }
    }
}

impl<T: Config> Pallet<T> {
    /// Moves `amount` out of the reserve; 0 if the account cannot take it.
    fn emit(to: &AccountId, amount: Balance) -> Balance {
        Self::transfer(&Self::reserve_account(), to, amount).map_or(0, |()| amount)
    }
}

impl<T: Config> OnEpoch for Pallet<T> {
    fn started(epoch: QosEpoch) {
        let parameters = Parameters::<T>::get();
        let emission = parameters.epoch_rate.mul_floor(Self::free_reserve()).min(parameters.epoch_cap);
        let attestors = parameters.attestor_share.mul_floor(emission);
        let validators = parameters.validator_share.mul_floor(emission);
        let treasury = parameters.treasury_share.mul_floor(emission);
        let nodes = emission.saturating_sub(validators).saturating_sub(treasury);
        let validators = Self::emit(&T::ValidatorPot::get(), validators);
        let treasury = Self::emit(&<T as Config>::Treasury::get(), treasury);
        // The pot is kept alive, so it takes any amount.
        let left = Self::emit(&Self::pot_account(), nodes);
        let attestors = attestors.min(left);
        let media = left.saturating_sub(attestors);
        let terms = ClaimTerms::from(&parameters);
        Ledgers::<T>::insert(epoch, EpochLedger { media, attestors, left, terms, ..Default::default() });
        Self::deposit_event(Event::Emitted { epoch, media, attestors, validators, treasury });
    }

    fn dropped(epoch: QosEpoch) {
        let Some(ledger) = Ledgers::<T>::take(epoch) else { return };
        let pot = Self::pot_account();
        let (keep, exact, polite) = (Preservation::Preserve, Precision::Exact, Fortitude::Polite);
        let burnt = match ledger.burn {
            0 => 0,
            burn => CurrencyOf::<T>::burn_from(&pot, burn, keep, exact, polite).unwrap_or_default(),
        };
        let rest = ledger.left.saturating_sub(ledger.burn);
        let returned = Self::transfer(&pot, &Self::reserve_account(), rest).map_or(0, |()| rest);
        Self::deposit_event(Event::LedgerClosed { epoch, burnt, returned });
    }

    fn forfeited(epoch: QosEpoch, place: u32, attestor: &NodeId) {
        let Some(state) = pallet_chroom_qos::Epochs::<T>::get(epoch) else { return };
        Ledgers::<T>::mutate_extant(epoch, |ledger| {
            let amount = ledger.earned(&state, place);
            ledger.clear(place);
            Self::deposit_event(Event::EarningsForfeited { epoch, attestor: *attestor, amount });
        });
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn prepare_worst_case(epoch: QosEpoch, attestors: u32) {
        crate::benchmarking::prepare_worst_case::<T>(epoch, attestors);
    }
}

impl<T: Config> Pallet<T> {
    /// What the reserve may emit: all but what keeps its account alive.
    pub fn free_reserve() -> Balance {
        CurrencyOf::<T>::balance(&Self::reserve_account()).saturating_sub(CurrencyOf::<T>::minimum_balance())
    }
}
