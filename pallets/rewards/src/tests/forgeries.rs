//! Proofs that somebody made up: none is paid, and none leaves a trace.

use crate::{Error, mock::*};
use chroom_primitives::{
    AccountId, CHR, Leaf, NodeId, QosEpoch, QosLeaf, Score, UsageLeaf,
    merkle::{InclusionProof, Root, Tree, distorted},
    runtime_api::{MemberProof, Payout},
};
use frame_support::{assert_err, assert_noop, assert_ok, assert_storage_noop};
use sp_runtime::DispatchError;

/// Usage of so many applications, in order.
fn usage(applications: u8) -> Vec<Usage> {
    (0..applications).map(|index| (AccountId::new([30 + index; 32]), id(FOREIGN), 1 << 30)).collect()
}

/// A node's epoch 0 with all roots in, in which each member's tree holds its quality and so many leaves of usage, and nothing else.
fn round_of(applications: u8) -> Round {
    run_to(first(1) + 1);
    let round = Round::of(0, &[id(SMALL)], |_, _| View { usage: usage(applications), ..View::score(9_000) });
    round.submit_all();
    round
}

/// Claims an epoch for the small node with each of these members' proofs in the place of the true ones: all fail, and nothing happens.
fn refused(error: Error<Test>, round: &Round, forged: &[MemberProof]) {
    let (epoch, honest) = (round.epoch.0, round.proofs(id(SMALL)));
    let name = error.as_str().as_bytes().to_vec();
    let error: DispatchError = error.into();
    assert_storage_noop!(for forged in forged {
        let others = honest.iter().filter(|proof| proof.attestor != forged.attestor);
        let proofs: Vec<MemberProof> = core::iter::once(forged).chain(others).cloned().collect();
        let preview = Rewards::preview_claim(QosEpoch(epoch), id(SMALL), proofs.clone());
        assert_eq!(preview, Err(name.clone()), "{forged:?}");
        assert_err!(claim(epoch, id(SMALL), proofs), error);
    });
}

#[test]
fn no_distorted_path_proves_a_leaf() {
    for applications in [0, 1, 2, 3, 6] {
        run(|| {
            let round = round_of(applications);
            let size = u32::from(applications) + 1;
            let good = round.proof(Qos::committee(QosEpoch(0), id(SMALL))[0], id(SMALL));
            let mut forged = Vec::new();
            for wrong in distorted(&good.quality.1, size) {
                forged.push(MemberProof { quality: (good.quality.0.clone(), wrong), ..good.clone() });
            }
            for place in 0..good.usage.len() {
                for wrong in distorted(&good.usage[place].1, size) {
                    let mut proof = good.clone();
                    proof.usage[place].1 = wrong;
                    forged.push(proof);
                }
            }
            refused(Error::InvalidProof, &round, &forged);
            assert_ok!(claim(0, id(SMALL), round.proofs(id(SMALL))));
        });
    }
}

#[test]
fn the_path_of_one_leaf_leads_to_no_other() {
    run(|| {
        let round = round_of(5);
        let good = round.proof(Qos::committee(QosEpoch(0), id(SMALL))[1], id(SMALL));
        let paths: Vec<InclusionProof> =
            core::iter::once(&good.quality.1).chain(good.usage.iter().map(|(_, path)| path)).cloned().collect();
        let mut forged = Vec::new();
        for (other, path) in paths.iter().enumerate() {
            for place in (0..paths.len()).filter(|place| *place != other) {
                let mut proof = good.clone();
                match place.checked_sub(1) {
                    Some(place) => proof.usage[place].1 = path.clone(),
                    None => proof.quality.1 = path.clone(),
                }
                forged.push(proof);
            }
        }
        refused(Error::InvalidProof, &round, &forged);
    });
}

