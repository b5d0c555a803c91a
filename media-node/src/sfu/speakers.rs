//! Active speakers, from the audio levels that clients put into their packets (RFC 6464).

use std::time::{Duration, Instant};

/// Most participants that are named at once.
pub const MAX_SPEAKERS: usize = 5;
/// How often the list is made.
pub const INTERVAL: Duration = Duration::from_millis(300);
/// Loudness in decibels below overload from which on a voice counts.
const AUDIBLE: f32 = 50.0;
/// A voice stays in the list for this long after its last audible packet: pauses between words aren't the end.
const HOLD: Duration = Duration::from_millis(900);
/// Who leads the list for as long becomes the dominant speaker: a cough doesn't move pictures.
const DOMINATES: Duration = Duration::from_secs(2);

/// Follows the loudness of one audio track.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    /// Smoothed loudness above the audible, in decibels.
    loudness: f32,
    heard: Option<Instant>,
}

impl Level {
    /// Takes in a packet's level: 0 (overload) to 127 (silence), in decibels below overload.
    pub fn update(&mut self, now: Instant, level: u8, voice: Option<bool>) {
        let above = (AUDIBLE - f32::from(level)).max(0.0);
        let above = if voice == Some(false) { above / 4.0 } else { above };
        // Rises within a few packets of 20 ms, falls over half a second.
        let weight = if above > self.loudness { 0.3 } else { 0.05 };
        self.loudness += (above - self.loudness) * weight;
        if above > 3.0 {
            self.heard = Some(now);
        }
    }

    /// How loud the track is now, or `None` when nobody speaks.
    pub fn speaking(&self, now: Instant) -> Option<f32> {
        self.heard.filter(|heard| now.saturating_duration_since(*heard) < HOLD).map(|_| self.loudness)
    }
}

/// Makes a room's list, and says when it has changed.
#[derive(Clone, Debug)]
pub struct Speakers<P> {
    listed: Vec<P>,
    made: Option<Instant>,
    dominant: Option<P>,
    /// Who leads instead, and since when.
    challenger: Option<(P, Instant)>,
}

impl<P> Default for Speakers<P> {
    fn default() -> Self {
        Self { listed: Vec::new(), made: None, dominant: None, challenger: None }
    }
}

impl<P: Clone + PartialEq> Speakers<P> {
    /// Whether it is time to make the list.
    pub fn due(&self, now: Instant) -> bool {
        self.made.is_none_or(|made| now.saturating_duration_since(made) >= INTERVAL)
    }

    /// Makes the list from those who speak now. Returns it when it differs from the one before.
    ///
    /// Two speakers change places only when the louder is louder by 3 dB, so that the order doesn't flicker.
    pub fn update(&mut self, now: Instant, mut speaking: Vec<(P, f32)>) -> Option<Vec<P>> {
        self.made = Some(now);
        for (who, loudness) in &mut speaking {
            if let Some(place) = self.listed.iter().position(|listed| listed == who) {
                *loudness += 3.0 * (self.listed.len() - place) as f32 / self.listed.len() as f32;
            }
        }
        speaking.sort_by(|a, b| b.1.total_cmp(&a.1));
        let list: Vec<P> = speaking.into_iter().take(MAX_SPEAKERS).map(|(who, _)| who).collect();
        self.follow(now, list.first());
        if list == self.listed {
            return None;
        }
        self.listed.clone_from(&list);
        Some(list)
    }

    /// Who speaks more than a word: the last one who led the list for two seconds. Stays when everyone falls silent.
    pub fn dominant(&self) -> Option<&P> {
        self.dominant.as_ref()
    }

    fn follow(&mut self, now: Instant, leader: Option<&P>) {
        match (leader, &self.challenger) {
            (Some(leader), _) if self.dominant.as_ref() == Some(leader) => self.challenger = None,
            (Some(leader), Some((who, since))) if who == leader => {
                if now.saturating_duration_since(*since) >= DOMINATES {
                    self.dominant = self.challenger.take().map(|(who, _)| who);
                }
            }
            (leader, _) => self.challenger = leader.map(|leader| (leader.clone(), now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loudest_leads_and_silence_ends_it() {
        let start = Instant::now();
        let (mut loud, mut soft) = (Level::default(), Level::default());
        let mut now = start;
        for _ in 0..25 {
            now += Duration::from_millis(20);
            loud.update(now, 15, None);
            soft.update(now, 35, None);
        }
        let mut speakers = Speakers::default();
        let list = |now| {
            [("loud", loud), ("soft", soft)].iter().filter_map(|(who, l)| Some((*who, l.speaking(now)?))).collect()
        };
        assert_eq!(speakers.update(now, list(now)), Some(vec!["loud", "soft"]));
        assert_eq!(speakers.update(now, list(now)), None, "unchanged");
        now += HOLD;
        assert_eq!(speakers.update(now, list(now)), Some(vec![]));
    }

    #[test]
    fn background_noise_is_no_speaker() {
        let mut level = Level::default();
        let now = Instant::now();
        (0..100).for_each(|_| level.update(now, 60, None));
        assert_eq!(level.speaking(now), None);
    }

    #[test]
    fn at_most_five_are_named() {
        let mut speakers = Speakers::default();
        let list = speakers.update(Instant::now(), (0..9).map(|n| (n, n as f32)).collect()).unwrap();
        assert_eq!(list, [8, 7, 6, 5, 4]);
    }

    #[test]
    fn who_leads_for_two_seconds_dominates_until_another_does() {
        let mut speakers = Speakers::default();
        let mut now = Instant::now();
        let mut lead = |speakers: &mut Speakers<&'static str>, who: &'static str, ms: u64| {
            for _ in 0..ms / 300 {
                speakers.update(now, if who.is_empty() { vec![] } else { vec![(who, 9.0)] });
                now += INTERVAL;
            }
            speakers.dominant().copied()
        };
        assert_eq!(lead(&mut speakers, "one", 1_800), None);
        assert_eq!(lead(&mut speakers, "one", 900), Some("one"));
        assert_eq!(lead(&mut speakers, "two", 1_200), Some("one"), "a remark");
        assert_eq!(lead(&mut speakers, "", 3_000), Some("one"));
        assert_eq!(lead(&mut speakers, "two", 3_000), Some("two"));
    }
}
