//! Which quality of each video a receiver gets.
//!
//! A receiver says how tall a picture it can use, and which videos matter to it more than others; the congestion controller says what its
//! link carries. The videos stand in one order: by the receiver's priority, then by what the node knows of them, then by the wanted
//! height. In that order each gets its lowest quality, and is paused if that doesn't fit; one always plays. Then they are raised in that
//! order while the sum fits, equals in turn. So nobody's upper quality costs another the lowest one, and no video is better off than one of
//! the same demand before it. Where the link gets narrower, frame rate is given up before size.
//!
//! More needs more room than the present does, so that the choice doesn't swing; how much more is [`headroom`](super::headroom)'s to say,
//! as is when a paused video may come back.

use super::{
    headroom::{Change, Line},
    pressure,
    priority::Priority,
};
use std::cmp::Reverse;

/// One quality that a publisher sends: a layer of simulcast, or layers inside a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offered {
    /// Bit rate in kb/s.
    pub kbps: u32,
    /// Height in pixels, if known.
    pub height: Option<u16>,
    /// Number of its picture size among the publisher's, from 0: qualities that differ in frame rate only share it.
    pub size: u8,
    /// Whether packets come at present.
    pub alive: bool,
}

/// What the node itself knows of a video: decides among those of one priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Prominence {
    /// Nothing.
    #[default]
    Plain,
    /// Its publisher is the loudest in the room.
    Speaker,
    /// A shared screen.
    Screen,
}

/// One video that a receiver wants.
#[derive(Clone, Debug)]
pub struct Want {
    /// The publisher's qualities, lowest first: by size, then by frame rate.
    pub layers: Vec<Offered>,
    /// Height that the receiver can use; 0 for all.
    pub max_height: u32,
    /// The quality that is forwarded or waited for.
    pub current: Option<usize>,
    /// Whether the line didn't carry it until now.
    pub paused: bool,
    /// The receiver's own order.
    pub priority: Priority,
    /// The node's.
    pub prominence: Prominence,
}

/// Height of a picture size that isn't known yet: the usual scaling by 2 from 720 lines down.
pub fn usual_height(size: u8, sizes: u8) -> u16 {
    720 >> sizes.saturating_sub(1).saturating_sub(size).min(3)
}

/// Whether pictures of this height are all that a receiver can use. Encoders round: nine tenths are enough.
pub fn is_enough(height: u16, wanted: u32) -> bool {
    wanted != 0 && u64::from(height) * 10 >= u64::from(wanted) * 9
}

impl Want {
    /// The qualities that may be chosen, lowest first: alive ones up to the first size that is tall enough.
    fn ladder(&self) -> Vec<usize> {
        let mut ladder = Vec::with_capacity(self.layers.len());
        let sizes = self.layers.last().map_or(0, |layer| layer.size.saturating_add(1));
        let mut enough = None;
        for (index, layer) in self.layers.iter().enumerate().filter(|(_, layer)| layer.alive) {
            if enough.is_some_and(|size| layer.size != size) {
                break;
            }
            ladder.push(index);
            if is_enough(layer.height.unwrap_or_else(|| usual_height(layer.size, sizes)), self.max_height) {
                enough = Some(layer.size);
            }
        }
        ladder
    }

    fn kbps(&self, layer: usize) -> u32 {
        self.layers.get(layer).map_or(0, |layer| layer.kbps)
    }

    /// Its place in the order, smallest first.
    fn rank(&self) -> (Reverse<Class>, Reverse<u32>) {
        let height = if self.max_height == 0 { u32::MAX } else { self.max_height };
        (Reverse(self.class()), Reverse(height))
    }

    /// Those of one class are raised in turn.
    fn class(&self) -> Class {
        (self.priority, self.prominence)
    }
}

type Class = (Priority, Prominence);

/// What there is for a receiver's videos.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// What its line carries; `None`: no estimate yet, so no limit.
    pub line: Option<Line>,
    /// Share of what is wanted that the node has the time to send, in percent. What has lower qualities is lowered; the lowest ones are paused
    /// where that isn't enough, one always plays.
    pub share: u8,
}

/// What becomes of a want.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// Nothing comes from the publisher.
    Absent,
    /// The line doesn't carry it.
    Paused,
    /// This quality, by its index.
    Layer(usize),
}

