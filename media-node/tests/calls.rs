//! Calls between clients on the same engine, over loopback UDP and the real shards.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod harness;

use chroom_media_node::cascade::{
    hub::{Neighbour, Route},
    quic::{Cascade, CascadeConfig},
};
use chroom_media_node::sfu::{
    command::NegotiateError,
    event::{CloseReason, Event, Occurrence},
    router::RouteError,
};
use chroom_primitives::NodeId;
use chroom_rpc::tls::Identity;
use chroom_wallet::Wallet;
use rand::{SeedableRng, rngs::StdRng};
use std::{collections::BTreeSet, net::UdpSocket, time::Duration};
use str0m::{Candidate, RtcConfig, change::SdpAnswer, format::Codec};

use harness::*;

#[test]
fn sound_and_simulcast_reach_the_receiver_who_can_change_layers() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let (audio, video) = (lines.mids[0].clone(), lines.mids[1].clone());
    let mut clients = [&mut publisher, &mut receiver];
    call.until(
        "sound and the low layer",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| clients[1].unique(&audio).len() > 30 && clients[1].unique(&video).len() > 20,
    );
    assert_eq!(layers_of(clients[1], &video), [b'q']);
    call.subscribe(clients[1], &video, "face", 720);
    call.until(
        "the high layer",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| clients[1].received[&video].iter().filter(|(.., tag)| *tag == b'f').count() > 20,
    );
    let tags = layers_of(clients[1], &video);
    assert_eq!(tags.first(), Some(&b'q'));
    assert_eq!(tags.last(), Some(&b'f'));

    // One stream to the receiver: no gap, no step back in time, no leap.
    let packets = &clients[1].received[&video];
    for pair in packets.windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1);
        let step = pair[1].1.wrapping_sub(pair[0].1);
        assert!(step > 0 && step < 90_000, "{step}");
    }
    call.take_events();
    let started: BTreeSet<String> = call
        .seen
        .iter()
        .filter_map(|event| match &event.occurrence {
            Occurrence::TrackStarted { track, layers, .. } => Some(format!("{track} {layers:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(started, ["face [q, h, f]", "voice []"].map(str::to_owned).into());
    assert!(call.seen.iter().any(|event| {
        matches!(&event.occurrence, Occurrence::Speakers(who) if who.first().is_some_and(|who| who.as_str() == "alice"))
    }));

    let (_, stats) = call.runtime.block_on(call.sfu.stats(Some(clients[1].session))).unwrap();
    let received = clients[1].received.values().map(|packets| packets.len() as u64).sum::<u64>();
    assert!(stats[0].sent_packets.abs_diff(received) <= 10, "{} and {received}", stats[0].sent_packets);
    call.stop();
}

#[test]
fn who_joins_in_a_crowd_gets_in_after_those_who_gave_up() {
    let mut call = Call::new(1, None);
    let mut crowd: Vec<Client> = (1..=100).map(Client::new).collect();
    let mut offers = Vec::new();
    for (number, client) in crowd.iter_mut().enumerate() {
        call.open(client, &format!("guest-{number}")).unwrap();
        let mut api = client.rtc.sdp_api();
        receiver_lines(&mut api);
        let (offer, pending) = api.apply().unwrap();
        offers.push((offer.to_sdp_string(), pending));
    }
    let mut answers: Vec<_> = crowd
        .iter()
        .zip(offers)
        .map(|(client, (offer, pending))| {
            (call.sfu.negotiate(&call.room, client.session, offer, vec![], vec![]).unwrap(), pending)
        })
        .collect();
    // Nobody waits for these any more: they are no reason to let others wait.
    let (last, pending) = answers.pop().unwrap();
    answers.drain(20..90);
    for (answer, _) in answers {
        call.runtime.block_on(answer.done()).unwrap().unwrap();
    }
    let answer = call.runtime.block_on(last.done()).unwrap().unwrap();
    let client = crowd.last_mut().unwrap();
    client.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer).unwrap()).unwrap();
    client.drain();
    call.until("the last one's connection", &mut [client], |_| {}, |clients, _| clients[0].connected);
    let nobody_waits = async {
        while call.sfu.traffic().joins_waiting > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    call.runtime.block_on(async { tokio::time::timeout(PATIENCE, nobody_waits).await }).unwrap();
    call.stop();
}

/// How many numbers are missing between the first and the last.
fn missing(set: &BTreeSet<u64>) -> usize {
    (set.last().unwrap() - set.first().unwrap() + 1) as usize - set.len()
}

fn much_media(call: &mut Call, clients: &mut [&mut Client; 2], source: &mut Source, audio: &str, video: &str) {
    call.until(
        "much media",
        clients,
        |clients| source.send(clients[0]),
        |clients, _| clients[1].unique(audio).len() > 350 && clients[1].unique(video).len() > 200,
    );
}

/// Goes on until the second client has all of the video up to now.
fn repaired(call: &mut Call, clients: &mut [&mut Client; 2], source: &mut Source, video: &str) {
    let newest = *clients[1].unique(video).last().unwrap();
    // The newest may still be asked for.
    call.until(
        "repair",
        clients,
        |clients| source.send(clients[0]),
        |clients, _| {
            let early: BTreeSet<u64> = clients[1].unique(video).into_iter().filter(|seq| *seq < newest - 10).collect();
            missing(&early) == 0
        },
    );
}

#[test]
fn lost_pictures_are_repaired_and_the_loss_is_measured() {
    const LOSS: f64 = 0.1;
    let mut call = Call::new(1, Some(LOSS));
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let (audio, video) = (lines.mids[0].clone(), lines.mids[1].clone());
    let mut clients = [&mut publisher, &mut receiver];
    much_media(&mut call, &mut clients, &mut source, &audio, &video);
    repaired(&mut call, &mut clients, &mut source, &video);
    let sound = clients[1].unique(&audio);
    let share = missing(&sound) as f64 / (missing(&sound) + sound.len()) as f64;
    assert!((0.04..0.18).contains(&share), "sound isn't repaired: {share}");
    let (_, stats) = call.runtime.block_on(call.sfu.stats(Some(clients[1].session))).unwrap();
    assert!((300..2_000).contains(&stats[0].loss), "{:?}", stats[0]);
    assert!(call.sfu.traffic().injected > 20);
    call.stop();
}

#[test]
fn what_is_lost_on_the_way_to_the_node_is_repaired_and_counted() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    publisher.loses = Some((0.1, StdRng::seed_from_u64(1)));
    let (audio, video) = (lines.mids[0].clone(), lines.mids[1].clone());
    let mut clients = [&mut publisher, &mut receiver];
    much_media(&mut call, &mut clients, &mut source, &audio, &video);
    repaired(&mut call, &mut clients, &mut source, &video);
    let (_, stats) = call.runtime.block_on(call.sfu.stats(Some(clients[0].session))).unwrap();
    assert!((300..2_000).contains(&stats[0].uplink_loss) && stats[0].uplink.lost > 20, "{:?}", stats[0]);
    call.stop();
}

#[test]
fn a_client_that_restarts_ice_from_elsewhere_goes_on() {
    let mut call = Call::new(1, None);
    restart_ice(&mut call);
    call.stop();
}

#[test]
fn a_restarted_client_is_found_on_whichever_shard_it_lives() {
    // The kernel picks a socket by address, so one client alone may be lucky.
    let mut call = Call::new(4, None);
    for room in 0..6 {
        call.room = format!("room-{room}").parse().unwrap();
        call.seen.clear();
        restart_ice(&mut call);
    }
    call.stop();
}

fn restart_ice(call: &mut Call) {
    let (mut publisher, mut source, mut receiver, lines) = connect(call, 180);
    let audio = lines.mids[0].clone();
    let mut clients = [&mut publisher, &mut receiver];
    call.until(
        "sound",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| clients[1].unique(&audio).len() > 20,
    );
    // Another network: a new address, and ICE anew.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let candidate = Candidate::host(socket.local_addr().unwrap(), "udp").unwrap();
    receiver.socket = socket;
    let restart = |api: &mut str0m::change::SdpApi<'_>| {
        api.ice_restart(false);
        Lines::default()
    };
    receiver.rtc.add_local_candidate(candidate.clone());
    call.negotiate(&mut receiver, restart, &[], &[]).unwrap();
    receiver.rtc.add_local_candidate(candidate);
    let before = receiver.unique(&audio).len();
    let mut clients = [&mut publisher, &mut receiver];
    call.until(
        "sound at the new address",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| clients[1].unique(&audio).len() > before + 50,
    );
    let here = |event: &&Event| event.room == call.room;
    let closed = call.seen.iter().filter(here).any(|event| matches!(event.occurrence, Occurrence::Closed(_)));
    assert!(!closed, "{:?}", call.seen);
    for client in [&publisher, &receiver] {
        let close = call.sfu.close(&call.room, client.session, CloseReason::Requested("over".into())).unwrap();
        assert!(call.runtime.block_on(close.done()).unwrap());
    }
}

