//! How much of a line's estimate a receiver's layers may fill: learned from what came of raising them.
//!
//! An estimate wavers. A layer that is raised only while there is much room for it comes late, or never on a line that it fits tightly; one
//! that is raised with no room to spare is taken back at the next dip. So little is spared at first. A raise that the line takes back soon
//! proves that it was too little: the next needs more, and none of it is forgotten before a long calm. A short dip takes nothing back, and
//! neither does any estimate while feedback shows that what flows leaves no queue. A line that gets narrow is believed at once, and for a
//! moment taken to be narrower still.
//!
//! A paused video that comes back for a few pictures is worse than a still one, and fills the queue of those that play. So what had to be
//! paused again is tried later and later, or when the estimate is well above the one that proved wrong.
//!
//! Who just joined wants videos whose rates nobody knows yet, and more of them than the first estimate, a guess, has room for. That some are paused
//! then teaches nothing, unless an estimate fell.

use std::time::{Duration, Instant};

/// Spared of the estimate at first, and at least, in percent.
const LEAST_SPARE: u8 = 5;
/// Spared at most.
const MOST_SPARE: u8 = 25;
/// More is spared by this after a raise that was taken back.
const LESSON: u8 = 5;
/// A raise that is taken back within this time was one too many.
const TRIAL: Duration = Duration::from_secs(10);
/// Whoever's line took nothing back for so long spares less by [`LEAST_SPARE`].
const CALM: Duration = Duration::from_secs(20);
/// A line that carries less than this share of what was on it, in percent, got narrow. That was no mistake in raising.
const NARROW: u64 = 70;
/// What flows stays this long though the estimate is below it, unless the estimate falls by more than [`DIP`], or [`FIRST_DIP`].
const HOLD: Duration = Duration::from_millis(1_500);
/// In percent of the greatest estimate of late. One step down of the controller is 15 %.
const DIP: u64 = 20;
/// The same for as long after a raise: the key frame with which a layer begins is four pictures at once.
const FIRST_DIP: u64 = 45;

/// After a line got narrow, layers above the lowest are chosen by half of the estimate for this long: what it still sees of the time before
/// makes it too great, and a layer that is given up again at once has filled the queue with its key frame.
const CAUTION: Duration = Duration::from_secs(1);

/// How long estimates of a new line are guesses that grow: probes double them, each takes some round trips.
const FIRST: Duration = Duration::from_secs(5);
/// An estimate that fell to less than this share of the greatest before, in percent, was more than a guess.
const FELL: u64 = 95;

/// What passes without a queue is taken to pass for so long.
const PASSES: Duration = Duration::from_millis(500);

/// After a video came back and was paused again within [`TRIAL`], none comes back before this time, doubled with each such failure, unless the
/// estimate is half as much again as it was for those.
const PATIENCE: Duration = Duration::from_secs(10);
/// Doubled so often at most: to 160 s.
const MOST_DOUBLINGS: u32 = 4;
/// Failures are forgotten when a video that came back has played for so long.
const STEADY: Duration = Duration::from_secs(30);

/// What the congestion controller says of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// What media may take, in kb/s.
    pub kbps: u32,
    /// Nothing waits, and no loss speaks against what is sent.
    pub clear: bool,
}

/// What a line carries, as far as layers are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// The estimate, in kb/s.
    pub kbps: u32,
    /// What flows already may take this much, in kb/s; no less than the estimate.
    pub held_kbps: u32,
    /// What all may take where some have more than their lowest layer, in kb/s.
    pub raised_kbps: u32,
    /// Paused videos may come back together while the lowest layers of all take no more than this, in kb/s.
    pub together_kbps: u32,
    /// Whether a single one may come back besides.
    pub resumes: bool,
    /// More than what flows may fill this share of the estimate, in percent.
    pub fill: u8,
}

/// What a choice of layers changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// A video got a better layer than it had.
    pub raised: bool,
    /// One came back that the line hadn't carried.
    pub resumed: bool,
    /// One that could have gone on as it was got less, or was paused.
    pub lowered: bool,
}

/// What estimates are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trust {
    /// None came yet.
    Unread,
    /// They are guesses that have only grown so far.
    Guess {
        /// When the first came.
        since: Instant,
        /// The greatest, in kb/s.
        best: u32,
    },
    /// They say what the line carries.
    Proven,
}

