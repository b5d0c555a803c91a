//! The chain's rules of pay, as pure functions.
//!
//! What `chroom-primitives` has (the committee draw, the median, the pay factor, the weights of classes) is called there. This
//! module repeats only the arithmetic that lives in the pallets `rewards` and `nodes`, rounding as they do, so that it can be
//! pointed to them in one place.

use chroom_primitives::{Balance, CHR, Score};
use sp_arithmetic::{Perbill, Rounding, helpers_128bit::multiply_by_rational_with_rounding};

/// Bytes of one GiB.
pub const GIB: u64 = 1 << 30;

/// Media nodes that the `live` values are looked at with.
pub const LIVE_NODES: Balance = 10_000;

/// Everything that governance may set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// What the reserve holds at the beginning.
    pub reserve: Balance,
    /// Most that one epoch may emit from the reserve.
    pub epoch_cap: Balance,
    /// Share of the free reserve that one epoch may emit.
    pub epoch_rate: Perbill,
    /// Share of an epoch's emission that is for attestors.
    pub attestor_share: Perbill,
    /// Share of an epoch's emission that is for validators.
    pub validator_share: Perbill,
    /// Share of an epoch's emission that is for the treasury. Media nodes have the rest.
    pub treasury_share: Perbill,
    /// Share of usage fees that is burnt.
    pub burn_share: Perbill,
    /// Share of usage fees that goes to the reserve.
    pub reserve_share: Perbill,
    /// Share of usage fees that goes to the orchestrator. The operator has the rest.
    pub orchestrator_share: Perbill,
    /// How far from the median an attestor's score may lie for its share, in hundredths of a point.
    pub tolerance: u16,
    /// Median uptime below which there is no subsidy, in parts per 10,000.
    pub minimum_uptime: u16,
    /// Members of a committee.
    pub committee_size: u32,
    /// Epochs for which pools stay open; what was not earned is free again afterwards.
    pub epoch_ring: u32,
    /// Smallest bond of a media node for each unit of its class's weight.
    pub media_bond: Balance,
    /// Smallest bond of a registry node, which attests.
    pub registry_bond: Balance,
    /// Share of the bond that proven equivocation costs.
    pub equivocation_slash: Perbill,
    /// Share of a slash that goes to the reporter.
    pub reporter_share: Perbill,
    /// Share of a slash that goes to the treasury; the rest is burnt.
    pub slash_treasury_share: Perbill,
    /// Epochs for which an equivocator is out of service.
    pub jail_epochs: u32,
}

impl Parameters {
    /// The values of the `live` preset: epochs of an hour.
    pub fn live() -> Self {
        Self {
            reserve: 20_000_000 * CHR,
            epoch_cap: 2_000 * CHR,
            epoch_rate: Perbill::from_parts(100_000),
            attestor_share: Perbill::from_percent(10),
            validator_share: Perbill::from_percent(20),
            treasury_share: Perbill::from_percent(5),
            burn_share: Perbill::from_percent(5),
            reserve_share: Perbill::from_percent(5),
            orchestrator_share: Perbill::from_percent(10),
            tolerance: 200,
            minimum_uptime: 9_000,
            committee_size: 7,
            epoch_ring: 64,
            media_bond: 1_000 * CHR,
            registry_bond: 25_000 * CHR,
            equivocation_slash: Perbill::from_percent(10),
            reporter_share: Perbill::from_percent(20),
            slash_treasury_share: Perbill::from_percent(30),
            jail_epochs: 24,
        }
    }

    /// The same for a network of so many media nodes: reserve and cap in proportion, so that each node has what it would have
    /// among [`LIVE_NODES`].
    pub fn scaled(self, nodes: usize) -> Self {
        let scale = |amount: Balance| share(amount, nodes as Balance, LIVE_NODES);
        Self { reserve: scale(self.reserve), epoch_cap: scale(self.epoch_cap), ..self }
    }

    /// What an epoch emits when this much of the reserve is free.
    pub fn emission(&self, free: Balance) -> Emission {
        let all = self.epoch_rate.mul_floor(free).min(self.epoch_cap);
        let attestors = self.attestor_share.mul_floor(all);
        let validators = self.validator_share.mul_floor(all);
        let treasury = self.treasury_share.mul_floor(all);
        let media = all.saturating_sub(attestors).saturating_sub(validators).saturating_sub(treasury);
        Emission { media, attestors, validators, treasury }
    }

    /// How a usage fee is split.
    pub fn split_fee(&self, due: Balance) -> Fee {
        let burnt = self.burn_share.mul_floor(due);
        let reserve = self.reserve_share.mul_floor(due);
        let orchestrator = self.orchestrator_share.mul_floor(due);
        let operator = due.saturating_sub(burnt).saturating_sub(reserve).saturating_sub(orchestrator);
        Fee { burnt, reserve, orchestrator, operator }
    }

    /// A media node's subsidy: its share of the pool by weight, times the pay factor of its score, nothing below the minimum
    /// uptime.
    pub fn subsidy(&self, pool: Balance, weight: u32, total_weight: u64, score: Score, uptime: u64) -> Balance {
        if uptime < u64::from(self.minimum_uptime) {
            return 0;
        }
        let full = share(pool, weight.into(), total_weight.into());
        share(full, score.pay_factor().into(), 10_000)
    }

    /// What each member of a node's committee earns if it agrees with the median.
    pub fn attestor_reward(&self, pool: Balance, weight: u32, total_weight: u64, members: usize) -> Balance {
        share(pool, weight.into(), total_weight.into()) / (members.max(1) as Balance)
    }

