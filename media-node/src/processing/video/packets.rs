//! RTP payloads out of frames.

use super::{VideoCodec, h264, vp8};

/// Largest payload: with SRTP, header extensions, UDP and IPv6 it fits into 1,280 bytes.
const MAX_PAYLOAD: usize = 1_150;

/// A payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payload {
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Whether the frame ends with it.
    pub marker: bool,
}

/// The payloads of a frame; `picture` counts frames.
pub fn packetise(codec: VideoCodec, frame: &[u8], picture: u16) -> Vec<Payload> {
    let payloads: Vec<Vec<u8>> =
        match codec {
            VideoCodec::Vp8 => {
                let parts = frame.chunks(MAX_PAYLOAD - 4).enumerate();
                parts.map(|(n, part)| [&vp8::descriptor(n == 0, picture), part].concat()).collect()
            }
            VideoCodec::H264 => h264::units(frame)
                .into_iter()
                .flat_map(|unit| {
                    if unit.len() <= MAX_PAYLOAD { vec![unit.to_vec()] } else { h264::fragments(unit, MAX_PAYLOAD) }
                })
                .collect(),
        };
    let last = payloads.len().saturating_sub(1);
    let marked = payloads.into_iter().enumerate();
    marked.map(|(n, payload)| Payload { payload, marker: n == last }).collect()
}