#[test]
fn another_peer_connection_ends_the_session_which_can_then_be_opened_for_it() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, receiver, _) = connect(&mut call, 180);
    // The receiver's browser makes a new connection; the node holds the old one for alive.
    let mut again = Client::new(2);
    assert_eq!(again.session, receiver.session);
    let wishes = [(0, "voice", 0), (1, "face", 180)];
    let refused = call.negotiate(&mut again, receiver_lines, &[], &wishes);
    assert!(matches!(refused, Err(NegotiateError::Replaced)));
    call.take_events();
    let reasons: Vec<String> = call
        .seen
        .iter()
        .filter(|event| event.session == Some(receiver.session))
        .filter_map(|event| match &event.occurrence {
            Occurrence::Closed(reason) => Some(reason.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["transport-replaced"]);
    assert!(matches!(
        call.negotiate(&mut Client::new(2), receiver_lines, &[], &wishes),
        Err(NegotiateError::Route(RouteError::NoSession))
    ));
    call.open(&again, "bob").unwrap();
    let mut fresh = Client::new(2);
    let lines = call.negotiate(&mut fresh, receiver_lines, &[], &wishes).unwrap();
    let audio = lines.mids[0].clone();
    let mut clients = [&mut publisher, &mut fresh];
    call.until(
        "sound on the new connection",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| clients[1].unique(&audio).len() > 20,
    );
    call.stop();
}

#[test]
fn messages_are_relayed_with_the_senders_name() {
    let mut call = Call::new(1, None);
    let (mut publisher, _, mut receiver, _) = connect(&mut call, 0);
    assert!(publisher.send("chroom", b"hello"));
    assert!(publisher.send("chroom-lossy", b"quick"));
    assert!(receiver.send("chroom", &[9; 16 * 1024]));
    let mut clients = [&mut publisher, &mut receiver];
    call.until(
        "messages",
        &mut clients,
        |_| {},
        |clients, _| clients[1].messages.len() == 2 && clients[0].messages.len() == 1,
    );
    let mut got = clients[1].messages.clone();
    got.sort();
    let expected = [("chroom", b"\x05alicehello".to_vec()), ("chroom-lossy", b"\x05alicequick".to_vec())];
    assert_eq!(got, expected.map(|(label, data)| (label.to_owned(), data)));
    assert!(clients[0].messages[0].1.starts_with(b"\x03bob") && clients[0].messages[0].1.len() == 4 + 16 * 1024);
    call.stop();
}

#[test]
fn shards_that_share_a_port_reach_their_sessions() {
    let mut call = Call::new(4, None);
    for room in 0..6 {
        call.room = format!("room-{room}").parse().unwrap();
        call.seen.clear();
        let (mut publisher, mut receiver) = (Client::new(room * 2 + 1), Client::new(room * 2 + 2));
        call.open(&publisher, "alice").unwrap();
        call.open(&receiver, "bob").unwrap();
        let lines = call.negotiate(&mut publisher, publisher_lines, &[(0, "voice")], &[]).unwrap();
        let mut source = Source::new(&lines);
        let lines = call.negotiate(&mut receiver, receiver_lines, &[], &[(0, "voice", 0)]).unwrap();
        let audio = lines.mids[0].clone();
        let mut clients = [&mut publisher, &mut receiver];
        call.until(
            "sound",
            &mut clients,
            |clients| source.send(clients[0]),
            |clients, _| clients[1].unique(&audio).len() > 10,
        );
    }
    call.stop();
}

#[test]
fn stopping_tells_why_and_bad_offers_leave_the_session_as_it_was() {
    let mut call = Call::new(1, None);
    let (publisher, _, receiver, _) = connect(&mut call, 0);
    let bad = |sdp: &str| {
        let pending = call.sfu.negotiate(&call.room, receiver.session, sdp.into(), vec![], vec![]).unwrap();
        call.runtime.block_on(pending.done()).unwrap()
    };
    assert!(matches!(bad("not sdp"), Err(NegotiateError::Offer(_))));
    assert!(matches!(bad("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"), Err(NegotiateError::Offer(_))));
    let (totals, _) = call.runtime.block_on(call.sfu.stats(None)).unwrap();
    assert_eq!(totals.sessions, 2);
    drop(publisher);
    let mut events = call.sfu.events();
    call.runtime.block_on(call.sfu.stop(CloseReason::Draining));
    let mut reasons = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Occurrence::Closed(reason) = event.occurrence {
            reasons.push(reason.to_string());
        }
    }
    assert_eq!(reasons, ["draining", "draining"]);
}

