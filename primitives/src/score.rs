//! The quality score of a node.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// Quality in hundredths of a point: 0 (unusable) to 10,000 (100 points: nobody could hear or see a fault).
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Score(pub u16);

impl Score {
    /// The best score.
    pub const MAX: Score = Score(10_000);
    /// From here on a node gets its full subsidy (80 points).
    pub const FULL_PAY: Score = Score(8_000);
    /// Up to here a node gets none (40 points).
    pub const NO_PAY: Score = Score(4_000);

    /// A score that is within the range: what lies above is cut.
    pub const fn clamped(value: u16) -> Self {
        if value > Self::MAX.0 { Self::MAX } else { Self(value) }
    }

    /// Share of the subsidy that this score earns, in parts per 10,000: 1 from 80 points on, linear down to 0 at 40.
    pub const fn pay_factor(self) -> u16 {
        if self.0 >= Self::FULL_PAY.0 {
            10_000
        } else if self.0 <= Self::NO_PAY.0 {
            0
        } else {
            (((self.0 - Self::NO_PAY.0) as u32 * 10_000) / (Self::FULL_PAY.0 - Self::NO_PAY.0) as u32) as u16
        }
    }

    /// The highest score of a node that offered only a part of what its class commits it to, in parts per 10,000: full pay for the whole
    /// class, and none for two thirds of it or less, linear between. Who has less machine than it registered shall not be paid for the rest
    /// by the epochs in which nobody tried it.
    pub const fn of_part(offered: u16) -> Self {
        if offered >= 10_000 {
            return Self::MAX;
        }
        let slope = 3 * (Self::FULL_PAY.0 - Self::NO_PAY.0) as u32;
        let lost = (10_000 - offered) as u32 * slope / 10_000;
        Self((Self::FULL_PAY.0 as u32).saturating_sub(lost) as u16)
    }

    /// The lower median of a committee's scores, in which the absent members count as 0.
    ///
    /// `present` are the scores of those members whose proof was shown, `committee` is the number of members.
    pub fn committee_median(present: &mut [Score], committee: usize) -> Score {
        if committee == 0 {
            return Score(0);
        }
        present.sort_unstable();
        let absent = committee.saturating_sub(present.len());
        let middle = (committee - 1) / 2;
        match middle.checked_sub(absent) {
            Some(index) => present.get(index).copied().unwrap_or_default(),
            None => Score(0),
        }
    }
}

/// What an observer measured of one stream direction in one interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Encode, Decode, TypeInfo)]
pub struct Observation {
    /// Packets lost after repair, in parts per 10,000.
    pub loss: u16,
    /// Round-trip time in milliseconds.
    pub rtt_ms: u32,
    /// Interarrival jitter in milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: u32,
    /// Bit rate that was delivered, in kb/s.
    pub delivered_kbps: u32,
    /// Bit rate that was wanted, in kb/s; 0 if unknown.
    pub wanted_kbps: u32,
}

