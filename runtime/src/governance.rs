//! Who changes the chain: two houses, and no root key.
//!
//! The council decides for the network, the technical committee knows its software. Two thirds of the council set
//! parameters; two thirds of the committee stop what does harm (safe mode, pauses, slashes that were a mistake); whatever
//! else only root may do takes two thirds of both, and a delay in which more than a third of either can take it back.
//! docs/governance.md tells how to go about it, docs/decisions/governance.md why it is so.

use crate::{
    AccountId, Balance, Balances, BlockNumber, OriginCaller, Preimage, Runtime, RuntimeCall, RuntimeEvent,
    RuntimeHoldReason, RuntimeOrigin, Scheduler, System,
    system::{RuntimeBlockWeights, storage_deposit},
};
use frame_support::{
    parameter_types,
    traits::{
        ConstU32, EitherOf, EitherOfDiverse, EqualPrivilegeOnly, LinearStoragePrice, MapSuccess,
        fungible::HoldConsideration,
    },
    weights::Weight,
};
use frame_system::EnsureRoot;
use pallet_chroom_enactment::House;
use pallet_collective::{DefaultVote, EnsureProportionAtLeast, EnsureProportionMoreThan};
use sp_runtime::{Perbill, traits::Replace};

/// Names the council among the collectives.
pub type CouncilCollective = pallet_collective::Instance1;
/// Names the technical committee among the collectives.
pub type TechnicalCollective = pallet_collective::Instance2;

/// Two thirds of the council.
pub type TwoThirdsOfCouncil = EnsureProportionAtLeast<AccountId, CouncilCollective, 2, 3>;
/// Two thirds of the technical committee.
pub type TwoThirdsOfCommittee = EnsureProportionAtLeast<AccountId, TechnicalCollective, 2, 3>;
/// Every single member of the council.
pub type WholeCouncil = EnsureProportionAtLeast<AccountId, CouncilCollective, 1, 1>;

/// May set the pallets' parameters, each of which its pallet checks.
pub type AdminOrigin = EitherOfDiverse<EnsureRoot<AccountId>, TwoThirdsOfCouncil>;
/// May stop what does harm.
pub type GuardOrigin = EitherOfDiverse<EnsureRoot<AccountId>, TwoThirdsOfCommittee>;
/// May let go on what was stopped: the council too, so that the committee cannot hold the network up.
pub type ReleaseOrigin = EitherOfDiverse<GuardOrigin, TwoThirdsOfCouncil>;
/// May cancel a validator's slash before it is applied.
pub type SlashCancelOrigin = GuardOrigin;

/// More than a third of either house: as many as could have kept the house from approving.
pub type VetoOrigin = EitherOfDiverse<
    EnsureProportionMoreThan<AccountId, CouncilCollective, 1, 3>,
    EnsureProportionMoreThan<AccountId, TechnicalCollective, 1, 3>,
>;

/// Blocks in a day.
const DAY: BlockNumber = 14_400;

parameter_types! {
    /// Time for a motion's votes: five days.
    pub const MotionDuration: BlockNumber = 5 * DAY;
    /// What a motion's call may take of a block at most.
    pub MaxProposalWeight: Weight = Perbill::from_percent(50) * RuntimeBlockWeights::get().max_block;
    /// What scheduled calls may take of a block at most.
    pub MaxScheduledWeight: Weight = Perbill::from_percent(80) * RuntimeBlockWeights::get().max_block;
    /// A minute: what a developer's network waits for an enactment.
    pub const MinEnactmentDelay: BlockNumber = 10;
    /// Four weeks.
    pub const MaxEnactmentDelay: BlockNumber = 28 * DAY;
    /// A week for the second house to follow the first, more than a motion takes.
    pub const ApprovalLifetime: BlockNumber = 7 * DAY;
    /// The council's name in the enactment.
    pub const CouncilHouse: House = House::Council;
    /// The technical committee's name in the enactment.
    pub const CommitteeHouse: House = House::TechnicalCommittee;
    /// Why a preimage's deposit is on hold.
    pub const PreimageHoldReason: RuntimeHoldReason =
        RuntimeHoldReason::Preimage(pallet_preimage::HoldReason::Preimage);
    /// Deposit of a preimage.
    pub const PreimageBaseDeposit: Balance = storage_deposit(2, 64);
    /// Deposit of a preimage's byte.
    pub const PreimageByteDeposit: Balance = storage_deposit(0, 1);
}

