//! Which voices of a large room are forwarded: the loudest few. Nobody follows more, and each open microphone costs every listener.
//!
//! The choice is made packet by packet, so that the first word is not cut off. It looks at no more than the fixed number of places.

use std::time::{Duration, Instant};

/// A voice that is louder by this much, in decibels, takes the place of a present one.
const MARGIN: f32 = 6.0;
/// How long a voice keeps its place at least, and how long after its last word it keeps it from those who speak.
const STAY: Duration = Duration::from_millis(1_000);

#[derive(Clone, Copy, Debug)]
struct Voice<K> {
    who: K,
    loudness: f32,
    since: Instant,
    heard: Instant,
}

/// The places of a room.
#[derive(Clone, Debug)]
pub struct Audible<K> {
    places: Vec<Option<Voice<K>>>,
}

impl<K: Copy + PartialEq> Audible<K> {
    /// A room with so many places.
    pub fn new(places: usize) -> Self {
        Self { places: vec![None; places] }
    }

    /// How many it has.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// Gives it more or fewer. Those on the last of them lose theirs.
    pub fn resize(&mut self, places: usize) {
        self.places.resize(places, None);
    }

    /// Takes in a voice's packet: how loud it is, if it speaks, and the place that it had last. Returns the place that it has now; `None`:
    /// the packet isn't forwarded.
    pub fn offer(&mut self, now: Instant, who: K, speaking: Option<f32>, place: Option<usize>) -> Option<usize> {
        if let Some(place) = place
            && let Some(Some(voice)) = self.places.get_mut(place)
            && voice.who == who
        {
            voice.loudness = speaking.unwrap_or(0.0);
            if speaking.is_some() {
                voice.heard = now;
            }
            return Some(place);
        }
        let loudness = speaking?;
        let place = self.free(now, loudness)?;
        *self.places.get_mut(place)? = Some(Voice { who, loudness, since: now, heard: now });
        Some(place)
    }

    /// A place for a voice of this loudness: an empty one, a silent one's, or that of a much softer one.
    fn free(&self, now: Instant, loudness: f32) -> Option<usize> {
        let rank = |voice: &Voice<K>| {
            let silent = now.saturating_duration_since(voice.heard) >= STAY;
            if silent { f32::NEG_INFINITY } else { voice.loudness }
        };
        let weakest = self.places.iter().enumerate().map(|(index, place)| (index, place.as_ref())).min_by(
            |(_, a), (_, b)| match (a, b) {
                (None, _) => std::cmp::Ordering::Less,
                (_, None) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => rank(a).total_cmp(&rank(b)),
            },
        )?;
        match weakest {
            (index, None) => Some(index),
            (index, Some(voice)) => {
                let settled = now.saturating_duration_since(voice.since) >= STAY;
                (settled && loudness > rank(voice) + MARGIN).then_some(index)
            }
        }
    }

    /// Frees the place of a voice that is gone.
    pub fn remove(&mut self, who: K) {
        for place in self.places.iter_mut().filter(|place| place.is_some_and(|voice| voice.who == who)) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Voices that speak at these levels, 50 packets a second; who of them was heard in the last packet.
    struct Room {
        audible: Audible<usize>,
        places: Vec<Option<usize>>,
        now: Instant,
    }

    impl Room {
        fn new(voices: usize, places: usize) -> Self {
            Self { audible: Audible::new(places), places: vec![None; voices], now: Instant::now() }
        }

        fn speak(&mut self, levels: &[Option<f32>], packets: usize) -> Vec<usize> {
            let mut heard = Vec::new();
            for _ in 0..packets {
                for (who, level) in levels.iter().enumerate() {
                    self.places[who] = self.audible.offer(self.now, who, *level, self.places[who]);
                }
                // Who was pushed out in this round learns of it with the next packet.
                heard = self.audible.places.iter().flatten().map(|voice| voice.who).collect();
                heard.sort_unstable();
                self.now += Duration::from_millis(20);
            }
            heard
        }
    }

    #[test]
    fn the_first_word_is_heard_and_silence_makes_room() {
        let mut room = Room::new(4, 2);
        assert_eq!(room.speak(&[Some(20.0), None, None, None], 1), [0], "at once");
        assert_eq!(room.speak(&[None, Some(10.0), None, None], 1), [0, 1]);
        assert_eq!(room.speak(&[None, Some(10.0), Some(10.0), None], 1), [0, 1], "he may go on after a breath");
        assert_eq!(room.speak(&[None, Some(10.0), Some(10.0), None], 60), [1, 2]);
    }

    #[test]
    fn a_slightly_louder_voice_does_not_push_others_out() {
        let mut room = Room::new(3, 2);
        room.speak(&[Some(20.0), Some(22.0), None], 100);
        assert_eq!(room.speak(&[Some(20.0), Some(22.0), Some(25.0)], 100), [0, 1]);
        assert_eq!(room.speak(&[Some(20.0), Some(22.0), Some(29.0)], 1), [1, 2]);
        room.speak(&[None, Some(39.0), Some(29.0)], 1);
        // Nor does the one who was pushed out come back by shouting a moment later.
        assert_eq!(room.speak(&[Some(40.0), Some(39.0), Some(29.0)], 1), [1, 2]);
    }

    #[test]
    fn where_places_are_taken_away_the_louder_ones_come_to_those_that_are_left() {
        let mut room = Room::new(4, 4);
        let levels = [Some(20.0), Some(20.0), Some(20.0), Some(40.0)];
        assert_eq!(room.speak(&levels, 100), [0, 1, 2, 3]);
        room.audible.resize(2);
        assert!(room.speak(&levels, 1).contains(&3));
        room.audible.resize(4);
        assert_eq!(room.speak(&levels, 1), [0, 1, 2, 3]);
    }

    #[test]
    fn who_leaves_leaves_a_place() {
        let mut room = Room::new(3, 2);
        room.speak(&[Some(20.0), Some(20.0), Some(20.0)], 5);
        room.audible.remove(0);
        assert_eq!(room.speak(&[None, Some(20.0), Some(20.0)], 1), [1, 2]);
    }

    proptest! {
        #[test]
        fn no_more_are_heard_than_there_are_places(
            turns in proptest::collection::vec(proptest::collection::vec(proptest::option::of(0f32..50.0), 12), 1..40),
        ) {
            let mut room = Room::new(12, 5);
            for levels in turns {
                prop_assert!(room.speak(&levels, 10).len() <= 5);
            }
        }
    }
}