/// Scores one observation: a simplified E-model (ITU-T G.107) in integers, scaled to 100 points, times the share of the
/// wanted bit rate that arrived.
///
/// One-way delay `d` = RTT/2 + 2 × jitter + 20 ms of packetisation and play-out. `Id` = 0.024·d + 0.11·(d − 177.3) above 177.3 ms (Cole and
/// Rosenbluth, "Voice over IP performance monitoring", 2001); `Ie,eff` = 95·P/(P + Bpl) with Ie = 0 and Bpl = 10 (Opus with
/// concealment; G.107 §7.5, random loss); R = 93.2 − Id − Ie,eff, 93.2 being 100 points.
pub fn score(observation: &Observation) -> Score {
    // All terms in thousandths of an R point.
    let delay = u64::from(observation.rtt_ms.min(10_000)) / 2 + 2 * u64::from(observation.jitter_ms.min(5_000)) + 20;
    let late = (delay * 10).saturating_sub(1_773);
    let id = 24 * delay + 11 * late;
    let loss = u64::from(observation.loss.min(10_000));
    let ie = 95_000 * loss / (loss + 1_000);
    let r = 93_200u64.saturating_sub(id).saturating_sub(ie);
    let points = r * 10_000 / 93_200;
    let share = if observation.wanted_kbps == 0 {
        10_000
    } else {
        (u64::from(observation.delivered_kbps) * 10_000 / u64::from(observation.wanted_kbps)).min(10_000)
    };
    Score::clamped((points * share / 10_000) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn perfect_conditions_score_near_the_top() {
        assert!(score(&Observation::default()).0 > 9_900);
    }

    #[test]
    fn ten_percent_loss_is_clearly_worse_than_one() {
        let one = score(&Observation { loss: 100, rtt_ms: 20, ..Default::default() });
        let ten = score(&Observation { loss: 1_000, rtt_ms: 20, ..Default::default() });
        assert!(one.0 > 8_000 && ten.0 < 5_500, "{one:?} {ten:?}");
    }

    #[test]
    fn half_the_wanted_bit_rate_halves_the_score() {
        let full = score(&Observation { delivered_kbps: 1_000, wanted_kbps: 1_000, ..Default::default() });
        let half = score(&Observation { delivered_kbps: 500, wanted_kbps: 1_000, ..Default::default() });
        assert!(half.0.abs_diff(full.0 / 2) <= 1);
    }

    #[test]
    fn absent_members_count_as_zero_in_the_median() {
        let s = |v: &[u16]| v.iter().map(|x| Score(*x)).collect::<alloc::vec::Vec<_>>();
        assert_eq!(Score::committee_median(&mut s(&[90, 80, 70]), 3), Score(80));
        assert_eq!(Score::committee_median(&mut s(&[90, 80]), 3), Score(80));
        assert_eq!(Score::committee_median(&mut s(&[90]), 3), Score(0));
        assert_eq!(Score::committee_median(&mut s(&[]), 3), Score(0));
        assert_eq!(Score::committee_median(&mut s(&[50]), 1), Score(50));
        assert_eq!(Score::committee_median(&mut s(&[]), 0), Score(0));
    }

    fn observation() -> impl Strategy<Value = Observation> {
        (any::<u16>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
            |(loss, rtt_ms, jitter_ms, delivered_kbps, wanted_kbps)| Observation {
                loss,
                rtt_ms: rtt_ms % 20_000,
                jitter_ms: jitter_ms % 10_000,
                delivered_kbps,
                wanted_kbps,
            },
        )
    }

    proptest! {
        #[test]
        fn worse_conditions_never_score_better(o in observation(), more in 1u16..2_000) {
            let base = score(&o);
            prop_assert!(base <= Score::MAX);
            let worse = Observation { loss: o.loss.saturating_add(more), ..o };
            prop_assert!(score(&worse) <= base);
            let worse = Observation { rtt_ms: o.rtt_ms + u32::from(more), ..o };
            prop_assert!(score(&worse) <= base);
            let worse = Observation { jitter_ms: o.jitter_ms + u32::from(more), ..o };
            prop_assert!(score(&worse) <= base);
            let fewer = o.delivered_kbps.saturating_sub(u32::from(more));
            let worse = Observation { delivered_kbps: fewer, ..o };
            prop_assert!(score(&worse) <= base);
        }

        #[test]
        fn no_observation_panics(loss: u16, rtt_ms: u32, jitter_ms: u32, delivered_kbps: u32, wanted_kbps: u32) {
            let seen = Observation { loss, rtt_ms, jitter_ms, delivered_kbps, wanted_kbps };
            prop_assert!(score(&seen) <= Score::MAX);
        }

        #[test]
        fn showing_fewer_scores_never_raises_the_median(all in proptest::collection::vec(0u16..=10_000, 1..10), keep: u16) {
            let mut full: alloc::vec::Vec<Score> = all.iter().map(|value| Score(*value)).collect();
            let median = Score::committee_median(&mut full, all.len());
            let mut shown: alloc::vec::Vec<Score> = all
                .iter()
                .enumerate()
                .filter(|(place, _)| keep >> place & 1 == 1)
                .map(|(_, value)| Score(*value))
                .collect();
            prop_assert!(Score::committee_median(&mut shown, all.len()) <= median);
        }

        #[test]
        fn a_minority_of_absent_or_lying_members_leaves_the_median_among_the_honest(
            honest in proptest::collection::vec(0u16..=10_000, 4..8),
            lies in proptest::collection::vec(0u16..=10_000, 0..3),
        ) {
            let mut shown: alloc::vec::Vec<Score> = honest.iter().chain(&lies).map(|value| Score(*value)).collect();
            let median = Score::committee_median(&mut shown, honest.len() + lies.len());
            let (least, most) = (honest.iter().min().unwrap(), honest.iter().max().unwrap());
            prop_assert!((*least..=*most).contains(&median.0));
        }
    }

    #[test]
    fn a_part_of_a_class_is_paid_down_to_two_thirds() {
        let pay = |part| Score::of_part(part).pay_factor();
        assert_eq!((Score::of_part(10_000), pay(9_999)), (Score::MAX, 9_997));
        assert_eq!([pay(9_000), pay(8_000), pay(6_667), pay(6_666), pay(0)], [7_000, 4_000, 2, 0, 0]);
    }

    #[test]
    fn pay_factor_is_linear_between_its_ends() {
        assert_eq!(Score(4_000).pay_factor(), 0);
        assert_eq!(Score(6_000).pay_factor(), 5_000);
        assert_eq!(Score(8_000).pay_factor(), 10_000);
        assert_eq!(Score(10_000).pay_factor(), 10_000);
    }
}
