//! A pool: what delegators have at stake with a node, and what it earned for them.
//!
//! Delegators own shares of the pool's stake, active or leaving. A slash takes from the stake and leaves the shares alone, a
//! reward raises one number, so neither depends on how many delegators there are.
//!
//! Two bounds hold as long as a pool serves a node, and make the rounding harmless:
//! - A share is worth a unit at most: the first ones are issued for a unit each, a slash makes them cheaper, issuing rounds the shares
//!   down but never below one per unit, redeeming rounds what is paid down. Rounding a share up or down therefore moves less
//!   than a unit, and nobody can make a share so dear that a delegation buys none.
//! - A unit is worth [`MAX_SHARES_PER_UNIT`] shares at most: a pool that slashes have made poorer is retired, and its node goes on
//!   with an empty one. So the numbers of shares stay far from 2¹²⁸, and there is no stake of 0 that new shares would have to
//!   be measured by.

use crate::rules::{CommissionRaise, Rules};
use chroom_primitives::{Balance, NodeId};
use codec::{Decode, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_arithmetic::{Rounding, helpers_128bit::multiply_by_rational_with_rounding};
use sp_core::U256;
use sp_runtime::Perbill;

/// Number of a pool. Each has another.
pub type PoolId = u32;

/// Most shares to a unit of stake in a pool that serves a node.
pub const MAX_SHARES_PER_UNIT: u128 = 1_000_000;

/// Binary digits after the point of [`Pool::reward_per_share`]. All rewards ever paid are less than 2¹²⁸ units, so no sum passes 2²²⁴; and
/// with less than 2⁹⁶ shares, rounding costs less than a unit for each pay.
const REWARD_DIGITS: u32 = 96;

/// A pool.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, MaxEncodedLen, TypeInfo)]
pub struct Pool {
    /// The node that it serves; `None` once it serves none: then it earns nothing, is not slashed, and lets everybody go at once.
    pub node: Option<NodeId>,
    /// How it splits the node's pay. The commission is the one before [`Pool::raise`].
    pub rules: Rules,
    /// A higher commission that was announced.
    pub raise: Option<CommissionRaise>,
    /// What its delegators have at stake, leaving or not, in the smallest unit.
    pub stake: Balance,
    /// All shares of the stake.
    pub shares: u128,
    /// Those shares that earn, because they are not leaving.
    pub active_shares: u128,
    /// What an active share has earned since the pool began, in units of 2⁻⁹⁶ of the smallest unit.
    pub reward_per_share: U256,
    /// Rewards taken in and not paid out, with what rounding left over.
    pub rewards: Balance,
    /// Number of its delegations.
    pub delegators: u32,
}

/// a × b / c; `None` if c is 0 or the result too large.
fn scale(a: u128, b: u128, c: u128, rounding: Rounding) -> Option<u128> {
    multiply_by_rational_with_rounding(a, b, c, rounding)
}

impl Pool {
    /// An empty pool that serves `node`.
    pub(crate) fn new(node: NodeId, rules: Rules, raise: Option<CommissionRaise>) -> Self {
        Self {
            node: Some(node),
            rules,
            raise,
            stake: 0,
            shares: 0,
            active_shares: 0,
            reward_per_share: U256::zero(),
            rewards: 0,
            delegators: 0,
        }
    }

    /// The commission in block `now`.
    pub fn commission(&self, now: u32) -> Perbill {
        self.raise.filter(|raise| raise.from <= now).map_or(self.rules.commission, |raise| raise.commission)
    }

    /// The highest commission that is known of: the one that holds, or the one announced.
    pub fn highest_commission(&self) -> Perbill {
        self.raise.map_or(self.rules.commission, |raise| raise.commission)
    }

    /// Replaces the rules in block `now`. A higher commission waits for `notice` blocks, unless there is nobody to be warned: while the
    /// pool is closed and has no delegators, all holds at once.
    pub(crate) fn set_rules(&mut self, rules: Rules, now: u32, notice: u32) {
        let wanted = rules.commission;
        let current = self.commission(now);
        let nobody_to_warn = !self.rules.open && self.delegators == 0;
        // Who was warned of a higher raise needs no second warning of a lower one.
        let announced = self.raise.filter(|raise| raise.commission >= wanted);
        self.rules = rules;
        if wanted <= current || nobody_to_warn {
            self.raise = None;
        } else {
            let from = announced.map_or(now.saturating_add(notice), |raise| raise.from);
            self.rules.commission = current;
            self.raise = Some(CommissionRaise { commission: wanted, from });
        }
    }

    /// What `shares` of the pool are worth.
    pub fn worth(&self, shares: u128) -> Balance {
        // There is nothing to divide by only when there are no shares.
        scale(shares, self.stake, self.shares, Rounding::Down).unwrap_or_default()
    }

    /// The fewest shares that are worth `amount`.
    pub(crate) fn shares_for(&self, amount: Balance) -> u128 {
        scale(amount, self.shares, self.stake, Rounding::Up).unwrap_or(u128::MAX)
    }

    /// Takes `amount` into the stake and issues active shares for it; `None` if a number becomes too large.
    pub(crate) fn issue(&mut self, amount: Balance) -> Option<u128> {
        let issued = if self.shares == 0 { amount } else { scale(amount, self.shares, self.stake, Rounding::Down)? };
        self.stake = self.stake.checked_add(amount)?;
        self.shares = self.shares.checked_add(issued)?;
        self.active_shares = self.active_shares.checked_add(issued)?;
        Some(issued)
    }

    /// Takes back shares that are not active, and what they are worth out of the stake.
    pub(crate) fn redeem(&mut self, shares: u128) -> Balance {
        let amount = self.worth(shares);
        self.stake = self.stake.saturating_sub(amount);
        self.shares = self.shares.saturating_sub(shares);
        amount
    }

    /// Takes `share` of the stake; gives what was taken.
    pub(crate) fn slash(&mut self, share: Perbill) -> Balance {
        let taken = share.mul_floor(self.stake);
        self.stake = self.stake.saturating_sub(taken);
        taken
    }

    /// Whether slashes have left too little of the stake to issue more shares of it.
    pub fn is_spent(&self) -> bool {
        self.stake.saturating_mul(MAX_SHARES_PER_UNIT) < self.shares
    }

    /// Takes in what active shares earn of `pay` beside an owner's `bond`: the part that is to be moved to the pool. `None` if a
    /// number becomes too large.
    pub(crate) fn earn(&mut self, pay: Balance, bond: Balance) -> Option<Balance> {
        let active = self.worth(self.active_shares);
        if active == 0 {
            return Some(0);
        }
        let part = scale(pay, active, bond.checked_add(active)?, Rounding::Down)?;
        let each = (U256::from(part) << REWARD_DIGITS).checked_div(U256::from(self.active_shares))?;
        self.reward_per_share = self.reward_per_share.checked_add(each)?;
        self.rewards = self.rewards.checked_add(part)?;
        Some(part)
    }

    /// What `shares` earned since an active share had earned `mark`.
    pub fn earned(&self, shares: u128, mark: U256) -> Balance {
        let each = self.reward_per_share.saturating_sub(mark);
        let sum = each.saturating_mul(U256::from(shares)) >> REWARD_DIGITS;
        sum.try_into().unwrap_or(Balance::MAX)
    }
}
