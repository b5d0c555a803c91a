//! Fees and the treasury.

use crate::{
    AccountId, Authorship, Balance, Balances, Runtime, RuntimeEvent, Validators,
    parameters::{ByteFee, ExecutionFee},
};
use frame_support::{
    PalletId, parameter_types,
    traits::{
        ConstU8, Imbalance, OnUnbalanced,
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

/// Parts of a transaction's fee, in hundredths: the validators' pot, the treasury.
pub const FEE_SHARES: (u32, u32) = (80, 20);

/// Shares each fee between the pot that validators are paid from and the treasury, and gives tips to the block's author: a
/// fee is for all who keep the chain going, a tip for who takes the transaction in.
pub struct FeesAndTips;

impl FeesAndTips {
    /// Gives to `to`, or to the pot if that cannot take it (an author whose account is gone, a treasury without the existential
    /// deposit). The pot always can.
    fn give(to: Option<AccountId>, amount: Credit<AccountId, Balances>) {
        let pot = Validators::pot_account();
        let rest = match to {
            Some(to) => <Balances as Balanced<AccountId>>::resolve(&to, amount),
            None => Err(amount),
        };
        if let Err(amount) = rest {
            let _ = <Balances as Balanced<AccountId>>::resolve(&pot, amount);
        }
    }
}

impl OnUnbalanced<Credit<AccountId, Balances>> for FeesAndTips {
    fn on_unbalanceds(mut fee_then_tip: impl Iterator<Item = Credit<AccountId, Balances>>) {
        if let Some(fee) = fee_then_tip.next() {
            Self::on_unbalanced(fee);
        }
        if let Some(tip) = fee_then_tip.next() {
            Self::give(Authorship::author(), tip);
        }
    }

    fn on_nonzero_unbalanced(fee: Credit<AccountId, Balances>) {
        let (to_pot, to_treasury) = fee.ration(FEE_SHARES.0, FEE_SHARES.1);
        Self::give(None, to_pot);
        Self::give(Some(TreasuryAccount::get()), to_treasury);
    }
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, FeesAndTips>;
    type WeightToFee = ExecutionFee;
    type LengthToFee = ConstantMultiplier<Balance, ByteFee>;
    type FeeMultiplierUpdate =
        TargetedFeeAdjustment<Runtime, TargetBlockFullness, AdjustmentVariable, MinimumMultiplier, MaximumMultiplier>;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightInfo = crate::weights::Extensions;
}
