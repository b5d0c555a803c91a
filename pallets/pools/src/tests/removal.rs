//! What becomes of a pool when its node leaves.

use crate::{Delegations, Event, Pools as Stored, Rules, mock::*};
use chroom_primitives::CHR;
use frame_support::assert_ok;
use sp_runtime::Perbill;

#[test]
fn delegators_wait_no_longer_than_the_nodes_own_bond() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        delegate(BOB, BOND);
        assert_ok!(Nodes::unbond(signed(OWNER), NODE));
        at(5);
        // The bond can be slashed until then, so what is delegated must not go sooner either.
        assert_ok!(Pools::undelegate(signed(ALICE), pool, u128::MAX));
        assert_eq!(delegation(ALICE).free_from, 1 + UNBONDING);
        at(1 + UNBONDING);
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), pool));
        assert_eq!(free(ALICE), WEALTH);
        // The owner may leave its bond where it is; that keeps nobody.
        at(100);
        assert_ok!(Pools::undelegate(signed(BOB), pool, u128::MAX));
        assert_ok!(Pools::withdraw_delegation(signed(BOB), pool));
        assert_eq!(free(BOB), WEALTH);
    });
}

#[test]
fn when_the_node_is_gone_everybody_leaves_at_once() {
    run(|| {
        let pool = open(0);
        delegate(ALICE, BOND);
        delegate(BOB, BOND);
        delegate(CAROL, BOND);
        pay(400 * CHR);
        assert_ok!(Nodes::unbond(signed(OWNER), NODE));
        at(UNBONDING);
        assert_ok!(Pools::undelegate(signed(BOB), pool, BOND / 2));
        at(1 + UNBONDING);
        assert_ok!(Nodes::withdraw(signed(OWNER), NODE));
        System::assert_has_event(Event::Retired { node: NODE, pool }.into());
        check();
        // A slash or a pay in its name doesn't reach them any more.
        slash(50, None);
        pay(CHR);
        assert_ok!(Pools::undelegate(signed(CAROL), pool, BOND / 4));
        assert_eq!(Pools::delegation(pool, CAROL).unwrap().free_from, 0);
        for who in [ALICE, BOB, CAROL] {
            assert_ok!(Pools::withdraw_delegation(signed(who.clone()), pool));
            assert_eq!(free(who), WEALTH + 100 * CHR);
            check();
        }
        assert_eq!(Stored::<Test>::iter().count() + Delegations::<Test>::iter().count(), 0);
    });
}

#[test]
fn a_pool_without_delegators_goes_with_its_node() {
    run(|| {
        open(0);
        assert_ok!(Nodes::unbond(signed(OWNER), NODE));
        assert_ok!(Nodes::unbond(signed(OWNER), OTHER));
        at(1 + UNBONDING);
        assert_ok!(Nodes::withdraw(signed(OWNER), NODE));
        assert_ok!(Nodes::withdraw(signed(OWNER), OTHER));
        assert_eq!(Stored::<Test>::iter().count(), 0);
        assert_eq!(Pools::rules(NODE), Rules::default());
    });
}

#[test]
fn a_node_that_is_registered_again_has_another_pool() {
    run(|| {
        let node = register(9);
        assert_ok!(Pools::set_rules(signed(OWNER), node, rules(0, &[(BOB, 10)], true)));
        assert_ok!(Pools::delegate(signed(ALICE), node, BOND, Perbill::zero()));
        assert_ok!(Nodes::unbond(signed(OWNER), node));
        at(1 + UNBONDING);
        assert_ok!(Nodes::withdraw(signed(OWNER), node));

        assert_eq!(register(9), node);
        assert_eq!((Pools::pool_of(node), Pools::rules(node)), (None, Rules::default()));
        assert_ok!(Pools::set_rules(signed(OWNER), node, rules(0, &[], true)));
        assert_eq!(Pools::pool_of(node), Some(1));
        // One may be in both; the first is free, the second is not.
        assert_ok!(Pools::delegate(signed(ALICE), node, CHR, Perbill::zero()));
        let both = Pools::delegations_of(ALICE, None, 10);
        assert_eq!(both.iter().map(|info| info.active).sum::<u128>(), BOND + CHR);
        assert_ok!(Pools::withdraw_delegation(signed(ALICE), 0));
        assert_eq!(free(ALICE), WEALTH - CHR);
    });
}
