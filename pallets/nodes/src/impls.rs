//! The pallet's logic.

use crate::{
    ActiveMediaWeight, ActiveNodes, ActiveRegistries, Config, Discipline, EpochClock, Error, Event, Generation,
    GenesisNode, HoldReason, KeyProofNonces, NodeInfo, Nodes, OwnedNodes, Pallet, Parameters, RegistrySet, Terms,
    TermsHistory, types::MAX_PRICE_PER_GIB,
};
use alloc::vec::Vec;
use chroom_primitives::{
    AccountId, Balance, EthereumSignature, Hash, NodeId, NodeStatus, QosEpoch, Role, Signed,
    record::{KeyProof, Registration},
};
use frame_support::{
    ensure,
    traits::{
        Get, Imbalance, OnUnbalanced,
        fungible::{Balanced, BalancedHold, MutateHold},
        tokens::Precision,
    },
};
use sp_runtime::{DispatchError, DispatchResult, Perbill, SaturatedConversion, traits::Zero};

/// Most registrations that [`Pallet::registrations`] returns at once.
const PAGE: u32 = 1_000;

/// What other pallets and the runtime's API read.
impl<T: Config> Pallet<T> {
    /// The number of the current block.
    pub fn now() -> u32 {
        frame_system::Pallet::<T>::block_number().saturated_into()
    }

    /// The hash of the genesis block, which all signatures of nodes cover.
    pub fn genesis_hash() -> Hash {
        frame_system::Pallet::<T>::block_hash(frame_system::pallet_prelude::BlockNumberFor::<T>::zero())
    }

    /// One registered node.
    pub fn registration(node: NodeId) -> Option<Registration> {
        Nodes::<T>::get(node).map(|info| info.registration(node))
    }

    /// All registered nodes in the order of storage, from the one after `after` on, at most `limit` and never more than 1,000.
    pub fn registrations(after: Option<NodeId>, limit: u32) -> Vec<Registration> {
        let nodes = match after {
            Some(node) => Nodes::<T>::iter_from(Nodes::<T>::hashed_key_for(node)),
            None => Nodes::<T>::iter(),
        };
        nodes.take(limit.min(PAGE) as usize).map(|(node, info)| info.registration(node)).collect()
    }

    /// The nonce that the next key proof of `node` must carry.
    pub fn key_proof_nonce(node: NodeId) -> u32 {
        KeyProofNonces::<T>::get(node)
    }

    /// The nodes of an owner.
    pub fn nodes_of(owner: &AccountId) -> Vec<NodeId> {
        OwnedNodes::<T>::iter_key_prefix(owner).collect()
    }

    /// The account that bonded for `node`.
    pub fn owner(node: &NodeId) -> Option<AccountId> {
        Nodes::<T>::get(node).map(|info| info.owner)
    }

    /// The terms on which a media node served in `epoch`; `None` if it was not registered then.
    pub fn terms(node: &NodeId, epoch: QosEpoch) -> Option<Terms> {
        TermsHistory::<T>::get(node).into_iter().rev().find(|terms| terms.from <= epoch)
    }
}

/// What the calls are made of.
impl<T: Config> Pallet<T> {
    pub(crate) fn check_key_proof(proof: KeyProof, signature: EthereumSignature) -> Result<(), Error<T>> {
        let now = Self::now();
        ensure!(proof.expires_at >= now, Error::<T>::KeyProofExpired);
        ensure!(proof.expires_at <= now.saturating_add(T::KeyProofLifetime::get()), Error::<T>::KeyProofTooLong);
        let node = proof.node;
        let signer = Signed { payload: proof, signature }.signer(&Self::genesis_hash());
        ensure!(signer == Some(node), Error::<T>::InvalidKeyProof);
        Ok(())
    }

