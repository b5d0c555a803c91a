//! Places, as H3 cells.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// An H3 cell index (<https://h3geo.org>) of resolution 0 to 7; a node declares its place no finer than about 5 km².
///
/// The chain checks the form only ([`H3Cell::is_plausible`]); geometry is the off-chain side's.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct H3Cell(pub u64);

impl H3Cell {
    /// Finest resolution that a node may declare.
    pub const MAX_RESOLUTION: u8 = 7;

    /// The cell's resolution, bits 52 to 55 of the index.
    pub const fn resolution(self) -> u8 {
        ((self.0 >> 52) & 0xF) as u8
    }

    /// The base cell (0 to 121), bits 45 to 51: the coarsest region, used as the region's name.
    pub const fn base_cell(self) -> u8 {
        ((self.0 >> 45) & 0x7F) as u8
    }

    /// Whether the index has the form of a cell: reserved bit clear, mode 1, base cell in range, resolution allowed.
    pub const fn is_plausible(self) -> bool {
        (self.0 >> 63) == 0
            && ((self.0 >> 59) & 0xF) == 1
            && ((self.0 >> 56) & 0x7) == 0
            && self.base_cell() < 122
            && self.resolution() <= Self::MAX_RESOLUTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_allowed_resolutions_are_plausible() {
        // Around San Francisco, resolutions 0, 3 and 7.
        for (index, resolution) in [(0x0802_9fff_ffff_ffff, 0), (0x0832_830f_ffff_ffff, 3), (0x0872_8308_28ff_ffff, 7)]
        {
            let cell = H3Cell(index);
            assert!(cell.is_plausible(), "{index:x}");
            assert_eq!((cell.resolution(), cell.base_cell()), (resolution, 20));
        }
    }

    #[test]
    fn others_are_not() {
        // Nothing; resolution 8; an edge; the reserved bit; reserved bits below the mode; base cell 122.
        for index in [
            0,
            0x0882_8308_281f_ffff,
            0x1172_8308_28ff_ffff,
            0x8872_8308_28ff_ffff,
            0x0972_8308_28ff_ffff,
            0x087f_4fff_ffff_ffff,
        ] {
            assert!(!H3Cell(index).is_plausible(), "{index:x}");
        }
    }
}
