//! A whole connection: datagrams of somebody who knows no password, to one that was negotiated.

use crate::{sdp::OFFER, stun};
use chroom_media_node::sfu::engine::{Connection, Engine, Output, Str0m, Str0mConnection};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Outputs of one turn: more would be an endless loop.
const MOST: usize = 1_000;

/// The input is a run of datagrams, each behind its length in two bytes.
pub fn run(mut input: &[u8]) {
    let (local, stranger): (SocketAddr, SocketAddr) = (([127, 0, 0, 1], 9).into(), ([192, 0, 2, 1], 7).into());
    let mut now = Instant::now();
    let mut connection = Str0m::new(true).open(now, local, "00");
    assert!(connection.accept(OFFER).is_ok(), "a good offer");
    drain(&mut connection, now);
    while let Some(([high, low], rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (datagram, behind) = rest.split_at(length);
        input = behind;
        now += Duration::from_millis(5);
        assert!(datagram.first().is_none_or(|first| *first > 3) || !connection.owns(stranger, datagram), "no password");
        if let Err(fault) = connection.receive(now, stranger, datagram) {
            panic!("a stranger's datagram ends the connection: {fault}");
        }
        drain(&mut connection, now);
    }
}

/// Nothing may leave for anybody: no address was proven.
fn drain(connection: &mut Str0mConnection, now: Instant) {
    for _ in 0..MOST {
        match connection.poll(now) {
            Ok(Output::Idle(_)) => return,
            Ok(Output::Transmit(to, datagram)) => panic!("{} bytes leave for {to}", datagram.len()),
            Ok(Output::Happening(_)) => {}
            Err(fault) => panic!("the connection fails: {fault}"),
        }
    }
    panic!("it never rests");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let hello = [
        22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 0xFE, 0xFD, 1, 2, 3, 4, 5,
        6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0,
        0, 2, 0xC0, 0x2B, 1, 0,
    ];
    let media =
        [[0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 0xBE, 0xDE, 0, 1, 0x40, b'1', 0, 0].as_slice(), &[9; 60]].concat();
    let report = [[0x80, 201, 0, 1, 0, 0, 0, 5].as_slice(), &[9; 34]].concat();
    let mut datagrams = stun::seeds();
    datagrams.extend([hello.to_vec(), media, report]);
    let framed: Vec<Vec<u8>> = datagrams
        .iter()
        .map(|datagram| [&(datagram.len() as u16).to_be_bytes(), datagram.as_slice()].concat())
        .collect();
    let all = framed.concat();
    framed.into_iter().chain([all]).collect()
}
