//! What a timeline says.

use super::{
    TOP,
    condition::{Condition, RATES},
};
use crate::{
    client::watch::{SLOT, Timeline},
    generator::Observed,
    path::Traffic,
};
use std::{ops::Range, time::Duration};

/// The top layer counts as reached when for so long nothing else is shown,
const STEADY: Duration = Duration::from_secs(1);
/// and half of its pictures at least.
const STEADY_PICTURES: usize = 15;

/// What the one behind the line saw.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Figures {
    /// From the first media on until the top layer stays, in seconds; `None`: not in the first phase.
    pub converged_s: Option<f64>,
    /// Share of the line's rate that arrived, while it is settled in the first phase.
    pub utilisation: f64,
    /// Share of it that brought media, first or resent.
    pub media: f64,
    /// The longest time without a new picture in each phase, from the beginning of the phase on, in seconds; in the first only once it is settled.
    pub gaps_s: [f64; 3],
    /// Pictures shown per second in each phase, the first once it is settled.
    pub fps: [f64; 3],
    /// Share of the top layer among them.
    pub top: [f64; 3],
    /// Kilobits a second that arrived in each phase, the first once it is settled.
    pub kbps: [f64; 3],
    /// From the step up on until the top layer stays, in seconds; `None`: not at all.
    pub recovered_s: Option<f64>,
    /// Key frames that it asked for.
    pub asked: u32,
    /// Packets that it asked for in vain.
    pub given_up: u64,
    /// What the line did.
    pub traffic: Traffic,
}

/// What the other receiver saw at the same time.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct Other {
    /// Pictures shown per second, from the end of the settling on.
    pub fps: f64,
    /// Share of the top layer.
    pub top: f64,
    /// The longest time without a new picture, in seconds.
    pub gap_s: f64,
    /// Key frames that it asked for.
    pub asked: u32,
}

impl Figures {
    /// Out of what was noted.
    pub fn new(condition: &Condition, observed: &Observed) -> Self {
        let timeline = &observed.timeline;
        let phases = [condition.settled(), condition.phase(1), condition.phase(2)];
        let [settled, _, last] = &phases;
        let first = timeline.first_media.unwrap_or_default();
        let [rate, ..] = RATES.map(f64::from);
        let converged = steady(timeline, &(first..condition.phase(0).end));
        let all = |range: &Range<Duration>| kbps(timeline, range, |slot| slot.all());
        Self {
            converged_s: converged.map(|at| at.saturating_sub(first).as_secs_f64()),
            utilisation: all(settled) / rate,
            media: kbps(timeline, settled, |slot| slot.media + slot.repair) / rate,
            gaps_s: phases.clone().map(|range| gap(timeline, &range).as_secs_f64()),
            fps: phases.clone().map(|range| fps(timeline, &range)),
            top: phases.clone().map(|range| top(timeline, &range)),
            kbps: phases.clone().map(|range| all(&range)),
            recovered_s: steady(timeline, last).map(|at| at.saturating_sub(last.start).as_secs_f64()),
            asked: timeline.asked,
            given_up: timeline.given_up,
            traffic: observed.traffic.unwrap_or_default(),
        }
    }
}

impl Other {
    /// Out of what was noted.
    pub fn new(condition: &Condition, timeline: &Timeline) -> Self {
        let range = condition.settled().start..condition.length();
        Self {
            fps: fps(timeline, &range),
            top: top(timeline, &range),
            gap_s: gap(timeline, &range).as_secs_f64(),
            asked: timeline.asked,
        }
    }
}

fn shown<'a>(timeline: &'a Timeline, range: &'a Range<Duration>) -> impl Iterator<Item = (Duration, u8)> + Clone + 'a {
    timeline.shown.iter().copied().filter(|(at, _)| range.contains(at))
}

fn kbps(timeline: &Timeline, range: &Range<Duration>, bytes: impl Fn(&crate::client::watch::Slot) -> u64) -> f64 {
    let slot = |at: Duration| (at.as_millis() / SLOT.as_millis()) as usize;
    let (from, to) = (slot(range.start), slot(range.end));
    let sum: u64 = timeline.slots.iter().take(to).skip(from).map(bytes).sum();
    sum as f64 * 8e-3 / (range.end - range.start).as_secs_f64()
}

