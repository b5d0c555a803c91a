use super::*;
use crate::sfu::codec::dependency::RawDescriptor;
use proptest::prelude::*;

mod choices;
mod gone;
mod moves;
mod priority;
mod scalable;
mod sound;
mod wanted;

/// A packet as it went out.
struct Sent {
    to: SessionKey,
    payload_type: u8,
    seq: u64,
    timestamp: u32,
    marker: bool,
    payload: Arc<[u8]>,
    descriptor: Option<RawDescriptor>,
}

/// Remembers what went out.
#[derive(Default)]
struct Recorder {
    sent: Vec<(SessionKey, Mid, u64, u32, Option<Rid>)>,
    packets: Vec<Sent>,
    /// Who knows redundant audio, and by which number each knows Opus, if not by 111.
    red: Vec<SessionKey>,
    opus: HashMap<SessionKey, u8>,
    requests: Vec<(SessionKey, Option<Rid>)>,
    messages: Vec<(SessionKey, Channel, Vec<u8>)>,
    wanted: Vec<(SessionKey, u32)>,
    events: Vec<Occurrence>,
    full: bool,
}

impl Outbox for Recorder {
    fn payload_type(&self, to: SessionKey, _: Mid, format: &Format) -> Option<u8> {
        match format.codec {
            Codec::Opus => Some(self.opus.get(&to).copied().unwrap_or(111)),
            Codec::Red => self.red.contains(&to).then_some(63),
            _ => Some(96),
        }
    }
    fn forward(&mut self, to: SessionKey, forward: Forward<'_>) {
        let Forward { mid, payload_type, numbers, marker, payload, descriptor, packet, .. } = forward;
        self.sent.push((to, mid, numbers.seq, numbers.timestamp, packet.rid));
        self.packets.push(Sent {
            to,
            payload_type,
            seq: numbers.seq,
            timestamp: numbers.timestamp,
            marker,
            payload: payload.clone(),
            descriptor: descriptor.map(|raw| **raw),
        });
    }
    fn request_keyframe(&mut self, of: SessionKey, _: Mid, rid: Option<Rid>) {
        self.requests.push((of, rid));
    }
    fn limit_uplink(&mut self, _: SessionKey, _: u32) {}
    fn send(&mut self, to: SessionKey, channel: Channel, message: &[u8]) -> bool {
        if !self.full {
            self.messages.push((to, channel, message.to_vec()));
        }
        !self.full
    }
    fn want_bitrate(&mut self, to: SessionKey, kbps: u32) {
        self.wanted.push((to, kbps));
    }
    fn event(&mut self, event: Event) {
        self.events.push(event.occurrence);
    }
}

const VP8: Format = Format::new(Codec::Vp8, 90_000);
const OPUS: Format = Format { channels: Some(2), ..Format::new(Codec::Opus, 48_000) };

fn mid(text: &str) -> Mid {
    Mid::parse(text).unwrap()
}

fn rid(text: &str) -> Option<Rid> {
    Rid::parse(text)
}

fn line(name: &str, kind: Kind, sends: bool, layers: &[&str]) -> Line {
    Line {
        mid: mid(name),
        kind: LineKind::Media(kind),
        client_sends: sends,
        client_receives: !sends,
        layers: layers.iter().filter_map(|name| Rid::parse(name)).collect(),
    }
}

fn opening(number: u8) -> Opening {
    Opening {
        room: "room".parse().unwrap(),
        session: SessionId([number; 16]),
        participant: format!("p{number}").parse().unwrap(),
        publish: true,
        subscribe: true,
        uplink_kbps: 0,
    }
}

fn publish(name: &str, track: &str) -> Publish {
    Publish { mid: mid(name), track: track.parse().unwrap(), source: "camera".into() }
}

fn subscribe(name: &str, track: &str, max_height: u32) -> Subscribe {
    let track = if track.is_empty() { None } else { Some(track.parse().unwrap()) };
    Subscribe { mid: mid(name), track, max_height, priority: Priority::default() }
}

