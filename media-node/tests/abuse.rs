//! What strangers and malicious clients can do to calls, and have the node do to others.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod harness;

use harness::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{cell::Cell, collections::BTreeSet, net::UdpSocket, time::Duration};
use str0m::{
    crypto::from_feature_flags,
    ice::{StunMessage, TransId},
};

fn stranger() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// What a socket got since this was last asked.
fn received(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2_000];
    std::iter::from_fn(|| socket.recv_from(&mut buffer).ok().map(|(size, _)| buffer[..size].to_vec())).collect()
}

/// A datagram with some of it changed, cut off or put twice.
fn broken(random: &mut StdRng, mut datagram: Vec<u8>) -> Vec<u8> {
    match random.random_range(0..4) {
        0 => datagram.truncate(random.random_range(0..=datagram.len())),
        1 => datagram.extend_from_within(..datagram.len().min(700)),
        _ => {
            for _ in 0..random.random_range(1..6) {
                let at = random.random_range(0..datagram.len());
                datagram[at] = random.random();
            }
        }
    }
    datagram
}

#[test]
fn a_storm_of_broken_packets_leaves_calls_as_they_were() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let (audio, video) = (lines.mids[0].clone(), lines.mids[1].clone());
    // Connectivity checks, handshakes, media and reports that were really sent: most of the way in is open to what is made of them.
    let samples: Vec<Vec<u8>> = [&publisher, &receiver].iter().flat_map(|client| client.samples.clone()).collect();
    let kinds: [fn(u8) -> bool; 2] = [|first| first < 4, |first| (20..64).contains(&first)];
    assert!(kinds.iter().all(|kind| samples.iter().any(|sample| kind(sample[0]))), "checks and a handshake");
    let strangers = [stranger(), stranger(), stranger()];
    let (target, mut random, sent) = (call.sfu.candidate(), StdRng::seed_from_u64(7), Cell::new(0u32));
    let mut sent_by_strangers = 0;
    call.until(
        "sound and pictures in the storm",
        &mut [&mut publisher, &mut receiver],
        |clients| {
            source.send(clients[0]);
            for _ in 0..40 {
                let from = random.random_range(0..5);
                let pool = match from {
                    // Of the client's own packets of now.
                    3 | 4 if random.random() => &clients[from - 3].samples,
                    _ => &samples,
                };
                let sample = pool[random.random_range(0..pool.len())].clone();
                let datagram = broken(&mut random, sample);
                let socket = if from < 3 { &strangers[from] } else { &clients[from - 3].socket };
                let _ = socket.send_to(&datagram, target);
                sent.set(sent.get() + 1);
                sent_by_strangers += if from < 3 { datagram.len() } else { 0 };
            }
        },
        |clients, _| {
            // Long enough that the publisher's sources were reported on: until then it repeats whatever the storm could undo.
            clients[1].unique(&audio).len() > 400 && clients[1].unique(&video).len() > 60 && sent.get() > 5_000
        },
    );
    // A check of which only what isn't authenticated was changed is as good as new; it is answered, and that is all.
    let got: Vec<Vec<u8>> = strangers.iter().flat_map(received).collect();
    assert!(got.iter().all(|datagram| datagram[..2] == [1, 1]), "strangers get nothing but answers to checks");
    let bytes: usize = got.iter().map(Vec::len).sum();
    assert!(bytes < sent_by_strangers / 20, "{bytes} bytes for {sent_by_strangers}");
    let (totals, _) = call.runtime.block_on(call.sfu.stats(None)).unwrap();
    assert_eq!((totals.rooms, totals.sessions, totals.tracks), (1, 2, 2));
    call.stop();
}

/// The engine binds sources to m-lines by header extensions, which it reads before it knows whether a packet is the client's.
#[test]
fn packets_that_are_not_the_clients_bind_no_source_to_its_lines() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let (audio, video, target) = (lines.mids[0].clone(), lines.mids[1].clone(), call.sfu.candidate());
    let is_rtp = |datagram: &[u8]| matches!(datagram, [128..=191, second, ..] if !(192..=223).contains(second));
    let names =
        |datagram: &[u8], mid: &str| datagram.windows(mid.len()).take(40).any(|window| window == mid.as_bytes());
    let (microphone, mut first, arrived) = (source.mids[0].clone(), BTreeSet::new(), Cell::new((0, 0)));
    call.until(
        "sound and pictures before, and a client that names its microphone's line no more",
        &mut [&mut publisher, &mut receiver],
        |clients| {
            source.send(clients[0]);
            let naming = clients[0].samples.iter().filter(|sample| is_rtp(sample) && names(sample, &microphone));
            first.extend(naming.cloned());
        },
        |clients, _| {
            arrived.set((clients[1].unique(&audio).len(), clients[1].unique(&video).len()));
            let last = clients[0].samples.iter().rev().take(20);
            let is_named = last.filter(|sample| is_rtp(sample)).any(|sample| names(sample, &microphone));
            arrived.get().0 > 60 && arrived.get().1 > 40 && !is_named
        },
    );
    assert!(!first.is_empty());
    // These have another source, and what authenticates them is of another packet.
    for mut packet in first {
        packet[11] ^= 0x55;
        publisher.socket.send_to(&packet, target).unwrap();
    }
    call.until(
        "sound and pictures after",
        &mut [&mut publisher, &mut receiver],
        |clients| source.send(clients[0]),
        |clients, _| {
            clients[1].unique(&audio).len() > arrived.get().0 + 100
                && clients[1].unique(&video).len() > arrived.get().1 + 60
        },
    );
    call.stop();
}