fn fps(timeline: &Timeline, range: &Range<Duration>) -> f64 {
    shown(timeline, range).count() as f64 / (range.end - range.start).as_secs_f64()
}

fn top(timeline: &Timeline, range: &Range<Duration>) -> f64 {
    let all = shown(timeline, range);
    let count = all.clone().count().max(1);
    all.filter(|(_, layer)| *layer == TOP).count() as f64 / count as f64
}

/// The longest time without a new picture in a range, its ends included.
fn gap(timeline: &Timeline, range: &Range<Duration>) -> Duration {
    let (mut last, mut longest) = (range.start, Duration::ZERO);
    for at in shown(timeline, range).map(|(at, _)| at).chain([range.end]) {
        longest = longest.max(at.saturating_sub(last));
        last = at;
    }
    longest
}

/// When the top layer is first shown in a range to stay.
fn steady(timeline: &Timeline, range: &Range<Duration>) -> Option<Duration> {
    let tops = shown(timeline, range).filter(|(_, layer)| *layer == TOP);
    tops.map(|(at, _)| at).find(|at| {
        let second = *at..*at + STEADY;
        let mut pictures = shown(timeline, &second).map(|(_, layer)| layer);
        pictures.clone().count() >= STEADY_PICTURES && pictures.all(|layer| layer == TOP)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::watch::Slot, impair::condition::Line, model::line::Loss};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// 30 pictures a second from `from` to `to`, in milliseconds.
    fn pictures(timeline: &mut Timeline, from: u64, to: u64, layer: u8) {
        timeline.shown.extend((0..(to - from) * 3 / 100).map(|number| (MS(from + number * 100 / 3), layer)));
    }

    #[test]
    fn a_run_is_told_in_figures() {
        let line = Line { loss: Loss::None, loss_percent: 0.0, rtt: MS(100), jitter: MS(0) };
        let condition = Condition { line: Some(line), phase: MS(10_000), top_kbps: 2_200 };
        let mut timeline = Timeline { first_media: Some(MS(500)), ..Timeline::default() };
        pictures(&mut timeline, 600, 1_100, 0);
        // Half a second of the top layer isn't yet its staying.
        pictures(&mut timeline, 1_100, 1_600, 2);
        pictures(&mut timeline, 1_600, 2_500, 0);
        pictures(&mut timeline, 2_500, 10_200, 2);
        pictures(&mut timeline, 10_900, 22_000, 0);
        pictures(&mut timeline, 22_000, 30_000, 2);
        timeline.slots = vec![Slot { media: 30_000, repair: 1_000, padding: 2_000 }; 300];
        let observed = Observed { timeline, traffic: None };
        let figures = Figures::new(&condition, &observed);
        assert!((figures.converged_s.unwrap() - 2.0).abs() < 0.01, "{figures:?}");
        assert!((figures.recovered_s.unwrap() - 2.0).abs() < 0.01);
        assert!((figures.utilisation - 0.88).abs() < 1e-9 && (figures.media - 31.0 * 8.0 / 300.0).abs() < 0.01);
        let [settled, narrow, wide] = figures.gaps_s;
        assert!(settled < 0.05 && (0.7..0.75).contains(&narrow) && wide < 0.05, "{:?}", figures.gaps_s);
        assert_eq!(figures.top.map(|share| (share * 10.0).round()), [10.0, 0.0, 8.0]);
        let other = Other::new(&condition, &observed.timeline);
        assert!((0.7..0.75).contains(&other.gap_s) && (28.0..30.0).contains(&other.fps), "{other:?}");
    }

    #[test]
    fn nothing_shown_is_one_long_gap() {
        let condition = Condition { line: None, phase: MS(10_000), top_kbps: 2_200 };
        let figures = Figures::new(&condition, &Observed { timeline: Timeline::default(), traffic: None });
        assert_eq!((figures.converged_s, figures.recovered_s), (None, None));
        assert_eq!(figures.gaps_s, [6.0, 10.0, 10.0]);
    }
}