/// Most members of a house.
pub const MAX_MEMBERS: u32 = 25;

/// Who doesn't vote doesn't approve, whatever the others do.
pub struct SilenceIsNo;

impl DefaultVote for SilenceIsNo {
    fn default_vote(_prime: Option<bool>, _yes: u32, _no: u32, _members: u32) -> bool {
        false
    }
}

impl pallet_collective::Config<CouncilCollective> for Runtime {
    type RuntimeOrigin = RuntimeOrigin;
    type Proposal = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type MotionDuration = MotionDuration;
    type MaxProposals = ConstU32<20>;
    type MaxMembers = ConstU32<MAX_MEMBERS>;
    type DefaultVote = SilenceIsNo;
    type WeightInfo = pallet_collective::weights::SubstrateWeight<Runtime>;
    type SetMembersOrigin = EnsureRoot<AccountId>;
    type MaxProposalWeight = MaxProposalWeight;
    type DisapproveOrigin = EnsureRoot<AccountId>;
    type KillOrigin = EnsureRoot<AccountId>;
    // Only members propose, and a bounded number of motions; a deposit would keep nobody from anything.
    type Consideration = ();
}

impl pallet_collective::Config<TechnicalCollective> for Runtime {
    type RuntimeOrigin = RuntimeOrigin;
    type Proposal = RuntimeCall;
    type RuntimeEvent = RuntimeEvent;
    type MotionDuration = MotionDuration;
    type MaxProposals = ConstU32<20>;
    type MaxMembers = ConstU32<MAX_MEMBERS>;
    type DefaultVote = SilenceIsNo;
    type WeightInfo = pallet_collective::weights::SubstrateWeight<Runtime>;
    // A committee that has lost its keys would end all governance; a council in full agreement can replace it.
    type SetMembersOrigin = EitherOfDiverse<EnsureRoot<AccountId>, WholeCouncil>;
    type MaxProposalWeight = MaxProposalWeight;
    type DisapproveOrigin = EnsureRoot<AccountId>;
    type KillOrigin = EnsureRoot<AccountId>;
    type Consideration = ();
}

impl pallet_preimage::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_preimage::weights::SubstrateWeight<Runtime>;
    type Currency = Balances;
    type ManagerOrigin = EnsureRoot<AccountId>;
    type Consideration = HoldConsideration<
        AccountId,
        Balances,
        PreimageHoldReason,
        LinearStoragePrice<PreimageBaseDeposit, PreimageByteDeposit, Balance>,
    >;
}

impl pallet_scheduler::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeOrigin = RuntimeOrigin;
    type PalletsOrigin = OriginCaller;
    type RuntimeCall = RuntimeCall;
    type MaximumWeight = MaxScheduledWeight;
    type ScheduleOrigin = EnsureRoot<AccountId>;
    type OriginPrivilegeCmp = EqualPrivilegeOnly;
    type MaxScheduledPerBlock = ConstU32<50>;
    type WeightInfo = pallet_scheduler::weights::SubstrateWeight<Runtime>;
    type Preimages = Preimage;
    type BlockNumberProvider = System;
}

impl pallet_chroom_enactment::Config for Runtime {
    type PalletsOrigin = OriginCaller;
    type Scheduler = Scheduler;
    type Preimages = Preimage;
    type HouseOrigin = EitherOf<
        MapSuccess<TwoThirdsOfCouncil, Replace<CouncilHouse>>,
        MapSuccess<TwoThirdsOfCommittee, Replace<CommitteeHouse>>,
    >;
    type VetoOrigin = VetoOrigin;
    type MinDelay = MinEnactmentDelay;
    type MaxDelay = MaxEnactmentDelay;
    type ApprovalLifetime = ApprovalLifetime;
    type MaxApprovals = ConstU32<16>;
    type WeightInfo = pallet_chroom_enactment::weights::ChroomWeight<Runtime>;
}
