//! One track in files of its own, as it was sent: nothing is decoded.

use super::{
    clock::Clock,
    format::TrackFormat,
    storage::{Sink, Storage},
    webm::WebmFile,
};
use crate::{
    processing::{
        reorder::Reorder,
        video::{FrameCodec, assembly::Assembler},
    },
    sfu::codec::Codec,
};
use std::{io, sync::Arc, time::Instant};

/// A packet of the track.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The codec.
    pub codec: Codec,
    /// Extended sequence number, continuous but for what was lost.
    pub seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload.
    pub payload: Arc<[u8]>,
}

/// The beginning of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Begun {
    /// Its name.
    pub name: String,
    /// Its codec.
    pub codec: &'static str,
}

struct Open {
    file: WebmFile<Box<dyn Sink>>,
    clock: Clock,
    began: Instant,
}

enum Reader {
    Audio(Reorder<Taken>),
    Video(Assembler),
}

/// A track that is being recorded. A track that changes its codec goes on in another file.
pub struct TrackRecorder {
    stem: String,
    number: u32,
    reader: Option<Reader>,
    open: Option<Open>,
}

/// A file that is whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its length in milliseconds.
    pub duration_ms: u64,
    /// Its size.
    pub bytes: u64,
}

impl TrackRecorder {
    /// A track whose files' names begin so.
    pub fn new(stem: String) -> Self {
        Self { stem, number: 0, reader: None, open: None }
    }

    /// Bytes of the file that is being written.
    pub fn bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.file.bytes())
    }

    /// Whether a file is being written.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether it waits for a key frame.
    pub fn needs_keyframe(&self) -> bool {
        matches!(&self.reader, Some(Reader::Video(assembler)) if assembler.needs_keyframe())
    }

    /// Whether a packet is of another codec than the file that is being written, which has to be ended first.
    pub fn changes_with(&self, packet: &Taken) -> bool {
        match &self.reader {
            Some(Reader::Audio(_)) => packet.codec != Codec::Opus,
            Some(Reader::Video(assembler)) => FrameCodec::of(packet.codec) != Some(assembler.codec()),
            None => false,
        }
    }

    /// Takes a packet in; says when a file begins with it.
    pub fn packet(&mut self, now: Instant, packet: Taken, storage: &mut dyn Storage) -> io::Result<Option<Begun>> {
        if self.changes_with(&packet) {
            self.reader = None;
        }
        let reader = match (&mut self.reader, FrameCodec::of(packet.codec)) {
            (Some(reader), _) => reader,
            (none, Some(codec)) => none.insert(Reader::Video(Assembler::new(codec))),
            (none, None) if packet.codec == Codec::Opus => none.insert(Reader::Audio(Reorder::default())),
            _ => return Ok(None),
        };
        let (mut begun, mut unreadable) = (None, false);
        match reader {
            Reader::Audio(reorder) => {
                for (_, packet) in reorder.push(now, packet.seq, packet) {
                    if packet.payload.is_empty() {
                        continue;
                    }
                    if self.open.is_none() {
                        begun = Some(self.begin(now, TrackFormat::Opus, packet.timestamp, storage)?);
                    }
                    self.write(packet.timestamp, true, &packet.payload)?;
                }
            }
            Reader::Video(assembler) => {
                let codec = assembler.codec();
                let Taken { seq, timestamp, marker, payload, .. } = packet;
                for frame in assembler.push(now, seq, timestamp, marker, payload) {
                    if self.open.is_none() {
                        let Some(format) = TrackFormat::of(codec, &frame) else {
                            unreadable = true;
                            continue;
                        };
                        begun = Some(self.begin(now, format, frame.timestamp, storage)?);
                    }
                    self.write(frame.timestamp, frame.keyframe, &frame.data)?;
                }
            }
        }
        if unreadable && let Some(Reader::Video(assembler)) = &mut self.reader {
            assembler.spoil();
        }
        Ok(begun)
    }

    fn begin(
        &mut self,
        now: Instant,
        format: TrackFormat,
        timestamp: u32,
        storage: &mut dyn Storage,
    ) -> io::Result<Begun> {
        self.number += 1;
        let extension = if format.is_webm() { "webm" } else { "mkv" };
        let (rate, codec) = (format.clock_rate(), format.name());
        let name = format!("{}-{}.{extension}", self.stem, self.number);
        let file = WebmFile::new(storage.create(&name)?, vec![format])?;
        self.open = Some(Open { file, clock: Clock::new(rate, timestamp), began: now });
        Ok(Begun { name, codec })
    }

    fn write(&mut self, timestamp: u32, keyframe: bool, data: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let at = open.clock.at(timestamp);
        open.file.frame(1, at, keyframe, data)
    }

    /// Lets time pass: what waits is written at last.
    pub fn tick(&mut self, now: Instant) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let passed = now.saturating_duration_since(open.began).as_millis();
        open.file.tick(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Ends the file that is being written, if one is. After an error it can be played as far as it was written.
    pub fn end(&mut self) -> Option<io::Result<Ended>> {
        self.reader = None;
        let Open { file, .. } = self.open.take()?;
        let duration_ms = file.end();
        Some(file.finish().and_then(|mut file| Ok(Ended { duration_ms, bytes: file.stream_position()? })))
    }
}
