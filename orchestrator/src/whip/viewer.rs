//! What a WHEP client sees: which of the room's tracks is on which of its m-lines.
//!
//! A WHEP client offers once. Its m-lines are filled as publishers come, and what is on them changes without a negotiation. Where
//! the room has more tracks than the client has m-lines, screens come first, then who spoke last. A state machine: the room's events go in,
//! subscriptions come out, time is an argument.

use super::offer::Line;
use crate::session::{Event, Kind, ParticipantId, ParticipantInfo, Priority, Source, Subscription, TrackId, TrackInfo};
use chroom_primitives::UnixMs;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// How long a track stays on an m-line before another may take its place, in milliseconds: nobody can follow faster cuts.
const STAY_MS: u64 = 2_000;

/// What a client wants to see.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    /// This participant's tracks alone, by identity.
    pub identity: Option<String>,
    /// Greatest height of the picture; 0: the best that fits.
    pub max_height: u32,
}

#[derive(Default)]
struct Person {
    identity: String,
    /// Grows with each word of theirs; 0: silent so far.
    spoke: u64,
}

struct Shown {
    participant: ParticipantId,
    kind: Kind,
    source: Source,
    muted: bool,
    /// The order in which tracks came.
    order: u64,
}

struct Slot {
    mid: String,
    kind: Kind,
    track: Option<TrackId>,
    /// Since when, Unix ms.
    since: UnixMs,
    /// Whether the media node may have something else on it: the last change failed.
    doubtful: bool,
}

/// A WHEP client's view of its room.
pub struct Viewer {
    choice: Choice,
    slots: Vec<Slot>,
    people: BTreeMap<ParticipantId, Person>,
    speaking: BTreeSet<ParticipantId>,
    tracks: BTreeMap<TrackId, Shown>,
    count: u64,
}

impl Viewer {
    /// A view through these m-lines.
    pub fn new(lines: &[Line], choice: Choice) -> Self {
        let slot =
            |line: &Line| Slot { mid: line.mid.clone(), kind: line.kind, track: None, since: 0, doubtful: false };
        Self {
            choice,
            slots: lines.iter().map(slot).collect(),
            people: BTreeMap::new(),
            speaking: BTreeSet::new(),
            tracks: BTreeMap::new(),
            count: 0,
        }
    }

    /// Somebody is in the room, with these tracks.
    pub fn meet(&mut self, participant: &ParticipantInfo) {
        let person = Person { identity: participant.identity.clone(), ..Person::default() };
        self.people.entry(participant.id.clone()).or_insert(person);
        for track in &participant.tracks {
            self.publish(&participant.id, track);
        }
    }

    fn publish(&mut self, participant: &ParticipantId, track: &TrackInfo) {
        let person = self.people.get(participant);
        if self.choice.identity.is_some() && self.choice.identity.as_ref() != person.map(|person| &person.identity) {
            return;
        }
        self.count += 1;
        let shown = Shown {
            participant: participant.clone(),
            kind: track.kind,
            source: track.source,
            muted: track.muted,
            order: self.count,
        };
        self.tracks.entry(track.id.clone()).or_insert(shown);
    }

