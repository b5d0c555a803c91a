//! Books that don't add up, to which no calls lead: nothing is paid by them, and nothing is done by halves.

use crate::{Error, Pool, PoolId, Pools as Stored, mock::*};
use chroom_primitives::{CHR, pool::NodePools};
use frame_support::{assert_noop, assert_ok};
use sp_core::U256;
use sp_runtime::{DispatchResult, Perbill};

/// Makes a call with other books of the pool, in vain, and puts the true ones back.
fn refused(pool: PoolId, change: impl FnOnce(&mut Pool), call: impl FnOnce() -> DispatchResult) {
    let sound = Stored::<Test>::get(pool).unwrap();
    let mut unsound = sound.clone();
    change(&mut unsound);
    assert_ne!(unsound, sound);
    Stored::<Test>::insert(pool, unsound);
    assert_noop!(call(), Error::<Test>::Overflow);
    Stored::<Test>::insert(pool, sound);
}

#[test]
fn a_pool_pays_no_more_rewards_than_it_has() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        pay(100 * CHR);
        assert_ok!(Pools::undelegate(signed(ALICE), pool, BOND / 2));
        at(1 + UNBONDING);
        let collect = || Pools::collect(signed(ALICE), pool);
        let withdraw = || Pools::withdraw_delegation(signed(ALICE), pool);
        refused(pool, |books| books.rewards -= 1, collect);
        refused(pool, |books| books.rewards -= 1, withdraw);
        assert_ok!(collect());
        assert_ok!(withdraw());
        assert_eq!(free(ALICE), WEALTH - BOND / 2 + 50 * CHR);
    });
}

#[test]
fn a_pool_gives_no_more_shares_back_than_it_has() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        let undelegate = || Pools::undelegate(signed(ALICE), pool, u128::MAX);
        let withdraw = || Pools::withdraw_delegation(signed(ALICE), pool);
        refused(pool, |books| books.active_shares -= 1, undelegate);
        // The same for one that serves no node, which everybody leaves at once.
        refused(pool, |books| (books.node, books.active_shares) = (None, 0), withdraw);
        assert_ok!(undelegate());
        at(1 + UNBONDING);
        // Whoever leaves was counted.
        refused(pool, |books| books.delegators = 0, withdraw);
        assert_ok!(withdraw());
        assert_eq!(free(ALICE), WEALTH);
    });
}

#[test]
fn what_cannot_be_counted_any_more_is_refused() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        let join = || Pools::delegate(signed(BOB), NODE, CHR, Perbill::one());
        let paid = || Pools::pay(&NODE, &OWNER, &SOURCE, 100 * CHR);
        refused(pool, |books| books.delegators = u32::MAX, join);
        refused(pool, |books| books.stake = u128::MAX, join);
        refused(pool, |books| books.reward_per_share = U256::MAX, paid);
        assert_ok!(join());
        assert_ok!(paid());
    });
}
