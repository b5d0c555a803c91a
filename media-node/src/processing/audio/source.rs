//! One voice: packets in, a frame per turn out.

use super::{
    FRAME, Frame, INTERLEAVED,
    jitter::{Jitter, Playout},
    opus::{Decoder, OpusError},
    silence,
};
use std::{sync::Arc, time::Instant};

/// Most samples that are kept beyond a frame, so that packets of 120 ms may come.
const MAX_KEPT: usize = 8 * INTERLEAVED;

/// The voice.
pub struct VoiceSource {
    jitter: Jitter,
    decoder: Decoder,
    samples: Vec<i16>,
    /// Packets that libopus refused.
    pub refused: u64,
}

impl VoiceSource {
    /// A voice of which nothing came yet.
    pub fn new() -> Result<Self, OpusError> {
        Ok(Self { jitter: Jitter::default(), decoder: Decoder::new()?, samples: Vec::new(), refused: 0 })
    }

    /// Takes a packet in.
    pub fn push(&mut self, now: Instant, seq: u64, timestamp: u32, payload: Arc<[u8]>) {
        self.jitter.push(now, seq, timestamp, payload);
    }

    /// The next 20 ms.
    pub fn frame(&mut self, now: Instant) -> Frame {
        // A packet has at least 2.5 ms.
        for _ in 0..8 {
            if self.samples.len() >= INTERLEAVED {
                break;
            }
            let decoded = match self.jitter.next(now) {
                Playout::Packet(payload) => self.decoder.decode(&payload),
                Playout::Lost(Some(next)) => self.decoder.recover(&next),
                Playout::Lost(None) => self.decoder.conceal(),
                Playout::Silence if self.samples.is_empty() => return silence(),
                Playout::Silence => {
                    self.samples.resize(INTERLEAVED, 0);
                    break;
                }
            };
            match decoded {
                Ok(samples) if self.samples.len() <= MAX_KEPT => self.samples.extend_from_slice(samples),
                Ok(_) => {}
                Err(error) => {
                    tracing::trace!(%error, "a packet can't be decoded");
                    self.refused += 1;
                    self.samples.extend(std::iter::repeat_n(0, FRAME * 2));
                }
            }
        }
        self.samples.resize(self.samples.len().max(INTERLEAVED), 0);
        self.samples.drain(..INTERLEAVED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::opus::{Encoder, tests::*},
        *,
    };
    use std::time::Duration;

    #[test]
    fn a_tone_goes_through_the_network_and_back() {
        let (mut encoder, mut source) = (Encoder::new().unwrap(), VoiceSource::new().unwrap());
        let start = Instant::now();
        let mut heard = Vec::new();
        for n in 0..150usize {
            let now = start + Duration::from_millis(20 * n as u64);
            let packet: Arc<[u8]> = encoder.encode(&tone(440.0, n)).unwrap().into();
            // Each tenth is lost.
            if n % 10 != 7 {
                source.push(now, n as u64, 960 * n as u32, packet);
            }
            heard.extend(source.frame(now));
        }
        assert_eq!(heard.len(), 150 * INTERLEAVED);
        assert!(heard[..2 * INTERLEAVED].iter().all(|sample| *sample == 0), "the delay");
        let settled = &heard[20 * INTERLEAVED..];
        assert!(correlation(settled, 440.0) > 0.9, "{}", correlation(settled, 440.0));
    }
}
