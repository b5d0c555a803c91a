//! What a media thread gives up when it has too much to do: smaller pictures first, then voices that nobody follows, then pictures.
//!
//! A thread at its end sends everything late, to everybody, and what its sockets lose meanwhile is asked for by all who miss it. So while it is,
//! receivers may have less and less of the video that they want, and get lower layers. Where that isn't enough, rooms are cut to their loudest
//! voices, and of the videos that can't be lowered the last are paused. New sessions are refused before ([`crate::health`]); this is for
//! what comes in the sessions that are there. Control is by how long the thread waits for something to do rather than by its CPU time: of a machine
//! that gives a third of its time to others it has two thirds, and is at its end with that. Where others take more than it does itself, sending less
//! would not help.

use super::{leisure::FULL, limits};

/// Share of its time that the thread has something to do, in parts per 10,000, below which it has room again.
const ROOM: u16 = 8_500;
/// Share of a core that it has to take itself, in parts per 10,000, so that giving something up frees more than others take.
const OWN: u16 = 5_000;
/// Seconds at its end after which less is sent, each time.
const STRAIN: u32 = 2;
/// What of the present share remains then, in percent, and the least.
const KEPT: u8 = 75;
const LEAST: u8 = 20;
/// Seconds with room after which more is sent; and the longest such time, when more was too much again and again.
const PATIENCE: u32 = 3;
const MOST_PATIENCE: u32 = 60;
/// How much more, in percent of what is wanted.
const RISE: u8 = 10;
/// Below this share lowering isn't enough: whoever has layers has been lowered twice by then.
const ENOUGH: u8 = 60;
/// Voices of a room that are forwarded then, and below half of that share.
const FEW_VOICES: usize = 5;
const FEWEST_VOICES: usize = 3;

/// How much of videos' lowest qualities receivers may have, in percent, where they may have `share` percent of the video that they want.
pub fn lowest_share(share: u8) -> u8 {
    (u16::from(share) * 100 / u16::from(ENOUGH)).min(100) as u8
}

/// How many voices of a room are forwarded then.
pub fn audible(share: u8) -> usize {
    if share >= ENOUGH {
        limits::AUDIBLE
    } else if share >= ENOUGH / 2 {
        FEW_VOICES
    } else {
        FEWEST_VOICES
    }
}

/// Decides how much of the video that receivers want they may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressure {
    percent: u8,
    full: u32,
    room: u32,
    patience: u32,
    /// The last change was for more.
    rose: bool,
}

impl Default for Pressure {
    fn default() -> Self {
        Self { percent: 100, full: 0, room: 0, patience: PATIENCE, rose: false }
    }
}

impl Pressure {
    /// Takes in for which share of the last second the thread had something to do, and its CPU time as a share of it, both in parts per 10,000. Gives
    /// the share of the wanted video that may be sent, in percent, when it changes.
    pub fn observe(&mut self, busy: u16, cpu: u16) -> Option<u8> {
        self.full = if busy >= FULL && cpu >= OWN { self.full + 1 } else { 0 };
        self.room = if busy < ROOM || cpu < OWN / 2 { self.room.saturating_add(1) } else { 0 };
        let before = self.percent;
        if self.full >= STRAIN {
            self.full = 0;
            self.percent = (u16::from(self.percent) * u16::from(KEPT) / 100).max(u16::from(LEAST)) as u8;
            // What was tried last was too much.
            self.patience = if self.rose { (self.patience * 2).min(MOST_PATIENCE) } else { self.patience };
            self.rose = false;
        } else if self.room >= self.patience && self.percent < 100 {
            self.room = 0;
            self.percent = (self.percent + RISE).min(100);
            self.rose = true;
        }
        if self.percent == 100 && self.room >= MOST_PATIENCE {
            self.patience = PATIENCE;
        }
        (self.percent != before).then_some(self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shares, second by second, of a thread that takes `fixed` for all but what the share rules, and `video` for that.
    fn run(pressure: &mut Pressure, percent: &mut u8, fixed: u32, video: u32, seconds: usize) -> Vec<u8> {
        let step = |_| {
            let busy = (fixed + video * u32::from(*percent) / 100).min(10_000) as u16;
            *percent = pressure.observe(busy, busy).unwrap_or(*percent);
            *percent
        };
        (0..seconds).map(step).collect()
    }

    #[test]
    fn what_can_be_lowered_is_lowered_before_anything_is_cut() {
        let what = |share| (audible(share), lowest_share(share));
        assert_eq!([100, 75, ENOUGH].map(what), [(limits::AUDIBLE, 100); 3]);
        assert_eq!([56, 42, 31, 20].map(what), [(5, 93), (5, 70), (5, 51), (3, 33)]);
    }

    #[test]
    fn a_thread_with_room_sends_all() {
        let mut pressure = Pressure::default();
        assert!((0..10_000).all(|busy| busy >= FULL || pressure.observe(busy, busy).is_none()));
        assert_eq!(pressure.observe(10_000, 10_000), None, "one second is no strain");
        assert_eq!(pressure.observe(5_000, 5_000), None);
    }

    #[test]
    fn a_thread_that_others_leave_most_of_a_core_gives_up_something_and_one_they_leave_little_does_not() {
        let observe = |cpu| {
            let mut pressure = Pressure::default();
            (0..10).filter_map(|_| pressure.observe(10_000, cpu)).last()
        };
        assert_eq!(observe(6_600), Some(23));
        assert_eq!(observe(4_000), None);
        let mut pressure = Pressure::default();
        let cut = (0..2).filter_map(|_| pressure.observe(10_000, 8_000)).last();
        assert_eq!(cut, Some(75));
        assert_eq!(
            (0..3).filter_map(|_| pressure.observe(10_000, 2_000)).last(),
            Some(85),
            "it isn't the reason any more"
        );
    }

    #[test]
    fn it_gives_up_what_it_has_to_and_takes_it_back() {
        let (mut pressure, mut percent) = (Pressure::default(), 100);
        let shares = run(&mut pressure, &mut percent, 2_000, 16_000, 20);
        assert!(shares[19] <= 48 && shares[19] >= 30, "{shares:?}");
        let shares = run(&mut pressure, &mut percent, 2_000, 4_000, 60);
        assert_eq!(shares[59], 100, "{shares:?}");
    }

    #[test]
    fn what_was_too_much_is_tried_less_and_less_often() {
        let (mut pressure, mut percent) = (Pressure::default(), 100);
        let shares = run(&mut pressure, &mut percent, 0, 16_000, 1_000);
        let cuts = |shares: &[u8]| shares.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!(cuts(&shares[..200]) > cuts(&shares[800..]), "{shares:?}");
        assert!(cuts(&shares[800..]) <= 4, "{shares:?}");
    }

    proptest! {
        #[test]
        fn a_share_is_always_within_its_bounds_and_the_end_is_bearable_if_it_can_be(
            loads in prop::collection::vec((0u32..9_000, 0u32..30_000), 1..6),
        ) {
            let (mut pressure, mut percent) = (Pressure::default(), 100);
            for (fixed, video) in loads {
                let shares = run(&mut pressure, &mut percent, fixed, video, 300);
                prop_assert!(shares.iter().all(|share| (LEAST..=100).contains(share)));
                let full = |share: &&u8| fixed + video * u32::from(**share) / 100 >= u32::from(FULL);
                if fixed + video * u32::from(LEAST) / 100 < u32::from(FULL) {
                    let late = shares[100..].iter().filter(full).count();
                    prop_assert!(late <= 60, "{late} of 200 s at its end: {shares:?}");
                }
            }
        }
    }
}
