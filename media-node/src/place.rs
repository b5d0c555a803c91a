//! The declared place of the node.

use chroom_primitives::H3Cell;
use h3o::{CellIndex, LatLng};
use serde::Serialize;
use utoipa::ToSchema;

/// A text is not a cell that a node may declare.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an H3 cell of resolution 0 to {max} in hex (such as 851fae07fffffff)", max = H3Cell::MAX_RESOLUTION)]
pub struct PlaceError(pub String);

/// Reads a cell as hex digits, with or without 0x.
pub fn parse(text: &str) -> Result<H3Cell, PlaceError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16)
        .ok()
        .map(H3Cell)
        .filter(|cell| cell.is_plausible() && CellIndex::try_from(cell.0).is_ok())
        .ok_or_else(|| PlaceError(text.to_owned()))
}

/// A place as the public API shows it: no finer than the cell.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// H3 cell in hex.
    #[schema(example = "851fae07fffffff")]
    pub cell: String,
    /// Resolution of the cell, 0 (4.4 million km²) to 7 (5 km²).
    pub resolution: u8,
    /// H3 base cell, the coarsest region, 0 to 121.
    pub region: u8,
    /// Latitude of the cell's centre in degrees, rounded to a tenth.
    pub latitude: f64,
    /// Longitude of the cell's centre in degrees, rounded to a tenth.
    pub longitude: f64,
}

impl Place {
    /// The place of a cell.
    pub fn of(cell: H3Cell) -> Self {
        let rounded = |degrees: f64| (degrees * 10.0).round() / 10.0;
        let centre = CellIndex::try_from(cell.0).ok().map(LatLng::from);
        Self {
            cell: format!("{:x}", cell.0),
            resolution: cell.resolution(),
            region: cell.base_cell(),
            latitude: centre.map_or(0.0, |centre| rounded(centre.lat())),
            longitude: centre.map_or(0.0, |centre| rounded(centre.lng())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_and_placed() {
        let cell = parse("0x851fae07fffffff").unwrap();
        let place = Place::of(cell);
        assert_eq!((place.cell.as_str(), place.resolution), ("851fae07fffffff", 5));
        assert!((49.0..51.0).contains(&place.latitude) && (7.0..10.0).contains(&place.longitude), "{place:?}");
        assert!(parse("12").is_err() && parse("frankfurt").is_err());
    }
}
