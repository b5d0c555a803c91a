use super::*;
use crate::sfu::{egress::keys::Keys, packet::Kind};
use str0m::{
    config::KeyingMaterial,
    crypto::{dtls::SrtpProfile, from_feature_flags},
};

fn keys() -> Keys {
    let profile = SrtpProfile::AEAD_AES_128_GCM;
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|byte| byte as u8).collect();
    Keys { profile, material: KeyingMaterial::new(&material), active: false }
}

fn sender(now: Instant) -> (Sender, KeySlot) {
    let slot = KeySlot::default();
    (Sender::new(Arc::new(from_feature_flags()), slot.clone(), now, UNIX_EPOCH), slot)
}

#[derive(Default)]
struct Drained(Vec<Vec<u8>>);

impl Exit for Drained {
    fn begin(&mut self, _: SocketAddr) -> &mut Vec<u8> {
        self.0.push(Vec::new());
        self.0.last_mut().unwrap()
    }

    fn end(&mut self) {}
}

fn drained(sender: &mut Sender) -> Vec<Vec<u8>> {
    let mut exit = Drained::default();
    sender.drain(Instant::now(), Some("127.0.0.1:9".parse().unwrap()), &mut exit);
    exit.0
}

fn video() -> LineConfig {
    let extensions = crate::sfu::egress::ExtensionIds { transport_cc: Some(3), ..Default::default() };
    let mid = Mid::parse("v").unwrap();
    let resends = vec![(96, 97)];
    LineConfig { mid, kind: Kind::Video, ssrc: 5, rtx: Some(6), resends, extensions, cname: "c".into() }
}

#[test]
fn who_only_sends_is_reported_to_before_anything_was_sent_to_it() {
    let (mut sender, slot) = sender(Instant::now());
    let request = [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 77];
    sender.report(|out| out.extend(request));
    assert_eq!(drained(&mut sender).len(), 0, "there are no keys");
    slot.set(keys()).unwrap();
    sender.report(|_| {});
    sender.report(|out| out.extend(request));
    let mut client = Srtp::new(&from_feature_flags(), &Keys { active: true, ..keys() }).unwrap();
    let mut opened = Vec::new();
    client.open_rtcp(&drained(&mut sender)[0], &mut opened).unwrap();
    assert_eq!(opened, request);
}

#[test]
fn a_key_frame_is_wanted_once_and_only_of_a_stream_that_there_is() {
    let now = Instant::now();
    let (mut sender, slot) = sender(now);
    slot.set(keys()).unwrap();
    sender.learn(vec![video()]);
    let request = |ssrc| [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, ssrc];
    let compound = [request(5), request(6), request(5)].concat();
    let mut client = Srtp::new(&from_feature_flags(), &Keys { active: true, ..keys() }).unwrap();
    let mut sealed = Vec::new();
    client.seal_rtcp(&compound, &mut sealed).unwrap();
    assert!(sender.receive(now, &sealed, |_, _| panic!("no sender report")));
    assert_eq!(sender.take_keyframe(), Mid::parse("v"));
    assert_eq!(sender.take_keyframe(), None);
}

/// The SSRCs of the datagrams that leave.
#[derive(Default)]
struct Left(Vec<u8>, Vec<u32>);

impl Exit for Left {
    fn begin(&mut self, _: SocketAddr) -> &mut Vec<u8> {
        self.0.clear();
        &mut self.0
    }

    fn end(&mut self) {
        let ssrc = self.0.get(8..12).and_then(|bytes| bytes.try_into().ok());
        self.1.extend(ssrc.map(u32::from_be_bytes));
    }
}

fn packet(seq: u64, keyframe: bool) -> Outgoing {
    let kept = crate::sfu::egress::resend::Kept {
        payload: vec![7; 500].into(),
        descriptor: None,
        seq,
        timestamp: seq as u32,
        pictures: Default::default(),
        payload_type: 96,
        marker: true,
        turns: None,
    };
    Outgoing { line: 0, ssrc: 5, clock_rate: 90_000, level: None, keyframe, kept }
}

#[test]
fn what_a_line_loses_at_random_is_sent_twice() {
    let start = Instant::now();
    let (mut sender, slot) = sender(start);
    slot.set(keys()).unwrap();
    sender.learn(vec![video()]);
    let to = Some(SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut left = Left::default();
    let mut arrived = 0;
    for n in 0..2_000u64 {
        let now = start + Duration::from_millis(n * 10);
        left.1.clear();
        sender.queue.push(packet(n, n == 0));
        sender.tick(now);
        sender.drain(now, to, &mut left);
        arrived += left.1.iter().filter(|ssrc| **ssrc == 6).count();
        if n < 200 {
            assert_eq!(arrived, 0, "nothing is known of the line yet");
        }
        let number = sender.transport_seq.wrapping_sub(1);
        let at = (!n.is_multiple_of(5)).then_some((n * 10_000 + 150_000) as i64);
        sender.controller.on_arrivals(now + Duration::from_millis(300), std::iter::once((number, at)));
    }
    let estimate = sender.controller.estimate();
    assert!(estimate.random_loss > 0.1, "{estimate:?}");
    assert!(arrived > 500, "{arrived} copies");
    assert!(sender.protection.next_at().is_some_and(|at| sender.next_at() <= at));
}

#[test]
fn what_cannot_be_repaired_any_more_makes_a_key_frame() {
    let start = Instant::now();
    let (mut sender, slot) = sender(start);
    slot.set(keys()).unwrap();
    sender.learn(vec![video()]);
    for seq in 0..3 {
        sender.queue.push(packet(seq, seq == 1));
    }
    sender.drain(start, Some(SocketAddr::from(([127, 0, 0, 1], 1))), &mut Left::default());
    sender.repeat(start + Duration::from_secs(1), 5, &[0, 2, 0, 0]);
    assert_eq!(sender.take_keyframe(), None, "it is sent again");
    sender.repeat(start + Duration::from_secs(3), 5, &[0, 0, 0, 0]);
    assert_eq!(sender.take_keyframe(), None, "the key frame made it needless");
    sender.repeat(start + Duration::from_secs(3), 5, &[0, 2, 0, 0]);
    assert_eq!(sender.take_keyframe(), Mid::parse("v"));
}

#[test]
fn a_probe_that_nothing_fills_is_given_up() {
    let now = Instant::now();
    for keyed in [false, true] {
        let (mut sender, slot) = sender(now);
        if keyed {
            slot.set(keys()).unwrap();
            assert!(sender.is_keyed());
        }
        sender.learn(vec![video()]);
        sender.want(5_000);
        sender.look(now);
        assert!(sender.probing.is_some(), "more is wanted than is known to pass");
        sender.tick(now);
        assert!(sender.probing.is_none());
        assert!(sender.next_at() > now, "no turn after turn without time passing");
    }
}
