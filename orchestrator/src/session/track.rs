//! Published tracks.

use super::ids::Generation;
use chroom_primitives::UnixMs;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What a track shows or lets hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A camera's picture.
    Camera,
    /// A microphone's sound.
    Microphone,
    /// A shared screen or window.
    Screen,
    /// The sound of a shared screen.
    ScreenAudio,
}

/// Sound or picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

impl Source {
    /// The source's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Camera => "camera",
            Source::Microphone => "microphone",
            Source::Screen => "screen",
            Source::ScreenAudio => "screen-audio",
        }
    }

    /// Whether it is sound or picture.
    pub fn kind(self) -> Kind {
        match self {
            Source::Camera | Source::Screen => Kind::Video,
            Source::Microphone | Source::ScreenAudio => Kind::Audio,
        }
    }
}

/// A text is not a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a source is camera, microphone, screen or screen-audio")]
pub struct SourceError;

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "camera" => Ok(Source::Camera),
            "microphone" => Ok(Source::Microphone),
            "screen" => Ok(Source::Screen),
            "screen-audio" => Ok(Source::ScreenAudio),
            _ => Err(SourceError),
        }
    }
}

/// A track that a participant publishes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Track {
    /// Where it comes from.
    pub source: Source,
    /// Whether its publisher muted it.
    pub muted: bool,
    /// Simulcast layers, lowest first.
    pub layers: Vec<String>,
    /// The placement in which the media node was told of it.
    pub known_in: Option<Generation>,
    /// The placement in which its media flows.
    pub live_in: Option<Generation>,
    /// Whether the others were told of it. It stays so when the room moves: ids don't change.
    pub announced: bool,
    /// When its media stopped, Unix ms. The others are told a moment later, if it has not begun again and its session was
    /// not lost with it: a node that stops ends all tracks, and clients should not care.
    #[serde(skip)]
    pub stopped_ms: Option<UnixMs>,
}
