//! WHIP and WHEP over plain HTTP, beside clients of signalling.

use super::world::{SECRET, World, claims, get_text, token, until};
use chroom_orchestrator::access::{Claims, Grants};
use chroom_rpc::v1::{SessionClosed, TrackStarted, media_event::Event};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The slug of a refusal, in the form of RFC 9457.
    fn reason(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        assert!(!problem["detail"].as_str().unwrap().is_empty() && !problem["hint"].as_str().unwrap().is_empty());
        problem["reason"].as_str().unwrap().to_owned()
    }
}

async fn request(address: SocketAddr, head: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut text = format!("{head} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let answer = Answer { status, headers, body: body.to_owned() };
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    answer
}

fn offer(direction: &str) -> String {
    let mut sdp = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n".to_owned();
    for (mid, kind) in ["audio", "video"].into_iter().enumerate() {
        sdp.push_str(&format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
             a=fingerprint:sha-256 AB:CD\r\na={direction}\r\n"
        ));
    }
    sdp
}

const SDP: (&str, &str) = ("Content-Type", "application/sdp");
const FRAGMENT: (&str, &str) = ("Content-Type", "application/trickle-ice-sdpfrag");

fn bearer(identity: &str) -> String {
    format!("Bearer {}", token(&claims(identity), SECRET))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_publishes_with_one_request() {
    let world = World::start(1).await;
    let (mut bob, ada) = (world.client().await, bearer("ada"));
    let b = bob.join("bob").await;
    let auth = ("Authorization", ada.as_str());
    let opened = request(world.address, "POST /whip", &[SDP, auth], &offer("sendonly")).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    assert_eq!(opened.header("content-type"), "application/sdp");
    assert_eq!(opened.header("accept-patch"), "application/trickle-ice-sdpfrag");
    assert!(opened.body.starts_with("answer to v=0"), "{}", opened.body);
    let links: Vec<&str> =
        opened.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.as_str()).collect();
    assert_eq!(links[0], "<stun:stun.example.org>; rel=\"ice-server\"");
    let joined = bob.event("participantJoined").await["participant"].clone();
    assert_eq!(joined["identity"], "ada");
    let start = "<turn:turn.example.org>; rel=\"ice-server\"; username=\"";
    assert!(links[1].starts_with(start), "{links:?}");
    assert!(links[1].contains(&format!(":{}\"; credential=\"", joined["id"].as_str().unwrap())), "{links:?}");

    // What the media node was asked for, and that its tracks are the participant's.
    let media = world.serving();
    let (session, first) = {
        let state = media.state();
        let negotiated = state.negotiated.last().unwrap().clone();
        (negotiated.session.clone(), negotiated)
    };
    let sources: Vec<&str> = first.publish.iter().map(|track| track.source.as_str()).collect();
    assert_eq!(sources, ["microphone", "camera"]);
    let track = first.publish[1].track.clone();
    let started = TrackStarted { track: track.clone(), kind: "video".into(), layers: vec![] };
    media.say(&session, Event::TrackStarted(started));
    let published = bob.event("trackPublished").await;
    assert_eq!((&published["participant"], &published["track"]["id"]), (&joined["id"], &json!(track)));

    let path = opened.header("location").to_owned();
    assert!(path.starts_with("/whip/") && path.len() == "/whip/".len() + 32, "{path}");
    let etag = opened.header("etag").to_owned();
    let patch = format!("PATCH {path}");
    let trickled = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
                    a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let noted = request(world.address, &patch, &[FRAGMENT, auth, ("If-Match", &etag)], trickled).await;
    assert_eq!((noted.status, noted.body.as_str()), (204, ""));
    let fresh = "a=ice-ufrag:efgh\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n";
    let restarted = request(world.address, &patch, &[FRAGMENT, auth, ("If-Match", "*")], fresh).await;
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    assert_eq!(restarted.header("content-type"), "application/trickle-ice-sdpfrag");
    assert!(restarted.body.contains("a=ice-ufrag:") && !restarted.body.contains("fingerprint"), "{}", restarted.body);
    assert_ne!(restarted.header("etag"), etag);
    {
        let state = media.state();
        let again = state.negotiated.last().unwrap();
        assert!(again.offer_sdp.contains("a=ice-ufrag:efgh") && !again.offer_sdp.contains("a=ice-ufrag:abcd"));
        assert_eq!(again.publish, first.publish, "the tracks stay the same");
    }
    let stale = request(world.address, &patch, &[FRAGMENT, auth, ("If-Match", &etag)], trickled).await;
    assert_eq!((stale.status, stale.reason().as_str()), (412, "stale-etag"));
    let without = request(world.address, &patch, &[FRAGMENT, auth], trickled).await;
    assert_eq!((without.status, without.reason().as_str()), (428, "no-if-match"));
    let empty = request(world.address, &patch, &[FRAGMENT, auth, ("If-Match", "*")], "a=end-of-candidates\r\n").await;
    assert_eq!((empty.status, empty.reason().as_str()), (400, "bad-fragment"));

    // Others may not end it; its own participant may, with any good token.
    let stranger = bearer("bob");
    let delete = format!("DELETE {path}");
    let refused = request(world.address, &delete, &[("Authorization", &stranger)], "").await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "not-yours"));
    let wrong = request(world.address, &delete.replace("whip", "whep"), &[auth], "").await;
    assert_eq!(wrong.status, 404, "the protocols' resources are apart");
    let again = bearer("ada");
    assert_eq!(request(world.address, &delete, &[("Authorization", &again)], "").await.status, 200);
    let left = bob.event("participantLeft").await;
    assert_eq!((&left["participant"], &left["reason"]), (&joined["id"], &json!("left")));
    let over = request(world.address, &delete, &[auth], "").await;
    assert_eq!((over.status, over.reason().as_str()), (404, "no-session"));
    until("the media node has bob alone", async || (media.sessions().len() == 1).then_some(())).await;
    assert_eq!(hex::encode(&media.sessions()[0].session), b["session"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_gets_what_is_there_and_what_comes() {
    let world = World::start(1).await;
    let mut ada = world.client().await;
    let a = ada.join("ada").await;
    let media = world.serving();
    let watching = bearer("viewer");
    let auth = ("Authorization", watching.as_str());
    // Nobody publishes yet: the player waits in the room.
    let opened =
        request(world.address, "POST /whep?maxHeight=360&cell=871f8d5b2ffffff", &[SDP, auth], &offer("recvonly")).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    assert!(opened.header("location").starts_with("/whep/"));
    let viewer = ada.event("participantJoined").await["participant"].clone();
    assert_eq!(viewer["identity"], "viewer");
    assert!(media.state().negotiated.last().unwrap().subscribe.is_empty());

    let publish = json!([{ "mid": "0", "source": "microphone" }, { "mid": "1", "source": "camera" }]);
    let answer = ada.call("session.negotiate", json!({ "sdp": "o", "publish": publish })).await.unwrap();
    let session = hex::decode(a["session"].as_str().unwrap()).unwrap();
    for (line, kind) in [(0, "audio"), (1, "video")] {
        let track = answer["publish"][line]["track"].as_str().unwrap().to_owned();
        media.say(
            &session,
            Event::TrackStarted(TrackStarted { track: track.clone(), kind: kind.into(), layers: vec![] }),
        );
        let wanted = until("the player is subscribed", async || {
            let state = media.state();
            let all: Vec<_> = state.subscribed.iter().flat_map(|request| &request.subscriptions).cloned().collect();
            all.into_iter().find(|wanted| wanted.track == track)
        })
        .await;
        let height = if kind == "video" { 360 } else { 0 };
        assert_eq!((wanted.mid.as_str(), wanted.max_height), (if line == 0 { "0" } else { "1" }, height));
    }
    // Who comes later sees it at once; who wants somebody else does not.
    for (query, tracks) in [("?identity=ada", 2), ("?identity=grace", 0), ("", 2)] {
        let (late, head) = (bearer(&format!("late{query}")), format!("POST /whep{query}"));
        let opened = request(world.address, &head, &[SDP, ("Authorization", &late)], &offer("recvonly")).await;
        assert_eq!(opened.status, 201, "{}", opened.body);
        assert_eq!(media.state().negotiated.last().unwrap().subscribe.len(), tracks, "{query}");
    }
    // Its media connection is lost: it is over, and says so.
    let lost = media.state().sessions.values().find(|s| s.participant == viewer["id"]).unwrap().session.clone();
    media.state().sessions.remove(&lost);
    media.say(&lost, Event::Closed(SessionClosed { reason: "connection-lost".into() }));
    assert_eq!(ada.event("participantLeft").await["participant"], viewer["id"]);
    let delete = format!("DELETE {}", opened.header("location"));
    until("the resource is gone", async || {
        (request(world.address, &delete, &[auth], "").await.status == 404).then_some(())
    })
    .await;
    // The same identity anew takes the place of the older one.
    let twice = bearer("twice");
    for _ in 0..2 {
        let opened = request(world.address, "POST /whep", &[SDP, ("Authorization", &twice)], &offer("recvonly")).await;
        assert_eq!(opened.status, 201);
    }
    let replaced = ada.event("participantLeft").await;
    assert_eq!(replaced["reason"], "replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_is_wrong() {
    let world = World::start(1).await;
    let (send, receive) = (offer("sendonly"), offer("recvonly"));
    let good = bearer("ada");
    let grants = |publish, subscribe| Grants { publish, subscribe, ..claims("ada").chroom };
    let with = |grants: Grants| format!("Bearer {}", token(&Claims { chroom: grants, ..claims("ada") }, SECRET));
    let (mute, deaf) = (with(grants(false, true)), with(grants(true, false)));
    let outside = with(Grants { join: false, ..grants(true, true) });
    let forged = format!("Bearer {}", token(&claims("ada"), b"another secret, as long as it must be"));
    let old = format!("Bearer {}", token(&Claims { exp: 1_000, nbf: None, ..claims("ada") }, SECRET));
    let huge = format!("{send}s={}\r\n", "x".repeat(70_000));
    let text = ("Content-Type", "text/plain");
    for (head, kind, auth, body, status, reason) in [
        ("POST /whip", SDP, "", &send, 401, "token-missing"),
        ("POST /whip", SDP, "Basic YWRhOmFkYQ==", &send, 401, "token-missing"),
        ("POST /whip", SDP, "Bearer nonsense", &send, 401, "token-invalid"),
        ("POST /whip", SDP, &forged, &send, 401, "token-invalid"),
        ("POST /whip", SDP, &old, &send, 401, "token-expired"),
        ("POST /whip", SDP, &outside, &send, 403, "not-permitted"),
        ("POST /whip", SDP, &mute, &send, 403, "not-permitted"),
        ("POST /whep", SDP, &deaf, &receive, 403, "not-permitted"),
        ("POST /whip", text, &good, &send, 415, "media-type"),
        ("POST /whip", SDP, &good, &huge, 413, "too-large"),
        ("POST /whip", SDP, &good, &"hello".to_owned(), 400, "bad-offer"),
        ("POST /whip", SDP, &good, &receive, 422, "bad-offer"),
        ("POST /whep", SDP, &good, &send, 422, "bad-offer"),
        ("POST /whip?cell=nowhere", SDP, &good, &send, 400, "invalid-params"),
        ("PATCH /whip/none", FRAGMENT, &good, &String::new(), 404, "no-session"),
        ("DELETE /whep/none", SDP, &good, &String::new(), 404, "no-session"),
        ("DELETE /whep/none", SDP, "", &String::new(), 401, "token-missing"),
    ] {
        let headers = if auth.is_empty() { vec![kind] } else { vec![kind, ("Authorization", auth)] };
        let answer = request(world.address, head, &headers, body).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{head} {auth:.20}: {}", answer.body);
        assert_eq!(answer.header("www-authenticate").starts_with("Bearer"), status == 401);
    }
    assert!(world.media[0].sessions().is_empty(), "nothing was opened for them");
    for head in ["GET /whip", "PUT /whep", "GET /whip/x", "POST /whip/x"] {
        let answer = request(world.address, head, &[("Authorization", &good)], "").await;
        assert_eq!(answer.status, 405, "{head}");
        assert!(!answer.header("allow").is_empty());
    }
    // A browser's question before its request, and a client's before its offer.
    let asked = [("Origin", "http://app"), ("Access-Control-Request-Method", "POST")];
    let preflight = request(world.address, "OPTIONS /whip", &asked, "").await;
    assert_eq!((preflight.status, preflight.header("accept-post")), (204, "application/sdp"));
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    assert!(preflight.header("access-control-expose-headers").contains("location"));
    assert_eq!(preflight.header("link"), "", "credentials are not for everybody");
    let known = request(world.address, "OPTIONS /whep", &[("Authorization", &good)], "").await;
    assert!(known.headers.iter().any(|(name, value)| name == "link" && value.contains("credential-type=\"password\"")));
    assert_eq!(request(world.address, "OPTIONS /whip/x", &[], "").await.header("accept-patch"), FRAGMENT.1);
    let metrics = get_text(world.address, "/metrics").await.unwrap();
    assert!(metrics.contains("chroom_orchestrator_refused_total{reason=\"bad-offer\"}"), "{metrics}");
}
