//! Who authors blocks, who makes them final, and what offences cost.

use crate::{
    AccountId, AuthorityDiscovery, Babe, Balance, Balances, Grandpa, Historical, Offences, Runtime, RuntimeEvent,
    RuntimeHoldReason, SLOT_MS, Session, SessionKeys, Validators,
    economy::TreasuryAccount,
    governance::{AdminOrigin, SlashCancelOrigin},
    session_keys::ReservedBeefy,
};
use chroom_primitives::CHR;
use frame_support::{
    PalletId, parameter_types,
    traits::{ConstU32, ConstU64, ConstU128, Get, KeyOwnerProofSystem},
};
use pallet_chroom_validators::{EraParameters, ExposureOf, SessionLength, SlashShares};
use sp_consensus_babe::{AllowedSlots, AuthorityId as BabeId, BabeEpochConfiguration};
use sp_runtime::{KeyTypeId, Perbill, traits::ConvertInto};

pub use pallet_session::historical;

/// BABE's configuration at genesis: a quarter of the slots has a primary author, and a secondary one fills the others,
/// also with a VRF, so that each block adds to the randomness.
pub const BABE_GENESIS: BabeEpochConfiguration =
    BabeEpochConfiguration { c: (1, 4), allowed_slots: AllowedSlots::PrimaryAndSecondaryVRFSlots };

/// Slots in a session as the genesis fixed them.
pub struct GenesisSessionLength;

impl Get<u64> for GenesisSessionLength {
    fn get() -> u64 {
        SessionLength::<Runtime>::get()
    }
}

/// Blocks for which an equivocation can be reported: as long as the offender's bond is held.
pub struct ReportLongevity;

impl Get<u64> for ReportLongevity {
    fn get() -> u64 {
        u64::from(Validators::reporting_sessions()).saturating_mul(GenesisSessionLength::get())
    }
}

parameter_types! {
    /// Most validators, as all authority lists bound them.
    pub const MaxAuthorities: u32 = EraParameters::MAX_VALIDATORS;
    /// GRANDPA authority sets whose session is kept for equivocation reports: 28 days of four-hour sessions, twice.
    pub const MaxSetIdSessionEntries: u64 = 336;
    /// An equivocation costs a twentieth of the exposure at least.
    pub const SlashFloor: Perbill = Perbill::from_percent(5);
    /// A fifth to who reported, 30 % to the treasury, the rest, a half, is burnt.
    pub const Shares: SlashShares =
        SlashShares { reporters: Perbill::from_percent(20), treasury: Perbill::from_percent(30) };
    /// Names the account that validators are paid from.
    pub const ValidatorPotId: PalletId = PalletId(*b"chr/vald");
}

/// A membership proof of a session key.
type BabeKeyProof = <Historical as KeyOwnerProofSystem<(KeyTypeId, BabeId)>>::Proof;
type GrandpaKeyProof = <Historical as KeyOwnerProofSystem<(KeyTypeId, sp_consensus_grandpa::AuthorityId)>>::Proof;

impl pallet_babe::Config for Runtime {
    type EpochDuration = GenesisSessionLength;
    type ExpectedBlockTime = ConstU64<{ SLOT_MS }>;
    type EpochChangeTrigger = pallet_babe::ExternalTrigger;
    type DisabledValidators = Session;
    type WeightInfo = ();
    type MaxAuthorities = MaxAuthorities;
    type MaxNominators = ConstU32<0>;
    type KeyOwnerProof = BabeKeyProof;
    type EquivocationReportSystem = pallet_babe::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = MaxAuthorities;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = MaxSetIdSessionEntries;
    type KeyOwnerProof = GrandpaKeyProof;
    type EquivocationReportSystem =
        pallet_grandpa::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_authorship::Config for Runtime {
    type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
    type EventHandler = Validators;
}

impl pallet_offences::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type IdentificationTuple = historical::IdentificationTuple<Self>;
    type OnOffenceHandler = Validators;
}

impl pallet_session::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type ValidatorId = AccountId;
    type ValidatorIdOf = ConvertInto;
    type ShouldEndSession = Babe;
    type NextSessionRotation = Babe;
    type SessionManager = historical::NoteHistoricalRoot<Self, Validators>;
    type SessionHandler = (Babe, Grandpa, AuthorityDiscovery, ReservedBeefy);
    type Keys = SessionKeys;
    type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
    type WeightInfo = pallet_session::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    // What the keys of one account take up in storage, at the price of a transaction that sets them ten times over.
    type KeyDeposit = ConstU128<{ CHR / 10 }>;
}

impl historical::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type FullIdentification = Balance;
    type FullIdentificationOf = ExposureOf<Runtime>;
}

impl pallet_authority_discovery::Config for Runtime {
    type MaxAuthorities = MaxAuthorities;
}

impl pallet_chroom_validators::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Session = Session;
    type ManageOrigin = AdminOrigin;
    type CancelOrigin = SlashCancelOrigin;
    type PotId = ValidatorPotId;
    type Treasury = TreasuryAccount;
    type SlashFloor = SlashFloor;
    type SlashShares = Shares;
    type MaxCandidates = ConstU32<1_000>;
    type MaxUnbondingChunks = ConstU32<32>;
    type MaxUnappliedSlashes = ConstU32<1_000>;
    // A tenth of a block at most.
    type MaxSlashesPerBlock = ConstU32<64>;
    type WeightInfo = pallet_chroom_validators::weights::ChroomWeight<Runtime>;
    #[cfg(feature = "runtime-benchmarks")]
    type BenchmarkHelper = pallet_chroom_validators::benchmarking::SessionOffice<Runtime>;
}
