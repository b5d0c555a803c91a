//! Eras: how long an elected set of validators serves, and by which rules the next one is elected.

use chroom_primitives::{Balance, CHR};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};
use sp_staking::{EraIndex, SessionIndex};

/// The rules of elections. Kept in storage, so that one runtime serves test networks and the live one.
#[derive(
    Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EraParameters {
    /// Seats: at most this many validators are elected, 1 to 1,000.
    pub validators: u32,
    /// Fewer eligible candidates than this, and the validators in office stay; at least 1.
    pub minimum_validators: u32,
    /// Sessions in an era, at least 1.
    pub sessions_per_era: SessionIndex,
    /// Eras for which a bond stays slashable after its owner stopped validating.
    pub unbonding_eras: EraIndex,
    /// Least bond of a candidate, in the smallest unit.
    pub minimum_bond: Balance,
}

impl EraParameters {
    /// Most seats that may be set: the bound of BABE's and GRANDPA's authority lists.
    pub const MAX_VALIDATORS: u32 = 1_000;

    /// Whether elections can be held by these rules.
    pub fn is_sound(&self) -> bool {
        (1..=Self::MAX_VALIDATORS).contains(&self.validators)
            && (1..=self.validators).contains(&self.minimum_validators)
            && (1..=10_000).contains(&self.sessions_per_era)
            && self.unbonding_eras <= 1_000
            && self.minimum_bond > 0
    }
}

impl Default for EraParameters {
    /// The live network's: 100 seats, eras of six sessions, 28 eras of unbonding.
    fn default() -> Self {
        Self {
            validators: 100,
            minimum_validators: 1,
            sessions_per_era: 6,
            unbonding_eras: 28,
            minimum_bond: 10_000 * CHR,
        }
    }
}

/// An era and the session that it began with or is to begin with.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Era {
    /// Number of the era.
    pub index: EraIndex,
    /// Its first session.
    pub first_session: SessionIndex,
}
