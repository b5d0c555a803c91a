//! The pallet's logic.

use crate::{
    Attestations, AttestorSets, ClearFrom, Config, CurrentEpoch, EpochParameters, EpochState, Epochs, Error, Event,
    OnEpoch, Pallet, Parameters, SentRoots, WeightInfo, attestors::seats,
};
use alloc::vec::Vec;
use chroom_primitives::{
    Hash, NodeId, QosEpoch, Role,
    anchor::SnapshotVotes,
    epoch::{EpochInfo, EpochPhase},
};
use codec::Encode;
use frame_support::{
    dispatch::{DispatchResultWithPostInfo, Pays, PostDispatchInfo},
    ensure,
    traits::{Get, Randomness, Time},
    weights::Weight,
};
use pallet_chroom_nodes::{ActiveMediaWeight, ActiveRegistries, EpochClock, Nodes, RegistrySet};

/// What other pallets and the runtime's API read.
impl<T: Config> Pallet<T> {
    pub(crate) fn current_info() -> EpochInfo {
        let current = CurrentEpoch::<T>::get();
        let EpochParameters { length, submit_window, committee_size } = Parameters::<T>::get();
        let state = Epochs::<T>::get(current);
        EpochInfo {
            current,
            // Before the first block there is no state yet.
            started_at: state.as_ref().map_or(1, |s| s.started_at),
            started_ms: state.as_ref().map_or(0, |s| s.started_ms),
            length,
            submit_window,
            committee_size,
        }
    }

    /// Unix time in milliseconds of the first block of `epoch`, while it is remembered.
    pub fn epoch_start_ms(epoch: QosEpoch) -> Option<u64> {
        Epochs::<T>::get(epoch).map(|state| state.started_ms).filter(|ms| *ms > 0)
    }

    pub(crate) fn phase_of(epoch: QosEpoch) -> EpochPhase {
        let now = Self::now();
        // Before the first block no epoch has begun.
        if now == 0 || epoch > CurrentEpoch::<T>::get() {
            return EpochPhase::Future;
        }
        match Epochs::<T>::get(epoch) {
            None => EpochPhase::Expired,
            Some(state) if !state.is_over(now) => EpochPhase::Open,
            Some(state) if !state.is_closed(now) => EpochPhase::Submit,
            Some(_) => EpochPhase::Claim,
        }
    }

    pub(crate) fn committee_of(epoch: QosEpoch, node: NodeId) -> Vec<NodeId> {
        let Some(state) = Epochs::<T>::get(epoch) else { return Vec::new() };
        Self::seats(&state, &node).into_iter().map(|seat| seat.attestor).collect()
    }

    /// The registered media nodes that `attestor` was drawn for in `epoch`. Looks at all nodes: for the API only.
    pub fn assignments(epoch: QosEpoch, attestor: NodeId) -> Vec<NodeId> {
        let Some(state) = Epochs::<T>::get(epoch) else { return Vec::new() };
        let Some(set) = Self::read_set(state.attestor_set) else { return Vec::new() };
        if set.binary_search(&attestor).is_err() {
            return Vec::new();
        }
        let at = |place: u32| set.get(place as usize).copied();
        let mut assigned: Vec<NodeId> = Nodes::<T>::iter()
            .filter(|(node, info)| {
                info.role == Role::Media && pallet_chroom_nodes::Pallet::<T>::terms(node, epoch).is_some()
            })
            .map(|(node, _)| node)
            .filter(|node| seats(&state, node, at).iter().any(|seat| seat.attestor == attestor))
            .collect();
        assigned.sort_unstable();
        assigned
    }

    /// Whether no more roots can come in for `epoch`.
    pub fn window_closed(epoch: QosEpoch) -> bool {
        match Epochs::<T>::get(epoch) {
            Some(state) => state.is_closed(Self::now()),
            None => epoch < CurrentEpoch::<T>::get(),
        }
    }

    fn now() -> u32 {
        pallet_chroom_nodes::Pallet::<T>::now()
    }

