//! Reading and writing of the numbers in datagrams. All of it is total: what is missing is `None`.

use bytes::{Buf, BufMut, Bytes};

/// Writes a number in 7-bit groups, lowest first; the top bit says that more follow.
pub fn put(out: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Reads a number. More than five bytes, or a value beyond 32 bits, is `None`.
pub fn get(from: &mut Bytes) -> Option<u32> {
    let mut value = 0u32;
    for shift in [0u32, 7, 14, 21, 28] {
        let byte = u8(from)?;
        let part = u32::from(byte & 0x7F);
        if shift == 28 && part > 0x0F {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $get:ident, $size:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(from: &mut Bytes) -> Option<$type> {
            (from.remaining() >= $size).then(|| from.$get())
        }
    )*};
}

fixed! {
    /// One byte.
    u8: u8 = get_u8, 1;
    /// Two bytes, big endian.
    u16: u16 = get_u16, 2;
    /// Four bytes, big endian.
    u32: u32 = get_u32, 4;
    /// Eight bytes, big endian.
    u64: u64 = get_u64, 8;
}

/// Six bytes, big endian.
pub fn u48(from: &mut Bytes) -> Option<u64> {
    let (high, low) = (u16(from)?, u32(from)?);
    Some(u64::from(high) << 32 | u64::from(low))
}

/// Writes six bytes, big endian.
pub fn put_u48(out: &mut impl BufMut, value: u64) {
    out.put_u16((value >> 32) as u16);
    out.put_u32(value as u32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u32, wide in 0u64..1 << 48) {
            let mut out = Vec::new();
            put(&mut out, value);
            put_u48(&mut out, wide);
            let mut bytes = Bytes::from(out);
            prop_assert_eq!(get(&mut bytes), Some(value));
            prop_assert_eq!(u48(&mut bytes), Some(wide));
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn a_cut_or_overlong_number_is_none(value: u32) {
            let mut out = Vec::new();
            put(&mut out, value);
            out.pop();
            prop_assert_eq!(get(&mut Bytes::from(out)), None);
            prop_assert_eq!(get(&mut Bytes::from_static(&[0xFF, 0xFF, 0xFF, 0xFF, 0x10])), None);
        }
    }
}
