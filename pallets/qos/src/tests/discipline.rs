//! Attestors that contradict themselves, or leave out what they had to attest.

use crate::{Error, Event, Standing, mock::*};
use chroom_primitives::{
    Balance, CHR, Leaf, NodeId, QosEpoch,
    evidence::{LeafOmission, RootEquivocation},
    leaf::LeafKey,
    merkle::Tree,
};
use frame_support::{
    assert_noop, assert_ok,
    dispatch::{DispatchResultWithPostInfo, Pays},
};

fn bond(node: NodeId) -> Balance {
    Nodes::registration(node).unwrap().bond
}

fn report(evidence: RootEquivocation) -> DispatchResultWithPostInfo {
    Qos::report_equivocation(RuntimeOrigin::signed(REPORTER), Box::new(evidence))
}

fn two(epoch: u32) -> RootEquivocation {
    RootEquivocation::Statements { first: statement(epoch, 1, 1), second: statement(epoch, 2, 1) }
}

#[test]
fn a_second_root_is_punished_at_once() {
    run(|| {
        run_to(first(1));
        assert_ok!(submit(1, 0, 7));
        let before = bond(id(1));
        assert_eq!(submit(1, 0, 8).unwrap().pays_fee, Pays::Yes);
        let slashed = before / 10;
        assert_eq!(bond(id(1)), before - slashed);
        let (epoch, attestor) = (QosEpoch(0), id(1));
        System::assert_last_event(Event::RootEquivocated { epoch, attestor, slashed, reporter: None }.into());
        // The first root counts, the earnings are gone, and it is done once.
        assert_eq!(Qos::attestation(epoch, attestor), Some(root(7)));
        assert_eq!(Qos::standing(epoch, attestor), Standing::Equivocated);
        assert_eq!(Forfeited::get(), [(epoch, 0, attestor)]);
        assert_eq!(Votes::get().len(), 1);
        assert_noop!(submit(1, 0, 9), Error::<Test>::EvidenceSpent);
        assert_noop!(submit(1, 0, 7), Error::<Test>::AlreadySubmitted);
    });
}

#[test]
fn another_snapshot_is_another_root() {
    run(|| {
        run_to(first(1));
        assert_ok!(submit(1, 0, 7));
        let origin = RuntimeOrigin::signed(id(1).account());
        assert_ok!(Qos::submit_root(origin, QosEpoch(0), root(7), root(201)));
        assert_eq!(Qos::standing(QosEpoch(0), id(1)), Standing::Equivocated);
        assert_eq!(Votes::get().len(), 1);
    });
}

#[test]
fn two_statements_are_slashed_and_the_reporter_has_a_share() {
    run_with_signer(|| {
        let before = (bond(signer()), Balances::free_balance(REPORTER));
        assert_eq!(report(two(0)).unwrap().pays_fee, Pays::No);
        let slashed = before.0 / 10;
        assert_eq!(bond(signer()), before.0 - slashed);
        assert!(Balances::free_balance(REPORTER) > before.1);
        let event =
            Event::RootEquivocated { epoch: QosEpoch(0), attestor: signer(), slashed, reporter: Some(REPORTER) };
        System::assert_last_event(event.into());
        assert_eq!(Forfeited::get().len(), 1);
        assert_noop!(report(two(0)), Error::<Test>::EvidenceSpent);
        // What it says to the chain afterwards counts for the nodes, and not for its pay.
        run_to(first(1));
        assert_ok!(Qos::submit_root(RuntimeOrigin::signed(signer().account()), QosEpoch(0), root(1), root(1)));
        assert_eq!(Qos::attestation(QosEpoch(0), signer()), Some(root(1)));
        assert_eq!(Qos::standing(QosEpoch(0), signer()), Standing::Equivocated);
    });
}

#[test]
fn a_statement_against_the_chains_root_is_slashed() {
    run_with_signer(|| {
        run_to(first(1));
        let against = |quality, snapshot| RootEquivocation::AgainstChain(statement(0, quality, snapshot));
        assert_noop!(report(against(1, 1)), Error::<Test>::NoRoot);
        assert_ok!(Qos::submit_root(RuntimeOrigin::signed(signer().account()), QosEpoch(0), root(1), root(1)));
        assert_noop!(report(against(1, 1)), Error::<Test>::InvalidEvidence);
        assert_eq!(report(against(1, 2)).unwrap().pays_fee, Pays::No);
        assert_noop!(report(against(2, 1)), Error::<Test>::EvidenceSpent);
    });
}

