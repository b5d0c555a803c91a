//! What is to be sent: pictures in layers, as a publisher sends them, or as many as the target allows.

use super::{super::Rate, random::Random};

/// Pictures per second.
const FRAME_RATE: u64 = 30;
/// What of the target may be filled when a layer is raised; what flows already may fill all of it.
const RAISE: f64 = 0.85;
/// From the wish for another layer to its key frame: the way to the publisher and back, and its encoder.
const KEY_FRAME_MS: u64 = 150;
/// A key frame's size in average frames of its layer.
const KEY_FRAME: u64 = 4;

/// A layer that exceeds the target by this factor isn't forwarded until the key frame of a lower one: it would only fill the queue
/// that the key frame has to pass.
const HOPELESS: f64 = 1.5;

/// Which pictures there are.
#[derive(Clone, Debug)]
pub enum Pictures {
    /// Layers, lowest first, of which one is forwarded.
    Layers(Vec<Rate>),
    /// Exactly what the target allows, up to this; a room with many small pictures comes near to it.
    Elastic(Rate),
}

/// One picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picture {
    /// In bytes.
    pub bytes: u64,
    /// Needs no other.
    pub key: bool,
}

/// A source at work.
#[derive(Debug)]
pub struct Source {
    pictures: Pictures,
    layer: usize,
    /// The layer that a key frame was asked for, and when that comes.
    next: Option<(usize, u64)>,
    frames: u64,
    key: bool,
    random: Random,
}

impl Source {
    /// Begins with the lowest layer.
    pub fn new(pictures: Pictures, seed: u64) -> Self {
        Self { pictures, layer: 0, next: None, frames: 0, key: true, random: Random::new(seed) }
    }

    /// What it could send.
    pub fn desired(&self) -> Rate {
        match &self.pictures {
            Pictures::Layers(layers) => layers.last().copied().unwrap_or_default(),
            Pictures::Elastic(most) => *most,
        }
    }

    /// The layer that flows.
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// The receiver can't go on without a key frame.
    pub fn want_key(&mut self, now_ms: u64) {
        self.next.get_or_insert((self.layer, now_ms + KEY_FRAME_MS));
    }

    /// Chooses a layer for the target.
    pub fn choose(&mut self, now_ms: u64, target: Rate) {
        let Pictures::Layers(layers) = &self.pictures else { return };
        let wanted = self.next.map_or(self.layer, |(layer, _)| layer);
        let fits = |layer: usize| {
            let room = if layer <= self.layer { target } else { target.scaled(RAISE) };
            layers[layer] <= room
        };
        let best = (0..layers.len()).rev().find(|layer| fits(*layer)).unwrap_or(0);
        if best != wanted {
            self.next = (best != self.layer).then_some((best, now_ms + KEY_FRAME_MS));
        }
    }

    /// The picture of this millisecond, if there is one.
    pub fn tick(&mut self, now_ms: u64, target: Rate) -> Option<Picture> {
        if now_ms < self.frames * 1_000 / FRAME_RATE {
            return None;
        }
        self.frames = (self.frames + 1).max(now_ms * FRAME_RATE / 1_000);
        if let Some((layer, at)) = self.next
            && now_ms >= at
        {
            (self.layer, self.key, self.next) = (layer, true, None);
        }
        let key = std::mem::take(&mut self.key);
        let (rate, key_frame) = match &self.pictures {
            Pictures::Layers(layers) => (layers[self.layer], KEY_FRAME),
            Pictures::Elastic(most) => (target.min(*most), 1),
        };
        let even = rate.as_bps() / 8 / FRAME_RATE;
        if rate > target.scaled(HOPELESS) && self.next.is_some() && !key {
            return None;
        }
        let bytes = (even as f64 * (0.8 + 0.4 * self.random.share())) as u64 * if key { key_frame } else { 1 };
        Some(Picture { bytes: bytes.max(100), key })
    }
}
