//! The mix of a room: one track with all voices for those who listen, and for each who speaks one with all others.
//!
//! Tracks for speakers are offered to all who publish sound, but encoded only while someone receives them.

use super::{
    audio::{FRAME, Frame, SAMPLE_RATE, limiter::Limiter, mixer::Sum, opus::Encoder, source::VoiceSource},
    budget::{Millicores, Reservation},
    cost,
    job::{Desk, Ending, Job, Progress},
};
use crate::sfu::{
    codec::{Codec, Format},
    id::{Mid, ParticipantId},
    packet::Kind,
    resident::{self, Asked, ForResident, FromResident, Published, Told},
};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    time::{Duration, Instant},
};

/// A mix that nobody has received for so long ends.
const UNUSED: Duration = Duration::from_secs(30);
/// So long a mix that was refused its part of the budget isn't tried again.
const RETRY: Duration = Duration::from_secs(10);
/// Silent frames that are still sent; after them nothing is, until someone speaks.
const HANGOVER: u32 = 10;
/// Most participants with a mix of their own.
const MAX_OWN: usize = 64;
/// What RTP calls it.
const FORMAT: Format = Format {
    codec: Codec::Opus,
    clock_rate: SAMPLE_RATE,
    channels: Some(2),
    packetization_mode: None,
    profile_level_id: None,
    profile_id: None,
};

struct Voice {
    participant: ParticipantId,
    source: VoiceSource,
}

/// A track that is published.
struct Output {
    mid: Mid,
    watched: bool,
    encoder: Option<Encoder>,
    limiter: Limiter,
    seq: u64,
    silent: u32,
    /// What it may cost while it is received; nothing for the mix of all, which every mix has.
    reserved: Reservation,
    /// When it was refused that.
    refused: Option<Instant>,
}

impl Output {
    fn new(mid: Mid, reserved: Reservation) -> Self {
        let limiter = Limiter::default();
        Self { mid, watched: false, encoder: None, limiter, seq: 1, silent: 0, reserved, refused: None }
    }

    /// Whether it can be sent to those who receive it: it costs something of its own then.
    fn affords(&mut self, now: Instant, cost: Millicores) -> bool {
        if !self.watched || self.reserved.cost() == cost {
            return self.watched;
        }
        if self.refused.is_some_and(|at| now.saturating_duration_since(at) < RETRY) {
            return false;
        }
        let reserved = self.reserved.resize(cost);
        self.refused = reserved.as_ref().err().map(|error| {
            tracing::info!(%error, "someone who speaks gets no mix without the own voice");
            now
        });
        reserved.is_ok()
    }

    fn watch(&mut self, watched: bool) {
        self.watched = watched;
        if !watched {
            self.encoder = None;
            // To need less is never refused.
            let _ = self.reserved.resize(Millicores(0));
        }
    }

    fn send(&mut self, timestamp: u32, frame: &[i16], desk: &mut Desk) {
        let is_silent = frame.iter().all(|sample| *sample == 0);
        self.silent = if is_silent { self.silent.saturating_add(1) } else { 0 };
        if self.silent > HANGOVER {
            return;
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => match Encoder::new() {
                Ok(encoder) => none.insert(encoder),
                Err(error) => return tracing::warn!(%error, "no encoder for a mix"),
            },
        };
        match encoder.encode(frame) {
            Ok(payload) => {
                let (mid, seq) = (self.mid, self.seq);
                let packet = FromResident {
                    mid,
                    format: FORMAT,
                    seq,
                    timestamp,
                    marker: self.silent == 0 && seq == 1,
                    payload: payload.into(),
                };
                desk.ask(Asked::Packet(packet));
                self.seq += 1;
            }
            Err(error) => tracing::debug!(%error, "a frame of a mix can't be encoded"),
        }
    }
}

/// The job.
pub struct MixJob {
    voices: HashMap<Mid, Voice>,
    shared: Output,
    own: BTreeMap<ParticipantId, Output>,
    named: u64,
    timestamp: u32,
    /// Of nothing; others are made of it.
    reserved: Reservation,
    published: bool,
    unused_since: Instant,
}