#[test]
fn evidence_that_shows_nothing_is_refused() {
    run_with_signer(|| {
        let same = RootEquivocation::Statements { first: statement(0, 1, 1), second: statement(0, 1, 1) };
        assert_noop!(report(same), Error::<Test>::InvalidEvidence);
        let epochs = RootEquivocation::Statements { first: statement(0, 1, 1), second: statement(1, 2, 1) };
        assert_noop!(report(epochs), Error::<Test>::InvalidEvidence);
        let mut forged = statement(0, 2, 1);
        forged.signature = statement(0, 3, 1).signature;
        let forged = RootEquivocation::Statements { first: statement(0, 1, 1), second: forged };
        assert_noop!(report(forged), Error::<Test>::InvalidEvidence);
        assert_noop!(report(two(9)), Error::<Test>::UnknownEpoch);
        run_to(first(4));
        assert_noop!(report(two(0)), Error::<Test>::UnknownEpoch);
    });
    // The signer is no attestor here.
    run(|| {
        assert_noop!(report(two(0)), Error::<Test>::NotAttestor);
    });
}

#[test]
fn evidence_against_who_has_nothing_left_is_paid_for() {
    run_with_signer(|| {
        assert_ok!(Nodes::unbond(RuntimeOrigin::signed(OWNER), signer()));
        // The ring is longer than the unbonding period here; a network's is not.
        run_to(first(3));
        assert_ok!(Nodes::withdraw(RuntimeOrigin::signed(OWNER), signer()));
        assert_eq!(report(two(0)).unwrap().pays_fee, Pays::Yes);
        assert_noop!(report(two(0)), Error::<Test>::EvidenceSpent);
    });
}

#[test]
fn evidence_is_kept_and_forgotten_with_its_epoch() {
    run_with_signer(|| {
        assert_ok!(report(two(0)));
        run_to(first(5));
        assert_eq!(crate::Attestations::<Test>::iter().count(), 0);
    });
}

pub(super) fn omit(attestor: NodeId, node: NodeId, evidence: LeafOmission) -> DispatchResultWithPostInfo {
    Qos::report_omission(RuntimeOrigin::signed(REPORTER), QosEpoch(0), attestor, node, Box::new(evidence))
}

/// An attestor with the nodes that it was drawn for in epoch 0, at least two.
pub(super) fn assigned() -> (NodeId, Vec<NodeId>) {
    let mut all = (1..=5).map(id).map(|attestor| (attestor, Qos::assignments(QosEpoch(0), attestor)));
    all.find(|(_, nodes)| nodes.len() >= 2).unwrap()
}

/// What shows that `leaves`, in order, have none about `node`.
pub(super) fn gap(leaves: &[Leaf], node: NodeId) -> LeafOmission {
    let tree = Tree::new(leaves);
    let proven = |place: usize| (leaves[place].clone(), tree.prove(place as u32).unwrap());
    match leaves.partition_point(|leaf| leaf.key() < LeafKey::quality(node)) {
        _ if leaves.is_empty() => LeafOmission::Empty,
        0 => LeafOmission::Before(proven(0)),
        place if place == leaves.len() => LeafOmission::After(proven(place - 1)),
        place => LeafOmission::Between(proven(place - 1), proven(place)),
    }
}

#[test]
fn a_root_that_leaves_out_a_node_forfeits_the_epoch() {
    for kept in 0..=3 {
        run(|| {
            run_to(first(1));
            let (attestor, nodes) = assigned();
            // Nobody asked for these, but they may be there.
            let others: Vec<NodeId> =
                [id(50), id(101), id(250)].into_iter().filter(|node| *node != nodes[0]).take(kept).collect();
            let leaves = leaves(attestor, 0, &others);
            submit_leaves(attestor, 0, &leaves);
            let omission = gap(&leaves, nodes[0]);
            let before = bond(attestor);
            assert_eq!(omit(attestor, nodes[0], omission.clone()).unwrap().pays_fee, Pays::No);
            let event = Event::NodeOmitted { epoch: QosEpoch(0), attestor, node: nodes[0], reporter: REPORTER };
            System::assert_last_event(event.into());
            assert_eq!(Qos::standing(QosEpoch(0), attestor), Standing::Forfeited);
            assert_eq!(Forfeited::get().len(), 1);
            // A lost epoch is no slash, and it is lost once.
            assert_eq!(bond(attestor), before);
            assert_noop!(omit(attestor, nodes[0], omission), Error::<Test>::EvidenceSpent);
        });
    }
}

