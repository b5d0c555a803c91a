//! Decoders: VP8 by oximedia-codec, which is safe Rust throughout; H.264 by OpenH264.

use super::{
    EncodedFrame, MAX_PIXELS, VideoCodec, h264,
    picture::{Picture, PictureError, Plane},
};
use crate::sfu::codec;
use openh264::formats::YUVSource;
use oximedia_codec::{
    traits::{DecoderConfig, VideoDecoder},
    vp8::Vp8Decoder,
};

/// A frame can't be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// VP8.
    #[error("VP8: {0}")]
    Vp8(#[from] oximedia_codec::error::CodecError),
    /// H.264.
    #[error("H.264: {0}")]
    H264(#[from] openh264::Error),
    /// The picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A key frame that doesn't say how large it is.
    #[error("a key frame without a size")]
    NoSize,
}

enum Inner {
    Vp8(Box<Vp8Decoder>),
    H264(Box<openh264::decoder::Decoder>),
}

/// A decoder.
pub struct Decoder {
    inner: Inner,
}

impl Decoder {
    /// A new decoder. It begins with a key frame.
    pub fn new(codec: VideoCodec) -> Result<Self, DecodeError> {
        let inner = match codec {
            VideoCodec::Vp8 => Inner::Vp8(Box::new(Vp8Decoder::new(DecoderConfig::default())?)),
            VideoCodec::H264 => Inner::H264(Box::new(openh264::decoder::Decoder::new()?)),
        };
        Ok(Self { inner })
    }

    /// Decodes a frame; `None`: it isn't for showing. After an error the next frame must be a key frame.
    pub fn decode(&mut self, frame: &EncodedFrame) -> Result<Option<Picture>, DecodeError> {
        match &mut self.inner {
            Inner::Vp8(decoder) => {
                if frame.keyframe {
                    bounded(codec::vp8::dimensions(&frame.data))?;
                }
                decoder.send_packet(&frame.data, 0)?;
                let Some(decoded) = decoder.receive_frame()? else { return Ok(None) };
                let [y, u, v] = decoded.planes.as_slice() else { return Ok(None) };
                let planes = [y, u, v].map(|plane| Plane { data: &plane.data, stride: plane.stride });
                Ok(Some(Picture::copied(decoded.width, decoded.height, planes)?))
            }
            Inner::H264(decoder) => {
                // Parameters decide the size, wherever they come.
                if let (Some(sps), _) = h264::parameters(&frame.data) {
                    bounded(codec::h264::dimensions(sps))?;
                }
                let Some(decoded) = decoder.decode(&frame.data)? else { return Ok(None) };
                let ((width, height), (y, u, v)) = (decoded.dimensions(), decoded.strides());
                let planes =
                    [(decoded.y(), y), (decoded.u(), u), (decoded.v(), v)].map(|(data, stride)| Plane { data, stride });
                let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
                Ok(Some(Picture::copied(size(width), size(height), planes)?))
            }
        }
    }
}

fn bounded(size: Option<(u16, u16)>) -> Result<(), DecodeError> {
    let (width, height) = size.ok_or(DecodeError::NoSize)?;
    let (width, height) = (u32::from(width), u32::from(height));
    if width * height > MAX_PIXELS { Err(PictureError::Size(width, height).into()) } else { Ok(()) }
}
