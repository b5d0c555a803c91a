//! Evidence of omissions that somebody made up against a tree that leaves nobody out.

use super::discipline::{assigned, gap, omit};
use crate::{Error, Standing, mock::*};
use chroom_primitives::{
    AccountId, Leaf, NodeId, QosEpoch, UsageLeaf,
    evidence::{LeafOmission, ProvenLeaf},
    leaf::order_leaves,
    merkle::{InclusionProof, Root, Tree, distorted},
};
use frame_support::{assert_err, assert_noop, assert_ok, assert_storage_noop};

fn proven(leaves: &[Leaf]) -> Vec<ProvenLeaf> {
    let tree = Tree::new(leaves);
    leaves.iter().enumerate().map(|(index, leaf)| (leaf.clone(), tree.prove(index as u32).unwrap())).collect()
}

/// All that can be said with these leaves of a tree, whether it holds or not.
fn said_with(leaves: &[ProvenLeaf]) -> Vec<LeafOmission> {
    let mut all = vec![LeafOmission::Empty];
    for one in leaves {
        all.extend([LeafOmission::Before, LeafOmission::After, LeafOmission::Void].map(|say| say(one.clone())));
        all.extend(leaves.iter().map(|other| LeafOmission::Between(one.clone(), other.clone())));
    }
    all
}

/// Says of each of `nodes` that `attestor` left it out: all of it is refused, and nothing happens.
fn refused(attestor: NodeId, nodes: &[NodeId], evidence: &[LeafOmission]) {
    assert_storage_noop!(for evidence in evidence {
        for node in nodes {
            assert_err!(omit(attestor, *node, evidence.clone()), Error::<Test>::InvalidEvidence);
        }
    });
    assert_eq!(Qos::standing(QosEpoch(0), attestor), Standing::Good);
    assert!(Forfeited::get().is_empty());
}

/// Runs `test` with an attestor whose tree of epoch 0 holds all nodes that it was drawn for, besides usage and some that nobody asked for, one
/// of them with a leaf that no claim could use.
fn with_complete_tree(test: impl FnOnce(NodeId, &[NodeId], &[Leaf])) {
    run(|| {
        run_to(first(1));
        let (attestor, nodes) = assigned();
        let more: Vec<NodeId> = nodes.iter().copied().chain([id(50), id(99), id(250)]).collect();
        let mut all = leaves(attestor, 0, &more);
        all[0] = leaves(attestor, 7, &[id(50)]).remove(0);
        all.extend(nodes.iter().chain([&id(60)]).map(|node| usage(*node)));
        order_leaves(&mut all);
        submit_leaves(attestor, 0, &all);
        test(attestor, &nodes, &all);
    });
}

fn usage(node: NodeId) -> Leaf {
    let (application, orchestrator) = (AccountId::new([1; 32]), id(200));
    Leaf::Usage(UsageLeaf { epoch: QosEpoch(0), node, application, orchestrator, bytes: 1 })
}

#[test]
fn true_leaves_show_no_omission_of_what_is_there() {
    with_complete_tree(|attestor, nodes, leaves| refused(attestor, nodes, &said_with(&proven(leaves))));
}

#[test]
fn no_distorted_proof_shows_an_omission() {
    with_complete_tree(|attestor, nodes, leaves| {
        let count = leaves.len() as u32;
        for (leaf, inclusion) in proven(leaves) {
            let wrong = distorted(&inclusion, count);
            let evidence: Vec<LeafOmission> = wrong
                .into_iter()
                .flat_map(|inclusion| {
                    let leaf = (leaf.clone(), inclusion);
                    [LeafOmission::Before, LeafOmission::After, LeafOmission::Void].map(|say| say(leaf.clone()))
                })
                .collect();
            refused(attestor, nodes, &evidence);
        }
    });
}

#[test]
fn leaves_that_are_no_neighbours_cannot_be_made_such() {
    with_complete_tree(|attestor, nodes, leaves| {
        let proven = proven(leaves);
        let mut evidence = Vec::new();
        for (place, left) in proven.iter().enumerate() {
            for right in &proven[place + 1..] {
                // One of the two is moved next to the other, with its own path or the path of who is there.
                let (before, after) = (right.1.index - 1, left.1.index + 1);
                let moved = |leaf: &ProvenLeaf, index: u32| {
                    let path = proven[index as usize].1.clone();
                    [(leaf.0.clone(), InclusionProof { index, ..leaf.1.clone() }), (leaf.0.clone(), path)]
                };
                evidence.extend(moved(left, before).map(|left| LeafOmission::Between(left, right.clone())));
                evidence.extend(moved(right, after).map(|right| LeafOmission::Between(left.clone(), right)));
            }
        }
        // Those that are neighbours stay what they were, and nobody is missing between them.
        refused(attestor, nodes, &evidence);
    });
}

