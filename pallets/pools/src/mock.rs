//! A runtime with this pallet and the nodes', and the actors of its tests.

use crate as pallet_chroom_pools;
use crate::{Beneficiary, DelegationInfo, PoolId, Rules, SlashShares};
use chroom_primitives::{
    AccountId, Balance, CHR, CapacityClass, Endpoint, EthereumSignature, H3Cell, NodeId, Role, Signable,
    pool::{NodePools, OnBondSlashed},
    record::KeyProof,
};
use frame_support::{
    PalletId, construct_runtime, derive_impl, parameter_types,
    traits::{ConstU32, ConstU128, Time, fungible::Inspect},
};
use pallet_chroom_nodes::{GenesisNode, NodeParameters};
use sp_core::{Pair, ecdsa};
use sp_runtime::{BuildStorage, Perbill, traits::IdentityLookup};

pub type Block = frame_system::mocking::MockBlock<Test>;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Nodes: pallet_chroom_nodes,
        Pools: pallet_chroom_pools,
    }
);

parameter_types! {
    pub const ExistentialDeposit: Balance = EXISTENCE;
    pub const Pot: PalletId = PalletId(*b"chr/pool");
    pub const Treasury: AccountId = TREASURY;
    pub const Split: SlashShares =
        SlashShares { reporter: Perbill::from_percent(20), treasury: Perbill::from_percent(30) };
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

/// Six seconds per block.
pub struct Clock;

impl Time for Clock {
    type Moment = u64;

    fn now() -> u64 {
        u64::from(Nodes::now()) * 6_000
    }
}

impl pallet_chroom_nodes::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Epochs = ();
    type Time = Clock;
    type Treasury = Treasury;
    type OnSlashed = Pools;
    type OnRemoved = Pools;
    type AdminOrigin = frame_system::EnsureRoot<AccountId>;
    type KeyProofLifetime = ConstU32<100>;
    type MaxRegistries = ConstU32<4>;
    type EpochRing = ConstU32<4>;
    type WeightInfo = ();
}

impl crate::Config for Test {
    type PalletId = Pot;
    type NoticePeriod = ConstU32<NOTICE>;
    type MinDelegation = ConstU128<CHR>;
    type Treasury = Treasury;
    type SlashShares = Split;
    type WeightInfo = ();
}

pub const EXISTENCE: Balance = CHR / 100;
/// Blocks of notice for a higher commission.
pub const NOTICE: u32 = 10;
/// Blocks between leaving and withdrawal.
pub const UNBONDING: u32 = 20;
/// The bond of each node.
pub const BOND: Balance = 100 * CHR;
/// What each account has at first, but for [`EMPTY`].
pub const WEALTH: Balance = 10_000 * CHR;

/// Owns the nodes.
pub const OWNER: AccountId = AccountId::new([1; 32]);
/// Pays them.
pub const SOURCE: AccountId = AccountId::new([2; 32]);
pub const TREASURY: AccountId = AccountId::new([3; 32]);
pub const REPORTER: AccountId = AccountId::new([4; 32]);
/// Delegators.
pub const ALICE: AccountId = AccountId::new([5; 32]);
pub const BOB: AccountId = AccountId::new([6; 32]);
pub const CAROL: AccountId = AccountId::new([7; 32]);
/// Has nothing.
pub const EMPTY: AccountId = AccountId::new([9; 32]);

/// Two media nodes that exist from genesis on.
pub const NODE: NodeId = NodeId([100; 20]);
pub const OTHER: NodeId = NodeId([101; 20]);

pub fn parameters() -> NodeParameters {
    NodeParameters { media_bond: BOND, unbonding_period: UNBONDING, jail_period: 5, ..Default::default() }
}

fn genesis_node(node: NodeId) -> GenesisNode {
    GenesisNode {
        node,
        owner: OWNER,
        role: Role::Media,
        class: CapacityClass::Small,
        cell: H3Cell(0x0831_f8df_ffff_ffff),
        endpoint: "127.0.0.1:7400".parse::<Endpoint>().unwrap(),
        price_per_gib: CHR,
    }
}