#[test]
fn proofs_of_another_epoch_prove_nothing() {
    run(|| {
        let old = round_of(3);
        run_to(first(2) + 1);
        let new = Round::of(1, &[id(SMALL)], |_, _| View { usage: usage(3), ..View::score(9_000) });
        new.submit_all();
        let before = Qos::committee(QosEpoch(0), id(SMALL));
        // Three of five, twice: one is a member of both.
        let member = Qos::committee(QosEpoch(1), id(SMALL)).into_iter().find(|node| before.contains(node)).unwrap();
        let (was, is) = (old.proof(member, id(SMALL)), new.proof(member, id(SMALL)));
        refused(Error::WrongLeaf, &new, &[was.clone(), MemberProof { usage: was.usage.clone(), ..is.clone() }]);
        refused(Error::WrongLeaf, &old, &[is.clone(), MemberProof { usage: is.usage.clone(), ..was.clone() }]);
        // Under the other epoch's number the leaves are those of the other tree, but the paths are not.
        let relabelled = |proof: &MemberProof, epoch: u32| {
            let mut proof = proof.clone();
            proof.quality.0.epoch = QosEpoch(epoch);
            proof.usage.iter_mut().for_each(|(leaf, _)| leaf.epoch = QosEpoch(epoch));
            proof
        };
        assert_eq!(relabelled(&was, 1).quality.0, is.quality.0);
        refused(Error::InvalidProof, &new, &[relabelled(&was, 1)]);
        refused(Error::InvalidProof, &old, &[relabelled(&is, 0)]);
        assert_ok!(claim(0, id(SMALL), old.proofs(id(SMALL))));
        assert_ok!(claim(1, id(SMALL), new.proofs(id(SMALL))));
    });
}

#[test]
fn a_root_that_is_sent_again_proves_nothing_in_the_next_epoch() {
    run(|| {
        let old = round_of(3);
        run_to(first(2) + 1);
        let before = Qos::committee(QosEpoch(0), id(SMALL));
        let lazy = Qos::committee(QosEpoch(1), id(SMALL)).into_iter().find(|node| before.contains(node)).unwrap();
        let new = Round::of(1, &[id(SMALL)], |_, _| View { usage: usage(3), ..View::score(9_000) });
        new.submit_but(lazy);
        assert_ok!(Qos::submit_root(signed(lazy.account()), QosEpoch(1), old.tree(lazy).root(), Root::default()));
        let again = old.proof(lazy, id(SMALL));
        refused(Error::WrongLeaf, &new, core::slice::from_ref(&again));
        let mut relabelled = again;
        relabelled.quality.0.epoch = QosEpoch(1);
        refused(Error::InvalidProof, &new, &[relabelled, new.proof(lazy, id(SMALL))]);
    });
}

#[test]
fn what_an_attestor_says_of_another_node_proves_nothing_of_this_one() {
    run(|| {
        let round =
            attested(|_, node| View { usage: usage(2), ..View::score(if node == id(SMALL) { 3_000 } else { 9_900 }) });
        let others = Qos::committee(QosEpoch(0), id(MEDIUM));
        let both = Qos::committee(QosEpoch(0), id(SMALL)).into_iter().find(|node| others.contains(node)).unwrap();
        let (own, better) = (round.proof(both, id(SMALL)), round.proof(both, id(MEDIUM)));
        refused(
            Error::WrongLeaf,
            &round,
            &[better.clone(), MemberProof { usage: better.usage.clone(), ..own.clone() }],
        );
        let mut renamed = better;
        renamed.quality.0.node = id(SMALL);
        renamed.usage.iter_mut().for_each(|(leaf, _)| leaf.node = id(SMALL));
        refused(Error::InvalidProof, &round, &[renamed.clone(), MemberProof { usage: renamed.usage, ..own }]);
    });
}

/// Runs `check` with the claims of epoch 0 open, after the first member of the small node's committee, which alone sends a root, has sent
/// what `root` makes of its true one.
fn with_root(applications: u8, root: impl FnOnce(Root) -> Root, check: impl FnOnce(&Round, NodeId)) {
    run(|| {
        run_to(first(1));
        let round = Round::of(0, &[id(SMALL)], |_, _| View { usage: usage(applications), ..View::score(9_000) });
        let member = Qos::committee(QosEpoch(0), id(SMALL))[0];
        let sent = root(round.tree(member).root());
        assert_ok!(Qos::submit_root(signed(member.account()), QosEpoch(0), sent, Root::default()));
        run_to(closed(0));
        check(&round, member);
    });
}