impl Trust {
    fn learn(self, now: Instant, kbps: u32) -> Self {
        match self {
            Self::Unread => Self::Guess { since: now, best: kbps },
            Self::Guess { best, .. } if u64::from(kbps) * 100 < u64::from(best) * FELL => Self::Proven,
            Self::Guess { since, best } => Self::Guess { since, best: best.max(kbps) },
            Self::Proven => Self::Proven,
        }
    }

    fn is_proven(self, now: Instant) -> bool {
        match self {
            Self::Unread => false,
            Self::Guess { since, .. } => now.saturating_duration_since(since) >= FIRST,
            Self::Proven => true,
        }
    }
}

/// One receiver's experience with its line.
#[derive(Clone, Copy, Debug)]
pub struct Headroom {
    spare: u8,
    /// The last estimate, and the greatest of late with its time.
    estimate: Option<u32>,
    peak: (u32, Option<Instant>),
    trust: Trust,
    raised: Option<Instant>,
    /// When something was taken back for the line's sake.
    lowered: Option<Instant>,
    /// When a paused video came back last.
    resumed: Option<Instant>,
    /// How many times in turn that was too much, and when it was last.
    relapses: u32,
    relapsed: Option<Instant>,
    /// The greatest estimate with which that happened, in kb/s, and the one when a video came back last.
    refuted: u32,
    believed: u32,
    /// What flowed when layers were chosen last, in kb/s.
    flowed: u32,
    /// When that was last seen to pass without a queue.
    passed: Option<Instant>,
    /// When the line got narrow.
    narrowed: Option<Instant>,
    /// When something was taken back or `spare` became less.
    calm: Option<Instant>,
}

impl Default for Headroom {
    fn default() -> Self {
        Self {
            spare: LEAST_SPARE,
            estimate: None,
            peak: (0, None),
            trust: Trust::Unread,
            raised: None,
            lowered: None,
            resumed: None,
            relapses: 0,
            relapsed: None,
            refuted: 0,
            believed: 0,
            flowed: 0,
            passed: None,
            narrowed: None,
            calm: None,
        }
    }
}

impl Headroom {
    /// That of a receiver without a line.
    pub fn unlimited(now: Instant) -> Self {
        let mut headroom = Self::default();
        headroom.on_reading(now, Reading { kbps: u32::MAX, clear: true });
        headroom
    }

    /// The last estimate in kb/s, if there was any.
    pub fn estimate(&self) -> Option<u32> {
        self.estimate
    }

    /// The controller's news. Says whether the line got narrow with it.
    pub fn on_reading(&mut self, now: Instant, Reading { kbps, clear }: Reading) -> bool {
        self.estimate = Some(kbps);
        self.trust = self.trust.learn(now, kbps);
        self.passed = clear.then_some(now).or(self.passed.filter(|_| kbps >= self.flowed));
        if kbps >= self.peak(now).unwrap_or(0) {
            self.peak = (kbps, Some(now));
        }
        let narrowed = !clear && self.narrowed.is_none() && self.is_narrow(self.flowed);
        if narrowed {
            self.narrowed = Some(now);
        }
        narrowed
    }

    fn is_narrow(&self, flowed_kbps: u32) -> bool {
        self.estimate.is_some_and(|kbps| u64::from(kbps) * 100 < u64::from(flowed_kbps) * NARROW)
    }

    fn peak(&self, now: Instant) -> Option<u32> {
        let (kbps, at) = self.peak;
        at.filter(|at| now.saturating_duration_since(*at) < HOLD).map(|_| kbps)
    }

    /// What the line carries, less `taken_kbps` that something else takes of it; `None` without an estimate.
    pub fn line(&self, now: Instant, taken_kbps: u32) -> Option<Line> {
        let kbps = self.estimate?;
        let peak = self.peak(now).unwrap_or(kbps).max(kbps);
        let within = |event: Option<Instant>, time| event.is_some_and(|at| now.saturating_duration_since(at) < time);
        let begins = within(self.raised, HOLD);
        let dip = if begins { FIRST_DIP } else { DIP };
        let dipped = u64::from(kbps) * 100 < u64::from(peak) * (100 - dip);
        let left = |kbps: u32| kbps.saturating_sub(taken_kbps);
        let passes = within(self.passed, PASSES);
        let held_kbps = if dipped { kbps } else { peak }.max(if passes { self.flowed } else { 0 });
        let raised_kbps = if within(self.narrowed, CAUTION) { kbps / 2 } else { u32::MAX };
        let patience = PATIENCE * (1 << self.relapses.saturating_sub(1).min(MOST_DOUBLINGS));
        let doubted = within(self.relapsed, patience) && kbps < self.refuted.saturating_add(self.refuted / 2);
        let resumes = !doubted && !within(self.resumed, HOLD);
        let together_kbps = match (self.relapses, within(self.lowered, STEADY)) {
            // Who just joined waits for the estimate, not for a line that proved to be narrow.
            (0, false) => u32::MAX,
            (0, true) => left(kbps) / 2,
            _ => 0,
        };
        Some(Line {
            kbps: left(kbps),
            held_kbps: left(held_kbps),
            raised_kbps: left(raised_kbps),
            together_kbps,
            resumes,
            fill: 100 - self.spare,
        })
    }

