//! A registration that goes on under another key.

use crate::{Config, Error, Event, NodeInfo, OnNodeRemoved, Pallet, Parameters, Successors, Unbonding};
use chroom_primitives::{NodeId, NodeStatus};
use sp_runtime::DispatchResult;

impl<T: Config> Pallet<T> {
    /// The node whose stake answers for what `node` signed: its successor, if its key was rotated, or itself. A node isn't rotated
    /// again before its predecessor is withdrawn, so one step leads there.
    pub(crate) fn bearer(node: &NodeId) -> NodeId {
        Successors::<T>::get(node).unwrap_or(*node)
    }

    /// Hands the registration of `node` over to `successor`, whose key agreed to it.
    pub(crate) fn do_rotate_key(node: NodeId, before: NodeInfo, successor: NodeId) -> DispatchResult {
        let deposit = Parameters::<T>::get().deposit;
        let key_epoch = before.key_epoch.checked_add(1).ok_or(Error::<T>::Overflow)?;
        Self::spend_key_proof_nonce(successor)?;
        Self::hold_deposit(&before.owner, deposit)?;
        let until = Self::unbonding_end(&node, &before);
        let after =
            NodeInfo { deposit, registered_at: Self::now(), key_epoch, predecessor: Some(node), ..before.clone() };
        let retired = NodeInfo { status: NodeStatus::Unbonding, bond: 0, until, ..before.clone() };
        // The old one first, so that it makes room in a full list of registry nodes.
        Self::replace(node, Some(before), Some(retired))?;
        Self::replace(successor, None, Some(after))?;
        Self::put_unbonding(successor, Unbonding::<T>::take(node));
        Successors::<T>::insert(node, successor);
        T::OnRemoved::rotated(&node, &successor);
        Self::deposit_event(Event::KeyRotated { node, successor, key_epoch, until });
        Ok(())
    }
}
