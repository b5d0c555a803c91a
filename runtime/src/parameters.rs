//! Constants of the chain that the council may set while it runs: what a transaction costs.
//!
//! The pallets' own parameters (bonds, lengths, shares) are in their storage and checked there. Here is what belongs to no
//! pallet of ours and follows the token's price. A value outside of its range counts as the range's end, since fees that
//! nobody could pay would end governance too.

// The macros write public items that they give no documentation, and statics named as types.
#![allow(missing_docs, non_upper_case_globals)]

use crate::{Balance, Runtime, RuntimeEvent, governance::AdminOrigin};
use frame_support::{
    dynamic_params::{dynamic_pallet_params, dynamic_params},
    traits::{AsEnsureOriginWithArg, Get},
    weights::{Weight, WeightToFee},
};

/// Fee of a byte, in the smallest unit, unless the council set another one: one CHR per megabyte.
pub const BYTE_FEE: Balance = 1_000_000;
/// Fee of a microsecond of execution, in the smallest unit, unless the council set another one: one CHR per second.
pub const MICROSECOND_FEE: Balance = 1_000_000;
/// A fee may be raised to so many times its first value, and lowered to the same part of it.
pub const FEE_RANGE: Balance = 100;

/// Picoseconds of a microsecond: weights count picoseconds.
const PICOS: Balance = 1_000_000;

#[dynamic_params(RuntimeParameters, pallet_parameters::Parameters::<Runtime>)]
pub mod dynamic_params {
    use super::*;

    /// What a transaction costs.
    #[dynamic_pallet_params]
    #[codec(index = 0)]
    pub mod fees {
        /// Fee of a byte of a transaction, in the smallest unit.
        #[codec(index = 0)]
        pub static ByteFee: Balance = BYTE_FEE;

        /// Fee of a microsecond of execution, in the smallest unit.
        #[codec(index = 1)]
        pub static MicrosecondFee: Balance = MICROSECOND_FEE;
    }
}

pub use dynamic_params::fees;

/// A parameter to measure with.
#[cfg(feature = "runtime-benchmarks")]
impl Default for RuntimeParameters {
    fn default() -> Self {
        Self::Fees(fees::Parameters::ByteFee(fees::ByteFee, Some(BYTE_FEE)))
    }
}

/// A fee within its range around `default`.
fn in_range(fee: Balance, default: Balance) -> Balance {
    fee.clamp(default / FEE_RANGE, default * FEE_RANGE)
}

/// The fee of a byte.
pub struct ByteFee;

impl Get<Balance> for ByteFee {
    fn get() -> Balance {
        in_range(fees::ByteFee::get(), BYTE_FEE)
    }
}

/// The fee of execution.
pub struct ExecutionFee;

impl WeightToFee for ExecutionFee {
    type Balance = Balance;

    fn weight_to_fee(weight: &Weight) -> Balance {
        let fee = in_range(fees::MicrosecondFee::get(), MICROSECOND_FEE);
        Balance::from(weight.ref_time()).saturating_mul(fee) / PICOS
    }
}

impl pallet_parameters::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeParameters = RuntimeParameters;
    type AdminOrigin = AsEnsureOriginWithArg<AdminOrigin>;
    type WeightInfo = ();
}
