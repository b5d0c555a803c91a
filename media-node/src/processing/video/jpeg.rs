//! A picture as a JPEG file.

use super::picture::Picture;
use jpeg_encoder::{EncodingError, ImageBuffer, JpegColorType, SamplingFactor};

/// Quality, 1 to 100.
const QUALITY: u8 = 80;

struct Rows<'a> {
    picture: &'a Picture,
    width: u16,
    height: u16,
}

/// JFIF has luma from 0 to 255, video from 16 to 235, chroma from 16 to 240 (ITU-R BT.601).
fn full_range(value: u8, from: i32, span: i32) -> u8 {
    let stretched = (i32::from(value) - from) * 255 / span;
    u8::try_from(stretched.clamp(0, 255)).unwrap_or(u8::MAX)
}

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, [luma, blue, red, _]: &mut [Vec<u8>; 4]) {
        let (width, row) = (usize::from(self.width), usize::from(y));
        let [y, u, v] = self.picture.planes();
        let line = y.chunks_exact(width).nth(row).unwrap_or_default();
        luma.extend(line.iter().map(|value| full_range(*value, 16, 219)));
        for (plane, target) in [(u, blue), (v, red)] {
            let line = plane.chunks_exact(width / 2).nth(row / 2).unwrap_or_default();
            let twice = line.iter().flat_map(|value| [*value; 2]);
            target.extend(twice.map(|value| full_range(value, 16, 224)));
        }
    }
}

/// Encodes a picture.
pub fn encode(picture: &Picture) -> Result<Vec<u8>, EncodingError> {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let size = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
    encoder.encode_image(Rows { picture, width: size(picture.width()), height: size(picture.height()) })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{super::picture::tests::pattern, *};

    #[test]
    fn a_picture_becomes_a_jpeg_file_that_shows_it() {
        let picture = pattern(160, 90, 3);
        let file = encode(&picture).unwrap();
        let mut decoder = jpeg_decoder::Decoder::new(file.as_slice());
        let pixels = decoder.decode().unwrap();
        let info = decoder.info().unwrap();
        assert_eq!((info.width, info.height), (160, 90));
        let error: f64 = pixels
            .chunks_exact(3)
            .zip(picture.planes()[0])
            .map(|(rgb, luma)| {
                let shown = 0.299 * f64::from(rgb[0]) + 0.587 * f64::from(rgb[1]) + 0.114 * f64::from(rgb[2]);
                (shown - f64::from(full_range(*luma, 16, 219))).abs()
            })
            .sum();
        assert!(error / (160.0 * 90.0) < 4.0, "{}", error / (160.0 * 90.0));
    }
}