#[test]
fn a_complete_root_leaves_nothing_to_report() {
    run(|| {
        run_to(first(1));
        let (attestor, nodes) = assigned();
        let all = leaves(attestor, 0, &nodes);
        submit_leaves(attestor, 0, &all);
        // What would show an omission in a poorer tree shows none in this one.
        let poorer = leaves(attestor, 0, &nodes[1..]);
        assert_noop!(omit(attestor, nodes[0], gap(&poorer, nodes[0])), Error::<Test>::InvalidEvidence);
        assert_noop!(omit(attestor, nodes[0], LeafOmission::Empty), Error::<Test>::InvalidEvidence);
        let tree = Tree::new(&all);
        for (place, leaf) in all.iter().enumerate() {
            let proven = (leaf.clone(), tree.prove(place as u32).unwrap());
            for evidence in [LeafOmission::Before, LeafOmission::After, LeafOmission::Void] {
                assert_noop!(omit(attestor, nodes[0], evidence(proven.clone())), Error::<Test>::InvalidEvidence);
            }
        }
        assert_eq!(Qos::standing(QosEpoch(0), attestor), Standing::Good);
    });
}

#[test]
fn only_who_was_drawn_for_a_node_that_was_there_leaves_it_out() {
    run(|| {
        let (attestor, nodes) = assigned();
        assert_noop!(omit(attestor, nodes[0], LeafOmission::Empty), Error::<Test>::NoRoot);
        run_to(first(1));
        submit_leaves(attestor, 0, &[]);
        assert_noop!(omit(attestor, id(1), LeafOmission::Empty), Error::<Test>::NotMeasured);
        assert_noop!(omit(attestor, id(250), LeafOmission::Empty), Error::<Test>::NotMeasured);
        let committee = Qos::committee(QosEpoch(0), id(100));
        let outsider = (1..=5).map(id).find(|node| !committee.contains(node)).unwrap();
        assert_noop!(omit(outsider, id(100), LeafOmission::Empty), Error::<Test>::NotDrawn);
        let origin = RuntimeOrigin::signed(REPORTER);
        let unknown = Qos::report_omission(origin, QosEpoch(7), attestor, nodes[0], Box::new(LeafOmission::Empty));
        assert_noop!(unknown, Error::<Test>::UnknownEpoch);
        assert_ok!(omit(attestor, nodes[0], LeafOmission::Empty));
    });
}

#[test]
fn a_node_that_came_during_the_epoch_may_be_left_out() {
    run(|| {
        run_to(3);
        let node = register();
        run_to(first(1));
        let attestor = Qos::committee(QosEpoch(0), node)[0];
        submit_leaves(attestor, 0, &[]);
        assert_noop!(omit(attestor, node, LeafOmission::Empty), Error::<Test>::NotMeasured);
    });
}

#[test]
fn who_left_out_a_node_may_still_be_slashed_for_another_root() {
    run(|| {
        let (attestor, nodes) = assigned();
        run_to(first(1));
        submit_leaves(attestor, 0, &[]);
        assert_ok!(omit(attestor, nodes[0], LeafOmission::Empty));
        let before = bond(attestor);
        assert_ok!(Qos::submit_root(RuntimeOrigin::signed(attestor.account()), QosEpoch(0), root(1), root(1)));
        assert_eq!(bond(attestor), before - before / 10);
        // The earnings were lost once.
        assert_eq!((Forfeited::get().len(), before > CHR), (1, true));
        assert_eq!(Qos::standing(QosEpoch(0), attestor), Standing::Equivocated);
    });
}

#[test]
fn who_was_slashed_for_another_root_has_nothing_left_to_lose() {
    run(|| {
        let (attestor, nodes) = assigned();
        run_to(first(1));
        submit_leaves(attestor, 0, &[]);
        assert_ok!(Qos::submit_root(RuntimeOrigin::signed(attestor.account()), QosEpoch(0), root(1), root(1)));
        assert_noop!(omit(attestor, nodes[0], LeafOmission::Empty), Error::<Test>::EvidenceSpent);
        assert_eq!(Forfeited::get().len(), 1);
    });
}

#[test]
fn an_omission_of_a_forgotten_epoch_is_forgotten() {
    run(|| {
        let (attestor, nodes) = assigned();
        run_to(first(1));
        submit_leaves(attestor, 0, &[]);
        run_to(first(4));
        assert_noop!(omit(attestor, nodes[0], LeafOmission::Empty), Error::<Test>::UnknownEpoch);
    });
}

#[test]
fn a_node_without_terms_was_not_measured() {
    run(|| {
        let (attestor, nodes) = assigned();
        run_to(first(1));
        submit_leaves(attestor, 0, &[]);
        // It cannot come to this by calls: a media node has terms from the epoch after its registration on.
        let terms = pallet_chroom_nodes::TermsHistory::<Test>::take(nodes[0]);
        assert_noop!(omit(attestor, nodes[0], LeafOmission::Empty), Error::<Test>::NotMeasured);
        pallet_chroom_nodes::TermsHistory::<Test>::insert(nodes[0], terms);
        assert_ok!(omit(attestor, nodes[0], LeafOmission::Empty));
    });
}
