//! Clocks: how far they are apart, and whose is off.

use super::finding::{Check, Finding};
use chroom_primitives::UnixMs;
use chroom_rpc::receipt::MAX_AHEAD_MS;

/// Offset from which on things break, in milliseconds: receipts and session reports that end so far in the future are refused, and so are
/// access tokens (docs/orchestrator.md, docs/registry.md). Load reports bear 30 s.
const BROKEN_MS: u64 = MAX_AHEAD_MS;
/// Offset that a machine with NTP never has, in milliseconds.
const SLOPPY_MS: u64 = 1_000;
/// A Date header tells whole seconds (RFC 9110 §5.6.7).
const SECOND_MS: u64 = 1_000;

/// How far a clock is ahead of this machine's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// Whose clock.
    pub whose: String,
    /// Milliseconds that it is ahead; negative: behind.
    pub ahead_ms: i64,
    /// How far that may be wrong, in milliseconds.
    pub within_ms: u64,
}

impl Reading {
    /// From an answer that tells the time; asked and answered by this machine's clock.
    pub fn of_time(whose: &str, told: UnixMs, asked: UnixMs, answered: UnixMs) -> Self {
        let took = answered.saturating_sub(asked);
        Self::of_range(whose, (told, told), (asked, asked.saturating_add(took)))
    }

    /// From an answer's Date header.
    pub fn of_date(whose: &str, date: UnixMs, asked: UnixMs, answered: UnixMs) -> Self {
        Self::of_range(whose, (date, date.saturating_add(SECOND_MS)), (asked, answered.max(asked)))
    }

    /// The clock showed something within `told` at a moment within `here`.
    fn of_range(whose: &str, told: (UnixMs, UnixMs), here: (UnixMs, UnixMs)) -> Self {
        let middle = |(from, to): (UnixMs, UnixMs)| i64::try_from(from / 2 + to / 2).unwrap_or(i64::MAX);
        let half = |(from, to): (UnixMs, UnixMs)| to.saturating_sub(from).div_ceil(2);
        Self {
            whose: whose.to_owned(),
            ahead_ms: middle(told).saturating_sub(middle(here)),
            within_ms: half(told).saturating_add(half(here)).saturating_add(1),
        }
    }
}

/// Judges clocks against each other: the median of all, this machine's among them, is taken for right. Two clocks alone can only be told to
/// differ.
pub fn judge(readings: &[Reading]) -> Vec<Finding> {
    let here = Reading { whose: "this machine".into(), ahead_ms: 0, within_ms: 0 };
    let mut offsets: Vec<i64> = readings.iter().chain([&here]).map(|reading| reading.ahead_ms).collect();
    offsets.sort_unstable();
    let alone = readings.len() < 2;
    // Of an even number the middle two may be far apart: then nobody knows, and this machine's clock is the measure.
    let right = if alone || offsets.len().is_multiple_of(2) && spread(&offsets) > SLOPPY_MS {
        0
    } else {
        offsets.get(offsets.len() / 2).copied().unwrap_or_default()
    };
    let own = (right.unsigned_abs() > SLOPPY_MS).then_some(&here);
    readings.iter().chain(own).map(|reading| one(reading, right, alone)).collect()
}

/// How far the middle two are apart.
fn spread(sorted: &[i64]) -> u64 {
    let middle = sorted.len() / 2;
    match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
        (Some(a), Some(b)) => a.abs_diff(*b),
        _ => 0,
    }
}

fn one(reading: &Reading, right: i64, alone: bool) -> Finding {
    let offset = reading.ahead_ms.saturating_sub(right);
    let surely = offset.unsigned_abs().saturating_sub(reading.within_ms);
    let way = if offset < 0 { "behind" } else { "ahead of" };
    let of = match (right, alone) {
        (0, _) => "this machine's clock",
        _ => "most clocks",
    };
    let found = format!(
        "{}.{:03} s {way} {of}, ± {} ms",
        offset.unsigned_abs() / 1_000,
        offset.unsigned_abs() % 1_000,
        reading.within_ms
    );
    let which = if alone { "one of the two machines" } else { reading.whose.as_str() };
    let advice = format!("set the clock of {which} by NTP (timedatectl set-ntp true, or chrony)");
    if surely > BROKEN_MS {
        let found = format!("{found}: beyond {} s receipts, reports and tokens are refused", BROKEN_MS / 1_000);
        Finding::fail(Check::Clock, &reading.whose, found, advice)
    } else if surely > SLOPPY_MS {
        Finding::warn(Check::Clock, &reading.whose, found, advice)
    } else {
        Finding::ok(Check::Clock, &reading.whose, found)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};
    use proptest::prelude::*;

    fn reading(whose: &str, ahead_ms: i64) -> Reading {
        Reading { whose: whose.into(), ahead_ms, within_ms: 20 }
    }

    fn verdicts(readings: &[Reading]) -> Vec<(String, Verdict)> {
        judge(readings).into_iter().map(|finding| (finding.target, finding.verdict)).collect()
    }

    #[test]
    fn an_offset_is_only_blamed_as_far_as_it_is_certain() {
        let asked = 1_700_000_000_000;
        let told = Reading::of_time("n", asked + 5_050, asked, asked + 100);
        assert_eq!((told.ahead_ms, told.within_ms), (5_000, 51));
        // The header shows 0 to 999 ms less than the time.
        let date = Reading::of_date("n", asked, asked + 400, asked + 600);
        assert_eq!((date.ahead_ms, date.within_ms), (0, 601));
        for (ahead, expected) in [
            (0, Verdict::Ok),
            (1_020, Verdict::Ok),
            (-1_021, Verdict::Warn),
            (5_020, Verdict::Warn),
            (-5_021, Verdict::Fail),
        ] {
            assert_eq!(verdicts(&[reading("n", ahead)]), [("n".to_owned(), expected)], "{ahead}");
        }
    }

    #[test]
    fn with_three_clocks_the_one_that_differs_is_named() {
        let of = |own: i64, other: i64| verdicts(&[reading("node", own), reading("registry", other)]);
        assert_eq!(of(60_000, 3), [("node".into(), Verdict::Fail), ("registry".into(), Verdict::Ok)]);
        assert_eq!(
            of(60_000, 60_004),
            [("node".into(), Verdict::Ok), ("registry".into(), Verdict::Ok), ("this machine".into(), Verdict::Fail)]
        );
    }

    proptest! {
        #[test]
        fn no_times_make_it_panic(told: u64, asked: u64, answered: u64, ahead: i64, other: i64) {
            let one = Reading::of_time("a", told, asked, answered);
            let two = Reading::of_date("b", told, asked, answered);
            let three = Reading { whose: "c".into(), ahead_ms: ahead, within_ms: asked };
            let four = Reading { whose: "d".into(), ahead_ms: other, within_ms: 0 };
            for count in 0..4 {
                judge(&[one.clone(), two.clone(), three.clone(), four.clone()][..count]);
            }
        }
    }
}
