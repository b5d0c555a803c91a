//! Checks what a registry shows of an epoch: its leaves against the root on the chain, and what it signs for them.

use chroom_chain_client::SentRoots;
use chroom_primitives::{
    Hash, Leaf, NodeId, QosEpoch, Signed,
    evidence::{RootEquivocation, RootStatement},
    merkle::Root,
    runtime_api::MemberProof,
};
use codec::DecodeAll;

/// What a registry answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its leaves about the node, with their proofs.
    pub proof: MemberProof,
    /// SCALE `Signed<RootStatement>`, if it sent one.
    pub statement: Option<Vec<u8>>,
}

/// What a committee member was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// The member.
    pub member: NodeId,
    /// The epoch.
    pub epoch: QosEpoch,
    /// The node whose quality was measured.
    pub node: NodeId,
    /// The roots that the chain has of the member, if any.
    pub sent: Option<SentRoots>,
}

/// Why leaves are of no use for a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Useless {
    /// They are about something else.
    #[error("its leaves are of another node, epoch or attestor")]
    Other,
    /// There is nothing to prove them against.
    #[error("the chain has no root of it for the epoch")]
    NoRoot,
    /// They are not what it sent.
    #[error("its leaves do not fit the root that the chain has of it")]
    OtherRoot,
}

/// What there is to say of a member's statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// It says what the chain has.
    Kept,
    /// It is missing, or shows nothing: the reason.
    Useless(&'static str),
    /// It contradicts the chain.
    Broken(Box<RootEquivocation>),
}

impl Question {
    /// Whether the leaves can go into a claim.
    pub fn usable(&self, proof: &MemberProof) -> Result<(), Useless> {
        let (leaf, inclusion) = &proof.quality;
        let own = |epoch, node| epoch == self.epoch && node == self.node;
        if proof.attestor != self.member || leaf.attestor != self.member || !own(leaf.epoch, leaf.node) {
            return Err(Useless::Other);
        }
        if !proof.usage.iter().all(|(usage, _)| own(usage.epoch, usage.node)) {
            return Err(Useless::Other);
        }
        let root = self.sent.ok_or(Useless::NoRoot)?.quality;
        let holds = root.contains(&Leaf::Qos(leaf.clone()), inclusion)
            && proof.usage.iter().all(|(usage, at)| root.contains(&Leaf::Usage(usage.clone()), at));
        if holds { Ok(()) } else { Err(Useless::OtherRoot) }
    }

    /// What the member's statement is good for, on the network with this genesis hash.
    pub fn word(&self, shown: &Shown, genesis: &Hash) -> Word {
        let Some(bytes) = &shown.statement else {
            return Word::Useless(
                "signs nothing for its leaves: it is of an older version, or the chain has other roots of it",
            );
        };
        let Ok(statement) = Signed::<RootStatement>::decode_all(&mut bytes.as_slice()) else {
            return Word::Useless("sent a statement that cannot be read");
        };
        if statement.signer(genesis) != Some(self.member) || statement.payload.attestor != self.member {
            return Word::Useless("sent a statement that it did not sign on this network");
        }
        if statement.payload.epoch != self.epoch {
            return Word::Useless("sent a statement about another epoch");
        }
        let RootStatement { quality, snapshot, .. } = statement.payload;
        match self.sent {
            // Nobody can be shown to have sent something else than nothing.
            None => Word::Useless("signs for roots of which the chain has none"),
            Some(sent) if sent != (SentRoots { quality, snapshot }) => {
                Word::Broken(Box::new(RootEquivocation::AgainstChain(statement)))
            }
            Some(_) if !fits(&shown.proof, &quality) => Word::Useless("signs for another root than its leaves have"),
            Some(_) => Word::Kept,
        }
    }
}