    pub(crate) fn check_attributes(info: &NodeInfo) -> Result<(), Error<T>> {
        ensure!(info.endpoint.is_well_formed(), Error::<T>::InvalidEndpoint);
        ensure!(info.cell.is_plausible(), Error::<T>::InvalidCell);
        let highest = if info.role == Role::Media { MAX_PRICE_PER_GIB } else { 0 };
        ensure!(info.price_per_gib <= highest, Error::<T>::InvalidPrice);
        let minimum = Parameters::<T>::get().minimum_bond(info.role, info.class);
        ensure!(info.bond >= minimum, Error::<T>::BondTooLow);
        Ok(())
    }

    pub(crate) fn do_register(node: NodeId, info: NodeInfo) -> DispatchResult {
        Self::check_attributes(&info)?;
        let (owner, role, bond) = (info.owner.clone(), info.role, info.bond);
        let nonce = KeyProofNonces::<T>::get(node).checked_add(1).ok_or(Error::<T>::Overflow)?;
        KeyProofNonces::<T>::insert(node, nonce);
        Self::hold(&owner, bond)?;
        Self::replace(node, None, Some(info))?;
        Self::deposit_event(Event::Registered { node, owner, role, bond });
        Ok(())
    }

    pub(crate) fn register_at_genesis(genesis: &GenesisNode) -> DispatchResult {
        ensure!(!Nodes::<T>::contains_key(genesis.node), Error::<T>::AlreadyRegistered);
        let bond = Parameters::<T>::get().minimum_bond(genesis.role, genesis.class);
        let info = NodeInfo {
            owner: genesis.owner.clone(),
            role: genesis.role,
            status: NodeStatus::Active,
            class: genesis.class,
            cell: genesis.cell,
            endpoint: genesis.endpoint.clone(),
            bond,
            price_per_gib: genesis.price_per_gib,
            registered_at: 0,
            until: 0,
        };
        Self::do_register(genesis.node, info)
    }

    /// The node, if `who` owns it.
    pub(crate) fn owned(who: &AccountId, node: &NodeId) -> Result<NodeInfo, Error<T>> {
        let info = Nodes::<T>::get(node).ok_or(Error::<T>::NotRegistered)?;
        ensure!(info.owner == *who, Error::<T>::NotOwner);
        Ok(info)
    }

    /// The node, if `who` owns it or is it.
    pub(crate) fn controlled(who: &AccountId, node: &NodeId) -> Result<NodeInfo, Error<T>> {
        let info = Nodes::<T>::get(node).ok_or(Error::<T>::NotRegistered)?;
        ensure!(info.owner == *who || node.account() == *who, Error::<T>::NotOwnerOrNode);
        Ok(info)
    }

    pub(crate) fn hold(owner: &AccountId, amount: Balance) -> DispatchResult {
        T::Currency::hold(&HoldReason::Bond.into(), owner, amount)
    }

    pub(crate) fn release(owner: &AccountId, amount: Balance) -> Result<Balance, DispatchError> {
        T::Currency::release(&HoldReason::Bond.into(), owner, amount, Precision::Exact)
    }

    pub(crate) fn change_status(node: NodeId, before: NodeInfo, status: NodeStatus, until: u32) -> DispatchResult {
        let after = NodeInfo { status, until, ..before.clone() };
        Self::replace(node, Some(before), Some(after))?;
        Self::deposit_event(Event::StatusChanged { node, status, until });
        Ok(())
    }

    /// The one place where a registration changes: keeps counters, indices and histories in step with it.
    pub(crate) fn replace(node: NodeId, before: Option<NodeInfo>, after: Option<NodeInfo>) -> DispatchResult {
        Self::count(&before, &after);
        Self::list_registry(node, &before, &after)?;
        match (before, after) {
            (_, Some(after)) => {
                if after.role == Role::Media {
                    Self::record_terms(node, &after)?;
                }
                OwnedNodes::<T>::insert(&after.owner, node, ());
                Nodes::<T>::insert(node, after);
            }
            (Some(before), None) => {
                TermsHistory::<T>::remove(node);
                OwnedNodes::<T>::remove(&before.owner, node);
                Nodes::<T>::remove(node);
            }
            (None, None) => {}
        }
        Generation::<T>::mutate(|generation| *generation = generation.saturating_add(1));
        Ok(())
    }

