//! Distance between places.

use chroom_primitives::H3Cell;
use h3o::{CellIndex, LatLng, Resolution};

/// How far two cells are from each other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Distance {
    /// Rings of cells of resolution 2 (about 160 km from cell to cell) between them; 0: the same or overlapping.
    pub rings: u32,
    /// Great-circle distance of their centres in kilometres.
    pub km: f64,
}

impl Distance {
    /// Round trip over it in milliseconds. Light in fibre covers 100 km and back in 1 ms; real paths take about twice that.
    pub fn rtt_ms(&self) -> f64 {
        self.km / 50.0
    }
}

/// Resolution at which rings are counted.
const RING_RESOLUTION: Resolution = Resolution::Two;
/// Distance of neighbouring cells' centres at that resolution: √3 × the mean edge length of 158.2 km is 274 km
/// (<https://h3geo.org/docs/core-library/restable>).
const RING_KM: f64 = 274.0;

/// The centre of a cell.
pub fn centre(cell: H3Cell) -> Option<LatLng> {
    CellIndex::try_from(cell.0).ok().map(LatLng::from)
}

/// Distance between two cells, none if one of them is no cell.
///
/// H3's grid distance fails across pentagons and for far-off cells; there the rings are taken from the kilometres.
pub fn between(a: H3Cell, b: H3Cell) -> Option<Distance> {
    let (a, b) = (CellIndex::try_from(a.0).ok()?, CellIndex::try_from(b.0).ok()?);
    let km = LatLng::from(a).distance_km(LatLng::from(b));
    let at_ring = |cell: CellIndex| cell.parent(RING_RESOLUTION).or_else(|| cell.center_child(RING_RESOLUTION));
    let grid = at_ring(a).zip(at_ring(b)).and_then(|(a, b)| a.grid_distance(b).ok()).map(i32::unsigned_abs);
    Some(Distance { rings: grid.unwrap_or((km / RING_KM) as u32), km })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(lat: f64, lng: f64) -> H3Cell {
        H3Cell(u64::from(LatLng::new(lat, lng).unwrap().to_cell(Resolution::Five)))
    }

    #[test]
    fn the_same_cell_is_near() {
        let berlin = cell(52.52, 13.40);
        assert_eq!(between(berlin, berlin).unwrap().rings, 0);
    }

    #[test]
    fn paris_is_nearer_to_berlin_than_tokyo() {
        let berlin = cell(52.52, 13.40);
        let paris = between(berlin, cell(48.86, 2.35)).unwrap();
        let tokyo = between(berlin, cell(35.68, 139.69)).unwrap();
        assert!((860.0..890.0).contains(&paris.km), "{paris:?}");
        assert!(paris.rings < tokyo.rings, "{paris:?} {tokyo:?}");
    }

    #[test]
    fn nonsense_has_no_distance() {
        assert_eq!(between(H3Cell(0), H3Cell(1)), None);
    }
}