struct Fixture {
    router: Router,
    out: Recorder,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self { router: Router::new(42), out: Recorder::default(), now: Instant::now() }
    }

    fn join(&mut self, number: u8, lines: Vec<Line>, publish: &[Publish], subscribe: &[Subscribe]) -> SessionKey {
        let (key, new) = self.router.open(self.now, opening(number)).unwrap();
        assert!(new);
        self.router.check(key, &lines, publish, subscribe).unwrap();
        self.router.negotiated(self.now, key, lines, publish, subscribe, &mut self.out);
        self.router.connected(self.now, key, &mut self.out);
        self.router.ready(self.now, key, &mut self.out);
        key
    }

    fn video(&mut self, from: SessionKey, layer: Option<Rid>, seq: u64, keyframe: bool) {
        let mut payload = vec![0x10, if keyframe { 0x00 } else { 0x01 }, 0, 0, 0x9D, 0x01, 0x2A, 0, 0];
        let height: u16 = match layer.map(|rid| rid.as_str().to_owned()).as_deref() {
            Some("q") => 180,
            Some("h") => 360,
            _ => 720,
        };
        payload.extend_from_slice(&height.to_le_bytes());
        payload.resize(200, 0);
        let packet = Packet {
            mid: mid("v"),
            rid: layer,
            format: VP8,
            seq,
            timestamp: (seq * 3_000) as u32,
            marker: true,
            payload: payload.into(),
            audio_level: None,
            voice: None,
            descriptor: None,
            quarter_turns: None,
            arrival: self.now,
        };
        self.router.packet(self.now, from, &packet, &mut self.out);
    }

    fn audio(&mut self, from: SessionKey, seq: u64, level: u8) {
        let packet = Packet {
            mid: mid("a"),
            rid: None,
            format: OPUS,
            seq,
            timestamp: (seq * 960) as u32,
            marker: false,
            payload: vec![1; 80].into(),
            audio_level: Some(level),
            voice: None,
            descriptor: None,
            quarter_turns: None,
            arrival: self.now,
        };
        self.router.packet(self.now, from, &packet, &mut self.out);
    }

    /// What the line towards a session carries.
    fn estimate(&mut self, to: SessionKey, kbps: u32) {
        self.router.estimate(self.now, to, Reading { kbps, clear: false }, &mut self.out);
    }

    fn pass(&mut self, ms: u64) -> Vec<(SessionKey, CloseReason)> {
        self.now += Duration::from_millis(ms);
        self.router.tick(self.now, &mut self.out)
    }

    /// What one session received since last asked: sequence numbers and layers.
    fn received(&mut self, key: SessionKey) -> Vec<(u64, Option<Rid>)> {
        let (mine, others) = std::mem::take(&mut self.out.sent).into_iter().partition(|sent| sent.0 == key);
        self.out.sent = others;
        mine.into_iter().map(|(_, _, seq, _, layer)| (seq, layer)).collect()
    }

    /// The packets that one session received since last asked.
    fn packets(&mut self, key: SessionKey) -> Vec<Sent> {
        let (mine, others) = std::mem::take(&mut self.out.packets).into_iter().partition(|sent| sent.to == key);
        self.out.packets = others;
        mine
    }
}

fn simulcast(fixture: &mut Fixture) -> SessionKey {
    fixture.join(1, vec![line("v", Kind::Video, true, &["q", "h", "f"])], &[publish("v", "video")], &[])
}

#[test]
fn a_receiver_starts_on_a_key_frame_and_switches_layers_on_one_without_a_gap() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 180)]);
    assert_eq!(f.out.requests, [(sender, rid("q"))], "a key frame is asked for at once");
    for layer in ["q", "h", "f"] {
        f.video(sender, rid(layer), 10, false);
    }
    assert!(f.received(receiver).is_empty(), "nothing before a key frame");
    for seq in 11..14 {
        for layer in ["q", "h", "f"] {
            f.video(sender, rid(layer), seq * 7, seq == 11);
        }
    }
    let got = f.received(receiver);
    assert!(got.iter().all(|(_, layer)| *layer == rid("q")) && got.len() == 3);

    f.out.requests.clear();
    f.router.subscribe(f.now, receiver, &[subscribe("0", "video", 720)], &mut f.out).unwrap();
    assert_eq!(f.out.requests, [(sender, rid("f"))]);
    f.video(sender, rid("q"), 98, false);
    f.video(sender, rid("f"), 98, false);
    assert_eq!(f.received(receiver).len(), 1, "the old layer goes on until the new one's key frame");
    f.video(sender, rid("f"), 99, true);
    f.video(sender, rid("q"), 99, false);
    f.video(sender, rid("f"), 100, false);
    let after = f.received(receiver);
    assert_eq!(after.iter().map(|(_, layer)| *layer).collect::<Vec<_>>(), [rid("f"), rid("f")]);
    assert_eq!(after[1].0, after[0].0 + 1);
}