    /// Something happened in the room.
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::ParticipantJoined { participant } => self.meet(participant),
            Event::ParticipantLeft { participant, .. } => {
                self.people.remove(participant);
                self.speaking.remove(participant);
                self.tracks.retain(|_, shown| shown.participant != *participant);
            }
            Event::TrackPublished { participant, track } => self.publish(participant, track),
            Event::TrackUnpublished { track, .. } => {
                self.tracks.remove(track);
            }
            Event::TrackMuted { track, muted, .. } => {
                if let Some(shown) = self.tracks.get_mut(track) {
                    shown.muted = *muted;
                }
            }
            Event::ActiveSpeakers { participants } => {
                self.speaking = participants.iter().cloned().collect();
                // The loudest gets the greatest number.
                for participant in participants.iter().rev() {
                    self.count += 1;
                    if let Some(person) = self.people.get_mut(participant) {
                        person.spoke = self.count;
                    }
                }
            }
            Event::LayersWanted { .. } | Event::VideosPaused { .. } | Event::Moved { .. } | Event::Closed { .. } => {}
        }
    }

    /// What changes on the m-lines now. Asked for after events, and once a second: a track that may not be replaced yet may be later.
    pub fn choose(&mut self, now: UnixMs) -> Vec<Subscription> {
        let mut changes = Vec::new();
        for kind in [Kind::Audio, Kind::Video] {
            self.choose_kind(kind, now, &mut changes);
        }
        changes
    }

    /// These changes failed: they are made again with the next choice.
    pub fn failed(&mut self, changes: &[Subscription]) {
        for slot in &mut self.slots {
            if changes.iter().any(|change| change.mid == slot.mid) {
                slot.track = None;
                slot.since = 0;
                slot.doubtful = true;
            }
        }
    }

    /// The tracks of a kind that are worth an m-line, best first.
    fn ranked(&self, kind: Kind) -> Vec<TrackId> {
        let mut all: Vec<(&TrackId, &Shown)> = self.tracks.iter().filter(|(_, shown)| shown.kind == kind).collect();
        all.sort_by_key(|(_, shown)| {
            let spoke = self.people.get(&shown.participant).map_or(0, |person| person.spoke);
            // A picture of a screen comes before all faces; its sound after its owner's voice.
            let (before, after) = match shown.source {
                Source::Screen => (0, 0),
                Source::Camera => (1, 0),
                Source::Microphone => (1, 0),
                Source::ScreenAudio => (1, 1),
            };
            (shown.muted, before, Reverse(spoke), after, shown.order)
        });
        let slots = self.slots.iter().filter(|slot| slot.kind == kind).count();
        all.into_iter().take(slots).map(|(id, _)| id.clone()).collect()
    }

    /// Whether what is on a slot may make room for `newcomer`.
    fn yields(&self, slot: &Slot, newcomer: &TrackId, now: UnixMs) -> bool {
        let Some(shown) = slot.track.as_ref().and_then(|track| self.tracks.get(track)) else { return true };
        let screen = self.tracks.get(newcomer).is_some_and(|new| new.source == Source::Screen);
        let talks = self.speaking.contains(&shown.participant) && !shown.muted;
        now.saturating_sub(slot.since) >= STAY_MS && (screen || !talks)
    }

    fn choose_kind(&mut self, kind: Kind, now: UnixMs, changes: &mut Vec<Subscription>) {
        let wanted = self.ranked(kind);
        let on = |slots: &[Slot], track: &TrackId| slots.iter().any(|slot| slot.track.as_ref() == Some(track));
        for slot in self.slots.iter_mut().filter(|slot| slot.kind == kind) {
            let ended = slot.track.as_ref().is_some_and(|track| !self.tracks.contains_key(track));
            if ended || std::mem::take(&mut slot.doubtful) {
                slot.track = None;
                slot.since = 0;
                changes.push(Subscription {
                    mid: slot.mid.clone(),
                    track: None,
                    max_height: 0,
                    priority: Priority::default(),
                });
            }
        }
        for track in &wanted {
            if on(&self.slots, track) {
                continue;
            }
            let kept = |slot: &Slot| slot.track.as_ref().is_some_and(|track| wanted.contains(track));
            let place = self
                .slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.kind == kind && !kept(slot) && self.yields(slot, track, now))
                // A free one first.
                .min_by_key(|(index, slot)| (slot.track.is_some(), *index))
                .map(|(index, _)| index);
            let Some(slot) = place.and_then(|index| self.slots.get_mut(index)) else { continue };
            slot.track = Some(track.clone());
            slot.since = now;
            // One word per m-line.
            changes.retain(|change| change.mid != slot.mid);
            let max_height = if kind == Kind::Video { self.choice.max_height } else { 0 };
            let (mid, track) = (slot.mid.clone(), Some(track.clone()));
            changes.push(Subscription { mid, track, max_height, priority: Priority::default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(mid: &str, kind: Kind) -> Line {
        Line { mid: mid.into(), kind }
    }

    fn person(id: &str) -> ParticipantInfo {
        ParticipantInfo {
            id: ParticipantId(id.into()),
            identity: format!("{id}@home"),
            name: String::new(),
            tracks: Vec::new(),
        }
    }

    fn joined(id: &str) -> Event {
        Event::ParticipantJoined { participant: person(id) }
    }

    fn published(who: &str, id: &str, source: Source) -> Event {
        let track = TrackInfo { id: TrackId(id.into()), kind: source.kind(), source, muted: false, layers: Vec::new() };
        Event::TrackPublished { participant: ParticipantId(who.into()), track }
    }

    fn unpublished(who: &str, id: &str) -> Event {
        Event::TrackUnpublished { participant: ParticipantId(who.into()), track: TrackId(id.into()) }
    }

    fn speak(who: &[&str]) -> Event {
        Event::ActiveSpeakers { participants: who.iter().map(|id| ParticipantId((*id).into())).collect() }
    }

    fn told(changes: &[Subscription]) -> Vec<(&str, &str)> {
        changes.iter().map(|c| (c.mid.as_str(), c.track.as_ref().map_or("-", |track| track.as_str()))).collect()
    }

    fn one_of_each() -> Viewer {
        Viewer::new(&[line("a", Kind::Audio), line("v", Kind::Video)], Choice { max_height: 360, ..Choice::default() })
    }

    #[test]
    fn lines_are_filled_as_publishers_come_and_freed_as_they_go() {
        let mut viewer = one_of_each();
        assert!(viewer.choose(0).is_empty());
        for event in
            [joined("p1"), published("p1", "voice", Source::Microphone), published("p1", "face", Source::Camera)]
        {
            viewer.hear(&event);
        }
        let changes = viewer.choose(10);
        assert_eq!(told(&changes), [("a", "voice"), ("v", "face")]);
        assert_eq!((changes[0].max_height, changes[1].max_height), (0, 360));
        assert!(viewer.choose(20).is_empty(), "nothing changed");
        viewer.hear(&unpublished("p1", "face"));
        assert_eq!(told(&viewer.choose(30)), [("v", "-")]);
        viewer.hear(&Event::ParticipantLeft { participant: ParticipantId("p1".into()), reason: "left".into() });
        assert_eq!(told(&viewer.choose(40)), [("a", "-")]);
    }

    #[test]
    fn who_speaks_takes_the_place_of_who_does_not_but_not_too_fast() {
        let mut viewer = one_of_each();
        for who in ["p1", "p2"] {
            viewer.hear(&joined(who));
            viewer.hear(&published(who, &format!("{who}voice"), Source::Microphone));
            viewer.hear(&published(who, &format!("{who}face"), Source::Camera));
        }
        assert_eq!(told(&viewer.choose(1_000)), [("a", "p1voice"), ("v", "p1face")]);
        viewer.hear(&speak(&["p2"]));
        assert!(viewer.choose(2_000).is_empty(), "too early");
        assert_eq!(told(&viewer.choose(3_000)), [("a", "p2voice"), ("v", "p2face")]);
        // Both at once: who is there stays, whoever is louder.
        viewer.hear(&speak(&["p1", "p2"]));
        assert!(viewer.choose(10_000).is_empty());
        viewer.hear(&speak(&["p1"]));
        assert_eq!(told(&viewer.choose(11_000)), [("a", "p1voice"), ("v", "p1face")]);
        // Silence changes nothing.
        viewer.hear(&speak(&[]));
        assert!(viewer.choose(20_000).is_empty());
    }

    #[test]
    fn a_screen_comes_before_faces_and_its_sound_after_voices() {
        let mut viewer = one_of_each();
        viewer.hear(&joined("p1"));
        viewer.hear(&published("p1", "sound", Source::ScreenAudio));
        viewer.hear(&published("p1", "voice", Source::Microphone));
        viewer.hear(&published("p1", "face", Source::Camera));
        viewer.hear(&speak(&["p1"]));
        assert_eq!(told(&viewer.choose(0)), [("a", "voice"), ("v", "face")]);
        viewer.hear(&published("p1", "screen", Source::Screen));
        assert_eq!(told(&viewer.choose(5_000)), [("v", "screen")]);
        viewer.hear(&unpublished("p1", "screen"));
        assert_eq!(told(&viewer.choose(5_100)), [("v", "face")]);
    }

    #[test]
    fn one_participant_can_be_chosen() {
        let choice = Choice { identity: Some("p2@home".into()), max_height: 0 };
        let mut viewer = Viewer::new(&[line("v", Kind::Video)], choice);
        for who in ["p1", "p2"] {
            viewer.hear(&joined(who));
            viewer.hear(&published(who, who, Source::Camera));
        }
        assert_eq!(told(&viewer.choose(0)), [("v", "p2")]);
    }

    #[test]
    fn what_failed_is_tried_again_and_what_is_muted_waits() {
        let mut viewer = Viewer::new(&[line("v", Kind::Video)], Choice::default());
        for who in ["p1", "p2"] {
            viewer.hear(&joined(who));
            viewer.hear(&published(who, who, Source::Camera));
        }
        let changes = viewer.choose(0);
        assert_eq!(told(&changes), [("v", "p1")]);
        viewer.failed(&changes);
        assert_eq!(told(&viewer.choose(1)), [("v", "p1")]);
        let (participant, track) = (ParticipantId("p1".into()), TrackId("p1".into()));
        viewer.hear(&Event::TrackMuted { participant, track, muted: true });
        assert_eq!(told(&viewer.choose(9_000)), [("v", "p2")]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join(u8),
        Leave(u8),
        Publish(u8, u8),
        Unpublish(u8, u8),
        Speak(Vec<u8>),
        Wait(u64),
        Fail,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..4u8).prop_map(Step::Join),
            (0..4u8).prop_map(Step::Leave),
            (0..4u8, 0..4u8).prop_map(|(who, what)| Step::Publish(who, what)),
            (0..4u8, 0..4u8).prop_map(|(who, what)| Step::Unpublish(who, what)),
            prop::collection::vec(0..4u8, 0..3).prop_map(Step::Speak),
            (0..3_000u64).prop_map(Step::Wait),
            Just(Step::Fail),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// Whatever happens: no track is on two lines, none that ended is on any, kinds fit, and in the end no line of a kind is
        /// free while a track of it is nowhere.
        #[test]
        fn the_view_is_always_sound(steps in steps(), audio in 0..3usize, video in 0..3usize) {
            let mut lines: Vec<Line> = (0..audio).map(|i| line(&format!("a{i}"), Kind::Audio)).collect();
            lines.extend((0..video).map(|i| line(&format!("v{i}"), Kind::Video)));
            let mut viewer = Viewer::new(&lines, Choice::default());
            let mut on: BTreeMap<String, TrackId> = BTreeMap::new();
            let mut live: BTreeMap<TrackId, (u8, Kind)> = BTreeMap::new();
            let mut here = BTreeSet::new();
            let mut now = 1_000;
            let sources = [Source::Camera, Source::Microphone, Source::Screen, Source::ScreenAudio];
            for step in steps {
                let mut fail = false;
                match step {
                    Step::Join(who) => { here.insert(who); viewer.hear(&joined(&format!("p{who}"))); }
                    Step::Leave(who) => {
                        here.remove(&who);
                        live.retain(|_, (owner, _)| *owner != who);
                        viewer.hear(&Event::ParticipantLeft { participant: ParticipantId(format!("p{who}")), reason: String::new() });
                    }
                    Step::Publish(who, what) => if here.contains(&who) {
                        let source = sources[usize::from(what)];
                        live.insert(TrackId(format!("{who}{what}")), (who, source.kind()));
                        viewer.hear(&published(&format!("p{who}"), &format!("{who}{what}"), source));
                    },
                    Step::Unpublish(who, what) => {
                        live.remove(&TrackId(format!("{who}{what}")));
                        viewer.hear(&unpublished(&format!("p{who}"), &format!("{who}{what}")));
                    }
                    Step::Speak(who) => {
                        let who: Vec<String> = who.iter().map(|who| format!("p{who}")).collect();
                        viewer.hear(&speak(&who.iter().map(String::as_str).collect::<Vec<_>>()));
                    }
                    Step::Wait(ms) => now += ms,
                    Step::Fail => fail = true,
                }
                let changes = viewer.choose(now);
                if fail {
                    viewer.failed(&changes);
                    continue;
                }
                let mids: BTreeSet<&String> = changes.iter().map(|change| &change.mid).collect();
                prop_assert_eq!(mids.len(), changes.len(), "one word per line");
                for change in changes {
                    match change.track {
                        Some(track) => { on.insert(change.mid, track); }
                        None => { on.remove(&change.mid); }
                    }
                }
                let shown: BTreeSet<&TrackId> = on.values().collect();
                prop_assert_eq!(shown.len(), on.len(), "a track on two lines");
                for (mid, track) in &on {
                    let kind = if mid.starts_with('a') { Kind::Audio } else { Kind::Video };
                    prop_assert_eq!(live.get(track).map(|(_, kind)| *kind), Some(kind));
                }
                for (kind, letter, lines) in [(Kind::Audio, 'a', audio), (Kind::Video, 'v', video)] {
                    let of_kind = live.values().filter(|(_, k)| *k == kind).count();
                    let filled = on.keys().filter(|mid| mid.starts_with(letter)).count();
                    prop_assert_eq!(filled, of_kind.min(lines), "a line is free while a track is nowhere");
                }
            }
        }
    }
}