/// The result for a receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// One per want.
    pub given: Vec<Given>,
    /// Bit rate of all that was wanted, in kb/s: what the congestion controller should try to find.
    pub desired_kbps: u32,
    /// What all may take in kb/s, by the budget.
    pub ceiling_kbps: Option<u32>,
    /// What flowed before, in kb/s.
    pub flowed_kbps: u32,
    /// What becomes different.
    pub change: Change,
}

/// More than what flows may fill this part of what the node has the time for, in percent.
const RELIEVED_FILL: u64 = 85;

/// Chooses qualities for all of a receiver's videos.
pub fn choose(wants: &[Want], budget: Budget) -> Choice {
    let ladders: Vec<Vec<usize>> = wants.iter().map(Want::ladder).collect();
    let tops = wants.iter().zip(&ladders).filter_map(|(want, ladder)| ladder.last().map(|top| want.kbps(*top)));
    let desired_kbps = tops.fold(0, u32::saturating_add);
    let share_of = |kbps: u32, share: u8| u32::try_from(u64::from(kbps) * u64::from(share) / 100).unwrap_or(u32::MAX);
    let relieved = (budget.share < 100).then(|| share_of(desired_kbps, budget.share));
    let bottoms = wants.iter().zip(&ladders).filter_map(|(want, ladder)| ladder.first().map(|low| want.kbps(*low)));
    let lowest_kbps = bottoms.fold(0, u32::saturating_add);
    let lowest_share = pressure::lowest_share(budget.share);
    let line = budget.line;
    let raised_kbps = line.map_or(u64::MAX, |line| line.raised_kbps.into());
    let room = |line_kbps: Option<u64>, fill: u64| {
        let line_kbps = line_kbps.unwrap_or(u64::MAX);
        let Some(relieved) = relieved.map(u64::from) else {
            return Room { floor: line_kbps, raised: line_kbps.min(raised_kbps) };
        };
        let lowest =
            if lowest_share < 100 { u64::from(share_of(lowest_kbps, lowest_share)).max(relieved) } else { u64::MAX };
        Room {
            floor: line_kbps.min(lowest.saturating_mul(fill) / 100),
            raised: line_kbps.min(raised_kbps).min(relieved * fill / 100),
        }
    };
    let ceiling_kbps = [line.map(|line| line.kbps), relieved].into_iter().flatten().min();

    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|index| wants.get(*index).map(Want::rank));

    // What of the present may stay. The limit must be one for all: if each kept its own, a later one could keep what an earlier one lacks.
    let present: Vec<Vec<usize>> = wants
        .iter()
        .zip(&ladders)
        .map(|(want, ladder)| ladder.iter().copied().filter(|layer| Some(*layer) <= want.current).collect())
        .collect();
    let held = room(line.map(|line| line.held_kbps.into()), 100);
    let kept = Filling::new(wants, &present).fill(&order, held).used;
    let more = room(line.map(|line| u64::from(line.kbps) * u64::from(line.fill) / 100), RELIEVED_FILL);
    let mut filling = Filling::new(wants, &ladders);
    if let Some(line) = line {
        filling.hold_back(&order, line, more.floor);
    }
    let filling = filling.fill(
        &order,
        Room { floor: more.floor.max(kept.min(held.floor)), raised: more.raised.max(kept.min(held.raised)) },
    );

    let given = filling.videos.iter().map(|video| match (video.step, video.ladder) {
        (_, []) => Given::Absent,
        (None, _) => Given::Paused,
        (Some(step), ladder) => ladder.get(step).map_or(Given::Absent, |layer| Given::Layer(*layer)),
    });
    let given: Vec<Given> = given.collect();
    let mut change = Change::default();
    let mut flowed_kbps = 0u32;
    for ((want, ladder), given) in wants.iter().zip(&ladders).zip(&given) {
        let layer = if let Given::Layer(layer) = given { Some(*layer) } else { None };
        let Some(current) = want.current else {
            change.resumed |= want.paused && layer.is_some();
            continue;
        };
        flowed_kbps = flowed_kbps.saturating_add(want.kbps(current));
        change.raised |= layer > Some(current);
        change.lowered |= layer < Some(current) && ladder.contains(&current);
    }
    Choice { given, desired_kbps, ceiling_kbps, flowed_kbps, change }
}

/// Sums in kb/s that may not be exceeded: by the lowest qualities, and by what is more than those.
#[derive(Clone, Copy)]
struct Room {
    floor: u64,
    raised: u64,
}

/// How far each video got.
struct Filling<'a> {
    videos: Vec<Video<'a>>,
    used: u64,
}

