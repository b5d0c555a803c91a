//! Usage fees, from applications' escrows.

use crate::{Accrued, Error, Event, Ledgers, mock::*};
use chroom_primitives::{AccountId, Balance, CHR, QosEpoch};
use frame_support::{assert_noop, assert_ok};

const GIB: u64 = 1 << 30;

fn deposit(application: AccountId, amount: Balance) {
    assert_ok!(Rewards::deposit(signed(application.clone()), application, amount));
}

fn view(usage: &[(AccountId, u64)]) -> View {
    // Too bad for a subsidy, so that fees are seen alone.
    View { usage: usage.iter().map(|(app, bytes)| used(app.clone(), *bytes)).collect(), ..View::score(1_000) }
}

/// Operator's gain; what will be burnt and what the reserve will have when the ledger is closed; orchestrators' gain.
fn settle(round: &Round) -> (Balance, Balance, Balance, Balance) {
    let accrued = || Accrued::<Test>::iter_values().sum::<Balance>();
    let ledger = || Ledgers::<Test>::get(QosEpoch(0)).unwrap();
    let before = (Balances::free_balance(OPERATOR), ledger(), accrued());
    claim(0, id(SMALL), round.proofs(id(SMALL))).unwrap();
    let burnt = ledger().burn - before.1.burn;
    (Balances::free_balance(OPERATOR) - before.0, burnt, ledger().left - before.1.left - burnt, accrued() - before.2)
}

#[test]
fn the_median_of_bytes_is_paid_at_the_nodes_price() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|place, _| view(&[(APP, [3 * GIB, 40 * GIB, 10 * GIB][place])]));
        let preview = Rewards::preview_claim(QosEpoch(0), id(SMALL), round.proofs(id(SMALL))).unwrap();
        assert_eq!((preview.fees, preview.subsidy), (8 * CHR, 0));
        assert_eq!(settle(&round), (8 * CHR, CHR / 2, CHR / 2, CHR));
        assert_eq!(Rewards::escrow(APP), 90 * CHR);
        let (epoch, node, orchestrator) = (QosEpoch(0), id(SMALL), id(OWN));
        let event = Event::FeeSettled { epoch, node, application: APP, orchestrator, amount: 10 * CHR };
        System::assert_has_event(event.into());
        // The orchestrator's owner, here the application itself, collects its share.
        assert_eq!(Rewards::accrued(APP), CHR);
        let before = Balances::free_balance(APP);
        assert_ok!(Rewards::collect(signed(APP)));
        assert_eq!(Balances::free_balance(APP), before + CHR);
        System::assert_last_event(Event::Collected { owner: APP, amount: CHR }.into());
        assert_noop!(Rewards::collect(signed(APP)), Error::<Test>::NothingAccrued);
    });
}

#[test]
fn usage_that_one_member_alone_saw_is_not_paid() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|place, _| if place == 0 { view(&[(APP, 50 * GIB)]) } else { view(&[]) });
        assert_eq!(settle(&round), (0, 0, 0, 0));
        assert_eq!(Rewards::escrow(APP), 100 * CHR);
    });
}

#[test]
fn usage_that_two_of_three_saw_is_paid_by_the_lesser() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|place, _| view(&[(APP, [20 * GIB, 10 * GIB, 0][place])][..usize::from(place < 2)]));
        assert_eq!(settle(&round).0, 8 * CHR);
    });
}

#[test]
fn an_escrow_pays_what_it_has() {
    run(|| {
        deposit(APP, 4 * CHR);
        let round = attested(|_, _| view(&[(APP, 10 * GIB), (OTHER_APP, GIB)]));
        assert_eq!(settle(&round), (4 * CHR * 8 / 10, CHR / 5, CHR / 5, 4 * CHR / 10));
        assert_eq!(Rewards::escrow(APP), 0);
        // An escrow that is empty leaves nothing behind.
        assert_eq!(crate::Escrows::<Test>::iter().count(), 0);
    });
}

#[test]
fn several_applications_pay_each_for_its_own() {
    run(|| {
        deposit(APP, 100 * CHR);
        deposit(OTHER_APP, 100 * CHR);
        let round = attested(|_, _| view(&[(APP, 10 * GIB), (OTHER_APP, 20 * GIB)]));
        assert_eq!(settle(&round).0, 24 * CHR);
        assert_eq!((Rewards::escrow(APP), Rewards::escrow(OTHER_APP)), (90 * CHR, 80 * CHR));
    });
}

#[test]
fn fees_are_paid_at_the_price_of_the_epoch() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|_, _| view(&[(APP, 10 * GIB)]));
        assert_ok!(Nodes::update(signed(OPERATOR), id(SMALL), None, None, None, Some(9 * CHR)));
        run_to(first(2));
        assert_eq!(settle(&round).0, 8 * CHR);
    });
}

#[test]
fn a_node_that_came_within_the_epoch_has_nothing_of_it() {
    run(|| {
        deposit(APP, 100 * CHR);
        run_to(4);
        let node = register(9);
        run_to(first(1));
        assert_eq!(Nodes::terms(&node, QosEpoch(0)), None);
        assert_eq!(Nodes::terms(&node, QosEpoch(1)).unwrap().weight, 1);
        run_to(closed(0));
        assert_noop!(claim(0, node, Vec::new()), crate::Error::<Test>::NotRegisteredInEpoch);
    });
}

#[test]
fn some_of_every_fee_is_burnt() {
    run(|| {
        deposit(APP, CHR);
        // A price of 1,000 units per GiB and a fee of 1: too little to be split, but not too little to be burnt.
        assert_ok!(Nodes::update(signed(OPERATOR), id(SMALL), None, None, None, Some(1_000)));
        run_to(first(2) + 1);
        let round = Round::new(1, |_, _| view(&[(APP, GIB / 1_000 + 1)]));
        round.submit_all();
        let settlement = Rewards::settle(QosEpoch(1), id(SMALL), &round.proofs(id(SMALL))).unwrap();
        assert_eq!((settlement.burnt, settlement.payout.fees), (1, 0));
        assert_ok!(claim(1, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!(Rewards::escrow(APP), CHR - 1);
    });
}

#[test]
fn the_burnt_share_is_burnt_and_the_reserves_returned_when_the_epoch_is_forgotten() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|_, _| view(&[(APP, 40 * GIB)]));
        settle(&round);
        run_to(first(6) - 1);
        let (issued, left) = (Balances::total_issuance(), Ledgers::<Test>::get(QosEpoch(0)).unwrap().left);
        run_to(first(6));
        assert_eq!(issued - Balances::total_issuance(), 2 * CHR);
        let event = Event::LedgerClosed { epoch: QosEpoch(0), burnt: 2 * CHR, returned: left - 2 * CHR };
        System::assert_has_event(event.into());
        // The emission of the epoch and the reserve's share of the fee.
        assert_eq!(left, 100 * CHR + 4 * CHR);
    });
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    run(|| {
        let price = pallet_chroom_nodes::types::MAX_PRICE_PER_GIB;
        assert_ok!(Nodes::update(signed(OPERATOR), id(SMALL), None, None, None, Some(price)));
        deposit(APP, 5_000 * CHR);
        run_to(first(2) + 1);
        let round = Round::new(1, |_, _| View { usage: vec![used(APP, u64::MAX)], ..View::score(10_000) });
        round.submit_all();
        assert_ok!(claim(1, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!(Rewards::escrow(APP), 0);
    });
}
