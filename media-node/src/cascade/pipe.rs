//! One pipe: the streams both ways between this node and a peer, their repair, and the sign of life. No I/O: datagrams go in,
//! and out through a function.

use super::{
    datagram::{self, Datagram, MAX_LISTED, MediaHead, StreamId},
    incoming::{Arrival, Incoming},
    limits,
    outgoing::Outgoing,
    quality::{PipeFigures, Quality},
};
use bytes::{Bytes, BytesMut};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

/// What a stream that comes in belongs to, in the receiver's own terms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// The track's handle.
    pub track: super::hub::Handle,
    /// The layer's place.
    pub layer: u8,
}

struct In {
    stream: Incoming,
    target: Target,
    /// Arrival and media time of the latest packet, in seconds since any time.
    last: Option<(Instant, u32)>,
}

struct Partial {
    stream: StreamId,
    hop: u32,
    pieces: Vec<Option<Bytes>>,
}

/// What came with a datagram.
#[derive(Clone, PartialEq, Debug)]
pub enum Received {
    /// A media packet that did not come before.
    Media(Target, MediaHead, Bytes),
    /// A lossy data message, still encoded.
    Data(Bytes),
    /// Something that was for the pipe itself.
    Nothing,
}

/// The pipe to a peer.
pub struct Pipe {
    out: HashMap<StreamId, Outgoing>,
    /// Streams whose end is still to be told when they stay quiet.
    quiet: BTreeSet<StreamId>,
    incoming: HashMap<StreamId, In>,
    /// Streams with something missing.
    gaps: BTreeSet<StreamId>,
    partial: VecDeque<Partial>,
    next_stream: u32,
    heard: Instant,
    beat_at: Instant,
    quality: Quality,
    /// Datagrams that could not be read.
    pub malformed: u64,
}

impl Pipe {
    /// A pipe that is up from now on.
    pub fn new(now: Instant) -> Self {
        Self {
            out: HashMap::new(),
            quiet: BTreeSet::new(),
            incoming: HashMap::new(),
            gaps: BTreeSet::new(),
            partial: VecDeque::new(),
            next_stream: 0,
            heard: now,
            beat_at: now,
            quality: Quality::new(now),
            malformed: 0,
        }
    }

    /// Whether nothing was heard for so long that the peer is dead.
    pub fn is_dead(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= limits::DEAD
    }

    /// The peer lives: a control message came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Makes the number for a stream that the peer shall send; `None` if there are too many.
    pub fn open_incoming(&mut self, target: Target) -> Option<StreamId> {
        if self.incoming.len() >= limits::MAX_STREAMS {
            return None;
        }
        // Numbers are used once, so that what is late for an old stream is never taken for a new one.
        let id = StreamId(self.next_stream);
        self.next_stream = self.next_stream.checked_add(1)?;
        self.incoming.insert(id, In { stream: Incoming::default(), target, last: None });
        Some(id)
    }

    /// Forgets a stream that comes in.
    pub fn close_incoming(&mut self, stream: StreamId) {
        self.incoming.remove(&stream);
        self.gaps.remove(&stream);
        self.partial.retain(|partial| partial.stream != stream);
    }

    /// Begins a stream that the peer subscribed to; `false` if the number is in use or there are too many.
    pub fn open_outgoing(&mut self, stream: StreamId) -> bool {
        if self.out.len() >= limits::MAX_STREAMS || self.out.contains_key(&stream) {
            return false;
        }
        self.out.insert(stream, Outgoing::default());
        true
    }

    /// Ends a stream that goes out.
    pub fn close_outgoing(&mut self, stream: StreamId) {
        self.out.remove(&stream);
        self.quiet.remove(&stream);
    }

    /// Sends a media packet in datagrams of at most `max` bytes.
    pub fn send(
        &mut self,
        now: Instant,
        stream: StreamId,
        head: &MediaHead,
        payload: &[u8],
        max: usize,
        mut out: impl FnMut(Bytes),
    ) {
        let Some(outgoing) = self.out.get_mut(&stream) else { return };
        let hop = outgoing.next();
        // The one copy of the payload: QUIC's queue and the ring share it.
        let packet = datagram::media(stream, hop, head, payload);
        datagram::pieces(&packet, stream, hop, max).for_each(&mut out);
        outgoing.keep(now, packet);
        self.quiet.insert(stream);
        self.quality.sent(now, payload.len());
    }

    /// Takes in a datagram.
    pub fn receive(&mut self, now: Instant, datagram: Bytes, max: usize, mut out: impl FnMut(Bytes)) -> Received {
        self.heard = now;
        match datagram::read(datagram) {
            Ok(Datagram::Media { stream, hop, head, payload }) => self.media(now, stream, hop, head, payload),
            Ok(Datagram::Piece { stream, hop, index, count, bytes }) => {
                match self.piece(stream, hop, index, count, bytes).map(datagram::read) {
                    Some(Ok(Datagram::Media { stream: inner, hop: inside, head, payload }))
                        if (inner, inside) == (stream, hop) =>
                    {
                        self.media(now, stream, hop, head, payload)
                    }
                    Some(_) => {
                        self.malformed += 1;
                        Received::Nothing
                    }
                    None => Received::Nothing,
                }
            }
            Ok(Datagram::Nack(stream, missing)) => {
                // Half a round trip: requests that cross a resend under way are for the same loss.
                let pause = self.quality.rtt() / 2;
                if let Some(outgoing) = self.out.get_mut(&stream) {
                    for hop in missing {
                        if let Some(packet) = outgoing.resend(now, hop, pause) {
                            datagram::pieces(&packet, stream, hop, max).for_each(&mut out);
                            self.quality.counts.resent_packets += 1;
                        }
                    }
                }
                Received::Nothing
            }
            Ok(Datagram::Heads(heads)) => {
                for (stream, next) in heads {
                    let Some(incoming) = self.incoming.get_mut(&stream) else { continue };
                    incoming.stream.reach(now, next, &mut self.quality.tally);
                    if !incoming.stream.is_whole() {
                        self.gaps.insert(stream);
                    }
                }
                Received::Nothing
            }
            Ok(Datagram::Beat(beat)) => {
                self.quality.told(now, &beat);
                Received::Nothing
            }
            Ok(Datagram::Data(message)) => Received::Data(message),
            Err(_) => {
                self.malformed += 1;
                Received::Nothing
            }
        }
    }