struct Video<'a> {
    want: &'a Want,
    ladder: &'a [usize],
    /// Its place on the ladder; `None`: paused.
    step: Option<usize>,
    /// Whether it stays paused though the line may carry it.
    waits: bool,
}

impl<'a> Filling<'a> {
    fn new(wants: &'a [Want], ladders: &'a [Vec<usize>]) -> Self {
        let videos = wants.iter().zip(ladders).map(|(want, ladder)| Video { want, ladder, step: None, waits: false });
        Self { videos: videos.collect(), used: 0 }
    }

    /// The video that plays whatever it takes. One picture is better than a still one, and than an estimate that nothing tests: the first plays
    /// though it takes a little too much, or far too much where nothing else fits either.
    fn leader(&self, order: &[usize], floor: u64) -> Option<usize> {
        let lowest = |index: &usize| self.videos.get(*index).and_then(Video::next_kbps).map(u64::from);
        let (first, kbps) = order.iter().find_map(|index| Some((*index, lowest(index)?)))?;
        let fits = || order.iter().filter_map(lowest).any(|kbps| kbps <= floor);
        (kbps * 2 <= floor.saturating_mul(3) || !fits()).then_some(first)
    }

    fn fill(mut self, order: &[usize], room: Room) -> Self {
        let leader = self.leader(order, room.floor);
        for index in order {
            self.raise(*index, if Some(*index) == leader { u64::MAX } else { room.floor });
        }
        let class = |index: &usize| self.videos.get(*index).map(|video| video.want.class());
        let classes: Vec<&[usize]> = order.chunk_by(|one, other| class(one) == class(other)).collect();
        for equals in classes {
            // Turns, until none of them can be raised.
            let mut raised = true;
            while raised {
                raised = false;
                for index in equals {
                    let plays = self.videos.get(*index).is_some_and(|video| video.step.is_some());
                    raised |= plays && self.raise(*index, room.raised);
                }
            }
        }
        self
    }

    /// Lets paused videos wait that none of a lower class plays before: beyond what all may take together that come back, one comes at a time,
    /// and none while there is reason to doubt that it can stay.
    fn hold_back(&mut self, order: &[usize], line: Line, floor: u64) {
        let playing = self.videos.iter().filter(|video| !video.want.paused && !video.ladder.is_empty());
        let least = playing.map(|video| video.want.class()).min();
        let candidate = |video: &Video| video.want.paused && least.is_none_or(|least| video.want.class() <= least);
        let lowest = |index: &usize, candidates: bool| {
            let video = self.videos.get(*index).filter(|video| candidate(video) == candidates)?;
            video.next_kbps().map(|kbps| (*index, u64::from(kbps)))
        };
        let fitting = |sum: u64, kbps: u64| sum.checked_add(kbps).filter(|sum| *sum <= floor).unwrap_or(sum);
        let mut sum = order.iter().filter_map(|index| lowest(index, false)).map(|(_, kbps)| kbps).fold(0, fitting);
        let leader = self.leader(order, floor);
        let mut trials = usize::from(line.resumes);
        let mut waits = Vec::new();
        for (index, kbps) in order.iter().filter_map(|index| lowest(index, true)) {
            let more = sum.saturating_add(kbps);
            if more <= line.together_kbps.into() || Some(index) == leader {
                sum = more;
            } else if trials > 0 && more <= floor {
                trials -= 1;
                sum = more;
            } else {
                waits.push(index);
            }
        }
        for index in waits {
            if let Some(video) = self.videos.get_mut(index) {
                video.waits = true;
            }
        }
    }

    /// Takes a video one step up if the sum stays within the limit.
    fn raise(&mut self, index: usize, limit: u64) -> bool {
        let Some(video) = self.videos.get_mut(index) else { return false };
        let Some(next) = video.next_kbps() else { return false };
        let raised = self.used.saturating_sub(video.kbps().into()).saturating_add(next.into());
        if raised > limit {
            return false;
        }
        self.used = raised;
        video.step = Some(video.next());
        true
    }
}

impl Video<'_> {
    fn next(&self) -> usize {
        self.step.map_or(0, |step| step + 1)
    }

    fn next_kbps(&self) -> Option<u32> {
        let ladder = if self.waits { &[] } else { self.ladder };
        ladder.get(self.next()).map(|layer| self.want.kbps(*layer))
    }

    fn kbps(&self) -> u32 {
        self.step.and_then(|step| self.ladder.get(step)).map_or(0, |layer| self.want.kbps(*layer))
    }
}

#[cfg(test)]
mod tests;
