//! A voice through Opus: a packet every 20 ms while somebody speaks; with discontinuous transmission hardly any in between.

use rand::Rng;
use std::time::Duration;

/// Time that a packet covers.
pub const FRAME: Duration = Duration::from_millis(20);
/// Samples of that time, as RTP timestamps count them.
pub const SAMPLES: u32 = 960;
/// In silence, a packet of noise parameters comes as often (Opus in DTX).
const COMFORT: Duration = Duration::from_millis(400);
/// Bytes of one of those.
const COMFORT_BYTES: usize = 24;
/// Mean lengths of talking and of silence in a conversation (ITU-T P.59).
const TALK: Duration = Duration::from_millis(1_004);
const SILENCE: Duration = Duration::from_millis(1_587);

/// How a voice is.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Audio {
    /// Bit rate of the payload while it speaks, in kb/s.
    pub kbps: u32,
    /// Whether it pauses, and silence isn't sent.
    pub dtx: bool,
}

/// A packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sound {
    /// RTP timestamp from the source's beginning on.
    pub timestamp: u32,
    /// First packet after silence (RFC 3551 §4.1).
    pub marker: bool,
    /// Loudness, decibels below overload (RFC 6464).
    pub level: u8,
    /// Payload bytes.
    pub bytes: usize,
}

/// The voice.
#[derive(Clone, Debug)]
pub struct AudioSource {
    audio: Audio,
    next: Duration,
    timestamp: u32,
    talks_until: Duration,
    silent_until: Duration,
    last_sent: Option<Duration>,
    was_silent: bool,
}

impl AudioSource {
    /// A voice that begins to speak at `start`.
    pub fn new(audio: Audio, start: Duration) -> Self {
        Self {
            audio,
            next: start,
            timestamp: 0,
            talks_until: start + TALK,
            silent_until: start,
            last_sent: None,
            was_silent: true,
        }
    }

    /// When the next 20 ms are due.
    pub fn due(&self) -> Duration {
        self.next
    }

    /// The packet of the 20 ms that are due; call again until [`AudioSource::due`] lies ahead, since microphones leave nothing out.
    pub fn poll(&mut self, now: Duration, random: &mut impl Rng) -> Option<Sound> {
        if now < self.next {
            return None;
        }
        let at = self.next;
        let timestamp = self.timestamp;
        self.next += FRAME;
        self.timestamp = self.timestamp.wrapping_add(SAMPLES);
        let silent = self.audio.dtx && self.silent(at, random);
        if silent && self.last_sent.is_some_and(|last| at - last < COMFORT) {
            self.was_silent = true;
            return None;
        }
        self.last_sent = Some(at);
        let marker = std::mem::replace(&mut self.was_silent, silent) && !silent;
        let bytes = if silent { COMFORT_BYTES } else { (self.audio.kbps as usize * 125 / 50).max(COMFORT_BYTES) };
        Some(Sound { timestamp, marker, level: if silent { 127 } else { random.random_range(20..40) }, bytes })
    }

    fn silent(&mut self, at: Duration, random: &mut impl Rng) -> bool {
        while at >= self.silent_until.max(self.talks_until) {
            // Exponential, as in the two-state model of a conversation.
            let mut draw = |mean: Duration| mean.mul_f64(-(1.0 - random.random::<f64>()).ln());
            self.silent_until = self.talks_until + draw(SILENCE);
            self.talks_until = self.silent_until + draw(TALK);
        }
        at < self.silent_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn packets(dtx: bool, seconds: u64) -> Vec<Sound> {
        let mut random = StdRng::seed_from_u64(3);
        let mut source = AudioSource::new(Audio { kbps: 32, dtx }, Duration::ZERO);
        (0..seconds * 1_000).filter_map(|at| source.poll(Duration::from_millis(at), &mut random)).collect()
    }

    #[test]
    fn speech_is_fifty_packets_a_second() {
        let all = packets(false, 10);
        assert_eq!(all.len(), 500);
        assert!(all.iter().all(|sound| sound.bytes == 80 && sound.level < 127));
        assert!(all.windows(2).all(|pair| pair[1].timestamp - pair[0].timestamp == SAMPLES));
        assert_eq!(all.iter().filter(|sound| sound.marker).count(), 1);
    }

    #[test]
    fn a_conversation_is_silent_most_of_the_time_and_time_stamps_go_on() {
        let all = packets(true, 600);
        let spoken = all.iter().filter(|sound| sound.bytes == 80).count() as f64 / 30_000.0;
        assert!((0.30..0.48).contains(&spoken), "{spoken}");
        assert!(all.windows(2).all(|pair| pair[1].timestamp - pair[0].timestamp <= 20 * SAMPLES));
        assert!(all.iter().filter(|sound| sound.marker).count() > 100);
    }
}
