//! Punishment: slashing and jail.

use crate::{Config, Discipline, Event, NodeInfo, Nodes, Pallet, Parameters};
use chroom_primitives::{AccountId, Balance, NodeId, NodeStatus, pool::OnBondSlashed};
use frame_support::traits::Imbalance;
use sp_runtime::Perbill;

impl<T: Config> Discipline for Pallet<T> {
    fn slash(node: &NodeId, share: Perbill, reporter: Option<&AccountId>) -> Balance {
        let bearer = Self::bearer(node);
        let Some(before) = Nodes::<T>::get(bearer) else { return 0 };
        let parameters = Parameters::<T>::get();
        let (credit, after) = Self::take_stake(bearer, &before, share);
        let amount = credit.peek();
        let burnt = Self::share_out(credit, reporter, &parameters);
        // Cannot fail: a slash neither lists a registry node nor adds terms.
        let _ = Self::replace(bearer, Some(before), Some(after));
        Self::deposit_event(Event::Slashed { node: bearer, amount, burnt, reporter: reporter.cloned() });
        Self::jail(node, parameters.jail_period);
        T::OnSlashed::bond_slashed(&bearer, share, reporter);
        if bearer != *node {
            // Who bonded to the old key answers for it too.
            T::OnSlashed::bond_slashed(node, share, reporter);
        }
        amount
    }

    fn jail(node: &NodeId, blocks: u32) -> bool {
        let until = Self::now().saturating_add(blocks);
        let bearer = Self::bearer(node);
        let Some(before) = Nodes::<T>::get(bearer) else { return false };
        if let Some(predecessor) = before.predecessor
            && let Some(before) = Nodes::<T>::get(predecessor)
        {
            Self::sentence(predecessor, before, until);
        }
        let served = before.status.is_member();
        Self::sentence(bearer, before, until);
        served
    }
}

impl<T: Config> Pallet<T> {
    /// Jails a node until block `until`; of two sentences the longer counts. A node that left is not put back into jail: it can be withdrawn and
    /// claim no earlier.
    fn sentence(node: NodeId, before: NodeInfo, until: u32) {
        let jailed_until = before.jailed_until.max(until);
        let after = match before.status {
            NodeStatus::Unbonding => NodeInfo { jailed_until, until: before.until.max(jailed_until), ..before.clone() },
            _ => NodeInfo { jailed_until, status: NodeStatus::Jailed, ..before.clone() },
        };
        if after != before {
            // Cannot fail: it takes nodes off lists only.
            let _ = Self::change_status(node, before, after);
        }
    }
}
