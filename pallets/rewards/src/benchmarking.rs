//! What is measured for the weights: each call in its most expensive case.
//!
//! A claim's parts are measured each on its own, the others at their least, since what leaves cost grows with members and with pairs: its
//! members, the usage leaves that come to nothing, and the pairs of application and orchestrator that pay. The siblings of its proofs are
//! measured by a single proof, since a hash is lost in the time of a claim.

// The macro writes public items that it gives no documentation.
#![allow(missing_docs)]

use crate::{
    Accrued, Authorization, Call, Claims, CommitteeProofs, Config, Escrow, Escrows, Ledgers, MAX_AUTHORIZATIONS,
    MAX_USAGE_LEAVES, Pallet, RewardParameters, Withdrawal, impls::CurrencyOf,
};
use alloc::{vec, vec::Vec};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, H3Cell, Hash, Leaf, NodeId, QosEpoch, QosLeaf, Role, Score,
    UsageLeaf,
    leaf::{SourceClasses, order_leaves},
    merkle::{InclusionProof, MAX_PROOF, Root, Tree, leaf_hash},
    runtime_api::MemberProof,
};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
    BoundedVec,
    traits::{BuildGenesisConfig, EnsureOrigin, Get, Hooks, fungible::Mutate},
};
use frame_system::RawOrigin;
use pallet_chroom_nodes::{ActiveRegistries, GenesisNode, RegistrySet};
use pallet_chroom_qos::{CurrentEpoch, EpochParameters, types::MAX_COMMITTEE};
use sp_io::hashing::blake2_256;

type Qos<T> = pallet_chroom_qos::Pallet<T>;

const LENGTH: u32 = 8;
const GIB: u64 = 1 << 30;
/// The epoch that is measured.
const EPOCH: QosEpoch = QosEpoch(1);
/// The node that claims.
const MEDIA: NodeId = NodeId([2; 20]);
/// The registry node that collects.
const ATTESTOR: NodeId = NodeId([3; 20]);

/// Gives the ledger of `epoch` fees to burn and something to keep, each of so many `attestors` something earned, and the reserve enough
/// to emit.
pub(crate) fn prepare_worst_case<T: Config>(epoch: QosEpoch, attestors: u32) {
    fill_reserve::<T>();
    let fees = 100 * CHR;
    fund::<T>(&Pallet::<T>::pot_account(), fees);
    Ledgers::<T>::mutate_extant(epoch, |ledger| {
        ledger.left = ledger.left.saturating_add(fees);
        ledger.burn = ledger.burn.saturating_add(fees / 2);
        for place in 0..attestors {
            ledger.agree(place, 1).expect("the ledger has places for all");
        }
    });
}

fn fill_reserve<T: Config>() {
    CurrencyOf::<T>::set_balance(&Pallet::<T>::reserve_account(), 1_000_000 * CHR);
}

/// Issues tokens to an account.
fn fund<T: Config>(who: &AccountId, amount: Balance) {
    CurrencyOf::<T>::mint_into(who, amount).expect("the amount is far from the greatest number");
}

/// An account that can pay for everything here.
fn rich<T: Config>(name: &'static str, index: u32) -> AccountId {
    let who: AccountId = account(name, index, 0);
    CurrencyOf::<T>::set_balance(&who, 1_000_000 * CHR);
    who
}

/// Ids in the order of their numbers, from 1 on.
fn id(number: u32) -> NodeId {
    let mut id = [1; 20];
    id.split_at_mut(4).0.copy_from_slice(&number.to_be_bytes());
    NodeId(id)
}

/// Registers nodes of one role as at genesis, each with an owner of its own; gives the owners.
fn register<T: Config>(role: Role, nodes: &[NodeId]) -> Vec<AccountId> {
    let price_per_gib = if role == Role::Media { CHR } else { 0 };
    let genesis = |(index, node): (usize, &NodeId)| GenesisNode {
        node: *node,
        owner: rich::<T>("owner", role as u32 * 1_000 + index as u32),
        role,
        class: CapacityClass::Small,
        cell: H3Cell(0x0831_f8df_ffff_ffff),
        endpoint: "127.0.0.1:7100".parse::<Endpoint>().unwrap_or_default(),
        price_per_gib,
    };
    let nodes: Vec<GenesisNode> = nodes.iter().enumerate().map(genesis).collect();
    let owners = nodes.iter().map(|node| node.owner.clone()).collect();
    let parameters = pallet_chroom_nodes::Parameters::<T>::get();
    pallet_chroom_nodes::GenesisConfig::<T> { parameters, nodes, ..Default::default() }.build();
    owners
}

