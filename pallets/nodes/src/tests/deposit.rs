//! The deposit for a registration's storage.

use crate::{HoldReason, NodeParameters, mock::*};
use chroom_primitives::{Balance, CHR, Role};
use frame_support::{
    assert_noop, assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use sp_runtime::{Perbill, TokenError};

fn held() -> Balance {
    Balances::balance_on_hold(&HoldReason::Deposit.into(), &ALICE)
}

#[test]
fn each_registration_has_one_and_gives_it_back() {
    run(|| {
        let media = register(ALICE, 1, Role::Media);
        register(ALICE, 2, Role::Registry);
        assert_eq!(held(), 2 * DEPOSIT);
        assert_ok!(Nodes::unbond(signed(ALICE), media));
        System::set_block_number(11);
        assert_eq!(held(), 2 * DEPOSIT);
        assert_ok!(Nodes::withdraw(signed(ALICE), media));
        assert_eq!(held(), DEPOSIT);
    });
}

#[test]
fn who_can_pay_the_bond_only_is_refused() {
    run(|| {
        let form = Form::new(ALICE, 1, Role::Media);
        let bond = WEALTH - DEPOSIT - ExistentialDeposit::get();
        assert_noop!(Form { bond: bond + 1, ..form.clone() }.send(), TokenError::FundsUnavailable);
        assert_ok!(Form { bond, ..form }.send());
    });
}

#[test]
fn a_changed_deposit_is_for_new_registrations() {
    run(|| {
        let old = register(ALICE, 1, Role::Media);
        let raised = NodeParameters { deposit: 5 * CHR, ..parameters() };
        assert_ok!(Nodes::set_parameters(RuntimeOrigin::root(), raised));
        let new = register(ALICE, 2, Role::Media);
        assert_eq!(held(), DEPOSIT + 5 * CHR);
        for node in [old, new] {
            assert_ok!(Nodes::unbond(signed(ALICE), node));
        }
        System::set_block_number(11);
        assert_ok!(Nodes::withdraw(signed(ALICE), old));
        assert_eq!(held(), 5 * CHR);
        assert_ok!(Nodes::withdraw(signed(ALICE), new));
        assert_eq!((held(), Balances::balance(&ALICE)), (0, WEALTH));
    });
}

#[test]
fn a_slash_leaves_it() {
    run(|| {
        let node = register(ALICE, 1, Role::Media);
        assert_eq!(<Nodes as crate::Discipline>::slash(&node, Perbill::one(), None), 100 * CHR);
        assert_eq!(held(), DEPOSIT);
        assert_ok!(Nodes::unbond(signed(ALICE), node));
        System::set_block_number(11);
        assert_ok!(Nodes::withdraw(signed(ALICE), node));
        assert_eq!(Balances::balance(&ALICE), WEALTH - 100 * CHR);
    });
}