#[test]
fn key_frame_requests_are_coalesced_and_repeated_until_one_comes() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    for number in 2..12 {
        f.join(number, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 180)]);
    }
    assert_eq!(f.out.requests.len(), 1, "ten receivers, one request");
    for _ in 0..20 {
        f.pass(100);
    }
    assert!((4..=5).contains(&f.out.requests.len()), "{}", f.out.requests.len());
    f.video(sender, rid("q"), 1, true);
    let before = f.out.requests.len();
    f.pass(100);
    f.pass(500);
    assert_eq!(f.out.requests.len(), before, "satisfied");
    let receiver = SessionKey(3);
    for _ in 0..50 {
        f.router.keyframe_wanted(f.now, receiver, mid("0"), &mut f.out);
    }
    assert_eq!(f.out.requests.len(), before + 1);
}

#[test]
fn a_strained_thread_mends_pictures_later_and_lets_newcomers_begin() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 180)]);
    f.video(sender, rid("q"), 1, true);
    let asked = f.out.requests.len();
    f.router.strain(true);
    f.pass(1_000);
    f.router.keyframe_wanted(f.now, receiver, mid("0"), &mut f.out);
    f.pass(500);
    assert_eq!(f.out.requests.len(), asked);
    let newcomer = f.join(20, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 180)]);
    assert_eq!(f.out.requests.len(), asked + 1);
    f.video(sender, rid("q"), 2, true);
    f.pass(500);
    f.router.keyframe_wanted(f.now, newcomer, mid("0"), &mut f.out);
    assert_eq!(f.out.requests.len(), asked + 1, "it has a picture now");
    f.router.strain(false);
    f.pass(100);
    assert_eq!(f.out.requests.len(), asked + 2);
}

#[test]
fn a_line_switches_tracks_with_continuous_numbers() {
    let mut f = Fixture::new();
    let one = f.join(1, vec![line("a", Kind::Audio, true, &[])], &[publish("a", "one")], &[]);
    let two = f.join(2, vec![line("a", Kind::Audio, true, &[])], &[publish("a", "two")], &[]);
    let receiver = f.join(3, vec![line("0", Kind::Audio, false, &[])], &[], &[subscribe("0", "one", 0)]);
    f.audio(one, 100, 30);
    f.audio(two, 60_000, 30);
    f.audio(one, 101, 30);
    f.router.subscribe(f.now, receiver, &[subscribe("0", "two", 0)], &mut f.out).unwrap();
    f.audio(one, 102, 30);
    f.audio(two, 60_001, 30);
    let got: Vec<u64> = f.received(receiver).into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(got, [got[0], got[0] + 1, got[0] + 2]);
    f.router.subscribe(f.now, receiver, &[subscribe("0", "", 0)], &mut f.out).unwrap();
    f.audio(two, 60_002, 30);
    assert!(f.received(receiver).is_empty(), "paused");
}

#[test]
fn a_subscription_waits_for_its_track_and_survives_its_return() {
    let mut f = Fixture::new();
    let receiver = f.join(2, vec![line("0", Kind::Audio, false, &[])], &[], &[subscribe("0", "mic", 0)]);
    let lines = vec![line("a", Kind::Audio, true, &[])];
    let sender = f.join(1, lines.clone(), &[publish("a", "mic")], &[]);
    f.audio(sender, 1, 30);
    assert_eq!(f.received(receiver).len(), 1);
    f.router.close(sender, CloseReason::ClientClosed, &mut f.out);
    let again = f.join(4, lines, &[publish("a", "mic")], &[]);
    f.audio(again, 900, 30);
    assert_eq!(f.received(receiver).len(), 1);
    let stopped = Occurrence::TrackStopped("mic".parse().unwrap());
    assert!(f.out.events.contains(&stopped));
}

#[test]
fn a_track_ends_when_its_line_stops_sending() {
    let mut f = Fixture::new();
    let sender = f.join(1, vec![line("a", Kind::Audio, true, &[])], &[publish("a", "mic")], &[]);
    f.audio(sender, 1, 30);
    assert_eq!(f.router.totals().tracks, 1);
    let silent = vec![Line { client_sends: false, ..line("a", Kind::Audio, true, &[]) }];
    f.router.negotiated(f.now, sender, silent, &[], &[], &mut f.out);
    assert_eq!(f.router.totals().tracks, 0);
    assert!(matches!(f.out.events.last(), Some(Occurrence::TrackStopped(_))));
}

