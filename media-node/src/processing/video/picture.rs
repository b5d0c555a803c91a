//! A picture in memory: I420, rows without padding, width and height even.

use super::MAX_PIXELS;

/// Why a picture can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Nothing, or too much.
    #[error("a picture of {0} by {1} pixels: 2 to {MAX_PIXELS} in all are taken")]
    Size(u32, u32),
    /// Planes are shorter than their size says.
    #[error("the planes are shorter than the picture's size says")]
    Short,
}

/// A plane as a decoder has it.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Its rows.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// A picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

fn area(width: u32, height: u32) -> usize {
    width as usize * height as usize
}

impl Picture {
    /// A picture of one colour. Odd sizes are rounded down.
    pub fn filled(width: u32, height: u32, (y, u, v): (u8, u8, u8)) -> Result<Self, PictureError> {
        let (width, height) = even(width, height)?;
        let luma = area(width, height);
        let mut data = vec![y; luma * 3 / 2];
        let (cb, cr) = data.get_mut(luma..).unwrap_or_default().split_at_mut(luma / 4);
        cb.fill(u);
        cr.fill(v);
        Ok(Self { width, height, data })
    }

    /// A black picture.
    pub fn black(width: u32, height: u32) -> Result<Self, PictureError> {
        Self::filled(width, height, (16, 128, 128))
    }

    /// Copies a picture out of a decoder. Odd sizes lose a row or column.
    pub fn copied(width: u32, height: u32, planes: [Plane<'_>; 3]) -> Result<Self, PictureError> {
        let (width, height) = even(width, height)?;
        let mut data = Vec::with_capacity(area(width, height) * 3 / 2);
        for (plane, (columns, rows)) in planes.iter().zip(sizes(width, height)) {
            for row in 0..rows {
                let begin = row * plane.stride;
                data.extend_from_slice(plane.data.get(begin..begin + columns).ok_or(PictureError::Short)?);
            }
        }
        Ok(Self { width, height, data })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All planes, one after the other.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Luma, blue and red chroma.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.data.split_at(area(self.width, self.height).min(self.data.len()));
        let (u, v) = chroma.split_at(chroma.len() / 2);
        [y, u, v]
    }

    fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let luma = area(self.width, self.height).min(self.data.len());
        let (y, chroma) = self.data.split_at_mut(luma);
        let half = chroma.len() / 2;
        let (u, v) = chroma.split_at_mut(half);
        [y, u, v]
    }

    /// The picture in another size: the mean of the pixels that a new one covers.
    pub fn scaled(&self, width: u32, height: u32) -> Result<Self, PictureError> {
        let mut scaled = Self::black(width, height)?;
        if (scaled.width, scaled.height) == (self.width, self.height) {
            return Ok(self.clone());
        }
        let (from, to) = (sizes(self.width, self.height), sizes(scaled.width, scaled.height));
        for ((source, target), (from, to)) in
            self.planes().into_iter().zip(scaled.planes_mut()).zip(from.into_iter().zip(to))
        {
            scale(source, from, target, to);
        }
        Ok(scaled)
    }

    /// The largest size within a frame that keeps the shape.
    pub fn fitted(&self, width: u32, height: u32) -> (u32, u32) {
        let by_width = u64::from(self.height) * u64::from(width) / u64::from(self.width.max(1));
        if by_width <= u64::from(height) {
            (width & !1, u32::try_from(by_width).unwrap_or(height).max(2) & !1)
        } else {
            let by_height = u64::from(self.width) * u64::from(height) / u64::from(self.height.max(1));
            (u32::try_from(by_height).unwrap_or(width).max(2) & !1, height & !1)
        }
    }

    /// The picture turned clockwise by so many quarters.
    pub fn turned(self, quarters: u8) -> Self {
        let quarters = quarters % 4;
        if quarters == 0 {
            return self;
        }
        let (width, height) = if quarters % 2 == 1 { (self.height, self.width) } else { (self.width, self.height) };
        let mut turned = Self { width, height, data: vec![0; self.data.len()] };
        let sizes = sizes(self.width, self.height);
        for ((source, target), (columns, rows)) in self.planes().into_iter().zip(turned.planes_mut()).zip(sizes) {
            for (at, pixel) in source.iter().enumerate() {
                let (x, y) = (at % columns.max(1), at / columns.max(1));
                let to = match quarters {
                    1 => x * rows + (rows - 1 - y),
                    2 => (rows - 1 - y) * columns + (columns - 1 - x),
                    _ => (columns - 1 - x) * rows + y,
                };
                if let Some(target) = target.get_mut(to) {
                    *target = *pixel;
                }
            }
        }
        turned
    }

    /// Draws another picture over this one, its left upper corner at (x, y), which are rounded to even numbers. What goes beyond the
    /// border is left out.
    pub fn draw(&mut self, other: &Picture, x: u32, y: u32) {
        let (x, y) = ((x & !1) as usize, (y & !1) as usize);
        let here = sizes(self.width, self.height);
        let there = sizes(other.width, other.height);
        for (index, (target, source)) in self.planes_mut().into_iter().zip(other.planes()).enumerate() {
            let (Some((columns, _)), Some((width, _))) = (here.get(index), there.get(index)) else { continue };
            let (x, y) = if index == 0 { (x, y) } else { (x / 2, y / 2) };
            let Some(room) = columns.checked_sub(x) else { continue };
            let length = (*width).min(room);
            for (row, line) in target.chunks_exact_mut(*columns).skip(y).zip(source.chunks_exact(*width)) {
                if let (Some(to), Some(from)) = (row.get_mut(x..x + length), line.get(..length)) {
                    to.copy_from_slice(from);
                }
            }
        }
    }
}

