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
const FORMAT: Format = Format { channels: Some(2), ..Format::new(Codec::Opus, SAMPLE_RATE) };

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
mod tests;
