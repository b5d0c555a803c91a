//! Material: a picture with texture, a slow pan, something that moves and a camera's noise; a voice with overtones and pauses between syllables.

use anyhow::Result;
use chroom_media_node::processing::video::picture::{Picture, Plane};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Pixels from one random value of the texture to the next.
const GRAIN: usize = 12;

/// A scene that goes on.
pub struct Scene {
    width: usize,
    height: usize,
    /// Random values, between which the texture is interpolated.
    texture: Vec<u8>,
    columns: usize,
    n: usize,
    random: StdRng,
}

impl Scene {
    /// A scene of this size, the same whenever it is made.
    pub fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize & !1, height as usize & !1);
        let mut random = StdRng::seed_from_u64(1);
        let (columns, rows) = (width / GRAIN + 200, height / GRAIN + 3);
        let texture = (0..columns * rows).map(|_| random.random_range(40..200)).collect();
        Self { width, height, texture, columns, n: 0, random }
    }

    fn luma(&self, x: usize, y: usize) -> u8 {
        let x = x + self.n;
        let (column, row) = (x / GRAIN, y / GRAIN);
        let at = |column: usize, row: usize| {
            usize::from(self.texture.get(row * self.columns + column).copied().unwrap_or(90))
        };
        let (right, down) = (x % GRAIN, y % GRAIN);
        let upper = at(column, row) * (GRAIN - right) + at(column + 1, row) * right;
        let lower = at(column, row + 1) * (GRAIN - right) + at(column + 1, row + 1) * right;
        ((upper * (GRAIN - down) + lower * down) / (GRAIN * GRAIN)) as u8
    }

    /// The next picture.
    pub fn picture(&mut self) -> Result<Picture> {
        let (width, height) = (self.width, self.height);
        let mut luma = Vec::with_capacity(width * height);
        // A head that goes to and fro before it all.
        let (centre, size) = (width / 3 + self.n * 5 % (width / 3), height / 4);
        let mut noise = 0u64;
        for y in 0..height {
            for x in 0..width {
                if x % 32 == 0 {
                    noise = self.random.random();
                }
                let inside = x.abs_diff(centre).pow(2) + y.abs_diff(height / 2).pow(2) < size * size;
                let shown = if inside { 150 + (self.luma(x.abs_diff(centre) * 2, y) >> 3) } else { self.luma(x, y) };
                luma.push(shown + (noise >> (2 * (x % 32)) & 3) as u8);
            }
        }
        let chroma = vec![120u8; width * height / 4];
        self.n += 1;
        let half = Plane { data: &chroma, stride: width / 2 };
        Ok(Picture::copied(width as u32, height as u32, [Plane { data: &luma, stride: width }, half, half])?)
    }
}

/// Interleaved samples of a voice.
pub fn voice(hertz: f64, from: usize, samples: usize, channels: usize) -> Vec<i16> {
    let sample = |n: usize| {
        let at = n as f64 / 48_000.0;
        let syllable = (at * 4.0 * std::f64::consts::TAU).sin().max(0.0);
        let pitch = hertz * (1.0 + 0.05 * (at * 1.3 * std::f64::consts::TAU).sin());
        let tones =
            (1..=8).map(|k| (at * pitch * f64::from(k) * std::f64::consts::TAU).sin() / f64::from(k)).sum::<f64>();
        (tones * syllable * 6_000.0) as i16
    };
    (from..from + samples).flat_map(|n| std::iter::repeat_n(sample(n), channels)).collect()
}