/// Epochs with committees of `members`, on a chain that begins, with a reserve that emits and a node that earns of it. Gives its
/// owner.
fn set_up<T: Config>(members: u32) -> AccountId {
    frame_system::Pallet::<T>::set_block_number(0u32.into());
    CurrentEpoch::<T>::put(QosEpoch(0));
    let parameters = EpochParameters { length: LENGTH, submit_window: LENGTH / 2, committee_size: members };
    pallet_chroom_qos::Parameters::<T>::put(parameters);
    fill_reserve::<T>();
    register::<T>(Role::Media, &[MEDIA]).pop().unwrap_or_else(|| account("owner", 0, 0))
}

/// Makes a new set of as many active registry nodes as there may be: those that are `known`, and ids without a registration.
fn list<T: Config>(known: &[NodeId]) {
    let most = T::MaxRegistries::get() as usize;
    let mut ids: Vec<NodeId> = known.iter().copied().chain((1..).map(id)).take(most).collect();
    ids.sort_unstable();
    ActiveRegistries::<T>::put(BoundedVec::truncate_from(ids));
    RegistrySet::<T>::mutate(|set| *set = set.wrapping_add(1));
}

/// Has `epoch` begin, whatever the epoch before.
fn begin<T: Config>(epoch: QosEpoch) {
    let block = epoch.0 * LENGTH + 1;
    frame_system::Pallet::<T>::set_block_number(block.into());
    Qos::<T>::on_initialize(block.into());
}

/// An escrow with something to withdraw, and as many orchestrators as there may be that may spend from it: `orchestrator`, and others.
fn fill_escrow<T: Config>(application: &AccountId, orchestrator: NodeId) {
    let balance = 1_000 * CHR;
    fund::<T>(&Pallet::<T>::escrow_account(), balance);
    let price = 10 * CHR;
    let authorize = |orchestrator| Authorization { orchestrator, price, from: QosEpoch(0), before: 0 };
    let others = (1..MAX_AUTHORIZATIONS).map(id);
    let mut authorizations: Vec<_> = others.chain([orchestrator]).map(authorize).collect();
    authorizations.sort_by_key(|authorization| authorization.orchestrator);
    let withdrawal = Some(Withdrawal { amount: CHR, from: QosEpoch(0), until: QosEpoch(u32::MAX) });
    let authorizations = BoundedVec::truncate_from(authorizations);
    Escrows::<T>::insert(application, Escrow { balance, withdrawal, authorizations });
}

/// An orchestrator that no account here owns, of an application without an account.
fn filled_escrow<T: Config>() -> (AccountId, NodeId) {
    let (application, orchestrator) = (account("application", 0, 0), NodeId([9; 20]));
    fill_escrow::<T>(&application, orchestrator);
    (application, orchestrator)
}

/// What the attestors of `MEDIA` say of it: `idle` usages that nobody else saw, spread over them, and `paying` ones that just more than half of
/// them saw.
fn views(committee: &[NodeId], idle: u32, paying: &[(AccountId, NodeId)]) -> Vec<(NodeId, Vec<Leaf>)> {
    let members = committee.len() as u32;
    let used = |(application, orchestrator), bytes| {
        Leaf::Usage(UsageLeaf { epoch: EPOCH, node: MEDIA, application, orchestrator, bytes })
    };
    let view = |(place, attestor): (u32, &NodeId)| {
        let sources = SourceClasses(SourceClasses::RECEIPTS);
        let (score, uptime, samples) = (Score::MAX, 10_000, 1);
        let quality = QosLeaf { epoch: EPOCH, node: MEDIA, attestor: *attestor, sources, score, uptime, samples };
        let mut leaves = vec![Leaf::Qos(quality)];
        let own = (0..idle).filter(|index| index % members == place);
        leaves.extend(own.map(|index| used((account("idle", index, 0), id(1)), 0)));
        if place <= members / 2 {
            leaves.extend(paying.iter().map(|pair| used(pair.clone(), GIB)));
        }
        order_leaves(&mut leaves);
        (*attestor, leaves)
    };
    (0..).zip(committee).map(view).collect()
}

