//! What a track of a file carries, and how Matroska names it (RFC 9559; codec mappings for Matroska and for AV1 in Matroska).

use crate::{
    processing::{
        audio::SAMPLE_RATE,
        video::{CLOCK, EncodedFrame, FrameCodec, av1, h264, vp9},
    },
    sfu::codec::{
        self,
        av1::{Chroma, SequenceHeader},
    },
};
use bytes::Bytes;
use mkv_element::prelude::*;

/// Opus' header in a file (RFC 7845, section 5.1): version 1, 2 channels, nothing to skip at the beginning, 48 kHz, no gain, family 0.
const OPUS_HEAD: [u8; 19] = *b"OpusHead\x01\x02\x00\x00\x80\xBB\x00\x00\x00\x00\x00";

/// What a track of a file carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrackFormat {
    /// Opus.
    Opus,
    /// VP8 of this size.
    Vp8 {
        /// Width in pixels.
        width: u16,
        /// Height in pixels.
        height: u16,
    },
    /// VP9 of this size.
    Vp9 {
        /// Width in pixels.
        width: u16,
        /// Height in pixels.
        height: u16,
    },
    /// AV1, by its sequence header.
    Av1 {
        /// What it says.
        header: SequenceHeader,
        /// The OBU, with its size.
        obu: Vec<u8>,
    },
    /// H.264 of this size, with its parameter sets.
    H264 {
        /// Width in pixels.
        width: u16,
        /// Height in pixels.
        height: u16,
        /// Sequence parameter set.
        sps: Vec<u8>,
        /// Picture parameter set.
        pps: Vec<u8>,
    },
}

impl TrackFormat {
    /// Whether WebM has it.
    pub fn is_webm(&self) -> bool {
        !matches!(self, TrackFormat::H264 { .. })
    }

    /// What a stream is that begins with this key frame; `None`: it doesn't say how large its pictures are.
    pub fn of(codec: FrameCodec, frame: &EncodedFrame) -> Option<Self> {
        match codec {
            FrameCodec::Vp8 => {
                let (width, height) = codec::vp8::dimensions(&frame.data)?;
                Some(TrackFormat::Vp8 { width, height })
            }
            FrameCodec::Vp9 => {
                let (width, height) = vp9::dimensions(&frame.data)?;
                Some(TrackFormat::Vp9 { width, height })
            }
            FrameCodec::H264 => {
                let (sps, pps) = h264::parameters(&frame.data);
                let (sps, pps) = (sps?.to_vec(), pps?.to_vec());
                let (width, height) = codec::h264::dimensions(&sps)?;
                Some(TrackFormat::H264 { width, height, sps, pps })
            }
            FrameCodec::Av1 => {
                let (header, obu) = av1::sequence_header(&frame.data)?;
                Some(TrackFormat::Av1 { header, obu })
            }
        }
    }

    /// Its name in RTP.
    pub fn name(&self) -> &'static str {
        match self {
            TrackFormat::Opus => "opus",
            TrackFormat::Vp8 { .. } => "VP8",
            TrackFormat::Vp9 { .. } => "VP9",
            TrackFormat::Av1 { .. } => "AV1",
            TrackFormat::H264 { .. } => "H264",
        }
    }

    /// Its clock in RTP, in Hz.
    pub fn clock_rate(&self) -> u32 {
        if self.is_video() { CLOCK } else { SAMPLE_RATE }
    }

    /// Whether it has pictures.
    pub fn is_video(&self) -> bool {
        !matches!(self, TrackFormat::Opus)
    }

    /// Its entry in the list of tracks.
    pub(super) fn entry(&self, number: u64) -> TrackEntry {
        let common = TrackEntry {
            track_number: TrackNumber(number),
            track_uid: TrackUid(number),
            flag_enabled: FlagEnabled(1),
            flag_default: FlagDefault(1),
            flag_lacing: FlagLacing(0),
            language: Language("und".to_owned()),
            ..TrackEntry::default()
        };
        let video = |width: u16, height: u16| Video {
            pixel_width: PixelWidth(width.into()),
            pixel_height: PixelHeight(height.into()),
            ..Video::default()
        };
        match self {
            TrackFormat::Opus => TrackEntry {
                track_type: TrackType(2),
                codec_id: CodecId("A_OPUS".to_owned()),
                codec_private: Some(CodecPrivate(Bytes::from_static(&OPUS_HEAD))),
                seek_pre_roll: SeekPreRoll(80_000_000),
                audio: Some(Audio {
                    sampling_frequency: SamplingFrequency(48_000.0),
                    channels: Channels(2),
                    ..Audio::default()
                }),
                ..common
            },
            TrackFormat::Vp8 { width, height } => TrackEntry {
                track_type: TrackType(1),
                codec_id: CodecId("V_VP8".to_owned()),
                video: Some(video(*width, *height)),
                ..common
            },
            TrackFormat::Vp9 { width, height } => TrackEntry {
                track_type: TrackType(1),
                codec_id: CodecId("V_VP9".to_owned()),
                video: Some(video(*width, *height)),
                ..common
            },
            TrackFormat::Av1 { header, obu } => TrackEntry {
                track_type: TrackType(1),
                codec_id: CodecId("V_AV1".to_owned()),
                codec_private: Some(CodecPrivate(av1_configuration(header, obu).into())),
                video: Some(video(header.width, header.height)),
                ..common
            },
            TrackFormat::H264 { width, height, sps, pps } => TrackEntry {
                track_type: TrackType(1),
                codec_id: CodecId("V_MPEG4/ISO/AVC".to_owned()),
                codec_private: Some(CodecPrivate(avc_configuration(sps, pps).into())),
                video: Some(video(*width, *height)),
                ..common
            },
        }
    }
}

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, section 5.3.3.1).
fn avc_configuration(sps: &[u8], pps: &[u8]) -> Vec<u8> {
    let mut record = vec![1];
    record.extend_from_slice(sps.get(1..4).unwrap_or(&[66, 0xC0, 31]));
    record.extend_from_slice(&[0xFF, 0xE1]);
    for (index, unit) in [sps, pps].into_iter().enumerate() {
        if index == 1 {
            record.push(1);
        }
        record.extend_from_slice(&u16::try_from(unit.len()).unwrap_or(0).to_be_bytes());
        record.extend_from_slice(unit);
    }
    record
}

/// AV1CodecConfigurationRecord (AV1 in ISO base media files, section 2.3.3).
fn av1_configuration(header: &SequenceHeader, obu: &[u8]) -> Vec<u8> {
    let Chroma { monochrome, by_two: (horizontal, vertical), position } = header.chroma;
    let bits = [header.tier, header.high_bit_depth, header.twelve_bit, monochrome, horizontal, vertical];
    let third = bits.into_iter().fold(0, |byte, bit| byte << 1 | u8::from(bit)) << 2 | position & 0x03;
    // Marker and version; then nothing of a delay before the first picture is told.
    let mut record = vec![0x81, header.profile << 5 | header.level & 0x1F, third, 0];
    record.extend_from_slice(obu);
    record
}
