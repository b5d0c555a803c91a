//! What a client sends over SRTP once it is opened: headers, sources, resends, and the reports that follow.

use chroom_media_node::sfu::{
    codec::{Codec, Format},
    id::Mid,
    ingress::{Config, Extension, LineConfig, Receiver, Sealed},
    packet::Kind,
    rtcp,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const AUDIO: u8 = 111;
const VIDEO: u8 = 96;
const RESENDS: u8 = 97;
/// Compound packets of one turn: more would be an endless loop.
const MOST: usize = 100;

fn config() -> Config {
    let mut config = Config {
        extensions: vec![
            (1, Extension::Mid),
            (2, Extension::Rid),
            (3, Extension::TransportSeq),
            (4, Extension::RepairedRid),
            (5, Extension::AudioLevel),
            (6, Extension::Orientation),
            (7, Extension::Descriptor),
        ],
        repairs: vec![(RESENDS, VIDEO)],
        ..Config::default()
    };
    for (payload_type, format) in [(AUDIO, Format::new(Codec::Opus, 48_000)), (VIDEO, Format::new(Codec::Vp8, 90_000))]
    {
        if let Some(place) = config.formats.get_mut(usize::from(payload_type)) {
            *place = Some(format);
        }
    }
    for (name, kind, sources) in [("0", Kind::Audio, vec![]), ("1", Kind::Video, vec![(7, Some(8))])] {
        config.lines.extend(Mid::parse(name).map(|mid| LineConfig { mid, kind, rids: None, sources }));
    }
    config
}

/// The input is a run of packets, each behind its length and the time since the one before, in a byte each.
pub fn run(mut input: &[u8]) {
    let mut now = Instant::now();
    let mut receiver = Receiver::new(now, 9);
    receiver.learn(config());
    while let Some(([length, wait], rest)) = input.split_first_chunk() {
        let (packet, behind) = rest.split_at(usize::from(*length).min(rest.len()));
        input = behind;
        now += Duration::from_millis(u64::from(*wait) * 4);
        if let Some(taken) = receiver.receive(now, packet, open) {
            assert!(taken.payload.len() < packet.len(), "more than came");
        }
        assert!(receiver.receive(now, packet, open).is_none(), "a packet twice");
        say(&mut receiver, now);
    }
}

fn open(sealed: Sealed<'_>) -> Option<Arc<[u8]>> {
    sealed.packet.get(sealed.header..).map(Into::into)
}

/// Has it say all that is due, each in a datagram that every path carries.
fn say(receiver: &mut Receiver, now: Instant) {
    for _ in 0..MOST {
        if receiver.next_at(now).is_none_or(|at| at > now) {
            return;
        }
        let mut said = Vec::new();
        receiver.report(now, None, &mut said);
        assert!(said.is_empty() || (12..1_200).contains(&said.len()), "{} bytes", said.len());
        let mut asked = 0;
        rtcp::read(&said, |one| {
            if let rtcp::Feedback::Nack { pairs, .. } = one {
                asked += rtcp::missing(pairs).count();
            }
        });
        assert!(asked <= 512, "{asked} asked for");
    }
    panic!("it never rests");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let packet = |payload_type: u8, seq: u16, ssrc: u8, elements: &[u8], payload: &[u8]| {
        let [high, low] = seq.to_be_bytes();
        let head =
            [0x90, payload_type, high, low, 0, 0, high, low, 0, 0, 0, ssrc, 0xBE, 0xDE, 0, elements.len() as u8 / 4];
        let packet = [head.as_slice(), elements, payload].concat();
        [[packet.len() as u8, 10].as_slice(), &packet].concat()
    };
    let named = [0x10, b'1', 0x20, b'q', 0x31, 0, 1, 0x5F];
    let repairs = [0x10, b'1', 0x40, b'q', 0x31, 0, 3, 0];
    let all = [
        packet(VIDEO, 65_534, 5, &named, &[1; 30]),
        packet(VIDEO, 1, 5, &[0x31, 0, 2, 0], &[2; 30]),
        packet(RESENDS, 9, 6, &repairs, &[255, 255, 3, 3, 3]),
        packet(AUDIO, 3, 4, &[0x10, b'0', 0x50, 0x9E], &[4; 20]),
        packet(VIDEO, 8, 7, &[0x31, 0, 9, 0x60, 1, 0, 0, 0], &[5; 9]),
    ];
    let together = all.concat();
    all.into_iter().chain([together]).collect()
}