fn even(width: u32, height: u32) -> Result<(u32, u32), PictureError> {
    let pixels = u64::from(width) * u64::from(height);
    if width < 2 || height < 2 || pixels > u64::from(MAX_PIXELS) {
        return Err(PictureError::Size(width, height));
    }
    Ok((width & !1, height & !1))
}

/// Columns and rows of the three planes.
fn sizes(width: u32, height: u32) -> [(usize, usize); 3] {
    let (width, height) = (width as usize, height as usize);
    [(width, height), (width / 2, height / 2), (width / 2, height / 2)]
}

/// Which pixels of the source a pixel of the target covers: at least one.
fn covered(index: usize, from: usize, to: usize) -> (usize, usize) {
    let begin = index * from / to.max(1);
    (begin, ((index + 1) * from / to.max(1)).max(begin + 1))
}

fn scale(source: &[u8], from: (usize, usize), target: &mut [u8], to: (usize, usize)) {
    let spans: Vec<(usize, usize)> = (0..to.0).map(|x| covered(x, from.0, to.0)).collect();
    let mut sums = vec![0u32; from.0];
    for (y, row) in target.chunks_exact_mut(to.0.max(1)).enumerate() {
        let (begin, end) = covered(y, from.1, to.1);
        sums.fill(0);
        for line in source.chunks_exact(from.0.max(1)).skip(begin).take(end - begin) {
            sums.iter_mut().zip(line).for_each(|(sum, pixel)| *sum += u32::from(*pixel));
        }
        for (pixel, (left, right)) in row.iter_mut().zip(&spans) {
            let covered = sums.get(*left..*right).unwrap_or_default();
            let count = (covered.len() * (end - begin)).max(1) as u32;
            *pixel = u8::try_from((covered.iter().sum::<u32>() + count / 2) / count).unwrap_or(u8::MAX);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A picture with a bright square that moves by `frame`, on a gradient.
    pub(crate) fn pattern(width: u32, height: u32, frame: u32) -> Picture {
        let mut picture = Picture::black(width, height).unwrap();
        let [y, u, v] = picture.planes_mut();
        for (at, pixel) in y.iter_mut().enumerate() {
            let (x, row) = (at as u32 % width, at as u32 / width);
            let left = (frame * 4) % (width - 32);
            let bright = (left..left + 32).contains(&x) && (16..48).contains(&row);
            *pixel = if bright { 220 } else { (40 + (x + row) / 4).min(180) as u8 };
        }
        u.fill(100);
        v.fill(150);
        picture
    }

    /// Peak signal to noise ratio of the luma, in decibels.
    pub(crate) fn psnr(one: &Picture, other: &Picture) -> f64 {
        assert_eq!((one.width, one.height), (other.width, other.height));
        let error: f64 =
            one.planes()[0].iter().zip(other.planes()[0]).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        10.0 * (255.0f64.powi(2) / (error / one.planes()[0].len() as f64).max(1e-9)).log10()
    }

    #[test]
    fn scaling_down_and_up_keeps_the_picture() {
        let picture = pattern(320, 180, 5);
        let small = picture.scaled(160, 90).unwrap();
        assert_eq!((small.width(), small.height()), (160, 90));
        assert!(psnr(&picture, &small.scaled(320, 180).unwrap()) > 30.0);
        assert_eq!(picture.scaled(320, 180).unwrap(), picture);
    }

    #[test]
    fn four_quarter_turns_are_none() {
        let picture = pattern(64, 48, 1);
        let turned = picture.clone().turned(1);
        assert_eq!((turned.width(), turned.height()), (48, 64));
        // The left upper corner goes to the right.
        assert_eq!(turned.planes()[0][47], picture.planes()[0][0]);
        assert_eq!(turned.clone().turned(3), picture);
        assert_eq!(picture.clone().turned(2), turned.turned(1));
    }

    #[test]
    fn what_is_drawn_over_the_border_is_cut() {
        let mut canvas = Picture::black(8, 8).unwrap();
        canvas.draw(&Picture::filled(8, 8, (200, 90, 90)).unwrap(), 5, 6);
        let [y, u, _] = canvas.planes();
        let bright = y.iter().filter(|pixel| **pixel == 200).count();
        assert_eq!((bright, y[6 * 8 + 4], y[5 * 8 + 4]), (8, 200, 16));
        assert_eq!(u.iter().filter(|pixel| **pixel == 90).count(), 2);
        canvas.draw(&Picture::black(2, 2).unwrap(), 100, 100);
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(Picture::black(1, 100), Err(PictureError::Size(1, 100)));
        assert!(Picture::black(16_383, 16_383).is_err());
        assert_eq!(Picture::black(641, 361).unwrap().data().len(), 640 * 360 * 3 / 2);
        let plane = Plane { data: &[0; 10], stride: 4 };
        assert_eq!(Picture::copied(4, 4, [plane; 3]), Err(PictureError::Short));
    }

    proptest! {
        #[test]
        fn any_size_can_be_scaled_to_any_other(
            (a, b, c, d) in (2u32..200, 2u32..200, 2u32..200, 2u32..200),
        ) {
            let grey = Picture::filled(a, b, (77, 88, 99)).unwrap();
            let scaled = grey.scaled(c, d).unwrap();
            prop_assert_eq!(&scaled, &Picture::filled(c, d, (77, 88, 99)).unwrap());
            let (width, height) = grey.fitted(c, d);
            prop_assert!(width <= c && height <= d.max(2));
        }
    }
}
