//! A picture of a track: its next key frame, decoded, and the job is done.

use super::{
    job::{Desk, Ending, Job, Progress},
    video::{VideoCodec, assembly::Assembler, decoder::Decoder, jpeg, picture::Picture},
};
use crate::sfu::resident::{Asked, ForResident, Told};
use std::time::{Duration, Instant};

/// How often a key frame is asked for.
const ASK: Duration = Duration::from_millis(500);
/// Longest time that it is waited for.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// What is told: the JPEG file. Dropped without a word if no picture came.
pub type Report = Box<dyn FnOnce(Vec<u8>) + Send>;

/// The job.
pub struct ThumbnailJob {
    height: u32,
    report: Option<Report>,
    reader: Option<(Assembler, Decoder)>,
    quarter_turns: u8,
    began: Instant,
    asked: Option<Instant>,
}

impl ThumbnailJob {
    /// A picture of at most this height.
    pub fn new(now: Instant, height: u32, report: Report) -> Self {
        Self { height, report: Some(report), reader: None, quarter_turns: 0, began: now, asked: None }
    }

    fn packet(&mut self, now: Instant, packet: ForResident) -> Option<Picture> {
        let ForResident { codec, seq, timestamp, marker, quarter_turns, payload, .. } = packet;
        self.quarter_turns = quarter_turns.unwrap_or(self.quarter_turns);
        let codec = VideoCodec::of(codec)?;
        if self.reader.as_ref().is_none_or(|(assembler, _)| assembler.codec() != codec.into()) {
            self.reader = Some((Assembler::new(codec), Decoder::new(codec).ok()?));
        }
        let (assembler, decoder) = self.reader.as_mut()?;
        let mut picture = None;
        for frame in assembler.push(now, seq, timestamp, marker, payload) {
            match decoder.decode(&frame) {
                Ok(decoded) => picture = decoded.or(picture),
                Err(error) => {
                    tracing::debug!(%error, "a frame can't be decoded");
                    assembler.spoil();
                }
            }
        }
        picture.map(|picture| picture.turned(self.quarter_turns))
    }
}

impl Job for ThumbnailJob {
    fn told(&mut self, now: Instant, told: Told, desk: &mut Desk) {
        let (mid, packet) = match told {
            Told::Packet(packet) => (packet.mid, Some(packet)),
            Told::Line(mid, _) => (mid, None),
            _ => return,
        };
        if self.report.is_none() {
            return;
        }
        let picture = packet.and_then(|packet| self.packet(now, packet));
        if let Some(picture) = picture {
            let height = self.height.min(picture.height());
            let (width, height) = picture.fitted(height.saturating_mul(4), height);
            let file = picture.scaled(width, height).ok().and_then(|small| jpeg::encode(&small).ok());
            if let (Some(file), Some(report)) = (file, self.report.take()) {
                report(file);
            }
        } else if self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK) {
            self.asked = Some(now);
            desk.ask(Asked::Keyframe(mid));
        }
    }

    fn tick(&mut self, now: Instant, _late: Duration, _desk: &mut Desk) -> Progress {
        let over = self.report.is_none() || now.saturating_duration_since(self.began) >= PATIENCE;
        if over { Progress::Done } else { Progress::On }
    }

    fn end(&mut self, _reason: Ending) {}
}
