use super::*;
use crate::sfu::{
    codec::{
        Codec, Format,
        dependency::{
            Structure,
            examples::{Encoded, Encoder, l1t3, l2t1_key, l2t2},
        },
    },
    id::Mid,
    packet::Packet,
};
use proptest::prelude::*;
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

const FORMAT: Format = Format { profile_id: Some(0), ..Format::new(Codec::Av1, 90_000) };

fn packet(codec: Codec, seq: u64, timestamp: u32, marker: bool, payload: &[u8]) -> Packet {
    Packet {
        mid: Mid::parse("v").unwrap(),
        rid: None,
        format: Format { codec, ..FORMAT },
        seq,
        timestamp,
        marker,
        payload: payload.into(),
        audio_level: None,
        voice: None,
        descriptor: None,
        quarter_turns: None,
        arrival: Instant::now(),
    }
}

/// A stream, one receiver of it, and what the receiver could decode.
struct Bench {
    stream: Stream,
    selector: Selector,
    now: Instant,
    decodable: HashSet<u16>,
    /// Layers of the pictures that went out, and whether the last packet of each, and no other, was marked.
    pictures: Vec<(u32, Target, usize)>,
    begun: bool,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            stream: Stream::new(now),
            selector: Selector::default(),
            now,
            decodable: HashSet::new(),
            pictures: Vec::new(),
            begun: false,
        }
    }

    fn offer(&mut self, packet: &Packet) -> Verdict {
        self.now += Duration::from_millis(1);
        let Some(frame) = self.stream.read(self.now, packet) else { return Verdict::LeaveOut };
        if !self.begun {
            if !frame.keyframe {
                return Verdict::LeaveOut;
            }
            self.begun = true;
            self.selector.begin(self.selector.wanted());
        }
        self.selector.judge(&self.stream, &frame, packet.timestamp, packet.marker)
    }

    /// One packet of an encoder; what the receiver gets must be decodable by what it got.
    fn encoded(&mut self, structure: &Structure, one: &Encoded) {
        let mut packet = packet(Codec::Av1, one.seq, one.timestamp, one.marker, &[1; 100]);
        packet.descriptor = Some(Arc::new(one.raw));
        let Verdict::Forward { marker, .. } = self.offer(&packet) else { return };
        let dependencies = one.descriptor.dependencies(structure).unwrap();
        let number = one.descriptor.number;
        if one.descriptor.structure.is_some() {
            self.decodable.clear();
        }
        for difference in dependencies.differences.as_slice() {
            assert!(self.decodable.contains(&number.wrapping_sub(*difference)), "frame {number} lacks a reference");
        }
        self.decodable.insert(number);
        match self.pictures.last_mut().filter(|(timestamp, ..)| *timestamp == one.timestamp) {
            Some((_, layer, marks)) => {
                assert_eq!(*marks, 0, "nothing of a picture after its marker");
                *layer = dependencies.layer.max(*layer);
                *marks += usize::from(marker);
            }
            None => self.pictures.push((one.timestamp, dependencies.layer, usize::from(marker))),
        }
    }

    fn run(&mut self, encoder: &mut Encoder, pictures: usize) -> Vec<(u8, u8)> {
        let from = self.pictures.len();
        for _ in 0..pictures {
            let packets = encoder.picture(false);
            packets.iter().for_each(|one| self.encoded(encoder.structure(), one));
        }
        self.pictures[from..].iter().map(|(_, layer, _)| (layer.spatial, layer.temporal)).collect()
    }

    fn key(&mut self, encoder: &mut Encoder) {
        let packets = encoder.picture(true);
        packets.iter().for_each(|one| self.encoded(encoder.structure(), one));
    }
}

fn target(spatial: u8, temporal: u8) -> Target {
    Target { spatial, temporal }
}

#[test]
fn frame_rate_goes_down_at_once_and_up_at_the_next_frame_that_lets_it() {
    let mut encoder = Encoder::new(l1t3(), 65_530);
    let mut bench = Bench::new();
    assert_eq!(bench.run(&mut encoder, 5), [(0, 0), (0, 2), (0, 1), (0, 2), (0, 0)]);
    bench.selector.want(target(0, 1));
    assert_eq!(bench.run(&mut encoder, 4), [(0, 1), (0, 0)]);
    bench.selector.want(target(0, 0));
    assert_eq!(bench.run(&mut encoder, 8), [(0, 0), (0, 0)]);
    assert!(!bench.selector.needs_keyframe(&bench.stream));
    bench.selector.want(Target::ALL);
    // The next picture is T2 without a way in; T1 lets in, then all follow.
    assert_eq!(bench.run(&mut encoder, 4), [(0, 1), (0, 2), (0, 0)]);
}