#[test]
fn rights_and_ownership_are_enforced() {
    let mut f = Fixture::new();
    let lines = || vec![line("a", Kind::Audio, true, &[]), line("0", Kind::Audio, false, &[])];
    f.join(1, lines(), &[publish("a", "mic")], &[]);
    let deaf = Opening { publish: false, subscribe: false, ..opening(2) };
    let (key, _) = f.router.open(f.now, deaf).unwrap();
    let check = |key, publish: &[Publish], subscribe: &[Subscribe]| f.router.check(key, &lines(), publish, subscribe);
    assert_eq!(check(key, &[publish("a", "x")], &[]), Err(RouteError::MayNotPublish));
    assert_eq!(check(key, &[], &[subscribe("0", "mic", 0)]), Err(RouteError::MayNotSubscribe));
    let (other, _) = f.router.open(f.now, opening(3)).unwrap();
    let taken = f.router.check(other, &lines(), &[publish("a", "mic")], &[]);
    assert_eq!(taken, Err(RouteError::TrackTaken("mic".parse().unwrap())));
    let wrong = f.router.check(other, &lines(), &[publish("0", "x")], &[]);
    assert!(matches!(wrong, Err(RouteError::WrongLine(..))));
    let wrong = f.router.check(other, &lines(), &[], &[subscribe("a", "mic", 0)]);
    assert!(matches!(wrong, Err(RouteError::WrongLine(..))));
}

#[test]
fn media_waits_until_the_client_shows_that_it_is_up() {
    let lines = || vec![line("a", Kind::Audio, true, &[]), line("0", Kind::Audio, false, &[])];
    let mut f = Fixture::new();
    let sender = f.join(1, lines(), &[publish("a", "mic")], &[]);
    let waiting = |f: &mut Fixture, number: u8| {
        let (key, _) = f.router.open(f.now, opening(number)).unwrap();
        f.router.negotiated(f.now, key, lines(), &[], &[subscribe("0", "mic", 0)], &mut f.out);
        f.router.connected(f.now, key, &mut f.out);
        f.audio(sender, u64::from(number), 30);
        assert!(f.received(key).is_empty(), "its handshake may not have ended");
        key
    };
    let (opens, sends, silent) = (waiting(&mut f, 2), waiting(&mut f, 3), waiting(&mut f, 4));
    f.router.channel_open(f.now, opens, Channel::Lossy, &mut f.out);
    f.audio(sends, 1, 30);
    f.audio(sender, 10, 30);
    assert_eq!([opens, sends, silent].map(|key| f.received(key).len()), [1, 1, 0]);
    f.pass(1_000);
    f.audio(sender, 11, 30);
    assert_eq!(f.received(silent).len(), 1, "not for ever");
}

#[test]
fn opening_twice_is_harmless_until_something_was_negotiated() {
    let mut f = Fixture::new();
    let (key, _) = f.router.open(f.now, opening(1)).unwrap();
    assert_eq!(f.router.open(f.now, opening(1)), Ok((key, false)));
    let other = Opening { room: "elsewhere".parse().unwrap(), ..opening(1) };
    assert_eq!(f.router.open(f.now, other), Err(RouteError::SessionTaken));
    f.router.negotiated(f.now, key, vec![line("a", Kind::Audio, true, &[])], &[], &[], &mut f.out);
    assert_eq!(f.router.open(f.now, opening(1)), Err(RouteError::SessionTaken));
}

#[test]
fn messages_reach_everyone_else_with_the_senders_name() {
    let mut f = Fixture::new();
    let keys: Vec<SessionKey> = (1..4).map(|n| f.join(n, vec![line("a", Kind::Audio, true, &[])], &[], &[])).collect();
    f.router.channel_open(f.now, keys[1], Channel::Reliable, &mut f.out);
    f.router.channel_open(f.now, keys[2], Channel::Reliable, &mut f.out);
    f.router.channel_open(f.now, keys[2], Channel::Lossy, &mut f.out);
    assert!(f.router.message(f.now, keys[0], Channel::Reliable, b"hi", &mut f.out).is_empty());
    f.router.message(f.now, keys[0], Channel::Lossy, b"yo", &mut f.out);
    let expected = [
        (keys[1], Channel::Reliable, b"\x02p1hi".to_vec()),
        (keys[2], Channel::Reliable, b"\x02p1hi".to_vec()),
        (keys[2], Channel::Lossy, b"\x02p1yo".to_vec()),
    ];
    assert_eq!(f.out.messages, expected);
    f.out.messages.clear();
    f.router.message(f.now, keys[0], Channel::Reliable, &vec![0; limits::MAX_MESSAGE + 1], &mut f.out);
    assert!(f.out.messages.is_empty(), "too large");
}

