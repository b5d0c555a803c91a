//! The pallet's economics.

use chroom_primitives::{Balance, CHR};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_runtime::Perbill;

/// The economics; set at genesis, changed by the admin origin. A change holds for the epochs that begin after it.
#[derive(
    Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(default)]
pub struct RewardParameters {
    /// Most that one epoch may emit from the reserve.
    pub epoch_cap: Balance,
    /// Share of the free reserve that one epoch may emit.
    pub epoch_rate: Perbill,
    /// Share of an epoch's emission that is for attestors.
    pub attestor_share: Perbill,
    /// Share of an epoch's emission that is for validators.
    pub validator_share: Perbill,
    /// Share of an epoch's emission that is for the treasury. Media nodes have what the three shares leave.
    pub treasury_share: Perbill,
    /// Share of usage fees that is burnt; more than 0.
    pub burn_share: Perbill,
    /// Share of usage fees that goes to the reserve.
    pub reserve_share: Perbill,
    /// Share of usage fees that goes to the owner of the orchestrator that granted the sessions. Nodes have what the three
    /// shares leave.
    pub orchestrator_share: Perbill,
    /// How far from the median an attestor's score may lie for its share, in hundredths of a point.
    pub tolerance: u16,
    /// Median uptime below which there is no subsidy, in parts per 10,000.
    pub minimum_uptime: u16,
    /// Epochs between the request for a withdrawal from an escrow and its execution, and again until the request lapses; at least 2,
    /// so that the claims for the usage before it come first.
    pub escrow_delay: u32,
}

impl RewardParameters {
    /// Whether the shares leave something over, something is burnt, and all else is in range.
    pub fn is_valid(&self) -> bool {
        at_most_all([self.attestor_share, self.validator_share, self.treasury_share])
            && at_most_all([self.burn_share, self.reserve_share, self.orchestrator_share])
            && !self.burn_share.is_zero()
            && self.tolerance <= 10_000
            && self.minimum_uptime <= 10_000
            && self.escrow_delay >= 2
    }
}

/// Whether the shares are not more than the whole.
fn at_most_all(shares: [Perbill; 3]) -> bool {
    let sum = shares.iter().fold(0u32, |sum, share| sum.saturating_add(share.deconstruct()));
    sum <= Perbill::one().deconstruct()
}

impl Default for RewardParameters {
    fn default() -> Self {
        Self {
            epoch_cap: 100 * CHR,
            epoch_rate: Perbill::from_parts(100_000),
            attestor_share: Perbill::from_percent(10),
            validator_share: Perbill::from_percent(20),
            treasury_share: Perbill::from_percent(5),
            burn_share: Perbill::from_percent(5),
            reserve_share: Perbill::from_percent(5),
            orchestrator_share: Perbill::from_percent(10),
            tolerance: 200,
            minimum_uptime: 9_000,
            escrow_delay: 4,
        }
    }
}

/// On what terms an epoch's claims are settled: the parameters that held when it began.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct ClaimTerms {
    /// Share of usage fees that is burnt.
    pub burn_share: Perbill,
    /// Share of usage fees that goes to the reserve.
    pub reserve_share: Perbill,
    /// Share of usage fees that goes to the owner of the orchestrator.
    pub orchestrator_share: Perbill,
    /// How far from the median an attestor's score may lie for its share, in hundredths of a point.
    pub tolerance: u16,
    /// Median uptime below which there is no subsidy, in parts per 10,000.
    pub minimum_uptime: u16,
}

impl From<&RewardParameters> for ClaimTerms {
    fn from(parameters: &RewardParameters) -> Self {
        Self {
            burn_share: parameters.burn_share,
            reserve_share: parameters.reserve_share,
            orchestrator_share: parameters.orchestrator_share,
            tolerance: parameters.tolerance,
            minimum_uptime: parameters.minimum_uptime,
        }
    }
}
