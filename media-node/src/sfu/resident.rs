//! Residents: participants whose client lives in the node. A recorder, a mixer or a transcoder takes part in its room as a session: it
//! subscribes, is given packets with continuous numbers, asks for key frames and may publish, by the same rules as everyone.
//!
//! It is no session to the outside: it isn't counted, has no events, and doesn't keep its room alive.

use super::{
    codec::{Codec, Format},
    id::{Mid, ParticipantId, RoomId, TrackId},
    packet::{Forward, Kind},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
    time::Instant,
};

/// What the names of the node's own tracks begin with; clients' tracks may not be named so.
pub const RESERVED: char = '~';
/// Most lines of a resident.
pub const MAX_LINES: usize = 128;

/// A resident's number on this node, used once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResidentId(pub u64);

impl TrackId {
    /// A name of the node's own.
    pub fn of_node(name: &str) -> Self {
        Self::bounded(&format!("{RESERVED}{name}"))
    }

    /// Whether it is a name of the node's own.
    pub fn is_reserved(&self) -> bool {
        self.as_str().starts_with(RESERVED)
    }
}

/// The track with all voices of a room. Who wants it and speaks gets [`mix_without`] the own voice.
pub fn mix() -> TrackId {
    TrackId::of_node("mix")
}

/// The track with all voices of a room but a participant's.
pub fn mix_without(participant: &ParticipantId) -> TrackId {
    // Names of participants may be as long as those of tracks.
    let mut hasher = DefaultHasher::new();
    participant.hash(&mut hasher);
    TrackId::of_node(&format!("mix-{:016x}", hasher.finish()))
}

/// A video in another codec, for those who lack its publisher's.
pub fn bridged(track: &TrackId, to: Codec) -> TrackId {
    let mut hasher = DefaultHasher::new();
    track.hash(&mut hasher);
    TrackId::of_node(&format!("{to:?}-{:016x}", hasher.finish()))
}

/// A video that someone can't decode as it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lacking {
    /// The room.
    pub room: RoomId,
    /// The video.
    pub track: TrackId,
    /// The codec that the receiver knows.
    pub knows: Codec,
}

/// A track in the room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offered {
    /// Its id.
    pub track: TrackId,
    /// Whose it is.
    pub participant: ParticipantId,
    /// Sound or pictures.
    pub kind: Kind,
    /// What it shows.
    pub source: String,
}

/// Which tracks a resident wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Interest {
    /// All sound, and all pictures up to this height if any; 0: as tall as they are.
    Everything {
        /// Tallest picture in pixels.
        max_height: Option<u32>,
    },
    /// One track, with pictures up to this height.
    One(TrackId, u32),
}

impl Interest {
    /// Whether it wants a track, and how tall.
    pub fn wants(&self, offered: &Offered) -> Option<u32> {
        match self {
            Interest::Everything { .. } if offered.kind == Kind::Audio => Some(0),
            Interest::Everything { max_height } => *max_height,
            Interest::One(track, max_height) => (*track == offered.track).then_some(*max_height),
        }
    }
}

/// A packet for a resident.
#[derive(Clone, Debug)]
pub struct ForResident {
    /// Its line.
    pub mid: Mid,
    /// The codec; Opus for redundant audio, of which only the primary block comes.
    pub codec: Codec,
    /// Extended sequence number, without gaps but for what was lost before it came here.
    pub seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Quarter turns clockwise by which the picture must be turned, if the packet says it.
    pub quarter_turns: Option<u8>,
    /// Payload; empty where it only fills a place.
    pub payload: Arc<[u8]>,
}

/// What a resident is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// A track comes on this line from now on.
    Line(Mid, Offered),
    /// None any more.
    Gone(Mid),
    /// A packet.
    Packet(ForResident),
    /// Whether anyone receives the track that it publishes on this line.
    Watched(Mid, bool),
    /// Someone needs a key frame of the track that it publishes on this line.
    KeyframeWanted(Mid),
}

/// Something for a resident.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Which.
    pub to: ResidentId,
    /// What.
    pub told: Told,
}

/// Where residents' deliveries go: a bounded queue, which a media thread never waits for.
pub trait Mailbox: Send {
    /// Puts a delivery in. `false`: it is full, or nobody reads it any more.
    fn deliver(&self, delivery: Delivery) -> bool;
}

