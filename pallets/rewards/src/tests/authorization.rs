//! Who may spend from an application's escrow, and at which price.

use crate::{Error, Event, MAX_AUTHORIZATIONS, mock::*};
use chroom_primitives::{AccountId, Balance, CHR, NodeId, QosEpoch};
use frame_support::{assert_noop, assert_ok};

const GIB: u64 = 1 << 30;

fn authorize(orchestrator: NodeId, price: Balance) -> sp_runtime::DispatchResult {
    Rewards::authorize(signed(APP), orchestrator, Some(price))
}

/// An epoch's round in which everybody saw 10 GiB of the application through the orchestrator; too bad for a subsidy.
fn round(epoch: u32, application: AccountId, orchestrator: NodeId) -> Round {
    run_to(first(epoch + 1) + 1);
    let usage = vec![(application, orchestrator, 10 * GIB)];
    let round = Round::new(epoch, |_, _| View { usage: usage.clone(), ..View::score(1_000) });
    round.submit_all();
    round
}

/// What the claim of a round costs the application.
fn cost(round: &Round) -> Balance {
    let before = Rewards::escrow(APP);
    assert_ok!(claim(round.epoch.0, id(SMALL), round.proofs(id(SMALL))));
    before - Rewards::escrow(APP)
}

fn deposit() {
    assert_ok!(Rewards::deposit(signed(APP), APP, 100 * CHR));
}

#[test]
fn an_orchestrator_that_was_not_authorised_spends_nothing() {
    run(|| {
        deposit();
        let round = round(0, APP, id(FOREIGN));
        assert_eq!(Rewards::price_limit(APP, id(FOREIGN), QosEpoch(0)), 0);
        assert_eq!(cost(&round), 0);
    });
}

#[test]
fn an_applications_own_orchestrators_need_no_leave() {
    run(|| {
        assert_eq!(Rewards::price_limit(APP, id(OWN), QosEpoch(0)), 0);
        deposit();
        assert_eq!(Rewards::price_limit(APP, id(OWN), QosEpoch(0)), Balance::MAX);
        assert_eq!(cost(&round(0, APP, id(OWN))), 10 * CHR);
        // For another application it is a stranger.
        assert_ok!(Rewards::deposit(signed(OTHER_APP), OTHER_APP, 100 * CHR));
        let other = round(1, OTHER_APP, id(OWN));
        assert_ok!(claim(1, id(SMALL), other.proofs(id(SMALL))));
        assert_eq!(Rewards::escrow(OTHER_APP), 100 * CHR);
    });
}

#[test]
fn an_authorised_orchestrator_spends_up_to_its_price() {
    run(|| {
        deposit();
        assert_ok!(authorize(id(FOREIGN), CHR));
        let (application, orchestrator, price, from) = (APP, id(FOREIGN), CHR, QosEpoch(0));
        System::assert_last_event(Event::Authorized { application, orchestrator, price, from }.into());
        assert_eq!(cost(&round(0, APP, id(FOREIGN))), 10 * CHR);
        // Its owner has a share of the fee.
        assert_eq!(Rewards::accrued(GRANTER), CHR);
        let before = Balances::free_balance(GRANTER);
        assert_ok!(Rewards::collect(signed(GRANTER)));
        assert_eq!(Balances::free_balance(GRANTER) - before, CHR);
    });
}

#[test]
fn a_dearer_node_has_the_price_that_was_agreed_to() {
    run(|| {
        deposit();
        // The nodes ask for one CHR.
        assert_ok!(authorize(id(FOREIGN), CHR / 2));
        assert_eq!(cost(&round(0, APP, id(FOREIGN))), 5 * CHR);
    });
}

#[test]
fn what_was_used_before_a_leave_was_taken_back_is_paid() {
    run(|| {
        deposit();
        assert_ok!(authorize(id(FOREIGN), CHR));
        run_to(3);
        assert_ok!(Rewards::authorize(signed(APP), id(FOREIGN), None));
        // Again and again does not reach farther back.
        assert_ok!(authorize(id(FOREIGN), 0));
        let before = round(0, APP, id(FOREIGN));
        assert_ok!(authorize(id(FOREIGN), 0));
        let after = round(1, APP, id(FOREIGN));
        assert_eq!((cost(&before), cost(&after)), (10 * CHR, 0));
    });
}

#[test]
fn a_new_leave_pays_nothing_from_before() {
    run(|| {
        deposit();
        let before = round(0, APP, id(FOREIGN));
        assert_ok!(authorize(id(FOREIGN), CHR / 2));
        assert_ok!(authorize(id(FOREIGN), CHR));
        let after = round(1, APP, id(FOREIGN));
        assert_eq!((cost(&before), cost(&after)), (0, 10 * CHR));
    });
}

#[test]
fn there_must_be_an_escrow_and_something_to_take_back() {
    run(|| {
        assert_noop!(authorize(id(FOREIGN), CHR), Error::<Test>::NoEscrow);
        deposit();
        assert_noop!(authorize(id(FOREIGN), 0), Error::<Test>::NotAuthorized);
    });
}

#[test]
fn the_authorised_are_bounded_and_forgotten_when_they_are_spent() {
    run(|| {
        deposit();
        for index in 0..MAX_AUTHORIZATIONS as u8 {
            assert_ok!(authorize(id(index), CHR));
        }
        assert_noop!(authorize(id(FOREIGN), CHR), Error::<Test>::TooManyOrchestrators);
        assert_ok!(authorize(id(5), 0));
        // What was used until now may still be claimed by the old price.
        assert_noop!(authorize(id(FOREIGN), CHR), Error::<Test>::TooManyOrchestrators);
        run_to(first(7));
        assert_ok!(authorize(id(FOREIGN), CHR));
        assert_eq!(Rewards::price_limit(APP, id(5), QosEpoch(1)), 0);
        assert_noop!(authorize(id(5), 0), Error::<Test>::NotAuthorized);
    });
}

#[test]
fn an_orchestrator_that_left_is_paid_for_by_what_was_agreed_and_earns_nothing() {
    run(|| {
        deposit();
        assert_ok!(authorize(id(FOREIGN), CHR));
        assert_ok!(Nodes::unbond(signed(GRANTER), id(FOREIGN)));
        let round = round(0, APP, id(FOREIGN));
        run_to(first(3));
        assert_ok!(Nodes::withdraw(signed(GRANTER), id(FOREIGN)));
        let before = Balances::free_balance(OPERATOR);
        assert_eq!(cost(&round), 10 * CHR);
        assert_eq!((Rewards::accrued(GRANTER), Balances::free_balance(OPERATOR) - before), (0, 9 * CHR));
    });
}

#[test]
fn several_orchestrators_share_one_escrow() {
    run(|| {
        assert_ok!(Rewards::deposit(signed(APP), APP, 15 * CHR));
        assert_ok!(authorize(id(FOREIGN), CHR));
        let usage = vec![(APP, id(OWN), 10 * GIB), (APP, id(FOREIGN), 10 * GIB)];
        let round = attested(|_, _| View { usage: usage.clone(), ..View::score(1_000) });
        let settlement = Rewards::settle(QosEpoch(0), id(SMALL), &round.proofs(id(SMALL))).unwrap();
        let debits: Vec<(NodeId, Balance)> = settlement.purses.into_iter().flat_map(|purse| purse.debits).collect();
        assert_eq!(debits, [(id(OWN), 10 * CHR), (id(FOREIGN), 5 * CHR)]);
        assert_eq!(cost(&round), 15 * CHR);
    });
}
