//! Bonds: raised, released, and what the parameters ask for.

use crate::{Error, Event, NodeParameters, mock::*};
use chroom_primitives::{CHR, CapacityClass, Role};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use sp_runtime::{DispatchError, Perbill};

fn held() -> u128 {
    Balances::balance_on_hold(&crate::HoldReason::Bond.into(), &ALICE)
}

#[test]
fn an_owners_hold_is_the_sum_of_its_bonds() {
    run(|| {
        let media = register(ALICE, 1, Role::Media);
        register(ALICE, 2, Role::Registry);
        assert_eq!(held(), 300 * CHR);
        assert_ok!(Nodes::add_bond(signed(ALICE), media, 7 * CHR));
        assert_eq!(held(), 307 * CHR);
        System::assert_last_event(Event::BondAdded { node: media, amount: 7 * CHR, bond: 107 * CHR }.into());
        assert_noop!(Nodes::add_bond(signed(BOB), media, CHR), Error::<Test>::NotOwner);
        assert_noop!(Nodes::add_bond(signed(ALICE), media, WEALTH), sp_runtime::TokenError::FundsUnavailable);
        assert_noop!(Nodes::add_bond(signed(ALICE), media, u128::MAX), Error::<Test>::Overflow);
        assert_noop!(Nodes::add_bond(signed(ALICE), Key::new(9).id(), CHR), Error::<Test>::NotRegistered);
        assert_ok!(Nodes::unbond(signed(ALICE), media));
        assert_noop!(Nodes::add_bond(signed(ALICE), media, CHR), Error::<Test>::WrongStatus);
        System::set_block_number(11);
        assert_ok!(Nodes::withdraw(signed(ALICE), media));
        assert_eq!(held(), 200 * CHR);
        assert_eq!(Balances::balance(&ALICE), WEALTH - 200 * CHR - DEPOSIT);
    });
}

#[test]
fn a_greater_class_needs_a_greater_bond() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let upgrade = || Nodes::update(signed(ALICE), node, Some(CapacityClass::Medium), None, None, None);
        assert_noop!(upgrade(), Error::<Test>::BondTooLow);
        assert_ok!(Nodes::add_bond(signed(ALICE), node, 300 * CHR));
        assert_ok!(upgrade());
        assert_eq!(crate::ActiveMediaWeight::<Test>::get(), 4);
    });
}

#[test]
fn only_the_admin_changes_parameters_and_raised_bonds_hold_at_the_next_start() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        let raised = NodeParameters { media_bond: 150 * CHR, ..parameters() };
        assert_noop!(Nodes::set_parameters(signed(ALICE), raised.clone()), DispatchError::BadOrigin);
        assert_ok!(Nodes::set_parameters(RuntimeOrigin::root(), raised));
        assert_ok!(Nodes::drain(signed(ALICE), node));
        assert_noop!(Nodes::resume(signed(ALICE), node), Error::<Test>::BondTooLow);
        assert_ok!(Nodes::add_bond(signed(ALICE), node, 50 * CHR));
        assert_ok!(Nodes::resume(signed(ALICE), node));
    });
}

#[test]
fn shares_of_a_slash_above_all_of_it_are_refused() {
    run(|| {
        let shares = |reporter, treasury| NodeParameters {
            reporter_share: Perbill::from_percent(reporter),
            treasury_share: Perbill::from_percent(treasury),
            ..parameters()
        };
        let set = |parameters| Nodes::set_parameters(RuntimeOrigin::root(), parameters);
        assert_noop!(set(shares(51, 50)), Error::<Test>::InvalidParameters);
        assert_noop!(set(shares(100, 100)), Error::<Test>::InvalidParameters);
        assert_ok!(set(shares(50, 50)));
    });
}