/// A client's check that nominates its way, and a better one than any before.
fn nomination(client: &mut Client) -> Vec<u8> {
    let told = |name: &str| {
        let line = client.answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().to_owned()
    };
    let (server, password) = (told("a=ice-ufrag:"), told("a=ice-pwd:"));
    let name = format!("{server}:{}", client.rtc.direct_api().local_ice_credentials().ufrag);
    let check = StunMessage::binding_request(&name, TransId::new(), true, 1, u32::MAX >> 1, true);
    let (mut bytes, sha1) = (vec![0; 700], from_feature_flags().sha1_hmac_provider);
    let size = check.to_bytes(Some(password.as_bytes()), &mut bytes, |key, parts| sha1.sha1_hmac(key, parts)).unwrap();
    bytes.truncate(size);
    bytes
}

#[test]
fn an_address_that_answers_no_check_gets_no_media_whoever_names_it() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let audio = lines.mids[0].clone();
    let (victim, target) = (stranger(), call.sfu.candidate());
    let (mut sent, mut got) = (0, Vec::new());
    // As a client sends it that forges the victim's address: password and priority are right.
    call.until(
        "sound in spite of it",
        &mut [&mut publisher, &mut receiver],
        |clients| {
            source.send(clients[0]);
            let check = nomination(clients[1]);
            sent += victim.send_to(&check, target).unwrap();
            got.extend(received(&victim));
        },
        |clients, _| clients[1].unique(&audio).len() > 200,
    );
    let answers = got.iter().filter(|datagram| datagram[..2] == [1, 1]).count();
    let checks = got.iter().filter(|datagram| datagram[..2] == [0, 1]).count();
    assert!(answers > 0 && checks > 0, "{answers} answers, {checks} checks: the way was taken for a better one");
    assert_eq!(got.len(), answers + checks, "nothing but STUN");
    let bytes: usize = got.iter().map(Vec::len).sum();
    assert!(bytes <= sent + sent / 5, "{bytes} bytes for {sent}");
    call.stop();
}

/// Somebody in the room sends checks of its own session with another's address as their source. They are good checks; but the address is the other's.
#[test]
fn an_address_is_taken_from_nobody_by_checks_of_another_session() {
    let mut call = Call::new(1, None);
    let (mut publisher, mut source, mut receiver, lines) = connect(&mut call, 180);
    let (audio, target) = (lines.mids[0].clone(), call.sfu.candidate());
    call.until(
        "sound in spite of it",
        &mut [&mut publisher, &mut receiver],
        |clients| {
            source.send(clients[0]);
            let check = nomination(clients[1]);
            clients[0].socket.send_to(&check, target).unwrap();
        },
        |clients, _| clients[1].unique(&audio).len() > 200,
    );
    call.stop();
}

#[test]
fn who_asks_for_its_address_is_told_and_others_get_no_more_than_they_sent() {
    let call = Call::new(2, None);
    let target = call.sfu.candidate();
    let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A Binding request with SOFTWARE and no credentials, as `chroom doctor` sends it.
    let mut request = vec![0, 1, 0, 24, 0x21, 0x12, 0xA4, 0x42];
    request.extend(b"transaction!");
    request.extend([0x80, 0x22, 0, 20]);
    request.extend(b"chroom doctor, a try");
    asker.send_to(&request, target).unwrap();
    let mut buffer = [0; 200];
    let (size, from) = asker.recv_from(&mut buffer).unwrap();
    assert_eq!((size, from), (32, target));
    assert_eq!(buffer[..20], *[&[1, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42][..], b"transaction!"].concat());
    let port = u16::from_be_bytes([buffer[26], buffer[27]]) ^ 0x2112;
    assert_eq!(port, asker.local_addr().unwrap().port());

    // A check names a session: of one that is not there, nothing is said. Nor is it to who asks for less than the answer is long.
    let mut check = request.clone();
    check[20..22].copy_from_slice(&[0, 6]);
    asker.send_to(&check, target).unwrap();
    asker.send_to(&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], target).unwrap();
    // The answer to what is asked behind them comes first, so they were passed over.
    request[8] = b'T';
    asker.send_to(&request, target).unwrap();
    let (size, _) = asker.recv_from(&mut buffer).unwrap();
    assert_eq!((size, buffer[8]), (32, b'T'));
    call.stop();
}
