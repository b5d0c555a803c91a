//! A runtime with this pallet, and the actors of its tests.

use crate as pallet_chroom_nodes;
use crate::{EpochClock, GenesisNode, NodeParameters, OnNodeRemoved};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeId, QosEpoch, Role, Signable,
    record::{KeyProof, NodeRecord},
};
use frame_support::{construct_runtime, derive_impl, parameter_types, traits::ConstU32};
use sp_core::{Pair, ecdsa};
use sp_runtime::{BoundedVec, BuildStorage, Perbill, traits::IdentityLookup};

pub type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Nodes: pallet_chroom_nodes,
    }
);

parameter_types! {
    pub const ExistentialDeposit: Balance = CHR / 100;
    pub static Epoch: u32 = 0;
    pub static Removed: Vec<NodeId> = Vec::new();
    pub static MaxRegistries: u32 = 4;
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

pub struct Clock;

impl EpochClock for Clock {
    fn current() -> QosEpoch {
        QosEpoch(Epoch::get())
    }
}

pub struct NoteRemoved;

impl OnNodeRemoved for NoteRemoved {
    fn removed(node: &NodeId) {
        Removed::mutate(|removed| removed.push(*node));
    }
}

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Epochs = Clock;
    type Slashed = ();
    type OnRemoved = NoteRemoved;
    type AdminOrigin = frame_system::EnsureRoot<AccountId>;
    type KeyProofLifetime = ConstU32<100>;
    type MaxRegistries = MaxRegistries;
    type EpochRing = ConstU32<4>;
    type WeightInfo = ();
}

/// What each owner has at first.
pub const WEALTH: Balance = 10_000 * CHR;
pub const ALICE: AccountId = AccountId::new([1; 32]);
pub const BOB: AccountId = AccountId::new([2; 32]);
pub const PAUPER: AccountId = AccountId::new([3; 32]);

pub fn parameters() -> NodeParameters {
    NodeParameters {
        media_bond: 100 * CHR,
        orchestrator_bond: 50 * CHR,
        registry_bond: 200 * CHR,
        unbonding_period: 10,
        jail_period: 5,
        equivocation_slash: Perbill::from_percent(10),
        reporter_share: Perbill::from_percent(20),
    }
}

/// A node's key.
pub struct Key(ecdsa::Pair);

impl Key {
    pub fn new(seed: u8) -> Self {
        Self(ecdsa::Pair::from_seed(&[seed.max(1); 32]))
    }

    pub fn sign(&self, payload: &impl Signable) -> EthereumSignature {
        EthereumSignature(self.0.sign_prehashed(&payload.signing_hash(&Nodes::genesis_hash())).0)
    }

    pub fn id(&self) -> NodeId {
        EthereumSignature(self.0.sign_prehashed(&[7; 32]).0).recover_hash(&[7; 32]).unwrap()
    }
}

pub fn cell() -> H3Cell {
    // Resolution 3.
    H3Cell(0x0831_f8df_ffff_ffff)
}

pub fn endpoint() -> Endpoint {
    "127.0.0.1:7400".parse().unwrap()
}

/// The arguments of a registration; change what a test is about.
#[derive(Clone)]
pub struct Form {
    pub owner: AccountId,
    pub node: NodeId,
    pub role: Role,
    pub class: CapacityClass,
    pub cell: H3Cell,
    pub endpoint: Endpoint,
    pub price: Balance,
    pub bond: Balance,
    pub expires_at: u32,
    pub proof: EthereumSignature,
}

impl Form {
    pub fn new(owner: AccountId, seed: u8, role: Role) -> Self {
        let key = Key::new(seed);
        let node = key.id();
        let expires_at = Nodes::now() + 10;
        let nonce = Nodes::key_proof_nonce(node);
        let proof = key.sign(&KeyProof { node, owner: owner.clone(), role, nonce, expires_at });
        let class = CapacityClass::Small;
        Self {
            owner,
            node,
            role,
            class,
            cell: cell(),
            endpoint: endpoint(),
            price: if role == Role::Media { CHR } else { 0 },
            bond: parameters().minimum_bond(role, class),
            expires_at,
            proof,
        }
    }

    pub fn send(self) -> sp_runtime::DispatchResult {
        Nodes::register(
            RuntimeOrigin::signed(self.owner),
            self.node,
            self.role,
            self.class,
            self.cell,
            self.endpoint,
            self.price,
            self.bond,
            self.expires_at,
            self.proof,
        )
    }
}

/// Registers a node with the smallest bond and returns its id.
pub fn register(owner: AccountId, seed: u8, role: Role) -> NodeId {
    let form = Form::new(owner, seed, role);
    let node = form.node;
    form.send().unwrap();
    node
}

pub fn record(seed: u8, seq: u64) -> NodeRecord {
    NodeRecord {
        node: Key::new(seed).id(),
        seq,
        expires_ms: 1_000,
        role: Role::Media,
        cell: cell(),
        rpc: endpoint(),
        public_url: BoundedVec::default(),
        p2p: BoundedVec::default(),
        class: CapacityClass::Small,
        version: BoundedVec::default(),
        left: false,
    }
}

pub fn signed(who: AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

pub fn externalities(nodes: Vec<GenesisNode>) -> sp_io::TestExternalities {
    let balances = pallet_balances::GenesisConfig {
        balances: vec![(ALICE, WEALTH), (BOB, WEALTH), (PAUPER, CHR)],
        ..Default::default()
    };
    let genesis = RuntimeGenesisConfig {
        system: Default::default(),
        balances,
        nodes: crate::GenesisConfig { parameters: parameters(), nodes, ..Default::default() },
    };
    let mut ext: sp_io::TestExternalities = genesis.build_storage().unwrap().into();
    ext.execute_with(|| {
        Epoch::set(0);
        Removed::set(Vec::new());
        MaxRegistries::set(4);
        System::set_block_number(1);
    });
    ext
}

/// Runs a test and checks the pallet's invariants afterwards.
pub fn run(test: impl FnOnce()) {
    externalities(Vec::new()).execute_with(|| {
        test();
        Nodes::do_try_state().unwrap();
    });
}
