//! Layers inside of streams.

use super::*;
use crate::sfu::codec::dependency::{
    Descriptor, Reader, Structure,
    examples::{Encoded, Encoder, frame, l1t3, l2t2},
};

const AV1: Format = Format { codec: Codec::Av1, profile_id: Some(0), ..VP8 };

fn video_line() -> Vec<Line> {
    vec![line("v", Kind::Video, true, &[])]
}

fn receiver(f: &mut Fixture, number: u8, track: &str, height: u32) -> SessionKey {
    f.join(number, vec![line("0", Kind::Video, false, &[])], &[], &[subscribe("0", track, height)])
}

/// A packet of an encoder.
fn send(f: &mut Fixture, from: SessionKey, one: &Encoded, format: Format, payload: &Arc<[u8]>) {
    let packet = Packet {
        mid: mid("v"),
        rid: None,
        format,
        seq: one.seq,
        timestamp: one.timestamp,
        marker: one.marker,
        payload: payload.clone(),
        audio_level: None,
        voice: None,
        descriptor: Some(Arc::new(one.raw)),
        quarter_turns: None,
        arrival: f.now,
    };
    f.router.packet(f.now, from, &packet, &mut f.out);
}

/// A picture of a scalable stream; a key picture if one was asked for since the last.
fn picture(f: &mut Fixture, from: SessionKey, encoder: &mut Encoder, format: Format, payload: &Arc<[u8]>) {
    let asked = f.out.requests.iter().any(|(of, _)| *of == from);
    f.out.requests.retain(|(of, _)| *of != from);
    for one in encoder.picture(asked) {
        send(f, from, &one, format, payload);
    }
}

fn run(f: &mut Fixture, from: SessionKey, encoder: &mut Encoder, pictures: usize) {
    let payload: Arc<[u8]> = vec![7; 500].into();
    for _ in 0..pictures {
        picture(f, from, encoder, AV1, &payload);
        f.pass(40);
    }
}

/// Layers of the pictures in what a receiver got, read as its client reads them; the numbers have no gap.
fn layers(reader: &mut Reader, packets: &[Sent]) -> Vec<(u8, u8)> {
    let mut pictures: Vec<(u32, u8, u8)> = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        assert_eq!(packet.seq, packets[0].seq + n as u64);
        let (_, dependencies, _) = reader.read(packet.descriptor.unwrap().as_bytes()).unwrap();
        let layer = dependencies.layer;
        match pictures.last_mut().filter(|(timestamp, ..)| *timestamp == packet.timestamp) {
            Some(picture) => picture.1 = layer.spatial,
            None => pictures.push((packet.timestamp, layer.spatial, layer.temporal)),
        }
        let next = packets.get(n + 1);
        assert_eq!(packet.marker, next.is_none_or(|next| next.timestamp != packet.timestamp), "{n}");
    }
    pictures.into_iter().map(|(_, spatial, temporal)| (spatial, temporal)).collect()
}

#[test]
fn each_receiver_gets_the_size_that_it_wants_out_of_one_stream() {
    let mut f = Fixture::new();
    let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
    let (small, tall) = (receiver(&mut f, 2, "video", 360), receiver(&mut f, 3, "video", 0));
    let mut encoder = Encoder::new(l2t2(), 100);
    run(&mut f, sender, &mut encoder, 20);
    f.packets(small);
    f.packets(tall);
    run(&mut f, sender, &mut encoder, 8);
    let mut known = Reader::default();
    let key = Descriptor { structure: Some(l2t2()), ..frame(0, 99) };
    known.read(key.write(&l2t2()).unwrap().as_bytes()).unwrap();
    let packets = f.packets(small);
    assert_eq!(layers(&mut known.clone(), &packets), [(0, 0), (0, 1)].repeat(4));
    let packets = f.packets(tall);
    assert_eq!(layers(&mut known, &packets), [(1, 0), (1, 1)].repeat(4));
    // The other size: the larger comes with a key picture, the smaller at once.
    f.router.subscribe(f.now, small, &[subscribe("0", "video", 720)], &mut f.out).unwrap();
    assert_eq!(f.out.requests, [(sender, None)]);
    f.router.subscribe(f.now, tall, &[subscribe("0", "video", 90)], &mut f.out).unwrap();
    run(&mut f, sender, &mut encoder, 4);
    let packets = f.packets(small);
    assert_eq!(layers(&mut Reader::default(), &packets), [(1, 0), (1, 1)].repeat(2));
    let packets = f.packets(tall);
    assert_eq!(layers(&mut Reader::default(), &packets), [(0, 0), (0, 1)].repeat(2));
}

