//! What pallets ask of the pool that each node's pay goes to.

use crate::{AccountId, Balance, NodeId};
use sp_runtime::{DispatchResult, Perbill};

/// Takes in a node's pay and splits it by the pool's rules.
pub trait NodePools {
    /// Moves `amount` from `source` into the pool of `node`, which `owner` owns. All of it leaves `source`, or nothing does.
    /// Bounded work, whatever the number of delegators.
    fn pay(node: &NodeId, owner: &AccountId, source: &AccountId, amount: Balance) -> DispatchResult;
}

/// Learns that a share of a node's bond was slashed, so that what others bonded to the node bears the same share.
pub trait OnBondSlashed {
    /// `share` of the bond of `node` was taken; `reporter` is who showed the evidence, if anybody. Bounded work.
    fn bond_slashed(node: &NodeId, share: Perbill, reporter: Option<&AccountId>);
}

impl OnBondSlashed for () {
    fn bond_slashed(_: &NodeId, _: Perbill, _: Option<&AccountId>) {}
}