impl MixJob {
    /// A mix of nobody yet, which has this reservation for what all listeners get.
    pub fn new(now: Instant, reserved: &Reservation) -> io::Result<Self> {
        let nothing = || reserved.another(Millicores(0)).map_err(io::Error::other);
        Ok(Self {
            voices: HashMap::new(),
            shared: Output::new(Mid::parse("mix").unwrap_or_default(), nothing()?),
            reserved: nothing()?,
            own: BTreeMap::new(),
            named: 0,
            timestamp: 0,
            published: false,
            unused_since: now,
        })
    }

    fn join(&mut self, mid: Mid, participant: ParticipantId, desk: &mut Desk) {
        match VoiceSource::new() {
            Ok(source) => drop(self.voices.insert(mid, Voice { participant: participant.clone(), source })),
            Err(error) => return tracing::warn!(%error, "a voice can't be mixed"),
        }
        if self.own.contains_key(&participant) || self.own.len() >= MAX_OWN {
            return;
        }
        let Ok(reserved) = self.reserved.another(Millicores(0)) else { return };
        self.named += 1;
        let Some(mid) = Mid::parse(&format!("own{}", self.named)) else { return };
        let track = resident::mix_without(&participant);
        desk.ask(Asked::Publish(Published { mid, track, kind: Kind::Audio }));
        self.own.insert(participant, Output::new(mid, reserved));
    }

    fn leave(&mut self, mid: &Mid, desk: &mut Desk) {
        let Some(Voice { participant, .. }) = self.voices.remove(mid) else { return };
        if !self.voices.values().any(|voice| voice.participant == participant)
            && let Some(output) = self.own.remove(&participant)
        {
            desk.ask(Asked::Unpublish(output.mid));
        }
    }

    fn outputs(&mut self) -> impl Iterator<Item = &mut Output> {
        std::iter::once(&mut self.shared).chain(self.own.values_mut())
    }
}

impl Job for MixJob {
    fn told(&mut self, now: Instant, told: Told, desk: &mut Desk) {
        match told {
            Told::Line(mid, offered) if offered.kind == Kind::Audio => self.join(mid, offered.participant, desk),
            Told::Gone(mid) => self.leave(&mid, desk),
            Told::Packet(ForResident { mid, seq, timestamp, payload, .. }) => {
                if let Some(voice) = self.voices.get_mut(&mid) {
                    voice.source.push(now, seq, timestamp, payload);
                }
            }
            Told::Watched(mid, watched) => {
                if let Some(output) = self.outputs().find(|output| output.mid == mid) {
                    output.watch(watched);
                }
            }
            Told::Line(..) | Told::KeyframeWanted(_) => {}
        }
    }

    fn tick(&mut self, now: Instant, _late: Duration, desk: &mut Desk) -> Progress {
        if !std::mem::replace(&mut self.published, true) {
            let (mid, track) = (self.shared.mid, resident::mix());
            desk.ask(Asked::Publish(Published { mid, track, kind: Kind::Audio }));
        }
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        if self.outputs().any(|output| output.watched) {
            self.unused_since = now;
        } else if now.saturating_duration_since(self.unused_since) >= UNUSED {
            return Progress::Done;
        }
        // Voices are played on even if nobody listens, so that they are where they should be when someone does.
        let mut sum = Sum::default();
        let mut by_participant: HashMap<ParticipantId, Vec<Frame>> = HashMap::new();
        for voice in self.voices.values_mut() {
            let frame = voice.source.frame(now);
            if sum.add(&frame) {
                by_participant.entry(voice.participant.clone()).or_default().push(frame);
            }
        }
        let timestamp = self.timestamp;
        if self.shared.watched {
            let frame = sum.all(&mut self.shared.limiter);
            self.shared.send(timestamp, &frame, desk);
        }
        for (participant, output) in &mut self.own {
            if !output.affords(now, cost::OWN_MIX) {
                continue;
            }
            let own = by_participant.get(participant).map(Vec::as_slice).unwrap_or_default();
            let frame = sum.without(own, &mut output.limiter);
            output.send(timestamp, &frame, desk);
        }
        Progress::On
    }

    fn end(&mut self, _reason: Ending) {}
}

#[cfg(test)]
mod tests {
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
}
