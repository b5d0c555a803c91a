//! A runtime with this pallet and those that it builds on, and the actors of its tests.

use crate as pallet_chroom_rewards;
use crate::{PoolWeights, RewardParameters};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, Hash, Leaf, NodeId, QosEpoch, QosLeaf,
    Role, Score, Signable, UsageLeaf,
    leaf::{SourceClasses, order_leaves},
    merkle::{Root, Tree},
    record::KeyProof,
    runtime_api::MemberProof,
};
use frame_support::{
    PalletId, construct_runtime, derive_impl,
    dispatch::DispatchResultWithPostInfo,
    parameter_types,
    traits::{ConstU32, Hooks, Randomness, Time},
    weights::Weight,
};
use pallet_chroom_nodes::{GenesisNode, NodeParameters};
use pallet_chroom_qos::EpochParameters;
use sp_core::{Pair, ecdsa};
use sp_runtime::{BuildStorage, Perbill, traits::IdentityLookup};
use std::collections::BTreeMap;

pub type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Nodes: pallet_chroom_nodes,
        Qos: pallet_chroom_qos,
        Rewards: pallet_chroom_rewards,
    }
);

parameter_types! {
    pub const ExistentialDeposit: Balance = CHR / 100;
    pub const RewardsId: PalletId = PalletId(*b"chr/rwrd");
    pub const Validators: AccountId = VALIDATORS;
    pub const Treasury: AccountId = TREASURY;
}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId;
    type Lookup = IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = Balance;
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
}

impl pallet_chroom_nodes::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Epochs = Qos;
    type Time = Clock;
    type Treasury = Treasury;
    type OnSlashed = ();
    type OnRemoved = Rewards;
    type AdminOrigin = frame_system::EnsureRoot<AccountId>;
    type KeyProofLifetime = ConstU32<100>;
    type MaxRegistries = ConstU32<20>;
    type EpochRing = ConstU32<6>;
    type WeightInfo = ();
}

pub struct Beacon;

impl Randomness<Hash, u64> for Beacon {
    fn random(subject: &[u8]) -> (Hash, u64) {
        (Hash::from(sp_io::hashing::blake2_256(subject)), 0)
    }
}

pub struct Clock;

impl Time for Clock {
    type Moment = u64;

    fn now() -> u64 {
        u64::from(Nodes::now()) * 6_000
    }
}

impl pallet_chroom_qos::Config for Test {
    type Randomness = Beacon;
    type Time = Clock;
    type Snapshots = ();
    type OnEpoch = Rewards;
    type WeightInfo = ();
}

/// What paying the dearest pool would weigh, and what paying any of those that there are.
pub const DEAREST_POOL: Weight = Weight::from_parts(9_000_000, 900);
pub const POOL: Weight = Weight::from_parts(4_000_000, 400);

pub struct DearPools;

impl PoolWeights for DearPools {
    fn most() -> Weight {
        DEAREST_POOL
    }

    fn of(_: &NodeId) -> Weight {
        POOL
    }
}

impl crate::Config for Test {
    type PalletId = RewardsId;
    type Pools = crate::OwnerOnly<Test>;
    type PoolWeights = DearPools;
    type ValidatorPot = Validators;
    type Treasury = Treasury;
    type WeightInfo = ();
}

/// Owns the media nodes.
pub const OPERATOR: AccountId = AccountId::new([1; 32]);
/// Owns the registry nodes.
pub const ATTESTORS: AccountId = AccountId::new([2; 32]);
/// Two applications that pay.
pub const APP: AccountId = AccountId::new([3; 32]);
pub const OTHER_APP: AccountId = AccountId::new([4; 32]);
/// Neither owner nor node.
pub const STRANGER: AccountId = AccountId::new([5; 32]);
/// Owns the orchestrator that is no application's own.
pub const GRANTER: AccountId = AccountId::new([6; 32]);
/// Take their shares of the emission.
pub const VALIDATORS: AccountId = AccountId::new([7; 32]);
pub const TREASURY: AccountId = AccountId::new([8; 32]);
pub const WEALTH: Balance = 10_000 * CHR;

pub const LENGTH: u32 = 8;
pub const WINDOW: u32 = 4;
pub const REGISTRIES: u8 = 5;
/// A media node of class small, weight 1.
pub const SMALL: u8 = 100;
/// A media node of class medium, weight 4.
pub const MEDIUM: u8 = 101;
/// The orchestrators of the two applications' own accounts, and one of somebody else.
pub const OWN: u8 = 200;
pub const OTHER_OWN: u8 = 201;
pub const FOREIGN: u8 = 202;

/// An epoch emits 100 CHR: 10 of them for attestors, none for validators and treasury. Of a fee 5 % are burnt, 5 % the reserve's, 10 % the
/// orchestrator's, 80 % the node's.
pub fn parameters() -> RewardParameters {
    RewardParameters {
        epoch_cap: 100 * CHR,
        epoch_rate: Perbill::from_percent(1),
        attestor_share: Perbill::from_percent(10),
        validator_share: Perbill::zero(),
        treasury_share: Perbill::zero(),
        burn_share: Perbill::from_percent(5),
        reserve_share: Perbill::from_percent(5),
        orchestrator_share: Perbill::from_percent(10),
        tolerance: 500,
        minimum_uptime: 9_000,
        escrow_delay: 2,
    }
}