#[test]
fn garbage_and_strangers_harm_nobody() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let audio = lines.mids[0].clone();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let target = call.sfu.candidate();
    let mut seed = 1u32;
    let mut garbage = move || {
        let mut bytes = Vec::new();
        for _ in 0..64 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push((seed >> 24) as u8);
        }
        bytes
    };
    let mut clients = [&mut publisher, &mut receiver];
    call.until(
        "sound in spite of garbage",
        &mut clients,
        |clients| {
            source.send(clients[0]);
            for first in [0u8, 1, 22, 128, 200] {
                let mut bytes = garbage();
                bytes[0] = first;
                let _ = stranger.send_to(&bytes, target);
                // From a client's own address, too.
                let _ = clients[1].socket.send_to(&bytes, target);
            }
        },
        |clients, _| clients[1].unique(&audio).len() > 50,
    );
    let mut buffer = [0; 2_000];
    assert!(stranger.recv_from(&mut buffer).is_err(), "nothing is sent to a stranger");
    assert!(call.sfu.traffic().unknown > 0);
    call.stop();
}

#[test]
fn redundant_audio_passes_to_who_negotiated_it_and_is_taken_apart_for_others() {
    let mut call = Call::new(1, None);
    let redundant = || RtcConfig::new().enable_opus(true, true);
    let (mut sender, mut knows) = (Client::with(1, redundant()), Client::with(2, redundant()));
    let mut plain = Client::new(3);
    for (client, name) in [(&sender, "s"), (&knows, "k"), (&plain, "p")] {
        call.open(client, name).unwrap();
    }
    let sent = call.negotiate(&mut sender, publisher_lines, &[(0, "voice")], &[]).unwrap();
    let line = call.negotiate(&mut knows, receiver_lines, &[], &[(0, "voice", 0)]).unwrap().mids[0].clone();
    let plain_line = call.negotiate(&mut plain, receiver_lines, &[], &[(0, "voice", 0)]).unwrap().mids[0].clone();
    let of = |client: &Client| *client.rtc.codec_config().find(|params| params.spec().codec == Codec::Opus).unwrap();
    let (opus, red) = (*of(&knows).pt(), *of(&knows).red().expect("the answer has redundant audio"));
    assert_eq!(of(&plain).red(), None);
    // One redundant block of two bytes, then the primary one of three.
    let payload = vec![0x80 | opus, 0x0F, 0x00, 2, opus, 1, 1, 8, 8, 8];
    let mut pace = Pace::new(Duration::from_millis(20));
    let enough = |client: &Client, line: &str| client.sound.get(line).is_some_and(|packets| packets.len() >= 20);
    let each = |clients: &mut [&mut Client]| {
        if clients[0].connected
            && let Some(count) = pace.due()
        {
            clients[0].write(&sent.mids[0], None, Codec::Opus, count * 960, payload.clone(), -30);
        }
    };
    call.until("sound at both", &mut [&mut sender, &mut knows, &mut plain], each, |clients, _| {
        enough(clients[1], &line) && enough(clients[2], &plain_line)
    });
    assert!(knows.sound[&line].iter().all(|packet| *packet == (red, payload.clone())));
    let primary = (*of(&plain).pt(), vec![8; 3]);
    assert!(plain.sound[&plain_line].iter().all(|packet| *packet == primary), "{:?}", plain.sound[&plain_line]);
    call.stop();
}