    fn count(before: &Option<NodeInfo>, after: &Option<NodeInfo>) {
        let active = |info: &Option<NodeInfo>| info.as_ref().filter(|i| i.status == NodeStatus::Active).map(|i| i.role);
        let weight = |info: &Option<NodeInfo>| info.as_ref().map_or(0, |i| u64::from(i.media_weight()));
        if active(before) != active(after) {
            if let Some(role) = active(before) {
                ActiveNodes::<T>::mutate(role, |count| *count = count.saturating_sub(1));
            }
            if let Some(role) = active(after) {
                ActiveNodes::<T>::mutate(role, |count| *count = count.saturating_add(1));
            }
        }
        if weight(before) != weight(after) {
            ActiveMediaWeight::<T>::mutate(|total| {
                *total = total.saturating_sub(weight(before)).saturating_add(weight(after));
            });
        }
    }

    fn list_registry(node: NodeId, before: &Option<NodeInfo>, after: &Option<NodeInfo>) -> DispatchResult {
        let listed = |info: &Option<NodeInfo>| {
            info.as_ref().is_some_and(|i| i.role == Role::Registry && i.status == NodeStatus::Active)
        };
        if listed(before) == listed(after) {
            return Ok(());
        }
        ActiveRegistries::<T>::try_mutate(|list| match (list.binary_search(&node), listed(after)) {
            (Err(place), true) => list.try_insert(place, node).map_err(|_| Error::<T>::TooManyRegistries),
            (Ok(place), false) => {
                list.remove(place);
                Ok(())
            }
            _ => Ok(()),
        })?;
        RegistrySet::<T>::mutate(|set| *set = set.wrapping_add(1));
        Ok(())
    }

    /// Notes the terms of a media node for the epochs to come, and forgets those that no remembered epoch needs.
    fn record_terms(node: NodeId, info: &NodeInfo) -> DispatchResult {
        let current = T::Epochs::current();
        // What genesis sets holds in the first epoch already: it begins after.
        let from = if Self::now() == 0 { current } else { current.next() };
        let terms = Terms { from, weight: info.media_weight(), price_per_gib: info.price_per_gib };
        TermsHistory::<T>::try_mutate(node, |history| {
            if history.is_empty() && from > current {
                // The node may be used at once, at its price, but has no share of this epoch's subsidy.
                history.try_push(Terms { from: current, weight: 0, ..terms }).map_err(|_| Error::<T>::Overflow)?;
            }
            match history.last_mut() {
                Some(last) if last.from == from => *last = terms,
                Some(last) if (last.weight, last.price_per_gib) == (terms.weight, terms.price_per_gib) => {}
                _ => {
                    let oldest = QosEpoch(current.0.saturating_sub(T::EpochRing::get()));
                    while history.get(1).is_some_and(|second| second.from <= oldest) {
                        history.remove(0);
                    }
                    history.try_push(terms).map_err(|_| Error::<T>::Overflow)?;
                }
            }
            Ok(())
        })
    }
}

impl<T: Config> Discipline for Pallet<T> {
    fn slash(node: &NodeId, share: Perbill, reporter: Option<&AccountId>) -> Balance {
        let Some(before) = Nodes::<T>::get(node) else { return 0 };
        let parameters = Parameters::<T>::get();
        let (credit, _) = T::Currency::slash(&HoldReason::Bond.into(), &before.owner, share.mul_floor(before.bond));
        let amount = credit.peek();
        let mut rest = credit;
        if let Some(reporter) = reporter {
            let (bounty, remainder) = rest.split(parameters.reporter_share.mul_floor(amount));
            // A reporter whose account cannot be credited has no bounty; dropping it burns it.
            let _ = T::Currency::resolve(reporter, bounty);
            rest = remainder;
        }
        T::Slashed::on_unbalanced(rest);
        let after = NodeInfo { bond: before.bond.saturating_sub(amount), ..before.clone() };
        // Cannot fail: a slash neither lists a registry node nor adds terms.
        let _ = Self::replace(*node, Some(before), Some(after));
        Self::deposit_event(Event::Slashed { node: *node, amount, reporter: reporter.cloned() });
        Self::jail(node, parameters.jail_period);
        amount
    }

