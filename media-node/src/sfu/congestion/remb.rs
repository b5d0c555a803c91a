//! The receiver's own estimate on the wire (draft-alvestrand-rmcat-remb-03, section 2.2).

use super::rate::Rate;

/// Payload-specific feedback (RFC 4585, section 6.1), application layer.
const PAYLOAD_TYPE: u8 = 206;
const FORMAT: u8 = 15;
/// RTCP header, two SSRCs, the identifier, and the estimate.
const HEADER: usize = 20;

/// Why an RTCP packet is no REMB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RembError {
    /// Another RTCP packet.
    #[error("not a REMB")]
    NotRemb,
    /// It ends before what it announces.
    #[error("the REMB ends early")]
    Truncated,
}

/// The estimate of one RTCP packet, its common header included.
pub fn parse(packet: &[u8]) -> Result<Rate, RembError> {
    let [first, kind, l1, l0, rest @ ..] = *packet.first_chunk::<HEADER>().ok_or(RembError::Truncated)?;
    let [.., b'R', b'E', b'M', b'B', count, high, middle, low] = rest else { return Err(RembError::NotRemb) };
    if first >> 6 != 2 || first & 0x1f != FORMAT || kind != PAYLOAD_TYPE {
        return Err(RembError::NotRemb);
    }
    let length = (usize::from(u16::from_be_bytes([l1, l0])) + 1) * 4;
    if packet.len() < length || length < HEADER + usize::from(count) * 4 {
        return Err(RembError::Truncated);
    }
    let mantissa = u64::from(u32::from_be_bytes([0, high & 0x03, middle, low]));
    // Six bits of exponent: what doesn't fit is no limit.
    let exponent = u32::from(high >> 2);
    let bits = mantissa.checked_shl(exponent).filter(|bits| bits >> exponent == mantissa).unwrap_or(u64::MAX);
    Ok(Rate::bps(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(exponent: u8, mantissa: u32) -> Vec<u8> {
        let mut bytes = vec![0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1];
        bytes.push(exponent << 2 | (mantissa >> 16) as u8);
        bytes.extend((mantissa as u16).to_be_bytes());
        bytes.extend([0, 0, 0, 9]);
        bytes
    }

    #[test]
    fn mantissa_and_exponent_make_the_rate() {
        assert_eq!(parse(&packet(3, 125_000)), Ok(Rate::kbps(1_000)));
        assert_eq!(parse(&packet(63, 0x3_ffff)), Ok(Rate::MAX));
        assert_eq!(parse(&packet(63, 0)), Ok(Rate::ZERO));
    }

    #[test]
    fn what_is_no_remb_is_refused() {
        let whole = packet(3, 125_000);
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Err(RembError::Truncated), "{end}");
        }
        let mut other = whole.clone();
        other[12] = b'X';
        assert_eq!(parse(&other), Err(RembError::NotRemb));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&bytes);
        }
    }
}