    /// What should be looked for so that `desired_kbps` fit, given that a sender looks for a quarter more than it is told.
    pub fn sought_kbps(&self, desired_kbps: u32) -> u32 {
        let needed = u64::from(desired_kbps) * 100 / u64::from(100 - self.spare);
        u32::try_from(needed * 85 / 100).unwrap_or(u32::MAX).max(desired_kbps)
    }

    /// The node was at its end, and the line perhaps wasn't: that a video had to be paused again counts as the first time.
    pub fn excuse(&mut self) {
        self.relapses = self.relapses.min(1);
    }

    /// Layers were chosen for a line that `used_kbps` flowed on.
    pub fn on_choice(&mut self, now: Instant, change: Change, used_kbps: u32) {
        let narrow = self.is_narrow(used_kbps);
        self.flowed = used_kbps;
        if self.narrowed.is_some_and(|at| now.saturating_duration_since(at) >= CAUTION) {
            self.narrowed = None;
        }
        let since = |event: Option<Instant>| event.map(|at| now.saturating_duration_since(at));
        if since(self.resumed).is_some_and(|time| time >= STEADY) {
            (self.relapses, self.refuted) = (0, 0);
        }
        if change.lowered {
            // What gives way to what the receiver wants more says nothing of the line, nor does what a guess had no room for.
            if !change.raised && !change.resumed && self.trust.is_proven(now) {
                self.lowered = Some(now);
                if since(self.raised).is_some_and(|time| time < TRIAL) && !narrow {
                    self.spare = (self.spare + LESSON).min(MOST_SPARE);
                }
                if since(self.resumed).is_some_and(|time| time < TRIAL) {
                    self.relapses = self.relapses.saturating_add(1);
                    self.relapsed = Some(now);
                    self.refuted = self.refuted.max(self.believed);
                }
            }
            self.raised = None;
            self.resumed = None;
            self.calm = Some(now);
        } else if self.calm.is_none_or(|at| now.saturating_duration_since(at) >= CALM) {
            self.spare = self.spare.saturating_sub(LEAST_SPARE).max(LEAST_SPARE);
            self.calm = Some(now);
        }
        if change.raised {
            self.raised = Some(now);
        }
        if change.resumed {
            self.resumed = Some(now);
            self.believed = self.estimate.unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAISED: Change = Change { raised: true, resumed: false, lowered: false };
    const RESUMED: Change = Change { raised: false, resumed: true, lowered: false };
    const LOWERED: Change = Change { raised: false, resumed: false, lowered: true };
    const SAME: Change = Change { raised: false, resumed: false, lowered: false };

    #[test]
    fn what_was_perhaps_not_the_lines_doing_is_tried_again_before_long() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut headroom = experienced(start, 1_000);
        for number in 0..4 {
            headroom.on_choice(start + second * number, RESUMED, 900);
            headroom.on_choice(start + second * number + second / 2, LOWERED, 0);
        }
        let resumes = |headroom: &Headroom, at| headroom.line(at, 0).is_some_and(|line| line.resumes);
        assert!(!resumes(&headroom, start + second * 60), "the fourth time in turn");
        headroom.excuse();
        assert!(!resumes(&headroom, start + second * 12) && resumes(&headroom, start + second * 14));
    }

    /// That of a receiver who has been there for a while.
    fn experienced(now: Instant, kbps: u32) -> Headroom {
        let mut headroom = Headroom { trust: Trust::Proven, ..Headroom::default() };
        headroom.on_reading(now, busy(kbps));
        headroom
    }

    #[test]
    fn what_the_first_guesses_had_no_room_for_teaches_nothing_unless_one_fell() {
        let start = Instant::now();
        let together = |headroom: &Headroom, now| headroom.line(now, 0).map(|line| (line.together_kbps, line.resumes));
        let join = |readings: &[u32], lowered: Duration| {
            let mut headroom = Headroom::default();
            for (number, kbps) in readings.iter().enumerate() {
                headroom.on_reading(start + Duration::from_millis(100) * number as u32, busy(*kbps));
            }
            headroom.on_choice(start, RESUMED, 1_000);
            headroom.on_choice(start + lowered, LOWERED, 6_000);
            together(&headroom, start + lowered)
        };
        let soon = Duration::from_millis(300);
        assert_eq!(join(&[1_500, 1_450, 1_500], soon), Some((u32::MAX, true)));
        assert_eq!(join(&[1_500, 4_000, 8_000], soon), Some((u32::MAX, true)));
        assert_eq!(join(&[1_500, 1_400, 1_500], soon), Some((0, false)));
        assert_eq!(join(&[1_500], FIRST), Some((0, false)));
    }

    fn busy(kbps: u32) -> Reading {
        Reading { kbps, clear: false }
    }

    fn fill(headroom: &Headroom, now: Instant) -> u8 {
        headroom.line(now, 0).unwrap().fill
    }

    #[test]
    fn raises_that_the_line_takes_back_make_it_spare_more_until_a_long_calm() {
        let start = Instant::now();
        let mut headroom = experienced(start, 2_400);
        assert_eq!(fill(&headroom, start), 95);
        for (lesson, fills) in [90, 85, 80, 75, 75].into_iter().enumerate() {
            let raised = start + TRIAL * 2 * lesson as u32;
            headroom.on_choice(raised, RAISED, 500);
            headroom.on_choice(raised + TRIAL / 2, LOWERED, 2_500);
            assert_eq!(fill(&headroom, raised), fills);
        }
        let lowered = start + TRIAL * 8 + TRIAL / 2;
        headroom.on_choice(lowered + CALM - Duration::from_millis(1), SAME, 500);
        assert_eq!(fill(&headroom, lowered), 75);
        for (calm, fills) in [80, 85, 90, 95, 95].into_iter().enumerate() {
            headroom.on_choice(lowered + CALM * (calm as u32 + 1), SAME, 500);
            assert_eq!(fill(&headroom, lowered), fills);
        }
    }

    #[test]
    fn a_line_that_gets_narrow_or_after_a_long_time_teaches_nothing() {
        let start = Instant::now();
        let mut headroom = Headroom::default();
        headroom.on_reading(start, busy(500));
        headroom.on_choice(start, RAISED, 500);
        headroom.on_choice(start + Duration::from_secs(1), LOWERED, 2_400);
        assert_eq!(fill(&headroom, start), 95);
        headroom.on_reading(start, busy(2_300));
        headroom.on_choice(start, RAISED, 500);
        headroom.on_choice(start + TRIAL, LOWERED, 2_400);
        assert_eq!(fill(&headroom, start), 95);
    }

    #[test]
    fn what_passes_without_a_queue_stays_whatever_the_estimate() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let held = |headroom: &Headroom, ms| headroom.line(at(ms), 40).map(|line| line.held_kbps);
        let mut headroom = Headroom::default();
        headroom.on_reading(start, busy(3_000));
        headroom.on_choice(start, SAME, 2_300);
        headroom.on_reading(at(2_000), Reading { kbps: 1_900, clear: true });
        assert_eq!(held(&headroom, 2_100), Some(2_260));
        assert_eq!(held(&headroom, 2_500), Some(1_860), "no news since");
        headroom.on_reading(at(3_000), Reading { kbps: 1_950, clear: true });
        headroom.on_reading(at(3_100), busy(1_700));
        assert_eq!(held(&headroom, 3_100), Some(1_910), "now there is a queue, and the dip is what is held");
    }