#[test]
fn the_tree_of_another_epoch_or_attestor_shows_nothing() {
    with_complete_tree(|attestor, nodes, _| {
        let other = Qos::committee(QosEpoch(0), nodes[0]).into_iter().find(|member| *member != attestor).unwrap();
        // This one did leave the nodes out, in epoch 0; the attestor does, in epoch 1.
        let poor = leaves(other, 0, &[id(50)]);
        submit_leaves(other, 0, &poor);
        refused(attestor, nodes, &said_with(&proven(&poor)));
        run_to(first(2));
        let later = leaves(attestor, 1, &[id(50), id(250)]);
        submit_leaves(attestor, 1, &later);
        refused(attestor, nodes, &said_with(&proven(&later)));
        // Evidence of the one is none against the other, though both are guilty.
        assert_noop!(omit(other, nodes[0], gap(&later, nodes[0])), Error::<Test>::InvalidEvidence);
        assert_ok!(omit(other, nodes[0], gap(&poor, nodes[0])));
    });
}

#[test]
fn a_leaf_that_is_there_twice_hides_nobody_and_shows_nobody() {
    run(|| {
        run_to(first(1));
        let (attestor, nodes) = assigned();
        let twice = |nodes: &[NodeId]| -> Vec<Leaf> {
            leaves(attestor, 0, nodes).into_iter().flat_map(|leaf| [leaf.clone(), leaf]).collect()
        };
        let all = twice(&[&nodes[..], &[id(50), id(250)]].concat());
        submit_leaves(attestor, 0, &all);
        refused(attestor, &nodes, &said_with(&proven(&all)));
    });
    run(|| {
        run_to(first(1));
        let (attestor, nodes) = assigned();
        let kept = leaves(attestor, 0, &[id(50), id(250)]);
        let all: Vec<Leaf> = kept.into_iter().flat_map(|leaf| [leaf.clone(), leaf]).collect();
        submit_leaves(attestor, 0, &all);
        assert_ok!(omit(attestor, nodes[0], gap(&all, nodes[0])));
    });
}

#[test]
fn a_tree_out_of_order_is_its_makers_own_fault() {
    run(|| {
        run_to(first(1));
        let (attestor, nodes) = assigned();
        let mut all = leaves(attestor, 0, &nodes);
        all.reverse();
        submit_leaves(attestor, 0, &all);
        // The node is there, but not where a reader would look for it.
        let last = proven(&all).pop().unwrap();
        assert!(last.0.key().node < nodes[1]);
        assert_ok!(omit(attestor, nodes[1], LeafOmission::After(last)));
    });
}

#[test]
fn a_root_of_another_size_is_no_better_than_its_tree() {
    let send = |count: fn(u32) -> u32, check: fn(NodeId, &[NodeId], &[Leaf])| {
        run(|| {
            run_to(first(1));
            let (attestor, nodes) = assigned();
            let all = leaves(attestor, 0, &[&nodes[..], &[id(50), id(250)]].concat());
            let true_root = Tree::new(&all).root();
            let quality = Root { leaves: count(true_root.leaves), ..true_root };
            let sender = RuntimeOrigin::signed(attestor.account());
            assert_ok!(Qos::submit_root(sender, QosEpoch(0), quality, root(200)));
            check(attestor, &nodes, &all);
        });
    };
    // Who says that its tree is empty has left everybody out.
    send(
        |_| 0,
        |attestor, nodes, _| {
            assert_ok!(omit(attestor, nodes[0], LeafOmission::Empty));
        },
    );
    // Its true leaves, and what could be called the ends of the tree that it claims, show nothing.
    let silent = |attestor: NodeId, nodes: &[NodeId], leaves: &[Leaf]| {
        refused(attestor, nodes, &said_with(&proven(leaves)));
        let size = Qos::attestation(QosEpoch(0), attestor).unwrap().leaves;
        // The first leaf is before all of the nodes.
        for (_, inclusion) in proven(leaves) {
            let moved = (leaves[0].clone(), InclusionProof { index: size - 1, ..inclusion });
            refused(attestor, nodes, &[LeafOmission::After(moved)]);
        }
    };
    send(|_| 1, silent);
    send(|leaves| leaves - 1, silent);
    send(|leaves| leaves + 1, silent);
    send(|leaves| 2 * leaves, silent);
    send(|_| u32::MAX, silent);
}