/// Claims epoch 0 for the small node with this proof alone, in vain.
fn alone(error: Error<Test>, proof: MemberProof) {
    assert_noop!(claim(0, id(SMALL), vec![proof]), error);
}

#[test]
fn a_root_of_a_wrong_size_proves_nothing() {
    for size in (0..=18).chain([32, 64, u32::MAX]) {
        with_root(
            7,
            |root| {
                assert_eq!(root.leaves, 8);
                Root { leaves: size, ..root }
            },
            |round, member| {
                let proof = round.proof(member, id(SMALL));
                if size == 8 {
                    assert_ok!(claim(0, id(SMALL), vec![proof]));
                } else {
                    alone(Error::InvalidProof, proof);
                }
            },
        );
    }
}

#[test]
fn an_empty_tree_proves_nothing() {
    with_root(
        0,
        |_| Tree::new::<Leaf>(&[]).root(),
        |round, member| {
            let proof = round.proof(member, id(SMALL));
            assert_eq!(proof.quality.1, InclusionProof { index: 0, siblings: vec![] });
            alone(Error::InvalidProof, proof.clone());
            let mut padded = proof;
            padded.quality.1.siblings.push(Tree::new::<Leaf>(&[]).root().hash);
            alone(Error::InvalidProof, padded);
            // Without it the committee has said nothing, and nothing is paid.
            assert_ok!(claim(0, id(SMALL), vec![]));
            assert_eq!(Rewards::last_reward(id(SMALL)), Some((QosEpoch(0), 0)));
        },
    );
}

#[test]
fn no_inner_node_passes_for_a_leaf() {
    // A tree of eight leaves has inner nodes at three levels. Its maker calls those of one level its leaves, or tells the truth.
    for level in 1..=3u32 {
        for leaves in [8 >> level, 8] {
            with_root(
                7,
                |root| Root { leaves, ..root },
                |round, member| {
                    let good = round.proof(member, id(SMALL));
                    let above = |path: &InclusionProof| InclusionProof {
                        index: path.index >> level,
                        siblings: path.siblings[level as usize..].to_vec(),
                    };
                    let quality = |path| (good.quality.0.clone(), path);
                    // Whatever leaf is shown in its place, beginning with one that is below it.
                    for path in core::iter::once(&good.quality.1).chain(good.usage.iter().map(|(_, path)| path)) {
                        let forged = MemberProof { quality: quality(above(path)), usage: vec![], ..good.clone() };
                        alone(Error::InvalidProof, forged);
                    }
                    let lifted = good.usage.iter().map(|(leaf, path)| (leaf.clone(), above(path))).collect();
                    alone(Error::InvalidProof, MemberProof { usage: lifted, ..good.clone() });
                },
            );
        }
    }
}

/// The leaves of a tree with their paths.
type Proven = Vec<(Leaf, InclusionProof)>;

/// Runs `check` with all roots in, of which the first member's is over what `change` makes of its true leaves: quality, usage of two applications.
fn with_leaves(change: impl FnOnce(Vec<Leaf>) -> Vec<Leaf>, check: impl FnOnce(&Round, NodeId, &Proven)) {
    run(|| {
        run_to(first(1) + 1);
        assert_ok!(Rewards::deposit(signed(APP), APP, 100 * CHR));
        let view = |_, _| View { usage: vec![used(APP, 1 << 30), used(OTHER_APP, 1 << 30)], ..View::score(9_000) };
        let round = Round::of(0, &[id(SMALL)], view);
        let member = Qos::committee(QosEpoch(0), id(SMALL))[0];
        round.submit_but(member);
        let leaves = change(round.leaves(member).to_vec());
        let tree = Tree::new(&leaves);
        assert_ok!(Qos::submit_root(signed(member.account()), QosEpoch(0), tree.root(), Root::default()));
        let prove = |index: usize| tree.prove(index as u32).unwrap();
        let proven = leaves.into_iter().enumerate().map(|(index, leaf)| (leaf, prove(index))).collect();
        check(&round, member, &proven);
    });
}

