//! The network that the chain is for: its nodes, their quality, their pay, the registry's anchor.

use crate::{
    AccountId, Anchor, Balances, BlockNumber, Hash, Qos, Rewards, Runtime, RuntimeHoldReason, Timestamp,
    economy::TreasuryAccount, governance::AdminOrigin,
};
use codec::Encode;
use frame_support::{
    PalletId, parameter_types,
    traits::{
        ConstU32, Imbalance, OnUnbalanced, Randomness,
        fungible::{Balanced, Credit},
    },
};
use pallet_babe::{ParentBlockRandomness, RandomnessFromOneEpochAgo};
use sp_runtime::Perbill;

parameter_types! {
    /// Names the accounts of escrows and reserve.
    pub const RewardsPalletId: PalletId = PalletId(*b"chr/rwrd");
}

/// QoS epochs that the chain remembers: within them roots are kept, nodes claim and snapshots can be read.
pub const EPOCH_RING: u32 = 64;

/// What committees are drawn with: the VRF output of the parent block, hashed with BABE's randomness of the epoch before.
///
/// BABE's epoch randomness alone is known to everybody for a whole session, in which many QoS epochs begin: whoever
/// registers a node could grind node ids until the committees of the coming epochs suit it. The parent's VRF output
/// becomes known one block before the draw, when registrations for it are over. Its author can bias it by not
/// publishing its block, one bit for the price of that block's fees; the epoch's randomness in the hash sees to it that
/// even an author cannot compute the outcome of its choice sessions ahead.
pub struct CommitteeRandomness;

impl Randomness<Hash, BlockNumber> for CommitteeRandomness {
    fn random(subject: &[u8]) -> (Hash, BlockNumber) {
        let (parent, known_since) = ParentBlockRandomness::<Runtime>::random(subject);
        let (epoch, _) = RandomnessFromOneEpochAgo::<Runtime>::random(subject);
        // The first block has no parent with an author.
        let seed = (parent.unwrap_or_default(), epoch).using_encoded(sp_io::hashing::blake2_256);
        (Hash::from(seed), known_since)
    }
}

/// Burns half of what a node's bond loses besides the reporter's part; the treasury gets the other half.
pub struct HalfToTreasury;

impl OnUnbalanced<Credit<AccountId, Balances>> for HalfToTreasury {
    fn on_nonzero_unbalanced(amount: Credit<AccountId, Balances>) {
        let half = Perbill::from_percent(50) * amount.peek();
        let (treasury, _burnt) = amount.split(half);
        // What the treasury's account cannot take is burnt too.
        let _ = <Balances as Balanced<AccountId>>::resolve(&TreasuryAccount::get(), treasury);
    }
}

impl pallet_chroom_nodes::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Epochs = Qos;
    type Slashed = HalfToTreasury;
    type OnRemoved = Rewards;
    type AdminOrigin = AdminOrigin;
    // Two hours: what an operator signs off-line has to reach the chain within.
    type KeyProofLifetime = ConstU32<1_200>;
    type MaxRegistries = ConstU32<300>;
    type EpochRing = ConstU32<EPOCH_RING>;
    type WeightInfo = pallet_chroom_nodes::weights::ChroomWeight<Runtime>;
}

impl pallet_chroom_qos::Config for Runtime {
    type Randomness = CommitteeRandomness;
    type Time = Timestamp;
    type Snapshots = Anchor;
    type OnEpoch = Rewards;
    type WeightInfo = pallet_chroom_qos::weights::ChroomWeight<Runtime>;
}

impl pallet_chroom_rewards::Config for Runtime {
    type PalletId = RewardsPalletId;
    type WeightInfo = pallet_chroom_rewards::weights::ChroomWeight<Runtime>;
}

impl pallet_chroom_anchor::Config for Runtime {
    type SnapshotRing = ConstU32<EPOCH_RING>;
    type WeightInfo = pallet_chroom_anchor::weights::ChroomWeight<Runtime>;
}
