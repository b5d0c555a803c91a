//! What one account has in one pool.

use crate::pool::{Pool, PoolId};
use chroom_primitives::{Balance, NodeId};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::U256;

/// A delegation, as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Delegation {
    /// Shares of the pool that earn.
    pub active_shares: u128,
    /// Shares of the pool that are leaving: they bear slashes, and earn nothing.
    pub leaving_shares: u128,
    /// First block in which the leaving shares may be withdrawn.
    pub free_from: u32,
    /// What an active share of the pool had earned when the rewards were last settled.
    pub reward_mark: U256,
    /// Rewards settled and not collected, in the smallest unit.
    pub rewards: Balance,
}

impl Delegation {
    /// An empty delegation to `pool`, which earns from now on.
    pub(crate) fn new(pool: &Pool) -> Self {
        Self { active_shares: 0, leaving_shares: 0, free_from: 0, reward_mark: pool.reward_per_share, rewards: 0 }
    }

    /// Notes what the active shares earned up to now, which must be done before their number changes.
    pub(crate) fn settle(&mut self, pool: &Pool) {
        self.rewards = self.rewards.saturating_add(pool.earned(self.active_shares, self.reward_mark));
        self.reward_mark = pool.reward_per_share;
    }

    /// What the delegation is worth now.
    pub(crate) fn info(mut self, id: PoolId, pool: &Pool) -> DelegationInfo {
        self.settle(pool);
        DelegationInfo {
            pool: id,
            node: pool.node,
            active: pool.worth(self.active_shares),
            leaving: pool.worth(self.leaving_shares),
            free_from: if pool.node.is_some() { self.free_from } else { 0 },
            rewards: self.rewards,
        }
    }
}

/// A delegation in tokens, as it stands in the current block; amounts in the smallest unit.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, TypeInfo)]
pub struct DelegationInfo {
    /// The pool.
    pub pool: PoolId,
    /// The node that the pool serves; `None` if it serves none: all of the delegation can be withdrawn at once.
    pub node: Option<NodeId>,
    /// What earns.
    pub active: Balance,
    /// What is leaving.
    pub leaving: Balance,
    /// First block in which what is leaving may be withdrawn; 0 if at once.
    pub free_from: u32,
    /// Rewards that can be collected.
    pub rewards: Balance,
}