    #[test]
    fn a_line_that_got_narrow_is_trusted_with_half_for_a_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let raised = |headroom: &Headroom, ms| headroom.line(at(ms), 0).map(|line| line.raised_kbps);
        let mut headroom = Headroom::default();
        headroom.on_reading(start, busy(3_000));
        headroom.on_choice(start, SAME, 2_300);
        headroom.on_reading(at(100), busy(1_700));
        assert_eq!(raised(&headroom, 100), Some(u32::MAX), "it can do with less, but isn't another line");
        headroom.on_reading(at(200), busy(1_100));
        assert_eq!(raised(&headroom, 200), Some(550));
        headroom.on_choice(at(200), LOWERED, 2_300);
        headroom.on_reading(at(400), busy(500));
        headroom.on_choice(at(400), SAME, 150);
        assert_eq!(raised(&headroom, 1_100), Some(250));
        assert_eq!(raised(&headroom, 1_200), Some(u32::MAX));
    }

    #[test]
    fn a_video_that_had_to_be_paused_again_is_tried_later_each_time_until_one_stays() {
        let start = Instant::now();
        let resumes = |headroom: &Headroom, now| headroom.line(now, 0).unwrap().resumes;
        let mut headroom = experienced(start, 300);
        assert!(resumes(&headroom, start));
        let mut now = start;
        for seconds in [10, 20, 40, 80, 160, 160] {
            headroom.on_choice(now, RESUMED, 150);
            assert!(!resumes(&headroom, now + HOLD - Duration::from_millis(1)), "one at a time");
            assert!(resumes(&headroom, now + HOLD) || seconds > 10);
            now += Duration::from_secs(2);
            headroom.on_choice(now, LOWERED, 300);
            let patience = Duration::from_secs(seconds);
            assert!(!resumes(&headroom, now + patience - Duration::from_millis(1)), "{seconds}");
            now += patience;
            assert!(resumes(&headroom, now), "{seconds}");
        }
        assert_eq!(fill(&headroom, now), 95, "that says nothing of upper layers");
        headroom.on_choice(now, RESUMED, 150);
        now += STEADY;
        headroom.on_choice(now, SAME, 300);
        headroom.on_choice(now, LOWERED, 300);
        assert!(resumes(&headroom, now), "it had played for long");
        headroom.on_choice(now, RESUMED, 150);
        headroom.on_choice(now + HOLD, LOWERED, 300);
        assert!(!resumes(&headroom, now + PATIENCE));
        assert!(resumes(&headroom, now + HOLD + PATIENCE));
    }

    #[test]
    fn a_line_that_got_better_shows_what_was_paused_before_its_time() {
        let start = Instant::now();
        let mut headroom = experienced(start, 300);
        headroom.on_choice(start, RESUMED, 150);
        let now = start + Duration::from_secs(2);
        headroom.on_reading(now, busy(200));
        headroom.on_choice(now, LOWERED, 300);
        let line = |headroom: &Headroom| headroom.line(now + HOLD, 0).map(|line| (line.resumes, line.together_kbps));
        headroom.on_reading(now, busy(449));
        assert_eq!(line(&headroom), Some((false, 0)));
        headroom.on_reading(now, busy(450));
        assert_eq!(line(&headroom), Some((true, 0)), "one at a time");
        headroom.on_choice(now, RESUMED, 150);
        headroom.on_choice(now + STEADY, SAME, 300);
        assert_eq!(line(&headroom), Some((true, 225)), "something was taken back not long ago");
        let line = headroom.line(now + STEADY, 0).map(|line| line.together_kbps);
        assert_eq!(line, Some(u32::MAX));
    }

    #[test]
    fn what_gives_way_to_what_is_wanted_more_teaches_nothing() {
        let start = Instant::now();
        let mut headroom = Headroom::default();
        headroom.on_reading(start, busy(300));
        headroom.on_choice(start, RESUMED, 150);
        let now = start + Duration::from_secs(3);
        headroom.on_choice(now, Change { resumed: true, lowered: true, raised: false }, 150);
        assert!(headroom.line(now + HOLD, 0).unwrap().resumes);
    }

    #[test]
    fn a_short_dip_takes_nothing_back_and_a_deep_or_long_one_does() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let held = |headroom: &Headroom, ms| headroom.line(at(ms), 40).map(|line| (line.kbps, line.held_kbps));
        let mut headroom = Headroom::default();
        assert_eq!(headroom.line(start, 0), None);
        headroom.on_reading(start, busy(3_000));
        assert_eq!(held(&headroom, 0), Some((2_960, 2_960)));
        headroom.on_reading(at(500), busy(2_500));
        assert_eq!(held(&headroom, 600), Some((2_460, 2_960)));
        assert_eq!(held(&headroom, 1_600), Some((2_460, 2_460)));
        headroom.on_reading(at(1_700), busy(2_700));
        assert_eq!(held(&headroom, 1_700), Some((2_660, 2_660)));
        headroom.on_reading(at(1_800), busy(600));
        assert_eq!(held(&headroom, 1_800), Some((560, 560)));
        headroom.on_reading(at(5_000), busy(3_000));
        headroom.on_choice(at(5_000), RAISED, 540);
        headroom.on_reading(at(5_500), busy(1_700));
        assert_eq!(held(&headroom, 5_500), Some((1_660, 2_960)), "its first key frame");
        headroom.on_reading(at(5_600), busy(1_600));
        assert_eq!(held(&headroom, 5_600), Some((1_560, 1_560)));
    }
}
