//! What the transaction extensions weigh.
//!
//! What they compute is in [`super::EXTRINSIC`] already, which is measured with all of them, on a sender that is in the cache. These are the
//! accesses that it does not have, each once: the sender's account, which the nonce's check reads and the fee is then taken from, and the
//! hash of the block that a mortal transaction names. The block's weight so far lives in the block; the genesis hash and what
//! immortal transactions check are the same for all.

use super::DbWeight;
use frame_support::weights::Weight;

/// The extensions' weights.
pub struct Extensions;

impl frame_system::ExtensionsWeightInfo for Extensions {
    fn check_genesis() -> Weight {
        Weight::zero()
    }

    fn check_mortality_mortal_transaction() -> Weight {
        DbWeight::get().reads(1)
    }

    fn check_mortality_immortal_transaction() -> Weight {
        Weight::zero()
    }

    fn check_non_zero_sender() -> Weight {
        Weight::zero()
    }

    fn check_nonce() -> Weight {
        DbWeight::get().reads_writes(1, 1)
    }

    fn check_spec_version() -> Weight {
        Weight::zero()
    }

    fn check_tx_version() -> Weight {
        Weight::zero()
    }

    fn check_weight() -> Weight {
        Weight::zero()
    }

    fn weight_reclaim() -> Weight {
        Weight::zero()
    }
}

impl pallet_transaction_payment::WeightInfo for Extensions {
    fn charge_transaction_payment() -> Weight {
        Weight::zero()
    }
}