impl Mailbox for SyncSender<Delivery> {
    fn deliver(&self, delivery: Delivery) -> bool {
        match self.try_send(delivery) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// A resident that enters.
pub struct Entry {
    /// Its number.
    pub id: ResidentId,
    /// The name it has in the room, for logs.
    pub name: ParticipantId,
    /// What it wants.
    pub interest: Interest,
    /// The codecs that it takes.
    pub codecs: &'static [Codec],
    /// Where to.
    pub mailbox: Box<dyn Mailbox>,
    /// What its shard lets it see.
    pub state: Arc<ResidentState>,
}

/// A resident's state, for its own thread to look at.
#[derive(Debug, Default)]
pub struct ResidentState {
    /// It is over: the room has no one else, or the node stops.
    pub over: AtomicBool,
    /// Packets that its queue had no room for.
    pub dropped: AtomicU64,
}

/// A track that a resident publishes.
#[derive(Clone, Debug)]
pub struct Published {
    /// The packets' line.
    pub mid: Mid,
    /// Its reserved id.
    pub track: TrackId,
    /// Sound or pictures.
    pub kind: Kind,
}

/// A packet of a track that a resident publishes.
#[derive(Clone, Debug)]
pub struct FromResident {
    /// The line.
    pub mid: Mid,
    /// What the payload is.
    pub format: Format,
    /// Sequence number, counted up by one.
    pub seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload.
    pub payload: Arc<[u8]>,
}

/// What a resident asks of its shard.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Publish a track.
    Publish(Published),
    /// It is no longer published.
    Unpublish(Mid),
    /// A packet of it.
    Packet(FromResident),
    /// A key frame is needed on a line.
    Keyframe(Mid),
    /// Pictures on a line need not be taller than so many pixels.
    Height(Mid, u32),
    /// It leaves.
    Leave,
}

/// A resident, as its shard has it.
pub struct Resident {
    entry: Entry,
    lines: Vec<(Mid, Offered)>,
    /// Lines on which someone receives.
    watched: Vec<Mid>,
    named: u64,
    /// News that the mailbox had no room for, which it must not miss.
    owed: Vec<Told>,
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.entry.state.over.store(true, Ordering::Relaxed);
    }
}

/// What changes on a resident's lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Lines that are new, with the track and how tall it is wanted.
    pub begun: Vec<(Mid, Offered, u32)>,
    /// Lines that are no longer wanted.
    pub ended: Vec<Mid>,
}

impl Resident {
    /// A resident that enters.
    pub fn new(entry: Entry) -> Self {
        Self { entry, lines: Vec::new(), watched: Vec::new(), named: 0, owed: Vec::new() }
    }

    /// Its number.
    pub fn id(&self) -> ResidentId {
        self.entry.id
    }

    /// A payload type under which it takes a format: it looks at the codec only.
    pub fn payload_type(&self, format: &Format) -> Option<u8> {
        let index = self.entry.codecs.iter().position(|codec| *codec == format.codec)?;
        u8::try_from(index).ok()
    }