    /// How a slash of this bond is split.
    pub fn slash(&self, bond: Balance) -> Slash {
        let taken = self.equivocation_slash.mul_floor(bond);
        let reporter = self.reporter_share.mul_floor(taken);
        let treasury = self.slash_treasury_share.mul_floor(taken);
        let burnt = taken.saturating_sub(reporter).saturating_sub(treasury);
        Slash { taken, burnt, reporter, treasury }
    }

    /// Whether a score is near enough to the median for its attestor to be paid.
    pub fn agrees(&self, score: Score, median: Score) -> bool {
        score.0.abs_diff(median.0) <= self.tolerance
    }
}

/// What an epoch emits, by whom it is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Emission {
    /// Media nodes' pool.
    pub media: Balance,
    /// Attestors' pool.
    pub attestors: Balance,
    /// Validators' part, paid at once.
    pub validators: Balance,
    /// The treasury's part, paid at once.
    pub treasury: Balance,
}

/// A usage fee, by where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fee {
    /// Burnt.
    pub burnt: Balance,
    /// To the reserve.
    pub reserve: Balance,
    /// To the orchestrator that granted the sessions.
    pub orchestrator: Balance,
    /// To the node's operator.
    pub operator: Balance,
}

impl Fee {
    /// All of it.
    pub fn total(&self) -> Balance {
        self.burnt + self.reserve + self.orchestrator + self.operator
    }

    /// Adds another fee.
    pub fn add(&mut self, other: &Self) {
        self.burnt += other.burnt;
        self.reserve += other.reserve;
        self.orchestrator += other.orchestrator;
        self.operator += other.operator;
    }
}

/// A slash, by where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slash {
    /// All of it.
    pub taken: Balance,
    /// Burnt.
    pub burnt: Balance,
    /// To who showed the evidence.
    pub reporter: Balance,
    /// To the treasury.
    pub treasury: Balance,
}

/// What these bytes cost.
pub fn fee_due(bytes: u64, price_per_gib: Balance) -> Balance {
    share(bytes.into(), price_per_gib, GIB.into())
}

/// a × b / c, rounded down; 0 where it has no value.
fn share(a: Balance, b: Balance, c: Balance) -> Balance {
    multiply_by_rational_with_rounding(a, b, c.max(1), Rounding::Down).unwrap_or_default()
}

/// The lower median of `values`, of which `committee` there should be: those that are absent count as 0.
pub fn lower_median(values: &mut [u64], committee: usize) -> u64 {
    values.sort_unstable();
    let absent = committee.saturating_sub(values.len());
    let middle = committee.saturating_sub(1) / 2;
    middle.checked_sub(absent).and_then(|index| values.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_in_a_split(amount in 0u128..1 << 90) {
            let live = Parameters::live();
            prop_assert_eq!(live.split_fee(amount).total(), amount);
            let Slash { taken, burnt, reporter, treasury } = live.slash(amount);
            prop_assert_eq!(burnt + reporter + treasury, taken);
            let Emission { media, attestors, validators, treasury } = live.emission(amount);
            let emitted = media + attestors + validators + treasury;
            prop_assert!(emitted <= live.epoch_cap && emitted <= amount);
        }

        #[test]
        fn shares_of_a_pool_never_exceed_it(weights in proptest::collection::vec(1u32..17, 1..50), pool in 0u128..1 << 90) {
            let live = Parameters::live();
            let total = weights.iter().map(|weight| u64::from(*weight)).sum();
            let paid: u128 = weights.iter().map(|weight| live.subsidy(pool, *weight, total, Score::MAX, 10_000)).sum();
            prop_assert!(paid <= pool);
            let paid: u128 = weights.iter().map(|weight| 7 * live.attestor_reward(pool, *weight, total, 7)).sum();
            prop_assert!(paid <= pool);
        }

        #[test]
        fn the_median_is_the_primitives(values in proptest::collection::vec(0u16..=10_000, 0..9), absent in 0usize..5) {
            let committee = values.len() + absent;
            let mut scores: Vec<Score> = values.iter().map(|value| Score(*value)).collect();
            let mut wide: Vec<u64> = values.iter().map(|value| u64::from(*value)).collect();
            prop_assert_eq!(u64::from(Score::committee_median(&mut scores, committee).0), lower_median(&mut wide, committee));
        }
    }

    #[test]
    fn quality_and_uptime_cut_the_subsidy() {
        let live = Parameters::live();
        let subsidy = |score, uptime| live.subsidy(1_000, 1, 10, Score(score), uptime);
        assert_eq!(subsidy(9_500, 9_000), 100);
        assert_eq!(subsidy(6_000, 9_000), 50);
        assert_eq!(subsidy(4_000, 9_000), 0);
        assert_eq!(subsidy(9_500, 8_999), 0);
    }

    #[test]
    fn an_equivocators_bond_is_split_as_decided() {
        let slash = Parameters::live().slash(25_000 * CHR);
        let expected = Slash { taken: 2_500 * CHR, burnt: 1_250 * CHR, reporter: 500 * CHR, treasury: 750 * CHR };
        assert_eq!(slash, expected);
    }

    #[test]
    fn a_smaller_network_gives_each_node_as_much() {
        let (live, small) = (Parameters::live(), Parameters::live().scaled(100));
        assert_eq!((small.epoch_cap, small.reserve), (live.epoch_cap / 100, live.reserve / 100));
        assert_eq!(small.media_bond, live.media_bond);
    }

    #[test]
    fn usage_costs_its_price() {
        assert_eq!(fee_due(GIB, 5), 5);
        assert_eq!(fee_due(GIB / 2, 5), 2);
        assert_eq!(fee_due(0, 5), 0);
    }
}
