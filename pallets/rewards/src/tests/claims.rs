//! What a claim pays, and to whom.

use crate::{Claims, Error, Event, Ledgers, Reward, mock::*};
use chroom_primitives::{Balance, CHR, QosEpoch, Score, runtime_api::Payout};
use frame_support::{assert_noop, assert_ok, dispatch::Pays};

fn free(who: chroom_primitives::AccountId) -> Balance {
    Balances::free_balance(who)
}

/// Claims epoch 0 for the small node and returns what the operator got.
fn paid(proofs: Vec<chroom_primitives::runtime_api::MemberProof>) -> Balance {
    let before = free(OPERATOR);
    claim(0, id(SMALL), proofs).unwrap();
    free(OPERATOR) - before
}

#[test]
fn a_good_epoch_pays_the_share_by_weight() {
    run(|| {
        let round = attested(|_, _| View::score(9_500));
        let (small, medium) = (id(SMALL), id(MEDIUM));
        let payout = Payout { score: Score(9_500), fees: 0, subsidy: 18 * CHR };
        assert_eq!(Rewards::preview_claim(QosEpoch(0), small, round.proofs(small)), Ok(payout));
        let before = free(OPERATOR);
        assert_eq!(claim(0, small, round.proofs(small)).unwrap().pays_fee, Pays::No);
        // 90 CHR of 100 are for media nodes; the weights are 1 and 4.
        assert_eq!(free(OPERATOR) - before, 18 * CHR);
        let event = Event::Claimed { epoch: QosEpoch(0), node: small, owner: OPERATOR, payout, burnt: 0 };
        System::assert_last_event(event.into());
        let reward = Reward { epoch: QosEpoch(0), score: Score(9_500), amount: 18 * CHR, block: first(1) + 1 };
        assert_eq!(Claims::<Test>::get(small).unwrap().last, reward);
        assert_eq!(Rewards::last_reward(small), Some((QosEpoch(0), 18 * CHR)));
        assert_eq!(Rewards::last_reward(medium), None);
        assert_ok!(claim(0, medium, round.proofs(medium)));
        assert_eq!(free(OPERATOR) - before, 90 * CHR);
        // The attestors' part is all that is left.
        assert_eq!(Ledgers::<Test>::get(QosEpoch(0)).unwrap().left, 10 * CHR);
    });
}

#[test]
fn the_share_falls_with_the_score() {
    run(|| {
        let round = attested(|_, _| View::score(6_000));
        assert_eq!(paid(round.proofs(id(SMALL))), 9 * CHR);
    });
}

#[test]
fn a_bad_score_earns_nothing_but_can_be_claimed() {
    run(|| {
        let round = attested(|_, _| View::score(3_999));
        assert_eq!(paid(round.proofs(id(SMALL))), 0);
        assert!(Rewards::claimable_epochs(id(SMALL)).is_empty());
    });
}

#[test]
fn the_median_decides() {
    run(|| {
        let round = attested(|place, _| View::score([9_900, 0, 7_000][place]));
        let preview = Rewards::preview_claim(QosEpoch(0), id(SMALL), round.proofs(id(SMALL))).unwrap();
        assert_eq!(preview.score, Score(7_000));
        assert_eq!(paid(round.proofs(id(SMALL))), 18 * CHR * 3 / 4);
    });
}

#[test]
fn leaving_out_a_bad_proof_does_not_help() {
    run(|| {
        let round = attested(|place, _| View::score([9_900, 2_000, 7_000][place]));
        run_to(closed(0));
        let preview = |places: &[usize]| {
            let all = round.proofs(id(SMALL));
            let proofs = places.iter().map(|place| all[*place].clone()).collect();
            Rewards::preview_claim(QosEpoch(0), id(SMALL), proofs).unwrap().score
        };
        assert_eq!(preview(&[0, 1, 2]), Score(7_000));
        // Without the bad one, 0 takes its place: the median is the same.
        assert_eq!(preview(&[0, 2]), Score(7_000));
        assert_eq!(preview(&[0, 1]), Score(2_000));
        assert_eq!(preview(&[0]), Score(0));
        assert_eq!(preview(&[]), Score(0));
    });
}

#[test]
fn one_withholding_attestor_of_three_breaks_nobody() {
    run(|| {
        run_to(first(1));
        let round = Round::new(0, |_, _| View::score(9_000));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        assert_ok!(round.submit(committee[0]));
        assert_ok!(round.submit(committee[1]));
        run_to(closed(0));
        let proofs = vec![round.proof(committee[0], id(SMALL)), round.proof(committee[1], id(SMALL))];
        assert_eq!(paid(proofs), 18 * CHR);
    });
}