#[test]
fn a_receiver_that_reads_nothing_is_named_and_a_flood_is_cut() {
    let mut f = Fixture::new();
    let keys: Vec<SessionKey> = (1..3).map(|n| f.join(n, vec![line("a", Kind::Audio, true, &[])], &[], &[])).collect();
    f.router.channel_open(f.now, keys[1], Channel::Reliable, &mut f.out);
    f.out.full = true;
    let big = vec![0; limits::MAX_MESSAGE];
    let mut slow = Vec::new();
    for _ in 0..100 {
        // As fast as a sender may for long.
        f.now += Duration::from_millis(250);
        slow = f.router.message(f.now, keys[0], Channel::Reliable, &big, &mut f.out);
        if !slow.is_empty() {
            break;
        }
    }
    assert_eq!(slow, [keys[1]]);
    f.out.full = false;
    f.router.channel_ready(keys[1], Channel::Reliable, &mut f.out);
    let waited = f.out.messages.len();
    assert!((60..=64).contains(&waited), "{waited}");
    f.out.messages.clear();
    for _ in 0..2_000 {
        f.router.message(f.now, keys[0], Channel::Reliable, b"x", &mut f.out);
    }
    assert!(f.out.messages.len() <= 2 * limits::MESSAGES_PER_SECOND as usize);
}

#[test]
fn what_one_sender_says_is_limited_by_bytes_too() {
    let mut f = Fixture::new();
    let keys: Vec<SessionKey> = (1..4).map(|n| f.join(n, vec![line("a", Kind::Audio, true, &[])], &[], &[])).collect();
    f.router.channel_open(f.now, keys[2], Channel::Reliable, &mut f.out);
    let big = vec![0; limits::MAX_MESSAGE];
    let passed = |f: &mut Fixture, from: usize, count: usize| {
        f.out.messages.clear();
        for _ in 0..count {
            assert!(f.router.message(f.now, keys[from], Channel::Reliable, &big, &mut f.out).is_empty());
        }
        f.out.messages.len()
    };
    let (burst, rate) = (limits::MESSAGE_BYTES_BURST as usize, limits::MESSAGE_BYTES_PER_SECOND as usize);
    assert_eq!(passed(&mut f, 0, 100), burst / limits::MAX_MESSAGE);
    assert_eq!(passed(&mut f, 1, 1), 1, "each sender has its own share");
    f.now += Duration::from_secs(1);
    assert_eq!(passed(&mut f, 0, 100), rate / limits::MAX_MESSAGE);
    // A full burst fits into what waits for a receiver that stands still.
    f.now += Duration::from_secs(60);
    f.out.full = true;
    assert_eq!(passed(&mut f, 0, 100), 0);
}

#[test]
fn speakers_are_told_loudest_first_and_only_on_change() {
    let mut f = Fixture::new();
    let keys: Vec<SessionKey> = (1..4u8)
        .map(|n| f.join(n, vec![line("a", Kind::Audio, true, &[])], &[publish("a", &format!("t{n}"))], &[]))
        .collect();
    let speakers = |f: &Fixture| {
        f.out.events.iter().filter(|event| matches!(event, Occurrence::Speakers(_))).cloned().collect::<Vec<_>>()
    };
    for seq in 0..50 {
        f.audio(keys[0], seq, 35);
        f.audio(keys[1], seq, 10);
        f.audio(keys[2], seq, 127);
        f.pass(20);
    }
    let names = |list: &[&str]| Occurrence::Speakers(list.iter().map(|name| name.parse().unwrap()).collect());
    assert_eq!(speakers(&f).last(), Some(&names(&["p2", "p1"])));
    let count = speakers(&f).len();
    assert!(count <= 2, "{count}");
    for _ in 0..20 {
        f.pass(100);
    }
    assert_eq!(speakers(&f).last(), Some(&names(&[])));
}