    fn media(&mut self, now: Instant, stream: StreamId, hop: u32, head: MediaHead, payload: Bytes) -> Received {
        // A stream that was closed in the meantime.
        let Some(incoming) = self.incoming.get_mut(&stream) else { return Received::Nothing };
        let arrival = incoming.stream.take(now, hop, &mut self.quality.tally);
        if !incoming.stream.is_whole() {
            self.gaps.insert(stream);
        }
        if arrival == Arrival::Known {
            return Received::Nothing;
        }
        self.quality.received(now, payload.len());
        if arrival == Arrival::New {
            if let Some((at, timestamp)) = incoming.last
                && timestamp != head.timestamp
            {
                let ticks = head.timestamp.wrapping_sub(timestamp) as i32;
                let media = f64::from(ticks) / f64::from(head.format.clock_rate.max(1));
                let difference = (now.saturating_duration_since(at).as_secs_f64() - media).abs();
                // A pause of the sender's is no jitter.
                if difference < 1.0 {
                    self.quality.spread(Duration::from_secs_f64(difference));
                }
                incoming.last = Some((now, head.timestamp));
            } else if incoming.last.is_none() {
                incoming.last = Some((now, head.timestamp));
            }
        }
        Received::Media(incoming.target, head, payload)
    }

    /// Keeps a piece. The packet, when it is whole.
    fn piece(&mut self, stream: StreamId, hop: u32, index: u8, count: u8, bytes: Bytes) -> Option<Bytes> {
        if !self.incoming.contains_key(&stream) {
            return None;
        }
        let (index, count) = (usize::from(index), usize::from(count));
        let place = match self.partial.iter().position(|partial| (partial.stream, partial.hop) == (stream, hop)) {
            Some(place) => place,
            None => {
                if self.partial.len() >= limits::MAX_PARTIAL {
                    self.partial.pop_front();
                }
                self.partial.push_back(Partial { stream, hop, pieces: vec![None; count] });
                self.partial.len() - 1
            }
        };
        let partial = self.partial.get_mut(place)?;
        if partial.pieces.len() != count {
            // Cut anew for another path's limit.
            partial.pieces = vec![None; count];
        }
        *partial.pieces.get_mut(index)? = Some(bytes);
        if partial.pieces.iter().any(Option::is_none) {
            return None;
        }
        let whole = self.partial.remove(place)?;
        let mut packet = BytesMut::new();
        whole.pieces.iter().flatten().for_each(|piece| packet.extend_from_slice(piece));
        Some(packet.freeze())
    }

    /// Lets time pass: asks for what is missing, tells the ends of quiet streams, and beats.
    pub fn tick(&mut self, now: Instant, mut out: impl FnMut(Bytes)) {
        let rtt = self.quality.rtt();
        let (incoming, tally) = (&mut self.incoming, &mut self.quality.tally);
        self.gaps.retain(|id| {
            let Some(stream) = incoming.get_mut(id) else { return false };
            let missing = stream.stream.ask(now, rtt, MAX_LISTED, tally);
            if !missing.is_empty() {
                out(datagram::nack(*id, &missing));
            }
            !stream.stream.is_whole()
        });
        let mut heads = Vec::new();
        let streams = &mut self.out;
        self.quiet.retain(|id| {
            let Some(stream) = streams.get_mut(id) else { return false };
            let (head, more) = stream.head(now);
            heads.extend(head.map(|next| (*id, next)));
            more
        });
        heads.chunks(MAX_LISTED).for_each(|heads| out(datagram::heads(heads)));
        if now >= self.beat_at {
            self.beat_at = now + limits::BEAT;
            out(datagram::beat(&self.quality.beat(now)));
        }
        self.quality.tick(now);
    }

    /// Loss after repair in the last seconds, in parts per 10,000, and the highest layer that comes in.
    pub fn strain(&self) -> (u16, u8) {
        let top = self.incoming.values().map(|incoming| incoming.target.layer).max().unwrap_or(0);
        (self.quality.residual(), top)
    }

    /// The worse of both ways' losses after repair in the last seconds, in parts per 10,000.
    pub fn residual(&self) -> u16 {
        self.quality.residual().max(self.quality.residual_there())
    }

    /// How the pipe does.
    pub fn figures(&mut self, now: Instant) -> PipeFigures {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        PipeFigures {
            streams_in: count(self.incoming.len()),
            streams_out: count(self.out.len()),
            ..self.quality.figures(now)
        }
    }
}
