//! The scenarios: who is in which room, and who publishes and wants what, at a size.

use crate::{
    client::publication::Content,
    model::{
        audio::Audio,
        video::{PAYLOAD, Video},
    },
    sfu::participant::{Participant, Track},
};
use std::time::Duration;

/// Receivers of one publisher in a large room; media servers bound their rooms.
const ROOM: u32 = 500;
/// Receivers of one publisher in a small room.
const SMALL_ROOM: u32 = 25;
/// Listeners are added by so many until the audio room is full.
const ROW: u32 = 100;
/// Speakers of the audio room that can talk at once: each listener has as many m-lines.
const SPEAKERS: u32 = 8;
/// Most receivers of fan-out, over all rooms.
const MOST: u32 = 10_000;

/// What happens in the rooms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// One publishes video, up to 500 in a room receive it; the size is the number of receivers.
    FanOut,
    /// The same in rooms of 25 receivers: frames of many publishers come at different times.
    Rooms,
    /// Everyone publishes sound and video and receives everyone else; the size is the number of rooms.
    Mesh,
    /// 500 listeners; the size counts hundreds of listeners of one speaker up to 5, then speakers beyond the first.
    Audio,
    /// One publishes a small video, receivers join one by one: join times and memory; the size is the number of receivers.
    Joins,
}

/// Numbers of the scenarios.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Shape {
    /// Video of fan-out.
    pub video: Video,
    /// Video of each participant of a mesh, and of the joins.
    pub small: Video,
    /// Sound.
    pub audio: Audio,
    /// Participants of a mesh.
    pub party: u32,
}

impl Default for Shape {
    fn default() -> Self {
        let video = Video { kbps: 2_500, fps: 30, height: 720, key_every: Duration::from_secs(10) };
        Self {
            video,
            small: Video { kbps: 600, height: 360, ..video },
            audio: Audio { kbps: 32, dtx: false },
            party: 10,
        }
    }
}

/// Who is there at a size.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Cast {
    /// Participants, in the order of their joining; a greater size appends.
    pub participants: Vec<Participant>,
    /// Sources that send.
    pub active: Vec<u32>,
}

impl Scenario {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::FanOut => "fan-out",
            Scenario::Rooms => "rooms",
            Scenario::Mesh => "mesh",
            Scenario::Audio => "audio",
            Scenario::Joins => "joins",
        }
    }

    /// The size to begin with, and the greatest.
    pub fn sizes(self) -> (u32, u32) {
        match self {
            Scenario::FanOut => (25, MOST),
            Scenario::Rooms => (75, MOST),
            Scenario::Mesh => (2, 500),
            Scenario::Audio => (1, ROOM / ROW + SPEAKERS - 1),
            Scenario::Joins => (200, ROOM),
        }
    }

    /// Who is there.
    pub fn cast(self, shape: &Shape, size: u32) -> Cast {
        match self {
            Scenario::FanOut => fan_out(Content::Video(shape.video), size, ROOM),
            Scenario::Rooms => fan_out(Content::Video(shape.video), size, SMALL_ROOM),
            Scenario::Joins => fan_out(Content::Video(shape.small), size, ROOM),
            Scenario::Mesh => mesh(shape, size),
            Scenario::Audio => audio(Content::Audio(shape.audio), size),
        }
    }

    /// What one receiver gets of each, as bursts of payload sizes: what is sent at once.
    pub fn bursts(self, shape: &Shape) -> Vec<Vec<usize>> {
        let frame = |video: &Video| {
            let bytes = video.kbps as usize * 125 / video.fps.max(1) as usize;
            let full = bytes / PAYLOAD;
            let rest = Some(bytes % PAYLOAD).filter(|rest| *rest > 0);
            std::iter::repeat_n(PAYLOAD, full).chain(rest).collect::<Vec<usize>>()
        };
        let sound = vec![shape.audio.kbps as usize * 125 / 50];
        match self {
            Scenario::FanOut | Scenario::Rooms => vec![frame(&shape.video)],
            Scenario::Joins => vec![frame(&shape.small)],
            Scenario::Audio => vec![sound],
            // 30 frames to 50 packets of sound.
            Scenario::Mesh => {
                let video = frame(&shape.small);
                [&video, &sound, &video, &sound, &sound, &video, &sound, &sound].map(Clone::clone).to_vec()
            }
        }
    }
}