/// Sends a video in three layers of 84, 169 and 506 kb/s for so many milliseconds; gives the layer of what the receiver got last, if it got anything.
fn watch_layers(f: &mut Fixture, (sender, receiver): (SessionKey, SessionKey), seq: &mut u64, ms: u64) -> Option<Rid> {
    let mut last = None;
    for _ in 0..ms / 20 {
        *seq += 1;
        f.video(sender, rid("q"), *seq, true);
        (0..2).for_each(|i| f.video(sender, rid("h"), *seq * 2 + i, true));
        (0..6).for_each(|i| f.video(sender, rid("f"), *seq * 6 + i, true));
        f.pass(20);
        last = f.received(receiver).last().and_then(|(_, layer)| *layer).or(last);
    }
    last
}

#[test]
fn the_estimate_lowers_the_layer_and_its_return_raises_it() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 0)]);
    let mut seq = 0;
    let mut run = |f: &mut Fixture, ms: u64| watch_layers(f, (sender, receiver), &mut seq, ms);
    f.estimate(receiver, 1_500);
    assert_eq!(run(&mut f, 2_500), rid("f"));
    f.estimate(receiver, 250);
    assert_eq!(run(&mut f, 500), rid("q"), "a line that got narrow isn't trusted at once");
    assert_eq!(run(&mut f, 1_500), rid("h"));
    f.estimate(receiver, 100);
    assert_eq!(run(&mut f, 1_000), rid("q"));
    f.estimate(receiver, 1_500);
    assert_eq!(run(&mut f, 2_500), rid("f"));
}

#[test]
fn a_thread_with_too_much_to_do_sends_lower_layers_whatever_the_line_carries() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 0)]);
    let mut seq = 0;
    let mut run = |f: &mut Fixture, ms: u64| watch_layers(f, (sender, receiver), &mut seq, ms);
    assert_eq!(run(&mut f, 2_500), rid("f"));
    f.router.relieve(56);
    assert_eq!(run(&mut f, 1_000), rid("h"));
    f.router.relieve(20);
    assert_eq!(run(&mut f, 1_000), rid("q"), "the lowest stays");
    f.router.relieve(100);
    assert_eq!(run(&mut f, 2_500), rid("f"));
}

#[test]
fn a_layer_far_above_the_estimate_is_stopped_before_the_smaller_one_begins() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 0)]);
    let mut seq = 0;
    // 84 and 506 kb/s, with and without key frames.
    let mut run = |f: &mut Fixture, ms: u64, [small, large]: [bool; 2]| {
        for _ in 0..ms / 20 {
            seq += 1;
            f.video(sender, rid("q"), seq, small);
            (0..6).for_each(|i| f.video(sender, rid("f"), seq * 6 + i, large));
            f.pass(20);
        }
        f.received(receiver)
    };
    f.estimate(receiver, 1_500);
    let before = run(&mut f, 2_500, [true, true]);
    assert_eq!(before.last().and_then(|(_, layer)| *layer), rid("f"));
    f.estimate(receiver, 400);
    let above = run(&mut f, 1_000, [false, false]);
    assert_eq!(above.last().and_then(|(_, layer)| *layer), rid("f"), "a little too much is better than nothing");
    f.out.requests.clear();
    f.estimate(receiver, 300);
    run(&mut f, 300, [false, false]);
    assert!(run(&mut f, 1_000, [false, false]).is_empty());
    assert!(f.out.requests.contains(&(sender, rid("q"))), "{:?}", f.out.requests);
    let after = run(&mut f, 100, [true, false]);
    assert!(after.len() == 5 && after.iter().all(|(_, layer)| *layer == rid("q")), "{after:?}");
    let last = above.last().map(|(seq, _)| *seq);
    assert!(last.is_some_and(|last| after.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1) && after[0].0 > last));
}

#[test]
fn a_publisher_above_its_limit_is_cut() {
    let mut f = Fixture::new();
    let opening = Opening { uplink_kbps: 100, ..opening(1) };
    let (sender, _) = f.router.open(f.now, opening).unwrap();
    let lines = vec![line("v", Kind::Video, true, &[])];
    f.router.negotiated(f.now, sender, lines, &[publish("v", "video")], &[], &mut f.out);
    f.router.connected(f.now, sender, &mut f.out);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 0)]);
    for seq in 0..10_000 {
        f.video(sender, None, seq, seq == 0);
        f.now += Duration::from_millis(1);
    }
    // 10 s of 125 kb/s and a second's burst.
    let bytes = f.received(receiver).len() * 200;
    assert!((140_000..=175_000).contains(&bytes), "{bytes}");
}