#[test]
fn smaller_pictures_come_at_once_and_taller_ones_with_a_key_picture() {
    let mut encoder = Encoder::new(l2t2(), 0);
    let mut bench = Bench::new();
    assert_eq!(bench.run(&mut encoder, 3), [(1, 0), (1, 1), (1, 0)]);
    bench.selector.want(target(0, 1));
    assert_eq!(bench.run(&mut encoder, 2), [(0, 1), (0, 0)]);
    bench.selector.want(target(1, 0));
    assert!(bench.selector.needs_keyframe(&bench.stream));
    assert_eq!(bench.run(&mut encoder, 3), [(0, 0)], "slower at once");
    bench.key(&mut encoder);
    assert!(!bench.selector.needs_keyframe(&bench.stream));
    assert_eq!(bench.pictures.last().unwrap().1, target(1, 0));
    bench.selector.want(Target::ALL);
    assert_eq!(bench.run(&mut encoder, 3), [(1, 0), (1, 1)], "let in by the next frame of the lowest rate");
    // Less of one, more of the other: down first, then up.
    bench.selector.want(target(1, 0));
    bench.run(&mut encoder, 2);
    bench.selector.want(target(0, 1));
    assert!(!bench.selector.needs_keyframe(&bench.stream));
    let got = bench.run(&mut encoder, 5);
    assert!(got.iter().all(|(spatial, _)| *spatial == 0) && got.contains(&(0, 1)), "{got:?}");
}

#[test]
fn layers_that_stand_apart_need_a_key_picture_both_ways() {
    let mut encoder = Encoder::new(l2t1_key(), 9);
    let mut bench = Bench::new();
    assert_eq!(bench.run(&mut encoder, 3), [(1, 0); 3]);
    bench.selector.want(target(0, 0));
    assert!(bench.selector.needs_keyframe(&bench.stream));
    assert_eq!(bench.run(&mut encoder, 3), [(1, 0); 3], "the lower one's pictures were never sent");
    bench.key(&mut encoder);
    assert_eq!(bench.run(&mut encoder, 2), [(0, 0); 2]);
    bench.selector.want(Target::ALL);
    bench.key(&mut encoder);
    assert_eq!(bench.run(&mut encoder, 2), [(1, 0); 2]);
}

#[test]
fn a_late_packet_is_judged_by_what_held_when_its_picture_was_sent() {
    let mut encoder = Encoder::new(l2t2(), 0);
    let mut bench = Bench::new();
    bench.run(&mut encoder, 3);
    // A picture of the higher rate, which later ones don't need.
    let late = encoder.picture(false);
    bench.selector.want(target(0, 0));
    let next = encoder.picture(false);
    let after = encoder.picture(false);
    let structure = encoder.structure();
    next.iter().chain(&after).for_each(|one| bench.encoded(structure, one));
    // Both layers of the picture from before the change; its marker stays where the encoder set it.
    let before = bench.decodable.len();
    late.iter().for_each(|one| bench.encoded(structure, one));
    assert_eq!(bench.decodable.len(), before + 2);
}

/// A VP9 packet that is a whole layer frame (RFC 9628, section 4.2, not flexible).
struct Vp9 {
    spatial: u8,
    temporal: u8,
    key: bool,
    raises: bool,
    apart: bool,
}

impl Vp9 {
    fn payload(&self, id: u8) -> Vec<u8> {
        let predicted = !self.key;
        let first = 0xAC | u8::from(predicted) << 6 | u8::from(self.apart);
        let layers = self.temporal << 5 | u8::from(self.raises) << 4 | self.spatial << 1 | u8::from(self.spatial > 0);
        // A key picture begins with the scalability structure: three layers, without sizes.
        if self.key && self.spatial == 0 {
            return vec![first | 0x02, id & 0x7F, layers, 0, 0x40, 7, 7];
        }
        vec![first, id & 0x7F, layers, 0, 7, 7, 7]
    }
}

fn vp9(bench: &mut Bench, id: u8, layers: &[Vp9]) -> Vec<(u8, bool)> {
    let mut got = Vec::new();
    for (n, layer) in layers.iter().enumerate() {
        let last = n + 1 == layers.len();
        let seq = u64::from(id) * 4 + n as u64;
        let packet = packet(Codec::Vp9, seq, u32::from(id) * 3_000, last, &layer.payload(id));
        if let Verdict::Forward { marker, .. } = bench.offer(&packet) {
            got.push((layer.spatial, marker));
        }
    }
    got
}

fn vp9_picture(key: bool, temporal: u8, apart: bool) -> [Vp9; 3] {
    [0, 1, 2].map(|spatial| Vp9 {
        spatial,
        temporal,
        key,
        raises: temporal == 0,
        apart: spatial == 2 || (apart && !key),
    })
}

