//! Encoders: VP8 by libvpx, H.264 by OpenH264. What they read are pictures of this node's making, never bytes from outside.

use super::{CLOCK, EncodedFrame, VideoCodec, picture::Picture};
use openh264::{
    OpenH264API,
    encoder::{BitRate, EncoderConfig, FrameRate, FrameType, Profile, RateControlMode, UsageType},
    formats::YUVSlices,
};

/// A picture can't be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// VP8.
    #[error("VP8: {0}")]
    Vp8(#[from] vpx_encode::Error),
    /// H.264.
    #[error("H.264: {0}")]
    H264(#[from] openh264::Error),
}

enum Inner {
    Vp8(vpx_encode::Encoder),
    H264(Box<openh264::encoder::Encoder>),
}

/// An encoder. It stays on the thread that made it.
pub struct Encoder {
    codec: VideoCodec,
    kbps: u32,
    rate: u32,
    inner: Option<(Inner, (u32, u32))>,
    /// When the last frame was, in ticks of the RTP clock since the encoder was made.
    last: Option<(u32, i64)>,
}

impl Encoder {
    /// A new encoder for this bit rate and at most so many frames a second.
    pub fn new(codec: VideoCodec, kbps: u32, rate: u32) -> Self {
        Self { codec, kbps, rate, inner: None, last: None }
    }

    /// Encodes a picture; `None`: the encoder left it out to keep the rate. A key frame comes where it is asked for, and where the size
    /// changes.
    pub fn encode(
        &mut self,
        picture: &Picture,
        timestamp: u32,
        keyframe: bool,
    ) -> Result<Option<EncodedFrame>, EncodeError> {
        let size = (picture.width(), picture.height());
        // Time goes forward by at least a tick, or libvpx refuses the picture.
        let at = self.last.map_or(0, |(last, at)| at + i64::from(timestamp.wrapping_sub(last).clamp(1, CLOCK)));
        self.last = Some((timestamp, at));
        // The binding of libvpx has no way to ask for a key frame but to begin anew.
        let anew = keyframe && self.codec == VideoCodec::Vp8;
        let kept = self.inner.take().filter(|(_, known)| *known == size && !anew);
        let mut inner = match kept {
            Some((inner, _)) => inner,
            None => self.make(size)?,
        };
        let encoded = encode(&mut inner, picture, at, timestamp, keyframe);
        self.inner = Some((inner, size));
        encoded
    }

    fn make(&self, (width, height): (u32, u32)) -> Result<Inner, EncodeError> {
        match self.codec {
            VideoCodec::Vp8 => {
                let timebase = [1, i32::try_from(CLOCK).unwrap_or(i32::MAX)];
                let codec = vpx_encode::VideoCodecId::VP8;
                let config = vpx_encode::Config { width, height, timebase, bitrate: self.kbps, codec };
                Ok(Inner::Vp8(vpx_encode::Encoder::new(config)?))
            }
            VideoCodec::H264 => {
                let config = EncoderConfig::new()
                    .bitrate(BitRate::from_bps(self.kbps.saturating_mul(1_000)))
                    .max_frame_rate(FrameRate::from_hz(self.rate as f32))
                    .rate_control_mode(RateControlMode::Bitrate)
                    .usage_type(UsageType::CameraVideoRealTime)
                    .profile(Profile::Baseline)
                    .skip_frames(true)
                    .num_threads(1);
                let encoder = openh264::encoder::Encoder::with_api_config(OpenH264API::from_source(), config)?;
                Ok(Inner::H264(Box::new(encoder)))
            }
        }
    }
}

fn encode(
    inner: &mut Inner,
    picture: &Picture,
    at: i64,
    timestamp: u32,
    keyframe: bool,
) -> Result<Option<EncodedFrame>, EncodeError> {
    match inner {
        Inner::Vp8(encoder) => {
            let mut frame: Option<EncodedFrame> = None;
            for packet in encoder.encode(at, picture.data())? {
                let frame = frame.get_or_insert(EncodedFrame { data: Vec::new(), timestamp, keyframe: packet.key });
                frame.data.extend_from_slice(packet.data);
            }
            Ok(frame)
        }
        Inner::H264(encoder) => {
            if keyframe {
                encoder.force_intra_frame();
            }
            let [y, u, v] = picture.planes();
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            let source = YUVSlices::new((y, u, v), (width, height), (width, width / 2, width / 2));
            let stream = encoder.encode(&source)?;
            let keyframe = matches!(stream.frame_type(), FrameType::IDR);
            let data = stream.to_vec();
            Ok((!data.is_empty()).then_some(EncodedFrame { data, timestamp, keyframe }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            assembly::Assembler,
            decoder::Decoder,
            packets,
            picture::tests::{pattern, psnr},
        },
        *,
    };
    use std::time::Instant;

    /// Encodes a moving pattern, sends it as packets, puts it together, decodes it, and compares.
    fn through(codec: VideoCodec) {
        let mut encoder = Encoder::new(codec, 1_000, 30);
        let mut assembler = Assembler::new(codec);
        let mut decoder = Decoder::new(codec).unwrap();
        let (mut seq, mut compared, mut keyframes) = (0u64, 0, 0);
        for n in 0..60u32 {
            let picture = pattern(320, 180, n);
            let Some(frame) = encoder.encode(&picture, 7_000 + n * 3_000, n == 30).unwrap() else { continue };
            assert_eq!(frame.keyframe, n == 0 || n == 30, "{n}");
            keyframes += u32::from(frame.keyframe);
            for packet in packets::packetise(codec, &frame.data, n as u16) {
                assert!(packet.payload.len() <= 1_200);
                let payload = packet.payload.into();
                for frame in assembler.push(Instant::now(), seq, frame.timestamp, packet.marker, payload) {
                    let decoded = decoder.decode(&frame).unwrap().unwrap();
                    assert_eq!(frame.timestamp, 7_000 + n * 3_000);
                    let quality = psnr(&picture, &decoded);
                    assert!(quality > 30.0, "frame {n}: {quality} dB");
                    compared += 1;
                }
                seq += 1;
            }
        }
        assert!(compared >= 55 && keyframes == 2, "{compared} frames, {keyframes} key frames");
    }

    #[test]
    fn vp8_goes_through_and_looks_the_same() {
        through(VideoCodec::Vp8);
    }

    #[test]
    fn h264_goes_through_and_looks_the_same() {
        through(VideoCodec::H264);
    }

    #[test]
    fn what_says_that_it_is_huge_is_refused() {
        let mut data = vec![0x10, 0, 0, 0x9D, 1, 0x2A];
        data.extend_from_slice(&16_383u16.to_le_bytes());
        data.extend_from_slice(&16_383u16.to_le_bytes());
        data.resize(200, 0);
        let frame = EncodedFrame { data, timestamp: 0, keyframe: true };
        let refused = Decoder::new(VideoCodec::Vp8).unwrap().decode(&frame).unwrap_err();
        assert!(refused.to_string().contains("16383"), "{refused}");
    }
}
