//! A runtime with this pallet and the registration of nodes, and the actors of its tests.

use crate as pallet_chroom_qos;
use crate::{EpochParameters, OnEpoch};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, Hash, Leaf, NodeId, QosEpoch, QosLeaf,
    Role, Score, Signable, Signed,
    anchor::SnapshotVotes,
    evidence::RootStatement,
    leaf::{SourceClasses, order_leaves},
    merkle::{Root, Tree},
    record::KeyProof,
};
use frame_support::{
    construct_runtime, derive_impl, parameter_types,
    traits::{ConstU32, Hooks, Randomness, Time},
};
use pallet_chroom_nodes::GenesisNode;
use sp_core::{Pair, ecdsa};
use sp_runtime::{BuildStorage, traits::IdentityLookup};

pub type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Nodes: pallet_chroom_nodes,
        Qos: pallet_chroom_qos,
    }
);

parameter_types! {
    pub const ExistentialDeposit: Balance = CHR / 100;
    pub const Treasury: AccountId = AccountId::new([9; 32]);
    pub static Votes: Vec<(QosEpoch, NodeId, u32, Root)> = Vec::new();
    pub static Heard: Vec<(bool, QosEpoch)> = Vec::new();
    pub static Forfeited: Vec<(QosEpoch, u32, NodeId)> = Vec::new();
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
    type OnRemoved = ();
    type AdminOrigin = frame_system::EnsureRoot<AccountId>;
    type KeyProofLifetime = ConstU32<100>;
    type MaxRegistries = ConstU32<40>;
    type EpochRing = ConstU32<4>;
    type WeightInfo = ();
}

/// The same for every block, as a slow beacon would be.
pub struct Beacon;

impl Randomness<Hash, u64> for Beacon {
    fn random(subject: &[u8]) -> (Hash, u64) {
        (Hash::from(sp_io::hashing::blake2_256(subject)), 0)
    }
}

/// Six seconds per block.
pub struct Clock;

impl Time for Clock {
    type Moment = u64;

    fn now() -> u64 {
        time_of(Nodes::now())
    }
}

pub fn time_of(block: u32) -> u64 {
    1_700_000_000_000 + u64::from(block) * 6_000
}

pub struct Ballots;

impl SnapshotVotes for Ballots {
    fn vote(epoch: QosEpoch, attestor: NodeId, attestors: u32, root: Root) {
        Votes::mutate(|votes| votes.push((epoch, attestor, attestors, root)));
    }
}

pub struct Listener;

impl OnEpoch for Listener {
    fn started(epoch: QosEpoch) {
        Heard::mutate(|heard| heard.push((true, epoch)));
    }

    fn dropped(epoch: QosEpoch) {
        Heard::mutate(|heard| heard.push((false, epoch)));
    }

    fn forfeited(epoch: QosEpoch, place: u32, attestor: &NodeId) {
        Forfeited::mutate(|forfeited| forfeited.push((epoch, place, *attestor)));
    }
}

impl crate::Config for Test {
    type Randomness = Beacon;
    type Time = Clock;
    type Snapshots = Ballots;
    type OnEpoch = Listener;
    type WeightInfo = ();
}

pub const OWNER: AccountId = AccountId::new([1; 32]);
/// Neither owner nor node.
pub const REPORTER: AccountId = AccountId::new([2; 32]);
pub const LENGTH: u32 = 8;
pub const WINDOW: u32 = 4;

/// Registry nodes are 1 and up, media nodes 100 and up.
pub fn id(seed: u8) -> NodeId {
    NodeId([seed; 20])
}

pub fn root(seed: u8) -> Root {
    Root { hash: Hash::repeat_byte(seed), leaves: 1 }
}

/// The key of the attestor that can sign; the others' ids belong to no key.
fn key() -> ecdsa::Pair {
    ecdsa::Pair::from_seed(&[7; 32])
}

/// The attestor that can sign, besides those with numbers.
pub fn signer() -> NodeId {
    EthereumSignature(key().sign_prehashed(&[7; 32]).0).recover_hash(&[7; 32]).unwrap()
}

/// The signer's word on its roots.
pub fn statement(epoch: u32, quality: u8, snapshot: u8) -> Signed<RootStatement> {
    let (attestor, epoch) = (signer(), QosEpoch(epoch));
    let payload = RootStatement { attestor, epoch, quality: root(quality), snapshot: root(snapshot) };
    let hash = payload.signing_hash(&Nodes::genesis_hash());
    Signed { payload, signature: EthereumSignature(key().sign_prehashed(&hash).0) }
}

