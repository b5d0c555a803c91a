//! Places in the order of the index: H3 cells such that every region is one contiguous range.

use chroom_primitives::H3Cell;
use h3o::{CellIndex, LatLng, Resolution};
use std::ops::RangeInclusive;

/// Bits of an H3 index that say where: base cell and digits. Mode and resolution are left out, so that a cell and all that lies in it, of
/// whatever resolution, are neighbours in the order. Unused digits are 7, so a cell comes right after what lies in it.
const WHERE: u64 = (1 << 52) - 1;

/// A place's position in the index's order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PlaceKey(pub u64);

impl From<H3Cell> for PlaceKey {
    fn from(cell: H3Cell) -> Self {
        Self(cell.0 & WHERE)
    }
}

/// Keys of a cell and of all that lies in it.
pub fn range_of(cell: CellIndex) -> RangeInclusive<PlaceKey> {
    let last = u64::from(cell) & WHERE;
    let unused_digits = 15 - u32::from(u8::from(cell.resolution()));
    let first = last & !((1u64 << (3 * unused_digits)) - 1);
    PlaceKey(first)..=PlaceKey(last)
}

/// One step of a search that widens around a place.
#[derive(Clone, Debug)]
pub struct Ring {
    /// Ranges to look in.
    pub ranges: Vec<RangeInclusive<PlaceKey>>,
    /// Within this distance of the place, in kilometres, the ranges miss nothing.
    pub complete_km: f64,
}

/// Steps of a search around `cell`, from near to far; the last one is the whole world.
pub fn rings(cell: CellIndex) -> impl Iterator<Item = Ring> {
    let finest = u8::from(cell.resolution()).min(5);
    let near = (0..=finest).rev().filter_map(move |r| {
        let resolution = Resolution::try_from(r).ok()?;
        let parent = cell.parent(resolution)?;
        let ranges = parent.grid_disk::<Vec<_>>(1).into_iter().map(range_of).collect();
        // From the rim of the middle cell to the rim of the disk it is an edge's length; cells differ in size by up to a factor of two.
        Some(Ring { ranges, complete_km: resolution.edge_length_km() * 0.5 })
    });
    let world = Ring { ranges: vec![PlaceKey(0)..=PlaceKey(WHERE)], complete_km: f64::INFINITY };
    near.chain(std::iter::once(world))
}

/// The cell as a checked index, if it is one.
pub fn checked(cell: H3Cell) -> Option<CellIndex> {
    cell.is_plausible().then(|| CellIndex::try_from(cell.0).ok()).flatten()
}

/// Kilometres between the middles of two cells.
pub fn distance_km(a: CellIndex, b: CellIndex) -> f64 {
    LatLng::from(a).distance_km(LatLng::from(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(lat: f64, lng: f64, resolution: Resolution) -> CellIndex {
        LatLng::new(lat, lng).unwrap().to_cell(resolution)
    }

    #[test]
    fn a_region_is_one_range_whatever_the_resolution() {
        let berlin = cell(52.5, 13.4, Resolution::Seven);
        let madrid = PlaceKey::from(H3Cell(cell(40.4, -3.7, Resolution::Three).into()));
        for resolution in [Resolution::Zero, Resolution::Two, Resolution::Five] {
            let region = berlin.parent(resolution).unwrap();
            let range = range_of(region);
            for inner in Resolution::range(resolution, Resolution::Seven) {
                assert!(range.contains(&PlaceKey::from(H3Cell(berlin.parent(inner).unwrap().into()))));
            }
            assert!(!range.contains(&madrid));
        }
    }

    #[test]
    fn a_ring_misses_nothing_within_its_distance() {
        let here = cell(52.5, 13.4, Resolution::Five);
        let others: Vec<CellIndex> = (0..2_000)
            .map(|n| cell(35.0 + f64::from(n % 50) * 0.7, -10.0 + f64::from(n / 50) * 1.3, Resolution::Six))
            .collect();
        for ring in rings(here) {
            for other in &others {
                if distance_km(here, *other) <= ring.complete_km {
                    let key = PlaceKey::from(H3Cell((*other).into()));
                    assert!(ring.ranges.iter().any(|range| range.contains(&key)));
                }
            }
        }
    }
}
