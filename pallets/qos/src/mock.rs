//! A runtime with this pallet and the registration of nodes, and the actors of its tests.

use crate as pallet_chroom_qos;
use crate::{EpochParameters, OnEpoch};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, H3Cell, Hash, NodeId, QosEpoch, Role, anchor::SnapshotVotes,
    merkle::Root,
};
use frame_support::{
    construct_runtime, derive_impl, parameter_types,
    traits::{ConstU32, Hooks, Randomness, Time},
};
use pallet_chroom_nodes::GenesisNode;
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
}

impl crate::Config for Test {
    type Randomness = Beacon;
    type Time = Clock;
    type Snapshots = Ballots;
    type OnEpoch = Listener;
    type WeightInfo = ();
}

pub const OWNER: AccountId = AccountId::new([1; 32]);
pub const LENGTH: u32 = 8;
pub const WINDOW: u32 = 4;

/// Registry nodes are 1 and up, media nodes 100 and up.
pub fn id(seed: u8) -> NodeId {
    NodeId([seed; 20])
}

pub fn root(seed: u8) -> Root {
    Root { hash: Hash::repeat_byte(seed), leaves: 1 }
}

fn genesis_node(seed: u8, role: Role) -> GenesisNode {
    GenesisNode {
        node: id(seed),
        owner: OWNER,
        role,
        class: CapacityClass::Small,
        cell: H3Cell(0x0831_f8df_ffff_ffff),
        endpoint: "127.0.0.1:7100".parse::<Endpoint>().unwrap(),
        price_per_gib: 0,
    }
}

pub fn externalities(registries: u8, media: u8) -> sp_io::TestExternalities {
    let nodes = (1..=registries)
        .map(|seed| genesis_node(seed, Role::Registry))
        .chain((100..100 + media).map(|seed| genesis_node(seed, Role::Media)))
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
