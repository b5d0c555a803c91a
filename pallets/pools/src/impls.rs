//! The pallet's logic, apart from the arithmetic of a pool.

use crate::{
    Config, Delegation, DelegationInfo, Delegations, Error, Event, NextPool, Pallet, Pool, PoolId, PoolOf, Pools,
    Rules, SlashShares,
};
use alloc::vec::Vec;
use chroom_primitives::{
    AccountId, Balance, NodeId, NodeStatus,
    pool::{NodePools, OnBondSlashed},
};
use frame_support::{
    defensive, ensure,
    storage::with_storage_layer,
    traits::{
        Get, Imbalance,
        fungible::{Balanced, Inspect, Mutate},
        tokens::{DepositConsequence, Fortitude, Precision, Preservation, Provenance},
    },
};
use pallet_chroom_nodes::{Nodes, OnNodeRemoved};
use sp_runtime::{
    DispatchResult, Perbill,
    traits::{AccountIdConversion, CheckedSub},
};

type CurrencyOf<T> = <T as pallet_chroom_nodes::Config>::Currency;

/// Most delegations that [`Pallet::delegations_of`] returns at once.
const PAGE: u32 = 1_000;

/// What others read.
impl<T: Config> Pallet<T> {
    /// The account that holds what is delegated and the rewards that are not collected, of all pools.
    pub fn account() -> AccountId {
        <T as Config>::PalletId::get().into_account_truncating()
    }

    /// The pool that serves `node`, which may be the id that the node had before its key changed.
    pub(crate) fn serving(node: &NodeId) -> Option<(PoolId, Pool)> {
        let id = PoolOf::<T>::get(node)?;
        let pool = Pools::<T>::get(id)?;
        pool.node.is_some().then_some((id, pool))
    }

    pub(crate) fn page_of_delegations(who: AccountId, after: Option<PoolId>, limit: u32) -> Vec<DelegationInfo> {
        let entries = match after {
            Some(pool) => {
                let key = Delegations::<T>::hashed_key_for(&who, pool);
                Delegations::<T>::iter_prefix_from(&who, key)
            }
            None => Delegations::<T>::iter_prefix(&who),
        };
        entries
            .take(limit.min(PAGE) as usize)
            .filter_map(|(id, delegation)| Pools::<T>::get(id).map(|pool| delegation.info(id, &pool)))
            .collect()
    }
}

/// What the calls do.
impl<T: Config> Pallet<T> {
    /// Issues what keeps the pallet's account alive when it holds nothing.
    pub(crate) fn endow() -> DispatchResult {
        CurrencyOf::<T>::mint_into(&Self::account(), CurrencyOf::<T>::minimum_balance())?;
        Ok(())
    }

    fn now() -> u32 {
        pallet_chroom_nodes::Pallet::<T>::now()
    }

    fn transfer(from: &AccountId, to: &AccountId, amount: Balance) -> DispatchResult {
        if amount > 0 {
            CurrencyOf::<T>::transfer(from, to, amount, Preservation::Preserve)?;
        }
        Ok(())
    }

    pub(crate) fn check_rules(rules: &Rules) -> Result<(), Error<T>> {
        let mut left = Perbill::one();
        for (index, beneficiary) in rules.beneficiaries.iter().enumerate() {
            ensure!(!beneficiary.share.is_zero(), Error::<T>::EmptyShare);
            left = left.checked_sub(&beneficiary.share).ok_or(Error::<T>::TooMuchShared)?;
            let mut earlier = rules.beneficiaries.iter().take(index);
            ensure!(earlier.all(|other| other.account != beneficiary.account), Error::<T>::DuplicateBeneficiary);
        }
        Ok(())
    }

    fn next_pool() -> Result<PoolId, Error<T>> {
        let id = NextPool::<T>::get();
        NextPool::<T>::put(id.checked_add(1).ok_or(Error::<T>::Overflow)?);
        Ok(id)
    }