/// What `attestor` says of `nodes` in an epoch, in the order of its tree.
pub fn leaves(attestor: NodeId, epoch: u32, nodes: &[NodeId]) -> Vec<Leaf> {
    let leaf = |node: &NodeId| QosLeaf {
        epoch: QosEpoch(epoch),
        node: *node,
        attestor,
        sources: SourceClasses(SourceClasses::RECEIPTS),
        score: Score(9_000),
        uptime: 10_000,
        samples: 1,
    };
    let mut leaves: Vec<Leaf> = nodes.iter().map(|node| Leaf::Qos(leaf(node))).collect();
    order_leaves(&mut leaves);
    leaves
}

/// Sends the root over `leaves`.
pub fn submit_leaves(attestor: NodeId, epoch: u32, leaves: &[Leaf]) {
    let quality = Tree::new(leaves).root();
    Qos::submit_root(RuntimeOrigin::signed(attestor.account()), QosEpoch(epoch), quality, root(200)).unwrap();
}

fn genesis_node(node: NodeId, role: Role) -> GenesisNode {
    GenesisNode {
        node,
        owner: OWNER,
        role,
        class: CapacityClass::Small,
        cell: H3Cell(0x0831_f8df_ffff_ffff),
        endpoint: "127.0.0.1:7100".parse::<Endpoint>().unwrap(),
        price_per_gib: 0,
    }
}

pub fn externalities(registries: u8, media: u8) -> sp_io::TestExternalities {
    externalities_of((1..=registries).map(id), media)
}

/// A chain without nodes, on a host that signs.
#[cfg(feature = "runtime-benchmarks")]
pub fn with_keystore() -> sp_io::TestExternalities {
    let mut ext = externalities(0, 0);
    ext.register_extension(sp_keystore::KeystoreExt::new(sp_keystore::testing::MemoryKeystore::new()));
    ext
}

fn externalities_of(registries: impl Iterator<Item = NodeId>, media: u8) -> sp_io::TestExternalities {
    let nodes = registries
        .map(|node| genesis_node(node, Role::Registry))
        .chain((100..100 + media).map(|seed| genesis_node(id(seed), Role::Media)))
        .collect();
    let genesis = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig { balances: vec![(OWNER, 1_000_000 * CHR)], ..Default::default() },
        nodes: pallet_chroom_nodes::GenesisConfig { nodes, ..Default::default() },
        qos: crate::GenesisConfig {
            parameters: EpochParameters { length: LENGTH, submit_window: WINDOW, committee_size: 3 },
            ..Default::default()
        },
    };
    let mut ext: sp_io::TestExternalities = genesis.build_storage().unwrap().into();
    ext.execute_with(|| {
        Votes::set(Vec::new());
        Heard::set(Vec::new());
        Forfeited::set(Vec::new());
    });
    ext
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

pub fn submit(seed: u8, epoch: u32, quality: u8) -> frame_support::dispatch::DispatchResultWithPostInfo {
    Qos::submit_root(RuntimeOrigin::signed(id(seed).account()), QosEpoch(epoch), root(quality), root(200))
}

/// Registers a media node with a real key, and returns its id.
pub fn register() -> NodeId {
    let key = ecdsa::Pair::from_seed(&[9; 32]);
    let node = EthereumSignature(key.sign_prehashed(&[7; 32]).0).recover_hash(&[7; 32]).unwrap();
    let nonce = Nodes::key_proof_nonce(node);
    let proof = KeyProof { node, owner: OWNER, role: Role::Media, nonce, expires_at: Nodes::now() + 10 };
    let signature = EthereumSignature(key.sign_prehashed(&proof.signing_hash(&Nodes::genesis_hash())).0);
    let GenesisNode { class, cell, endpoint, .. } = genesis_node(node, Role::Media);
    let owner = RuntimeOrigin::signed(OWNER);
    let bond = 100 * CHR;
    Nodes::register(owner, node, Role::Media, class, cell, endpoint, 0, bond, proof.expires_at, signature).unwrap();
    node
}

pub fn check() {
    Nodes::do_try_state().unwrap();
    Qos::do_try_state().unwrap();
}

/// Runs a test in block 1 of a chain with five registry nodes and three media nodes, and checks the invariants afterwards.
pub fn run(test: impl FnOnce()) {
    externalities(5, 3).execute_with(|| {
        run_to(1);
        test();
        check();
    });
}

/// The same with the signer as a sixth registry node.
pub fn run_with_signer(test: impl FnOnce()) {
    externalities_of((1..=5).map(id).chain([signer()]), 3).execute_with(|| {
        run_to(1);
        test();
        check();
    });
}
