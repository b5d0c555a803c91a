//! Opus (RFC 6716) through libopus.

use super::{CHANNELS, FRAME, Frame, INTERLEAVED, SAMPLE_RATE, silence};

/// Longest packet that is decoded: 120 ms (RFC 6716, section 3.2.5).
const LONGEST: usize = 6 * FRAME;
/// Largest packet that the encoder may make, in bytes: an RTP packet of it fits any path.
const MAX_PACKET: usize = 1_000;
/// What the encoder makes, in bits per second.
const BITRATE: i32 = 64_000;
/// How much loss the encoder prepares for, in percent; it sets how much of the rate goes to forward error correction.
const EXPECTED_LOSS: i32 = 10;
/// How hard the encoder tries, 0 to 10. Above 5 the gain is small and the time doubles.
const COMPLEXITY: i32 = 5;

/// libopus refuses something.
#[derive(Debug, thiserror::Error)]
#[error("Opus: {0}")]
pub struct OpusError(#[from] ::opus::Error);

/// A decoder: always 48 kHz and stereo, whatever the packet has.
pub struct Decoder {
    inner: ::opus::Decoder,
    buffer: Vec<i16>,
}

impl Decoder {
    /// A new decoder.
    pub fn new() -> Result<Self, OpusError> {
        let inner = ::opus::Decoder::new(SAMPLE_RATE, ::opus::Channels::Stereo)?;
        Ok(Self { inner, buffer: vec![0; LONGEST * CHANNELS] })
    }

    /// The samples of a packet, interleaved.
    pub fn decode(&mut self, packet: &[u8]) -> Result<&[i16], OpusError> {
        // An empty packet would ask for concealment, at the length of the whole buffer.
        if packet.is_empty() {
            return self.conceal();
        }
        let samples = self.inner.decode(packet, &mut self.buffer, false)?;
        Ok(self.buffer.get(..samples * CHANNELS).unwrap_or_default())
    }

    /// 20 ms in the place of a lost packet, from the forward error correction in the packet after it, if it has some (RFC 6716,
    /// section 2.1.7).
    pub fn recover(&mut self, next: &[u8]) -> Result<&[i16], OpusError> {
        if next.is_empty() {
            return self.conceal();
        }
        let buffer = self.buffer.get_mut(..INTERLEAVED).unwrap_or_default();
        let samples = self.inner.decode(next, buffer, true)?;
        Ok(self.buffer.get(..samples * CHANNELS).unwrap_or_default())
    }

    /// 20 ms in the place of a lost packet of which nothing is known.
    pub fn conceal(&mut self) -> Result<&[i16], OpusError> {
        let buffer = self.buffer.get_mut(..INTERLEAVED).unwrap_or_default();
        let samples = self.inner.decode(&[], buffer, false)?;
        Ok(self.buffer.get(..samples * CHANNELS).unwrap_or_default())
    }
}

/// Samples per channel of a packet, from its first bytes (RFC 6716, section 3.1); `None` for what is no Opus packet.
pub fn duration(packet: &[u8]) -> Option<usize> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880].get(usize::from(config & 3)).copied()?,
        config @ 12..=15 => [480, 960].get(usize::from(config & 1)).copied()?,
        config => [120, 240, 480, 960].get(usize::from(config & 3)).copied()?,
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(*packet.get(1)? & 0x3F),
    };
    let samples = frame * frames;
    (1..=LONGEST).contains(&samples).then_some(samples)
}

/// An encoder of frames of 20 ms, with forward error correction.
pub struct Encoder {
    inner: ::opus::Encoder,
}

impl Encoder {
    /// A new encoder.
    pub fn new() -> Result<Self, OpusError> {
        let mut inner = ::opus::Encoder::new(SAMPLE_RATE, ::opus::Channels::Stereo, ::opus::Application::Voip)?;
        inner.set_bitrate(::opus::Bitrate::Bits(BITRATE))?;
        inner.set_inband_fec(true)?;
        inner.set_packet_loss_perc(EXPECTED_LOSS)?;
        inner.set_complexity(COMPLEXITY)?;
        Ok(Self { inner })
    }

    /// A packet of a frame. A frame of another length is taken for silence.
    pub fn encode(&mut self, frame: &[i16]) -> Result<Vec<u8>, OpusError> {
        if frame.len() == INTERLEAVED {
            return Ok(self.inner.encode_vec(frame, MAX_PACKET)?);
        }
        let silent: Frame = silence();
        Ok(self.inner.encode_vec(&silent, MAX_PACKET)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tone, `frame` frames after its beginning, at half of full scale.
    pub(crate) fn tone(hertz: f64, frame: usize) -> Frame {
        let sample = |n: usize| {
            let at = (frame * FRAME + n) as f64 / f64::from(SAMPLE_RATE);
            ((at * hertz * std::f64::consts::TAU).sin() * 16_384.0) as i16
        };
        (0..FRAME).flat_map(|n| [sample(n); CHANNELS]).collect()
    }

    /// How much of a signal is a tone of this frequency: 1 for the tone itself, whatever its phase.
    pub(crate) fn correlation(signal: &[i16], hertz: f64) -> f64 {
        let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
        for (n, sample) in signal.iter().step_by(CHANNELS).enumerate() {
            let (s, c) = (n as f64 / f64::from(SAMPLE_RATE) * hertz * std::f64::consts::TAU).sin_cos();
            let sample = f64::from(*sample);
            sine += sample * s;
            cosine += sample * c;
            power += sample * sample;
        }
        let length = signal.len() as f64 / CHANNELS as f64;
        if power == 0.0 { 0.0 } else { ((sine * sine + cosine * cosine) / (power * length / 2.0)).sqrt() }
    }

    #[test]
    fn a_tone_comes_back() {
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new().unwrap());
        let mut heard = Vec::new();
        for n in 0..50 {
            let packet = encoder.encode(&tone(440.0, n)).unwrap();
            assert_eq!(duration(&packet), Some(FRAME));
            heard.extend_from_slice(decoder.decode(&packet).unwrap());
        }
        assert_eq!(heard.len(), 50 * INTERLEAVED);
        let settled = &heard[10 * INTERLEAVED..];
        assert!(correlation(settled, 440.0) > 0.98, "{}", correlation(settled, 440.0));
        assert!(correlation(settled, 700.0) < 0.1);
    }

    #[test]
    fn a_lost_packet_is_concealed_without_a_hole() {
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new().unwrap());
        let packets: Vec<_> = (0..40).map(|n| encoder.encode(&tone(300.0, n)).unwrap()).collect();
        for packet in &packets[..20] {
            decoder.decode(packet).unwrap();
        }
        let gap = decoder.recover(&packets[21]).unwrap().to_vec();
        assert_eq!(gap.len(), INTERLEAVED);
        let loudest = gap.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!(loudest > 8_000, "{loudest}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new().unwrap();
            let told = duration(&packet);
            if let Ok(samples) = decoder.decode(&packet) && !packet.is_empty() {
                prop_assert_eq!(Some(samples.len() / CHANNELS), told);
            }
        }
    }
}