#[test]
fn a_receiver_is_told_which_qualities_it_gets() {
    let mut f = Fixture::new();
    let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
    let small = receiver(&mut f, 2, "video", 360);
    let mut encoder = Encoder::new(l2t2(), 0);
    let told = |f: &mut Fixture| -> Vec<u32> {
        let read = |sent: Sent| Descriptor::parse(sent.descriptor.unwrap().as_bytes(), Some(&l2t2())).unwrap();
        f.packets(small).into_iter().filter_map(|sent| Some(read(sent).active?.0)).collect()
    };
    run(&mut f, sender, &mut encoder, 20);
    assert_eq!(told(&mut f), [0b0011], "where the choice was made, and not again");
    f.router.subscribe(f.now, small, &[subscribe("0", "video", 720)], &mut f.out).unwrap();
    run(&mut f, sender, &mut encoder, 6);
    assert!(told(&mut f).is_empty(), "a structure alone says that all is sent");
}

#[test]
fn frame_rate_is_given_up_in_a_layer_of_simulcast_before_its_size() {
    let mut f = Fixture::new();
    let sender = simulcast(&mut f);
    let receiver = receiver(&mut f, 2, "video", 0);
    let mut seq = 0;
    // 25 pictures a second with three frame rates, in the order 0 2 1 2, the second half of them in frames that let in.
    let mut run = |f: &mut Fixture, pictures: u64| {
        for _ in 0..pictures {
            for (layer, size, height) in [("q", 100, 180u16), ("h", 300, 360), ("f", 1_000, 720)] {
                let asked = f.out.requests.iter().any(|(_, of)| *of == rid(layer));
                f.out.requests.retain(|(_, of)| *of != rid(layer));
                let temporal = [0u8, 2, 1, 2][seq as usize % 4];
                let keyframe = asked && temporal == 0;
                if asked && !keyframe {
                    f.out.requests.push((sender, rid(layer)));
                }
                let sync = u8::from(temporal > 0) << 5;
                let mut payload =
                    vec![0x90, 0xA0, 0x80, 0, temporal << 6 | sync, u8::from(!keyframe), 0, 0, 0x9D, 0x01, 0x2A];
                payload[2..4].copy_from_slice(&(0x8000 | seq as u16).to_be_bytes());
                payload.extend([0, 0]);
                payload.extend_from_slice(&height.to_le_bytes());
                payload.resize(size, 0);
                let packet = Packet {
                    mid: mid("v"),
                    rid: rid(layer),
                    format: VP8,
                    seq,
                    timestamp: seq as u32 * 3_600,
                    marker: true,
                    payload: payload.into(),
                    audio_level: None,
                    voice: None,
                    descriptor: None,
                    quarter_turns: None,
                    arrival: f.now,
                };
                f.router.packet(f.now, sender, &packet, &mut f.out);
            }
            seq += 1;
            f.pass(40);
        }
    };
    let mut at = |f: &mut Fixture, kbps: u32| {
        f.estimate(receiver, kbps);
        run(f, 60);
        f.packets(receiver);
        f.received(receiver);
        run(f, 40);
        // Picture ids as the receiver's decoder follows them: one by one.
        let got = f.received(receiver);
        assert!(got.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1));
        (got.last().and_then(|(_, layer)| *layer), got.len())
    };
    // 20, 60 and 200 kb/s.
    assert_eq!(at(&mut f, 1_000), (rid("f"), 40));
    assert_eq!(at(&mut f, 150), (rid("f"), 20));
    assert_eq!(at(&mut f, 80), (rid("h"), 40), "a quarter of the rate is worse than half the size");
    assert_eq!(at(&mut f, 15), (rid("q"), 20));
    assert_eq!(at(&mut f, 1_000), (rid("f"), 40));
}

#[test]
fn a_narrow_line_costs_frame_rate_before_anything_else() {
    let mut f = Fixture::new();
    let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
    let receiver = receiver(&mut f, 2, "video", 0);
    let mut encoder = Encoder::new(l1t3(), 0);
    let mut rate = |f: &mut Fixture, kbps: u32| {
        f.estimate(receiver, kbps);
        run(f, sender, &mut encoder, 40);
        f.packets(receiver);
        run(f, sender, &mut encoder, 20);
        f.packets(receiver).len() as f64 / 40.0
    };
    // 25 pictures a second of 1,000 bytes are 200 kb/s.
    assert_eq!(rate(&mut f, 1_000), 1.0);
    assert_eq!(rate(&mut f, 150), 0.5);
    assert_eq!(rate(&mut f, 60), 0.25);
    assert_eq!(rate(&mut f, 1_000), 1.0);
    assert!(f.out.requests.is_empty(), "none of it takes a key frame");
}

