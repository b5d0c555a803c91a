//! Each reason for which a claim is refused, before its proofs are looked at.

use crate::{Error, mock::*};
use chroom_primitives::{CHR, QosEpoch};
use frame_support::{assert_noop, assert_ok};
use pallet_chroom_nodes::Discipline;

#[test]
fn an_epoch_is_claimed_once() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        let proofs = || round.proofs(id(SMALL));
        assert_ok!(claim(0, id(SMALL), proofs()));
        assert_noop!(claim(0, id(SMALL), proofs()), Error::<Test>::AlreadyClaimed);
        let preview = Rewards::preview_claim(QosEpoch(0), id(SMALL), proofs());
        assert_eq!(preview, Err(b"AlreadyClaimed".to_vec()));
        run_to(first(5));
        assert_noop!(claim(0, id(SMALL), proofs()), Error::<Test>::AlreadyClaimed);
    });
}

#[test]
fn only_an_epoch_that_is_over_and_remembered_is_claimed() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        assert_noop!(claim(1, id(SMALL), vec![]), Error::<Test>::EpochNotClaimable);
        assert_noop!(claim(9, id(SMALL), vec![]), Error::<Test>::EpochNotClaimable);
        run_to(first(6));
        assert_noop!(claim(0, id(SMALL), round.proofs(id(MEDIUM))), Error::<Test>::EpochNotClaimable);
    });
}

#[test]
fn a_claim_waits_for_the_window_unless_all_roots_are_in() {
    run(|| {
        run_to(first(1));
        assert_noop!(claim(0, id(SMALL), vec![]), Error::<Test>::WindowOpen);
        run_to(closed(0) - 1);
        assert_noop!(claim(0, id(SMALL), vec![]), Error::<Test>::WindowOpen);
        run_to(closed(0));
        assert_ok!(claim(0, id(SMALL), vec![]));
    });
}

#[test]
fn only_registered_media_nodes_claim() {
    run(|| {
        run_to(closed(0));
        assert_noop!(claim(0, id(250), vec![]), Error::<Test>::NotRegistered);
        assert_noop!(claim(0, id(1), vec![]), Error::<Test>::NotMedia);
        assert!(Nodes::jail(&id(SMALL), 5));
        assert_noop!(claim(0, id(SMALL), vec![]), Error::<Test>::Jailed);
        run_to(closed(0) + 5);
        // The sentence is over: whether the node goes back into service is its owner's affair.
        assert_ok!(claim(0, id(SMALL), vec![]));
    });
}

#[test]
fn leaving_does_not_free_a_jailed_node_to_claim() {
    run(|| {
        run_to(closed(0));
        assert!(Nodes::jail(&id(SMALL), 5));
        assert_ok!(Nodes::unbond(signed(OPERATOR), id(SMALL)));
        assert_noop!(claim(0, id(SMALL), vec![]), Error::<Test>::Jailed);
        run_to(closed(0) + 4);
        assert_noop!(claim(0, id(SMALL), vec![]), Error::<Test>::Jailed);
        run_to(closed(0) + 5);
        assert_ok!(claim(0, id(SMALL), vec![]));
    });
}

#[test]
fn a_rotated_key_claims_what_it_served_and_its_successor_what_comes() {
    run(|| {
        let old = register(9);
        run_to(first(1) + 2);
        let new = rotate(old, 10);
        run_to(closed(2));
        let claimable = |node| Rewards::claimable_epochs(node).into_iter().map(|epoch| epoch.0).collect::<Vec<_>>();
        // Epoch 1 is the old key's, with its share; from epoch 2 on the new one has it.
        assert_eq!((claimable(old), claimable(new)), (vec![1, 2], vec![2]));
        let weight = |node, epoch| Nodes::terms(&node, QosEpoch(epoch)).map(|terms| terms.weight);
        assert_eq!((weight(old, 1), weight(old, 2), weight(new, 2)), (Some(1), Some(0), Some(1)));
        assert_ok!(claim(1, old, vec![]));
        assert_noop!(claim(1, new, vec![]), Error::<Test>::NotRegisteredInEpoch);
        assert_ok!(claim(2, new, vec![]));
    });
}

#[test]
fn a_node_claims_no_epoch_from_before_its_registration() {
    run(|| {
        run_to(first(2));
        let node = register(9);
        run_to(closed(3));
        // In epoch 2 it came when the seed was known, and it could have been made for its committee.
        for epoch in [0, 1, 2] {
            assert_noop!(claim(epoch, node, vec![]), Error::<Test>::NotRegisteredInEpoch);
        }
        assert_eq!(Rewards::claimable_epochs(node), [QosEpoch(3)]);
        assert_ok!(claim(3, node, vec![]));
    });
}

