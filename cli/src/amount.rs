//! Amounts of the native token as people write them.

use chroom_primitives::{Balance, CHR};
use std::{fmt, str::FromStr};

/// Decimal places of the token: 1 CHR = 10^12 units.
const DECIMALS: usize = 12;

/// An amount in the smallest unit, written and read in CHR.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Amount(pub Balance);

/// A text is not an amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AmountError {
    /// Not digits with at most one point.
    #[error("an amount is a number of CHR like 10 or 0.25")]
    Malformed,
    /// More than 12 decimals.
    #[error("an amount has at most 12 decimals")]
    TooFine,
    /// Does not fit.
    #[error("the amount is too large")]
    TooLarge,
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let text = text.strip_suffix("CHR").or_else(|| text.strip_suffix("chr")).unwrap_or(text).trim_end();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return Err(AmountError::Malformed);
        }
        if fraction.len() > DECIMALS {
            return Err(AmountError::TooFine);
        }
        let parse = |part: &str| if part.is_empty() { Ok(0) } else { part.parse().map_err(|_| AmountError::TooLarge) };
        let whole: Balance = parse(whole)?;
        let fraction: Balance = parse(&format!("{fraction:0<DECIMALS$}"))?;
        whole.checked_mul(CHR).and_then(|units| units.checked_add(fraction)).map(Self).ok_or(AmountError::TooLarge)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / CHR, self.0 % CHR);
        if fraction == 0 {
            return write!(f, "{whole} CHR");
        }
        let fraction = format!("{fraction:0>DECIMALS$}");
        write!(f, "{whole}.{} CHR", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("10".parse(), Ok(Amount(10 * CHR)));
        assert_eq!("0.25".parse(), Ok(Amount(CHR / 4)));
        assert_eq!(".5 CHR".parse(), Ok(Amount(CHR / 2)));
        assert_eq!("0.000000000001".parse(), Ok(Amount(1)));
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", ".", "-1", "1e3", "1.2.3", "ten"] {
            assert_eq!(text.parse::<Amount>(), Err(AmountError::Malformed), "{text}");
        }
        assert_eq!("0.0000000000001".parse::<Amount>(), Err(AmountError::TooFine));
        assert_eq!("999999999999999999999999999999".parse::<Amount>(), Err(AmountError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(units in 0..u128::MAX / 2) {
            prop_assert_eq!(Amount(units).to_string().parse(), Ok(Amount(units)));
        }
    }
}
