//! What holds between any two calls.

use crate::{
    ActiveMediaWeight, ActiveNodes, ActiveRegistries, Config, HoldReason, KeyProofNonces, NodeInfo, Nodes, OwnedNodes,
    Pallet, Parameters, Successors, TermsHistory, Unbonding, bond,
};
use alloc::collections::{BTreeMap, BTreeSet};
use chroom_primitives::{AccountId, Balance, NodeId, NodeStatus, Role};
use frame_support::{ensure, traits::fungible::InspectHold};
use sp_runtime::TryRuntimeError;

type Checked = Result<(), TryRuntimeError>;

impl<T: Config> Pallet<T> {
    /// Checks that counters, indices, holds and links agree with the registrations.
    pub fn do_try_state() -> Checked {
        ensure!(Parameters::<T>::get().is_valid(), "the parameters are out of range");
        for (node, info) in Nodes::<T>::iter() {
            Self::check_node(&node, &info)?;
            Self::check_terms(&node, &info)?;
        }
        Self::check_counters()?;
        Self::check_indices()?;
        Self::check_holds()?;
        Self::check_links()
    }

    fn check_node(node: &NodeId, info: &NodeInfo) -> Checked {
        ensure!(OwnedNodes::<T>::contains_key(&info.owner, node), "a node is missing in its owner's index");
        ensure!(KeyProofNonces::<T>::get(node) > 0, "a registered node has no nonce");
        ensure!(info.endpoint.is_well_formed() && info.cell.is_plausible(), "a node's attributes are malformed");
        ensure!(!(info.status.is_member() && info.is_jailed(Self::now())), "a node in service serves a sentence");
        if info.status == NodeStatus::Unbonding {
            ensure!(info.until >= info.jailed_until, "a node may be withdrawn before its sentence is over");
            let chunks = Unbonding::<T>::get(node);
            ensure!(chunks.iter().all(|chunk| chunk.until <= info.until), "a node may be withdrawn before its bond");
        } else {
            ensure!(info.until == 0, "a node that is not unbonding may be withdrawn");
        }
        Ok(())
    }

    fn check_terms(node: &NodeId, info: &NodeInfo) -> Checked {
        let history = TermsHistory::<T>::get(node);
        ensure!(history.windows(2).all(|w| matches!(w, [a, b] if a.from < b.from)), "terms are out of order");
        ensure!((info.role == Role::Media) != history.is_empty(), "media nodes have terms, others have none");
        if let Some(last) = history.last() {
            ensure!(
                (last.weight, last.price_per_gib) == (info.media_weight(), info.price_per_gib),
                "the newest terms differ from the registration"
            );
        }
        Ok(())
    }

    fn check_counters() -> Checked {
        let mut active: BTreeMap<u8, u32> = BTreeMap::new();
        let mut registries = BTreeSet::new();
        let mut weight = 0u64;
        let mut nodes = 0u32;
        for (node, info) in Nodes::<T>::iter() {
            nodes += 1;
            weight += u64::from(info.media_weight());
            if info.status == NodeStatus::Active {
                *active.entry(info.role as u8).or_default() += 1;
                if info.role == Role::Registry {
                    registries.insert(node);
                }
            }
        }
        ensure!(Nodes::<T>::count() == nodes, "the count of nodes is wrong");
        for role in Role::ALL {
            let counted = active.get(&(role as u8)).copied().unwrap_or_default();
            ensure!(ActiveNodes::<T>::get(role) == counted, "the count of active nodes of a role is wrong");
        }
        ensure!(ActiveMediaWeight::<T>::get() == weight, "the weight of active media nodes is wrong");
        ensure!(
            ActiveRegistries::<T>::get().into_iter().eq(registries),
            "the list of active registry nodes is wrong or out of order"
        );
        Ok(())
    }

    fn check_indices() -> Checked {
        let nodes = Nodes::<T>::count();
        ensure!(OwnedNodes::<T>::iter().count() as u32 == nodes, "the owners' index names a node that is gone");
        ensure!(TermsHistory::<T>::iter_keys().all(Nodes::<T>::contains_key), "terms of a node that is gone");
        for (node, chunks) in Unbonding::<T>::iter() {
            ensure!(Nodes::<T>::contains_key(node), "a part of the bond of a node that is gone");
            ensure!(!chunks.is_empty() && chunks.iter().all(|chunk| chunk.amount > 0), "an empty part of a bond");
        }
        Ok(())
    }

    fn check_holds() -> Checked {
        let mut held: BTreeMap<AccountId, (Balance, Balance)> = BTreeMap::new();
        for (node, info) in Nodes::<T>::iter() {
            let (bonds, deposits) = held.entry(info.owner.clone()).or_default();
            *bonds += info.bond + bond::sum(&Unbonding::<T>::get(node));
            *deposits += info.deposit;
        }
        for (owner, (bonds, deposits)) in held {
            let on_hold = |reason: HoldReason| T::Currency::balance_on_hold(&reason.into(), &owner);
            ensure!(on_hold(HoldReason::Bond) == bonds, "an owner's hold differs from the bonds of its nodes");
            ensure!(on_hold(HoldReason::Deposit) == deposits, "an owner's hold differs from its nodes' deposits");
        }
        Ok(())
    }

    fn check_links() -> Checked {
        for (node, successor) in Successors::<T>::iter() {
            let old = Nodes::<T>::get(node).ok_or("a predecessor is gone")?;
            let new = Nodes::<T>::get(successor).ok_or("a successor is gone")?;
            ensure!(new.predecessor == Some(node), "a successor doesn't know its predecessor");
            ensure!((&old.owner, old.role) == (&new.owner, new.role), "a rotation changed owner or role");
            ensure!(old.key_epoch.checked_add(1) == Some(new.key_epoch), "a rotation skipped a key epoch");
            ensure!(old.status == NodeStatus::Unbonding, "a predecessor is not unbonding");
            ensure!(Self::stake(&node, &old) == 0, "a predecessor has kept a bond");
            ensure!(new.jailed_until <= old.jailed_until, "a predecessor's sentence is shorter than its successor's");
        }
        let heirs = Nodes::<T>::iter_values().filter(|info| info.predecessor.is_some()).count();
        ensure!(Successors::<T>::iter_keys().count() == heirs, "a predecessor doesn't know its successor");
        Ok(())
    }
}
