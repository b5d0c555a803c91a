//! Usage fees, from applications' escrows.

use crate::{Event, TotalEscrow, mock::*};
use chroom_primitives::{AccountId, Balance, CHR, QosEpoch};
use frame_support::{assert_noop, assert_ok};

const GIB: u64 = 1 << 30;

fn deposit(application: AccountId, amount: Balance) {
    assert_ok!(Rewards::deposit(signed(application.clone()), application, amount));
}

fn view(usage: &[(AccountId, u64)]) -> View {
    // Too bad for a subsidy, so that fees are seen alone.
    View { usage: usage.to_vec(), ..View::score(1_000) }
}

/// Operator's gain, tokens burnt, reserve's gain.
fn settle(round: &Round) -> (Balance, Balance, Balance) {
    let before = (
        Balances::free_balance(OPERATOR),
        Balances::total_issuance(),
        Balances::free_balance(Rewards::reserve_account()),
    );
    claim(0, id(SMALL), round.proofs(id(SMALL))).unwrap();
    (
        Balances::free_balance(OPERATOR) - before.0,
        before.1 - Balances::total_issuance(),
        Balances::free_balance(Rewards::reserve_account()) - before.2,
    )
}

#[test]
fn the_median_of_bytes_is_paid_at_the_nodes_price() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|place, _| view(&[(APP, [3 * GIB, 40 * GIB, 10 * GIB][place])]));
        let preview = Rewards::preview_claim(QosEpoch(0), id(SMALL), round.proofs(id(SMALL))).unwrap();
        assert_eq!((preview.fees, preview.subsidy), (9 * CHR, 0));
        assert_eq!(settle(&round), (9 * CHR, CHR / 2, CHR / 2));
        assert_eq!(Rewards::escrow(APP), 90 * CHR);
        let event = Event::FeeSettled { epoch: QosEpoch(0), node: id(SMALL), application: APP, amount: 10 * CHR };
        System::assert_has_event(event.into());
    });
}

#[test]
fn usage_that_one_member_alone_saw_is_not_paid() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|place, _| if place == 0 { view(&[(APP, 50 * GIB)]) } else { view(&[]) });
        assert_eq!(settle(&round), (0, 0, 0));
        assert_eq!(Rewards::escrow(APP), 100 * CHR);
    });
}

#[test]
fn usage_that_two_of_three_saw_is_paid_by_the_lesser() {
    run(|| {
        deposit(APP, 100 * CHR);
        let round = attested(|place, _| view(&[(APP, [20 * GIB, 10 * GIB, 0][place])][..usize::from(place < 2)]));
        assert_eq!(settle(&round).0, 9 * CHR);
    });
}

#[test]
fn an_escrow_pays_what_it_has() {
    run(|| {
        deposit(APP, 4 * CHR);
        let round = attested(|_, _| view(&[(APP, 10 * GIB), (OTHER_APP, GIB)]));
        assert_eq!(settle(&round), (4 * CHR * 9 / 10, CHR / 5, CHR / 5));
        assert_eq!(Rewards::escrow(APP), 0);
        assert_eq!(TotalEscrow::<Test>::get(), 0);
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
        assert_eq!(settle(&round).0, 27 * CHR);
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
        assert_eq!(settle(&round).0, 9 * CHR);
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
fn the_largest_numbers_do_not_overflow() {
    run(|| {
        let price = pallet_chroom_nodes::types::MAX_PRICE_PER_GIB;
        assert_ok!(Nodes::update(signed(OPERATOR), id(SMALL), None, None, None, Some(price)));
        deposit(APP, 5_000 * CHR);
        run_to(first(2) + 1);
        let round = Round::new(1, |_, _| View { usage: vec![(APP, u64::MAX)], ..View::score(10_000) });
        round.submit_all();
        assert_ok!(claim(1, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!(Rewards::escrow(APP), 0);
    });
}