#[test]
fn too_little_uptime_earns_no_subsidy() {
    run(|| {
        let view = |place: usize, _| View { uptime: [10_000, 8_999, 8_999][place], ..View::score(9_500) };
        let round = attested(view);
        assert_eq!(paid(round.proofs(id(SMALL))), 0);
        assert_eq!(Rewards::last_reward(id(SMALL)), Some((QosEpoch(0), 0)));
    });
}

#[test]
fn just_enough_median_uptime_earns_it_all() {
    run(|| {
        let round = attested(|place, _| View { uptime: [9_000, 0, 9_000][place], ..View::score(9_500) });
        assert_eq!(paid(round.proofs(id(SMALL))), 18 * CHR);
    });
}

#[test]
fn a_claim_need_not_wait_for_the_window_when_the_committee_is_complete() {
    run(|| {
        run_to(first(1));
        let round = Round::new(0, |_, _| View::score(9_500));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        for member in &committee[..2] {
            assert_ok!(round.submit(*member));
        }
        assert!(Rewards::claimable_epochs(id(SMALL)).is_empty());
        assert_ok!(round.submit(committee[2]));
        assert_eq!(Rewards::claimable_epochs(id(SMALL)), [QosEpoch(0)]);
        assert_eq!(paid(round.proofs(id(SMALL))), 18 * CHR);
        assert!(Rewards::claimable_epochs(id(SMALL)).is_empty());
    });
}

#[test]
fn claimable_epochs_reach_back_over_the_ring() {
    run(|| {
        run_to(closed(8));
        // Epoch 9 runs; the ring holds 4 to 9.
        let epochs: Vec<u32> = Rewards::claimable_epochs(id(SMALL)).into_iter().map(|epoch| epoch.0).collect();
        assert_eq!(epochs, [4, 5, 6, 7, 8]);
        assert!(Rewards::claimable_epochs(id(1)).is_empty());
        assert!(Rewards::claimable_epochs(id(250)).is_empty());
    });
}

#[test]
fn the_node_itself_may_claim_and_the_owner_is_paid() {
    run(|| {
        let round = attested(|_, _| View::score(9_500));
        let before = free(OPERATOR);
        assert_ok!(claim_by(id(SMALL).account(), 0, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!(free(OPERATOR) - before, 18 * CHR);
    });
}

#[test]
fn anybody_may_claim_what_the_owner_left_lying() {
    run(|| {
        let round = attested(|_, _| View::score(9_500));
        let (operator, stranger) = (free(OPERATOR), free(STRANGER));
        run_to(first(4));
        assert_ok!(claim_by(STRANGER, 0, id(SMALL), round.proofs(id(SMALL))));
        assert_eq!((free(OPERATOR) - operator, free(STRANGER) - stranger), (18 * CHR, 0));
    });
}

#[test]
fn a_strangers_claim_needs_every_proof_that_there_is() {
    run(|| {
        run_to(first(1));
        let round = Round::new(0, |_, _| View::score(9_500));
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        round.submit_but(committee[2]);
        run_to(first(4));
        let proof = |place: usize| round.proof(committee[place], id(SMALL));
        assert_noop!(claim_by(STRANGER, 0, id(SMALL), vec![proof(0)]), Error::<Test>::ProofsMissing);
        assert_noop!(claim_by(STRANGER, 0, id(SMALL), vec![]), Error::<Test>::ProofsMissing);
        // Who sent no root has no proof.
        assert_ok!(claim_by(STRANGER, 0, id(SMALL), vec![proof(1), proof(0)]));
    });
}

#[test]
fn a_node_that_drains_is_paid_for_the_epoch_that_it_served_in() {
    run(|| {
        run_to(3);
        assert_ok!(Nodes::drain(signed(OPERATOR), id(SMALL)));
        let round = attested(|_, _| View::score(9_500));
        assert_eq!(paid(round.proofs(id(SMALL))), 18 * CHR);
        // In epoch 1 it has no share, and the other node has all.
        run_to(first(2));
        let round = Round::new(1, |_, _| View::score(9_500));
        round.submit_all();
        let preview = |node| Rewards::preview_claim(QosEpoch(1), node, round.proofs(node)).unwrap().subsidy;
        assert_eq!((preview(id(SMALL)), preview(id(MEDIUM))), (0, 90 * CHR));
    });
}
