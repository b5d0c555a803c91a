//! What is measured for the weights: each call, and what the hooks do, in its most expensive case.
//!
//! Runtimes verify signatures and make none: the host's keystore signs, before the measurement begins.

// The macro writes public items that it gives no documentation.
#![allow(missing_docs)]

use crate::{
    Attestation, Attestations, Call, ClearFrom, Config, CurrentEpoch, EpochParameters, Epochs, OnEpoch, Pallet,
    Parameters, SentRoots, Standing, types::MAX_COMMITTEE,
};
use alloc::{boxed::Box, vec, vec::Vec};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, Hash, Leaf, NodeId, QosEpoch, QosLeaf,
    Role, Score, Signable, Signed,
    evidence::{LeafOmission, RootEquivocation, RootStatement},
    leaf::SourceClasses,
    merkle::{InclusionProof, MAX_PROOF, Root, Tree},
    record::KeyProof,
};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
    BoundedVec,
    traits::{BuildGenesisConfig, Get, Hooks, fungible::Mutate},
};
use frame_system::RawOrigin;
use pallet_chroom_nodes::{ActiveRegistries, GenesisNode, OnNodeRemoved, RegistrySet, types::MAX_CHUNKS};
use sp_core::{crypto::KeyTypeId, ecdsa};
use sp_io::hashing::blake2_256;
use sp_runtime::Perbill;

type CurrencyOf<T> = <T as pallet_chroom_nodes::Config>::Currency;
type Nodes<T> = pallet_chroom_nodes::Pallet<T>;

/// Where the keystore has the keys of the nodes here.
const KEYS: KeyTypeId = KeyTypeId(*b"bnch");

/// A node's key.
struct Key {
    public: ecdsa::Public,
    node: NodeId,
}

impl Key {
    fn new(seed: &str) -> Self {
        let public = sp_io::crypto::ecdsa_generate(KEYS, Some(seed.into()));
        let (hash, node) = ([7; 32], NodeId::default());
        let node = Self { public, node }.sign(&hash).recover_hash(&hash).expect("the keystore signs");
        Self { public, node }
    }

    fn sign(&self, hash: &[u8; 32]) -> EthereumSignature {
        let signature = sp_io::crypto::ecdsa_sign_prehashed(KEYS, &self.public, hash);
        EthereumSignature(signature.expect("the keystore made the key").0)
    }

    fn statement<T: Config>(&self, epoch: QosEpoch, quality: u8) -> Signed<RootStatement> {
        let payload = RootStatement { attestor: self.node, epoch, quality: root(quality), snapshot: root(0) };
        let signature = self.sign(&payload.signing_hash(&Nodes::<T>::genesis_hash()));
        Signed { payload, signature }
    }
}

fn root(seed: u8) -> Root {
    Root { hash: Hash::repeat_byte(seed), leaves: 1 }
}

/// Ids in the order of their numbers, from 1 on.
fn id(number: u32) -> NodeId {
    let mut id = [1; 20];
    id.split_at_mut(4).0.copy_from_slice(&number.to_be_bytes());
    NodeId(id)
}

fn set_block<T: Config>(block: u32) {
    frame_system::Pallet::<T>::set_block_number(block.into());
}

/// Epochs of `length` blocks with the largest committees, on a chain that begins.
fn set_up<T: Config>(length: u32) {
    set_block::<T>(0);
    CurrentEpoch::<T>::put(QosEpoch(0));
    Parameters::<T>::put(EpochParameters { length, submit_window: 1, committee_size: MAX_COMMITTEE });
}

/// Registers a node as at genesis; gives its owner.
fn register<T: Config>(node: NodeId, role: Role) -> AccountId {
    let owner: AccountId = account("owner", 0, 0);
    CurrencyOf::<T>::set_balance(&owner, 1_000_000 * CHR);
    pallet_chroom_nodes::GenesisConfig::<T> {
        parameters: pallet_chroom_nodes::Parameters::<T>::get(),
        nodes: vec![GenesisNode {
            node,
            owner: owner.clone(),
            role,
            class: CapacityClass::Small,
            cell: H3Cell(0x0831_f8df_ffff_ffff),
            endpoint: "127.0.0.1:7100".parse::<Endpoint>().unwrap_or_default(),
            price_per_gib: 0,
        }],
        ..Default::default()
    }
    .build();
    owner
}

