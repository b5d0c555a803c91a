//! What is measured for the weights: each call, and what the pallet does within others', in its most expensive case.

use crate::{Beneficiary, Call, Config, Delegations, Pallet, Pool, PoolId, Pools, Rules, rules::MAX_BENEFICIARIES};
use alloc::vec;
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, H3Cell, NodeId, Role,
    pool::{NodePools, OnBondSlashed},
};
use frame_benchmarking::v2::*;
use frame_support::{
    BoundedVec,
    traits::{BuildGenesisConfig, Get, fungible::Mutate},
};
use frame_system::RawOrigin;
use pallet_chroom_nodes::{GenesisNode, OnNodeRemoved};
use sp_runtime::Perbill;

type CurrencyOf<T> = <T as pallet_chroom_nodes::Config>::Currency;

const NODE: NodeId = NodeId([1; 20]);
const SUCCESSOR: NodeId = NodeId([2; 20]);

/// An account that can pay for everything here.
fn rich<T: Config>(name: &'static str, index: u32) -> AccountId {
    let who: AccountId = account(name, index, 0);
    CurrencyOf::<T>::set_balance(&who, 1_000_000_000 * CHR);
    who
}

/// Registers a node without a key proof, as at genesis; gives its owner.
fn registered<T: Config>(node: NodeId) -> AccountId {
    let owner = rich::<T>("owner", 0);
    pallet_chroom_nodes::GenesisConfig::<T> {
        parameters: pallet_chroom_nodes::Parameters::<T>::get(),
        nodes: vec![GenesisNode {
            node,
            owner: owner.clone(),
            role: Role::Orchestrator,
            class: CapacityClass::Small,
            cell: H3Cell(0x0831_f8df_ffff_ffff),
            endpoint: "127.0.0.1:7400".parse::<Endpoint>().unwrap_or_default(),
            price_per_gib: 0,
        }],
        ..Default::default()
    }
    .build();
    owner
}

fn open_rules(beneficiaries: u32) -> Rules {
    let share = Perbill::from_rational(1, MAX_BENEFICIARIES);
    let beneficiaries = (0..beneficiaries)
        .map(|index| Beneficiary { account: account("beneficiary", index, 0), share })
        .collect::<alloc::vec::Vec<_>>();
    Rules { commission: Perbill::from_percent(10), beneficiaries: BoundedVec::truncate_from(beneficiaries), open: true }
}

fn minimum<T: Config>() -> Balance {
    <T as Config>::MinDelegation::get()
}

fn open<T: Config>(node: NodeId, owner: AccountId, beneficiaries: u32) {
    assert!(Pallet::<T>::set_rules(RawOrigin::Signed(owner).into(), node, open_rules(beneficiaries)).is_ok());
}

/// A node with an open pool; gives its owner.
fn opened<T: Config>(beneficiaries: u32) -> AccountId {
    let owner = registered::<T>(NODE);
    open::<T>(NODE, owner.clone(), beneficiaries);
    owner
}

fn delegate_to<T: Config>(node: NodeId, who: &AccountId) {
    let amount = minimum::<T>().saturating_mul(100);
    assert!(Pallet::<T>::delegate(RawOrigin::Signed(who.clone()).into(), node, amount, Perbill::one()).is_ok());
}

/// A delegator with many times the smallest delegation; gives its pool.
fn delegated<T: Config>(who: &AccountId) -> PoolId {
    delegate_to::<T>(NODE, who);
    Pallet::<T>::pool_of(NODE).unwrap_or_default()
}

/// Gives a node a pool with all that a pool may have, so that the weights of other pallets' calls contain what is done to it.
pub(crate) fn prepare_worst_case<T: Config>(node: NodeId, owner: AccountId) {
    open::<T>(node, owner, MAX_BENEFICIARIES);
    delegate_to::<T>(node, &rich::<T>("delegator", 0));
}

fn paid<T: Config>(owner: &AccountId) {
    let source = rich::<T>("source", 0);
    assert!(Pallet::<T>::pay(&NODE, owner, &source, 1_000 * CHR).is_ok());
}

