//! How long packets wait on the line: what they take now against the least they took of late. The trend sees a queue grow; this sees one that
//! stands.

use std::time::{Duration, Instant};

/// The least is taken over one to two of these, so that a changed path and a drifting clock (100 ppm are 2 ms in 20 s) are followed.
const PERIOD: Duration = Duration::from_secs(10);
/// Less than this is no queue, but what timers and jitter leave.
const EMPTY: Duration = Duration::from_millis(10);
/// A queue of this length …
const STANDING: Duration = Duration::from_millis(120);
/// … that lasts so long, and two round trips, is no burst.
const LASTS: Duration = Duration::from_millis(400);
/// If so many decreases in a row don't shorten it, it is others'.
const TRIES: u8 = 4;

/// The one-way delay's history. The two clocks' difference cancels out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queueing {
    origin: Option<Instant>,
    period: Option<Instant>,
    least: Option<i64>,
    least_before: Option<i64>,
    /// The least within the feedback that is being read, and that of the last one.
    reading: Option<i64>,
    waits: Duration,
    waited: Duration,
    standing_since: Option<Instant>,
    tries: u8,
}

impl Queueing {
    /// A packet's two times.
    pub fn on_arrival(&mut self, sent: Instant, arrival_us: i64) {
        let origin = *self.origin.get_or_insert(sent);
        let trip = arrival_us - sent.saturating_duration_since(origin).as_micros() as i64;
        self.reading = Some(self.reading.map_or(trip, |least| least.min(trip)));
    }

    /// A feedback was read.
    pub fn update(&mut self, now: Instant) {
        let Some(trip) = self.reading.take() else { return };
        let period = *self.period.get_or_insert(now);
        if now.saturating_duration_since(period) > PERIOD {
            self.least_before = self.least.take();
            self.period = Some(now);
        }
        self.least = Some(self.least.map_or(trip, |least| least.min(trip)));
        let least = self.least.into_iter().chain(self.least_before).min().unwrap_or(trip);
        self.waited = self.waits;
        self.waits = Duration::from_micros(u64::try_from(trip - least).unwrap_or(0));
        if self.waits < STANDING {
            self.standing_since = None;
            if self.waits < STANDING / 2 {
                self.tries = 0;
            }
        } else {
            self.standing_since.get_or_insert(now);
        }
    }

    /// How long packets wait.
    pub fn waits(&self) -> Duration {
        self.waits
    }

    /// Whether there is next to no queue, now or at the feedback before.
    pub fn empty(&self) -> bool {
        self.waits.min(self.waited) < EMPTY
    }

    /// Whether the queue has stood for so long that the rate must be lowered; counts as one try.
    pub fn stands(&mut self, now: Instant, rtt: Duration) -> bool {
        let long = LASTS.max(rtt * 2);
        let stands = self.standing_since.is_some_and(|since| now.saturating_duration_since(since) > long);
        if !stands || self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        self.standing_since = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Feedback every 100 ms about a packet that waited so long; how often the rate was to be lowered.
    fn run(queueing: &mut Queueing, start: Instant, from_ms: u32, to_ms: u32, wait_ms: i64) -> u32 {
        (from_ms..to_ms)
            .step_by(100)
            .map(|ms| {
                queueing.on_arrival(start + MS * ms, (i64::from(ms) + 5_000 + wait_ms) * 1_000);
                queueing.update(start + MS * (ms + 100));
                u32::from(queueing.stands(start + MS * (ms + 100), MS * 100))
            })
            .sum()
    }

    #[test]
    fn a_standing_queue_is_noticed_until_it_proves_to_be_others() {
        let start = Instant::now();
        let mut queueing = Queueing::default();
        assert_eq!(run(&mut queueing, start, 0, 1_000, 0), 0);
        assert_eq!(run(&mut queueing, start, 1_000, 1_400, 200), 0);
        assert_eq!(queueing.waits(), MS * 200);
        assert_eq!(run(&mut queueing, start, 1_400, 9_000, 200), u32::from(TRIES));
        assert_eq!(run(&mut queueing, start, 9_000, 9_500, 0), 0);
        assert_eq!(run(&mut queueing, start, 9_500, 10_400, 200), 1);
    }

    #[test]
    fn a_longer_path_is_no_queue_for_ever() {
        let start = Instant::now();
        let mut queueing = Queueing::default();
        run(&mut queueing, start, 0, 1_000, 0);
        run(&mut queueing, start, 1_000, 30_000, 60);
        assert_eq!(queueing.waits(), Duration::ZERO);
    }
}