    /// The state of `epoch` if roots are taken for it now.
    fn open_epoch(epoch: QosEpoch) -> Result<EpochState, Error<T>> {
        let state = Epochs::<T>::get(epoch).ok_or(Error::<T>::WrongEpoch)?;
        let now = Self::now();
        let length = state.ends_at.saturating_sub(state.started_at);
        ensure!(state.is_over(now) && now < state.ends_at.saturating_add(length), Error::<T>::WrongEpoch);
        ensure!(!state.is_closed(now), Error::<T>::WindowClosed);
        Ok(state)
    }
}

/// What attestors do.
impl<T: Config> Pallet<T> {
    pub(crate) fn do_submit_root(epoch: QosEpoch, attestor: NodeId, roots: SentRoots) -> DispatchResultWithPostInfo {
        let state = Self::open_epoch(epoch)?;
        let place = Self::place(&state, &attestor).ok_or(Error::<T>::NotAttestor)?;
        let mut attestation = Attestations::<T>::get(epoch, attestor).unwrap_or_default();
        match attestation.roots {
            Some(sent) if sent == roots => return Err(Error::<T>::AlreadySubmitted.into()),
            Some(_) => {
                Self::ensure_unpunished(&attestation)?;
                Self::punish(epoch, place, attestor, attestation, None);
                return Ok(().into());
            }
            None => attestation.roots = Some(roots),
        }
        Attestations::<T>::insert(epoch, attestor, attestation);
        let SentRoots { quality, snapshot } = roots;
        Self::deposit_event(Event::RootSubmitted { epoch, attestor, quality, snapshot });
        T::Snapshots::vote(epoch, attestor, state.attestors, snapshot);
        let weight = <T as Config>::WeightInfo::submit_root(state.attestors);
        Ok(PostDispatchInfo { actual_weight: Some(weight), pays_fee: Pays::No })
    }
}

/// What the hooks do.
impl<T: Config> Pallet<T> {
    pub(crate) fn begin_block() -> Weight {
        let now = Self::now();
        let parameters = Parameters::<T>::get();
        let mut weight = Weight::zero();
        if let Some(elapsed) = now.checked_sub(1)
            && elapsed % parameters.length.max(1) == 0
        {
            weight = Self::start_epoch(QosEpoch(elapsed / parameters.length.max(1)), now, &parameters);
        }
        weight.saturating_add(Self::clear_attestations(&parameters))
    }

    fn start_epoch(epoch: QosEpoch, now: u32, parameters: &EpochParameters) -> Weight {
        let attestor_set = RegistrySet::<T>::get();
        let attestors = ActiveRegistries::<T>::decode_len().unwrap_or_default() as u32;
        if !AttestorSets::<T>::contains_key(attestor_set) {
            Self::write_set(attestor_set, &ActiveRegistries::<T>::get());
        }
        let media_weight = ActiveMediaWeight::<T>::get();
        // The subject binds the seed to the epoch, as the randomness below may stay the same for several.
        let (seed, _) = <T as Config>::Randomness::random(&(b"chroom/qos-committee", epoch).encode());
        let state = EpochState {
            started_at: now,
            ends_at: now.saturating_add(parameters.length),
            closes_at: now.saturating_add(parameters.length).saturating_add(parameters.submit_window),
            started_ms: 0,
            seed: Hash::from(seed),
            attestor_set,
            attestors,
            committee_size: parameters.committee_size,
            media_weight,
        };
        Epochs::<T>::insert(epoch, state);
        CurrentEpoch::<T>::put(epoch);
        if let Some(old) = epoch.0.checked_sub(T::EpochRing::get()) {
            Self::drop_epoch(QosEpoch(old));
        }
        T::OnEpoch::started(epoch);
        Self::deposit_event(Event::EpochStarted { epoch, attestors, media_weight });
        <T as Config>::WeightInfo::start_epoch(attestors)
    }

    fn drop_epoch(epoch: QosEpoch) {
        let Some(state) = Epochs::<T>::take(epoch) else { return };
        let next_set = Epochs::<T>::get(epoch.next()).map(|next| next.attestor_set);
        if next_set != Some(state.attestor_set) {
            Self::remove_set(state.attestor_set);
        }
        T::OnEpoch::dropped(epoch);
    }

