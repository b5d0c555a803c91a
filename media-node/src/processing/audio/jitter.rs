//! The jitter buffer of one source: packets come in as the network brings them, and go out as they are to be played.
//!
//! It plays by RTP timestamps, so packets of any length and pauses without packets (discontinuous transmission) keep their time.

use super::{FRAME, SAMPLE_RATE, opus};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Delay of playing at the beginning; it grows when packets come too late, and shrinks again.
const FIRST_DELAY: Duration = Duration::from_millis(60);
const MIN_DELAY: Duration = Duration::from_millis(40);
const MAX_DELAY: Duration = Duration::from_millis(200);
/// By how much the delay changes.
const STEP: Duration = Duration::from_millis(20);
/// So long nothing may come too late before the delay shrinks.
const CALM: Duration = Duration::from_secs(10);
/// How much more than the delay may wait before the oldest is left out: the sender's clock is faster, or it sent a burst.
const SLACK: u64 = SAMPLE_RATE as u64 / 10;
/// Frames in a row that are concealed when nothing comes; then it is silent, and waits anew.
const MAX_CONCEALED: u32 = 5;
/// Most packets that wait.
const MAX_PACKETS: usize = 64;

/// What is to be played next. All but a packet stand for 20 ms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Playout {
    /// This packet.
    Packet(Arc<[u8]>),
    /// A packet was lost; the one after it, if it is there, may help.
    Lost(Option<Arc<[u8]>>),
    /// Nothing.
    Silence,
}

struct Waiting {
    seq: u64,
    payload: Arc<[u8]>,
}

/// The buffer.
pub struct Jitter {
    /// By extended timestamp.
    packets: BTreeMap<u64, Waiting>,
    /// The newest extended timestamp that came.
    newest: Option<u64>,
    /// What is to be played next; `None`: it waits for enough.
    next: Option<u64>,
    /// When the oldest that waits came.
    waits_since: Option<Instant>,
    /// The sequence number of the last one.
    played: Option<u64>,
    /// Where it ended.
    played_to: u64,
    concealed: u32,
    delay: Duration,
    late_at: Option<Instant>,
    /// Packets that came too late.
    pub late: u64,
}

impl Default for Jitter {
    fn default() -> Self {
        Self {
            packets: BTreeMap::new(),
            newest: None,
            next: None,
            waits_since: None,
            played: None,
            played_to: 0,
            concealed: 0,
            delay: FIRST_DELAY,
            late_at: None,
            late: 0,
        }
    }
}

fn samples(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).saturating_mul(u64::from(SAMPLE_RATE) / 1_000)
}

impl Jitter {
    /// Takes a packet in. What is no Opus packet is dropped.
    pub fn push(&mut self, now: Instant, seq: u64, timestamp: u32, payload: Arc<[u8]>) {
        if opus::duration(&payload).is_none() {
            return;
        }
        let at = self.extend(timestamp);
        if at.saturating_add(FRAME as u64 / 2) < self.next.unwrap_or(self.played_to) {
            self.late += 1;
            self.late_at = Some(now);
            self.delay = (self.delay + STEP).min(MAX_DELAY);
            return;
        }
        if self.packets.len() >= MAX_PACKETS {
            // Far more than any delay: it has not been played for long. Begin anew.
            self.packets.clear();
            self.next = None;
            self.waits_since = None;
        }
        self.waits_since.get_or_insert(now);
        self.packets.entry(at).or_insert(Waiting { seq, payload });
    }

    /// The timestamp without its wrap-around: the nearest to the newest that came. The first one is put far from 0.
    fn extend(&mut self, timestamp: u32) -> u64 {
        let at = match self.newest {
            None => u64::from(timestamp) + (1 << 32),
            Some(newest) => newest.saturating_add_signed(i64::from(timestamp.wrapping_sub(newest as u32) as i32)),
        };
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
        at
    }

    /// The next to be played. To be called whenever the last one has been.
    pub fn next(&mut self, now: Instant) -> Playout {
        let Some(next) = self.begin(now) else { return Playout::Silence };
        let Some((at, waiting)) = self.packets.first_key_value() else { return self.underrun(next) };
        let (at, seq) = (*at, waiting.seq);
        if at <= next.saturating_add(FRAME as u64 / 2) {
            let Some(waiting) = self.packets.remove(&at) else { return Playout::Silence };
            let length = opus::duration(&waiting.payload).unwrap_or(FRAME);
            self.played_to = at + length as u64;
            self.next = Some(self.played_to);
            self.played = Some(waiting.seq);
            self.concealed = 0;
            return Playout::Packet(waiting.payload);
        }
        let after = next.saturating_add(FRAME as u64);
        self.next = Some(after);
        if self.played.is_some_and(|played| seq <= played + 1) {
            // None is missing: the sender was silent.
            return Playout::Silence;
        }
        let helps = at <= after + FRAME as u64 / 2;
        Playout::Lost(helps.then(|| waiting.payload.clone()))
    }

