//! The pallet's logic.

use crate::{
    AttestorSets, ClearFrom, Config, CurrentEpoch, EpochParameters, EpochState, Epochs, Error, Event, OnEpoch, Pallet,
    Parameters, Roots, WeightInfo,
};
use alloc::vec::Vec;
use chroom_primitives::{Hash, NodeId, QosEpoch, Role, committee::draw, epoch::EpochInfo, merkle::Root};
use codec::Encode;
use frame_support::{
    ensure,
    traits::{Get, Randomness, Time},
    weights::Weight,
};
use pallet_chroom_nodes::{ActiveMediaWeight, ActiveRegistries, EpochClock, Nodes, RegistrySet};

/// What other pallets and the runtime's API read.
impl<T: Config> Pallet<T> {
    /// What is known of the current epoch.
    pub fn epoch_info() -> EpochInfo {
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

    /// The committee of `node` in `epoch`, in the order of the draw; empty when the epoch is not remembered.
    pub fn committee(epoch: QosEpoch, node: NodeId) -> Vec<NodeId> {
        let Some(state) = Epochs::<T>::get(epoch) else { return Vec::new() };
        let Some(set) = AttestorSets::<T>::get(state.attestor_set) else { return Vec::new() };
        members(&state, &set, &node)
    }

    /// The registered media nodes that `attestor` was drawn for in `epoch`. Looks at all nodes: for the API only.
    pub fn assignments(epoch: QosEpoch, attestor: NodeId) -> Vec<NodeId> {
        let Some(state) = Epochs::<T>::get(epoch) else { return Vec::new() };
        let Some(set) = AttestorSets::<T>::get(state.attestor_set) else { return Vec::new() };
        if set.binary_search(&attestor).is_err() {
            return Vec::new();
        }
        let mut assigned: Vec<NodeId> = Nodes::<T>::iter()
            .filter(|(node, info)| {
                info.role == Role::Media && pallet_chroom_nodes::Pallet::<T>::terms(node, epoch).is_some()
            })
            .map(|(node, _)| node)
            .filter(|node| members(&state, &set, node).contains(&attestor))
            .collect();
        assigned.sort_unstable();
        assigned
    }

    /// The root that `attestor` sent for `epoch`.
    pub fn attestation(epoch: QosEpoch, attestor: NodeId) -> Option<Root> {
        Roots::<T>::get(epoch, attestor)
    }

    /// Whether no more roots can come in for `epoch`.
    pub fn window_closed(epoch: QosEpoch) -> bool {
        let current = CurrentEpoch::<T>::get();
        if current <= epoch {
            return false;
        }
        if current > epoch.next() {
            return true;
        }
        Epochs::<T>::get(current).is_some_and(|state| Self::now() >= Self::window_end(&state))
    }

    fn now() -> u32 {
        pallet_chroom_nodes::Pallet::<T>::now()
    }

    /// First block after the submit window at the beginning of the epoch with this `state`.
    fn window_end(state: &EpochState) -> u32 {
        state.started_at.saturating_add(Parameters::<T>::get().submit_window)
    }

    /// The state of `epoch` if roots are taken for it now.
    pub(crate) fn open_epoch(epoch: QosEpoch) -> Result<EpochState, Error<T>> {
        let current = CurrentEpoch::<T>::get();
        ensure!(current.previous() == Some(epoch), Error::<T>::WrongEpoch);
        ensure!(!Self::window_closed(epoch), Error::<T>::WindowClosed);
        Epochs::<T>::get(epoch).ok_or(Error::<T>::WrongEpoch)
    }

    pub(crate) fn is_attestor(state: &EpochState, node: &NodeId) -> bool {
        AttestorSets::<T>::get(state.attestor_set).is_some_and(|set| set.binary_search(node).is_ok())
    }
}

fn members(state: &EpochState, set: &[NodeId], node: &NodeId) -> Vec<NodeId> {
    draw(&state.seed, node, state.attestors, state.committee_size)
        .into_iter()
        .filter_map(|index| set.get(index as usize).copied())
        .collect()
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
        weight.saturating_add(Self::clear_roots(&parameters))
    }