#[test]
fn nothing_is_left_when_everyone_has_gone() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = f.join(2, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", "video", 0)]);
    f.router.close(receiver, CloseReason::ClientClosed, &mut f.out);
    f.video(sender, rid("q"), 1, true);
    f.router.close(sender, CloseReason::ClientClosed, &mut f.out);
    assert_eq!(f.router.totals(), Totals::default());
    assert!(f.router.by_room.is_empty() && f.router.by_session.is_empty());
}

/// What may happen to a room.
#[derive(Clone, Debug)]
enum Step {
    Join(u8),
    Leave(u8),
    Want(u8, u8, u32),
    Packets(u8, u8, bool),
    Pass(u16),
    Estimate(u8, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1u8..6;
    prop_oneof![
        who.clone().prop_map(Step::Join),
        who.clone().prop_map(Step::Leave),
        (who.clone(), 0u8..6, prop_oneof![Just(0u32), Just(180), Just(720)]).prop_map(|(a, b, h)| Step::Want(a, b, h)),
        (who.clone(), 1u8..20, any::<bool>()).prop_map(|(a, n, k)| Step::Packets(a, n, k)),
        (1u16..900).prop_map(Step::Pass),
        (who, 50u32..3_000).prop_map(|(a, k)| Step::Estimate(a, k)),
    ]
}

proptest! {
    /// Whatever happens, each receiver's numbers go up by one per packet (nothing is lost on the way in here), and nothing is left
    /// over in the end.
    #[test]
    fn receivers_see_no_gap_of_our_making(steps in proptest::collection::vec(step(), 1..120)) {
        let mut f = Fixture::new();
        let mut keys: HashMap<u8, SessionKey> = HashMap::new();
        let mut seqs: HashMap<u8, u64> = HashMap::new();
        let mut last: HashMap<(SessionKey, SessionId), u64> = HashMap::new();
        for step in steps {
            match step {
                Step::Join(n) => {
                    if let std::collections::hash_map::Entry::Vacant(entry) = keys.entry(n) {
                        let lines = vec![line("v", Kind::Video, true, &["q", "h", "f"]), line("0", Kind::Video, false, &[])];
                        entry.insert(f.join(n, lines, &[publish("v", &format!("t{n}"))], &[]));
                    }
                }
                Step::Leave(n) => {
                    if let Some(key) = keys.remove(&n) {
                        f.router.close(key, CloseReason::ClientClosed, &mut f.out);
                    }
                }
                Step::Want(n, track, height) => {
                    if let Some(key) = keys.get(&n) {
                        let track = if track == 0 { String::new() } else { format!("t{track}") };
                        f.router.subscribe(f.now, *key, &[subscribe("0", &track, height)], &mut f.out).unwrap();
                    }
                }
                Step::Packets(n, count, keyframe) => {
                    if let Some(key) = keys.get(&n) {
                        for i in 0..count {
                            let seq = seqs.entry(n).or_insert(u64::from(n) * 1_000);
                            *seq += 1;
                            for layer in ["q", "h", "f"] {
                                f.video(*key, rid(layer), *seq, keyframe && i == 0);
                            }
                            f.now += Duration::from_millis(5);
                        }
                    }
                }
                Step::Pass(ms) => drop(f.pass(ms.into())),
                Step::Estimate(n, kbps) => {
                    if let Some(key) = keys.get(&n) {
                        f.estimate(*key, kbps);
                    }
                }
            }
            for (to, _, seq, _, _) in std::mem::take(&mut f.out.sent) {
                let session = f.router.stats_of(to).unwrap().session;
                if let Some(before) = last.insert((to, session), seq) {
                    prop_assert!(seq == before + 1 || !keys.values().any(|key| *key == to), "{before} then {seq}");
                }
            }
            // A place may be taken by a new session of the same participant.
            last.retain(|(key, session), _| f.router.stats_of(*key).is_some_and(|stats| stats.session == *session));
        }
        for key in keys.into_values() {
            f.router.close(key, CloseReason::ClientClosed, &mut f.out);
        }
        prop_assert_eq!(f.router.totals(), Totals::default());
    }
}
