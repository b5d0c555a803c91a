//! Which frames of one stream a receiver gets.
//!
//! It goes down at once: what a lower quality needs, it has had. It goes up only where the stream says that it can: at key pictures, and
//! at frames that let receivers of lower qualities in. A picture is never cut in the middle.

use super::{
    codec::targets::{Target, Targets},
    stream::{Frame, Stream},
};

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is forwarded; with the marker bit if the receiver's picture ends with it.
    Forward {
        /// The marker bit.
        marker: bool,
        /// The qualities that the receiver is to be told it gets, if that changes with this packet.
        active: Option<Targets>,
    },
    /// The receiver doesn't get it.
    LeaveOut,
}

/// The frames of late that were forwarded, by their numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Forwarded {
    highest: u16,
    /// Bit n: the frame n before the highest.
    frames: u128,
}

impl Forwarded {
    fn insert(&mut self, number: u16) {
        let ahead = number.wrapping_sub(self.highest);
        if ahead < 1 << 15 {
            self.frames = self.frames.checked_shl(ahead.into()).unwrap_or(0) | 1;
            self.highest = number;
        } else {
            self.frames |= 1u128.checked_shl(self.highest.wrapping_sub(number).into()).unwrap_or(0);
        }
    }

    fn contains(&self, number: u16) -> bool {
        let behind = self.highest.wrapping_sub(number);
        self.frames.checked_shr(behind.into()).is_some_and(|frames| frames & 1 == 1)
    }
}

/// One receiver's place inside one stream.
#[derive(Clone, Copy, Debug)]
pub struct Selector {
    wanted: Target,
    current: Target,
    /// The layout that the numbers below are of.
    version: Option<u32>,
    goal: usize,
    index: usize,
    /// The timestamp of the picture that is being forwarded.
    picture: Option<u32>,
    /// The timestamp from which on `index` holds, and what held before.
    since: Option<(u32, usize)>,
    forwarded: Forwarded,
    /// What the receiver was told that it gets.
    told: Option<Targets>,
}

impl Default for Selector {
    fn default() -> Self {
        Self {
            wanted: Target::ALL,
            current: Target::ALL,
            version: None,
            goal: 0,
            index: 0,
            picture: None,
            since: None,
            forwarded: Forwarded::default(),
            told: None,
        }
    }
}

impl Selector {
    /// Begins a stream with a key picture, wanting this quality.
    pub fn begin(&mut self, wanted: Target) {
        *self = Self { wanted, current: wanted, ..Self::default() };
    }

    /// Wants another quality from now on.
    pub fn want(&mut self, wanted: Target) {
        if self.wanted != wanted {
            self.wanted = wanted;
            self.version = None;
        }
    }

    /// The stream began anew, with other timestamps and frame numbers.
    pub fn restart(&mut self) {
        self.picture = None;
        self.since = None;
        self.forwarded = Forwarded::default();
    }

    /// The quality that is wanted.
    pub fn wanted(&self) -> Target {
        self.wanted
    }

    /// The quality that is forwarded.
    pub fn current(&self) -> Target {
        self.current
    }

    /// Whether only a key picture brings what is wanted.
    pub fn needs_keyframe(&mut self, stream: &Stream) -> bool {
        self.resolve(stream);
        let (layout, wanted, current) = (stream.layout(), self.wanted, self.current);
        let (goal, now) = (layout.get(self.goal), layout.get(self.index));
        let lower = layout.best(lower_of(wanted, current));
        goal.spatial > now.spatial || (goal.spatial < now.spatial && !layout.includes(self.index, lower))
    }

    /// Decides on a packet of the stream.
    pub fn judge(&mut self, stream: &Stream, frame: &Frame, timestamp: u32, marker: bool) -> Verdict {
        self.resolve(stream);
        let ahead = self.picture.map_or(1, |picture| timestamp.wrapping_sub(picture));
        let late = ahead >= 1 << 31;
        if !late && ahead > 0 {
            self.picture = Some(timestamp);
            self.lower(stream, timestamp);
        }
        if !late && frame.keyframe {
            // `current` stays as it was wanted: layers of which nothing came yet belong to it, too.
            self.move_to(self.goal, timestamp);
            self.current = self.wanted;
        } else if !late && frame.begins && self.index != self.goal {
            self.raise(stream, frame, timestamp);
        }
        let index = match self.since {
            Some((since, before)) if late && timestamp.wrapping_sub(since) >= 1 << 31 => before,
            _ => self.index,
        };
        if !frame.needed.contains(index) {
            return Verdict::LeaveOut;
        }
        if let Some(number) = frame.number {
            self.forwarded.insert(number.number);
        }
        let ends = frame.ends && frame.layer.spatial == stream.layout().get(index).spatial;
        let active = if late { None } else { self.tell(stream, frame) };
        Verdict::Forward { marker: marker || ends, active }
    }

    /// What the receiver is to be told (AV1 RTP specification, A.8.3): its set of qualities, where it changes and where the packet speaks of
    /// the publisher's.
    fn tell(&mut self, stream: &Stream, frame: &Frame) -> Option<Targets> {
        frame.number?;
        let within = stream.layout().within(self.index);
        if !frame.tells_active && (!frame.begins || self.told.unwrap_or(stream.layout().all()) == within) {
            return None;
        }
        self.told = Some(within);
        Some(within)
    }

    fn resolve(&mut self, stream: &Stream) {
        if self.version != Some(stream.version()) {
            self.version = Some(stream.version());
            self.goal = stream.layout().best(self.wanted);
            self.index = stream.layout().best(self.current);
        }
    }

    fn move_to(&mut self, index: usize, timestamp: u32) {
        if index != self.index {
            self.since = Some((timestamp, self.index));
            self.index = index;
        }
    }

    /// Goes down as far as what was forwarded allows.
    fn lower(&mut self, stream: &Stream, timestamp: u32) {
        let layout = stream.layout();
        let (now, goal) = (layout.get(self.index), layout.get(self.goal));
        // In both respects, or where the lower pictures stand for themselves, in frame rate only.
        let slower = Target { spatial: now.spatial, ..lower_of(now, goal) };
        for target in [lower_of(now, goal), slower] {
            let index = layout.best(target);
            if index != self.index && layout.includes(self.index, index) {
                self.move_to(index, timestamp);
                self.current = layout.get(index);
                return;
            }
        }
    }

    /// Goes up in frame rate if the frame lets it. Taller pictures begin with key pictures only: in the middle of others, the end of the
    /// picture would have been marked already.
    fn raise(&mut self, stream: &Stream, frame: &Frame, timestamp: u32) {
        let entry = &frame.entry;
        let has = |difference: &u16| {
            frame.number.is_none_or(|number| self.forwarded.contains(number.number.wrapping_sub(*difference)))
        };
        if !entry.from.contains(self.index) || !entry.needs.as_slice().iter().all(has) {
            return;
        }
        let layout = stream.layout();
        let (now, goal) = (layout.get(self.index), layout.get(self.goal));
        let fits = |target: &Target| {
            target.spatial == now.spatial && target.temporal > now.temporal && target.temporal <= goal.temporal
        };
        let best = entry.to.iter().filter(|index| fits(&layout.get(*index))).max_by_key(|index| layout.get(*index));
        if let Some(index) = best {
            self.move_to(index, timestamp);
            self.current = layout.get(index);
        }
    }
}

/// The lower of two in both respects.
fn lower_of(one: Target, other: Target) -> Target {
    Target { spatial: one.spatial.min(other.spatial), temporal: one.temporal.min(other.temporal) }
}

#[cfg(test)]
mod tests;