#[test]
fn frame_numbers_and_templates_go_on_over_a_change_of_track() {
    let mut f = Fixture::new();
    let one = f.join(1, video_line(), &[publish("v", "one")], &[]);
    let two = f.join(2, video_line(), &[publish("v", "two")], &[]);
    let receiver = receiver(&mut f, 3, "one", 0);
    let (mut first, mut second) = (Encoder::new(l2t2(), 65_530), Encoder::new(Structure { first_id: 1, ..l1t3() }, 9));
    run(&mut f, one, &mut first, 6);
    run(&mut f, two, &mut second, 3);
    f.router.subscribe(f.now, receiver, &[subscribe("0", "two", 0)], &mut f.out).unwrap();
    run(&mut f, one, &mut first, 2);
    run(&mut f, two, &mut second, 5);
    let packets = f.packets(receiver);
    let mut reader = Reader::default();
    let mut numbers: Vec<u16> = Vec::new();
    let mut starts = Vec::new();
    for packet in &packets {
        let (descriptor, dependencies, _) = reader.read(packet.descriptor.unwrap().as_bytes()).unwrap();
        starts.extend(descriptor.structure.map(|structure| (structure.first_id, structure.templates.len())));
        if descriptor.starts {
            for difference in dependencies.differences.as_slice() {
                assert!(numbers.contains(&descriptor.number.wrapping_sub(*difference)));
            }
            numbers.push(descriptor.number);
        }
    }
    assert_eq!(starts, [(0, 6), (6, 4)], "the new structure uses no id of the old one");
    let steps: Vec<u16> = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.iter().all(|step| *step == 1), "{numbers:?}");
    assert_eq!(numbers.len(), 12 + 5);
}

#[test]
fn encrypted_payloads_pass_untouched_and_are_not_needed_for_any_choice() {
    // Noise, as SFrame or an encoded transform leaves it; the packetiser puts VP8's and VP9's descriptors before it in clear.
    let noise: Vec<u8> = (0..400u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let clear: [(Codec, &[u8]); 4] = [
        (Codec::Av1, &[]),
        (Codec::H264, &[]),
        (Codec::Vp8, &[0x90, 0x80, 0x81, 0x02]),
        (Codec::Vp9, &[0x8C, 0x81, 0x02]),
    ];
    for (codec, descriptor) in clear {
        let mut f = Fixture::new();
        let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
        let (small, tall) = (receiver(&mut f, 2, "video", 360), receiver(&mut f, 3, "video", 0));
        let payload: Arc<[u8]> = [descriptor, &noise].concat().into();
        let mut encoder = Encoder::new(l2t2(), 0);
        for _ in 0..20 {
            picture(&mut f, sender, &mut encoder, Format { codec, ..AV1 }, &payload);
            f.pass(40);
        }
        f.packets(small);
        f.packets(tall);
        for _ in 0..4 {
            picture(&mut f, sender, &mut encoder, Format { codec, ..AV1 }, &payload);
            f.pass(40);
        }
        let (few, many) = (f.packets(small), f.packets(tall));
        assert_eq!((few.len(), many.len()), (8, 16), "{codec:?}");
        // The very bytes that came, not a copy.
        assert!(few.iter().chain(&many).all(|sent| Arc::ptr_eq(&sent.payload, &payload)), "{codec:?}");
    }
}

#[test]
fn a_late_packet_that_is_not_wanted_leaves_no_hole() {
    let mut f = Fixture::new();
    let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
    let receiver = receiver(&mut f, 2, "video", 360);
    let mut encoder = Encoder::new(l2t2(), 0);
    run(&mut f, sender, &mut encoder, 20);
    f.packets(receiver);
    let payload: Arc<[u8]> = vec![7; 500].into();
    let give = |f: &mut Fixture, one: &Encoded| send(f, sender, one, AV1, &payload);
    let (lost, next) = (encoder.picture(false), encoder.picture(false));
    // Of the first picture all but the first packet of the upper layer; the rest of it comes after the next picture.
    lost.iter().enumerate().filter(|(n, _)| *n != 2).for_each(|(_, one)| give(&mut f, one));
    next.iter().for_each(|one| give(&mut f, one));
    give(&mut f, &lost[2]);
    let packets = f.packets(receiver);
    let mut seqs: Vec<u64> = packets.iter().map(|sent| sent.seq).collect();
    let last = packets.last().unwrap();
    assert!(last.payload.is_empty() && !last.marker && last.descriptor.is_none());
    seqs.sort_unstable();
    assert_eq!(seqs, (seqs[0]..seqs[0] + 5).collect::<Vec<_>>());
}

#[test]
fn a_key_frame_whose_beginning_comes_last_is_not_lost() {
    let mut f = Fixture::new();
    let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
    let receiver = receiver(&mut f, 2, "video", 0);
    let mut encoder = Encoder::new(l2t2(), 0);
    let payload: Arc<[u8]> = vec![7; 500].into();
    let give = |f: &mut Fixture, one: &Encoded| send(f, sender, one, AV1, &payload);
    let (key, next) = (encoder.picture(true), encoder.picture(false));
    // The first packet is lost, asked for and sent again; another one never was lost but came out of order.
    [1, 3, 2].iter().for_each(|n| give(&mut f, &key[*n]));
    next.iter().for_each(|one| give(&mut f, one));
    assert!(f.packets(receiver).is_empty());
    give(&mut f, &key[0]);
    let after = encoder.picture(false);
    after.iter().for_each(|one| give(&mut f, one));
    let packets = f.packets(receiver);
    assert_eq!(packets.len(), 12);
    assert_eq!(layers(&mut Reader::default(), &packets), [(1, 0), (1, 1), (1, 0)]);
}

#[test]
fn a_publisher_whose_numbers_begin_anew_is_followed() {
    let mut f = Fixture::new();
    let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
    let receiver = receiver(&mut f, 2, "video", 0);
    let mut encoder = Encoder::new(l2t2(), 0);
    run(&mut f, sender, &mut encoder, 6);
    // Another source on the same line: its timestamps seem to be of long ago.
    let mut anew = Encoder::new(l2t2(), 30_000).shifted(1_000_000, 0x9000_0000);
    f.router.subscribe(f.now, receiver, &[subscribe("0", "video", 360)], &mut f.out).unwrap();
    f.packets(receiver);
    run(&mut f, sender, &mut anew, 4);
    let packets = f.packets(receiver);
    assert_eq!(layers(&mut Reader::default(), &packets), [(0, 0), (0, 1)].repeat(2));
    let (numbers, _, _) = Reader::default().read(packets[0].descriptor.unwrap().as_bytes()).unwrap();
    assert_eq!(numbers.number, 12, "after those of before");
}

/// What a hostile or broken publisher sends: any bytes, with any bytes for a descriptor, or with a real one.
#[derive(Clone, Debug)]
struct Anything {
    codec: usize,
    payload: Vec<u8>,
    descriptor: Option<Vec<u8>>,
    real: bool,
    late: u64,
    timestamp: u32,
}

fn anything() -> impl Strategy<Value = Anything> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let timestamp = prop_oneof![4 => 0u32..200_000, 1 => any::<u32>()];
    (0usize..4, bytes(), proptest::option::of(bytes()), any::<bool>(), 0u64..8, timestamp).prop_map(
        |(codec, payload, descriptor, real, late, timestamp)| Anything {
            codec,
            payload,
            descriptor,
            real,
            late: late.saturating_sub(4),
            timestamp,
        },
    )
}

