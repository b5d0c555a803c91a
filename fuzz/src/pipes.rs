//! What other media nodes send over pipes: datagrams, and messages of the control stream.

use bytes::{Bytes, BytesMut};
use chroom_media_node::cascade::{
    control::{self, Control},
    datagram,
};

pub fn run(input: &[u8]) {
    let _ = datagram::read(Bytes::copy_from_slice(input));
    let _ = control::read_lossy(input);
    if let Ok(Some(message)) = control::read(input) {
        let again = control::encode(&message);
        let read = again.get(4..).map(control::read);
        assert!(matches!(read, Some(Ok(Some(_)))), "what is written can't be read: {message:?}");
    }
    let mut received = BytesMut::from(input);
    // Each message takes its length away; a wrong one ends the pipe.
    while let Some(Ok(_)) = control::take(&mut received) {}
}

pub fn seeds() -> Vec<Vec<u8>> {
    let Ok(room) = "room".parse() else { return Vec::new() };
    let messages = [Control::Hello(1, 1), Control::Refused(room, "full".into())];
    let mut seeds: Vec<Vec<u8>> = messages.iter().map(|message| control::encode(message).to_vec()).collect();
    let bodies: Vec<Vec<u8>> = seeds.iter().filter_map(|seed| seed.get(4..).map(<[u8]>::to_vec)).collect();
    seeds.extend(bodies);
    seeds.extend((0..6u8).map(|kind| [&[kind], [7; 40].as_slice()].concat()));
    seeds
}
