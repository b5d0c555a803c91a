use super::{
    super::audio::opus::{Decoder, tests::*},
    *,
};
use crate::{
    processing::budget::{Budget, Thread},
    sfu::resident::Offered,
};

struct Room {
    budget: Budget,
    job: MixJob,
    desk: Desk,
    now: Instant,
    turn: usize,
}

impl Room {
    fn new() -> Self {
        Self::with(Budget::new(Millicores(800)))
    }

    fn with(budget: Budget) -> Self {
        let now = Instant::now();
        let reserved = budget.reserve(&Thread::default(), cost::mix(0)).unwrap();
        Self { job: MixJob::new(now, &reserved).unwrap(), budget, desk: Desk::default(), now, turn: 0 }
    }

    fn told(&mut self, told: Told) -> Vec<Asked> {
        self.job.told(self.now, told, &mut self.desk);
        self.desk.take()
    }

    fn joins(&mut self, mid: &str, who: &str) -> Vec<Asked> {
        let offered = Offered {
            track: mid.parse().unwrap(),
            participant: who.parse().unwrap(),
            kind: Kind::Audio,
            source: "microphone".into(),
        };
        self.told(Told::Line(Mid::parse(mid).unwrap(), offered))
    }

    /// Lets these voices speak for so many turns; what was sent, by line.
    fn speak(&mut self, voices: &mut [(&str, Encoder, f64)], turns: usize) -> HashMap<Mid, Vec<FromResident>> {
        let mut sent: HashMap<Mid, Vec<FromResident>> = HashMap::new();
        for _ in 0..turns {
            for (mid, encoder, hertz) in voices.iter_mut() {
                let packet = ForResident {
                    mid: Mid::parse(mid).unwrap(),
                    codec: Codec::Opus,
                    seq: self.turn as u64,
                    timestamp: 960 * self.turn as u32,
                    marker: false,
                    quarter_turns: None,
                    payload: encoder.encode(&tone(*hertz, self.turn)).unwrap().into(),
                };
                self.told(Told::Packet(packet));
            }
            assert_eq!(self.job.tick(self.now, Duration::ZERO, &mut self.desk), Progress::On);
            for asked in self.desk.take() {
                if let Asked::Packet(packet) = asked {
                    sent.entry(packet.mid).or_default().push(packet);
                }
            }
            self.turn += 1;
            self.now += super::super::job::TICK;
        }
        sent
    }
}

fn heard(packets: &[FromResident]) -> Vec<i16> {
    let mut decoder = Decoder::new().unwrap();
    let frames = packets.iter().map(|packet| decoder.decode(&packet.payload).unwrap().to_vec());
    frames.skip(20).flatten().collect()
}

#[test]
fn listeners_hear_all_and_speakers_the_others() {
    let mut room = Room::new();
    let published = room.joins("1", "ann");
    let [Asked::Publish(own)] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(own.track, resident::mix_without(&"ann".parse().unwrap()));
    let own = own.mid;
    room.joins("2", "bob");
    let mut voices = [("1", Encoder::new().unwrap(), 400.0), ("2", Encoder::new().unwrap(), 900.0)];
    assert!(room.speak(&mut voices, 5).is_empty(), "nobody listens");
    room.told(Told::Watched(own, true));
    room.told(Told::Watched(Mid::parse("mix").unwrap(), true));
    let sent = room.speak(&mut voices, 80);
    assert_eq!(sent.len(), 2);
    let (all, without_ann) = (heard(&sent[&Mid::parse("mix").unwrap()]), heard(&sent[&own]));
    assert!(correlation(&all, 400.0) > 0.6 && correlation(&all, 900.0) > 0.6);
    assert!(correlation(&without_ann, 900.0) > 0.95, "{}", correlation(&without_ann, 900.0));
    assert!(correlation(&without_ann, 400.0) < 0.02, "{}", correlation(&without_ann, 400.0));
    let packets = &sent[&own];
    assert!(packets.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1));
    assert!(packets.windows(2).all(|pair| pair[1].timestamp == pair[0].timestamp.wrapping_add(960)));
}

#[test]
fn each_own_mix_has_its_part_of_the_budget_or_is_not_made() {
    let mut room = Room::with(Budget::new(Millicores(cost::mix(2).0)));
    let mids: Vec<Mid> = ["ann", "bob", "eve"]
        .iter()
        .enumerate()
        .map(|(n, who)| {
            let published = room.joins(&n.to_string(), who);
            let [Asked::Publish(own)] = published.as_slice() else { panic!("{published:?}") };
            own.mid
        })
        .collect();
    // The mix of all is held by the worker; here it was given back.
    let shared = room.budget.reserve(&Thread::default(), cost::mix(0)).unwrap();
    mids.iter().for_each(|mid| drop(room.told(Told::Watched(*mid, true))));
    let mut voices = [("0", Encoder::new().unwrap(), 400.0)];
    let sent = room.speak(&mut voices, 30);
    assert_eq!(room.budget.used(), cost::mix(2));
    assert_eq!(sent.keys().copied().filter(|mid| mids.contains(mid)).count(), 2, "the third is refused");
    assert_eq!(room.budget.refused(), 1, "and not tried again at once");
    room.told(Told::Watched(mids[0], false));
    room.now += RETRY;
    let sent = room.speak(&mut voices, 30);
    assert!(sent.contains_key(&mids[1]) && sent.contains_key(&mids[2]));
    drop((room.job, shared));
    assert_eq!(room.budget.used(), Millicores(0));
}

#[test]
fn silence_is_not_sent_and_time_goes_on() {
    let mut room = Room::new();
    room.joins("1", "ann");
    room.told(Told::Watched(Mid::parse("mix").unwrap(), true));
    let mut ann = [("1", Encoder::new().unwrap(), 400.0)];
    let before = room.speak(&mut ann, 20).remove(&Mid::parse("mix").unwrap()).unwrap();
    let pause = room.speak(&mut [], 100);
    assert!(pause.values().map(Vec::len).sum::<usize>() <= 25, "the rest of the jitter buffer and the hangover");
    let after = room.speak(&mut ann, 20).remove(&Mid::parse("mix").unwrap()).unwrap();
    let passed = after[0].timestamp - before[0].timestamp;
    assert!(passed >= 960 * 120, "{passed}");
}

#[test]
fn who_leaves_takes_the_own_mix_along_and_an_unused_mix_ends() {
    let mut room = Room::new();
    room.joins("1", "ann");
    assert!(room.joins("2", "ann").is_empty(), "one mix per participant");
    assert!(room.told(Told::Gone(Mid::parse("1").unwrap())).is_empty());
    let gone = room.told(Told::Gone(Mid::parse("2").unwrap()));
    assert!(matches!(gone.as_slice(), [Asked::Unpublish(_)]), "{gone:?}");
    room.now += UNUSED;
    assert_eq!(room.job.tick(room.now, Duration::ZERO, &mut room.desk), Progress::Done);
}