/// Makes a new set of `count` active registry nodes: those that are `known`, and ids without a registration.
fn list<T: Config>(known: &[NodeId], count: u32) {
    let mut ids: Vec<NodeId> = known.iter().copied().chain((1..).map(id)).take(count as usize).collect();
    ids.sort_unstable();
    ActiveRegistries::<T>::put(BoundedVec::truncate_from(ids));
    RegistrySet::<T>::mutate(|set| *set = set.wrapping_add(1));
}

/// Goes to the first block of `epoch`.
fn first_block<T: Config>(epoch: QosEpoch) -> u32 {
    let block = epoch.0 * Parameters::<T>::get().length + 1;
    set_block::<T>(block);
    block
}

/// Has `epoch` begin, whatever the epoch before.
fn begin<T: Config>(epoch: QosEpoch) {
    let block = first_block::<T>(epoch);
    Pallet::<T>::on_initialize(block.into());
}

/// Has the owner take back as many parts of a node's bond as may be unbonding.
fn reduce_bond<T: Config>(node: NodeId, owner: &AccountId) {
    let amount: Balance = CHR;
    let origin = || RawOrigin::Signed(owner.clone()).into();
    Nodes::<T>::add_bond(origin(), node, amount * Balance::from(MAX_CHUNKS)).expect("the owner is rich");
    for block in 1..=MAX_CHUNKS {
        set_block::<T>(block);
        Nodes::<T>::reduce_bond(origin(), node, amount).expect("the bond was raised before");
    }
}

/// Gives a registry node another key.
fn rotate<T: Config>(node: NodeId, owner: &AccountId, key: &Key) {
    let (nonce, expires_at) = (Nodes::<T>::key_proof_nonce(key.node), Nodes::<T>::now() + 1);
    let proof = KeyProof { node: key.node, owner: owner.clone(), role: Role::Registry, nonce, expires_at };
    let signature = key.sign(&proof.signing_hash(&Nodes::<T>::genesis_hash()));
    let origin = RawOrigin::Signed(owner.clone()).into();
    Nodes::<T>::rotate_key(origin, node, key.node, expires_at, signature).expect("the proof is right");
}

/// A tree that begins with these leaves and is so large that their proofs are as long as proofs can be.
fn longest_proofs(first: &Leaf, second: &Leaf) -> (Root, InclusionProof, InclusionProof) {
    let pair = Tree::new(&[first, second]);
    let above: Vec<Hash> = (1..MAX_PROOF).map(|level| Hash::repeat_byte(level as u8)).collect();
    let hash = above.iter().fold(pair.root().hash, |left, right| (1u8, left, right).using_encoded(blake2_256).into());
    let proof = |index: u32| {
        let mut siblings = pair.prove(index).map(|proof| proof.siblings).unwrap_or_default();
        siblings.extend_from_slice(&above);
        InclusionProof { index, siblings }
    };
    (Root { hash, leaves: (1 << (MAX_PROOF - 1)) + 1 }, proof(0), proof(1))
}

fn quality(epoch: QosEpoch, attestor: NodeId, node: NodeId) -> Leaf {
    let sources = SourceClasses(SourceClasses::RECEIPTS);
    Leaf::Qos(QosLeaf { epoch, node, attestor, sources, score: Score::MAX, uptime: 10_000, samples: 1 })
}

/// What an attestor in good standing sent.
fn attest<T: Config>(epoch: QosEpoch, attestor: NodeId, quality: Root) {
    let roots = Some(SentRoots { quality, snapshot: root(0) });
    Attestations::<T>::insert(epoch, attestor, Attestation { roots, standing: Standing::Good });
}

#[benchmarks]
mod benchmarks {
    use super::*;

    /// Both hooks of a block that begins no epoch, and clears `r` attestations.
    #[benchmark]
    fn block(r: Linear<0, 32>) {
        // An epoch of two blocks clears as many in one block as an epoch can have.
        set_up::<T>(2);
        let forgotten = QosEpoch(1);
        let current = QosEpoch(forgotten.0 + T::EpochRing::get());
        begin::<T>(current);
        (1..=r).for_each(|number| attest::<T>(forgotten, id(number), root(1)));
        ClearFrom::<T>::put(forgotten);
        let now = first_block::<T>(current) + 1;
        set_block::<T>(now);

        #[block]
        {
            Pallet::<T>::on_initialize(now.into());
            Pallet::<T>::on_finalize(now.into());
        }

        assert!(Attestations::<T>::iter_prefix(forgotten).next().is_none());
        assert_eq!(CurrentEpoch::<T>::get(), current);
    }

