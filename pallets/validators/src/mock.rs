//! A chain of sessions and bonds for the tests.

use crate as pallet_chroom_validators;
use crate::{EraParameters, ExposureOf, GenesisConfig, SlashShares};
use chroom_primitives::Balance;
use frame_support::{
    derive_impl, parameter_types,
    traits::{ConstU32, ConstU64, ConstU128},
};
use pallet_session::{PeriodicSessions, TestSessionHandler, historical};
use sp_runtime::{
    BuildStorage, Perbill, impl_opaque_keys,
    testing::UintAuthorityId,
    traits::{ConvertInto, IdentityLookup},
};

type Block = frame_system::mocking::MockBlock<Test>;
pub type AccountId = u64;

pub const TREASURY: AccountId = 1_000;
pub const ENDOWMENT: Balance = 10_000;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Validators: pallet_chroom_validators,
        Session: pallet_session,
        Historical: historical,
    }
);

impl_opaque_keys! {
    pub struct SessionKeys {
        pub dummy: UintAuthorityId,
    }
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
    type ExistentialDeposit = ConstU128<1>;
    type AccountStore = System;
}

impl pallet_session::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = ConvertInto;
    type ShouldEndSession = PeriodicSessions<ConstU64<1_000_000>, ConstU64<1_000_000>>;
    type NextSessionRotation = PeriodicSessions<ConstU64<1_000_000>, ConstU64<1_000_000>>;
    type SessionManager = historical::NoteHistoricalRoot<Self, Validators>;
    type SessionHandler = TestSessionHandler;
    type Keys = SessionKeys;
    type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
    type WeightInfo = ();
    type Currency = Balances;
    type KeyDeposit = ConstU128<1>;
}

impl historical::Config for Test {
    type RuntimeEvent = RuntimeEvent;
    type FullIdentification = Balance;
    type FullIdentificationOf = ExposureOf<Test>;
}

parameter_types! {
    pub const SlashFloor: Perbill = Perbill::from_percent(5);
    pub const Shares: SlashShares =
        SlashShares { reporters: Perbill::from_percent(10), treasury: Perbill::from_percent(45) };
    pub const Treasury: AccountId = TREASURY;
}

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Session = Session;
    type ManageOrigin = frame_system::EnsureRoot<AccountId>;
    type Treasury = Treasury;
    type SlashFloor = SlashFloor;
    type SlashShares = Shares;
    type MaxCandidates = ConstU32<6>;
    type MaxUnbondingChunks = ConstU32<2>;
    type WeightInfo = ();
}

pub fn parameters() -> EraParameters {
    EraParameters { validators: 3, minimum_validators: 2, sessions_per_era: 2, unbonding_eras: 2, minimum_bond: 100 }
}

/// A chain whose accounts 1 to 3 validate with bonds of 500, 400 and 300; all of 1 to 10 are endowed, 1 to 9 have keys.
pub fn new_chain() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: (1..=10).chain([TREASURY]).map(|who| (who, ENDOWMENT)).collect(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    GenesisConfig::<Test> {
        validators: vec![(1, 500), (2, 400), (3, 300)],
        parameters: parameters(),
        session_length: 10,
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let keys = |who: std::ops::RangeInclusive<u64>| {
        who.map(|who| (who, who, SessionKeys { dummy: UintAuthorityId(who) })).collect()
    };
    pallet_session::GenesisConfig::<Test> { keys: keys(1..=3), non_authority_keys: keys(4..=9) }
        .assimilate_storage(&mut storage)
        .unwrap();
    let mut chain: sp_io::TestExternalities = storage.into();
    chain.execute_with(|| System::set_block_number(1));
    chain
}

/// Runs `test`, then checks the invariants.
pub fn run(test: impl FnOnce()) {
    new_chain().execute_with(|| {
        test();
        Validators::do_try_state().unwrap();
    });
}

/// Lets sessions end until `session` has begun.
pub fn reach_session(session: u32) {
    while Session::current_index() < session {
        System::set_block_number(System::block_number() + 10);
        Session::rotate_session();
        Validators::do_try_state().unwrap();
    }
}

/// The validators in office, in the order of their bonds.
pub fn in_office() -> Vec<AccountId> {
    Session::validators()
}
