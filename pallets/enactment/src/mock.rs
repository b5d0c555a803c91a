//! A runtime with this pallet, the real scheduler and the real preimages. Accounts stand for the houses.

use crate::{self as pallet_chroom_enactment, House};
use codec::Encode;
use frame_support::{
    construct_runtime, derive_impl, ord_parameter_types, parameter_types,
    traits::{ConstU32, ConstU64, EitherOf, EqualPrivilegeOnly, Hooks, MapSuccess},
    weights::Weight,
};
use frame_system::{EnsureRoot, EnsureSignedBy};
use sp_runtime::{
    BuildStorage,
    traits::{BlakeTwo256, Hash as _, Replace},
};

pub type Block = frame_system::mocking::MockBlock<Test>;
pub type Hash = <Test as frame_system::Config>::Hash;

/// The council's account.
pub const COUNCIL: u64 = 1;
/// The technical committee's account.
pub const COMMITTEE: u64 = 2;
/// The account that may veto.
pub const VETO: u64 = 3;
/// The account that notes preimages; it has nothing to say.
pub const STRANGER: u64 = 4;

pub const MIN_DELAY: u64 = 2;
pub const MAX_DELAY: u64 = 20;
pub const LIFETIME: u64 = 5;
pub const MAX_APPROVALS: u32 = 3;

construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Preimage: pallet_preimage,
        Scheduler: pallet_scheduler,
        Enactment: pallet_chroom_enactment,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountData = pallet_balances::AccountData<u64>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type AccountStore = System;
}

impl pallet_preimage::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type Currency = Balances;
    type ManagerOrigin = EnsureRoot<u64>;
    type Consideration = ();
}

parameter_types! {
    pub MaximumWeight: Weight = Weight::from_parts(1_000_000_000_000, 10_000_000);
    pub const CouncilHouse: House = House::Council;
    pub const CommitteeHouse: House = House::TechnicalCommittee;
}

ord_parameter_types! {
    pub const Council: u64 = COUNCIL;
    pub const Committee: u64 = COMMITTEE;
    pub const Veto: u64 = VETO;
}

impl pallet_scheduler::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeOrigin = RuntimeOrigin;
    type PalletsOrigin = OriginCaller;
    type RuntimeCall = RuntimeCall;
    type MaximumWeight = MaximumWeight;
    type ScheduleOrigin = EnsureRoot<u64>;
    type OriginPrivilegeCmp = EqualPrivilegeOnly;
    type MaxScheduledPerBlock = ConstU32<4>;
    type WeightInfo = ();
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

impl crate::Config for Test {
    type PalletsOrigin = OriginCaller;
    type Scheduler = Scheduler;
    type Preimages = Preimage;
    type HouseOrigin = EitherOf<
        MapSuccess<EnsureSignedBy<Council, u64>, Replace<CouncilHouse>>,
        MapSuccess<EnsureSignedBy<Committee, u64>, Replace<CommitteeHouse>>,
    >;
    type VetoOrigin = EnsureSignedBy<Veto, u64>;
    type MinDelay = ConstU64<MIN_DELAY>;
    type MaxDelay = ConstU64<MAX_DELAY>;
    type ApprovalLifetime = ConstU64<LIFETIME>;
    type MaxApprovals = ConstU32<MAX_APPROVALS>;
    type WeightInfo = ();
}

/// A call that only root can make, and that leaves its number in storage.
pub fn root_call(number: u8) -> RuntimeCall {
    RuntimeCall::System(frame_system::Call::set_storage { items: vec![(storage_key(number), vec![number])] })
}

/// Whether [`root_call`] of this number has run.
pub fn has_run(number: u8) -> bool {
    sp_io::storage::get(&storage_key(number)).is_some()
}

fn storage_key(number: u8) -> Vec<u8> {
    vec![b'r', b'a', b'n', number]
}

pub fn hash_of(call: &RuntimeCall) -> Hash {
    BlakeTwo256::hash_of(call)
}

/// Puts a call into the preimages, as anybody may, and returns its hash.
pub fn note(call: &RuntimeCall) -> Hash {
    Preimage::note_preimage(RuntimeOrigin::signed(STRANGER), call.encode()).unwrap();
    hash_of(call)
}

/// Goes on to a block, with the scheduler at work.
pub fn go_to(block: u64) {
    while System::block_number() < block {
        System::set_block_number(System::block_number() + 1);
        Scheduler::on_initialize(System::block_number());
    }
}

/// The genesis with a delay.
pub fn genesis(delay: Option<u64>) -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    crate::GenesisConfig::<Test> { delay }.assimilate_storage(&mut storage).unwrap();
    storage.into()
}

/// Runs a test and checks the pallet's invariants afterwards.
pub fn run(test: impl FnOnce()) {
    genesis(None).execute_with(|| {
        System::set_block_number(1);
        test();
        Enactment::do_try_state().unwrap();
    });
}