#[test]
fn a_second_registration_does_not_claim_the_first_ones_epochs() {
    run(|| {
        let node = register(9);
        run_to(closed(1));
        assert_ok!(claim(1, node, vec![]));
        assert_ok!(Nodes::unbond(signed(OPERATOR), node));
        run_to(closed(1) + 20);
        assert_ok!(Nodes::withdraw(signed(OPERATOR), node));
        assert_eq!(Rewards::last_reward(node), None);
        assert_eq!(register(9), node);
        for epoch in 0..Qos::epoch_info().current.0 {
            assert!(claim(epoch, node, vec![]).is_err(), "{epoch}");
        }
        assert_noop!(claim(1, node, vec![]), Error::<Test>::NotRegisteredInEpoch);
    });
}

#[test]
fn nobody_spoils_a_claim_before_the_leaves_are_shown() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        let all = round.proofs(id(SMALL));
        // All roots are in, and registries show their leaves from the window's end on: until then, all proofs or none.
        for proofs in [vec![], all[..2].to_vec()] {
            assert_noop!(claim(0, id(SMALL), proofs.clone()), Error::<Test>::ProofsMissing);
            assert!(Rewards::preview_claim(QosEpoch(0), id(SMALL), proofs).is_err());
        }
        run_to(closed(0) - 1);
        assert_noop!(claim(0, id(SMALL), all[..2].to_vec()), Error::<Test>::ProofsMissing);
        run_to(closed(0));
        assert_ok!(claim(0, id(SMALL), all[..2].to_vec()));
    });
}

#[test]
fn a_stranger_cannot_spoil_a_claim() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        run_to(closed(0));
        assert_noop!(claim_by(STRANGER, 0, id(SMALL), vec![]), Error::<Test>::ReservedForOwner);
        run_to(first(4) - 1);
        assert_noop!(claim_by(STRANGER, 0, id(SMALL), vec![]), Error::<Test>::ReservedForOwner);
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
    });
}

#[test]
fn without_attestors_nothing_is_claimed() {
    externalities(0, 1_000).execute_with(|| {
        run_to(closed(0));
        assert_noop!(claim(0, id(SMALL), vec![]), Error::<Test>::NoCommittee);
        check();
    });
}

#[test]
fn a_ledger_that_is_short_pays_nothing() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        // It cannot come to this by calls.
        crate::Ledgers::<Test>::mutate(QosEpoch(0), |ledger| ledger.as_mut().unwrap().left = 17 * CHR);
        assert_noop!(claim(0, id(SMALL), round.proofs(id(SMALL))), Error::<Test>::Overflow);
        crate::Ledgers::<Test>::mutate(QosEpoch(0), |ledger| ledger.as_mut().unwrap().left = 100 * CHR);
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
    });
}

#[test]
fn a_ledger_that_is_short_pays_no_attestor() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
        run_to(first(4));
        let attestor = Qos::committee(QosEpoch(0), id(SMALL))[0];
        let collect = || Rewards::collect_attestor(signed(STRANGER), attestor);
        let put = |left| crate::Ledgers::<Test>::mutate(QosEpoch(0), |ledger| ledger.as_mut().unwrap().left = left);
        let left = crate::Ledgers::<Test>::get(QosEpoch(0)).unwrap().left;
        // It cannot come to this by calls.
        put(2 * CHR / 3 - 1);
        assert_noop!(collect(), Error::<Test>::Overflow);
        put(left);
        assert_ok!(collect());
    });
}

#[test]
fn an_epoch_without_books_or_terms_is_not_claimed() {
    run(|| {
        let round = attested(|_, _| View::score(9_000));
        let claim = || claim(0, id(SMALL), round.proofs(id(SMALL)));
        // Nor to this: each remembered epoch has its ledger, and each media node its terms from the epoch after its registration on.
        let ledger = crate::Ledgers::<Test>::take(QosEpoch(0)).unwrap();
        assert_noop!(claim(), Error::<Test>::EpochNotClaimable);
        crate::Ledgers::<Test>::insert(QosEpoch(0), ledger);
        let terms = pallet_chroom_nodes::TermsHistory::<Test>::take(id(SMALL));
        assert_noop!(claim(), Error::<Test>::NotRegisteredInEpoch);
        pallet_chroom_nodes::TermsHistory::<Test>::insert(id(SMALL), terms);
        assert_ok!(claim());
    });
}
