//! One of the pictures: decoded as it comes.

use crate::{
    processing::video::{VideoCodec, assembly::Assembler, decoder::Decoder, picture::Picture},
    sfu::resident::ForResident,
};
use std::time::{Duration, Instant};

/// How often a key frame is asked for.
const ASK: Duration = Duration::from_millis(500);

/// A video whose newest picture is in the grid.
pub(super) struct Video {
    reader: Option<(Assembler, Decoder)>,
    quarter_turns: u8,
    pub picture: Option<Picture>,
    asked: Option<Instant>,
}

impl Video {
    pub fn new() -> Self {
        Self { reader: None, quarter_turns: 0, picture: None, asked: None }
    }

    /// Takes a packet in. Whether a key frame is needed.
    pub fn packet(&mut self, now: Instant, packet: ForResident) -> bool {
        let ForResident { codec, seq, timestamp, marker, quarter_turns, payload, .. } = packet;
        self.quarter_turns = quarter_turns.unwrap_or(self.quarter_turns);
        let Some(codec) = VideoCodec::of(codec) else { return false };
        if self.reader.as_ref().is_none_or(|(assembler, _)| assembler.codec() != codec.into()) {
            self.reader = Decoder::new(codec).ok().map(|decoder| (Assembler::new(codec), decoder));
        }
        let Some((assembler, decoder)) = &mut self.reader else { return false };
        for frame in assembler.push(now, seq, timestamp, marker, payload) {
            match decoder.decode(&frame) {
                Ok(Some(picture)) => self.picture = Some(picture.turned(self.quarter_turns)),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "a frame can't be decoded");
                    assembler.spoil();
                }
            }
        }
        let needs = assembler.needs_keyframe();
        let rested = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK);
        if needs && rested {
            self.asked = Some(now);
        }
        needs && rested
    }
}