/// The proof of all leaves of a tree, the first being that of the quality.
fn prove(attestor: NodeId, leaves: &[Leaf]) -> Result<MemberProof, BenchmarkError> {
    let tree = Tree::new(leaves);
    let mut quality = None;
    let mut usage = Vec::new();
    for (index, leaf) in (0..).zip(leaves) {
        let inclusion = tree.prove(index).ok_or("the tree has the leaf")?;
        match leaf {
            Leaf::Qos(leaf) => quality = Some((leaf.clone(), inclusion)),
            Leaf::Usage(leaf) => usage.push((leaf.clone(), inclusion)),
        }
    }
    Ok(MemberProof { attestor, quality: quality.ok_or("the tree has the quality")?, usage })
}

/// Has an epoch attested by a committee of `members`, with `idle` usages that come to nothing and `paying` pairs of application and
/// orchestrator that pay, and goes on until a stranger may claim. Gives the proofs.
fn proofs_of<T: Config>(members: u32, idle: u32, paying: u32) -> Result<CommitteeProofs, BenchmarkError> {
    set_up::<T>(members);
    let orchestrators: Vec<NodeId> = (1..=paying).map(|index| id(1_000_000 + index)).collect();
    register::<T>(Role::Orchestrator, &orchestrators);
    list::<T>(&[]);
    begin::<T>(EPOCH);
    prepare_worst_case::<T>(EPOCH, T::MaxRegistries::get());
    begin::<T>(EPOCH.next());
    let applications = (0..).map(|index| account("application", index, 0));
    let paying: Vec<(AccountId, NodeId)> = applications.zip(orchestrators).collect();
    for (application, orchestrator) in &paying {
        fill_escrow::<T>(application, *orchestrator);
    }
    let mut proofs = Vec::new();
    for (attestor, leaves) in views(&Qos::<T>::committee(EPOCH, MEDIA), idle, &paying) {
        let (origin, root) = (RawOrigin::Signed(attestor.account()).into(), Tree::new(&leaves).root());
        Qos::<T>::submit_root(origin, EPOCH, root, Root::default()).map_err(|error| error.error)?;
        proofs.push(prove(attestor, &leaves)?);
    }
    assert_eq!(proofs.len() as u32, members);
    begin::<T>(QosEpoch(EPOCH.0 + T::EpochRing::get() / 2 + 1));
    Ok(BoundedVec::truncate_from(proofs))
}

fn assert_claimed<T: Config>(paying: u32) {
    assert!(Claims::<T>::get(MEDIA).is_some_and(|claims| claims.last.epoch == EPOCH && claims.last.amount > 0));
    assert_eq!(Accrued::<T>::iter().count() as u32, paying);
}