/// A node with pipes, and its id.
fn with_pipes(shards: usize) -> (Call, Cascade, NodeId) {
    let wallet = Wallet::generate();
    let identity = Identity::new(&wallet).unwrap();
    let config = CascadeConfig { listen: "127.0.0.1:0".parse().unwrap(), advertise: None };
    let prepared = Cascade::prepare(&config, &identity, Box::new(|_| None)).unwrap();
    let call = Call::start(shards, None, Some(prepared.room_end()));
    let cascade = prepared.start(call.sfu.rooms()).unwrap();
    (call, cascade, wallet.node_id())
}

#[test]
fn a_call_over_two_nodes_is_like_a_call_on_one() {
    let (mut above, upper, upper_id) = with_pipes(2);
    let (mut below, lower, lower_id) = with_pipes(3);
    let route = |parent: Option<Neighbour>, children: Vec<NodeId>| Route {
        room: "room".parse().unwrap(),
        fence: 1,
        parent,
        standby: None,
        children,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let set = |cascade: &Cascade, route| runtime.block_on(cascade.set_route(route).unwrap().done()).unwrap().unwrap();
    set(&upper, route(None, vec![lower_id]));
    set(&lower, route(Some(Neighbour { node: upper_id, address: upper.address() }), Vec::new()));

    let (mut alice, mut bob) = (Client::new(1), Client::new(2));
    above.open(&alice, "alice").unwrap();
    below.open(&bob, "bob").unwrap();
    let lines = above.negotiate(&mut alice, publisher_lines, &[(0, "voice"), (1, "face")], &[]).unwrap();
    let mut source = Source::new(&lines);
    let wishes = [(0, "voice", 0), (1, "face", 180)];
    let lines = below.negotiate(&mut bob, receiver_lines, &[], &wishes).unwrap();
    let (audio, video) = (lines.mids[0].clone(), lines.mids[1].clone());
    let mut clients = [&mut alice, &mut bob];
    above.until(
        "sound and the low layer on the other node",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| {
            let ready = clients.iter().all(|client| client.channels.len() == 2);
            ready && clients[1].unique(&audio).len() > 30 && clients[1].unique(&video).len() > 20
        },
    );
    assert_eq!(layers_of(clients[1], &video), [b'q']);
    below.subscribe(clients[1], &video, "face", 720);
    assert!(clients[1].send("chroom", b"hello from below"));
    above.until(
        "the high layer and a message",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| {
            let high = clients[1].received[&video].iter().filter(|(.., tag)| *tag == b'f').count();
            high > 20 && !clients[0].messages.is_empty()
        },
    );
    assert_eq!(clients[0].messages, [("chroom".to_owned(), b"\x03bobhello from below".to_vec())]);
    for pair in clients[1].received[&video].windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + 1, "no gap over the switch");
        let step = pair[1].1.wrapping_sub(pair[0].1);
        assert!(step > 0 && step < 90_000, "{step}");
    }
    below.take_events();
    let speaks = |event: &Event| matches!(&event.occurrence, Occurrence::Speakers(who) if who.first().is_some_and(|who| who.as_str() == "alice"));
    assert!(below.seen.iter().any(speaks), "who speaks on the other node is known");
    let started = |event: &Event| matches!(event.occurrence, Occurrence::TrackStarted { .. });
    assert!(!below.seen.iter().any(started), "the publisher's node tells, and no other");
    let (totals, sessions) = runtime.block_on(below.sfu.stats(None)).unwrap();
    assert_eq!((totals.sessions, sessions.len()), (1, 1), "participants of other nodes are no sessions here");

    // What the publisher's node ends, ends on the other.
    let closed = above.sfu.close(&above.room, clients[0].session, CloseReason::Requested("enough".into())).unwrap();
    assert!(runtime.block_on(closed.done()).unwrap());
    let gone = async {
        while below.sfu.stats(None).await.unwrap().0.tracks > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, gone).await }).unwrap();
    runtime.block_on(async {
        upper.stop().await;
        lower.stop().await;
    });
    above.stop();
    below.stop();
}
