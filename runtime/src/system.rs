//! Blocks, accounts, time.

use crate::{
    AccountId, Babe, Balance, Balances, Block, Nonce, PalletInfo, Runtime, RuntimeCall, RuntimeEvent, RuntimeOrigin,
    RuntimeTask, SLOT_MS, System, VERSION, call_filter::CallFilter, migrations::Migrations, weights,
};
use crate::{OriginCaller, RuntimeFreezeReason, RuntimeHoldReason};
use chroom_primitives::{BlockNumber, CHR};
use frame_support::{
    derive_impl,
    dispatch::DispatchClass,
    parameter_types,
    traits::{ConstU16, ConstU32, ConstU64, VariantCountOf},
    weights::{Weight, constants::WEIGHT_REF_TIME_PER_SECOND},
};
use frame_system::limits::{BlockLength, BlockWeights};
use sp_runtime::Perbill;
use sp_version::RuntimeVersion;

/// Two of a slot's six seconds for execution.
const MAXIMUM_BLOCK: Weight = Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, u64::MAX);

/// Share of a block that is expected to go into hooks.
const HOOKS_SHARE: Perbill = Perbill::from_percent(10);

/// Share of a block that normal transactions may take; the rest is kept for operational ones.
const NORMAL_SHARE: Perbill = Perbill::from_percent(75);

parameter_types! {
    /// Blocks whose hashes are kept, and so the longest life of a mortal transaction: four hours.
    pub const BlockHashCount: BlockNumber = 2_400;
    /// The runtime's version.
    pub const Version: RuntimeVersion = VERSION;
    /// What a block may weigh.
    pub RuntimeBlockWeights: BlockWeights = BlockWeights::builder()
        .base_block(weights::BLOCK)
        .for_class(DispatchClass::all(), |class| class.base_extrinsic = weights::EXTRINSIC)
        .for_class(DispatchClass::Normal, |class| class.max_total = Some(NORMAL_SHARE * MAXIMUM_BLOCK))
        .for_class(DispatchClass::Operational, |class| {
            class.max_total = Some(MAXIMUM_BLOCK);
            class.reserved = Some(MAXIMUM_BLOCK - NORMAL_SHARE * MAXIMUM_BLOCK);
        })
        .avg_block_initialization(HOOKS_SHARE)
        .build_or_panic();
    /// 5 MiB per block.
    pub RuntimeBlockLength: BlockLength = BlockLength::builder()
        .max_length(5 * 1024 * 1024)
        .modify_max_length_for_class(DispatchClass::Normal, |max| *max = NORMAL_SHARE * *max)
        .build();
}

/// Least free balance of an account.
pub const EXISTENTIAL_DEPOSIT: Balance = CHR / 1_000;

/// What is held while `items` with `bytes` in all are in the chain's storage for an account.
pub const fn storage_deposit(items: u32, bytes: u32) -> Balance {
    // As casts, for want of a constant `From`.
    items as Balance * (CHR / 100) + bytes as Balance * (CHR / 10_000)
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type Nonce = Nonce;
    type AccountId = AccountId;
    type AccountData = pallet_balances::AccountData<Balance>;
    type BlockHashCount = BlockHashCount;
    type BlockWeights = RuntimeBlockWeights;
    type BlockLength = RuntimeBlockLength;
    type DbWeight = weights::DbWeight;
    type Version = Version;
    type BaseCallFilter = CallFilter;
    type SingleBlockMigrations = Migrations;
    type SS58Prefix = ConstU16<42>;
    type MaxConsumers = ConstU32<16>;
    type SystemWeightInfo = frame_system::weights::SubstrateWeight<Runtime>;
    type ExtensionsWeightInfo = weights::Extensions;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Babe;
    type MinimumPeriod = ConstU64<{ SLOT_MS / 2 }>;
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

impl pallet_balances::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
    type Balance = Balance;
    type DustRemoval = ();
    type ExistentialDeposit = frame_support::traits::ConstU128<EXISTENTIAL_DEPOSIT>;
    type AccountStore = System;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ConstU32<50>;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
    type DoneSlashHandler = ();
}

impl pallet_utility::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PalletsOrigin = OriginCaller;
    type WeightInfo = pallet_utility::weights::SubstrateWeight<Runtime>;
}

parameter_types! {
    /// Deposit of an open multisig call.
    pub const MultisigDepositBase: Balance = storage_deposit(1, 88);
    /// Deposit of one more signatory of it.
    pub const MultisigDepositFactor: Balance = storage_deposit(0, 32);
}

impl pallet_multisig::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type Currency = Balances;
    type DepositBase = MultisigDepositBase;
    type DepositFactor = MultisigDepositFactor;
    type MaxSignatories = ConstU32<100>;
    type WeightInfo = pallet_multisig::weights::SubstrateWeight<Runtime>;
    type BlockNumberProvider = System;
}

// Developers' networks alone have a key; without one the call filter lets no call through.
impl pallet_sudo::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type WeightInfo = pallet_sudo::weights::SubstrateWeight<Runtime>;
}
