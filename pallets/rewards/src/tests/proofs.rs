//! Proofs that prove nothing.

use crate::{Error, MAX_USAGE_LEAVES, mock::*};
use chroom_primitives::{
    AccountId, Hash, Leaf, QosEpoch, QosLeaf, Score,
    leaf::SourceClasses,
    merkle::{InclusionProof, Root, Tree},
    runtime_api::MemberProof,
};
use frame_support::{assert_noop, assert_ok};

fn app(index: u8) -> AccountId {
    AccountId::new([index; 32])
}

/// A round with usage of three applications, of one through two orchestrators, by everybody.
fn round() -> Round {
    let by = |application, orchestrator, bytes| (app(application), id(orchestrator), bytes);
    let usage = [by(30, FOREIGN, 1), by(31, OWN, 2), by(31, FOREIGN, 3), by(32, FOREIGN, 4)];
    attested(|_, _| View { usage: usage.to_vec(), ..View::score(9_000) })
}

/// Changes the first member's proof and expects `error`; the untouched proofs are good.
fn refused(error: Error<Test>, change: impl Fn(&mut MemberProof)) {
    run(|| {
        let round = round();
        let mut proofs = round.proofs(id(SMALL));
        change(&mut proofs[0]);
        assert_noop!(claim(0, id(SMALL), proofs), error);
        assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
    });
}

#[test]
fn a_changed_leaf_is_refused() {
    refused(Error::InvalidProof, |proof| proof.quality.0.score = Score(9_999));
    refused(Error::InvalidProof, |proof| proof.quality.0.uptime -= 1);
    refused(Error::InvalidProof, |proof| proof.quality.0.samples += 1);
    refused(Error::InvalidProof, |proof| proof.quality.0.sources = SourceClasses(7));
    refused(Error::InvalidProof, |proof| proof.usage[1].0.bytes += 1);
    refused(Error::InvalidProof, |proof| proof.usage[0].0.application = app(29));
    refused(Error::InvalidProof, |proof| proof.usage[0].0.orchestrator = id(OWN));
}

#[test]
fn a_shortened_lengthened_reordered_or_moved_proof_is_refused() {
    refused(Error::InvalidProof, |proof| {
        proof.quality.1.siblings.pop();
    });
    refused(Error::InvalidProof, |proof| {
        proof.quality.1.siblings.remove(0);
        proof.quality.1.index /= 2;
    });
    refused(Error::InvalidProof, |proof| proof.quality.1.siblings.push(Hash::zero()));
    refused(Error::InvalidProof, |proof| proof.quality.1.siblings.reverse());
    refused(Error::InvalidProof, |proof| proof.quality.1.index ^= 1);
    refused(Error::InvalidProof, |proof| proof.quality.1.index = u32::MAX);
    refused(Error::InvalidProof, |proof| proof.quality.1.siblings = vec![Hash::zero(); 10_000]);
    refused(Error::InvalidProof, |proof| {
        proof.usage[2].1.siblings.pop();
    });
    refused(Error::InvalidProof, |proof| {
        let other = proof.usage[0].1.clone();
        proof.usage[1].1 = other;
    });
}

#[test]
fn an_inner_node_is_no_leaf() {
    run(|| {
        let round = round();
        let member = Qos::committee(QosEpoch(0), id(SMALL))[0];
        let good = round.proof(member, id(SMALL));
        // The proof of the subtree that the leaf is in, as if that were the leaf.
        let mut forged = good.clone();
        forged.quality.1 =
            InclusionProof { index: good.quality.1.index / 2, siblings: good.quality.1.siblings[1..].to_vec() };
        assert_noop!(claim(0, id(SMALL), vec![forged]), Error::<Test>::InvalidProof);
    });
}

#[test]
fn leaves_of_another_epoch_or_node_are_refused() {
    refused(Error::WrongLeaf, |proof| proof.quality.0.epoch = QosEpoch(1));
    refused(Error::WrongLeaf, |proof| proof.quality.0.node = id(MEDIUM));
    refused(Error::WrongLeaf, |proof| proof.usage[0].0.epoch = QosEpoch(7));
    refused(Error::WrongLeaf, |proof| proof.usage[0].0.node = id(MEDIUM));
    run(|| {
        // The good proofs of another node and of another epoch.
        let round = round();
        let both = Qos::committee(QosEpoch(0), id(SMALL))
            .into_iter()
            .find(|member| Qos::committee(QosEpoch(0), id(MEDIUM)).contains(member))
            .unwrap();
        assert_noop!(claim(0, id(SMALL), vec![round.proof(both, id(MEDIUM))]), Error::<Test>::WrongLeaf);
        run_to(closed(1));
        let old = round.proofs(id(SMALL)).into_iter().next().unwrap();
        if Qos::committee(QosEpoch(1), id(SMALL)).contains(&old.attestor) {
            assert!(claim(1, id(SMALL), vec![old]).is_err());
        }
    });
}