    pub(crate) fn do_set_rules(sender: AccountId, node: NodeId, rules: Rules) -> DispatchResult {
        let owner = pallet_chroom_nodes::Pallet::<T>::owner(&node).ok_or(Error::<T>::NotRegistered)?;
        ensure!(sender == owner, Error::<T>::NotOwner);
        let (id, mut pool) = match Self::serving(&node) {
            Some(known) => known,
            None => {
                let id = Self::next_pool()?;
                PoolOf::<T>::insert(node, id);
                (id, Pool::new(node, Rules::default(), None))
            }
        };
        pool.set_rules(rules, Self::now(), <T as Config>::NoticePeriod::get());
        Pools::<T>::insert(id, &pool);
        Self::deposit_event(Event::RulesSet { node, pool: id, rules: pool.rules, raise: pool.raise });
        Ok(())
    }

    pub(crate) fn do_delegate(
        who: AccountId,
        node: NodeId,
        amount: Balance,
        max_commission: Perbill,
    ) -> DispatchResult {
        let info = Nodes::<T>::get(node).ok_or(Error::<T>::NotRegistered)?;
        ensure!(info.status.is_member(), Error::<T>::NotInService);
        let (id, mut pool) = Self::serving(&node).filter(|(_, pool)| pool.rules.open).ok_or(Error::<T>::Closed)?;
        ensure!(pool.highest_commission() <= max_commission, Error::<T>::CommissionTooHigh);
        ensure!(amount >= <T as Config>::MinDelegation::get(), Error::<T>::BelowMinimum);
        let mut delegation = match Delegations::<T>::get(&who, id) {
            Some(delegation) => delegation,
            None => {
                pool.delegators = pool.delegators.checked_add(1).ok_or(Error::<T>::Overflow)?;
                Delegation::new(&pool)
            }
        };
        delegation.settle(&pool);
        let issued = pool.issue(amount).ok_or(Error::<T>::Overflow)?;
        delegation.active_shares = delegation.active_shares.checked_add(issued).ok_or(Error::<T>::Overflow)?;
        Self::transfer(&who, &Self::account(), amount)?;
        Pools::<T>::insert(id, pool);
        Delegations::<T>::insert(&who, id, delegation);
        Self::deposit_event(Event::Delegated { node, pool: id, who, amount });
        Ok(())
    }

    /// A delegation with its rewards settled, and its pool.
    fn settled(who: &AccountId, id: PoolId) -> Result<(Pool, Delegation), Error<T>> {
        let mut delegation = Delegations::<T>::get(who, id).ok_or(Error::<T>::NoDelegation)?;
        let pool = Pools::<T>::get(id).ok_or(Error::<T>::NoDelegation)?;
        delegation.settle(&pool);
        Ok((pool, delegation))
    }

    /// First block in which may be withdrawn what leaves the pool of `node` now.
    fn free_from(node: Option<NodeId>) -> u32 {
        let now = Self::now();
        let Some(info) = node.and_then(Nodes::<T>::get) else { return now };
        let full = now.saturating_add(pallet_chroom_nodes::Parameters::<T>::get().unbonding_period);
        // Evidence can still come for as long as the node's own bond is held, and no longer.
        if info.status == NodeStatus::Unbonding { full.min(info.until) } else { full }
    }

    pub(crate) fn do_undelegate(who: AccountId, id: PoolId, amount: Balance) -> DispatchResult {
        let (mut pool, mut delegation) = Self::settled(&who, id)?;
        ensure!(amount > 0 && delegation.active_shares > 0, Error::<T>::NothingToUndelegate);
        let all = pool.worth(delegation.active_shares) <= amount;
        let shares = if all { delegation.active_shares } else { pool.shares_for(amount) };
        let rest = delegation.active_shares.saturating_sub(shares);
        ensure!(all || pool.worth(rest) >= <T as Config>::MinDelegation::get(), Error::<T>::RestBelowMinimum);
        delegation.active_shares = rest;
        delegation.leaving_shares = delegation.leaving_shares.checked_add(shares).ok_or(Error::<T>::Overflow)?;
        delegation.free_from = Self::free_from(pool.node);
        pool.active_shares = pool.active_shares.checked_sub(shares).ok_or(Error::<T>::Overflow)?;
        let (amount, free_from) = (pool.worth(shares), delegation.free_from);
        Pools::<T>::insert(id, pool);
        Delegations::<T>::insert(&who, id, delegation);
        Self::deposit_event(Event::Undelegated { pool: id, who, amount, free_from });
        Ok(())
    }