    /// The first block of an epoch with `a` attestors who were no set before, in which an epoch is forgotten that had another set of as many.
    #[benchmark]
    fn start_epoch(a: Linear<1, { T::MaxRegistries::get() }>) {
        set_up::<T>(8);
        let old = QosEpoch(1);
        list::<T>(&[], a);
        begin::<T>(old);
        T::OnEpoch::prepare_worst_case(old, a);
        list::<T>(&[], a);
        ClearFrom::<T>::put(old.next());
        let epoch = QosEpoch(old.0 + T::EpochRing::get());
        let now = first_block::<T>(epoch);

        #[block]
        {
            Pallet::<T>::on_initialize(now.into());
        }

        assert_eq!(Epochs::<T>::get(epoch).map(|state| state.attestors), Some(a));
        assert!(Epochs::<T>::get(old).is_none());
    }

    /// A root that is not the first, with a snapshot that others voted against.
    #[benchmark]
    fn submit_root(a: Linear<2, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        set_up::<T>(8);
        let epoch = QosEpoch(1);
        list::<T>(&[], a);
        begin::<T>(epoch);
        begin::<T>(epoch.next());
        let (early, attestor) = (id(1).account(), id(a));
        Pallet::<T>::submit_root(RawOrigin::Signed(early).into(), epoch, root(1), root(1)).map_err(|e| e.error)?;

        #[extrinsic_call]
        _(RawOrigin::Signed(attestor.account()), epoch, root(2), root(2));

        assert_eq!(Pallet::<T>::attestation(epoch, attestor), Some(root(2)));
        Ok(())
    }

    /// Two signatures of an attestor whose key was rotated since: its successor, which has parts of its bond unbonding and delegators, loses
    /// all, and both are jailed.
    #[benchmark]
    fn report_equivocation(a: Linear<1, { T::MaxRegistries::get() }>) {
        set_up::<T>(8);
        let (attestor, successor) = (Key::new("//attestor"), Key::new("//successor"));
        let owner = register::<T>(attestor.node, Role::Registry);
        reduce_bond::<T>(attestor.node, &owner);
        list::<T>(&[attestor.node], a);
        let epoch = QosEpoch(2);
        begin::<T>(epoch);
        T::OnEpoch::prepare_worst_case(epoch, a);
        attest::<T>(epoch, attestor.node, root(1));
        T::OnRemoved::prepare_worst_case(&attestor.node);
        rotate::<T>(attestor.node, &owner, &successor);
        pallet_chroom_nodes::Parameters::<T>::mutate(|parameters| parameters.equivocation_slash = Perbill::one());
        let (first, second) = (attestor.statement::<T>(epoch, 1), attestor.statement::<T>(epoch, 2));
        let evidence = Box::new(RootEquivocation::Statements { first, second });
        let reporter: AccountId = account("reporter", 0, 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(reporter), evidence);

        assert_eq!(Pallet::<T>::standing(epoch, attestor.node), Standing::Equivocated);
        assert_eq!(Nodes::<T>::node_info(successor.node).map(|info| info.bond), Some(0));
    }

    /// Two neighbours in the largest tree that there can be, of the last member of a largest committee.
    #[benchmark]
    fn report_omission(a: Linear<1, { T::MaxRegistries::get() }>) -> Result<(), BenchmarkError> {
        set_up::<T>(8);
        let node = NodeId([2; 20]);
        register::<T>(node, Role::Media);
        list::<T>(&[], a);
        let epoch = QosEpoch(1);
        begin::<T>(epoch);
        T::OnEpoch::prepare_worst_case(epoch, a);
        let committee = Pallet::<T>::committee(epoch, node);
        let attestor = *committee.last().ok_or("no committee")?;
        let (left, right) = (NodeId([1; 20]), NodeId([3; 20]));
        let (left, right) = (quality(epoch, attestor, left), quality(epoch, attestor, right));
        let (root, first, second) = longest_proofs(&left, &right);
        attest::<T>(epoch, attestor, root);
        let evidence = Box::new(LeafOmission::Between((left, first), (right, second)));
        let reporter: AccountId = account("reporter", 0, 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(reporter), epoch, attestor, node, evidence);

        assert_eq!(Pallet::<T>::standing(epoch, attestor), Standing::Forfeited);
        Ok(())
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::with_keystore(), crate::mock::Test);
}