#[test]
fn a_tree_of_another_epoch_does_not_carry_over() {
    run(|| {
        round();
        run_to(first(2));
        // Each attestor honestly sends its tree of epoch 1; a claim for epoch 1 shows leaves that say epoch 0.
        let next = Round::new(1, |_, _| View::score(9_000));
        next.submit_all();
        let mut proofs = next.proofs(id(SMALL));
        proofs[0].quality.0.epoch = QosEpoch(0);
        assert_noop!(claim(1, id(SMALL), proofs), Error::<Test>::WrongLeaf);
    });
}

#[test]
fn an_attestor_counts_once() {
    run(|| {
        let round = round();
        let proofs = round.proofs(id(SMALL));
        let twice = vec![proofs[0].clone(), proofs[1].clone(), proofs[0].clone()];
        assert_noop!(claim(0, id(SMALL), twice), Error::<Test>::DuplicateAttestor);
        let many = vec![proofs[0].clone(); 16];
        let preview = Rewards::preview_claim(QosEpoch(0), id(SMALL), many);
        assert_eq!(preview, Err(b"NotInCommittee".to_vec()));
    });
}

#[test]
fn only_the_committee_counts() {
    run(|| {
        let round = round();
        let committee = Qos::committee(QosEpoch(0), id(SMALL));
        let outsider = (1..=REGISTRIES).map(id).find(|node| !committee.contains(node)).unwrap();
        let mut proofs = round.proofs(id(SMALL));
        proofs[2].attestor = outsider;
        assert_noop!(claim(0, id(SMALL), proofs), Error::<Test>::NotInCommittee);
        // A member's proof doesn't fit another member's root.
        let mut proofs = round.proofs(id(SMALL));
        proofs[0].attestor = committee[1];
        proofs.remove(1);
        assert_noop!(claim(0, id(SMALL), proofs.clone()), Error::<Test>::ForeignLeaf);
        proofs[0].quality.0.attestor = committee[1];
        assert_noop!(claim(0, id(SMALL), proofs), Error::<Test>::InvalidProof);
    });
}

#[test]
fn a_proof_without_a_root_is_refused() {
    run(|| {
        run_to(closed(0));
        let round = Round::new(0, |_, _| View::score(9_000));
        assert_noop!(claim(0, id(SMALL), round.proofs(id(SMALL))), Error::<Test>::NoRoot);
    });
}

#[test]
fn usage_is_strictly_ordered() {
    refused(Error::UsageOutOfOrder, |proof| proof.usage.swap(0, 1));
    refused(Error::UsageOutOfOrder, |proof| proof.usage.swap(1, 2));
    refused(Error::UsageOutOfOrder, |proof| {
        let twice = proof.usage[2].clone();
        proof.usage.push(twice);
    });
}

#[test]
fn usage_is_bounded() {
    refused(Error::TooManyUsageLeaves, |proof| {
        proof.usage = vec![proof.usage[0].clone(); MAX_USAGE_LEAVES as usize + 1];
    });
}

#[test]
fn an_attestor_that_invents_scales_is_refused() {
    let send = |score, uptime| {
        run(|| {
            run_to(first(1));
            let node = id(SMALL);
            let attestor = Qos::committee(QosEpoch(0), node)[0];
            let leaf = QosLeaf {
                epoch: QosEpoch(0),
                node,
                attestor,
                sources: SourceClasses::default(),
                score: Score(score),
                uptime,
                samples: 1,
            };
            let tree = Tree::new(&[Leaf::Qos(leaf.clone())]);
            assert_ok!(Qos::submit_root(signed(attestor.account()), QosEpoch(0), tree.root(), Root::default()));
            run_to(closed(0));
            let proof = MemberProof { attestor, quality: (leaf, tree.prove(0).unwrap()), usage: vec![] };
            assert_noop!(claim(0, node, vec![proof]), Error::<Test>::OutOfRange);
        });
    };
    send(10_001, 10_000);
    send(10_000, 10_001);
}