fn fits(proof: &MemberProof, root: &Root) -> bool {
    root.contains(&Leaf::Qos(proof.quality.0.clone()), &proof.quality.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chroom_primitives::{AccountId, QosLeaf, Score, UsageLeaf, leaf::SourceClasses, merkle::Tree};
    use chroom_wallet::Wallet;
    use codec::Encode;

    const GENESIS: Hash = Hash::repeat_byte(7);
    const EPOCH: QosEpoch = QosEpoch(3);
    const NODE: NodeId = NodeId([5; 20]);

    fn wallet(n: u8) -> Wallet {
        Wallet::from_secret(&[n; 32]).unwrap()
    }

    /// A member's honest leaves: quality and usage of one node, and the roots that it sent.
    fn honest() -> (MemberProof, SentRoots) {
        let attestor = wallet(1).node_id();
        let quality = QosLeaf {
            epoch: EPOCH,
            node: NODE,
            attestor,
            sources: SourceClasses::default(),
            score: Score(9_000),
            uptime: 10_000,
            samples: 4,
        };
        let (application, orchestrator) = (AccountId::new([8; 32]), NodeId([9; 20]));
        let usage = UsageLeaf { epoch: EPOCH, node: NODE, application, orchestrator, bytes: 77 };
        let leaves = [Leaf::Qos(quality.clone()), Leaf::Usage(usage.clone())];
        let tree = Tree::new(&leaves);
        let proof = MemberProof {
            attestor,
            quality: (quality, tree.prove(0).unwrap()),
            usage: vec![(usage, tree.prove(1).unwrap())],
        };
        let snapshot = Root { hash: Hash::repeat_byte(2), leaves: 9 };
        (proof, SentRoots { quality: tree.root(), snapshot })
    }

    fn question(sent: Option<SentRoots>) -> Question {
        Question { member: wallet(1).node_id(), epoch: EPOCH, node: NODE, sent }
    }

    fn stated(signer: u8, epoch: QosEpoch, sent: SentRoots) -> Option<Vec<u8>> {
        let attestor = wallet(1).node_id();
        let statement = RootStatement { attestor, epoch, quality: sent.quality, snapshot: sent.snapshot };
        Some(wallet(signer).sign(statement, &GENESIS).encode())
    }

    #[test]
    fn honest_leaves_and_words_are_taken() {
        let (proof, sent) = honest();
        let shown = Shown { proof, statement: stated(1, EPOCH, sent) };
        assert_eq!(question(Some(sent)).usable(&shown.proof), Ok(()));
        assert_eq!(question(Some(sent)).word(&shown, &GENESIS), Word::Kept);
    }

    #[test]
    fn leaves_must_be_what_was_asked_for_and_what_was_sent() {
        let (proof, sent) = honest();
        assert_eq!(question(None).usable(&proof), Err(Useless::NoRoot));
        let other = SentRoots { quality: Root { hash: Hash::zero(), ..sent.quality }, ..sent };
        assert_eq!(question(Some(other)).usable(&proof), Err(Useless::OtherRoot));
        let asked = question(Some(sent));
        assert_eq!(Question { epoch: QosEpoch(4), ..asked }.usable(&proof), Err(Useless::Other));
        assert_eq!(Question { node: NodeId([6; 20]), ..asked }.usable(&proof), Err(Useless::Other));
        assert_eq!(Question { member: NodeId([6; 20]), ..asked }.usable(&proof), Err(Useless::Other));
        let mut raised = proof.clone();
        raised.quality.0.score = Score(10_000);
        assert_eq!(asked.usable(&raised), Err(Useless::OtherRoot));
        let mut more = proof.clone();
        more.usage[0].0.bytes = 78;
        assert_eq!(asked.usable(&more), Err(Useless::OtherRoot));
        let mut foreign = proof;
        foreign.usage[0].0.node = NodeId([6; 20]);
        assert_eq!(asked.usable(&foreign), Err(Useless::Other));
    }

    #[test]
    fn a_word_that_the_chain_contradicts_is_evidence() {
        let (proof, sent) = honest();
        for lie in [
            SentRoots { quality: Root { hash: Hash::zero(), leaves: 2 }, ..sent },
            SentRoots { snapshot: Root { leaves: 8, ..sent.snapshot }, ..sent },
        ] {
            let shown = Shown { proof: proof.clone(), statement: stated(1, EPOCH, lie) };
            let Word::Broken(evidence) = question(Some(sent)).word(&shown, &GENESIS) else { panic!("it is kept") };
            assert_eq!(evidence.statement(&GENESIS).unwrap().attestor, wallet(1).node_id());
        }
    }

    #[test]
    fn what_proves_nothing_is_told_and_no_more() {
        let (proof, sent) = honest();
        let word = |statement, sent| match question(sent).word(&Shown { proof: proof.clone(), statement }, &GENESIS) {
            Word::Useless(reason) => reason,
            other => panic!("{other:?}"),
        };
        let lie = SentRoots { snapshot: Root::default(), ..sent };
        assert!(word(None, Some(sent)).contains("older version"));
        assert!(word(Some(vec![1, 2]), Some(sent)).contains("cannot be read"));
        // Anybody could accuse anybody, were another's signature or another network's enough.
        assert!(word(stated(2, EPOCH, lie), Some(sent)).contains("did not sign"));
        assert!(word(stated(1, QosEpoch(4), lie), Some(sent)).contains("another epoch"));
        assert!(word(stated(1, EPOCH, sent), None).contains("none"));
        let mut other = proof.clone();
        other.quality.0.samples = 5;
        let shown = Shown { proof: other, statement: stated(1, EPOCH, sent) };
        let Word::Useless(reason) = question(Some(sent)).word(&shown, &GENESIS) else { panic!() };
        assert!(reason.contains("another root than its leaves"));
    }
}
