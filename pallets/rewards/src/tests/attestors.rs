//! What attestors earn, when they have it, and how they lose it.

use crate::{Error, Event, Ledgers, mock::*};
use chroom_primitives::{Balance, CHR, NodeId, QosEpoch, evidence::LeafOmission, merkle::Root};
use frame_support::{assert_noop, assert_ok};

fn free() -> Balance {
    Balances::free_balance(ATTESTORS)
}

fn collect(attestor: NodeId) -> sp_runtime::DispatchResult {
    Rewards::collect_attestor(signed(STRANGER), attestor)
}

/// What `attestor` earned in epoch 0.
fn earned(attestor: NodeId) -> Balance {
    Rewards::attestor_earnings(attestor).first().filter(|(epoch, _)| *epoch == QosEpoch(0)).map_or(0, |(_, sum)| *sum)
}

/// Epoch 0 with all roots in and the small node's claim paid; the node's committee.
fn claimed(scores: [u16; 3]) -> (Round, Vec<NodeId>) {
    let round = attested(|place, _| View::score(scores[place]));
    assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
    (round, Qos::committee(QosEpoch(0), id(SMALL)))
}

#[test]
fn who_agrees_with_the_median_earns() {
    run(|| {
        // The third lies more than five points off the median.
        let (_, committee) = claimed([9_000, 9_400, 8_000]);
        // A fifth of 10 CHR by weight, split among three members, of which two agreed.
        assert_eq!([0, 1, 2].map(|place: usize| earned(committee[place])), [2 * CHR / 3, 2 * CHR / 3, 0]);
        assert!((1..=REGISTRIES).map(id).filter(|node| !committee.contains(node)).all(|node| earned(node) == 0));
    });
}

#[test]
fn a_whole_epoch_pays_the_attestors_their_whole_part() {
    run(|| {
        let (round, _) = claimed([9_000; 3]);
        assert_ok!(claim(0, id(MEDIUM), round.proofs(id(MEDIUM))));
        let all: Balance = (1..=REGISTRIES).map(|seed| earned(id(seed))).sum();
        assert!(all <= 10 * CHR && all > 10 * CHR - 10, "{all}");
    });
}

#[test]
fn earnings_wait_until_disputes_are_over() {
    run(|| {
        let (_, committee) = claimed([9_000; 3]);
        let attestor = committee[0];
        run_to(first(4) - 1);
        assert_noop!(collect(attestor), Error::<Test>::NothingAccrued);
        run_to(first(4));
        let before = free();
        // Anybody sends it, the owner has it.
        assert_ok!(collect(attestor));
        assert_eq!(free() - before, 2 * CHR / 3);
        System::assert_last_event(Event::AttestorPaid { attestor, owner: ATTESTORS, amount: 2 * CHR / 3 }.into());
        assert_noop!(collect(attestor), Error::<Test>::NothingAccrued);
        assert_noop!(collect(id(250)), Error::<Test>::NotRegistered);
    });
}

#[test]
fn several_epochs_are_collected_at_once_and_late_claims_afterwards() {
    run(|| {
        let mut rounds = Vec::new();
        for epoch in 0..2 {
            run_to(first(epoch + 1) + 1);
            let round = Round::new(epoch, |_, _| View::score(9_000));
            round.submit_all();
            assert_ok!(claim(epoch, id(SMALL), round.proofs(id(SMALL))));
            rounds.push(round);
        }
        let attestor = (1..=REGISTRIES).map(id).max_by_key(|node| Rewards::attestor_earnings(*node).len()).unwrap();
        let owed: Balance = Rewards::attestor_earnings(attestor).iter().map(|(_, sum)| sum).sum();
        run_to(first(5));
        let before = free();
        assert_ok!(collect(attestor));
        assert_eq!(free() - before, owed);
        // The other node claims last.
        for (epoch, round) in rounds.iter().enumerate() {
            assert_ok!(claim(epoch as u32, id(MEDIUM), round.proofs(id(MEDIUM))));
        }
        let owed: Balance = Rewards::attestor_earnings(attestor).iter().map(|(_, sum)| sum).sum();
        let before = free();
        assert_eq!(collect(attestor).is_ok(), owed > 0);
        assert_eq!(free() - before, owed);
    });
}

#[test]
fn what_is_not_collected_is_the_reserves() {
    run(|| {
        let (_, committee) = claimed([9_000; 3]);
        run_to(first(6));
        assert_noop!(collect(committee[0]), Error::<Test>::NothingAccrued);
        let event = Event::LedgerClosed { epoch: QosEpoch(0), burnt: 0, returned: 82 * CHR };
        System::assert_has_event(event.into());
    });
}

#[test]
fn who_contradicts_itself_loses_the_epoch() {
    run(|| {
        let (_, committee) = claimed([9_000; 3]);
        let attestor = committee[0];
        let left = || Ledgers::<Test>::get(QosEpoch(0)).unwrap().left;
        let before = left();
        assert_ok!(Qos::submit_root(signed(attestor.account()), QosEpoch(0), Root::default(), Root::default()));
        assert_eq!((earned(attestor), earned(committee[1])), (0, 2 * CHR / 3));
        System::assert_has_event(Event::EarningsForfeited { epoch: QosEpoch(0), attestor, amount: 2 * CHR / 3 }.into());
        // The tokens stay with the epoch, and go back to the reserve with it.
        assert_eq!(left(), before);
    });
}

#[test]
fn who_contradicts_itself_before_the_claim_earns_nothing_by_it() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        let attestor = committee[0];
        assert_ok!(Qos::submit_root(signed(attestor.account()), QosEpoch(0), Root::default(), Root::default()));
        run_to(closed(0));
        // Its proof counts for the node, as the first root did.
        let proofs = vec![round.proof(attestor, id(SMALL)), round.proof(committee[1], id(SMALL))];
        assert_ok!(claim(0, id(SMALL), proofs));
        assert_eq!(Rewards::last_reward(id(SMALL)), Some((QosEpoch(0), 18 * CHR)));
        assert_eq!((earned(attestor), earned(committee[1]) > 0), (0, true));
    });
}

#[test]
fn who_leaves_out_a_node_loses_what_others_brought() {
    run(|| {
        run_to(first(1) + 1);
        // An attestor of both nodes, whose tree has but one of them.
        let both = Qos::committee(QosEpoch(0), id(MEDIUM));
        let attestor = *Qos::committee(QosEpoch(0), id(SMALL)).iter().find(|node| both.contains(node)).unwrap();
        let honest = Round::new(0, |_, _| View::score(9_000));
        let poor = Round::of(0, &[id(SMALL)], |_, _| View::score(9_000));
        honest.submit_but(attestor);
        assert_ok!(poor.submit(attestor));
        let proofs = |round: &Round| {
            let mut proofs = honest.proofs(id(SMALL));
            proofs.retain(|proof| proof.attestor != attestor);
            proofs.push(round.proof(attestor, id(SMALL)));
            proofs
        };
        assert_ok!(claim(0, id(SMALL), proofs(&poor)));
        assert_eq!(earned(attestor), 2 * CHR / 3);
        let last = (poor.leaves(attestor)[0].clone(), poor.tree(attestor).prove(0).unwrap());
        let evidence = Box::new(LeafOmission::After(last));
        assert_ok!(Qos::report_omission(signed(STRANGER), QosEpoch(0), attestor, id(MEDIUM), evidence));
        assert_eq!(earned(attestor), 0);
        run_to(first(4));
        assert_noop!(collect(attestor), Error::<Test>::NothingAccrued);
    });
}
