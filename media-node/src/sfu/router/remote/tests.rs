use super::*;

/// Remembers what the cascade is told.
#[derive(Default)]
struct Told(Vec<FromRoom>);

impl Outbox for Told {
    fn payload_type(&self, _: SessionKey, _: Mid, _: &Format) -> Option<u8> {
        Some(96)
    }
    fn forward(&mut self, _: SessionKey, _: Forward<'_>) {}
    fn request_keyframe(&mut self, _: SessionKey, _: Mid, _: Option<Rid>) {}
    fn limit_uplink(&mut self, _: SessionKey, _: u32) {}
    fn send(&mut self, _: SessionKey, _: Channel, _: &[u8]) -> bool {
        true
    }
    fn want_bitrate(&mut self, _: SessionKey, _: u32) {}
    fn event(&mut self, event: Event) {
        assert!(!matches!(event.occurrence, Occurrence::TrackStarted { .. }), "{event:?}");
    }
    fn cascade(&mut self, told: FromRoom) {
        self.0.push(told);
    }
}

fn room() -> RoomId {
    "room".parse().unwrap()
}

fn line(name: &str, sends: bool, layers: &[&str]) -> Line {
    Line {
        mid: Mid::parse(name).unwrap(),
        kind: LineKind::Media(Kind::Video),
        client_sends: sends,
        client_receives: !sends,
        layers: layers.iter().filter_map(|name| Rid::parse(name)).collect(),
    }
}

fn remote(participant: &str, track: &str, alive: bool) -> LocalTrack {
    let layer = |rid, height| LayerInfo { rid: Rid::parse(rid), kbps: 100, height: Some(height), alive };
    LocalTrack {
        track: track.parse().unwrap(),
        participant: participant.parse().unwrap(),
        source: "camera".into(),
        kind: Kind::Video,
        layers: vec![layer("q", 180), layer("h", 360)],
        publication: 1,
    }
}

struct Fixture {
    router: Router,
    out: Told,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        let mut fixture = Self { router: Router::new(1), out: Told::default(), now: Instant::now() };
        fixture.order(ToRoom::Join(room()));
        fixture
    }

    fn order(&mut self, order: ToRoom) {
        assert!(self.router.bridge(self.now, order, &mut self.out).is_empty());
    }

    fn join(&mut self, number: u8, lines: Vec<Line>, publish: &[Publish], subscribe: &[Subscribe]) -> SessionKey {
        let opening = Opening {
            room: room(),
            session: SessionId([number; 16]),
            participant: format!("p{number}").parse().unwrap(),
            publish: true,
            subscribe: true,
            uplink_kbps: 0,
        };
        let (key, _) = self.router.open(self.now, opening).unwrap();
        self.router.check(key, &lines, publish, subscribe).unwrap();
        self.router.negotiated(self.now, key, lines, publish, subscribe, &mut self.out);
        self.router.connected(self.now, key, &mut self.out);
        self.router.ready(self.now, key, &mut self.out);
        key
    }

    fn news(&mut self) -> Vec<FromRoom> {
        let mut news = Vec::new();
        self.router.news(self.now, 7, |told| {
            news.push(told);
            true
        });
        news
    }
}

fn publish(line: &str, track: &str) -> [Publish; 1] {
    [Publish { mid: Mid::parse(line).unwrap(), track: track.parse().unwrap(), source: "camera".into() }]
}

fn wish(track: &str, max_height: u32) -> [Subscribe; 1] {
    let (mid, track) = (Mid::parse("0").unwrap(), Some(track.parse().unwrap()));
    [Subscribe { mid, track, max_height, priority: Priority::default() }]
}

#[test]
fn only_layers_that_someone_takes_are_wanted_and_they_need_not_come_to_be_chosen() {
    let mut f = Fixture::new();
    f.order(ToRoom::Track(room(), Handle(5), remote("far", "video", true)));
    assert!(f.news().is_empty(), "nobody watches");
    let receiver = f.join(1, vec![line("0", false, &[])], &[], &wish("video", 360));
    assert!(f.out.0.iter().any(|told| matches!(told, FromRoom::Keyframe(Handle(5), 1))), "{:?}", f.out.0);
    assert!(matches!(f.news().as_slice(), [FromRoom::Interest(Handle(5), 0b10)]));
    assert!(f.news().is_empty(), "told once");
    f.router.subscribe(f.now, receiver, &wish("video", 180), &mut f.out).unwrap();
    assert!(matches!(f.news().as_slice(), [FromRoom::Interest(Handle(5), 0b01)]));
    f.router.close(receiver, CloseReason::ClientClosed, &mut f.out);
    assert!(matches!(f.news().as_slice(), [FromRoom::Interest(Handle(5), 0)]));
    assert_eq!(f.router.totals().sessions, 0);
    f.order(ToRoom::Withdraw(room(), Handle(5)));
    assert!(f.router.sessions.is_empty() && f.router.rooms.is_empty() && f.router.bridges.remote.is_empty());
}

