//! A runtime with this pallet, and the actors of its tests.

use crate as pallet_chroom_nodes;
use crate::{EpochClock, GenesisNode, NodeParameters, OnNodeRemoved};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeId, QosEpoch, Role, Signable,
    pool::OnBondSlashed,
    record::{KeyProof, NodeRecord},
    typed_data::NodeRegistration,
};
use frame_support::{
    construct_runtime, derive_impl, parameter_types,
    traits::{ConstU32, Time},
};
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
    pub static Rotated: Vec<(NodeId, NodeId)> = Vec::new();
    pub static Slashes: Vec<(NodeId, Perbill, Option<AccountId>)> = Vec::new();
    pub static MaxRegistries: u32 = 4;
    pub const TreasuryAccount: AccountId = TREASURY;
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

    fn rotated(node: &NodeId, successor: &NodeId) {
        Rotated::mutate(|rotated| rotated.push((*node, *successor)));
    }
}

pub struct NoteSlashed;

impl OnBondSlashed for NoteSlashed {
    fn bond_slashed(node: &NodeId, share: Perbill, reporter: Option<&AccountId>) {
        Slashes::mutate(|slashes| slashes.push((*node, share, reporter.cloned())));
    }
}

/// Six seconds per block.
pub struct Watch;

impl Time for Watch {
    type Moment = u64;

    fn now() -> u64 {
        1_700_000_000_000 + u64::from(Nodes::now()) * 6_000
    }
}

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Epochs = Clock;
    type Time = Watch;
    type Treasury = TreasuryAccount;
    type OnSlashed = NoteSlashed;
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
pub const TREASURY: AccountId = AccountId::new([4; 32]);
/// The seed of the EVM wallet of an owner who has as much as the others.
pub const COLD: u8 = 200;
/// Deposit for a registration's storage.
pub const DEPOSIT: Balance = 2 * CHR;

pub fn parameters() -> NodeParameters {
    NodeParameters {
        media_bond: 100 * CHR,
        orchestrator_bond: 50 * CHR,
        registry_bond: 200 * CHR,
        unbonding_period: 10,
        jail_period: 5,
        equivocation_slash: Perbill::from_percent(10),
        reporter_share: Perbill::from_percent(20),
        treasury_share: Perbill::from_percent(30),
        deposit: DEPOSIT,
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

    pub fn authorize(&self, registration: &NodeRegistration) -> EthereumSignature {
        EthereumSignature(self.0.sign_prehashed(&registration.signing_hash(&Nodes::genesis_hash())).0)
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

/// The arguments of a registration that an EVM wallet authorised; change what a test is about.
#[derive(Clone)]
pub struct AuthorizedForm {
    pub sender: AccountId,
    pub owner: NodeId,
    pub signed: NodeRegistration,
    pub cell: H3Cell,
    pub endpoint: Endpoint,
    pub price: Balance,
    pub authorization: EthereumSignature,
}

impl AuthorizedForm {
    /// The wallet with the seed `owner` authorises the node with the seed `seed`.
    pub fn new(owner: u8, seed: u8, role: Role) -> Self {
        let wallet = Key::new(owner);
        let class = CapacityClass::Small;
        let signed = NodeRegistration {
            node: Key::new(seed).id(),
            role,
            class,
            bond: Nodes::minimum_bond(role, class),
            nonce: Nodes::authorization_nonce(wallet.id()),
            expires_at: Nodes::now() + 10,
        };
        Self {
            sender: signed.node.account(),
            owner: wallet.id(),
            signed,
            cell: cell(),
            endpoint: endpoint(),
            price: if role == Role::Media { CHR } else { 0 },
            authorization: wallet.authorize(&signed),
        }
    }

    pub fn send(self) -> sp_runtime::DispatchResult {
        Nodes::register_authorized(
            RuntimeOrigin::signed(self.sender),
            self.owner,
            self.signed.role,
            self.signed.class,
            self.cell,
            self.endpoint,
            self.price,
            self.signed.bond,
            self.signed.expires_at,
            self.authorization,
        )
    }
}

/// Rotates the key of `node` to that with the seed `seed`.
pub fn rotate(owner: AccountId, node: NodeId, seed: u8) -> sp_runtime::DispatchResult {
    let key = Key::new(seed);
    let role = Nodes::registration(node).map_or(Role::Media, |registration| registration.role);
    let (new_node, expires_at) = (key.id(), Nodes::now() + 10);
    let nonce = Nodes::key_proof_nonce(new_node);
    let proof = key.sign(&KeyProof { node: new_node, owner: owner.clone(), role, nonce, expires_at });
    Nodes::rotate_key(RuntimeOrigin::signed(owner), node, new_node, expires_at, proof)
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
        balances: vec![(ALICE, WEALTH), (BOB, WEALTH), (PAUPER, CHR), (Key::new(COLD).id().account(), WEALTH)],
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
        Rotated::set(Vec::new());
        Slashes::set(Vec::new());
        MaxRegistries::set(4);
        System::set_block_number(1);
    });
    ext
}

/// A chain whose benchmarks have keys to sign with.
#[cfg(feature = "runtime-benchmarks")]
pub fn with_keystore() -> sp_io::TestExternalities {
    let mut ext = externalities(Vec::new());
    ext.register_extension(sp_keystore::KeystoreExt::new(sp_keystore::testing::MemoryKeystore::new()));
    ext
}

/// Runs a test and checks the pallet's invariants afterwards.
pub fn run(test: impl FnOnce()) {
    externalities(Vec::new()).execute_with(|| {
        test();
        Nodes::do_try_state().unwrap();
    });
}