proptest! {
    /// Whatever bytes come: nothing panics, and no receiver gets one number twice, or numbers beyond those of the packets that came.
    #[test]
    fn malformed_streams_harm_nobody(storm in proptest::collection::vec(anything(), 1..150), heights in (0u32..800, 0u32..800)) {
        let mut f = Fixture::new();
        let sender = f.join(1, video_line(), &[publish("v", "video")], &[]);
        let receivers = [receiver(&mut f, 2, "video", heights.0), receiver(&mut f, 3, "video", heights.1)];
        let mut encoder = Encoder::new(l2t2(), 0);
        let mut real: VecDeque<Encoded> = encoder.picture(true).into();
        let mut order: Vec<(u64, u64, Anything)> =
            storm.into_iter().enumerate().map(|(n, one)| (n as u64 + one.late, n as u64, one)).collect();
        order.sort_by_key(|(due, seq, _)| (*due, *seq));
        let count = order.len() as u64;
        for (_, seq, one) in order {
            let raw = if one.real {
                if real.is_empty() {
                    real = encoder.picture(seq % 7 == 0).into();
                }
                real.pop_front().map(|one| one.raw)
            } else {
                one.descriptor.and_then(|bytes| RawDescriptor::new(&bytes))
            };
            let packet = Packet {
                mid: mid("v"),
                rid: None,
                format: Format { codec: [Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::H264][one.codec], ..AV1 },
                seq: 1_000 + seq,
                timestamp: one.timestamp,
                marker: one.late == 0,
                payload: one.payload.into(),
                audio_level: None,
                voice: None,
                descriptor: raw.map(Arc::new),
                quarter_turns: None,
                arrival: f.now,
            };
            f.router.packet(f.now, sender, &packet, &mut f.out);
            f.pass(7);
        }
        for receiver in receivers {
            let mut seqs: Vec<u64> = f.packets(receiver).iter().map(|sent| sent.seq).collect();
            seqs.sort_unstable();
            prop_assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
            prop_assert!(seqs.last().zip(seqs.first()).is_none_or(|(last, first)| last - first < count));
        }
    }
}
