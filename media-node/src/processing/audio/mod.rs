//! Sound: Opus packets in, one frame of 20 ms per turn, mixed and encoded again.

pub mod jitter;
pub mod limiter;
pub mod mixer;
pub mod opus;
pub mod source;

/// Samples per second and channel; Opus' RTP clock is the same (RFC 7587, section 4.1).
pub const SAMPLE_RATE: u32 = 48_000;
/// Channels of everything that is decoded and mixed.
pub const CHANNELS: usize = 2;
/// Samples per channel in a frame of 20 ms.
pub const FRAME: usize = 960;
/// Samples in a frame of 20 ms, both channels interleaved.
pub const INTERLEAVED: usize = FRAME * CHANNELS;

/// A frame of 20 ms, both channels interleaved.
pub type Frame = Vec<i16>;

/// A frame of silence.
pub fn silence() -> Frame {
    vec![0; INTERLEAVED]
}