    pub(crate) fn do_withdraw(who: AccountId, id: PoolId) -> DispatchResult {
        let (mut pool, mut delegation) = Self::settled(&who, id)?;
        if pool.node.is_none() {
            pool.active_shares =
                pool.active_shares.checked_sub(delegation.active_shares).ok_or(Error::<T>::Overflow)?;
            let shares = core::mem::take(&mut delegation.active_shares);
            delegation.leaving_shares = delegation.leaving_shares.checked_add(shares).ok_or(Error::<T>::Overflow)?;
        } else {
            ensure!(delegation.leaving_shares > 0, Error::<T>::NothingLeaving);
            ensure!(Self::now() >= delegation.free_from, Error::<T>::StillLeaving);
        }
        let amount = pool.redeem(core::mem::take(&mut delegation.leaving_shares));
        let rewards = core::mem::take(&mut delegation.rewards);
        pool.rewards = pool.rewards.checked_sub(rewards).ok_or(Error::<T>::Overflow)?;
        Self::transfer(&Self::account(), &who, amount.checked_add(rewards).ok_or(Error::<T>::Overflow)?)?;
        if delegation.active_shares > 0 {
            Delegations::<T>::insert(&who, id, delegation);
            Pools::<T>::insert(id, pool);
        } else {
            Delegations::<T>::remove(&who, id);
            pool.delegators = pool.delegators.checked_sub(1).ok_or(Error::<T>::Overflow)?;
            Self::put_or_dissolve(id, pool)?;
        }
        Self::deposit_event(Event::Withdrawn { pool: id, who, amount, rewards });
        Ok(())
    }

    /// Stores a pool, or forgets it if it has neither delegators nor a node.
    fn put_or_dissolve(id: PoolId, mut pool: Pool) -> DispatchResult {
        if pool.delegators == 0 {
            // All rewards are paid out, so what is left of them are the fractions of units that were rounded off.
            let rounding = core::mem::take(&mut pool.rewards);
            if rounding > 0 {
                let account = Self::account();
                let (precision, force) = (Precision::Exact, Fortitude::Polite);
                CurrencyOf::<T>::burn_from(&account, rounding, Preservation::Preserve, precision, force)?;
            }
        }
        if pool.delegators == 0 && pool.node.is_none() {
            Pools::<T>::remove(id);
        } else {
            Pools::<T>::insert(id, pool);
        }
        Ok(())
    }

    pub(crate) fn do_collect(who: AccountId, id: PoolId) -> DispatchResult {
        let (mut pool, mut delegation) = Self::settled(&who, id)?;
        let amount = core::mem::take(&mut delegation.rewards);
        ensure!(amount > 0, Error::<T>::NothingToCollect);
        pool.rewards = pool.rewards.checked_sub(amount).ok_or(Error::<T>::Overflow)?;
        Self::transfer(&Self::account(), &who, amount)?;
        Pools::<T>::insert(id, pool);
        Delegations::<T>::insert(&who, id, delegation);
        Self::deposit_event(Event::Collected { pool: id, who, amount });
        Ok(())
    }
}

/// What other pallets have done.
impl<T: Config> Pallet<T> {
    /// Hands the pool of `node` over to `successor`, which took its bond over under a new key. `node` leads to the pool until it is removed,
    /// so that pay for its last epochs reaches the same delegators. Slashes reach them by the successor, whose bond it is that is
    /// taken for what either key signed.
    pub fn hand_over(node: &NodeId, successor: NodeId) {
        let Some((id, mut pool)) = Self::serving(node) else { return };
        pool.node = Some(successor);
        PoolOf::<T>::insert(successor, id);
        Pools::<T>::insert(id, pool);
        Self::deposit_event(Event::HandedOver { node: *node, successor, pool: id });
    }

