//! What the egress takes of a core, without sockets: `cargo test --release -p chroom-media-node --lib egress::cost -- --ignored --nocapture`.
//!
//! A load search on a shared machine tells two builds apart if they differ by a tenth. This tells a hundredth: rooms of a camera and 25 receivers, so
//! many that nothing of one is in the nearer caches when its turn comes again, and the best of some rounds.

use super::{
    keys::{KeySlot, Keys},
    line::{ExtensionIds, LineConfig},
    sender::Sender,
    srtp::Srtp,
};
use crate::sfu::{
    codec::{Codec, Format, Rewritten},
    congestion::feedback,
    engine::Exit,
    id::Mid,
    packet::{Forward, Kind, Packet},
    rewrite::Numbers,
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};
use str0m::{
    config::KeyingMaterial,
    crypto::{dtls::SrtpProfile, from_feature_flags},
};

const ROOMS: usize = 60;
const RECEIVERS: usize = 25;
const PACKETS: u64 = 10;
const PAYLOAD: usize = 1_040;
const FRAME: Duration = Duration::from_micros(33_333);
const FRAMES: u32 = 60;
const TRIP: Duration = Duration::from_millis(1);
const ROUNDS: usize = 5;
/// What the kernel would copy goes here, and out of the caches.
const ELSEWHERE: usize = 16 << 20;

struct Batch {
    out: Vec<u8>,
    elsewhere: Vec<u8>,
    at: usize,
}

impl Exit for Batch {
    fn begin(&mut self, _: SocketAddr) -> &mut Vec<u8> {
        &mut self.out
    }

    fn end(&mut self) {}
}

impl Batch {
    fn leave(&mut self) {
        let length = self.out.len();
        if self.at + length > self.elsewhere.len() {
            self.at = 0;
        }
        self.elsewhere[self.at..self.at + length].copy_from_slice(&self.out);
        self.at += length;
        self.out.clear();
    }
}

fn keys(number: u8, active: bool) -> Keys {
    let profile = SrtpProfile::AEAD_AES_256_GCM;
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|byte| byte as u8 ^ number).collect();
    Keys { profile, material: KeyingMaterial::new(&material), active }
}

fn packet(seq: u64, now: Instant, timestamp: u32) -> Packet {
    Packet {
        mid: Mid::parse("v").unwrap(),
        rid: None,
        format: Format::new(Codec::Vp8, 90_000),
        seq,
        timestamp,
        marker: seq % PACKETS == PACKETS - 1,
        payload: vec![seq as u8; PAYLOAD].into(),
        audio_level: None,
        voice: None,
        descriptor: None,
        quarter_turns: None,
        arrival: now,
    }
}

#[test]
#[ignore = "measures"]
fn the_cost_of_a_packet() {
    let provider = Arc::new(from_feature_flags());
    let start = Instant::now();
    let mid = Mid::parse("v").unwrap();
    let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut senders: Vec<(Sender, Srtp, u16)> = (0..ROOMS * RECEIVERS)
        .map(|number| {
            let slot = KeySlot::default();
            slot.set(keys(number as u8, false)).unwrap();
            let mut sender = Sender::new(provider.clone(), slot, start, UNIX_EPOCH);
            let extensions = ExtensionIds { transport_cc: Some(3), ..Default::default() };
            let resends = vec![(96, 97)];
            sender.learn(vec![LineConfig {
                mid,
                kind: Kind::Video,
                ssrc: 5,
                rtx: Some(6),
                resends,
                extensions,
                cname: "c".into(),
            }]);
            (sender, Srtp::new(&provider, &keys(number as u8, true)).unwrap(), 0)
        })
        .collect();
    let mut batch = Batch { out: Vec::with_capacity(70_000), elsewhere: vec![0; ELSEWHERE], at: 0 };
    let mut best = [f64::MAX; 3];
    let mut frame = 0u32;
    for _ in 0..ROUNDS {
        let mut spent = [Duration::ZERO; 3];
        let mut counts = [0u64; 3];
        for _ in 0..FRAMES {
            for (room, senders) in senders.chunks_mut(RECEIVERS).enumerate() {
                let now = start + FRAME * frame + FRAME * room as u32 / ROOMS as u32;
                let first = u64::from(frame) * PACKETS + 100;
                for seq in first..first + PACKETS {
                    let packet = packet(seq, now, frame * 3_000);
                    let begun = Instant::now();
                    for (sender, ..) in senders.iter_mut() {
                        let numbers = Numbers { seq, timestamp: packet.timestamp, pictures: Rewritten::default() };
                        sender.forward(&Forward {
                            mid,
                            payload_type: 96,
                            numbers,
                            marker: packet.marker,
                            payload: &packet.payload,
                            descriptor: None,
                            keyframe: false,
                            packet: &packet,
                        });
                    }
                    spent[0] += begun.elapsed();
                    counts[0] += RECEIVERS as u64;
                }
                for (sender, ..) in senders.iter_mut() {
                    let begun = Instant::now();
                    sender.drain(now, Some(to), &mut batch);
                    spent[1] += begun.elapsed();
                    counts[1] += PACKETS;
                    batch.leave();
                }
                if frame % 3 != 2 {
                    continue;
                }
                for (sender, client, told) in senders.iter_mut() {
                    let arrival = |at: u32| (now - FRAME * (2 - at)).saturating_duration_since(start) + TRIP;
                    let frames = (0..3).flat_map(|at| [Some(arrival(at).as_micros() as i64); PACKETS as usize]);
                    let arrivals: Vec<Option<i64>> = frames.collect();
                    let header = feedback::Header { sender: 9, media: 5, base: *told, number: (frame / 3) as u8 };
                    let (mut report, count) = (Vec::new(), arrivals.len() as u16);
                    feedback::write(&mut report, header, &arrivals).unwrap();
                    *told = told.wrapping_add(count);
                    let mut sealed = Vec::new();
                    client.seal_rtcp(&report, &mut sealed).unwrap();
                    let begun = Instant::now();
                    sender.receive(now, &sealed, |_, _| {});
                    sender.drain(now, Some(to), &mut batch);
                    spent[2] += begun.elapsed();
                    counts[2] += u64::from(count);
                    batch.leave();
                }
            }
            frame += 1;
        }
        for (best, (spent, count)) in best.iter_mut().zip(spent.into_iter().zip(counts)) {
            *best = best.min(spent.as_nanos() as f64 / count as f64);
        }
    }
    let [forward, drain, feedback] = best;
    println!(
        "ns a packet: taken {forward:.1}, left {drain:.1}, told of {feedback:.1}; all {:.1}",
        forward + drain + feedback
    );
}