    fn jail(node: &NodeId, blocks: u32) -> bool {
        let Some(before) = Nodes::<T>::get(node) else { return false };
        let until = Self::now().saturating_add(blocks);
        match before.status {
            NodeStatus::Active | NodeStatus::Draining => {
                Self::change_status(*node, before, NodeStatus::Jailed, until).is_ok()
            }
            // Already out of service: the longer of the two periods counts.
            NodeStatus::Jailed | NodeStatus::Unbonding => {
                let (status, until) = (before.status, before.until.max(until));
                let _ = Self::change_status(*node, before, status, until);
                false
            }
        }
    }
}

#[cfg(any(feature = "std", feature = "try-runtime"))]
impl<T: Config> Pallet<T> {
    /// Checks that counters, indices and holds agree with the registrations.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        use alloc::collections::{BTreeMap, BTreeSet};
        use frame_support::traits::fungible::InspectHold;

        let mut active: BTreeMap<u8, u32> = BTreeMap::new();
        let mut bonds: BTreeMap<AccountId, Balance> = BTreeMap::new();
        let mut registries = BTreeSet::new();
        let mut weight = 0u64;
        let mut nodes = 0u32;
        for (node, info) in Nodes::<T>::iter() {
            nodes += 1;
            if info.status == NodeStatus::Active {
                *active.entry(info.role as u8).or_default() += 1;
                if info.role == Role::Registry {
                    registries.insert(node);
                }
            }
            weight += u64::from(info.media_weight());
            *bonds.entry(info.owner.clone()).or_default() += info.bond;
            ensure!(OwnedNodes::<T>::contains_key(&info.owner, node), "a node is missing in its owner's index");
            ensure!(KeyProofNonces::<T>::get(node) > 0, "a registered node has no nonce");
            ensure!(info.endpoint.is_well_formed() && info.cell.is_plausible(), "a node's attributes are malformed");
            let history = TermsHistory::<T>::get(node);
            ensure!(history.windows(2).all(|w| matches!(w, [a, b] if a.from < b.from)), "terms are out of order");
            ensure!((info.role == Role::Media) != history.is_empty(), "media nodes have terms, others have none");
            if let Some(last) = history.last() {
                ensure!(
                    (last.weight, last.price_per_gib) == (info.media_weight(), info.price_per_gib),
                    "the newest terms differ from the registration"
                );
            }
        }
        ensure!(Nodes::<T>::count() == nodes, "the count of nodes is wrong");
        ensure!(OwnedNodes::<T>::iter().count() as u32 == nodes, "the owners' index names a node that is gone");
        ensure!(TermsHistory::<T>::iter_keys().all(Nodes::<T>::contains_key), "terms of a node that is gone");
        for role in Role::ALL {
            let counted = active.get(&(role as u8)).copied().unwrap_or_default();
            ensure!(ActiveNodes::<T>::get(role) == counted, "the count of active nodes of a role is wrong");
        }
        ensure!(ActiveMediaWeight::<T>::get() == weight, "the weight of active media nodes is wrong");
        ensure!(
            ActiveRegistries::<T>::get().into_iter().eq(registries),
            "the list of active registry nodes is wrong or out of order"
        );
        for (owner, bond) in bonds {
            ensure!(
                T::Currency::balance_on_hold(&HoldReason::Bond.into(), &owner) == bond,
                "an owner's hold differs from the bonds of its nodes"
            );
        }
        Ok(())
    }
}
