//! Sequence headers (AV1 specification, section 5.5).

use super::super::bits::BitReader;

/// What a sequence header says of all frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SequenceHeader {
    /// `seq_profile`: 0 main, 1 high, 2 professional.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point, which has all layers.
    pub level: u8,
    /// `seq_tier` of the first operating point.
    pub tier: bool,
    /// Largest width in pixels.
    pub width: u16,
    /// Largest height in pixels.
    pub height: u16,
    /// Samples have more than 8 bits.
    pub high_bit_depth: bool,
    /// Samples have 12 bits.
    pub twelve_bit: bool,
    /// How colour is sampled.
    pub chroma: Chroma,
}

/// How colour is sampled (section 5.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chroma {
    /// There is none.
    pub monochrome: bool,
    /// Whether there is half of it, horizontally and vertically.
    pub by_two: (bool, bool),
    /// `chroma_sample_position`; 0: not told.
    pub position: u8,
}

/// Colours that are sampled without halves: BT.709 primaries, sRGB transfer, identity matrix.
const SRGB: (u32, u32, u32) = (1, 13, 0);

impl SequenceHeader {
    /// Reads the content of a sequence header OBU.
    pub fn parse(content: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(content);
        let profile = u8::try_from(bits.bits(3)?).ok()?;
        bits.skip(1)?;
        let reduced = bits.bit()?;
        let (level, tier) = if reduced { (bits.bits(5)?, false) } else { operating_points(&mut bits)? };
        let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
        let width = u16::try_from(bits.bits(width_bits)? + 1).ok()?;
        let height = u16::try_from(bits.bits(height_bits)? + 1).ok()?;
        tools(&mut bits, reduced)?;
        let high_bit_depth = bits.bit()?;
        let twelve_bit = profile == 2 && high_bit_depth && bits.bit()?;
        let chroma = chroma(&mut bits, profile, twelve_bit)?;
        let level = u8::try_from(level).ok()?;
        Some(Self { profile, level, tier, width, height, high_bit_depth, twelve_bit, chroma })
    }
}

/// Passes over timing; gives level and tier of the first operating point.
fn operating_points(bits: &mut BitReader<'_>) -> Option<(u32, bool)> {
    let mut delay_bits = None;
    if bits.bit()? {
        bits.skip(64)?;
        if bits.bit()? {
            exp_golomb(bits)?;
        }
        if bits.bit()? {
            delay_bits = Some(bits.bits(5)? + 1);
            bits.skip(42)?;
        }
    }
    let display_delay = bits.bit()?;
    let mut first = None;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?;
        let level = bits.bits(5)?;
        let tier = level > 7 && bits.bit()?;
        first.get_or_insert((level, tier));
        if let Some(delay_bits) = delay_bits
            && bits.bit()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if display_delay && bits.bit()? {
            bits.skip(4)?;
        }
    }
    first
}

/// Passes over what says which tools are in use.
fn tools(bits: &mut BitReader<'_>, reduced: bool) -> Option<()> {
    // Lengths of frame ids.
    if !reduced && bits.bit()? {
        bits.skip(7)?;
    }
    bits.skip(3)?;
    if !reduced {
        bits.skip(4)?;
        let order_hints = bits.bit()?;
        if order_hints {
            bits.skip(2)?;
        }
        let screen_content = bits.bit()? || bits.bit()?;
        // Whether motion vectors are whole numbers: chosen for each frame, or told here.
        if screen_content && !bits.bit()? {
            bits.skip(1)?;
        }
        if order_hints {
            bits.skip(3)?;
        }
    }
    bits.skip(3)
}

fn chroma(bits: &mut BitReader<'_>, profile: u8, twelve_bit: bool) -> Option<Chroma> {
    let monochrome = profile != 1 && bits.bit()?;
    let described = bits.bit()?;
    let colours = if described { Some((bits.bits(8)?, bits.bits(8)?, bits.bits(8)?)) } else { None };
    if monochrome {
        bits.skip(1)?;
        return Some(Chroma { monochrome, by_two: (true, true), position: 0 });
    }
    if colours == Some(SRGB) {
        return Some(Chroma { monochrome, by_two: (false, false), position: 0 });
    }
    // The range of values.
    bits.skip(1)?;
    let by_two = match profile {
        0 => (true, true),
        1 => (false, false),
        _ if twelve_bit => {
            let wide = bits.bit()?;
            (wide, wide && bits.bit()?)
        }
        _ => (true, false),
    };
    let position = if by_two == (true, true) { u8::try_from(bits.bits(2)?).ok()? } else { 0 };
    Some(Chroma { monochrome, by_two, position })
}

/// Passes over a number in the form `uvlc()` (section 4.10.3).
fn exp_golomb(bits: &mut BitReader<'_>) -> Option<()> {
    let mut zeros = 0;
    while !bits.bit()? {
        zeros += 1;
    }
    if zeros < 32 { bits.skip(zeros) } else { Some(()) }
}
