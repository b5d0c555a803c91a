//! Proofs that prove nothing.

use crate::{Error, mock::*, types::MAX_USAGE_LEAVES};
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

/// A round with usage of three applications by everybody.
fn round() -> Round {
    attested(|_, _| View { usage: vec![(app(30), 1), (app(31), 2), (app(32), 3)], ..View::score(9_000) })
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
        let first = round.tree(committee[0]).root();
        if first != round.tree(committee[1]).root() {
            assert_noop!(claim(0, id(SMALL), proofs), Error::<Test>::InvalidProof);
        }
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
            let leaf = QosLeaf {
                epoch: QosEpoch(0),
                node,
                sources: SourceClasses::default(),
                score: Score(score),
                uptime,
                samples: 1,
            };
            let tree = Tree::new(&[Leaf::Qos(leaf.clone())]);
            let attestor = Qos::committee(QosEpoch(0), node)[0];
            assert_ok!(Qos::submit_root(signed(attestor.account()), QosEpoch(0), tree.root(), Root::default()));
            run_to(closed(0));
            let proof = MemberProof { attestor, quality: (leaf, tree.prove(0).unwrap()), usage: vec![] };
            assert_noop!(claim(0, node, vec![proof]), Error::<Test>::OutOfRange);
        });
    };
    send(10_001, 10_000);
    send(10_000, 10_001);
}
