//! Bits of a header, most significant first, never beyond its end.

/// Reads bits. Every read beyond the end gives `None`.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Begins at the first bit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// One bit.
    pub fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// An unsigned number of `count` bits, at most 32: `f(n)` of the AV1 specification, section 4.10.2.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count.min(32)).try_fold(0u32, |value, _| Some(value << 1 | u32::from(self.bit()?)))
    }

    /// A number below `n` in as few bits as that takes: `ns(n)` of the AV1 specification, section 4.10.7.
    pub fn below(&mut self, n: u32) -> Option<u32> {
        let (width, short) = widths(n)?;
        let value = self.bits(width - 1)?;
        if value < short {
            return Some(value);
        }
        let extra = u32::from(self.bit()?);
        (value << 1).checked_add(extra)?.checked_sub(short)
    }

    /// Passes over bits.
    pub fn skip(&mut self, count: u32) -> Option<()> {
        let at = self.at.checked_add(usize::try_from(count).ok()?)?;
        (at <= self.bytes.len() * 8).then(|| self.at = at)
    }
}

/// Writes bits into bytes that are zero before. Every write beyond the end gives `None`.
#[derive(Debug)]
pub struct BitWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> BitWriter<'a> {
    /// Begins at the first bit.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that have been begun.
    pub fn len(&self) -> usize {
        self.at.div_ceil(8)
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// One bit.
    pub fn bit(&mut self, bit: bool) -> Option<()> {
        let byte = self.bytes.get_mut(self.at / 8)?;
        *byte |= u8::from(bit) << (7 - self.at % 8);
        self.at += 1;
        Some(())
    }

    /// The low `count` bits of a number, at most 32.
    pub fn bits(&mut self, value: u32, count: u32) -> Option<()> {
        (0..count.min(32)).rev().try_for_each(|place| self.bit(value >> place & 1 == 1))
    }

    /// A number below `n`, as [`BitReader::below`] reads it.
    pub fn below(&mut self, value: u32, n: u32) -> Option<()> {
        let (width, short) = widths(n)?;
        if value >= n {
            return None;
        }
        if value < short {
            return self.bits(value, width - 1);
        }
        self.bits(value.checked_add(short)?, width)
    }
}

/// Of a number below `n`: the bits of the longer code, and how many values have the shorter one.
fn widths(n: u32) -> Option<(u32, u32)> {
    let width = 32 - n.leading_zeros();
    (1..=31).contains(&width).then(|| (width, (1u32 << width) - n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bits_are_read_in_order_and_never_beyond_the_end() {
        let mut bits = BitReader::new(&[0b1010_0101, 0xFF]);
        assert_eq!(bits.bits(3), Some(0b101));
        assert_eq!(bits.bits(5), Some(0b00101));
        assert_eq!(bits.skip(9), None);
        assert_eq!(bits.bits(9), None);
        assert_eq!(BitReader::new(&[]).bit(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec((1u32..1_000, any::<u32>(), 1u32..=32), 0..40)) {
            let mut bytes = [0; 400];
            let mut writer = BitWriter::new(&mut bytes);
            for (n, value, count) in &values {
                writer.below(value % n, *n).unwrap();
                writer.bits(*value, *count).unwrap();
            }
            let mut reader = BitReader::new(&bytes);
            for (n, value, count) in values {
                prop_assert_eq!(reader.below(n), Some(value % n));
                prop_assert_eq!(reader.bits(count), Some(value & (u32::MAX >> (32 - count))));
            }
        }
    }
}