/// In each room one publisher, then receivers.
fn fan_out(content: Content, size: u32, capacity: u32) -> Cast {
    let mut cast = Cast::default();
    for receiver in 0..size {
        let room = receiver / capacity + 1;
        // Numbers leave room for one publisher before each room's receivers.
        let owner = (room - 1) * (capacity + 1) + 1;
        let track = Track { source: room, owner, content };
        if receiver % capacity == 0 {
            cast.participants.push(Participant { number: owner, room, publish: vec![track], subscribe: vec![] });
            cast.active.push(room);
        }
        let number = owner + 1 + receiver % capacity;
        cast.participants.push(Participant { number, room, publish: vec![], subscribe: vec![track] });
    }
    cast
}

/// Everyone joins publishing first; whom one hears and sees must be there, so all of a room come in before anyone subscribes.
fn mesh(shape: &Shape, size: u32) -> Cast {
    let mut cast = Cast::default();
    for room in 1..=size {
        let members: Vec<(u32, Vec<Track>)> = (0..shape.party)
            .map(|member| {
                let owner = (room - 1) * shape.party + member + 1;
                let track = |source, content| Track { source, owner, content };
                let sound = track(2 * owner, Content::Audio(shape.audio));
                (owner, vec![sound, track(2 * owner + 1, Content::Video(shape.small))])
            })
            .collect();
        for (owner, publish) in &members {
            let others = members.iter().filter(|(other, _)| other != owner);
            let subscribe = others.flat_map(|(_, tracks)| tracks.clone()).collect();
            cast.active.extend(publish.iter().map(|track| track.source));
            cast.participants.push(Participant { number: *owner, room, publish: publish.clone(), subscribe });
        }
    }
    cast
}

fn audio(content: Content, size: u32) -> Cast {
    let track = |speaker: u32| Track { source: speaker, owner: speaker, content };
    let rows = size.min(ROOM / ROW);
    let speakers = 1 + size.saturating_sub(ROOM / ROW);
    let mut cast = Cast::default();
    for speaker in 1..=SPEAKERS {
        let publish = vec![track(speaker)];
        cast.participants.push(Participant { number: speaker, room: 1, publish, subscribe: vec![] });
    }
    for listener in 0..rows * ROW {
        let subscribe = (1..=SPEAKERS).map(track).collect();
        let number = SPEAKERS + 1 + listener;
        cast.participants.push(Participant { number, room: 1, publish: vec![], subscribe });
    }
    cast.active.extend(1..=speakers.min(SPEAKERS));
    cast
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_greater_size_only_adds_and_everything_is_unique() {
        let shape = Shape::default();
        for scenario in [Scenario::FanOut, Scenario::Rooms, Scenario::Mesh, Scenario::Audio, Scenario::Joins] {
            let mut last = Cast::default();
            for size in 1..13 {
                let size = if scenario == Scenario::FanOut { size * 100 } else { size };
                let cast = scenario.cast(&shape, size);
                assert!(cast.participants.starts_with(&last.participants), "{scenario:?} {size}");
                assert!(cast.active.starts_with(&last.active));
                let numbers: BTreeSet<u32> = cast.participants.iter().map(|one| one.number).collect();
                assert_eq!(numbers.len(), cast.participants.len());
                let published = cast.participants.iter().flat_map(|one| &one.publish);
                let sources: Vec<u32> = published.clone().map(|track| track.source).collect();
                assert_eq!(sources.iter().collect::<BTreeSet<_>>().len(), sources.len());
                for one in &cast.participants {
                    assert!(one.publish.iter().all(|track| track.owner == one.number));
                    assert!(
                        one.subscribe.iter().all(|track| sources.contains(&track.source) && track.owner != one.number)
                    );
                }
                last = cast;
            }
        }
    }

    #[test]
    fn sizes_mean_what_they_say() {
        let shape = Shape::default();
        assert_eq!(Scenario::FanOut.cast(&shape, 501).active, [1, 2]);
        assert_eq!(Scenario::FanOut.cast(&shape, 501).participants.len(), 503);
        assert_eq!(Scenario::Rooms.cast(&shape, 51).active, [1, 2, 3]);
        let mesh = Scenario::Mesh.cast(&shape, 2).participants;
        assert!(mesh.len() == 20 && mesh.iter().all(|one| one.subscribe.len() == 18));
        assert_eq!(Scenario::Audio.cast(&shape, 3).active.len(), 1);
        assert_eq!(Scenario::Audio.cast(&shape, 3).participants.len(), 308);
        assert_eq!(Scenario::Audio.cast(&shape, 7).active.len(), 3);
        assert_eq!(Scenario::FanOut.bursts(&shape)[0].iter().sum::<usize>(), 2_500 * 125 / 30);
    }
}