/// Registry nodes are 1 and up, media nodes 100 and up.
pub fn id(seed: u8) -> NodeId {
    NodeId([seed; 20])
}

fn genesis_node(seed: u8, role: Role, class: CapacityClass) -> GenesisNode {
    let media = role == Role::Media;
    GenesisNode {
        node: id(seed),
        owner: match (role, seed) {
            (Role::Media, _) => OPERATOR,
            (Role::Registry, _) => ATTESTORS,
            (Role::Orchestrator, OWN) => APP,
            (Role::Orchestrator, OTHER_OWN) => OTHER_APP,
            (Role::Orchestrator, _) => GRANTER,
        },
        role,
        class,
        cell: H3Cell(0x0831_f8df_ffff_ffff),
        endpoint: "127.0.0.1:7100".parse::<Endpoint>().unwrap(),
        price_per_gib: if media { CHR } else { 0 },
    }
}

pub fn externalities(registries: u8, reserve_chr: u64) -> sp_io::TestExternalities {
    let nodes = (1..=registries)
        .map(|seed| genesis_node(seed, Role::Registry, CapacityClass::Small))
        .chain([
            genesis_node(SMALL, Role::Media, CapacityClass::Small),
            genesis_node(MEDIUM, Role::Media, CapacityClass::Medium),
        ])
        .chain([OWN, OTHER_OWN, FOREIGN].map(|seed| genesis_node(seed, Role::Orchestrator, CapacityClass::Small)))
        .collect();
    let genesis = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig {
            balances: [OPERATOR, ATTESTORS, APP, OTHER_APP, STRANGER, GRANTER, VALIDATORS, TREASURY]
                .map(|who| (who, WEALTH))
                .to_vec(),
            ..Default::default()
        },
        nodes: pallet_chroom_nodes::GenesisConfig {
            parameters: NodeParameters { jail_period: 10, ..Default::default() },
            nodes,
            ..Default::default()
        },
        qos: pallet_chroom_qos::GenesisConfig {
            parameters: EpochParameters { length: LENGTH, submit_window: WINDOW, committee_size: 3 },
            ..Default::default()
        },
        rewards: crate::GenesisConfig { parameters: parameters(), reserve_chr, ..Default::default() },
    };
    genesis.build_storage().unwrap().into()
}

/// Ends the current block and goes on, leaving off within `block`.
pub fn run_to(block: u32) {
    while Nodes::now() < block {
        if Nodes::now() > 0 {
            Qos::on_finalize(System::block_number());
        }
        System::set_block_number(System::block_number() + 1);
        Qos::on_initialize(System::block_number());
    }
}

/// First block of an epoch.
pub fn first(epoch: u32) -> u32 {
    epoch * LENGTH + 1
}

/// First block in which an epoch can be claimed though roots are missing.
pub fn closed(epoch: u32) -> u32 {
    first(epoch + 1) + WINDOW
}

