//! Sound: redundancy, silence, and who is heard.

use super::*;

const RED: Format = Format { codec: Codec::Red, ..OPUS };

fn lines() -> Vec<Line> {
    vec![line("a", Kind::Audio, true, &[]), line("0", Kind::Audio, false, &[])]
}

impl Fixture {
    fn sound(&mut self, from: SessionKey, format: Format, seq: u64, payload: &[u8], level: Option<u8>) {
        let packet = Packet {
            mid: mid("a"),
            rid: None,
            format,
            seq,
            timestamp: (seq * 960) as u32,
            marker: false,
            payload: payload.into(),
            audio_level: level,
            voice: None,
            descriptor: None,
            quarter_turns: None,
            arrival: self.now,
        };
        self.router.packet(self.now, from, &packet, &mut self.out);
    }
}

#[test]
fn redundant_audio_goes_to_who_knows_it_and_its_primary_block_to_others() {
    let mut f = Fixture::new();
    let sender = f.join(1, lines(), &[publish("a", "mic")], &[]);
    let [knows, plain, renumbered] = [2, 3, 4].map(|n| f.join(n, lines(), &[], &[subscribe("0", "mic", 0)]));
    f.out.red = vec![knows, renumbered];
    f.out.opus.insert(renumbered, 109);
    // One redundant block of two bytes, then the primary one of three.
    let payload = [0xEF, 0x0F, 0x00, 2, 0x6F, 1, 1, 8, 8, 8];
    f.sound(sender, RED, 1, &payload, Some(30));
    f.sound(sender, OPUS, 2, &[9; 4], Some(30));
    let got = |f: &mut Fixture, key| {
        f.packets(key).into_iter().map(|sent| (sent.payload_type, sent.payload.to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(got(&mut f, knows), [(63, payload.to_vec()), (111, vec![9; 4])]);
    assert_eq!(got(&mut f, plain), [(111, vec![8; 3]), (111, vec![9; 4])]);
    assert_eq!(
        got(&mut f, renumbered),
        [(109, vec![8; 3]), (109, vec![9; 4])],
        "blocks name Opus by the sender's number"
    );
    f.sound(sender, RED, 3, &[0xEF, 0, 0], Some(30));
    assert!(got(&mut f, plain).is_empty(), "malformed");
}

/// The blocks of a packet whose frames are encrypted end to end can't be read; by the negotiation it is known what they are.
#[test]
fn encrypted_redundant_audio_goes_to_who_knows_it_from_any_packet_on() {
    let mut f = Fixture::new();
    let sender = f.join(1, lines(), &[publish("a", "mic")], &[]);
    let [knows, plain, renumbered] = [2, 3, 4].map(|n| f.join(n, lines(), &[], &[subscribe("0", "mic", 0)]));
    f.out.red = vec![knows, renumbered];
    f.out.opus.insert(renumbered, 109);
    let negotiated = Format { blocks: Some(111), ..RED };
    // One byte is left in clear, as of a packet that repeats an earlier frame; then one that would pass for a block of another number.
    for (seq, payload) in [[0xEF, 0xA5, 0xFF, 0xFF, 0x13, 0x37], [0x60, 1, 2, 3, 4, 5]].iter().enumerate() {
        f.sound(sender, negotiated, seq as u64 + 1, payload, Some(30));
        let got = f.packets(knows);
        assert_eq!(got.len(), 1, "packet {seq}");
        assert_eq!((got[0].payload_type, &got[0].payload[..]), (63, &payload[..]));
    }
    assert_eq!(
        [plain, renumbered].map(|key| f.packets(key).len()),
        [0, 0],
        "what can't be taken apart isn't sent in parts"
    );
    f.sound(sender, negotiated, 3, &[0xEF, 0x0F, 0x00, 2, 0x6F, 1, 1, 8, 8, 8], Some(30));
    for (key, number) in [(plain, 111), (renumbered, 109)] {
        let got = f.packets(key);
        assert_eq!((got.last().unwrap().payload_type, &got.last().unwrap().payload[..]), (number, &[8u8, 8, 8][..]));
    }
}

#[test]
fn silence_is_neither_loss_nor_an_end() {
    let mut f = Fixture::new();
    let sender = f.join(1, lines(), &[publish("a", "mic")], &[]);
    let receiver = f.join(2, lines(), &[], &[subscribe("0", "mic", 0)]);
    for seq in 0..50 {
        f.sound(sender, OPUS, seq, &[1; 80], Some(30));
        f.pass(20);
    }
    // Opus falls silent (DTX): numbers go on one by one, timestamps by the time.
    let before = f.packets(receiver).last().map(|sent| (sent.seq, sent.timestamp)).unwrap();
    for _ in 0..150 {
        assert!(f.pass(100).is_empty());
    }
    let packet = Packet {
        mid: mid("a"),
        rid: None,
        format: OPUS,
        seq: 50,
        timestamp: (49 * 960 + 15 * 48_000) as u32,
        marker: true,
        payload: vec![1; 80].into(),
        audio_level: Some(30),
        voice: None,
        descriptor: None,
        quarter_turns: None,
        arrival: f.now,
    };
    f.router.packet(f.now, sender, &packet, &mut f.out);
    let after = f.packets(receiver);
    assert_eq!((after[0].seq, after[0].timestamp), (before.0 + 1, before.1 + 15 * 48_000));
    assert!(after[0].marker, "the talk spurt's beginning is told");
    assert!(!f.out.events.iter().any(|event| matches!(event, Occurrence::TrackStopped(_) | Occurrence::Closed(_))));
}

/// So many who speak, `mic1` and on, and one who hears them on `r1` and on.
fn microphones(f: &mut Fixture, count: u8) -> (Vec<SessionKey>, SessionKey) {
    let senders = (1..=count).map(|n| f.join(n, lines(), &[publish("a", &format!("mic{n}"))], &[])).collect();
    let wishes: Vec<Line> = (1..=count).map(|n| line(&format!("r{n}"), Kind::Audio, false, &[])).collect();
    let subscriptions: Vec<Subscribe> =
        (1..=count).map(|n| subscribe(&format!("r{n}"), &format!("mic{n}"), 0)).collect();
    (senders, f.join(99, wishes, &[], &subscriptions))
}

#[test]
fn a_node_with_far_too_much_to_do_forwards_the_loudest_voices_only() {
    let mut f = Fixture::new();
    let count = limits::AUDIBLE as u8;
    let (senders, listener) = microphones(&mut f, count);
    let mut seq = 0;
    let mut heard = |f: &mut Fixture, percent: u8| {
        f.router.relieve(percent);
        f.out.sent.clear();
        // Longer than a voice keeps its place at least.
        for _ in 0..60 {
            for (n, sender) in senders.iter().enumerate() {
                // The last speaks much louder than the others.
                f.sound(*sender, OPUS, seq, &[1; 80], Some(if n + 1 == senders.len() { 10 } else { 40 }));
            }
            f.pass(20);
            seq += 1;
        }
        let last = mid(&format!("r{count}"));
        let mut mids: Vec<Mid> = f.out.sent.iter().filter(|sent| sent.0 == listener).map(|sent| sent.1).collect();
        let loudest = mids.iter().filter(|mid| **mid == last).count();
        mids.sort_unstable();
        mids.dedup();
        (mids.len(), loudest)
    };
    assert_eq!(heard(&mut f, 100), (10, 60));
    assert_eq!(heard(&mut f, 75), (10, 60));
    heard(&mut f, 50);
    assert_eq!(heard(&mut f, 50), (5, 60));
    heard(&mut f, 20);
    assert_eq!(heard(&mut f, 20), (3, 60));
    assert_eq!(heard(&mut f, 100), (10, 60));
}

#[test]
fn a_large_room_hears_its_loudest_voices_without_gaps() {
    let mut f = Fixture::new();
    let count = limits::AUDIBLE as u8 + 3;
    let (senders, listener) = microphones(&mut f, count);
    let mut seq = 0;
    let mut speak = |f: &mut Fixture, levels: &dyn Fn(usize) -> u8, packets: usize| {
        for _ in 0..packets {
            for (n, sender) in senders.iter().enumerate() {
                f.sound(*sender, OPUS, seq, &[1; 80], Some(levels(n)));
            }
            f.pass(20);
            seq += 1;
        }
        let mut got: HashMap<Mid, Vec<(u64, u32)>> = HashMap::new();
        for (to, mid, seq, timestamp, _) in std::mem::take(&mut f.out.sent) {
            if to == listener {
                got.entry(mid).or_default().push((seq, timestamp));
            }
        }
        got
    };
    assert_eq!(speak(&mut f, &|_| 127, 50).len(), 0, "nobody speaks");
    let all = speak(&mut f, &|_| 20, 50);
    assert_eq!(all.len(), limits::AUDIBLE);
    assert!(all.values().all(|packets| packets.len() == 50), "from the first word on");
    // The last three had no place; now they speak and the first three are silent.
    let quiet = |n: usize| if n < 3 { 127 } else { 20 };
    let after = speak(&mut f, &quiet, 150);
    let heard = |n: usize| after.get(&mid(&format!("r{n}"))).map_or(0, Vec::len);
    assert!(
        (1..=3).all(|n| heard(n) < 110) && (11..=13).all(|n| heard(n) > 60),
        "{:?}",
        (1..=13).map(heard).collect::<Vec<_>>()
    );
    // Then the first one again: its numbers go on where they were, its timestamps by the time.
    let first = mid("r1");
    let before = *after[&first].last().unwrap();
    let again = speak(&mut f, &|n| if n == 0 { 5 } else { 127 }, 150);
    let back = again[&first][0];
    assert_eq!(back.0, before.0 + 1);
    let seconds = f64::from(back.1.wrapping_sub(before.1)) / 48_000.0;
    assert!((0.5..6.0).contains(&seconds), "{seconds}");
}

#[test]
fn small_rooms_and_shared_sound_are_never_cut() {
    let mut f = Fixture::new();
    let sender = f.join(1, lines(), &[publish("a", "mic")], &[]);
    let screen = Publish { source: "screen-audio".into(), ..publish("a", "music") };
    let music = f.join(2, lines(), &[screen], &[]);
    let both = vec![line("0", Kind::Audio, false, &[]), line("1", Kind::Audio, false, &[])];
    let listener = f.join(3, both, &[], &[subscribe("0", "mic", 0), subscribe("1", "music", 0)]);
    f.sound(sender, OPUS, 1, &[1; 80], Some(127));
    assert_eq!(f.packets(listener).len(), 1);
    for n in 0..limits::AUDIBLE as u8 {
        f.join(10 + n, lines(), &[publish("a", &format!("m{n}"))], &[]);
    }
    f.sound(music, OPUS, 1, &[1; 80], Some(127));
    f.sound(sender, OPUS, 2, &[1; 80], Some(127));
    assert_eq!(f.packets(listener).len(), 1, "silence of a large room is not, soft music is");
}

#[test]
fn voices_that_are_not_heard_leave_the_line_to_pictures() {
    let mut f = Fixture::new();
    let count = limits::AUDIBLE as u8 + 20;
    let (senders, listener) = microphones(&mut f, count);
    for seq in 0..100 {
        for (n, sender) in senders.iter().enumerate() {
            let level = if n < 2 { 20 } else { 127 };
            f.sound(*sender, OPUS, seq, &[1; 80], Some(level));
        }
        f.pass(20);
    }
    let wanted = f.out.wanted.iter().rev().find(|(to, _)| *to == listener).map(|(_, kbps)| *kbps);
    assert_eq!(wanted, Some(2 * AUDIO_KBPS));
}