pub fn externalities() -> sp_io::TestExternalities {
    let genesis = RuntimeGenesisConfig {
        system: Default::default(),
        balances: pallet_balances::GenesisConfig {
            balances: [OWNER, SOURCE, TREASURY, REPORTER, ALICE, BOB, CAROL].map(|who| (who, WEALTH)).to_vec(),
            ..Default::default()
        },
        nodes: pallet_chroom_nodes::GenesisConfig {
            parameters: parameters(),
            nodes: vec![genesis_node(NODE), genesis_node(OTHER)],
            ..Default::default()
        },
        pools: Default::default(),
    };
    let mut ext: sp_io::TestExternalities = genesis.build_storage().unwrap().into();
    ext.execute_with(|| System::set_block_number(1));
    ext
}

pub fn signed(who: AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

/// Checks the invariants, and that the pallet's account holds what it owes to the last unit.
pub fn check() {
    Nodes::do_try_state().unwrap();
    Pools::do_try_state().unwrap();
    assert_eq!(Balances::total_balance(&Pools::account()), Pools::owed() + EXISTENCE);
}

/// Runs a test in block 1 and checks the invariants afterwards.
pub fn run(test: impl FnOnce()) {
    externalities().execute_with(|| {
        test();
        check();
    });
}

pub fn at(block: u32) {
    System::set_block_number(block.into());
}

pub fn free(who: AccountId) -> Balance {
    Balances::free_balance(who)
}

pub fn rules(commission: u32, beneficiaries: &[(AccountId, u32)], open: bool) -> Rules {
    let beneficiaries: Vec<_> = beneficiaries
        .iter()
        .map(|(account, percent)| Beneficiary { account: account.clone(), share: Perbill::from_percent(*percent) })
        .collect();
    Rules { commission: Perbill::from_percent(commission), beneficiaries: beneficiaries.try_into().unwrap(), open }
}

pub fn set_rules(commission: u32, open: bool) {
    Pools::set_rules(signed(OWNER), NODE, rules(commission, &[], open)).unwrap();
}

/// Opens the pool of [`NODE`] at a commission, and returns its number.
pub fn open(commission: u32) -> PoolId {
    set_rules(commission, true);
    Pools::pool_of(NODE).unwrap()
}

pub fn commission() -> Perbill {
    Pools::rules(NODE).commission
}

pub fn delegate(who: AccountId, amount: Balance) {
    Pools::delegate(signed(who), NODE, amount, Perbill::one()).unwrap();
}

/// What an account has in the pool that serves [`NODE`].
pub fn delegation(who: AccountId) -> DelegationInfo {
    Pools::delegation(Pools::pool_of(NODE).unwrap(), who).unwrap()
}

pub fn pay(amount: Balance) {
    let before = free(SOURCE);
    Pools::pay(&NODE, &OWNER, &SOURCE, amount).unwrap();
    assert_eq!(free(SOURCE), before - amount);
}

pub fn slash(percent: u32, reporter: Option<&AccountId>) {
    Pools::bond_slashed(&NODE, Perbill::from_percent(percent), reporter);
}

/// A media node's id, and its key's proof for [`OWNER`], good for ten blocks.
fn key_proof(seed: u8) -> (NodeId, u32, EthereumSignature) {
    let key = ecdsa::Pair::from_seed(&[seed; 32]);
    let node = EthereumSignature(key.sign_prehashed(&[7; 32]).0).recover_hash(&[7; 32]).unwrap();
    let (nonce, expires_at) = (Nodes::key_proof_nonce(node), Nodes::now() + 10);
    let proof = KeyProof { node, owner: OWNER, role: Role::Media, nonce, expires_at };
    (node, expires_at, EthereumSignature(key.sign_prehashed(&proof.signing_hash(&Nodes::genesis_hash())).0))
}

/// Registers a media node with a real key, and returns its id.
pub fn register(seed: u8) -> NodeId {
    let (node, expires_at, proof) = key_proof(seed);
    let GenesisNode { class, cell, endpoint, .. } = genesis_node(node);
    let owner = signed(OWNER);
    Nodes::register(owner, node, Role::Media, class, cell, endpoint, CHR, BOND, expires_at, proof).unwrap();
    node
}

/// Gives a media node another key, and returns its new id.
pub fn rotate(node: NodeId, seed: u8) -> NodeId {
    let (successor, expires_at, proof) = key_proof(seed);
    Nodes::rotate_key(signed(OWNER), node, successor, expires_at, proof).unwrap();
    successor
}