/// A member's proof with the quality at one place of its tree and the usage at others.
fn shown(member: NodeId, proven: &Proven, quality: usize, usage: &[usize]) -> MemberProof {
    let (Leaf::Qos(leaf), path) = proven[quality].clone() else { panic!("no leaf of quality") };
    let usage_at = |place: &usize| match proven[*place].clone() {
        (Leaf::Usage(leaf), path) => (leaf, path),
        (Leaf::Qos(_), _) => panic!("no leaf of usage"),
    };
    MemberProof { attestor: member, quality: (leaf, path), usage: usage.iter().map(usage_at).collect() }
}

/// What a claim of epoch 0 with this proof and the other members' pays for the small node.
fn payout(round: &Round, proof: MemberProof) -> Payout {
    let others = round.proofs(id(SMALL)).into_iter().filter(|other| other.attestor != proof.attestor);
    let proofs = others.chain([proof.clone()]).collect();
    Rewards::preview_claim(QosEpoch(0), id(SMALL), proofs).unwrap()
}

#[test]
fn two_leaves_about_one_node_are_one_voice() {
    // The member rates the node twice, and leaves the choice to whoever claims.
    let rate_twice = |leaves: Vec<Leaf>| -> Vec<Leaf> {
        let Leaf::Qos(leaf) = &leaves[0] else { panic!("no leaf of quality") };
        let rated = [2_000, 9_900].map(|score| Leaf::Qos(QosLeaf { score: Score(score), ..leaf.clone() }));
        rated.into_iter().chain(leaves[1..].iter().cloned()).collect()
    };
    with_leaves(rate_twice, |round, member, proven| {
        let [low, high] = [0, 1].map(|place| shown(member, proven, place, &[2, 3]));
        let honest = round.proofs(id(SMALL));
        let both = vec![low.clone(), high.clone(), honest[1].clone()];
        assert_noop!(claim(0, id(SMALL), both), Error::<Test>::DuplicateAttestor);
        // Nor is either leaf in the other's place, or anything between them in the tree.
        let swapped = |one: &MemberProof, other: &MemberProof| MemberProof {
            quality: (one.quality.0.clone(), other.quality.1.clone()),
            ..one.clone()
        };
        let mut between = low.clone();
        between.quality.0.score = Score(5_950);
        refused(Error::InvalidProof, round, &[swapped(&low, &high), swapped(&high, &low), between]);
        // One member's choice does not move the median of three.
        run_to(closed(0));
        assert_eq!(payout(round, low.clone()), payout(round, high));
        assert_eq!(payout(round, low).score, Score(9_000));
        assert_ok!(claim(0, id(SMALL), honest[1..].to_vec()));
    });
}

#[test]
fn usage_that_is_there_twice_counts_once() {
    // The same usage again, and more of it by the same application through the same orchestrator.
    let again = |leaves: Vec<Leaf>| -> Vec<Leaf> {
        let Leaf::Usage(leaf) = &leaves[1] else { panic!("no leaf of usage") };
        let more = Leaf::Usage(UsageLeaf { bytes: 50 << 30, ..leaf.clone() });
        vec![leaves[0].clone(), leaves[1].clone(), leaves[1].clone(), more, leaves[2].clone()]
    };
    with_leaves(again, |round, member, proven| {
        let twice: [&[usize]; 8] = [&[1, 1], &[1, 2], &[2, 1], &[1, 3], &[3, 1], &[3, 3, 4], &[1, 4, 3], &[1, 2, 3, 4]];
        let forged = twice.map(|places| shown(member, proven, 0, places));
        refused(Error::UsageOutOfOrder, round, &forged);
        for place in [1, 2, 3] {
            assert_eq!(payout(round, shown(member, proven, 0, &[place, 4])).fees, CHR * 8 / 10);
        }
    });
}

#[test]
fn usage_is_shown_in_order_whatever_the_order_of_its_tree() {
    let reversed = |mut leaves: Vec<Leaf>| {
        leaves.reverse();
        leaves
    };
    with_leaves(reversed, |round, member, proven| {
        refused(Error::UsageOutOfOrder, round, &[shown(member, proven, 2, &[0, 1])]);
        // In order it is in the tree too: that is the member's own affair.
        assert_eq!(payout(round, shown(member, proven, 2, &[1, 0])).fees, CHR * 8 / 10);
    });
}
