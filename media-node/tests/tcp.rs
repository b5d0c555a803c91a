//! Clients whose network lets no UDP through.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod harness;

use chroom_media_node::sfu::event::Occurrence;
use harness::*;
use std::{
    net::{Shutdown, UdpSocket},
    time::{Duration, Instant},
};

/// Media both ways between two clients over TCP, whichever shard accepts their connections.
#[test]
fn clients_without_udp_take_part() {
    let mut call = Call::new(3, None);
    let server = call.sfu.candidate();
    let (publisher, receiver) = (Client::over_tcp(1, server), Client::over_tcp(2, server));
    let (mut publisher, mut source, mut receiver, lines) = connect_both(&mut call, publisher, receiver, 720);
    let (audio, video) = (lines.mids[0].clone(), lines.mids[1].clone());
    assert!(receiver.answer.contains(" tcp ") && receiver.answer.contains(" tcptype passive"), "{}", receiver.answer);
    let mut clients = [&mut publisher, &mut receiver];
    call.until(
        "sound and the high layer",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| {
            let high =
                clients[1].received.get(&video).map_or(0, |all| all.iter().filter(|(.., tag)| *tag == b'f').count());
            clients[1].unique(&audio).len() > 100 && high > 60
        },
    );
    // It is egress as any other, which limits and load reports are about.
    let received: u64 = clients[1].received.values().map(|packets| packets.len() as u64).sum();
    let deadline = Instant::now() + PATIENCE;
    // Counts are told with each tick.
    while call.sfu.traffic().sent_bytes < received * 60 {
        assert!(Instant::now() < deadline, "{:?} for {received} packets", call.sfu.traffic());
        clients.iter_mut().for_each(|client| client.turn());
    }
    assert!(clients[0].send("chroom", b"over a stream"));
    call.until(
        "a message",
        &mut clients,
        |_| {},
        |clients, _| clients[1].messages.iter().any(|(_, data)| data.ends_with(b"over a stream")),
    );
    call.stop();
}

#[test]
fn a_client_goes_on_over_another_connection() {
    let mut call = Call::new(2, None);
    let server = call.sfu.candidate();
    let receiver = Client::over_tcp(2, server);
    let (mut publisher, mut source, mut receiver, lines) = connect_both(&mut call, Client::new(1), receiver, 180);
    let audio = lines.mids[0].clone();
    let mut clients = [&mut publisher, &mut receiver];
    let heard = |clients: &[&mut Client]| clients[1].unique(&audio).len();
    call.until("sound", &mut clients, |clients| source.send(clients[0]), |clients, _| heard(clients) > 20);

    // What the connection had is nobody's now, and nothing goes there over UDP.
    let old = clients[1].tcp.take().unwrap();
    let stranger = UdpSocket::bind(old.local()).unwrap();
    stranger.set_nonblocking(true).unwrap();
    old.stream.shutdown(Shutdown::Both).unwrap();
    let until = Instant::now() + Duration::from_millis(500);
    let before = clients[1].unique(&audio).len();
    let mut mute = [&mut *clients[0]];
    call.until("some time", &mut mute, |clients| source.send(clients[0]), |_, _| Instant::now() > until);
    assert!(stranger.recv_from(&mut [0; 2_000]).is_err(), "media went to an address that is TCP's");
    assert_eq!(before, clients[1].unique(&audio).len());

    let tcp = Tcp::connect(server);
    clients[1].rtc.add_local_candidate(str0m::Candidate::host(tcp.local(), "udp").unwrap());
    clients[1].tcp = Some(tcp);
    call.negotiate(
        clients[1],
        |api| {
            api.ice_restart(true);
            lines.clone()
        },
        &[],
        &[(0, "voice", 0), (1, "face", 180)],
    )
    .unwrap();
    call.until(
        "sound again",
        &mut clients,
        |clients| source.send(clients[0]),
        |clients, _| heard(clients) > before + 50,
    );
    call.stop();
}

#[test]
fn strangers_are_closed_and_keep_nobody_out() {
    let mut call = Call::new(1, None);
    let server = call.sfu.candidate();
    let closed = |call: &mut Call, what: &str, tcp: &mut Tcp| {
        call.until(what, &mut [], |_| {}, |_, _| tcp.is_closed());
    };
    // No check at all, a check of nobody's, a frame that is too long, and what looks like HTTP.
    let mut nobody = vec![0, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 8];
    nobody.extend_from_slice(b"00nobody");
    for (what, bytes) in [
        ("no check", [&[0, 4][..], &[0x80; 4]].concat()),
        ("nobody's check", [&[0, nobody.len() as u8][..], &nobody].concat()),
        ("too long", vec![0xFF; 2]),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        let mut tcp = Tcp::connect(server);
        std::io::Write::write_all(&mut tcp.stream, &bytes).unwrap();
        closed(&mut call, what, &mut tcp);
    }
    // Of those who say nothing, one network has sixteen.
    let mut silent: Vec<Tcp> = (0..16).map(|_| Tcp::connect(server)).collect();
    call.until(
        "a place for each",
        &mut [],
        |_| {},
        |_, _| {
            let mut more = Tcp::connect(server);
            let until = Instant::now() + Duration::from_millis(200);
            while Instant::now() < until {
                if more.is_closed() {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            false
        },
    );
    assert!(silent.iter_mut().all(|tcp| !tcp.is_closed()));
    // UDP has no part in it.
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let audio = lines.mids[0].clone();
    call.until(
        "sound",
        &mut [&mut publisher, &mut receiver],
        |clients| source.send(clients[0]),
        |clients, _| clients[1].unique(&audio).len() > 20,
    );
    assert_eq!(call.seen.iter().filter(|event| event.occurrence == Occurrence::Connected).count(), 2);
    drop(silent);
    call.stop();
}
