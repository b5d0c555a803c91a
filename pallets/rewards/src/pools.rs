//! Pay without pools.

use crate::Config;
use chroom_primitives::{AccountId, Balance, NodeId, pool::NodePools};
use core::marker::PhantomData;
use frame_support::{
    traits::{fungible::Mutate, tokens::Preservation},
    weights::Weight,
};
use sp_runtime::DispatchResult;

/// Gives all of a node's pay to its owner.
pub struct OwnerOnly<T>(PhantomData<T>);

impl<T: Config> NodePools for OwnerOnly<T> {
    fn pay(_: &NodeId, owner: &AccountId, source: &AccountId, amount: Balance) -> DispatchResult {
        <T as pallet_chroom_nodes::Config>::Currency::transfer(source, owner, amount, Preservation::Preserve)?;
        Ok(())
    }
}

/// What it weighs to pay a node's pool, beyond the transfer to its owner that every claim's weight contains.
pub trait PoolWeights {
    /// The most that a pool weighs.
    fn most() -> Weight;
    /// What the pool of `node` weighs.
    fn of(node: &NodeId) -> Weight;
}

impl PoolWeights for () {
    fn most() -> Weight {
        Weight::zero()
    }

    fn of(_: &NodeId) -> Weight {
        Weight::zero()
    }
}