#[test]
fn what_a_narrow_line_pauses_does_not_come_over_pipes_either() {
    let mut f = Fixture::new();
    f.order(ToRoom::Track(room(), Handle(5), remote("far", "one", true)));
    f.order(ToRoom::Track(room(), Handle(6), remote("farther", "two", true)));
    let ranked = |line: &str, track: &str, priority| {
        let [wish] = wish(track, 180);
        Subscribe { mid: Mid::parse(line).unwrap(), priority, ..wish }
    };
    let wishes = [ranked("0", "one", Priority::Medium), ranked("1", "two", Priority::High)];
    let receiver = f.join(1, vec![line("0", false, &[]), line("1", false, &[])], &[], &wishes);
    let interest = |f: &mut Fixture| {
        let told = |told: FromRoom| match told {
            FromRoom::Interest(Handle(handle), layers) => (handle, layers),
            other => panic!("{other:?}"),
        };
        let mut interest: Vec<_> = f.news().into_iter().map(told).collect();
        interest.sort_unstable();
        interest
    };
    assert_eq!(interest(&mut f), [(5, 0b01), (6, 0b01)]);
    f.router.estimate(f.now, receiver, Reading { kbps: 150, clear: false }, &mut f.out);
    f.router.tick(f.now, &mut f.out);
    assert_eq!(interest(&mut f), [(5, 0)]);
    f.router.subscribe(f.now, receiver, &[ranked("1", "two", Priority::Low)], &mut f.out).unwrap();
    assert_eq!(interest(&mut f), [(5, 0b01), (6, 0)]);
    f.router.estimate(f.now, receiver, Reading { kbps: 1_000, clear: false }, &mut f.out);
    f.router.tick(f.now, &mut f.out);
    assert_eq!(interest(&mut f), [(6, 0b01)]);
}

#[test]
fn a_track_that_is_published_anew_is_told_anew() {
    let mut f = Fixture::new();
    let lines = || vec![line("v", true, &["q", "h"]), line("w", true, &["q", "h"])];
    let key = f.join(1, lines(), &publish("v", "video"), &[]);
    let told = |news: Vec<FromRoom>| match news.as_slice() {
        [FromRoom::Published(_, track)] => track.publication,
        other => panic!("{other:?}"),
    };
    let first = told(f.news());
    assert!(f.news().is_empty());
    f.order(ToRoom::Tap(room(), "video".parse().unwrap(), Handle(9), 0b11));
    // Its place in the router is the same, but the cascade's tap isn't there any more.
    f.router.negotiated(f.now, key, vec![line("w", true, &["q", "h"])], &publish("w", "video"), &[], &mut f.out);
    assert!(told(f.news()) > first);
    f.router.close(key, CloseReason::ClientClosed, &mut f.out);
    assert!(matches!(f.news().as_slice(), [FromRoom::Unpublished(..)]));
}

#[test]
fn a_participant_may_come_from_another_node_with_its_names() {
    let mut f = Fixture::new();
    f.order(ToRoom::Track(room(), Handle(5), remote("p1", "video", true)));
    f.join(1, vec![line("v", true, &["q", "h"])], &publish("v", "video"), &[]);
    let news = f.news();
    assert!(news.iter().any(|told| matches!(told, FromRoom::Published(..))), "{news:?}");
    f.order(ToRoom::Withdraw(room(), Handle(5)));
    assert!(f.news().is_empty() && f.router.tracks.len() == 1, "the one here stays");
}

#[test]
fn leaving_the_cascade_leaves_the_room_as_it_was() {
    let mut f = Fixture::new();
    f.order(ToRoom::Track(room(), Handle(5), remote("far", "video", true)));
    f.order(ToRoom::Track(room(), Handle(6), remote("far", "screen", false)));
    f.join(1, vec![line("v", true, &["q", "h"])], &publish("v", "mine"), &[]);
    f.news();
    f.order(ToRoom::Leave(room()));
    assert_eq!((f.router.sessions.len(), f.router.tracks.len()), (1, 1));
    assert!(!f.router.is_bridged() && f.news().is_empty());
}