    /// Clears attestations of forgotten epochs, so many per block that an epoch's are gone within an epoch.
    fn clear_attestations(parameters: &EpochParameters) -> Weight {
        let from = ClearFrom::<T>::get();
        if from.0.saturating_add(T::EpochRing::get()) > CurrentEpoch::<T>::get().0 {
            return <T as Config>::WeightInfo::block(0);
        }
        // One block more per epoch goes by for finding that nothing is left.
        let limit = T::MaxRegistries::get().div_ceil(parameters.length.saturating_sub(1).max(1)).max(1);
        let cleared = Attestations::<T>::clear_prefix(from, limit, None);
        if cleared.maybe_cursor.is_none() {
            ClearFrom::<T>::put(from.next());
        }
        <T as Config>::WeightInfo::block(cleared.loops)
    }

    /// Notes the block's timestamp if the block is the current epoch's first.
    pub(crate) fn note_start_time() {
        let current = CurrentEpoch::<T>::get();
        let now = Self::now();
        Epochs::<T>::mutate_extant(current, |state| {
            if state.started_at == now {
                state.started_ms = <T as Config>::Time::now();
            }
        });
    }
}

impl<T: Config> EpochClock for Pallet<T> {
    fn current() -> QosEpoch {
        CurrentEpoch::<T>::get()
    }
}

#[cfg(any(feature = "std", feature = "try-runtime"))]
impl<T: Config> Pallet<T> {
    /// Checks that exactly the ring's epochs are remembered, with the attestor sets that they need.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        use crate::{AttestorPages, PAGE_ATTESTORS, Standing};
        use alloc::collections::BTreeSet;
        let parameters = Parameters::<T>::get();
        ensure!(parameters.is_valid(), "the parameters are out of range");
        let current = CurrentEpoch::<T>::get();
        let now = Self::now();
        let mut sets = BTreeSet::new();
        for (epoch, attestor, attestation) in Attestations::<T>::iter() {
            if let Some(state) = Epochs::<T>::get(epoch) {
                ensure!(Self::place(&state, &attestor).is_some(), "an attestation of a node that is no attestor");
            } else {
                ensure!(epoch >= ClearFrom::<T>::get(), "an attestation of an epoch that was cleared");
            }
            ensure!(attestation.roots.is_some() || attestation.standing > Standing::Good, "an attestation of nothing");
        }
        for (epoch, state) in Epochs::<T>::iter() {
            ensure!(epoch <= current && epoch.0 + T::EpochRing::get() > current.0, "an epoch outside of the ring");
            ensure!(state.started_at == epoch.0 * parameters.length + 1, "an epoch's first block is wrong");
            ensure!(state.ends_at == state.started_at + parameters.length, "an epoch's end is wrong");
            ensure!(state.closes_at == state.ends_at + parameters.submit_window, "an epoch's window is wrong");
            ensure!(state.started_ms > 0 || state.started_at == now, "an epoch's start time is missing");
            let set = Self::read_set(state.attestor_set).ok_or("an epoch's attestor set is missing")?;
            ensure!(set.len() as u32 == state.attestors, "an epoch's number of attestors is wrong");
            ensure!(set.windows(2).all(|w| matches!(w, [a, b] if a < b)), "an attestor set is out of order");
            sets.insert(state.attestor_set);
        }
        ensure!(AttestorSets::<T>::iter_keys().all(|set| sets.contains(&set)), "an attestor set that no epoch has");
        for (set, number, page) in AttestorPages::<T>::iter() {
            let index = AttestorSets::<T>::get(set).ok_or("a page of a set that is none")?;
            ensure!(
                index.get(number as usize) == page.first(),
                "a page begins with another attestor than its index says"
            );
            let last = number as usize + 1 == index.len();
            ensure!(last || page.len() as u32 == PAGE_ATTESTORS, "a page before the last is not full");
        }
        if now > 0 {
            let remembered = (current.0 + 1).min(T::EpochRing::get());
            ensure!(Epochs::<T>::iter_keys().count() as u32 == remembered, "an epoch of the ring is missing");
        }
        Ok(())
    }
}
