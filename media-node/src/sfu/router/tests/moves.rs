//! A participant moves here from another node, whose pipe brings what it publishes until it does so here.

use super::*;
use crate::cascade::{
    datagram::MediaHead,
    link::{LocalTrack, RemotePacket, ToRoom},
};

const FAR: Handle = Handle(5);

/// The track as another node tells it.
fn told(kind: Kind, publication: u64) -> LocalTrack {
    let layers = if kind == Kind::Video { vec![rid("q"), rid("h")] } else { vec![None] };
    LocalTrack {
        track: "mine".parse().unwrap(),
        participant: "p1".parse().unwrap(),
        source: "camera".into(),
        kind,
        layers: layers.into_iter().map(|rid| LayerInfo { rid, kbps: 100, height: None, alive: true }).collect(),
        publication,
    }
}

/// A room that spans nodes, a track of another node in it, and one here who receives that.
struct Moving {
    f: Fixture,
    receiver: SessionKey,
    kind: Kind,
}

impl Moving {
    fn new(kind: Kind) -> Self {
        let mut f = Fixture::new();
        let room: RoomId = "room".parse().unwrap();
        f.router.bridge(f.now, ToRoom::Join(room.clone()), &mut f.out);
        f.router.bridge(f.now, ToRoom::Track(room, FAR, told(kind, 1)), &mut f.out);
        let receiver = f.join(2, vec![line("0", kind, false, &[])], &[], &[subscribe("0", "mine", 180)]);
        Self { f, receiver, kind }
    }

    /// A packet over the pipe.
    fn remote(&mut self, seq: u64) -> usize {
        self.remote_of(FAR, seq);
        self.f.received(self.receiver).len()
    }

    fn remote_of(&mut self, handle: Handle, seq: u64) {
        let (format, payload) = match self.kind {
            Kind::Video => (VP8, vec![0x10, 0x00, 0, 0, 0x9D, 0x01, 0x2A, 0, 0, 180, 0, 1, 1]),
            Kind::Audio => (OPUS, vec![1; 80]),
        };
        let head = MediaHead {
            seq,
            timestamp: (seq * 3_000) as u32,
            marker: true,
            starts: true,
            format,
            audio_level: None,
            voice: None,
            descriptor: None,
            quarter_turns: None,
        };
        let packet = RemotePacket { handle, layer: 0, head, payload: payload.into() };
        self.f.router.remote_packet(self.f.now, &packet, &mut self.f.out);
    }

    /// The participant negotiates with this node.
    fn publish(&mut self, number: u8) -> SessionKey {
        let (name, layers): (_, &[&str]) = if self.kind == Kind::Video { ("v", &["q", "h"]) } else { ("a", &[]) };
        self.f.join(number, vec![line(name, self.kind, true, layers)], &[publish(name, "mine")], &[])
    }

    fn local(&mut self, from: SessionKey, layer: &str, seq: u64, keyframe: bool) -> usize {
        match self.kind {
            Kind::Video => self.f.video(from, rid(layer), seq, keyframe),
            Kind::Audio => self.f.audio(from, seq, 20),
        }
        self.f.received(self.receiver).len()
    }

    fn withdraw(&mut self) {
        self.bridge(ToRoom::Withdraw("room".parse().unwrap(), FAR));
    }

    fn bridge(&mut self, order: ToRoom) {
        self.f.router.bridge(self.f.now, order, &mut self.f.out);
    }

    /// What holds whatever came before: names stand for tracks that there are, each is in one place, and voices are counted once.
    fn check(&self) {
        let Router { rooms, tracks, sessions, .. } = &self.f.router;
        for (_, room) in rooms {
            let of = |names: &HashMap<TrackId, TrackKey>, shown: bool| {
                for (name, key) in names {
                    let track = tracks.get(key.0).expect("a name stands for a track");
                    assert_eq!((&track.id, track.shown), (name, shown));
                    let owner = sessions.get(track.owner.0).expect("a track has an owner");
                    assert!(owner.up.contains(&(track.mid, *key)), "whose it is");
                }
            };
            of(&room.tracks, true);
            of(&room.successors, false);
            let voices = room.tracks.values().filter(|key| tracks[key.0].is_voice()).count();
            assert_eq!(room.voices, voices);
        }
        let named: usize = rooms.iter().map(|(_, room)| room.tracks.len() + room.successors.len()).sum();
        assert_eq!(named, tracks.len(), "no track is nobody's");
    }

    /// Whether the cascade is told that the track is published here.
    fn tells(&mut self) -> bool {
        let mut told = false;
        self.f.router.news(self.f.now, 7, |news| {
            told |= matches!(news, FromRoom::Published(..));
            true
        });
        told
    }
}

#[test]
fn the_picture_over_the_pipe_goes_on_until_the_first_key_frame_here() {
    let mut m = Moving::new(Kind::Video);
    assert_eq!(m.remote(1), 1);
    let mover = m.publish(1);
    m.f.pass(3_000);
    assert_eq!(m.remote(2), 1, "its connection isn't up yet");
    assert!(!m.tells(), "other nodes would have no picture either");
    m.f.out.requests.clear();
    assert_eq!(m.local(mover, "q", 1, false), 0);
    assert_eq!(m.f.out.requests, [(mover, rid("q"))], "its key frame was lost");
    assert_eq!(m.remote(3), 1);
    assert_eq!(m.local(mover, "q", 2, true), 1, "with this very packet");
    assert_eq!(m.remote(4), 0);
    assert_eq!(m.local(mover, "q", 3, false), 1);
    assert!(m.tells());
    m.withdraw();
    assert_eq!(m.local(mover, "q", 4, false), 1);
    assert_eq!(m.f.router.tracks.len(), 1);
}

