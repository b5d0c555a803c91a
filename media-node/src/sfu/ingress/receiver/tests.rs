use super::*;
use crate::sfu::{
    codec::{Codec, Format},
    congestion::Feedback as Told,
    ingress::{Extension, LineConfig},
    rtcp::Feedback,
};
use proptest::prelude::*;

const OWN: u32 = 9;
const VP8: u8 = 96;
const RTX: u8 = 97;
const OPUS: u8 = 111;

/// A client that sends a microphone, and a camera in layers; nothing is encrypted, but the last byte is 0 of what isn't the client's.
struct Fixture {
    receiver: Receiver,
    start: Instant,
    now: Instant,
    transport_seq: u16,
}

struct Sent<'a> {
    ssrc: u32,
    payload_type: u8,
    seq: u16,
    elements: Vec<(u8, &'a [u8])>,
    payload: Vec<u8>,
    padding: u8,
}

fn sent(ssrc: u32, payload_type: u8, seq: u16) -> Sent<'static> {
    Sent { ssrc, payload_type, seq, elements: Vec::new(), payload: vec![1, 2, 3], padding: 0 }
}

impl<'a> Sent<'a> {
    fn named(mut self, elements: &[(u8, &'a str)]) -> Self {
        self.elements.extend(elements.iter().map(|(id, text)| (*id, text.as_bytes())));
        self
    }

    fn with(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    fn bytes(&self, transport_seq: u16) -> Vec<u8> {
        let first = 0x90 | if self.padding > 0 { 0x20 } else { 0 };
        let mut out = vec![first, self.payload_type];
        out.extend(self.seq.to_be_bytes());
        out.extend(u32::from(self.seq).wrapping_mul(100).to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        let mut elements = vec![3 << 4 | 1];
        elements.extend(transport_seq.to_be_bytes());
        for (id, data) in &self.elements {
            elements.push(id << 4 | (data.len() as u8 - 1));
            elements.extend(*data);
        }
        elements.resize(elements.len().next_multiple_of(4), 0);
        out.extend([0xBE, 0xDE]);
        out.extend((elements.len() as u16 / 4).to_be_bytes());
        out.extend(elements);
        out.extend(&self.payload);
        if self.padding > 0 {
            out.extend(std::iter::repeat_n(0, usize::from(self.padding) - 1));
            out.push(self.padding);
        }
        out
    }
}

fn mid(text: &str) -> Mid {
    Mid::parse(text).unwrap()
}

fn config() -> Config {
    let mut config = Config {
        extensions: vec![
            (1, Extension::Mid),
            (2, Extension::Rid),
            (3, Extension::TransportSeq),
            (4, Extension::RepairedRid),
            (5, Extension::AudioLevel),
            (6, Extension::Orientation),
        ],
        repairs: vec![(RTX, VP8)],
        lines: vec![
            LineConfig { mid: mid("0"), kind: Kind::Audio, rids: None, sources: vec![(70, None)] },
            LineConfig { mid: mid("1"), kind: Kind::Video, rids: None, sources: Vec::new() },
            LineConfig { mid: mid("2"), kind: Kind::Video, rids: None, sources: vec![(80, Some(81))] },
            LineConfig {
                mid: mid("3"),
                kind: Kind::Video,
                rids: Some(vec![Rid::parse("q").unwrap()]),
                sources: Vec::new(),
            },
        ],
        ..Config::default()
    };
    config.formats[usize::from(VP8)] = Some(Format::new(Codec::Vp8, 90_000));
    config.formats[usize::from(OPUS)] = Some(Format::new(Codec::Opus, 48_000));
    config
}

impl Fixture {
    fn new() -> Self {
        let start = Instant::now();
        let mut receiver = Receiver::new(start, OWN);
        receiver.learn(config());
        Self { receiver, start, now: start, transport_seq: 0 }
    }

    fn take(&mut self, sent: &Sent<'_>) -> Option<Packet> {
        self.transport_seq += 1;
        let bytes = sent.bytes(self.transport_seq);
        self.receiver.receive(self.now, &bytes, open)
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// All that is said now.
    fn said(&mut self) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        while self.receiver.next_at(self.now).is_some_and(|at| at <= self.now) {
            let mut out = Vec::new();
            self.receiver.report(self.now, Some(Duration::from_millis(50)), &mut out);
            assert!(out.len() < 1_200, "{}", out.len());
            if !out.is_empty() {
                assert!(out.starts_with(&[0x80 | out[0] & 31, 201]), "it begins with a report: {out:?}");
                said.push(out);
            }
        }
        said
    }

    fn asked(&mut self) -> Vec<(u32, u16)> {
        let mut asked = Vec::new();
        for compound in self.said() {
            rtcp::read(&compound, |one| {
                if let Feedback::Nack { ssrc, pairs } = one {
                    asked.extend(rtcp::missing(pairs).map(|seq| (ssrc, seq)));
                }
            });
        }
        asked
    }
}

fn open(sealed: Sealed<'_>) -> Option<Arc<[u8]>> {
    let payload = &sealed.packet[sealed.header..];
    (payload.last() != Some(&0)).then(|| payload.into())
}

#[test]
fn a_packet_has_what_its_header_says() {
    let mut f = Fixture::new();
    let mut one = sent(7, OPUS, 5).named(&[(1, "0")]);
    one.elements.push((5, &[0x80 | 30]));
    let packet = f.take(&one).unwrap();
    assert_eq!((packet.mid, packet.rid, packet.seq, packet.timestamp), (mid("0"), None, 5, 500));
    assert_eq!((packet.audio_level, packet.voice, packet.format.codec), (Some(30), Some(true), Codec::Opus));
    assert_eq!(packet.payload[..], [1, 2, 3]);
    let mut two = sent(8, VP8, 9).named(&[(1, "1"), (2, "q")]);
    two.elements.push((6, &[0x0D]));
    two.padding = 4;
    let packet = f.take(&two).unwrap();
    assert_eq!((packet.mid, packet.rid, packet.quarter_turns), (mid("1"), Rid::parse("q"), Some(1)));
    assert_eq!((packet.audio_level, &packet.payload[..]), (None, [1, 2, 3].as_slice()));
    two.seq += 1;
    two.payload.clear();
    assert_eq!(f.take(&two).unwrap().payload.len(), 0, "padding alone has its number");
    two.padding = 0;
    two.seq += 1;
    two.payload = vec![1, 2, 9];
    let bytes = two.bytes(0);
    let mut broken = bytes.clone();
    broken[0] |= 0x20;
    assert!(f.receiver.receive(f.now, &broken, open).is_none(), "more padding than payload");
    f.pass(60);
    f.said();
    f.pass(10);
    assert!(f.said().is_empty(), "nothing to say");
}

#[test]
fn sources_are_named_by_their_packets_or_by_the_offer() {
    let mut f = Fixture::new();
    assert!(f.take(&sent(7, VP8, 1)).is_none(), "of nothing");
    assert!(f.take(&sent(7, VP8, 2).named(&[(1, "9")])).is_none(), "of no line");
    assert!(f.take(&sent(7, 50, 3).named(&[(1, "1")])).is_none(), "of no format");
    assert!(f.take(&sent(21, VP8, 1).named(&[(1, "3")])).is_none(), "of no layer");
    assert!(f.take(&sent(21, VP8, 2).named(&[(1, "3"), (2, "h")])).is_none(), "of a layer that there is not");
    assert!(f.take(&sent(21, VP8, 3).named(&[(1, "3"), (2, "q")])).is_some());
    assert_eq!(f.take(&sent(7, VP8, 4).named(&[(1, "1"), (2, "h")])).unwrap().rid, Rid::parse("h"));
    assert_eq!(f.take(&sent(7, VP8, 5)).unwrap().rid, Rid::parse("h"), "they name it no longer than they have to");
    assert_eq!(f.take(&sent(70, OPUS, 1)).unwrap().mid, mid("0"));
    assert_eq!(f.take(&sent(80, VP8, 1)).unwrap().mid, mid("2"));
    // Another source of the same layer, as after a change of cameras.
    assert_eq!(f.take(&sent(17, VP8, 900).named(&[(1, "1"), (2, "h")])).unwrap().seq, 900);
    assert!(f.take(&sent(7, VP8, 6)).is_none());
    assert_eq!(f.take(&sent(17, VP8, 901).named(&[(1, "1"), (2, "q")])).unwrap().rid, Rid::parse("q"), "it moved");
}

#[test]
fn probes_and_padding_move_no_line() {
    let mut f = Fixture::new();
    f.take(&sent(7, OPUS, 1).named(&[(1, "0")])).unwrap();
    for seq in 0..5 {
        let mut probe = sent(0, OPUS, seq).named(&[(1, "0")]);
        (probe.payload, probe.padding) = (Vec::new(), 100);
        assert!(f.take(&probe).is_none());
    }
    assert_eq!(f.take(&sent(7, OPUS, 2)).unwrap().seq, 2);
    // Padding among resends with media's payload type, known by the offer or by what came before.
    f.take(&sent(80, VP8, 1)).unwrap();
    let mut padding = sent(81, VP8, 1).named(&[(1, "2")]);
    (padding.payload, padding.padding) = (Vec::new(), 100);
    assert!(f.take(&padding).is_none());
    f.take(&sent(8, VP8, 1).named(&[(1, "1")])).unwrap();
    assert!(f.take(&sent(88, RTX, 1).named(&[(1, "1")]).with(&[0, 1, 9])).is_none());
    (padding.ssrc, padding.seq, padding.elements) = (88, 2, vec![(1, "1".as_bytes())]);
    assert!(f.take(&padding).is_none());
    assert_eq!(f.take(&sent(8, VP8, 2)).unwrap().seq, 2);
    f.pass(50);
    assert_eq!(f.said().len(), 1, "all of it arrived");
}

#[test]
fn many_streams_take_several_reports() {
    let mut f = Fixture::new();
    let names: Vec<String> = (0..70).map(|n| format!("l{n}")).collect();
    for (ssrc, name) in (100..).zip(&names) {
        f.take(&sent(ssrc, VP8, 1).named(&[(1, "1"), (2, name)])).unwrap();
    }
    f.pass(1_000);
    let mut reported = std::collections::BTreeSet::new();
    for compound in f.said() {
        rtcp::read(&compound, |one| {
            if let Feedback::Report(block) = one {
                assert!(reported.insert(block.ssrc));
            }
        });
    }
    assert_eq!(reported.len(), 70);
}

#[test]
fn a_packet_that_is_of_no_use_hides_no_gap() {
    let mut f = Fixture::new();
    f.take(&sent(80, VP8, 10)).unwrap();
    assert!(f.take(&sent(80, 50, 13)).is_none(), "an unknown type");
    f.pass(10);
    assert_eq!(f.asked(), [(80, 11), (80, 12)]);
}

#[test]
fn what_is_not_the_clients_changes_nothing() {
    let mut f = Fixture::new();
    f.take(&sent(7, VP8, 1).named(&[(1, "1")])).unwrap();
    f.pass(60);
    f.said();
    let mut forged = sent(66, VP8, 2).named(&[(1, "1")]).with(&[0]);
    assert!(f.take(&forged).is_none());
    forged.ssrc = 7;
    forged.seq = 60_000;
    assert!(f.take(&forged).is_none());
    assert_eq!(f.take(&sent(7, VP8, 2)).unwrap().seq, 2, "its line is its own, and its numbers go on");
    assert!(f.take(&sent(7, VP8, 2)).is_none(), "a repeat");
    f.pass(50);
    let mut told = Vec::new();
    for compound in f.said() {
        rtcp::read(&compound, |one| {
            if let Feedback::Arrivals(packet) = one {
                told.extend(Told::parse(packet).unwrap().packets());
            }
        });
    }
    let arrived: Vec<_> = told.iter().map(|(seq, at)| (*seq, at.is_some())).collect();
    assert_eq!(arrived, [(2, false), (3, false), (4, true)]);
}

#[test]
fn what_is_lost_is_asked_for_and_comes_repaired_once() {
    let mut f = Fixture::new();
    f.take(&sent(7, VP8, 65_534).named(&[(1, "1"), (2, "q")])).unwrap();
    f.take(&sent(7, VP8, 1)).unwrap();
    assert_eq!(f.asked(), []);
    f.pass(10);
    assert_eq!(f.asked(), [(7, 65_535), (7, 0)]);
    let repair = |seq, original: u16| {
        let payload = [original.to_be_bytes().as_slice(), &[4, 5]].concat();
        sent(77, RTX, seq).named(&[(1, "1"), (4, "q")]).with(&payload)
    };
    let packet = f.take(&repair(3, 65_535)).unwrap();
    assert_eq!((packet.seq, packet.rid, &packet.payload[..]), (65_535, Rid::parse("q"), [4, 5].as_slice()));
    assert_eq!(packet.format.codec, Codec::Vp8);
    assert!(f.take(&repair(4, 65_535)).is_none(), "twice");
    assert!(f.take(&repair(5, 1)).is_none(), "it came by itself");
    assert!(f.take(&sent(7, VP8, 0)).is_some_and(|packet| packet.seq == 65_536), "late, by itself");
    f.pass(100);
    assert_eq!(f.asked(), []);
    let mut padding = sent(77, RTX, 6);
    (padding.payload, padding.padding) = (Vec::new(), 200);
    assert!(f.take(&padding).is_none());
    assert!(f.take(&sent(77, RTX, 7).with(&[1])).is_none(), "half a number");
}

#[test]
fn repairs_of_a_line_without_layers_are_known_by_type_or_by_the_offer() {
    let mut f = Fixture::new();
    f.take(&sent(80, VP8, 10)).unwrap();
    f.take(&sent(80, VP8, 12)).unwrap();
    assert_eq!(f.take(&sent(81, RTX, 1).with(&[0, 11, 5])).unwrap().seq, 11);
    f.take(&sent(7, VP8, 10).named(&[(1, "1")])).unwrap();
    f.take(&sent(7, VP8, 12)).unwrap();
    assert_eq!(f.take(&sent(78, RTX, 1).named(&[(1, "1")]).with(&[0, 11, 5])).unwrap().mid, mid("1"));
}

#[test]
fn sound_is_not_asked_for() {
    let mut f = Fixture::new();
    f.take(&sent(70, OPUS, 1)).unwrap();
    f.take(&sent(70, OPUS, 5)).unwrap();
    f.pass(500);
    assert_eq!(f.asked(), []);
}

#[test]
fn each_stream_is_reported_on_each_second_while_it_comes() {
    let mut f = Fixture::new();
    let mut blocks = Vec::new();
    for n in 0..300u16 {
        if n < 150 && n % 3 != 2 {
            f.take(&sent(80, VP8, n)).unwrap();
        }
        if n == 40 {
            f.receiver.sender_report(f.now, 80, 77);
        }
        f.pass(10);
        for compound in f.said() {
            rtcp::read(&compound, |one| {
                if let Feedback::Report(block) = one {
                    blocks.push((f.now - f.start, block));
                }
            });
        }
    }
    let at: Vec<u128> = blocks.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(at, [1_000, 2_000]);
    let (_, first) = blocks[0];
    assert_eq!((first.ssrc, first.last_report, first.lost), (80, 77, 33));
    assert!((84..=86).contains(&first.fraction_lost), "{first:?}");
    let uplink = f.receiver.uplink();
    assert_eq!((uplink.expected, uplink.lost), (149, 49));
    assert!(uplink.jitter.is_some_and(|jitter| jitter > Duration::ZERO), "{uplink:?}");
    f.take(&sent(80, VP8, 400)).unwrap();
    f.pass(1_000);
    assert!(f.said().iter().any(|compound| compound[0] & 31 == 1), "it goes on");
}

#[test]
fn key_frames_and_limits_are_told_at_once() {
    let mut f = Fixture::new();
    f.receiver.request_keyframe(mid("2"), None);
    assert!(f.said().is_empty(), "nothing came of it yet");
    f.take(&sent(80, VP8, 1)).unwrap();
    f.receiver.request_keyframe(mid("2"), None);
    f.receiver.request_keyframe(mid("2"), None);
    f.receiver.limit(2_500);
    let said = f.said();
    let mut all = Vec::new();
    said.iter().for_each(|compound| rtcp::read(compound, |one| all.push(one)));
    assert_eq!(all, [Feedback::Estimate(2_500_000), Feedback::Keyframe { ssrc: 80 }]);
    assert!(f.said().is_empty(), "once");
}

#[test]
fn numbers_go_on_after_a_negotiation_that_took_the_line_away() {
    let mut f = Fixture::new();
    f.take(&sent(7, VP8, 65_535).named(&[(1, "1")])).unwrap();
    f.take(&sent(7, VP8, 3)).unwrap();
    let mut without = config();
    without.lines.retain(|line| line.mid != mid("1"));
    f.receiver.learn(without);
    f.receiver.request_keyframe(mid("1"), None);
    assert_eq!(f.receiver.keyframes.len(), 0);
    assert!(f.take(&sent(7, VP8, 4)).is_none());
    f.receiver.learn(config());
    assert_eq!(f.take(&sent(7, VP8, 5)).unwrap().seq, 65_536 + 5, "it need not be named again");
}

proptest! {
    /// Whatever is lost, reordered and repaired on the way: each number comes once at most, and nothing panics or grows.
    #[test]
    fn each_packet_comes_once_at_most(
        steps in proptest::collection::vec((0u16..40, 0u8..5, 0u64..30), 1..400), start in any::<u16>(),
    ) {
        let mut f = Fixture::new();
        f.take(&sent(80, VP8, start)).unwrap();
        let (mut at, mut repair, mut seen) = (start, 0u16, std::collections::BTreeSet::from([u64::from(start)]));
        for (step, what, ms) in steps {
            f.pass(ms);
            let packet = match what {
                0 | 1 => {
                    at = at.wrapping_add(step + 1);
                    f.take(&sent(80, VP8, at))
                }
                2 => f.take(&sent(80, VP8, at.wrapping_sub(step))),
                _ => {
                    repair += 1;
                    let payload = [at.wrapping_sub(step).to_be_bytes().as_slice(), &[9]].concat();
                    f.take(&sent(81, RTX, repair).with(&payload))
                }
            };
            if let Some(packet) = packet {
                prop_assert!(seen.insert(packet.seq), "{} twice", packet.seq);
            }
            for (ssrc, seq) in f.asked() {
                prop_assert!(ssrc == 80 && !seen.iter().any(|known| *known as u16 == seq), "{} is here", seq);
            }
        }
    }

    #[test]
    fn no_datagram_makes_it_panic(datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..30)) {
        let mut f = Fixture::new();
        for datagram in datagrams {
            f.receiver.receive(f.now, &datagram, |sealed| Some(sealed.packet[sealed.header..].into()));
            f.pass(40);
            f.said();
        }
    }
}
