//! What is noted of a client that is watched: when bytes came, and when which picture could be shown. It also asks for key frames as a browser
//! does.

use super::decoder::{Decoder, Part};
use std::time::Duration;

/// Length of a slot of the timeline.
pub const SLOT: Duration = Duration::from_millis(100);
/// Slots that are noted at most: an hour's.
const MAX_SLOTS: usize = 36_000;
/// How often is looked whether a key frame has to be asked for.
const LOOK: Duration = Duration::from_millis(20);
/// A first picture is asked for after this time.
const FIRST: Duration = Duration::from_millis(200);
/// When there was no picture for so long, a key frame is asked for.
const FROZEN: Duration = Duration::from_secs(3);
/// No more than one request in this time and a round trip.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How often a packet is asked for before a key frame is.
const ATTEMPTS: u8 = 10;

/// What is to be watched.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first of the sources whose layers are told apart: layer 0. The others follow.
    pub source: u32,
    /// The line's round trip: what is missing isn't asked for again sooner.
    pub rtt: Duration,
}

impl Plan {
    /// How a missing packet is asked for.
    pub fn patience(&self) -> super::reception::Patience {
        let again = self.rtt + LOOK;
        super::reception::Patience { again, times: ATTEMPTS, late: again * (u32::from(ATTEMPTS) + 1) }
    }
}

/// What a received packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Media in the first place.
    Media,
    /// Media that had been missing.
    Repair,
    /// What brings nothing new: probes, padding, what had come before.
    Padding,
}

/// Bytes above UDP that came in a slot of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Slot {
    /// Media in the first place.
    pub media: u64,
    /// Media that had been missing.
    pub repair: u64,
    /// All other RTP.
    pub padding: u64,
}

impl Slot {
    /// All bytes.
    pub fn all(self) -> u64 {
        self.media + self.repair + self.padding
    }
}

/// What was noted. Times count from when the client began to join.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timeline {
    /// Bytes by slots.
    pub slots: Vec<Slot>,
    /// When pictures could be shown, and of which layer.
    pub shown: Vec<(Duration, u8)>,
    /// When the first media came.
    pub first_media: Option<Duration>,
    /// Key frames that it asked for.
    pub asked: u32,
    /// Packets that were given up.
    pub given_up: u64,
}

/// The watch.
#[derive(Clone, Debug)]
pub struct Watch {
    source: u32,
    rtt: Duration,
    /// When the client began to join, counted as the load is.
    begin: Duration,
    decoder: Decoder,
    timeline: Timeline,
    next_look: Duration,
    last_asked: Option<Duration>,
    last_media: Duration,
    wanted: bool,
}

impl Watch {
    /// Begins.
    pub fn new(plan: &Plan, begin: Duration) -> Self {
        Self {
            source: plan.source,
            rtt: plan.rtt,
            begin,
            decoder: Decoder::default(),
            timeline: Timeline::default(),
            next_look: begin,
            last_asked: None,
            last_media: begin,
            wanted: false,
        }
    }

    /// What was noted so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Notes an RTP packet's bytes.
    pub fn bytes(&mut self, now: Duration, bytes: usize, class: Class) {
        let at = (now.saturating_sub(self.begin).as_millis() / SLOT.as_millis()) as usize;
        if at >= MAX_SLOTS {
            return;
        }
        let slots = &mut self.timeline.slots;
        slots.resize(slots.len().max(at + 1), Slot::default());
        let Some(slot) = slots.get_mut(at) else { return };
        *match class {
            Class::Media => &mut slot.media,
            Class::Repair => &mut slot.repair,
            Class::Padding => &mut slot.padding,
        } += bytes as u64;
    }

