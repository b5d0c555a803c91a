//! A real orchestrator among simulated peers: its interfaces, its refusals, and what it survives.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "network/spanning.rs"]
mod spanning;
#[path = "network/whip.rs"]
mod whip;
mod world;

use chroom_orchestrator::{
    access::{Claims, Grants},
    allocation::Budget,
    signalling::ServerLimits,
};
use chroom_primitives::{NodeStatus, Role};
use chroom_rpc::v1::{Priority, SessionClosed, TrackStarted, VideosPaused, media_event::Event};
use chroom_wallet::Wallet;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_tungstenite::{connect_async, tungstenite::Error};
use world::{World, claims, get, get_text, start_unregistered, token, until};

fn id(value: &Value) -> Vec<u8> {
    hex::decode(value["session"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_from_join_to_leave() {
    let world = World::start(2).await;
    let (mut ada, mut bob) = (world.client().await, world.client().await);
    let a = ada.join("ada").await;
    assert_eq!(a["grants"], json!({ "publish": true, "subscribe": true, "admin": false }));
    assert_eq!(a["room"], "hall");
    assert_eq!(a["node"]["score"], 91.5);
    assert_eq!(a["node"]["stake"], "5000000");
    assert_eq!(a["receiptIntervalMs"], 5_000);
    assert_eq!(a["generation"], 1);
    assert_eq!(a["iceServers"][0], json!({ "urls": ["stun:stun.example.org"] }));
    assert_eq!(a["iceServers"][1]["urls"], json!(["turn:turn.example.org"]));
    let name = a["iceServers"][1]["username"].as_str().unwrap();
    assert!(name.ends_with(&format!(":{}", a["participant"].as_str().unwrap())), "{name}");
    let b = bob.join("bob").await;
    assert_eq!(b["participants"][0]["identity"], "ada");
    assert_eq!(ada.event("participantJoined").await["participant"]["id"], b["participant"]);

    let media = world.serving();
    assert_eq!(a["node"]["id"], media.node().to_hex());
    let opened = media.sessions();
    assert_eq!(opened.len(), 2);
    // Ids are hex digits, so they may well contain "ada", but not "bob".
    let leaks = |text: &str| text == "ada" || text.contains("bob") || text.contains("hall");
    assert!(!opened.iter().any(|session| leaks(&session.room) || leaks(&session.participant)), "identities leak");

    let offer = json!({ "sdp": "offer", "publish": [{ "mid": "0", "source": "camera" }], "subscribe": [] });
    let answer = ada.call("session.negotiate", offer).await.unwrap();
    assert_eq!(answer["sdp"], "answer to offer");
    let track = answer["publish"][0]["track"].as_str().unwrap().to_owned();
    let started = TrackStarted { track: track.clone(), kind: "video".into(), layers: vec!["q".into(), "h".into()] };
    media.say(&id(&a), Event::TrackStarted(started));
    let published = bob.event("trackPublished").await;
    assert_eq!(published["participant"], a["participant"]);
    assert_eq!(
        published["track"],
        json!({ "id": track, "kind": "video", "source": "camera", "muted": false, "layers": ["q", "h"] })
    );

    let wish = json!({ "subscribe": [{ "mid": "1", "track": track, "maxHeight": 360 }] });
    assert_eq!(bob.call("session.subscribe", wish).await.unwrap(), json!({}));
    {
        let state = media.state();
        let wanted = &state.subscribed[0].subscriptions[0];
        assert_eq!((wanted.track.as_str(), wanted.max_height), (track.as_str(), 360));
        assert_eq!(wanted.priority(), Priority::Medium);
    }
    let pinned = |priority: &str| json!({ "subscribe": [{ "mid": "1", "track": track, "priority": priority }] });
    bob.call("session.subscribe", pinned("high")).await.unwrap();
    assert_eq!(media.state().subscribed[1].subscriptions[0].priority(), Priority::High);
    let refused = bob.call("session.subscribe", pinned("urgent")).await.unwrap_err();
    let allowed = ["`very-low`", "`low`", "`medium`", "`high`"];
    assert!(refused.code == -32602 && allowed.iter().all(|one| refused.message.contains(one)), "{refused:?}");
    let watched = chroom_rpc::v1::LayersWanted { track: track.clone(), layers: vec!["q".into()], paused: false };
    media.say(&id(&a), Event::LayersWanted(watched));
    let told = ada.event("layersWanted").await;
    assert_eq!((&told["track"], &told["layers"], &told["paused"]), (&json!(track), &json!(["q"]), &json!(false)));
    let paused = VideosPaused { tracks: vec![track.clone(), "another".into()] };
    media.say(&id(&b), Event::VideosPaused(paused));
    assert_eq!(bob.event("videosPaused").await["tracks"], json!([track]), "only what it wants");
    ada.call("session.mute", json!({ "track": track, "muted": true })).await.unwrap();
    assert_eq!(bob.event("trackMuted").await["muted"], true);
    let speakers = vec![a["participant"].as_str().unwrap().to_owned(), "pstranger".into()];
    media.say(&id(&a), Event::Speakers(chroom_rpc::v1::ActiveSpeakers { participants: speakers }));
    assert_eq!(bob.event("activeSpeakers").await["participants"], json!([a["participant"]]));

    let info = until("the last reward is known", async || {
        let info = bob.call("node.info", json!({})).await.unwrap();
        (!info["lastReward"].is_null()).then_some(info)
    })
    .await;
    assert_eq!(info["lastReward"], json!({ "epoch": 6, "amount": "1234" }));

    assert_eq!(ada.call("session.leave", json!({})).await.unwrap(), json!({}));
    let left = bob.event("participantLeft").await;
    assert_eq!((&left["participant"], &left["reason"]), (&a["participant"], &json!("left")));
    assert_eq!(ada.call("node.info", json!({})).await.unwrap_err().code, -32005);
    let offer = json!({ "sdp": "bob's", "publish": [], "subscribe": [] });
    bob.call("session.negotiate", offer).await.unwrap();
    // A connection that is lost is made anew on the same node.
    media.state().sessions.remove(&id(&b));
    media.say(&id(&b), Event::Closed(SessionClosed { reason: "connection-lost".into() }));
    let moved = bob.event("moved").await;
    assert_eq!((&moved["node"]["id"], &moved["generation"]), (&a["node"]["id"], &json!(2)));
    bob.call("session.leave", json!({})).await.unwrap();
    until("the room is gone from the media node", async || media.sessions().is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_token_is_refused_with_its_reason() {
    let world = World::start(1).await;
    let mut client = world.client().await;
    let good = claims("ada");
    let check = |failure: world::Failure, code, slug: &str| {
        assert_eq!((failure.code, &failure.data["reason"]), (code, &json!(slug)), "{}", failure.message);
        assert!(!failure.data["hint"].as_str().unwrap().is_empty());
        failure
    };
    let wrong = token(&good, b"another secret, as long as it must be");
    let failure = check(client.join_with(&wrong).await.unwrap_err(), -32001, "token-invalid");
    assert!(failure.message.contains("signature"), "{}", failure.message);
    check(client.join_with("nonsense").await.unwrap_err(), -32001, "token-invalid");
    let old = Claims { exp: good.exp - 3_600, ..good.clone() };
    check(client.join_claims(&old).await.unwrap_err(), -32002, "token-expired");
    let early = Claims { nbf: Some(good.exp), ..good.clone() };
    check(client.join_claims(&early).await.unwrap_err(), -32002, "token-expired");
    let far = Claims { exp: good.exp + 2 * 86_400, ..good.clone() };
    check(client.join_claims(&far).await.unwrap_err(), -32001, "token-invalid");
    let outside = Claims { chroom: Grants { join: false, ..good.chroom.clone() }, ..good.clone() };
    let failure = check(client.join_claims(&outside).await.unwrap_err(), -32003, "not-permitted");
    assert_eq!(failure.data["needs"], "join");

    let listener = Grants { publish: false, subscribe: false, ..good.chroom.clone() };
    let session = client.join_claims(&Claims { chroom: listener, ..good }).await.unwrap();
    for (method, params, needs) in [
        (
            "session.negotiate",
            json!({ "sdp": "o", "publish": [{ "mid": "0", "source": "microphone" }], "subscribe": [] }),
            "publish",
        ),
        ("session.subscribe", json!({ "subscribe": [{ "mid": "0", "track": "t1" }] }), "subscribe"),
        ("room.kick", json!({ "participant": session["participant"] }), "admin"),
    ] {
        let failure = check(client.call(method, params).await.unwrap_err(), -32003, "not-permitted");
        assert_eq!(failure.data["needs"], needs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_and_bounded() {
    let world = World::start(1).await;
    let mut client = world.client().await;
    for (method, params) in [
        ("session.join", json!({ "token": 5 })),
        ("session.join", json!({ "token": token(&claims("ada"), world::SECRET), "receiptKey": "AAAA" })),
        ("session.resume", json!({ "session": "xyz", "secret": "s" })),
        ("session.negotiate", json!({ "sdp": "x".repeat(70_000) })),
        ("session.negotiate", json!({ "sdp": "o", "publish": [{ "mid": "0", "source": "hologram" }] })),
        ("session.subscribe", json!({})),
        ("session.mute", json!([])),
    ] {
        let failure = client.call(method, params).await.unwrap_err();
        assert_eq!(failure.code, -32602, "{method}: {}", failure.message);
    }
    assert_eq!(client.call("session.fly", json!({})).await.unwrap_err().code, -32601);
    assert_eq!(client.call("session.leave", json!({})).await.unwrap_err().code, -32005);
    // The bucket holds 100.
    let answers = client.burst("node.info", 300).await;
    let refused = answers.into_iter().filter_map(Result::err).filter(|failure| failure.code == -32008).count();
    assert!(refused > 0, "no limit on requests");
    let metrics = get_text(world.address, "/metrics").await.unwrap();
    assert!(metrics.contains("chroom_orchestrator_refused_total{reason=\"too-many-requests\"}"), "{metrics}");
    // A message that is too long ends nothing but itself, or the connection; others go on.
    let mut other = world.client().await;
    other.join("bob").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_media_nodes_the_error_says_who_was_considered() {
    let world = World::start(1).await;
    let mut client = world.client().await;
    world.chain.status(world.media[0].node(), NodeStatus::Draining);
    let failure = until("the orchestrator knows of the draining", async || {
        let mut client = world.client().await;
        client.join_claims(&claims("ada")).await.err()
    })
    .await;
    assert_eq!((failure.code, &failure.data["reason"]), (-32004, &json!("no-media-node")));
    assert_eq!(failure.data["considered"][0]["node"], world.media[0].node().to_hex());
    assert!(failure.data["considered"][0]["reason"].as_str().unwrap().contains("draining"));
    assert!(client.join_claims(&claims("bob")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_without_a_stake_or_with_a_wrong_key_get_no_calls() {
    let world = World::start(1).await;
    let publish = world.registries[0].publisher();
    let (poor, thief) = (Wallet::generate(), Wallet::generate());
    let address = "127.0.0.1:9".parse().unwrap();
    publish(world::media_entry(&poor, &world.chain, &world::media_record(&poor, &world.chain, address), false));
    // Registered, but the record is signed by somebody else's key.
    let victim = Wallet::generate();
    world.chain.register(victim.node_id(), Role::Media, "127.0.0.1:9");
    let mut forged = world::media_record(&victim, &world.chain, address);
    forged.signature = world::media_record(&thief, &world.chain, address).signature;
    publish(world::media_entry(&thief, &world.chain, &forged, false));
    // A good one after them shows that they were looked at.
    let late = world::TestMedia::start(&world.chain, &world.registries).await;
    until("the good node is known", async || (get(world.address, "/health").await?["mediaNodes"] == 2).then_some(()))
        .await;
    let network = get(world.address, "/v1/network").await.unwrap();
    let nodes = network["nodes"].as_array().unwrap();
    let of = |id: String| nodes.iter().find(|node| node["id"] == id);
    assert!(of(poor.node_id().to_hex()).is_none());
    assert_eq!(of(victim.node_id().to_hex()).unwrap()["online"], false);
    assert_eq!(of(late.node().to_hex()).unwrap()["online"], true);
    // When the poor one gets a stake, it is believed.
    world.chain.register(poor.node_id(), Role::Media, "127.0.0.1:9");
    until("the node with its new stake is known", async || {
        (get(world.address, "/health").await?["mediaNodes"] == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_move_when_their_media_node_is_lost() {
    let world = World::start(2).await;
    let (mut ada, mut bob) = (world.client().await, world.client().await);
    let a = ada.join("ada").await;
    bob.join("bob").await;
    let offer = json!({ "sdp": "one", "publish": [{ "mid": "0", "source": "microphone" }], "subscribe": [] });
    let track = ada.call("session.negotiate", offer).await.unwrap()["publish"][0]["track"].clone();
    let lost = world.serving();
    lost.kill();
    for client in [&mut ada, &mut bob] {
        let moved = client.event("moved").await;
        assert_ne!(moved["node"]["id"], a["node"]["id"]);
        assert_eq!(moved["generation"], 2);
    }
    let offer =
        json!({ "sdp": "two", "publish": [{ "mid": "0", "track": track, "source": "microphone" }], "subscribe": [] });
    let answer = ada.call("session.negotiate", offer).await.unwrap();
    assert_eq!(answer["publish"][0]["track"], track, "track ids stay");
    assert_eq!(answer["sdp"], "answer to two");
    let fence = world.serving().sessions()[0].fence;
    assert!(fence > 0);

    // The lost node comes back empty; nothing goes back to it by itself.
    lost.restart(&world.chain, &world.registries).await;
    assert_eq!(ada.call("node.info", json!({})).await.unwrap()["id"], world.serving().node().to_hex());
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_leave_a_draining_node() {
    let world = World::start(2).await;
    let mut ada = world.client().await;
    let a = ada.join("ada").await;
    world.chain.status(world.serving().node(), NodeStatus::Draining);
    let moved = ada.event("moved").await;
    assert_ne!(moved["node"]["id"], a["node"]["id"]);
    assert!(moved["reason"].as_str().unwrap().contains("draining"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_go_on_after_the_orchestrator_was_killed() {
    let mut world = World::start(2).await;
    let (mut ada, mut bob) = (world.client().await, world.client().await);
    let a = ada.join("ada").await;
    let b = bob.join("bob").await;
    let offer = json!({ "sdp": "one", "publish": [{ "mid": "0", "source": "camera" }], "subscribe": [] });
    let track = ada.call("session.negotiate", offer).await.unwrap()["publish"][0]["track"].clone();
    let started = TrackStarted { track: track.as_str().unwrap().into(), ..Default::default() };
    world.serving().say(&id(&a), Event::TrackStarted(started));
    bob.event("trackPublished").await;
    let receipt = ada.receipt(&a, world.serving().node());
    ada.send_receipt(&receipt).await.unwrap();

    world.kill().await;
    assert_eq!(world.serving().sessions().len(), 2, "media goes on");
    world.boot().await;

    let mut back = world.client().await;
    let wrong = json!({ "session": a["session"], "secret": b["secret"] });
    assert_eq!(back.call("session.resume", wrong).await.unwrap_err().code, -32005);
    let resume = |session: &Value| json!({ "session": session["session"], "secret": session["secret"] });
    let again = back.call("session.resume", resume(&b)).await.unwrap();
    assert_eq!(again["participants"][0]["tracks"][0]["id"], track);
    for same in ["session", "secret", "participant", "room", "generation"] {
        assert_eq!(again[same], b[same], "{same}");
    }
    assert_eq!(again["node"]["id"], b["node"]["id"]);
    let mut ada = world.client().await;
    ada.call("session.resume", resume(&a)).await.unwrap();
    // The same receipt once more is a replay, over restarts too.
    assert_eq!(ada.send_receipt(&receipt).await.unwrap_err().data["reason"], "receipt-refused");
    let answer = ada.call("session.negotiate", json!({ "sdp": "two", "publish": [], "subscribe": [] })).await.unwrap();
    assert_eq!(answer["sdp"], "answer to two");
    assert_eq!(world.serving().sessions().len(), 2);
    ada.call("session.leave", json!({})).await.unwrap();
    back.event("participantLeft").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_receipt_reaches_every_member() {
    let mut world = World::start(2).await;
    let mut ada = world.client().await;
    let a = ada.join("ada").await;
    let node = world.serving().node();
    let first = ada.receipt(&a, node);
    ada.send_receipt(&first).await.unwrap();
    let mut forged = ada.receipt(&a, node);
    forged.payload = forged.payload.replace("\"rxLost\":1", "\"rxLost\":0");
    assert_eq!(ada.send_receipt(&forged).await.unwrap_err().code, -32007);
    let foreign = ada.receipt(&a, Wallet::generate().node_id());
    assert_eq!(ada.send_receipt(&foreign).await.unwrap_err().code, -32007);
    // A registered one, but not hers.
    let other = world.media.iter().find(|media| media.node() != node).unwrap().node();
    let favour = ada.receipt(&a, other);
    let refusal = ada.send_receipt(&favour).await.unwrap_err();
    assert_eq!((refusal.code, &refusal.data["reason"]), (-32007, &json!("receipt-refused")));
    assert!(refusal.message.contains("did not serve this session"), "{}", refusal.message);

    // One member is down, then the orchestrator is killed, then both are back.
    world.registries[1].kill();
    let second = ada.receipt(&a, node);
    ada.send_receipt(&second).await.unwrap();
    until("the member that is up has both", async || (world.registries[0].receipts().len() == 2).then_some(())).await;
    world.kill().await;
    world.registries[1].restart().await;
    world.boot().await;
    world.chain.next_epoch();
    until("both members have both", async || {
        world.registries.iter().all(|registry| registry.receipts().len() == 2).then_some(())
    })
    .await;
    until("the queue is empty", async || {
        let metrics = get_text(world.address, "/metrics").await?;
        metrics.contains("chroom_orchestrator_receipts_waiting 0\n").then_some(())
    })
    .await;
    let body = &world.registries[1].receipts()[0];
    assert_eq!((body.rx_bytes, body.node), (100_000, node));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_on_a_lost_node_is_still_taken() {
    let world = World::start(2).await;
    let mut ada = world.client().await;
    let a = ada.join("ada").await;
    let lost = world.serving();
    let before = ada.receipt(&a, lost.node());
    lost.kill();
    ada.event("moved").await;
    ada.send_receipt(&before).await.unwrap();
    let after = ada.receipt(&a, world.serving().node());
    ada.send_receipt(&after).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_share_of_connections() {
    let world = World::start_with(1, ServerLimits { sockets_per_address: 3, ..Default::default() }).await;
    let (mut ada, bob) = (world.client().await, world.client().await);
    ada.join("ada").await;
    let refused = |error| match error {
        Error::Http(response) => (response.status().as_u16(), response.into_body().unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    let url = format!("ws://{}/", world.address);
    let mut held = Vec::new();
    let refusal = loop {
        match connect_async(&url).await {
            Ok((socket, _)) => held.push(socket),
            Err(error) => break error,
        }
        assert!(held.len() < 3, "no limit");
    };
    let (status, body) = refused(refusal);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &body["reason"]), (429, &json!("too-many-connections")));
    assert!(!body["hint"].as_str().unwrap().is_empty());
    // Those within the share go on, and a place that is given back can be taken.
    ada.call("node.info", json!({})).await.unwrap();
    bob.drop_connection();
    drop(held);
    until("the place is free", async || connect_async(&url).await.ok()).await;
    let metrics = until("a place for the metrics", async || {
        get_text(world.address, "/metrics").await.filter(|text| text.contains("chroom_orchestrator"))
    })
    .await;
    assert!(metrics.contains("chroom_orchestrator_refused_total{reason=\"too-many-connections\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed_and_a_call_is_not() {
    let world = World::start_with(1, ServerLimits { silent_s: 1, ..Default::default() }).await;
    let mut ada = world.client().await;
    ada.join("ada").await;
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    ada.call("node.info", json!({})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_publishes_itself_and_shows_the_network() {
    let mut world = World::start(2).await;
    let record = until("the orchestrator is in the register", async || {
        world.registries.iter().find_map(|registry| registry.joined().first().cloned())
    })
    .await;
    assert_eq!((record.node, record.role), (world.wallet.node_id(), Role::Orchestrator));
    assert_eq!(record.public_url.to_vec(), format!("ws://{}", world.address).into_bytes());

    let network = get(world.address, "/v1/network").await.unwrap();
    assert_eq!(network["epoch"]["current"], 7);
    assert_eq!(network["snapshot"]["votes"], 2);
    let nodes = network["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 5);
    let media = nodes.iter().find(|node| node["role"] == "media").unwrap();
    assert_eq!(media["status"], "active");
    assert_eq!(media["score"], 91.5);
    assert!(media["lat"].is_number() && media["lon"].is_number());
    assert!(media["load"]["cpu"].is_number());

    world.terminate().await;
    until("it said farewell", async || {
        world.registries.iter().any(|registry| registry.joined().iter().any(|record| record.left)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unregistered_orchestrator_does_not_start() {
    let error = start_unregistered().await.to_string();
    assert!(error.contains("not registered") && error.contains("chroom node register"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_clients_connection_can_be_taken_up_by_another() {
    let world = World::start(1).await;
    let (mut ada, mut bob) = (world.client().await, world.client().await);
    let a = ada.join("ada").await;
    bob.join("bob").await;
    ada.event("participantJoined").await;
    ada.drop_connection();
    let mut again = world.client().await;
    let resume = json!({ "session": a["session"], "secret": a["secret"] });
    assert_eq!(again.call("session.resume", resume).await.unwrap()["participant"], a["participant"]);
    bob.call("session.leave", json!({})).await.unwrap();
    assert_eq!(again.event("participantLeft").await["reason"], "left");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_funds_is_told_the_limit_and_the_cheapest_node() {
    let world = World::start(1).await;
    world.client().await.join("ada").await;
    *world.chain.budget.lock() = Budget::Known { limit: 0, escrow: 0 };
    world.chain.next_epoch();
    let refused = until("the orchestrator knows of the empty escrow", async || {
        let mut client = world.client().await;
        let mut claims = claims("bob");
        // A room of its own: who comes into one that is placed comes along.
        claims.chroom.room = "elsewhere".to_owned();
        client.join_claims(&claims).await.err()
    })
    .await;
    assert_eq!((refused.code, &refused.data["reason"]), (-32009, &json!("price-limit")));
    assert_eq!((&refused.data["limit"], &refused.data["cheapest"]["price"]), (&json!("0"), &json!("1")));
    assert_eq!(refused.data["cheapest"]["node"], world.media[0].node().to_hex());
    assert!(refused.data["considered"][0]["reason"].as_str().unwrap().contains("price above the application's limit"));
    assert!(refused.message.contains("the limit is 0 CHR"), "{}", refused.message);
}