#[benchmarks]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn deposit() {
        let (application, _) = filled_escrow::<T>();
        let from = rich::<T>("from", 0);
        let before = Pallet::<T>::escrow(application.clone());

        #[extrinsic_call]
        _(RawOrigin::Signed(from), application.clone(), CHR);

        assert_eq!(Pallet::<T>::escrow(application), before + CHR);
    }

    #[benchmark]
    fn request_withdraw() {
        let (application, _) = filled_escrow::<T>();

        #[extrinsic_call]
        _(RawOrigin::Signed(application.clone()), 2 * CHR);

        assert_eq!(Pallet::<T>::escrow_status(application).requested, 2 * CHR);
    }

    /// To an account that begins with it.
    #[benchmark]
    fn withdraw() {
        let (application, _) = filled_escrow::<T>();
        let before = Pallet::<T>::escrow(application.clone());

        #[extrinsic_call]
        _(RawOrigin::Signed(application.clone()));

        assert_eq!(Pallet::<T>::escrow(application), before - CHR);
    }

    /// A stranger's claim with the proofs of `m` members, without usage. The epoch has as many attestors as there may be, and all have
    /// earned something. The pay goes to the owner: what a pool weighs more is measured by its own pallet.
    #[benchmark]
    fn claim(m: Linear<1, MAX_COMMITTEE>) -> Result<(), BenchmarkError> {
        let proofs = proofs_of::<T>(m, 0, 0)?;
        let stranger: AccountId = account("stranger", 0, 0);

        #[extrinsic_call]
        claim(RawOrigin::Signed(stranger), EPOCH, MEDIA, proofs);

        assert_claimed::<T>(0);
        Ok(())
    }

    /// The same by one member, with `l` usage leaves that come to nothing.
    #[benchmark]
    fn idle_usage(l: Linear<0, MAX_USAGE_LEAVES>) -> Result<(), BenchmarkError> {
        let proofs = proofs_of::<T>(1, l, 0)?;
        let stranger: AccountId = account("stranger", 0, 0);

        #[extrinsic_call]
        claim(RawOrigin::Signed(stranger), EPOCH, MEDIA, proofs);

        assert_claimed::<T>(0);
        Ok(())
    }

    /// The same by one member, with `p` pairs of an application and an orchestrator that pay, each with an escrow and an owner of its own.
    #[benchmark]
    fn paid_usage(p: Linear<0, 64>) -> Result<(), BenchmarkError> {
        let proofs = proofs_of::<T>(1, 0, p)?;
        let stranger: AccountId = account("stranger", 0, 0);

        #[extrinsic_call]
        claim(RawOrigin::Signed(stranger), EPOCH, MEDIA, proofs);

        assert_claimed::<T>(p);
        Ok(())
    }

    /// A leaf with `h` siblings on its way to the root.
    #[benchmark]
    fn siblings(h: Linear<0, MAX_PROOF>) {
        let (application, orchestrator) = (account("application", 0, 0), id(1));
        let leaf = Leaf::Usage(UsageLeaf { epoch: EPOCH, node: MEDIA, application, orchestrator, bytes: GIB });
        let path: Vec<Hash> = (0..h).map(|level| Hash::repeat_byte(level as u8)).collect();
        let join = |left: Hash, right: &Hash| (1u8, left, right).using_encoded(blake2_256).into();
        let hash = path.iter().fold(leaf_hash(&leaf), join);
        // The smallest tree whose first leaf has so long a way.
        let leaves = h.checked_sub(1).map_or(1, |levels| (1 << levels) + 1);
        let (root, proof) = (Root { hash, leaves }, InclusionProof { index: 0, siblings: path });
        let held;

        #[block]
        {
            held = root.contains(&leaf, &proof);
        }

        assert!(held);
    }

    /// To an account that begins with it.
    #[benchmark]
    fn collect() {
        let owner: AccountId = account("collector", 0, 0);
        fund::<T>(&Pallet::<T>::pot_account(), CHR);
        Accrued::<T>::insert(&owner, CHR);

        #[extrinsic_call]
        _(RawOrigin::Signed(owner.clone()));

        assert_eq!(Pallet::<T>::accrued(owner), 0);
    }

    #[benchmark]
    fn set_parameters() -> Result<(), BenchmarkError> {
        let origin = T::AdminOrigin::try_successful_origin().map_err(|()| BenchmarkError::Weightless)?;
        let parameters = RewardParameters { epoch_cap: 7 * CHR, ..Default::default() };

        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, parameters.clone());

        assert_eq!(crate::Parameters::<T>::get(), parameters);
        Ok(())
    }

    #[benchmark]
    fn authorize() {
        let (application, orchestrator) = filled_escrow::<T>();

        #[extrinsic_call]
        _(RawOrigin::Signed(application.clone()), orchestrator, Some(11 * CHR));

        let limit = Pallet::<T>::price_limit(application, orchestrator, CurrentEpoch::<T>::get());
        assert_eq!(limit, 11 * CHR);
    }

    /// The pay of `e` epochs, each with a set of its own of as many attestors as there may be, all of whom earned something.
    #[benchmark]
    fn collect_attestor(e: Linear<1, { T::EpochRing::get().div_ceil(2) - 1 }>) {
        set_up::<T>(MAX_COMMITTEE);
        register::<T>(Role::Registry, &[ATTESTOR]);
        // With the current epoch that makes the second one the oldest in the ring.
        let current = QosEpoch(T::EpochRing::get() + 1);
        for epoch in (2..2 + e).map(QosEpoch) {
            list::<T>(&[ATTESTOR]);
            begin::<T>(epoch);
            prepare_worst_case::<T>(epoch, T::MaxRegistries::get());
        }
        begin::<T>(current);
        assert_eq!(Pallet::<T>::attestor_earnings(ATTESTOR).len() as u32, e);
        let sender: AccountId = account("stranger", 0, 0);

        #[extrinsic_call]
        _(RawOrigin::Signed(sender), ATTESTOR);

        assert!(Pallet::<T>::attestor_earnings(ATTESTOR).is_empty());
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::externalities(0, 0), crate::mock::Test);
}