    /// Takes in a part of a picture, of a source, by its extended sequence number; returns the first number that is still of use.
    pub fn part(&mut self, now: Duration, index: u64, source: u32, part: Part) -> Option<u64> {
        let at = now.saturating_sub(self.begin);
        self.timeline.first_media.get_or_insert(at);
        self.last_media = now;
        let layer = source.saturating_sub(self.source).min(u8::MAX.into()) as u8;
        let shown = self.decoder.take(index, Some(Part { layer, ..part }));
        self.timeline.shown.extend(shown.into_iter().map(|layer| (at, layer)));
        self.decoder.next()
    }

    /// Takes in a packet without content.
    pub fn empty(&mut self, now: Duration, index: u64) {
        let at = now.saturating_sub(self.begin);
        let shown = self.decoder.take(index, None);
        self.timeline.shown.extend(shown.into_iter().map(|layer| (at, layer)));
    }

    /// So many packets were asked for in vain.
    pub fn gave_up(&mut self, count: u64) {
        self.timeline.given_up += count;
        self.wanted |= count > 0;
    }

    /// When [`Watch::ask`] is to be called.
    pub fn due(&self) -> Duration {
        self.next_look
    }

    /// Whether a key frame has to be asked for now.
    pub fn ask(&mut self, now: Duration) -> bool {
        self.next_look = now + LOOK;
        let Some(first) = self.timeline.first_media.map(|first| self.begin + first) else { return false };
        let frozen = match self.timeline.shown.last() {
            Some((last, _)) => now.saturating_sub(self.begin + *last) >= FROZEN,
            None => now.saturating_sub(first) >= FIRST,
        };
        // Without media there is nothing to go on with.
        let flows = now.saturating_sub(self.last_media) < FROZEN;
        let again = self.last_asked.is_none_or(|last| now.saturating_sub(last) >= ASK_AGAIN + self.rtt);
        if !(self.wanted || frozen && flows) || !again {
            return false;
        }
        self.wanted = false;
        self.last_asked = Some(now);
        self.timeline.asked += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn part(key: bool, timestamp: u32) -> Part {
        Part { begins: true, ends: true, key, timestamp, layer: 0 }
    }

    fn watch() -> Watch {
        Watch::new(&Plan { source: 7, rtt: MS(100) }, MS(1_000))
    }

    #[test]
    fn times_count_from_the_beginning_and_layers_from_the_first_source() {
        let mut watch = watch();
        watch.bytes(MS(1_050), 100, Class::Media);
        watch.bytes(MS(1_250), 10, Class::Padding);
        watch.bytes(MS(1_299), 1, Class::Repair);
        assert_eq!(watch.part(MS(1_250), 3, 9, part(true, 0)), Some(4));
        assert_eq!(watch.part(MS(1_300), 5, 9, part(false, 2)), Some(4), "4 is missing");
        let timeline = watch.timeline();
        assert_eq!(timeline.slots.iter().map(|slot| slot.all()).collect::<Vec<_>>(), [100, 0, 11]);
        assert_eq!((timeline.first_media, timeline.shown.clone()), (Some(MS(250)), vec![(MS(250), 2)]));
    }

    #[test]
    fn key_frames_are_asked_for_when_nothing_can_be_shown() {
        let mut watch = watch();
        assert!(!watch.ask(MS(1_900)), "nothing came yet");
        watch.part(MS(2_000), 3, 7, part(false, 0));
        assert!(!watch.ask(MS(2_199)) && watch.ask(MS(2_200)) && !watch.ask(MS(2_499)) && watch.ask(MS(2_500)));
        watch.part(MS(2_600), 4, 7, part(true, 1));
        assert!(!watch.ask(MS(5_000)));
        watch.part(MS(5_500), 6, 7, part(false, 3));
        assert!(!watch.ask(MS(5_599)) && watch.ask(MS(5_600)), "the picture has been standing for 3 s");
        assert!(!watch.ask(MS(8_500)), "nothing comes any more");
        watch.gave_up(2);
        assert!(watch.ask(MS(8_500)));
        assert_eq!((watch.timeline().asked, watch.timeline().given_up), (4, 2));
    }
}