pub fn signed(who: AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

pub fn check() {
    Nodes::do_try_state().unwrap();
    Qos::do_try_state().unwrap();
    Rewards::do_try_state().unwrap();
}

/// Runs a test in block 1 with a reserve of a million CHR, and checks the invariants afterwards.
pub fn run(test: impl FnOnce()) {
    externalities(REGISTRIES, 1_000_000).execute_with(|| {
        run_to(1);
        test();
        check();
    });
}

/// An application's usage through its own orchestrator.
pub fn used(application: AccountId, bytes: u64) -> Usage {
    let orchestrator = id(if application == APP { OWN } else { OTHER_OWN });
    (application, orchestrator, bytes)
}

/// Application, orchestrator, bytes.
pub type Usage = (AccountId, NodeId, u64);

/// What an attestor says of a node.
#[derive(Clone, Debug)]
pub struct View {
    pub score: u16,
    pub uptime: u16,
    pub usage: Vec<Usage>,
}

impl View {
    pub fn score(score: u16) -> Self {
        Self { score, uptime: 10_000, usage: Vec::new() }
    }
}

/// The trees of all attestors for one epoch.
#[derive(Clone)]
pub struct Round {
    pub epoch: QosEpoch,
    leaves: BTreeMap<NodeId, Vec<Leaf>>,
}

impl Round {
    /// Each attestor says of each media node what `view` of the attestor's place in the node's committee and the node gives.
    pub fn new(epoch: u32, view: impl Fn(usize, NodeId) -> View) -> Self {
        Self::of(epoch, &[id(SMALL), id(MEDIUM)], view)
    }

    /// The same with other nodes.
    pub fn of(epoch: u32, nodes: &[NodeId], view: impl Fn(usize, NodeId) -> View) -> Self {
        let epoch = QosEpoch(epoch);
        let mut leaves: BTreeMap<NodeId, Vec<Leaf>> = (1..=REGISTRIES).map(|seed| (id(seed), Vec::new())).collect();
        for node in nodes.iter().copied() {
            for (place, attestor) in Qos::committee(epoch, node).into_iter().enumerate() {
                let View { score, uptime, usage } = view(place, node);
                let tree = leaves.entry(attestor).or_default();
                tree.push(Leaf::Qos(QosLeaf {
                    epoch,
                    node,
                    attestor,
                    sources: SourceClasses(SourceClasses::RECEIPTS),
                    score: Score(score),
                    uptime,
                    samples: 10,
                }));
                for (application, orchestrator, bytes) in usage {
                    tree.push(Leaf::Usage(UsageLeaf { epoch, node, application, orchestrator, bytes }));
                }
            }
        }
        leaves.values_mut().for_each(order_leaves);
        Self { epoch, leaves }
    }

    /// The leaves of an attestor.
    pub fn leaves(&self, attestor: NodeId) -> &[Leaf] {
        &self.leaves[&attestor]
    }

    pub fn tree(&self, attestor: NodeId) -> Tree {
        Tree::new(&self.leaves[&attestor])
    }

    pub fn submit(&self, attestor: NodeId) -> DispatchResultWithPostInfo {
        Qos::submit_root(signed(attestor.account()), self.epoch, self.tree(attestor).root(), Root::default())
    }

    pub fn submit_all(&self) {
        for attestor in self.leaves.keys() {
            self.submit(*attestor).unwrap();
        }
    }

    pub fn submit_but(&self, absent: NodeId) {
        for attestor in self.leaves.keys().filter(|attestor| **attestor != absent) {
            self.submit(*attestor).unwrap();
        }
    }

    pub fn proof(&self, attestor: NodeId, node: NodeId) -> MemberProof {
        let tree = self.tree(attestor);
        let mut quality = None;
        let mut usage = Vec::new();
        for (index, leaf) in self.leaves[&attestor].iter().enumerate() {
            let inclusion = tree.prove(index as u32).unwrap();
            match leaf {
                Leaf::Qos(leaf) if leaf.node == node => quality = Some((leaf.clone(), inclusion)),
                Leaf::Usage(leaf) if leaf.node == node => usage.push((leaf.clone(), inclusion)),
                _ => {}
            }
        }
        MemberProof { attestor, quality: quality.unwrap(), usage }
    }

    /// The proofs of the whole committee of `node`.
    pub fn proofs(&self, node: NodeId) -> Vec<MemberProof> {
        Qos::committee(self.epoch, node).into_iter().map(|attestor| self.proof(attestor, node)).collect()
    }
}

pub fn claim_by(who: AccountId, epoch: u32, node: NodeId, proofs: Vec<MemberProof>) -> DispatchResultWithPostInfo {
    Rewards::claim(signed(who), QosEpoch(epoch), node, proofs.try_into().unwrap())
}

pub fn claim(epoch: u32, node: NodeId, proofs: Vec<MemberProof>) -> DispatchResultWithPostInfo {
    claim_by(OPERATOR, epoch, node, proofs)
}

/// Runs epoch 0 to its end, has all attestors send what `view` says, and returns their trees, in epoch 1's second block.
pub fn attested(view: impl Fn(usize, NodeId) -> View) -> Round {
    run_to(first(1) + 1);
    let round = Round::new(0, view);
    round.submit_all();
    round
}

/// The proof of a real key that the operator may register it, and the last block at which it may be used.
fn key_proof(seed: u8) -> (NodeId, u32, EthereumSignature) {
    let key = ecdsa::Pair::from_seed(&[seed; 32]);
    let node = EthereumSignature(key.sign_prehashed(&[7; 32]).0).recover_hash(&[7; 32]).unwrap();
    let (nonce, expires_at) = (Nodes::key_proof_nonce(node), Nodes::now() + 10);
    let proof = KeyProof { node, owner: OPERATOR, role: Role::Media, nonce, expires_at };
    let signature = EthereumSignature(key.sign_prehashed(&proof.signing_hash(&Nodes::genesis_hash())).0);
    (node, expires_at, signature)
}

/// Rotates the key of an operator's media node, and returns the new id.
pub fn rotate(node: NodeId, seed: u8) -> NodeId {
    let (new_node, expires_at, signature) = key_proof(seed);
    Nodes::rotate_key(signed(OPERATOR), node, new_node, expires_at, signature).unwrap();
    new_node
}

/// Registers a media node of class small with a real key, and returns its id.
pub fn register(seed: u8) -> NodeId {
    let (node, expires_at, signature) = key_proof(seed);
    let GenesisNode { class, cell, endpoint, .. } = genesis_node(SMALL, Role::Media, CapacityClass::Small);
    let (price, bond) = (CHR, 100 * CHR);
    let owner = signed(OPERATOR);
    Nodes::register(owner, node, Role::Media, class, cell, endpoint, price, bond, expires_at, signature).unwrap();
    node
}