#[test]
fn vp9_layers_are_chosen_by_the_payload_descriptor() {
    let mut bench = Bench::new();
    let mut id = 0;
    let mut next = |bench: &mut Bench, key: bool, temporal: u8| {
        id += 1;
        vp9(bench, id, &vp9_picture(key, temporal, false))
    };
    assert_eq!(next(&mut bench, true, 0), [(0, false), (1, false), (2, true)]);
    assert_eq!(next(&mut bench, false, 1).len(), 3);
    bench.selector.want(target(1, 1));
    assert_eq!(next(&mut bench, false, 0), [(0, false), (1, true)], "the marker is where the receiver's picture ends");
    bench.selector.want(target(1, 0));
    assert_eq!(next(&mut bench, false, 1), []);
    bench.selector.want(Target::ALL);
    assert_eq!(next(&mut bench, false, 1), [], "no way in");
    assert_eq!(next(&mut bench, false, 0), [(0, false), (1, true)]);
    assert_eq!(next(&mut bench, false, 1), [(0, false), (1, true)], "faster, but not taller without a key picture");
    assert!(bench.selector.needs_keyframe(&bench.stream));
    assert_eq!(next(&mut bench, true, 0).len(), 3);
}

#[test]
fn vp9_layers_that_stand_apart_are_sent_alone() {
    let mut bench = Bench::new();
    assert_eq!(vp9(&mut bench, 1, &vp9_picture(true, 0, true)).len(), 3);
    assert_eq!(vp9(&mut bench, 2, &vp9_picture(false, 0, true)), [(2, true)]);
    bench.selector.want(target(1, 0));
    assert!(bench.selector.needs_keyframe(&bench.stream));
    assert_eq!(vp9(&mut bench, 3, &vp9_picture(false, 0, true)), [(2, true)]);
    assert_eq!(vp9(&mut bench, 4, &vp9_picture(true, 0, true)), [(0, false), (1, true)]);
    assert_eq!(vp9(&mut bench, 5, &vp9_picture(false, 0, true)), [(1, true)]);
}

#[test]
fn vp8_goes_up_layer_by_layer_at_its_sync_frames() {
    let mut bench = Bench::new();
    let mut seq = 0;
    let mut next = |bench: &mut Bench, key: bool, temporal: u8, sync: bool| {
        seq += 1;
        let payload = [0x90, 0x20, temporal << 6 | u8::from(sync) << 5, u8::from(!key), 0, 0, 0x9D, 0x01, 0x2A, 0, 0];
        let packet = packet(Codec::Vp8, seq, seq as u32 * 3_000, true, &payload);
        bench.offer(&packet) != Verdict::LeaveOut
    };
    bench.selector.want(target(0, 0));
    assert!(next(&mut bench, true, 0, false));
    assert!(
        !next(&mut bench, false, 2, true) && !next(&mut bench, false, 1, true) && !next(&mut bench, false, 2, false)
    );
    bench.selector.want(Target::ALL);
    assert!(!next(&mut bench, false, 2, true), "layer 1 may still need what was left out");
    assert!(!next(&mut bench, false, 1, false));
    assert!(next(&mut bench, false, 0, false) && next(&mut bench, false, 1, true));
    assert!(!next(&mut bench, false, 2, false));
    assert!(next(&mut bench, false, 2, true) && next(&mut bench, false, 2, false));
}

#[test]
fn each_qualitys_rate_is_that_of_its_frames() {
    let mut encoder = Encoder::new(l2t2(), 0);
    let mut bench = Bench::new();
    // 25 pictures a second of two frames of two packets of 100 bytes.
    for _ in 0..50 {
        let packets = encoder.picture(false);
        packets.iter().for_each(|one| bench.encoded(encoder.structure(), one));
        bench.now += Duration::from_millis(36);
    }
    let qualities = bench.stream.qualities(bench.now);
    let read: Vec<_> = qualities.iter().map(|q| (q.target.spatial, q.target.temporal, q.height)).collect();
    assert_eq!(read, [(0, 0, Some(360)), (0, 1, Some(360)), (1, 0, Some(720)), (1, 1, Some(720))]);
    for (quality, kbps) in qualities.iter().zip([20, 40, 40, 80]) {
        assert!(quality.alive && quality.kbps.abs_diff(kbps) <= kbps / 6, "{quality:?}");
    }
    assert!(!bench.stream.layer_alive(bench.now + Duration::from_secs(2), 0));
}

proptest! {
    /// Whatever is wanted when, wherever key pictures fall: each frame that goes out can be decoded by what went out, each picture
    /// has its marker at its end, and what is wanted comes with the next key picture at the latest.
    #[test]
    fn what_goes_out_can_be_decoded(
        kind in 0usize..3, number: u16,
        steps in proptest::collection::vec((0u8..3, 0u8..4, 1usize..7, any::<bool>()), 1..40),
    ) {
        let mut encoder = Encoder::new([l1t3, l2t2, l2t1_key][kind](), number);
        let mut bench = Bench::new();
        for (spatial, temporal, pictures, key) in steps {
            bench.selector.want(target(spatial, temporal));
            bench.run(&mut encoder, pictures);
            if key {
                bench.key(&mut encoder);
                prop_assert!(!bench.selector.needs_keyframe(&bench.stream));
                let layout = bench.stream.layout();
                let most = layout.get(layout.best(target(spatial, temporal)));
                prop_assert_eq!(bench.pictures.last().unwrap().1.spatial, most.spatial);
            }
            for (timestamp, _, marks) in &bench.pictures {
                prop_assert_eq!(*marks, 1, "picture {}", timestamp);
            }
        }
    }
}