#[test]
fn the_key_frame_that_takes_the_place_is_not_asked_for() {
    let mut m = Moving::new(Kind::Video);
    m.remote(1);
    let mover = m.publish(1);
    m.f.out.requests.clear();
    assert_eq!(m.local(mover, "q", 1, true), 1);
    assert_eq!(m.f.out.requests, []);
    let late = m.f.join(3, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "mine", 180)]);
    m.f.pass(500);
    assert_eq!(m.f.out.requests, [(mover, rid("q"))], "whoever comes later does");
    assert_eq!(m.local(mover, "q", 2, true), 1);
    assert_eq!(m.f.received(late).len(), 1);
}

#[test]
fn the_sound_over_the_pipe_goes_on_until_the_first_packet_here() {
    let mut m = Moving::new(Kind::Audio);
    assert_eq!(m.remote(1), 1);
    let mover = m.publish(1);
    assert_eq!(m.remote(2), 1);
    assert_eq!(m.local(mover, "", 1, false), 1);
    assert_eq!(m.remote(3), 0);
    assert_eq!(m.f.router.rooms.iter().map(|(_, room)| room.voices).sum::<usize>(), 1, "one voice, not two");
}

#[test]
fn the_place_is_taken_with_anything_where_the_pipe_has_ended() {
    let mut m = Moving::new(Kind::Video);
    m.remote(1);
    let mover = m.publish(1);
    m.withdraw();
    m.f.out.requests.clear();
    assert_eq!(m.local(mover, "h", 1, false), 0);
    assert_eq!(m.f.out.requests, [(mover, rid("q"))], "the receiver's request");
    assert_eq!(m.local(mover, "q", 1, true), 1);
    assert!(m.tells());
}

#[test]
fn a_participant_that_does_not_get_here_leaves_the_pipe_its_place() {
    let mut m = Moving::new(Kind::Video);
    m.remote(1);
    let mover = m.publish(1);
    let lines = vec![line("v", Kind::Video, true, &["q", "h"])];
    let other = m.f.router.open(m.f.now, opening(3)).unwrap().0;
    let taken = m.f.router.check(other, &lines, &[publish("v", "mine")], &[]);
    assert_eq!(taken, Err(RouteError::TrackTaken("mine".parse().unwrap())), "the name is no other session's");
    m.f.router.close(mover, CloseReason::ConnectTimeout, &mut m.f.out);
    assert_eq!(m.remote(2), 1);
    assert!(m.f.router.rooms.iter().all(|(_, room)| room.successors.is_empty()));
    m.f.router.check(other, &lines, &[publish("v", "mine")], &[]).unwrap();
}

#[test]
fn nobody_tells_the_one_who_moves_that_nobody_watches() {
    let mut m = Moving::new(Kind::Video);
    m.remote(1);
    let mover = m.publish(1);
    for seq in 0..80 {
        m.local(mover, "h", seq, false);
        m.f.pass(100);
    }
    let told = m.f.out.events.iter().any(|event| matches!(event, Occurrence::LayersWanted { .. }));
    assert!(!told, "{:?}", m.f.out.events);
}

#[test]
fn another_way_to_the_far_track_leaves_the_one_who_moves_its_turn() {
    let mut m = Moving::new(Kind::Video);
    m.remote(1);
    let mover = m.publish(1);
    m.withdraw();
    m.bridge(ToRoom::Track("room".parse().unwrap(), Handle(6), told(Kind::Video, 2)));
    assert_eq!(m.local(mover, "q", 1, true), 1);
}

proptest! {
    #[test]
    fn names_and_tracks_agree_whatever_comes_and_goes(
        kind in prop_oneof![Just(Kind::Video), Just(Kind::Audio)],
        steps in proptest::collection::vec((0..7u8, 1..4u8, any::<bool>()), 1..60),
    ) {
        let mut m = Moving::new(kind);
        let mut here: HashMap<u8, SessionKey> = HashMap::new();
        for (seq, (step, number, keyframe)) in (1..).zip(steps) {
            // The receiver is the second.
            let who = number + 2;
            let (handle, room) = (Handle(10 + u64::from(number)), "room".parse().unwrap());
            match (step, here.get(&who).copied()) {
                (0, _) => m.bridge(ToRoom::Withdraw(room, handle)),
                (1, _) => {
                    m.bridge(ToRoom::Withdraw(room, handle));
                    m.bridge(ToRoom::Track("room".parse().unwrap(), handle, told(kind, seq)));
                }
                (2, _) => m.remote_of(handle, seq),
                (3, None) => {
                    let (name, layers): (_, &[&str]) = if kind == Kind::Video { ("v", &["q", "h"]) } else { ("a", &[]) };
                    let lines = vec![line(name, kind, true, layers)];
                    let (key, _) = m.f.router.open(m.f.now, opening(who)).unwrap();
                    let wish = [publish(name, "mine")];
                    if m.f.router.check(key, &lines, &wish, &[]).is_ok() {
                        m.f.router.negotiated(m.f.now, key, lines, &wish, &[], &mut m.f.out);
                        m.f.router.connected(m.f.now, key, &mut m.f.out);
                        here.insert(who, key);
                    } else {
                        m.f.router.close(key, CloseReason::ClientClosed, &mut m.f.out);
                    }
                }
                (4, Some(key)) => {
                    m.f.router.close(key, CloseReason::ClientClosed, &mut m.f.out);
                    here.remove(&who);
                }
                (5, Some(key)) => drop(m.local(key, if keyframe { "q" } else { "h" }, seq, keyframe)),
                (6, _) => drop(m.tells()),
                _ => {}
            }
            m.check();
        }
    }
}