    fn split_pay(node: &NodeId, owner: &AccountId, source: &AccountId, amount: Balance) -> DispatchResult {
        let Some((id, mut pool)) = Self::serving(node) else { return Self::transfer(source, owner, amount) };
        let commission = pool.commission(Self::now()).mul_floor(amount);
        let bond = pool.node.and_then(Nodes::<T>::get).map_or(0, |info| info.bond);
        let delegators = pool.earn(amount.saturating_sub(commission), bond).ok_or(Error::<T>::Overflow)?;
        if delegators > 0 {
            Self::transfer(source, &Self::account(), delegators)?;
            Pools::<T>::insert(id, &pool);
        }
        let owners = amount.saturating_sub(delegators);
        let mut beneficiaries: Balance = 0;
        for beneficiary in &pool.rules.beneficiaries {
            let part = beneficiary.share.mul_floor(owners);
            // Nobody's account may keep the others from being paid.
            if CurrencyOf::<T>::can_deposit(&beneficiary.account, part, Provenance::Extant)
                == DepositConsequence::Success
            {
                Self::transfer(source, &beneficiary.account, part)?;
                beneficiaries = beneficiaries.saturating_add(part);
            }
        }
        let rest = owners.saturating_sub(beneficiaries);
        Self::transfer(source, owner, rest)?;
        Self::deposit_event(Event::Paid { node: *node, pool: id, delegators, beneficiaries, owner: rest });
        Ok(())
    }

    /// Lets everybody out of a pool, which serves its node no longer.
    fn retire(node: NodeId, id: PoolId, mut pool: Pool) {
        pool.node = None;
        if Self::put_or_dissolve(id, pool).is_err() {
            defensive!("a pool without delegators holds no rewards");
        }
        Self::deposit_event(Event::Retired { node, pool: id });
    }
}

impl<T: Config> NodePools for Pallet<T> {
    fn pay(node: &NodeId, owner: &AccountId, source: &AccountId, amount: Balance) -> DispatchResult {
        with_storage_layer(|| Self::split_pay(node, owner, source, amount))
    }
}

impl<T: Config> OnBondSlashed for Pallet<T> {
    fn bond_slashed(node: &NodeId, share: Perbill, reporter: Option<&AccountId>) {
        // The bond is the node's that the pool serves; an id that it had before has none.
        let Some((id, mut pool)) = Self::serving(node).filter(|(_, pool)| pool.node == Some(*node)) else { return };
        let amount = pool.slash(share);
        if amount == 0 {
            return;
        }
        let (precision, keep, force) = (Precision::Exact, Preservation::Preserve, Fortitude::Polite);
        let Ok(mut credit) = CurrencyOf::<T>::withdraw(&Self::account(), amount, precision, keep, force) else {
            defensive!("the account holds what all pools have at stake");
            return;
        };
        let shares: SlashShares = <T as Config>::SlashShares::get();
        // An account that cannot take its part leaves it to be burnt, as is the rest.
        if let Some(reporter) = reporter {
            let _ = CurrencyOf::<T>::resolve(reporter, credit.extract(shares.reporter.mul_floor(amount)));
        }
        let _ = CurrencyOf::<T>::resolve(
            &<T as Config>::Treasury::get(),
            credit.extract(shares.treasury.mul_floor(amount)),
        );
        drop(credit);
        Self::deposit_event(Event::Slashed { node: *node, pool: id, amount, reporter: reporter.cloned() });
        if !pool.is_spent() {
            Pools::<T>::insert(id, pool);
            return;
        }
        // New shares cannot be measured by the old ones any more: the node goes on with an empty pool, and the old one waits for its
        // delegators to take what is left, and their rewards.
        match Self::next_pool() {
            Ok(next) => {
                PoolOf::<T>::insert(node, next);
                Pools::<T>::insert(next, Pool::new(*node, pool.rules.clone(), pool.raise));
            }
            Err(_) => PoolOf::<T>::remove(node),
        }
        Self::retire(*node, id, pool);
    }
}

impl<T: Config> OnNodeRemoved for Pallet<T> {
    fn removed(node: &NodeId) {
        let Some(id) = PoolOf::<T>::take(node) else { return };
        // A node that was succeeded by another leaves the pool to it.
        if let Some(pool) = Pools::<T>::get(id).filter(|pool| pool.node == Some(*node)) {
            Self::retire(*node, id, pool);
        }
    }