    /// Gives it a packet.
    pub fn packet(&mut self, forward: &Forward<'_>) {
        let Forward { mid, numbers, marker, payload, packet, .. } = forward;
        let codec = match packet.format.codec {
            Codec::Red => Codec::Opus,
            codec => codec,
        };
        let told = Told::Packet(ForResident {
            mid: *mid,
            codec,
            seq: numbers.seq,
            timestamp: numbers.timestamp,
            marker: *marker,
            quarter_turns: packet.quarter_turns,
            payload: (*payload).clone(),
        });
        if !self.send(told) {
            self.entry.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells it something that it must not miss.
    pub fn tell(&mut self, told: Told) {
        if !self.owed.is_empty() || !self.send(told.clone()) {
            self.owed.push(told);
        }
    }

    /// Tries again what it must not miss.
    pub fn settle(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        owed.into_iter().for_each(|told| self.tell(told));
    }

    fn send(&self, told: Told) -> bool {
        self.entry.mailbox.deliver(Delivery { to: self.entry.id, told })
    }

    /// Compares what the room has with what it is subscribed to.
    pub fn follow(&mut self, offered: Vec<Offered>) -> Changes {
        let mut changes = Changes::default();
        self.lines.retain(|(mid, known)| {
            let stays = offered.contains(known);
            if !stays {
                changes.ended.push(*mid);
            }
            stays
        });
        for track in offered {
            let Some(max_height) = self.entry.interest.wants(&track) else { continue };
            if self.lines.len() >= MAX_LINES || self.lines.iter().any(|(_, known)| *known == track) {
                continue;
            }
            self.named += 1;
            let Some(mid) = Mid::parse(&format!("n{}", self.named)) else { continue };
            self.lines.push((mid, track.clone()));
            changes.begun.push((mid, track, max_height));
        }
        changes
    }

    /// Tells it on which of its lines someone receives, where that has changed.
    pub fn watch(&mut self, watched: Vec<Mid>) {
        let before = std::mem::replace(&mut self.watched, watched);
        let ended = before.iter().filter(|mid| !self.watched.contains(mid)).map(|mid| Told::Watched(*mid, false));
        let begun = self.watched.iter().filter(|mid| !before.contains(mid)).map(|mid| Told::Watched(*mid, true));
        let news: Vec<Told> = ended.chain(begun).collect();
        news.into_iter().for_each(|told| self.tell(told));
    }

    /// The track that it gets on a line.
    pub fn offered_on(&self, mid: Mid) -> Option<&Offered> {
        self.lines.iter().find(|(line, _)| *line == mid).map(|(_, offered)| offered)
    }

    /// The name it has in the room.
    pub fn name(&self) -> &ParticipantId {
        &self.entry.name
    }
}

impl FromResident {
    /// As the router takes it.
    pub fn packet(self, now: Instant) -> super::packet::Packet {
        let Self { mid, format, seq, timestamp, marker, payload } = self;
        super::packet::Packet {
            mid,
            rid: None,
            format,
            seq,
            timestamp,
            marker,
            payload,
            audio_level: None,
            voice: None,
            descriptor: None,
            quarter_turns: None,
            arrival: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn offered(track: &str, kind: Kind) -> Offered {
        let participant = "p".parse().unwrap();
        Offered { track: track.parse().unwrap(), participant, kind, source: "camera".into() }
    }

    fn resident(interest: Interest, room: usize) -> (Resident, std::sync::mpsc::Receiver<Delivery>) {
        let (mailbox, receiver) = sync_channel(room);
        let entry = Entry {
            id: ResidentId(1),
            name: "~recorder".parse().unwrap(),
            interest,
            codecs: &[Codec::Opus, Codec::Vp8],
            mailbox: Box::new(mailbox),
            state: Arc::default(),
        };
        (Resident::new(entry), receiver)
    }

    #[test]
    fn lines_follow_what_the_room_has() {
        let (mut resident, _receiver) = resident(Interest::Everything { max_height: Some(360) }, 10);
        let changes = resident.follow(vec![offered("a", Kind::Audio), offered("v", Kind::Video)]);
        assert_eq!(
            changes.begun.iter().map(|(_, track, height)| (track.track.as_str(), *height)).collect::<Vec<_>>(),
            [("a", 0), ("v", 360)]
        );
        assert_eq!(resident.follow(vec![offered("a", Kind::Audio), offered("v", Kind::Video)]), Changes::default());
        let changed = resident.follow(vec![offered("v", Kind::Video), offered("w", Kind::Video)]);
        assert_eq!((changed.begun.len(), changed.ended), (1, vec![changes.begun[0].0]));
    }

    #[test]
    fn a_resident_that_wants_sound_or_one_track_gets_no_other() {
        let (mut listener, _receiver) = resident(Interest::Everything { max_height: None }, 10);
        assert_eq!(listener.follow(vec![offered("a", Kind::Audio), offered("v", Kind::Video)]).begun.len(), 1);
        let (mut one, _receiver) = resident(Interest::One("v".parse().unwrap(), 90), 10);
        assert_eq!(one.follow(vec![offered("a", Kind::Audio), offered("v", Kind::Video)]).begun[0].2, 90);
    }

    #[test]
    fn what_it_must_not_miss_waits_in_order_for_room() {
        let (mut resident, receiver) = resident(Interest::Everything { max_height: None }, 1);
        let mids = ["1", "2", "3"].map(|name| Mid::parse(name).unwrap());
        mids.iter().for_each(|mid| resident.tell(Told::Gone(*mid)));
        let mut got = Vec::new();
        for _ in 0..3 {
            while let Ok(Delivery { told: Told::Gone(mid), .. }) = receiver.try_recv() {
                got.push(mid);
            }
            resident.settle();
        }
        assert_eq!(got, mids);
    }
}
