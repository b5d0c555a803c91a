//! What the calls have in common: who may do what, and the one place where a registration changes.

use crate::{
    ActiveMediaWeight, ActiveNodes, ActiveRegistries, Config, Error, Event, Generation, NodeInfo, Nodes, OwnedNodes,
    Pallet, RegistrySet, TermsHistory,
};
use alloc::vec::Vec;
use chroom_primitives::{AccountId, Hash, NodeId, NodeStatus, Role, record::Registration};
use frame_support::ensure;
use sp_runtime::{DispatchResult, SaturatedConversion, traits::Zero};

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

    /// All registered nodes in the order of storage, from the one after `after` on, at most `limit` and never more than 1,000.
    pub fn registrations(after: Option<NodeId>, limit: u32) -> Vec<Registration> {
        let nodes = match after {
            Some(node) => Nodes::<T>::iter_from(Nodes::<T>::hashed_key_for(node)),
            None => Nodes::<T>::iter(),
        };
        nodes.take(limit.min(PAGE) as usize).map(|(node, info)| info.registration(node)).collect()
    }

    /// The account that bonded for `node`.
    pub fn owner(node: &NodeId) -> Option<AccountId> {
        Nodes::<T>::get(node).map(|info| info.owner)
    }
}

/// What the calls are made of.
impl<T: Config> Pallet<T> {
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

    /// Replaces a registration by one whose status or sentence differs, and says so.
    pub(crate) fn change_status(node: NodeId, before: NodeInfo, after: NodeInfo) -> DispatchResult {
        let status = after.status;
        let until = match status {
            NodeStatus::Unbonding => after.until,
            NodeStatus::Jailed => after.jailed_until,
            NodeStatus::Active | NodeStatus::Draining => 0,
        };
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
}