    fn rotated(node: &NodeId, successor: &NodeId) {
        Self::hand_over(node, *successor);
    }

    #[cfg(feature = "runtime-benchmarks")]
    fn prepare_worst_case(node: &NodeId) {
        if let Some(owner) = pallet_chroom_nodes::Pallet::<T>::owner(node) {
            crate::benchmarking::prepare_worst_case::<T>(*node, owner);
        }
    }
}

#[cfg(any(feature = "std", feature = "try-runtime"))]
impl<T: Config> Pallet<T> {
    /// What the pallet's account owes to delegators: stakes and rewards of all pools.
    pub fn owed() -> Balance {
        Pools::<T>::iter_values().map(|pool| pool.stake.saturating_add(pool.rewards)).sum()
    }

    /// Checks that the account covers what the pools owe, and each pool what its delegators may ask for.
    pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
        use alloc::collections::BTreeMap;

        #[derive(Default)]
        struct Sums {
            shares: u128,
            active_shares: u128,
            worth: Balance,
            rewards: Balance,
            delegators: u32,
        }

        // Others may have sent it more.
        let existence = CurrencyOf::<T>::minimum_balance();
        ensure!(
            CurrencyOf::<T>::balance(&Self::account()) >= Self::owed().saturating_add(existence),
            "the account doesn't cover stakes and rewards"
        );

        let mut sums: BTreeMap<PoolId, Sums> = BTreeMap::new();
        for (_, id, mut delegation) in Delegations::<T>::iter() {
            let pool = Pools::<T>::get(id).ok_or("a delegation to a pool that is gone")?;
            ensure!(delegation.active_shares > 0 || delegation.leaving_shares > 0, "a delegation that is empty");
            ensure!(delegation.reward_mark <= pool.reward_per_share, "rewards were settled that were not earned");
            delegation.settle(&pool);
            let shares = delegation.active_shares.saturating_add(delegation.leaving_shares);
            let sum = sums.entry(id).or_default();
            sum.shares = sum.shares.saturating_add(shares);
            sum.active_shares = sum.active_shares.saturating_add(delegation.active_shares);
            sum.worth = sum.worth.saturating_add(pool.worth(shares));
            sum.rewards = sum.rewards.saturating_add(delegation.rewards);
            sum.delegators = sum.delegators.saturating_add(1);
        }
        for (id, pool) in Pools::<T>::iter() {
            let sum = sums.remove(&id).unwrap_or_default();
            ensure!(sum.shares == pool.shares, "the sum of a pool's shares is wrong");
            ensure!(sum.active_shares == pool.active_shares, "the sum of a pool's active shares is wrong");
            ensure!(sum.delegators == pool.delegators, "the number of a pool's delegators is wrong");
            ensure!(sum.worth <= pool.stake, "shares are worth more than a pool's stake");
            ensure!(sum.rewards <= pool.rewards, "a pool doesn't have the rewards that it owes");
            ensure!(pool.stake <= pool.shares, "a share is worth more than a unit");
            ensure!(id < NextPool::<T>::get(), "a pool's number may be given again");
            ensure!(Self::check_rules(&pool.rules).is_ok(), "a pool's rules are unsound");
            ensure!(
                pool.raise.is_none_or(|raise| raise.commission > pool.rules.commission),
                "a raise is announced that is none"
            );
            if pool.delegators == 0 {
                ensure!(pool.stake == 0 && pool.rewards == 0, "an empty pool owes something");
            }
            match pool.node {
                Some(node) => {
                    ensure!(PoolOf::<T>::get(node) == Some(id), "a pool's node doesn't lead to it");
                    ensure!(Nodes::<T>::contains_key(node), "a pool serves a node that is gone");
                    ensure!(!pool.is_spent(), "a pool's shares are worth too little");
                }
                None => ensure!(pool.delegators > 0, "a pool without node and delegators"),
            }
        }
        ensure!(PoolOf::<T>::iter_keys().all(Nodes::<T>::contains_key), "the pool of a node that is gone");
        Ok(())
    }
}