/// Sends `leaves` in this order as the first member's tree and returns that tree, with the claims open.
fn with_tree(
    leaves: impl FnOnce(Vec<Leaf>) -> Vec<Leaf>,
    check: impl FnOnce(chroom_primitives::NodeId, &[Leaf], Tree),
) {
    run(|| {
        run_to(first(1));
        let member = Qos::committee(QosEpoch(0), id(SMALL))[0];
        let usage = vec![used(APP, 1), used(OTHER_APP, 2)];
        let honest = Round::new(0, |_, _| View { usage: usage.clone(), ..View::score(9_000) });
        let leaves = leaves(honest.leaves(member).to_vec());
        let tree = Tree::new(&leaves);
        assert_ok!(Qos::submit_root(signed(member.account()), QosEpoch(0), tree.root(), Root::default()));
        run_to(closed(0));
        check(member, &leaves, tree);
    });
}

/// The proof that `leaves` give for the small node, whatever is there twice.
fn proof_of(attestor: chroom_primitives::NodeId, leaves: &[Leaf], tree: &Tree) -> MemberProof {
    let mut proof = None;
    let mut usage = Vec::new();
    for (index, leaf) in leaves.iter().enumerate() {
        let inclusion = tree.prove(index as u32).unwrap();
        match leaf {
            Leaf::Qos(leaf) if leaf.node == id(SMALL) => proof = Some((leaf.clone(), inclusion)),
            Leaf::Usage(leaf) if leaf.node == id(SMALL) => usage.push((leaf.clone(), inclusion)),
            _ => {}
        }
    }
    MemberProof { attestor, quality: proof.unwrap(), usage }
}

#[test]
fn duplicate_leaves_count_once() {
    let twice =
        |leaves: Vec<Leaf>| -> Vec<Leaf> { leaves.iter().flat_map(|leaf| [leaf.clone(), leaf.clone()]).collect() };
    with_tree(twice, |member, leaves, tree| {
        let proof = proof_of(member, leaves, &tree);
        assert_eq!(proof.usage.len(), 4);
        assert_noop!(claim(0, id(SMALL), vec![proof.clone()]), Error::<Test>::UsageOutOfOrder);
        let once = MemberProof { usage: vec![proof.usage[0].clone(), proof.usage[2].clone()], ..proof };
        assert_ok!(claim(0, id(SMALL), vec![once]));
    });
}

#[test]
fn a_tree_of_another_size_holds_nothing() {
    run(|| {
        run_to(first(1));
        let node = id(SMALL);
        let round = round_of_one();
        let committee = Qos::committee(QosEpoch(0), node);
        for (member, lie) in committee.iter().zip([|_: u32| 1u32, |leaves: u32| leaves * 2, |leaves: u32| leaves * 4]) {
            let mut root = round.tree(*member).root();
            assert!(root.leaves > 1);
            root.leaves = lie(root.leaves);
            assert_ok!(Qos::submit_root(signed(member.account()), QosEpoch(0), root, Root::default()));
        }
        for member in committee {
            assert_noop!(claim(0, node, vec![round.proof(member, node)]), Error::<Test>::InvalidProof);
        }
    });
}

/// Like [`round`], not sent.
fn round_of_one() -> Round {
    Round::new(0, |_, _| View { usage: vec![used(APP, 1)], ..View::score(9_000) })
}

#[test]
fn a_second_preimage_of_an_inner_node_is_no_leaf() {
    with_tree(
        |leaves| leaves,
        |member, leaves, tree| {
            // The hash of the two leaves below an inner node, with the path above it, as if they were one leaf: whatever leaf is shown for it has
            // to hash to the inner node under a leaf's prefix.
            for leaf in leaves {
                let Leaf::Qos(quality) = leaf else { continue };
                let index = leaves.iter().position(|other| other == leaf).unwrap() as u32;
                let path = tree.prove(index).unwrap();
                let above = InclusionProof { index: index / 2, siblings: path.siblings[1..].to_vec() };
                let mut quality = quality.clone();
                quality.node = id(SMALL);
                let forged = MemberProof { attestor: member, quality: (quality, above), usage: vec![] };
                assert_noop!(claim(0, id(SMALL), vec![forged]), Error::<Test>::InvalidProof);
            }
        },
    );
}