    /// Where playing is; begins, once enough waits, and catches up when too much does.
    fn begin(&mut self, now: Instant) -> Option<u64> {
        if self.next.is_none() {
            if now.saturating_duration_since(self.waits_since?) < self.delay {
                return None;
            }
            self.next = self.packets.first_key_value().map(|(at, _)| *at);
            self.played = None;
            self.concealed = 0;
        }
        let next = self.next?;
        let newest = self.packets.last_key_value().map_or(next, |(at, _)| *at);
        let enough = samples(self.delay);
        if newest > next + enough + SLACK {
            self.packets = self.packets.split_off(&(newest - enough));
            self.next = self.packets.first_key_value().map(|(at, _)| *at);
            self.played = None;
        }
        let since = self.late_at.get_or_insert(now);
        if now.saturating_duration_since(*since) >= CALM {
            *since = now;
            self.delay = (self.delay.saturating_sub(STEP)).max(MIN_DELAY);
        }
        self.next
    }

    fn underrun(&mut self, next: u64) -> Playout {
        self.concealed += 1;
        if self.concealed > MAX_CONCEALED {
            self.next = None;
            self.waits_since = None;
            return Playout::Silence;
        }
        self.next = Some(next.saturating_add(FRAME as u64));
        Playout::Lost(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_millis(20);

    /// A CELT packet of 20 ms, fullband mono, told apart by its second byte.
    fn packet(n: u8) -> Arc<[u8]> {
        Arc::from([0xF8, n])
    }

    /// Plays so many turns, packets coming at these turns.
    fn play(turns: usize, arrivals: &[(usize, u8, u32)]) -> Vec<Playout> {
        let start = Instant::now();
        let mut jitter = Jitter::default();
        (0..turns)
            .map(|turn| {
                let now = start + TICK * turn as u32;
                for (_, n, timestamp) in arrivals.iter().filter(|(at, ..)| *at == turn) {
                    jitter.push(now, u64::from(*n), *timestamp, packet(*n));
                }
                jitter.next(now)
            })
            .collect()
    }

    fn numbers(played: &[Playout]) -> Vec<Option<u8>> {
        let number = |playout: &Playout| match playout {
            Playout::Packet(payload) => Some(payload[1]),
            _ => None,
        };
        played.iter().map(number).collect()
    }

    #[test]
    fn reordered_packets_are_played_in_order_after_the_delay() {
        let arrivals = [(0, 0, 0), (1, 2, 1_920), (2, 1, 960), (3, 3, 2_880)];
        let played = play(7, &arrivals);
        assert_eq!(numbers(&played)[..7], [None, None, None, Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_loss_is_told_with_the_packet_that_may_help_and_a_pause_is_silence() {
        // 2 is lost; between 3 and 4 the sender was silent for two frames. Timestamps wrap around.
        let base = u32::MAX - 1_000;
        let at = |frames: u32| base.wrapping_add(960 * frames);
        let arrivals = [(0, 0, at(0)), (1, 1, at(1)), (3, 3, at(3)), (5, 4, at(6)), (6, 5, at(7))];
        let played = play(11, &arrivals);
        let expected = [
            Playout::Silence,
            Playout::Silence,
            Playout::Silence,
            Playout::Packet(packet(0)),
            Playout::Packet(packet(1)),
            Playout::Lost(Some(packet(3))),
            Playout::Packet(packet(3)),
            Playout::Silence,
            Playout::Silence,
            Playout::Packet(packet(4)),
            Playout::Packet(packet(5)),
        ];
        assert_eq!(played, expected);
    }

    #[test]
    fn when_nothing_comes_it_conceals_a_while_then_waits_anew() {
        let played = play(30, &[(0, 0, 0), (20, 20, 960 * 20)]);
        assert_eq!(played[3], Playout::Packet(packet(0)));
        assert!(played[4..9].iter().all(|playout| *playout == Playout::Lost(None)));
        assert!(played[9..23].iter().all(|playout| *playout == Playout::Silence));
        assert_eq!(played[23], Playout::Packet(packet(20)));
    }

    #[test]
    fn a_burst_does_not_stay_in_the_way() {
        let burst: Vec<_> = (0..30).map(|n| (0, n, 960 * u32::from(n))).collect();
        let played = numbers(&play(8, &burst));
        // What is more than delay and slack is left out.
        assert_eq!(played[3..6], [Some(26), Some(27), Some(28)]);
    }

    proptest! {
        /// Whatever comes, each packet is played at most once, in order, and no more waits than may.
        #[test]
        fn packets_are_played_once_and_in_order(
            arrivals in proptest::collection::vec((0usize..60, 0u8..60), 0..120),
        ) {
            let arrivals: Vec<_> = arrivals.into_iter().map(|(at, n)| (at, n, 960 * u32::from(n))).collect();
            let played: Vec<u8> = numbers(&play(90, &arrivals)).into_iter().flatten().collect();
            prop_assert!(played.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", played);
        }
    }
}
