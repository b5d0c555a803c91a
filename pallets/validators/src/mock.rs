//! A chain of sessions and bonds for the tests.

use crate as pallet_chroom_validators;
use crate::{EraParameters, ExposureOf, GenesisConfig, HoldReason, SlashShares};
use chroom_primitives::Balance;
use frame_support::{
    PalletId, derive_impl, ord_parameter_types, parameter_types,
    traits::{
        ConstU32, ConstU64, ConstU128, Hooks,
        fungible::{Balanced, InspectHold},
    },
};
use pallet_session::{PeriodicSessions, TestSessionHandler, historical};
use sp_runtime::{
    BuildStorage, Perbill, impl_opaque_keys,
    testing::UintAuthorityId,
    traits::{ConvertInto, IdentityLookup},
};
use sp_staking::offence::{OffenceDetails, OnOffenceHandler};

type Block = frame_system::mocking::MockBlock<Test>;
pub type AccountId = u64;

pub const TREASURY: AccountId = 1_000;
pub const ENDOWMENT: Balance = 10_000;
/// Who may cancel slashes.
pub const COUNCIL: AccountId = 2_000;
/// Smallest balance of an account.
pub const ED: Balance = 5;

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
    type ExistentialDeposit = ConstU128<ED>;
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

ord_parameter_types! {
    pub const Council: AccountId = COUNCIL;
}

parameter_types! {
    pub const SlashFloor: Perbill = Perbill::from_percent(5);
    pub const Shares: SlashShares =
        SlashShares { reporters: Perbill::from_percent(20), treasury: Perbill::from_percent(30) };
    pub const Treasury: AccountId = TREASURY;
    pub const PotId: PalletId = PalletId(*b"test/pot");
}

impl crate::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Session = Session;
    type ManageOrigin = frame_system::EnsureRoot<AccountId>;
    type CancelOrigin = frame_system::EnsureSignedBy<Council, AccountId>;
    type PotId = PotId;
    type Treasury = Treasury;
    type SlashFloor = SlashFloor;
    type SlashShares = Shares;
    type MaxCandidates = ConstU32<6>;
    type MaxUnbondingChunks = ConstU32<2>;
    type MaxUnappliedSlashes = ConstU32<3>;
    type MaxSlashesPerBlock = ConstU32<2>;
    type WeightInfo = ();
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = crate::benchmarking::SessionOffice<Test>;
}

pub fn parameters() -> EraParameters {
    EraParameters {
        validators: 3,
        minimum_validators: 2,
        sessions_per_era: 2,
        unbonding_eras: 2,
        minimum_bond: 100,
        slash_defer_eras: 1,
        minimum_expected_blocks: 2,
        absences_until_chill: 2,
    }
}

/// Rules by which slashes don't wait.
pub fn at_once() -> EraParameters {
    EraParameters { slash_defer_eras: 0, ..parameters() }
}

fn session_keys(who: std::ops::RangeInclusive<u64>) -> Vec<(AccountId, AccountId, SessionKeys)> {
    who.map(|who| (who, who, SessionKeys { dummy: UintAuthorityId(who) })).collect()
}

/// The genesis with these validators, of whom, and of all up to 9, `with_keys` have session keys.
pub fn genesis(
    validators: Vec<(AccountId, Balance)>,
    parameters: EraParameters,
    with_keys: std::ops::RangeInclusive<u64>,
) -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: (1..=10).chain([TREASURY]).map(|who| (who, ENDOWMENT)).collect(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    GenesisConfig::<Test> { validators, parameters, session_length: 10 }.assimilate_storage(&mut storage).unwrap();
    pallet_session::GenesisConfig::<Test> { keys: session_keys(with_keys), non_authority_keys: session_keys(7..=9) }
        .assimilate_storage(&mut storage)
        .unwrap();
    storage.into()
}

/// A chain whose accounts 1 to 3 validate with bonds of 500, 400 and 300; all of 1 to 10 are endowed, 1 to 9 have keys.
pub fn new_chain(parameters: EraParameters) -> sp_io::TestExternalities {
    let mut chain = genesis(vec![(1, 500), (2, 400), (3, 300)], parameters, 1..=6);
    chain.execute_with(|| System::set_block_number(1));
    chain
}

/// Runs `test` on a chain with these rules, then checks the invariants.
pub fn run_with(parameters: EraParameters, test: impl FnOnce()) {
    new_chain(parameters).execute_with(|| {
        test();
        Validators::do_try_state().unwrap();
    });
}

/// Runs `test`, then checks the invariants.
pub fn run(test: impl FnOnce()) {
    run_with(parameters(), test);
}

/// Begins the next block, in the order of the runtime's pallets: its author is noted before anything else.
pub fn next_block(author: Option<AccountId>) {
    let number = System::block_number() + 1;
    System::initialize(&number, &Default::default(), &Default::default());
    if let Some(author) = author {
        <Validators as pallet_authorship::EventHandler<AccountId, u64>>::note_author(author);
    }
    Validators::on_initialize(number);
}

/// Lets the session end with the next block.
pub fn next_session() {
    next_block(None);
    Session::rotate_session();
    Validators::do_try_state().unwrap();
}

/// Lets sessions end until `session` has begun.
pub fn reach_session(session: u32) {
    while Session::current_index() < session {
        next_session();
    }
}

/// Lets each of `authors` author `blocks` blocks.
pub fn author(authors: &[AccountId], blocks: u32) {
    for _ in 0..blocks {
        for author in authors {
            next_block(Some(*author));
        }
    }
}

/// Pays `amount` into the pot, as fees and emission do.
pub fn income(amount: Balance) {
    let credit = <Balances as Balanced<AccountId>>::issue(amount);
    <Balances as Balanced<AccountId>>::resolve(&Validators::pot_account(), credit).unwrap();
}

pub fn held(who: AccountId) -> Balance {
    Balances::balance_on_hold(&HoldReason::Bond.into(), &who)
}

pub fn signed(who: AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who)
}

/// Reports that `offenders` offended in `session`, each with the bond that it was elected with.
pub fn offend(offenders: &[(AccountId, Balance)], reporters: &[AccountId], percent: u32, session: u32) {
    let details: Vec<_> = offenders
        .iter()
        .map(|offender| OffenceDetails { offender: *offender, reporters: reporters.to_vec() })
        .collect();
    Validators::on_offence(&details, &vec![Perbill::from_percent(percent); details.len()], session);
}

/// The validators in office, in the order of their bonds.
pub fn in_office() -> Vec<AccountId> {
    Session::validators()
}
