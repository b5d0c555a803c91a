//! Shares: however they are rounded, nobody gains by it and nobody loses a whole unit.

use crate::{Pool, Rules, mock::NODE, pool::MAX_SHARES_PER_UNIT};
use proptest::prelude::*;
use sp_core::U256;
use sp_runtime::Perbill;

/// More than will ever be issued: 10¹⁵ CHR.
const SUPPLY: u128 = 1_000_000_000_000_000_000_000_000_000;

fn pool(stake: u128, shares: u128) -> Pool {
    Pool { stake, shares, active_shares: shares, ..Pool::new(NODE, Rules::default(), None) }
}

fn in_bounds(pool: &Pool) -> bool {
    pool.stake <= pool.shares && pool.shares <= pool.stake * MAX_SHARES_PER_UNIT
}

prop_compose! {
    /// A pool within the bounds, of any size.
    fn any_pool()(digits in 0u32..90, low in any::<u128>(), dilution in 0u32..=20, rest in any::<u128>()) -> Pool {
        let stake = (1u128 << digits) + low % (1 << digits);
        let most = stake * MAX_SHARES_PER_UNIT;
        let shares = (stake << dilution).min(most);
        pool(stake, (shares + rest % shares).min(most))
    }
}

proptest! {
    #[test]
    fn a_delegation_is_worth_what_was_paid_less_a_unit_at_most(mut pool in any_pool(), amount in 1..SUPPLY) {
        let (shares, before) = (pool.shares, pool.stake);
        let issued = pool.issue(amount).unwrap();
        prop_assert!(issued >= amount && in_bounds(&pool));
        let worth = pool.worth(issued);
        prop_assert!(worth == amount || worth == amount - 1, "{worth}");
        // The others have lost nothing, and gained less than a unit.
        let others = pool.worth(shares);
        prop_assert!(others == before || others == before + 1, "{others}");
    }

    #[test]
    fn who_leaves_takes_nothing_from_the_others(mut pool in any_pool(), part in any::<u128>()) {
        let leaving = part % pool.shares + 1;
        let rest = pool.shares - leaving;
        let (before, worth) = (pool.worth(rest), pool.worth(leaving));
        pool.active_shares = rest;
        prop_assert_eq!(pool.redeem(leaving), worth);
        prop_assert!(in_bounds(&pool) && (pool.shares == 0) == (pool.stake == 0));
        prop_assert!(pool.worth(rest) == before || pool.worth(rest) == before + 1);
    }

    #[test]
    fn the_shares_for_an_amount_are_worth_it_and_one_less_is_not(pool in any_pool(), part in any::<u128>()) {
        let amount = part % pool.stake + 1;
        let shares = pool.shares_for(amount);
        prop_assert!(shares <= pool.shares);
        prop_assert!(pool.worth(shares) >= amount);
        prop_assert!(pool.worth(shares - 1) < amount);
    }

    #[test]
    fn a_slash_takes_its_share_of_everybody(mut pool in any_pool(), parts in 0u32..=1_000_000_000, part in any::<u128>()) {
        let (share, before, shares) = (Perbill::from_parts(parts), pool.stake, part % pool.shares + 1);
        let worth = pool.worth(shares);
        let taken = pool.slash(share);
        prop_assert_eq!(taken, share.mul_floor(before));
        prop_assert_eq!(taken + pool.stake, before);
        prop_assert_eq!(pool.is_spent(), !in_bounds(&pool));
        let due = worth - share.mul_floor(worth);
        prop_assert!(pool.worth(shares).abs_diff(due) <= 1);
    }

    #[test]
    fn rewards_are_split_without_loss(mut pool in any_pool(), part in any::<u128>(), pay in 0..SUPPLY, bond in 0..SUPPLY) {
        pool.active_shares = part % pool.shares + 1;
        let active = pool.active_shares;
        let first = active / 3;
        let (mut earned, mut due) = (0, 0);
        for _ in 0..3 {
            let mark = pool.reward_per_share;
            let share = pool.earn(pay, bond).unwrap();
            prop_assert!(share <= pay);
            due += share;
            earned += pool.earned(first, mark) + pool.earned(active - first, mark);
            prop_assert!(earned <= due);
            // Less than a unit for each pay of what all shares earn, and for each settlement.
            prop_assert!(due - pool.earned(active, U256::zero()) <= 4 * (1 + (active >> 96)));
        }
        prop_assert!(due - earned <= 9 * (1 + (active >> 96)));
        prop_assert_eq!(pool.rewards, due);
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let mut full = pool(u128::MAX, u128::MAX);
    assert_eq!(full.issue(1), None);
    assert_eq!(full.earn(1, 1), None);
    assert_eq!(full.earn(u128::MAX, 0), Some(u128::MAX));
    assert_eq!(full.earn(1, 0), None);
    // With the most that there can be, no sum is cut off.
    let mut one = pool(1, 1);
    assert_eq!(one.earn(u128::MAX, 0), Some(u128::MAX));
    assert_eq!(one.earned(1, U256::zero()), u128::MAX);
}
