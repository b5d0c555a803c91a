//! A packet on its way to one client, not sealed yet.

use super::resend::Kept;
use crate::sfu::packet::Forward;
use std::ops::Deref;

/// Most packets that wait for one client: a large key frame, and what comes with it. More would be late anyway.
pub const MOST: usize = 1_024;

/// A packet that leaves with the batch. Packets are sealed client by client, not one packet for all clients, so that what a client's stream needs
/// is fetched from memory once for a whole frame.
#[derive(Debug)]
pub struct Outgoing {
    /// The stream, by its place among the client's.
    pub line: u16,
    /// Its SSRC.
    pub ssrc: u32,
    /// The stream's clock, in Hz.
    pub clock_rate: u32,
    /// Audio level with the voice bit (RFC 6464).
    pub level: Option<u8>,
    /// Whether it belongs to the beginning of a key frame.
    pub keyframe: bool,
    /// What is kept of it.
    pub kept: Kept,
}

impl Outgoing {
    /// What `forward` sends on the stream at `line` with this SSRC; the payload is shared.
    pub fn new(line: u16, ssrc: u32, forward: &Forward<'_>) -> Self {
        let Forward { payload_type, numbers, marker, payload, descriptor, keyframe, packet, .. } = *forward;
        Self {
            line,
            ssrc,
            clock_rate: packet.format.clock_rate,
            keyframe,
            level: packet.audio_level.map(|level| level & 0x7F | u8::from(packet.voice.unwrap_or_default()) << 7),
            kept: Kept {
                payload: payload.clone(),
                descriptor: descriptor.cloned(),
                seq: numbers.seq,
                timestamp: numbers.timestamp,
                pictures: numbers.pictures,
                payload_type,
                marker,
                turns: packet.quarter_turns,
            },
        }
    }
}

impl Deref for Outgoing {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.kept
    }
}
