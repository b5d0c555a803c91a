//! What a media thread gives up when it has too much to do: pictures, as far as there are smaller ones.
//!
//! A thread at its end sends everything late, to everybody. So while it is, receivers may have less and less of the video that they want,
//! and get lower layers; sound and each video's lowest layer stay. New sessions are refused before ([`crate::health`]); this is for
//! what comes in the sessions that are there. Control is by CPU time alone: what other processes take would show as lateness, but
//! sending less would not help.

/// CPU share of the thread, in parts per 10,000, from which on it is at its end; and below which it has room again.
const FULL: u16 = 9_700;
const ROOM: u16 = 8_500;
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
    /// Takes in the thread's CPU share of the last second. Gives the share of the wanted video that may be sent, in percent, when it changes.
    pub fn observe(&mut self, busy: u16) -> Option<u8> {
        self.full = if busy >= FULL { self.full + 1 } else { 0 };
        self.room = if busy < ROOM { self.room.saturating_add(1) } else { 0 };
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
            *percent = pressure.observe(busy).unwrap_or(*percent);
            *percent
        };
        (0..seconds).map(step).collect()
    }

    #[test]
    fn a_thread_with_room_sends_all() {
        let mut pressure = Pressure::default();
        assert!((0..10_000).all(|busy| busy >= FULL || pressure.observe(busy).is_none()));
        assert_eq!(pressure.observe(10_000), None, "one second is no strain");
        assert_eq!(pressure.observe(5_000), None);
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
