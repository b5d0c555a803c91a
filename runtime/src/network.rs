//! The network that the chain is for: its nodes, their quality, their pay, their pools, the registry's anchor.

use crate::{
    AccountId, Anchor, Balance, Balances, BlockNumber, Hash, Pools, Qos, Rewards, Runtime, RuntimeHoldReason,
    Timestamp, Validators, economy::TreasuryAccount, governance::AdminOrigin,
};
use chroom_primitives::{CHR, NodeId};
use codec::Encode;
use frame_support::{
    PalletId, parameter_types,
    traits::{ConstU32, ConstU128, Get, Randomness},
    weights::Weight,
};
use pallet_babe::{ParentBlockRandomness, RandomnessFromOneEpochAgo};
use pallet_chroom_pools::{SlashShares, WeightInfo, rules::MAX_BENEFICIARIES};
use pallet_chroom_rewards::PoolWeights;

parameter_types! {
    /// Names the accounts of escrows, reserve and pot.
    pub const RewardsPalletId: PalletId = PalletId(*b"chr/rwrd");
    /// Names the account of what is delegated to nodes.
    pub const PoolsPalletId: PalletId = PalletId(*b"chr/pool");
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

/// The pot that validators are paid from.
pub struct ValidatorPot;

impl Get<AccountId> for ValidatorPot {
    fn get() -> AccountId {
        Validators::pot_account()
    }
}

/// Splits slashes of what is delegated as those of bonds are split.
pub struct SlashSharesOfBonds;

impl Get<SlashShares> for SlashSharesOfBonds {
    fn get() -> SlashShares {
        let parameters = pallet_chroom_nodes::Parameters::<Runtime>::get();
        SlashShares { reporter: parameters.reporter_share, treasury: parameters.treasury_share }
    }
}

impl pallet_chroom_nodes::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Epochs = Qos;
    type Time = Timestamp;
    type Treasury = TreasuryAccount;
    type OnSlashed = Pools;
    type OnRemoved = (Rewards, Pools);
    type AdminOrigin = AdminOrigin;
    // Two hours: what an operator signs off-line has to reach the chain within.
    type KeyProofLifetime = ConstU32<1_200>;
    type MaxRegistries = ConstU32<4_096>;
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

/// What it weighs to split a node's pay by the rules of its pool.
pub struct PayWeights;

impl PoolWeights for PayWeights {
    fn most() -> Weight {
        <Runtime as pallet_chroom_pools::Config>::WeightInfo::pay(MAX_BENEFICIARIES)
    }

    fn of(node: &NodeId) -> Weight {
        if Pools::pool_of(*node).is_none() {
            return Weight::zero();
        }
        <Runtime as pallet_chroom_pools::Config>::WeightInfo::pay(Pools::rules(*node).beneficiaries.len() as u32)
    }
}

impl pallet_chroom_rewards::Config for Runtime {
    type PalletId = RewardsPalletId;
    type Pools = Pools;
    type PoolWeights = PayWeights;
    type ValidatorPot = ValidatorPot;
    type Treasury = TreasuryAccount;
    type WeightInfo = pallet_chroom_rewards::weights::ChroomWeight<Runtime>;
}

/// Smallest delegation to a node.
const MIN_DELEGATION: Balance = 10 * CHR;

impl pallet_chroom_pools::Config for Runtime {
    type PalletId = PoolsPalletId;
    // Seven days.
    type NoticePeriod = ConstU32<{ 7 * 14_400 }>;
    type MinDelegation = ConstU128<MIN_DELEGATION>;
    type Treasury = TreasuryAccount;
    type SlashShares = SlashSharesOfBonds;
    type WeightInfo = pallet_chroom_pools::weights::ChroomWeight<Runtime>;
}

impl pallet_chroom_anchor::Config for Runtime {
    type SnapshotRing = ConstU32<EPOCH_RING>;
    type WeightInfo = pallet_chroom_anchor::weights::ChroomWeight<Runtime>;
}
