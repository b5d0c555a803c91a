//! Fees and the treasury.

use crate::{
    AccountId, Authorship, Balance, Balances, Runtime, RuntimeEvent,
    parameters::{ByteFee, ExecutionFee},
};
use frame_support::{
    PalletId, parameter_types,
    traits::{
        ConstU8, OnUnbalanced,
        fungible::{Balanced, Credit},
    },
    weights::ConstantMultiplier,
};
use pallet_transaction_payment::{FungibleAdapter, Multiplier, TargetedFeeAdjustment};
use sp_runtime::{
    FixedPointNumber, Perquintill,
    traits::{AccountIdConversion, Bounded},
};

parameter_types! {
    /// The treasury: it takes its shares of slashes and fees, and only the chain's governance spends from it.
    pub TreasuryAccount: AccountId = PalletId(*b"chr/trsy").into_account_truncating();
    /// Fees rise while blocks are fuller than this, and fall while they are emptier.
    pub const TargetBlockFullness: Perquintill = Perquintill::from_percent(25);
    /// Speed of the fees' movement: about 30 % in a day of full blocks at most.
    pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(75, 1_000_000);
    /// A tenth of the base fee at least, so that a raised fee finds its way back in hours, not in days.
    pub MinimumMultiplier: Multiplier = Multiplier::saturating_from_rational(1, 10);
    /// No upper end.
    pub MaximumMultiplier: Multiplier = Bounded::max_value();
}

/// Gives fees and tips to the author of the block; the treasury takes them when there is none.
pub struct ToAuthor;

impl OnUnbalanced<Credit<AccountId, Balances>> for ToAuthor {
    fn on_nonzero_unbalanced(amount: Credit<AccountId, Balances>) {
        let to = Authorship::author().unwrap_or_else(TreasuryAccount::get);
        // An account that cannot take them leaves them to be burnt.
        let _ = <Balances as Balanced<AccountId>>::resolve(&to, amount);
    }
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, ToAuthor>;
    type WeightToFee = ExecutionFee;
    type LengthToFee = ConstantMultiplier<Balance, ByteFee>;
    type FeeMultiplierUpdate =
        TargetedFeeAdjustment<Runtime, TargetBlockFullness, AdjustmentVariable, MinimumMultiplier, MaximumMultiplier>;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}