    fn start_epoch(epoch: QosEpoch, now: u32, parameters: &EpochParameters) -> Weight {
        let attestor_set = RegistrySet::<T>::get();
        let attestors = ActiveRegistries::<T>::decode_len().unwrap_or_default() as u32;
        if !AttestorSets::<T>::contains_key(attestor_set) {
            AttestorSets::<T>::insert(attestor_set, ActiveRegistries::<T>::get());
        }
        let media_weight = ActiveMediaWeight::<T>::get();
        // The subject binds the seed to the epoch, as the randomness below may stay the same for several.
        let (seed, _) = <T as Config>::Randomness::random(&(b"chroom/qos-committee", epoch).encode());
        let state = EpochState {
            started_at: now,
            started_ms: 0,
            seed: Hash::from(seed),
            attestor_set,
            attestors,
            committee_size: parameters.committee_size,
            media_weight,
            roots: 0,
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
            AttestorSets::<T>::remove(state.attestor_set);
        }
        T::OnEpoch::dropped(epoch);
    }

    /// Clears roots of forgotten epochs, so many per block that an epoch's are gone within an epoch.
    fn clear_roots(parameters: &EpochParameters) -> Weight {
        let from = ClearFrom::<T>::get();
        if from.0.saturating_add(T::EpochRing::get()) > CurrentEpoch::<T>::get().0 {
            return <T as Config>::WeightInfo::block(0);
        }
        // One block more per epoch goes by for finding that nothing is left.
        let limit = T::MaxRegistries::get().div_ceil(parameters.length.saturating_sub(1).max(1)).max(1);
        let cleared = Roots::<T>::clear_prefix(from, limit, None);
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
        use alloc::collections::{BTreeMap, BTreeSet};
        let parameters = Parameters::<T>::get();
        ensure!(parameters.is_valid(), "the parameters are out of range");
        let current = CurrentEpoch::<T>::get();
        let now = Self::now();
        let mut sets = BTreeSet::new();
        let mut sent: BTreeMap<QosEpoch, u32> = BTreeMap::new();
        for (epoch, attestor, _) in Roots::<T>::iter() {
            if let Some(state) = Epochs::<T>::get(epoch) {
                ensure!(Self::is_attestor(&state, &attestor), "a root of a node that is no attestor");
            } else {
                ensure!(epoch >= ClearFrom::<T>::get(), "a root of an epoch that was cleared");
            }
            *sent.entry(epoch).or_default() += 1;
        }
        for (epoch, state) in Epochs::<T>::iter() {
            ensure!(epoch <= current && epoch.0 + T::EpochRing::get() > current.0, "an epoch outside of the ring");
            ensure!(state.started_at == epoch.0 * parameters.length + 1, "an epoch's first block is wrong");
            ensure!(state.started_ms > 0 || state.started_at == now, "an epoch's start time is missing");
            let set = AttestorSets::<T>::get(state.attestor_set).ok_or("an epoch's attestor set is missing")?;
            ensure!(set.len() as u32 == state.attestors, "an epoch's number of attestors is wrong");
            ensure!(set.windows(2).all(|w| matches!(w, [a, b] if a < b)), "an attestor set is out of order");
            ensure!(sent.get(&epoch).copied().unwrap_or_default() == state.roots, "an epoch's count of roots is wrong");
            sets.insert(state.attestor_set);
        }
        ensure!(AttestorSets::<T>::iter_keys().all(|set| sets.contains(&set)), "an attestor set that no epoch has");
        if now > 0 {
            let remembered = (current.0 + 1).min(T::EpochRing::get());
            ensure!(Epochs::<T>::iter_keys().count() as u32 == remembered, "an epoch of the ring is missing");
        }
        Ok(())
    }
}
