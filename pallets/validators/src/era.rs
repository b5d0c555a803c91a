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
    /// Fewer eligible candidates than this, and the validators in office serve another era; at least 1.
    pub minimum_validators: u32,
    /// Sessions in an era, 1 to 10,000.
    pub sessions_per_era: SessionIndex,
    /// Eras for which a bond stays slashable after its owner stopped validating, at most 1,000.
    pub unbonding_eras: EraIndex,
    /// Least bond of a candidate, in the smallest unit.
    pub minimum_bond: Balance,
    /// Whole eras that pass between an offence's report and its slash, in which the slash can be cancelled: 0, which slashes
    /// at once, or less than the eras of unbonding.
    pub slash_defer_eras: EraIndex,
    /// Blocks that a validator must have been expected to author in a session before none at all counts as an absence; at
    /// least 1.
    pub minimum_expected_blocks: u32,
    /// Absent sessions one after another that cost a validator its seat, 1 to 1,000.
    pub absences_until_chill: u32,
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
            && (self.slash_defer_eras == 0 || self.slash_defer_eras < self.unbonding_eras)
            && self.minimum_expected_blocks > 0
            && (1..=1_000).contains(&self.absences_until_chill)
    }

    /// Sessions for which an offender may not stand for election: the unbonding period and an era.
    pub fn sentence_sessions(&self) -> SessionIndex {
        self.unbonding_eras.saturating_add(1).saturating_mul(self.sessions_per_era)
    }
}

impl Default for EraParameters {
    /// The live network's: 100 seats, eras of six sessions, 28 eras of unbonding. A slash waits for a week, so that whoever
    /// may cancel it can meet and decide, and is settled long before the bond could be free. A hundred validators author 24
    /// blocks each in a session; one that is there has none in ten once in 22,000 sessions, and never three times running.
    fn default() -> Self {
        Self {
            validators: 100,
            minimum_validators: 1,
            sessions_per_era: 6,
            unbonding_eras: 28,
            minimum_bond: 10_000 * CHR,
            slash_defer_eras: 7,
            minimum_expected_blocks: 10,
            absences_until_chill: 3,
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

/// The era in office, as those outside see it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct EraInfo {
    /// The era in office.
    pub active: Era,
    /// The era that is elected already but not in office, if there is one.
    pub next: Option<Era>,
    /// First session of the era after the one in office.
    pub ends_before: SessionIndex,
    /// Blocks authored in it so far.
    pub points: u32,
    /// What it would pay its validators if it ended now, in the smallest unit.
    pub accrued: Balance,
    /// What earlier eras' validators have not been paid yet, in the smallest unit.
    pub owed: Balance,
}