fn state<T: Config>(id: PoolId) -> Option<Pool> {
    Pools::<T>::get(id)
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn set_rules(b: Linear<0, MAX_BENEFICIARIES>) {
        let owner = registered::<T>(NODE);
        let rules = open_rules(b);

        #[extrinsic_call]
        _(RawOrigin::Signed(owner), NODE, rules.clone());

        assert_eq!(Pallet::<T>::rules(NODE), rules);
    }

    #[benchmark]
    fn delegate() {
        opened::<T>(MAX_BENEFICIARIES);
        let who = rich::<T>("who", 0);
        let pool = delegated::<T>(&who);
        let before = state::<T>(pool).map(|pool| pool.stake);

        #[extrinsic_call]
        _(RawOrigin::Signed(who), NODE, minimum::<T>(), Perbill::one());

        assert_eq!(state::<T>(pool).map(|pool| pool.stake), before.map(|stake| stake + minimum::<T>()));
    }

    #[benchmark]
    fn undelegate() {
        let owner = opened::<T>(MAX_BENEFICIARIES);
        let who = rich::<T>("who", 0);
        let pool = delegated::<T>(&who);
        paid::<T>(&owner);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), pool, minimum::<T>());

        assert!(Delegations::<T>::get(&who, pool).is_some_and(|delegation| delegation.leaving_shares > 0));
    }

    #[benchmark]
    fn withdraw_delegation() {
        let owner = opened::<T>(MAX_BENEFICIARIES);
        let who = rich::<T>("who", 0);
        let pool = delegated::<T>(&who);
        paid::<T>(&owner);
        // The last one to leave a pool that serves no node is the dearest.
        Pallet::<T>::removed(&NODE);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), pool);

        assert!(state::<T>(pool).is_none() && Delegations::<T>::get(&who, pool).is_none());
    }

    #[benchmark]
    fn collect() {
        let owner = opened::<T>(MAX_BENEFICIARIES);
        let who = rich::<T>("who", 0);
        let pool = delegated::<T>(&who);
        paid::<T>(&owner);

        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), pool);

        assert_eq!(Pallet::<T>::delegation(pool, who).map(|info| info.rewards), Some(0));
    }

    #[benchmark]
    fn pay(b: Linear<0, MAX_BENEFICIARIES>) {
        let owner = opened::<T>(b);
        let who = rich::<T>("who", 0);
        let pool = delegated::<T>(&who);
        let source = rich::<T>("source", 0);

        #[block]
        {
            assert!(Pallet::<T>::pay(&NODE, &owner, &source, 1_000 * CHR).is_ok());
        }

        assert!(state::<T>(pool).is_some_and(|pool| pool.rewards > 0));
    }

    #[benchmark]
    fn bond_slashed() {
        opened::<T>(MAX_BENEFICIARIES);
        let pool = delegated::<T>(&rich::<T>("who", 0));
        let reporter = rich::<T>("reporter", 0);

        #[block]
        {
            Pallet::<T>::bond_slashed(&NODE, Perbill::one(), Some(&reporter));
        }

        assert_eq!(Pallet::<T>::pool_of(NODE), Some(pool + 1));
    }

    #[benchmark]
    fn node_removed() {
        opened::<T>(MAX_BENEFICIARIES);
        let pool = delegated::<T>(&rich::<T>("who", 0));

        #[block]
        {
            Pallet::<T>::removed(&NODE);
        }

        assert!(state::<T>(pool).is_some_and(|pool| pool.node.is_none()));
    }

    #[benchmark]
    fn hand_over() {
        opened::<T>(MAX_BENEFICIARIES);
        let pool = delegated::<T>(&rich::<T>("who", 0));
        registered::<T>(SUCCESSOR);

        #[block]
        {
            Pallet::<T>::hand_over(&NODE, SUCCESSOR);
        }

        assert_eq!(Pallet::<T>::pool_of(SUCCESSOR), Some(pool));
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::externalities(), crate::mock::Test);
}
